#!/usr/bin/env python3
"""Stamps what happens, for the auditor. Times are microseconds of the monotonic clock: wall clocks may jump.

witness.py receive FILE < RECORDS
    Each line of stdin goes to FILE as "EARLIEST LATEST LINE": it was received between the two times. At the end of stdin comes
    "end COUNT". A last line without its end was not received: its writer died within it.
witness.py kill NAME PID FILE [PARTITION:OFFSET,...]
    Kills PID with SIGKILL and adds "NAME pid=PID at_us=TIME unix_ms=TIME [commits=...]" to FILE.
"""
import os
import select
import signal
import sys
import time

MORE_THAN_A_PIPE = 1 << 22  # one read empties it


def now_us():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def receive(path):
    poll = select.poll()
    poll.register(0, select.POLLIN)
    rest, count, empty_at = b"", 0, now_us()
    with open(path, "wb") as out:
        while True:
            poll.poll()
            asked_at = now_us()
            piece = os.read(0, MORE_THAN_A_PIPE)
            if not piece:
                break
            # The pipe was empty at or after empty_at, so these lines have come since then.
            stamp = b"%d %d " % (empty_at, now_us())
            *lines, rest = (rest + piece).split(b"\n")
            out.write(b"".join(stamp + line + b"\n" for line in lines))
            out.flush()
            count += len(lines)
            empty_at = asked_at
        out.write(b"end %d\n" % count)


def kill(name, pid, path, commits=""):
    at_us, unix_ms = now_us(), time.time_ns() // 1_000_000
    os.kill(int(pid), signal.SIGKILL)
    words = f"{name} pid={pid} at_us={at_us} unix_ms={unix_ms}" + (f" commits={commits}" if commits else "")
    with open(path, "a", encoding="ascii") as file:
        file.write(words + "\n")


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "receive":
        receive(arguments[1])
    elif len(arguments) in (4, 5) and arguments[0] == "kill":
        kill(*arguments[1:])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
