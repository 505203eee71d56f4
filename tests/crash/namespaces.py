#!/usr/bin/env python3
"""Two clients of one broker in PID namespaces of their own: both are process 2 there. One dies with
the word of the partition in its hands; the broker must free that session alone, at once and not by
the stall rule, and the other one goes on. Who a client is, its pidfd says, never a number.

usage: namespaces.py BIN_DIR [--rounds N]

BIN_DIR as of kill_points.py. Half of the rounds have the broker in a namespace of its own too, where
the kernel gives no number at all for its clients. Without the right to make namespaces: says so and
skips; with REQUIRE_ALL=1 that is a failure.
"""
import argparse
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from instance import SETTINGS, TIMEOUT_S, Instance, Programs, Violation, is_stopped  # noqa: E402

OWN_NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child"]
# Process 1 of a namespace cannot stop itself, so a shell is that.
CLIENT = [*OWN_NAMESPACE, "sh", "-c", '"$@"; exit $?', "sh"]
LINES = 300


def child_of(pid):
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            if found := children.read().split():
                return int(found[0])
        time.sleep(0.002)
    raise Violation("unshare started nothing")


class Inside:
    """The client behind `unshare` and its shell."""

    def __init__(self, wrapper):
        self.pid = child_of(child_of(wrapper.pid))

    def numbers(self):
        with open(f"/proc/{self.pid}/status") as status:
            return next(line for line in status if line.startswith("NSpid:")).split()[1:]

    def stopped(self):
        return is_stopped(self)


def wait_until(condition, what):
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > end:
            raise Violation(f"{what}: not within {TIMEOUT_S} s")
        time.sleep(0.005)


def play(instance, broker_too):
    prefix = [*OWN_NAMESPACE, "--mount-proc"] if broker_too else []
    instance.start(prefix)
    wait_until(lambda: instance.run("topic", "list").returncode == 0, "the daemon")
    instance.create_topic("t", 1, {**SETTINGS, "stall.limit": "10m"})
    dies = {"MALLBOTS_CRASH_AT": "word.commit", "MALLBOTS_CRASH_NTH": "30",
            "MALLBOTS_CRASH_HOW": "stop"}
    second = instance.produce("b", LINES, by_pipe=True, prefix=CLIENT)
    with open(instance.path("b.in"), "rb") as file:
        lines = file.readlines()
    second.stdin.writelines(lines[:50])
    second.stdin.flush()
    wait_until(lambda: len(instance.acknowledged("b")) == 50, "b's first records")
    first = Inside(instance.produce("a", LINES, dies, prefix=CLIENT))
    wait_until(first.stopped, "a at its commit")
    numbers = [first.numbers()[-1], Inside(second).numbers()[-1]]
    if numbers != ["2", "2"]:
        raise Violation(f"the clients are {numbers} in their namespaces, not 2 and 2")
    os.kill(first.pid, signal.SIGKILL)
    second.stdin.writelines(lines[50:])
    second.stdin.close()
    instance.wait(second, "b")
    instance.check(["a", "b"], exactly_once=["b"])
    with open(instance.path("daemon.log")) as log:
        deaths = log.read().count("its process is dead")
    if deaths != 1:
        raise Violation(f"the broker saw {deaths} deaths, not 1")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin_dir")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    able = subprocess.run([*OWN_NAMESPACE, "--mount-proc", "true"], capture_output=True)
    if able.returncode != 0:
        print(f"namespaces skipped: {able.stderr.decode().strip()}")
        return 1 if os.environ.get("REQUIRE_ALL") else 0
    programs = Programs(options.bin_dir)
    failed = 0
    try:
        for number in range(options.rounds):
            instance = Instance(programs)
            try:
                play(instance, broker_too=number % 2 == 1)
            except (Violation, subprocess.TimeoutExpired) as violation:
                failed += 1
                with open(instance.path("daemon.log"), errors="replace") as log:
                    print(f"round {number + 1}: {violation}\n{log.read()[-1500:]}", flush=True)
            finally:
                instance.close()
    finally:
        programs.close()
    print(f"equal pids in two namespaces: {options.rounds} rounds, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
