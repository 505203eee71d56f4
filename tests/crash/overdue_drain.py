#!/usr/bin/env python3
"""A daemon on a device that hangs is told to end: after `stop.limit` it says what is lost and ends as
failed, without a write from memory that is gone; its heir has all that was acknowledged.

usage: overdue_drain.py BIN_DIR

BIN_DIR as of kill_points.py.
"""
import argparse
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from instance import TIMEOUT_S, Instance, Programs, Violation  # noqa: E402

SAYS = ("draining took too long", "ended with writes on their way")


def play(instance):
    hangs = instance.path("hangs")
    instance.configure('stop.limit = "1s"')
    instance.daemon_env = {"MALLBOTS_DISK_LIE": f"never-done={hangs}"}
    instance.start()
    instance.create_topic()
    instance.wait(instance.produce("a", 500), "a")
    open(hangs, "w").close()
    instance.produce("b", 500)  # in memory, and never acknowledged
    end = time.monotonic() + TIMEOUT_S
    while b",b-499-" not in instance.run("consume", "t", "-o", "start", "-e", "-f", "%k,%s\n").stdout:
        if time.monotonic() > end:
            raise Violation("b's records do not come")
    instance.stop()
    if instance.daemon.returncode != 1:
        raise Violation(f"the daemon ended with {instance.daemon.returncode}, not 1")
    with open(instance.path("daemon.log"), errors="replace") as log:
        said = log.read()
    for sentence in SAYS:
        if sentence not in said:
            raise Violation(f"the broker does not say: {sentence}")
    if instance.acknowledged("b"):
        raise Violation("b was acknowledged by a device that hangs")
    instance.daemon_env = {}
    instance.start()
    instance.until_done("topic", "list")
    instance.check(["a"], exactly_once=["a"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin_dir")
    options = parser.parse_args()
    programs = Programs(options.bin_dir)
    instance = Instance(programs)
    try:
        play(instance)
    except (Violation, subprocess.TimeoutExpired) as violation:
        with open(instance.path("daemon.log"), errors="replace") as log:
            print(f"overdue drain: violation: {violation}\n{log.read()[-3000:]}")
        return 1
    finally:
        instance.close()
        programs.close()
    print("overdue drain: said so, nothing acknowledged lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
