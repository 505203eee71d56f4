#!/usr/bin/env python3
"""Cuts of a loop file system under the daemon (xfs_io shutdown): at once nothing more reaches the
device, and what the journal has not committed is gone: files made, renamed, folders synced. The
recording device (power_cut.py) does not need this kernel's journal to be right; this does.

usage: power_cut_shutdown.py BIN_DIR [--rounds N] [--orders FILE] [--jobs N] [--seed N] [--only TEXT]

On ext4 and xfs, with io_uring and pwrite: orders are produced with key InvoiceNo, --acks durable
(every third cycle committed), while a group reads with read=durable and topics come and go; the file
system is cut; the broker must stop acknowledging; everything is killed and started again. Then every
acknowledged and every read line must lie where it was said to, each key's lines must be those of the
input, in order, from the first on. The rest is produced in the next cycle; at the end the log must
hold exactly the input.
"""
import argparse
import collections
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
import power_cut_device as device  # noqa: E402
import power_cut_workload as workload  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(device.HERE))
SERIES = (("ext4", "io_uring", "fdatasync"), ("xfs", "io_uring", "dsync"),
          ("ext4", "pwrite", "dsync"), ("xfs", "pwrite", "fdatasync"))
SKIPPED = 77
PARTITIONS = 8
SETTINGS = ["slot.bytes=64KiB", "segment.bytes=256KiB"]
CYCLES = 10  # on one file system: a segment whose broker died keeps its zeros, 4 MiB each
DISK_BYTES = 1 << 30
LIFE_S = (0.15, 0.55)
QUIET_S = 0.2  # without an acknowledgement after a cut
QUIET_BY_S = 5.0
LIMIT_S = 120


class Violation(Exception):
    pass


class Cuts:
    """One file system and engine, cut again and again."""

    def __init__(self, series, lines, options, number):
        self.lines = lines
        self.options = options
        self.dice = random.Random(f"{options.seed}/{'-'.join(series)}/{number}")
        self.folder = tempfile.mkdtemp(prefix="mb-shut-", dir=device.work_dir())
        image = os.path.join(self.folder, "disk.img")
        device.make_file_system(series[0], image, DISK_BYTES)
        self.loop = device.Loop(image)
        self.mnt = os.path.join(self.folder, "mnt")
        self.mount = None
        self.instance = workload.Instance(options.bin_dir, self.folder,
                                          os.path.join(self.mnt, "data"), *series[1:])
        self.started = []
        self.acked = {}  # (partition, offset): line
        self.seen = {}
        self.tally = collections.Counter()

    def close(self):
        self.down()
        self.loop.close()
        device.remove_folder(self.folder)

    def down(self):
        for process in self.started:
            device.kill_group(process)
        self.started = []
        self.instance.kill()
        if self.mount:
            self.mount.close()
            self.mount = None

    def up(self):
        self.mount = device.Mount(self.loop.node, self.mnt)
        self.instance.start()

    # --- what is there

    def rest(self):
        """Checks the log; returns the lines that are not in it yet."""
        done = self.instance.run("consume", "retail", "-o", "start", "-e", "-f",
                                 "%p %o\\t%k,%s\\n")
        if done.returncode != 0:
            raise Violation(f"consume ends with {done.returncode}: {done.stderr.decode()}")
        log = {}
        for row in done.stdout.decode().splitlines():
            place, line = row.split("\t", 1)
            log[tuple(map(int, place.split()))] = line
        for what, told in (("acknowledged", self.acked), ("read as durable", self.seen)):
            for place, line in told.items():
                self.tally[what] += 1
                if log.get(place) != line:
                    raise Violation(f"{what} at {place}: {line[:60]!r}, there is "
                                    f"{str(log.get(place))[:60]!r}")
        by_key = collections.defaultdict(list)
        for place in sorted(log):
            by_key[log[place].partition(",")[0]].append(log[place])
        rest, taken = [], collections.Counter()
        for line in self.lines:
            key = line.partition(",")[0]
            at = taken[key]
            taken[key] += 1
            if at >= len(by_key[key]):
                rest.append(line)
            elif by_key[key][at] != line:
                raise Violation(f"line {at + 1} of key {key} is {by_key[key][at][:60]!r}, not "
                                f"{line[:60]!r}")
        if len(rest) + len(log) != len(self.lines):
            raise Violation(f"{len(log)} lines there and {len(rest)} to come are not "
                            f"{len(self.lines)}: one is there twice")
        return rest

    # --- one life

    def produce(self, lines, acks, per_second):
        report = os.path.join(self.folder, "report")
        open(report, "w").close()
        process = device.start(
            self.instance.command("produce", "retail", "-K", ",", "--acks", acks, "--timeout",
                                  "60000", "--report", report),
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.started.append(process)
        thread = threading.Thread(target=feed, args=(process.stdin, lines, per_second))
        thread.start()
        return process, report, thread

    def read_as_group(self):
        path = os.path.join(self.folder, "group.out")
        with open(path, "wb") as out:
            self.started.append(device.start(
                self.instance.command("consume", "retail", "-g", "g", "-f", "%p %o\\t%k,%s\\n"),
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL))
        return path

    def cut(self, number, rest):
        """A life and its end."""
        acks = "committed" if number % 3 == 2 else "durable"
        life_s = self.dice.uniform(*LIFE_S)
        _, report, thread = self.produce(rest, acks, self.options.rate)
        group = self.read_as_group()
        until = time.monotonic() + life_s
        self.instance.create(f"extra{number}", 2, SETTINGS)
        if number % 2:
            self.instance.must("topic", "delete", f"extra{number}", "--execute")
        time.sleep(max(0, until - time.monotonic()))
        device.run("xfs_io", "-x", "-c", "shutdown", self.mnt)
        if acks == "durable":
            self.wait_for_quiet(report)
        self.down()
        thread.join()
        told = [tuple(map(int, row.split())) for row in whole_lines(report)]
        if acks == "durable":
            self.acked.update({(place[0], place[1]): rest[line - 1] for line, *place in told})
        for row in whole_lines(group):
            place, line = row.split("\t", 1)
            self.seen[tuple(map(int, place.split()))] = line
        self.tally["cuts"] += 1

    def wait_for_quiet(self, report):
        """The broker must stop acknowledging: what it is given cannot reach the disk."""
        end = time.monotonic() + QUIET_BY_S
        while True:
            before = os.path.getsize(report)
            time.sleep(QUIET_S)
            if os.path.getsize(report) == before:
                return
            if time.monotonic() > end:
                raise Violation(f"still acknowledging {QUIET_BY_S} s after the cut")

    def positions(self):
        shown = self.instance.run("--format", "json", "group", "describe", "g")
        if shown.returncode != 0:
            return
        for row in workload.json.loads(shown.stdout):
            self.tally["positions"] += 1
            if (row["current_offset"] or 0) > row["log_end_offset"]:
                raise Violation(f"the group's position lies above the end: {row}")

    def run(self):
        self.up()
        self.instance.create("retail", PARTITIONS, SETTINGS)
        rest = self.lines
        for number in range(CYCLES):
            self.cut(number, rest)
            self.up()
            rest = self.rest()
            self.positions()
        process, _, thread = self.produce(rest, "durable", 0)
        if process.wait(LIMIT_S) != 0:
            raise Violation(f"the rest is refused: {process.stderr.read().decode()}")
        thread.join()
        if self.rest():
            raise Violation("not all lines are there at the end")
        self.instance.must("verify", "--deep", "--data-dir", self.instance.data_dir)


def feed(pipe, lines, per_second):
    """All at once if per_second is 0."""
    step = max(1, per_second // 100) if per_second else len(lines) or 1
    try:
        for at in range(0, len(lines), step):
            pipe.write("".join(line + "\n" for line in lines[at:at + step]).encode())
            pipe.flush()
            if per_second:
                time.sleep(0.01)
        pipe.close()
    except (BrokenPipeError, ValueError):
        pass  # killed, as planned


def whole_lines(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return text[:text.rfind("\n") + 1].splitlines()


def read_orders(options):
    """Of a file, else invented ones; a name that ends in .zst is decompressed."""
    command = [sys.executable, "-B", "packaging/demo-log/orders.py", "generate", "6000"]
    if options.orders:
        command = ["zstdcat" if options.orders.endswith(".zst") else "cat", options.orders]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return text.split("\n")[1:-1]  # without the title


def run_series(series, lines, options):
    began = time.monotonic()
    trouble, tally = "", collections.Counter()
    for number in range(options.rounds):
        cuts = Cuts(series, lines, options, number)
        try:
            cuts.run()
        except Exception as error:  # said in the table; the other series go on
            trouble = f"{type(error).__name__}: {error}; {cuts.instance.log_tail()}"
        finally:
            cuts.close()
        tally += cuts.tally
        if trouble:
            break
    return series, tally, trouble, time.monotonic() - began


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin_dir")
    parser.add_argument("--rounds", type=int, default=1,
                        help=f"of {CYCLES} cuts, per file system and engine")
    parser.add_argument("--orders", help="CSV with a title, else invented ones")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--only", default="", help="series whose name holds this")
    options = parser.parse_args()
    options.bin_dir = os.path.abspath(options.bin_dir)
    reason = device.why_not()
    if reason:
        print(f"skipped: {reason}")
        return SKIPPED
    lines = read_orders(options)
    # So that about one line in ten is left for the end.
    options.rate = max(100, int(0.9 * len(lines) / CYCLES / (sum(LIFE_S) / 2)))
    print(f"{len(lines)} lines, {options.rate} a second, seed {options.seed}")
    row = "{:5} {:9} {:10} {:>5} {:>9} {:>9} {:>10}  {:8} {:>6}".format
    print(row("FS", "ENGINE", "FLUSH", "CUTS", "ACKED", "SEEN", "POSITIONS", "VERDICT", "TIME"))
    total, failed = collections.Counter(), 0
    work = [(one, lines, options) for one in SERIES if options.only in "-".join(one)]
    for series, tally, trouble, seconds in device.run_all(options.jobs, run_series, work):
        failed += bool(trouble)
        total.update(tally)
        print(row(*series, tally["cuts"], tally["acknowledged"], tally["read as durable"],
                  tally["positions"], "VIOLATED" if trouble else "ok", f"{seconds:.0f} s"),
              *([f"\n    {trouble}"] if trouble else []), flush=True)
    print(f"{total['cuts']} cuts, {total['acknowledged']} acknowledged lines checked; "
          f"{failed} series failed; seed {options.seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
