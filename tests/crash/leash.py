#!/usr/bin/env python3
"""A leash: a process that outlives the one which holds it, however that ends, and then kills the process groups and removes
the folders that it was told of. For drivers with many daemons: a daemon that stands at a crash point hears no signal but this."""
import os
import shutil
import signal
import subprocess
import sys
import threading


class Leash:
    def __init__(self):
        # A session of its own: who kills the driver's group must not kill this one too.
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__)],
                                        stdin=subprocess.PIPE, start_new_session=True)
        self.lock = threading.Lock()

    def tell(self, words):
        with self.lock:
            self.process.stdin.write(words.encode() + b"\n")
            self.process.stdin.flush()

    def hold(self, pid):
        self.tell(f"+group {pid}")

    def release(self, pid):
        """It is over."""
        self.tell(f"-group {pid}")

    def hold_folder(self, path):
        self.tell(f"+folder {path}")

    def release_folder(self, path):
        self.tell(f"-folder {path}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def wait_and_end():
    held = {"group": set(), "folder": set()}
    for line in sys.stdin:
        what, name = line.rstrip("\n").split(" ", 1)
        (held[what[1:]].add if what[0] == "+" else held[what[1:]].discard)(name)
    for pid in held["group"]:
        try:
            os.killpg(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    for path in held["folder"]:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    wait_and_end()
