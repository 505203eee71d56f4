"""One daemon with folders of its own, its clients, and what must be true of its log. Used by
kill_points.py and namespaces.py: everything is started as one user, watched, and killed by pid
whatever happens, also to these programs (leash.py)."""
import collections
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from leash import Leash

LINES = 3000
PARTITIONS = 2
TIMEOUT_S = 40
SETTINGS = {"slot.bytes": "128KiB", "segment.bytes": "1MiB", "stall.limit": "100ms"}


class Violation(Exception):
    pass


class Programs:
    """The binaries, where every user can run them, and who runs them."""

    def __init__(self, bin_dir, user=None):
        self.user = user
        self.leash = Leash()
        self.bin = tempfile.mkdtemp(prefix="mb-kill-bin-")
        self.leash.hold_folder(self.bin)
        os.chmod(self.bin, 0o755)
        for name in ("mallbotsd", "mallbots", "crash_client"):
            shutil.copy2(os.path.join(bin_dir, name), self.bin)

    def identity(self):
        """What subprocess needs to become that user: a number, no name, no other groups."""
        if self.user is None:
            return {}
        return {"user": self.user, "group": self.user, "extra_groups": []}

    def close(self):
        self.leash.close()
        shutil.rmtree(self.bin, ignore_errors=True)


class Instance:
    def __init__(self, programs):
        self.programs = programs
        self.dir = tempfile.mkdtemp(prefix="mb-kill-")
        programs.leash.hold_folder(self.dir)
        if programs.user is not None:
            os.chown(self.dir, programs.user, programs.user)
        self.daemon = None
        self.daemon_env = {}
        self.config = None
        self.started = []
        self.keepers = 0
        self.ended = {}

    def path(self, name):
        return os.path.join(self.dir, name)

    def flag(self, name):
        """A file that the process which executes an order removes."""
        with open(self.path(name), "w"):
            pass
        if self.programs.user is not None:
            os.chown(self.path(name), self.programs.user, self.programs.user)
        return self.path(name)

    def spawn(self, command, env=None, **options):
        process = subprocess.Popen(command, env={**os.environ, **(env or {})},
                                   start_new_session=True, **self.programs.identity(), **options)
        process.began_under = self.keepers
        self.started.append(process)
        self.programs.leash.hold(process.pid)
        return process

    # --- the daemon

    def start(self, prefix=()):
        config = ["--config", self.config] if self.config else []
        self.keepers += 1
        with open(self.path("daemon.log"), "ab") as log:
            # A file that may not grow is an error to the daemon, not a signal.
            self.daemon = self.spawn(
                [*prefix, f"{self.programs.bin}/mallbotsd", "--data-dir", self.path("data"),
                 "--runtime-dir", self.path("run"), *config], self.daemon_env, stdout=log,
                stderr=log, restore_signals=False)

    def configure(self, *lines):
        self.config = self.path("config.toml")
        with open(self.config, "w") as out:
            out.write("\n".join(lines) + "\n")

    def keep_up(self):
        """Starts the daemon again if the keeper is gone."""
        if self.daemon.poll() is not None:
            self.start()
        with open(self.path("daemon.log"), errors="replace") as log:
            if "broker died too often" in log.read():
                raise Violation("the broker cannot be started any more")

    def broker_pid(self):
        """0 while there is none."""
        try:
            with open(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children") as children:
                return int((children.read().split() or ["0"])[0])
        except FileNotFoundError:
            return 0

    def stop(self):
        self.daemon.send_signal(signal.SIGTERM)
        try:
            self.daemon.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Violation("the daemon did not end on SIGTERM") from None

    def restart_all(self):
        self.stop()
        self.start()
        self.until_done("topic", "list")

    def lose_memory(self):
        """Keeper and broker die at once: all that is left is on disk."""
        os.killpg(self.daemon.pid, signal.SIGKILL)
        self.daemon.wait()
        self.start()
        self.until_done("topic", "list")

    def limit_file_size(self, size):
        """Of the running broker alone; None takes the limit away. A broker that has just died needs
        none."""
        subprocess.run(["prlimit", "--pid", str(self.broker_pid()),
                        f"--fsize={size or 'unlimited'}:"], capture_output=True,
                       **self.programs.identity())

    # --- commands

    def command(self, *args):
        return [f"{self.programs.bin}/mallbots", "--runtime-dir", self.path("run"), *args]

    def client(self, *args):
        return [f"{self.programs.bin}/crash_client", self.path("run"), *args]

    def run(self, *args, **options):
        return subprocess.run(self.command(*args), capture_output=True, timeout=TIMEOUT_S,
                              **self.programs.identity(), **options)

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

    def wait(self, process, what, codes=(0,)):
        """Keeps the daemon up until the process ends. codes None: any. Who loses the keeper finds
        nobody to connect to, and may give up; then it counts as not ended well."""
        end = time.monotonic() + TIMEOUT_S
        while process.poll() is None:
            self.keep_up()
            if time.monotonic() > end:
                raise Violation(f"{what} did not end")
            time.sleep(0.01)
        self.ended[what] = process.returncode
        excused = self.keepers > process.began_under or self.daemon.poll() is not None
        if codes is not None and process.returncode not in codes and not excused:
            raise Violation(f"{what} ended with {process.returncode}: {self.said(what)}")
        return process.returncode

    def said(self, name):
        try:
            with open(self.path(f"{name}.err"), errors="replace") as file:
                return file.read().strip()
        except FileNotFoundError:
            return ""

    def create_topic(self, name="t", partitions=PARTITIONS, settings=None):
        args = ["topic", "create", name, "-p", str(partitions)]
        for key, value in {**SETTINGS, **(settings or {})}.items():
            args += ["-c", f"{key}={value}"]
        end = time.monotonic() + TIMEOUT_S
        while self.run("topic", "describe", name).returncode != 0:
            self.keep_up()
            self.run(*args)
            if time.monotonic() > end:
                raise Violation("the topic could not be created")

    def produce(self, name, count, env=None, topic="t", by_pipe=False, prefix=(), options=()):
        """A running producer of `count` lines "k<i>,<name>-<i>-..."; by_pipe: the caller feeds it
        from NAME.in; prefix: a command that starts it; options: more words of its own."""
        with open(self.path(f"{name}.in"), "w") as out:
            for i in range(count):
                out.write(f"k{i % 50},{name}-{i}-{'x' * 200}\n")
        with open(self.path(f"{name}.in")) as source, open(self.path(f"{name}.err"), "w") as errors:
            return self.spawn(
                [*prefix, *self.command("produce", topic, "-K", ",", "--acks", "durable",
                                        "--timeout", "30000",
                                        "--report", self.path(f"{name}.report"), *options)],
                env, stdin=subprocess.PIPE if by_pipe else source, stdout=subprocess.DEVNULL,
                stderr=errors)

    def start_client(self, name, *args, env=None):
        """crash_client; what it prints goes to NAME.report."""
        with open(self.path(f"{name}.report"), "w") as out, \
                open(self.path(f"{name}.err"), "w") as errors:
            return self.spawn(self.client(*args), env, stdin=subprocess.DEVNULL, stdout=out,
                              stderr=errors)

    # --- what must be true

    def read_log(self, topic="t", dense_from_zero=True):
        done = self.until_done("consume", topic, "-o", "start", "-e", "-f", "%p %o %k,%s\\n")
        records = collections.defaultdict(dict)
        for line in done.stdout.decode().splitlines():
            partition, offset, text = line.split(" ", 2)
            if int(offset) in records[int(partition)]:
                raise Violation(f"offset {partition}/{offset} was read twice")
            records[int(partition)][int(offset)] = text
        for partition, by_offset in records.items():
            first = 0 if dense_from_zero else min(by_offset)
            if sorted(by_offset) != list(range(first, first + len(by_offset))):
                raise Violation(f"offsets of partition {partition} are not dense")
        return records

    def acknowledged(self, name):
        """(number, partition, offset) of each whole row of its report."""
        try:
            with open(self.path(f"{name}.report")) as report:
                text = report.read()
        except FileNotFoundError:
            return []
        rows = [line.split() for line in text[:text.rfind("\n") + 1].splitlines()]
        return [tuple(map(int, row)) for row in rows if len(row) == 3]

    def check(self, names, exactly_once=(), topic="t"):
        records = self.read_log(topic)
        for name in names:
            with open(self.path(f"{name}.in")) as source:
                lines = source.read().splitlines()
            acknowledged = self.acknowledged(name)
            for number, partition, offset in acknowledged:
                found = records[partition].get(offset)
                if found != lines[number - 1]:
                    raise Violation(f"line {number} of {name}, acknowledged as "
                                    f"{partition}/{offset}, is {found!r} there")
            self.check_order(records, name)
            if name in exactly_once and self.ended.get(name, 0) == 0:
                total = sum(f",{name}-" in text for by in records.values() for text in by.values())
                if total != len(lines) or len(acknowledged) != len(lines):
                    raise Violation(f"{name}: {len(lines)} sent, {len(acknowledged)} "
                                    f"acknowledged, {total} in the log")
        return records

    @staticmethod
    def check_order(records, name):
        for partition, by_offset in records.items():
            order = [int(re.search(r"-(\d+)-", text).group(1))
                     for _, text in sorted(by_offset.items()) if f",{name}-" in text]
            if order != sorted(order) or len(order) != len(set(order)):
                raise Violation(f"records of {name} in partition {partition} are out of "
                                "order or doubled")

    def close(self):
        for process in self.started:
            for send in (signal.SIGCONT, signal.SIGKILL):
                try:
                    os.killpg(process.pid, send)
                except ProcessLookupError:
                    pass
            self.programs.leash.release(process.pid)
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
        self.programs.leash.release_folder(self.dir)


def is_stopped(process):
    try:
        with open(f"/proc/{process.pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "T"
    except FileNotFoundError:
        return False
