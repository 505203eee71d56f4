#!/usr/bin/env python3
"""Kill points: every store and file operation that others can see has a name (CRASH_POINT); here
the product is killed or stopped at each of them, and must lose nothing that it acknowledged.

usage: kill_points.py BIN_DIR [--only NAME] [--jobs N] [--nth N,N...]

BIN_DIR holds mallbotsd and mallbots of a build with MALLBOTS_CRASH_POINTS=ON.

Broker and keeper points x SIGKILL: the daemon dies there once, while a producer appends with
--acks durable; the keeper (or this program, if the keeper died) starts the next one.
Client points x SIGKILL, and x SIGSTOP + fence + SIGCONT: the producer dies or stops there; another
one must go on; the stopped one must then finish.

Points of a group member x SIGKILL: another member must get what the dead one had not committed.

Checked after each: offsets are dense; every acknowledged record is there, at its offset, once, with
its bytes; records of one producer are in its order; the same again after a restart of everything.
Prints a table; ends with `N passed, N failed`.
"""
import argparse
import collections
import concurrent.futures
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LINES = 5000
PARTITIONS = 2
TIMEOUT_S = 40
STALL_LIMIT_MS = 100
SETTINGS = ["slot.bytes=128KiB", "segment.bytes=1MiB", f"stall.limit={STALL_LIMIT_MS}ms"]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Violation(Exception):
    pass


class Instance:
    """One daemon with its own directories; killed by pid whatever happens."""

    def __init__(self, bin_dir):
        self.bin = bin_dir
        self.dir = tempfile.mkdtemp(prefix="mb-kill-")
        self.daemon = None
        self.started = []

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self, env=None):
        log = open(self.path("daemon.log"), "ab")
        self.daemon = subprocess.Popen(
            [f"{self.bin}/mallbotsd", "--data-dir", self.path("data"), "--runtime-dir",
             self.path("run")],
            stdout=log, stderr=log, env={**os.environ, **(env or {})}, start_new_session=True)
        self.started.append(self.daemon)

    def command(self, *args):
        return [f"{self.bin}/mallbots", "--runtime-dir", self.path("run"), *args]

    def run(self, *args, **options):
        return subprocess.run(self.command(*args), capture_output=True, timeout=TIMEOUT_S,
                              **options)

    def keep_up(self):
        """Starts the daemon again if the keeper is gone."""
        if self.daemon.poll() is not None:
            self.start()

    def until_done(self, *args, accept=(0,)):
        """Repeats a command that a crash may have cut off."""
        end = time.monotonic() + TIMEOUT_S
        while True:
            self.keep_up()
            done = self.run(*args)
            if done.returncode in accept:
                return done
            if time.monotonic() > end:
                raise Violation(f"{' '.join(args)}: exit {done.returncode}: "
                                f"{done.stderr.decode(errors='replace').strip()}")
            time.sleep(0.05)

    def create_topic(self):
        args = ["topic", "create", "t", "-p", str(PARTITIONS)]
        for setting in SETTINGS:
            args += ["-c", setting]
        end = time.monotonic() + TIMEOUT_S
        while self.run("topic", "describe", "t").returncode != 0:
            self.keep_up()
            self.run(*args)
            if time.monotonic() > end:
                raise Violation("the topic could not be created")

    def produce(self, name, count, env=None):
        """A running producer of `count` lines "k<i>,<name>-<i>-..."."""
        source = self.path(f"{name}.in")
        with open(source, "w") as out:
            for i in range(count):
                out.write(f"k{i % 50},{name}-{i}-{'x' * 200}\n")
        process = subprocess.Popen(
            self.command("produce", "t", "-K", ",", "--acks", "durable", "--timeout", "30000",
                         "--report", self.path(f"{name}.report")),
            stdin=open(source), stdout=subprocess.DEVNULL,
            stderr=open(self.path(f"{name}.err"), "w"), env={**os.environ, **(env or {})},
            start_new_session=True)
        self.started.append(process)
        return process

    def read_log(self):
        done = self.until_done("consume", "t", "-o", "start", "-e", "-f", "%p %o %k,%s\\n")
        records = collections.defaultdict(dict)
        for line in done.stdout.decode().splitlines():
            partition, offset, text = line.split(" ", 2)
            if int(offset) in records[int(partition)]:
                raise Violation(f"offset {partition}/{offset} was read twice")
            records[int(partition)][int(offset)] = text
        for partition, by_offset in records.items():
            if sorted(by_offset) != list(range(len(by_offset))):
                raise Violation(f"offsets of partition {partition} are not dense")
        return records

    def check(self, names, exactly_once=()):
        records = self.read_log()
        for name in names:
            with open(self.path(f"{name}.in")) as source:
                lines = source.read().splitlines()
            report = self.path(f"{name}.report")
            acknowledged = open(report).read().splitlines() if os.path.exists(report) else []
            for row in acknowledged:
                fields = row.split()
                if len(fields) != 3:
                    continue  # the producer died while it wrote the row
                number, partition, offset = map(int, fields)
                found = records[partition].get(offset)
                if found != lines[number - 1]:
                    raise Violation(f"line {number} of {name}, acknowledged as "
                                    f"{partition}/{offset}, is {found!r} there")
            for partition, by_offset in records.items():
                order = [int(re.search(r"-(\d+)-", text).group(1))
                         for _, text in sorted(by_offset.items()) if f",{name}-" in text]
                if order != sorted(order) or len(order) != len(set(order)):
                    raise Violation(f"records of {name} in partition {partition} are out of "
                                    "order or doubled")
            if name in exactly_once:
                total = sum(f",{name}-" in text for by in records.values() for text in by.values())
                if total != len(lines) or len(acknowledged) != len(lines):
                    raise Violation(f"{name}: {len(lines)} sent, {len(acknowledged)} "
                                    f"acknowledged, {total} in the log")
        return records

    def restart_all(self):
        self.daemon.send_signal(signal.SIGTERM)
        try:
            self.daemon.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Violation("the daemon did not end on SIGTERM")
        self.start()

    def close(self):
        for process in self.started:
            for send in (signal.SIGCONT, signal.SIGKILL):
                try:
                    os.killpg(process.pid, send)
                except ProcessLookupError:
                    pass
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def wait_for(process, what):
    try:
        return process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise Violation(f"{what} did not end")


def orders(instance, point, nth, how):
    flag = instance.path("once")
    open(flag, "w").close()
    return {"MALLBOTS_CRASH_AT": point, "MALLBOTS_CRASH_NTH": str(nth),
            "MALLBOTS_CRASH_HOW": how, "MALLBOTS_CRASH_ONCE": flag}


def daemon_dies(instance, point, nth):
    instance.start(orders(instance, point, nth, "kill"))
    instance.create_topic()
    producer = instance.produce("a", LINES)
    while producer.poll() is None:
        instance.keep_up()
        time.sleep(0.02)
    instance.until_done("consume", "t", "-g", "g", "-e", "-f", "%o\\n")
    before = instance.check(["a"], exactly_once=["a"] if producer.returncode == 0 else [])
    instance.restart_all()
    if instance.check(["a"]) != before:
        raise Violation("the log is another one after a restart")
    return not os.path.exists(instance.path("once"))


def client_dies(instance, point, nth):
    instance.start()
    instance.create_topic()
    dying = instance.produce("a", LINES, orders(instance, point, nth, "kill"))
    other = instance.produce("b", LINES)
    wait_for(dying, "the producer that dies")
    if wait_for(other, "the other producer") != 0:
        raise Violation("the other producer failed: " + open(instance.path("b.err")).read())
    before = instance.check(["a", "b"], exactly_once=["b"])
    instance.restart_all()
    if instance.check(["a", "b"]) != before:
        raise Violation("the log is another one after a restart")
    return not os.path.exists(instance.path("once"))


def member_dies(instance, point, nth):
    """A group member dies; another one must get every record it had not committed."""
    instance.start()
    instance.create_topic()
    wait_for(instance.produce("a", LINES), "produce")
    with open(instance.path("dying.out"), "wb") as out:
        dying = subprocess.Popen(
            instance.command("consume", "t", "-g", "g", "-e", "-f", "%p %o %k,%s\\n"), stdout=out,
            stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **orders(instance, point, nth, "kill")})
        instance.started.append(dying)
        wait_for(dying, "the member that dies")
    heir = instance.until_done("consume", "t", "-g", "g", "-e", "-f", "%p %o %k,%s\\n")
    seen = set(heir.stdout.decode().splitlines())
    with open(instance.path("dying.out")) as out:
        whole = out.read()
    seen |= set(whole[:whole.rfind("\n") + 1].splitlines())
    records = instance.check(["a"], exactly_once=["a"])
    sent = {f"{p} {o} {text}" for p, by in records.items() for o, text in by.items()}
    if seen != sent:
        raise Violation(f"{len(sent - seen)} records reached no member, "
                        f"{len(seen - sent)} were never sent")
    return not os.path.exists(instance.path("once"))


def is_stopped(process):
    with open(f"/proc/{process.pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "T"


def client_stops(instance, point, nth):
    instance.start()
    instance.create_topic()
    stopping = instance.produce("a", LINES, orders(instance, point, nth, "stop"))
    while stopping.poll() is None and not is_stopped(stopping):
        time.sleep(0.01)
    hit = stopping.poll() is None
    other = instance.produce("b", 300)
    if wait_for(other, "the producer beside a stopped one") != 0:
        raise Violation("the producer beside a stopped one failed: " +
                        open(instance.path("b.err")).read())
    if hit:
        stopping.send_signal(signal.SIGCONT)
    if wait_for(stopping, "the producer that went on") != 0:
        raise Violation("the producer that went on failed: " + open(instance.path("a.err")).read())
    instance.check(["a", "b"], exactly_once=["a", "b"])
    return hit


def points_found():
    found = {}
    for room in ("shm", "broker", "clients"):
        for path in glob.glob(f"{ROOT}/{room}/**/*", recursive=True):
            if path.endswith((".h", ".cpp")):
                for name in re.findall(r'CRASH_POINT\("([^"]+)"\)', open(path).read()):
                    found[name] = os.path.relpath(path, ROOT)
    found.pop("room.step", None)  # the example in crash_point.h
    return found


def points_visited(bin_dir):
    """Who visits which point in a run without a crash: {"daemon": names, ...}."""
    instance = Instance(bin_dir)
    try:
        logs = {who: instance.path(f"{who}.points") 
                for who in ("daemon", "producer", "member")}
        instance.start({"MALLBOTS_CRASH_LOG": logs["daemon"]})
        instance.create_topic()
        wait_for(instance.produce("a", LINES, {"MALLBOTS_CRASH_LOG": logs["producer"]}),
                 "produce")
        instance.run("consume", "t", "-g", "g", "-e", "-f", "%o\\n",
                     env={**os.environ, "MALLBOTS_CRASH_LOG": logs["member"]})
        instance.restart_all()
        instance.check(["a"], exactly_once=["a"])
        return {who: sorted({line.split()[1] for line in open(log)}) for who, log in logs.items()}
    finally:
        instance.close()


def run_one(bin_dir, kind, point, nth):
    instance = Instance(bin_dir)
    began = time.monotonic()
    try:
        hit = kind(instance, point, nth)
        return "passed" if hit else "not hit", "", time.monotonic() - began
    except (Violation, subprocess.TimeoutExpired) as violation:
        tail = subprocess.run(["tail", "-n", "5", instance.path("daemon.log")],
                              capture_output=True).stdout.decode(errors="replace")
        return "FAILED", f"{violation}\n{tail}", time.monotonic() - began
    finally:
        instance.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin_dir")
    parser.add_argument("--only", help="one point")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--nth", default="1,4", help="at which visits")
    options = parser.parse_args()
    found = points_found()
    visited = points_visited(options.bin_dir)
    work = []
    for nth in map(int, options.nth.split(",")):
        work += [(daemon_dies, point, nth) for point in visited["daemon"]]
        work += [(kind, point, nth) for kind in (client_dies, client_stops)
                 for point in visited["producer"]]
        work += [(member_dies, point, nth) for point in visited["member"]]
    if options.only:
        work = [item for item in work if item[1] == options.only]
    tally = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(run_one, options.bin_dir, *item): item for item in work}
        for future in concurrent.futures.as_completed(futures):
            kind, point, nth = futures[future]
            verdict, why, seconds = future.result()
            tally[verdict] += 1
            print(f"{kind.__name__:13} {point:32} visit {nth}  {verdict:8} {seconds:5.1f} s",
                  flush=True)
            if why:
                print(f"    {why}", flush=True)
    unvisited = sorted(set(found).difference(*visited.values()))
    print(f"\npoints found {len(found)}, visited by daemon {len(visited['daemon'])}, producer "
          f"{len(visited['producer'])}, member {len(visited['member'])}; runs "
          f"{sum(tally.values())}, "
          f"of which never at the point: {tally['not hit']}; violations {tally['FAILED']}")
    print(f"not visited in these runs ({len(unvisited)}): {', '.join(unvisited)}")
    print(f"{tally['passed'] + tally['not hit']} passed, {tally['FAILED']} failed")
    return 1 if tally["FAILED"] or not work else 0


if __name__ == "__main__":
    sys.exit(main())
