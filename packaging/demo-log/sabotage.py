#!/usr/bin/env python3
"""sabotage.py drop|double|reorder MEMBER-FILE...

Shows that the auditor is no rubber stamp. Changes one line (or two) in one member's file, as if the broker had failed, and
says which record it is. The closing line is put right, so that only the content can give it away.

  drop     a record that was received once was not received
  double   a record that was received once came again, at the end
  reorder  two records of one key came in the wrong order (their times stay)

The record is from the middle of the first file that has one.
"""
import os
import re
import sys

sys.dont_write_bytecode = True
_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(_here, "auditor"), os.path.join(_here, "..", "python")]
import evidence  # noqa: E402


def once(receipts, all_receipts):
    """Those of `receipts` that no member received a second time."""
    seen, twice = set(), set()
    for receipt in all_receipts:
        at = (receipt.partition, receipt.offset)
        (twice if at in seen else seen).add(at)
    return [receipt for receipt in receipts if (receipt.partition, receipt.offset) not in twice]


def neighbours(receipts):
    """Two receipts of one key with none of it between them, if possible from the second half, or nothing."""
    for part in receipts[len(receipts) // 2:], receipts:
        last = {}
        for receipt in part:
            if receipt.key is not None and receipt.key in last:
                return last[receipt.key], receipt
            last[receipt.key] = receipt
    return None


def tamper(kind, lines, receipts):
    """The new lines and the receipts that were changed, or nothing if this file has no such record."""
    if not receipts:
        return None
    if kind == "reorder":
        pair = neighbours(receipts)
        if pair is None:
            return None
        first, second = (lines[receipt.line - 1].split(b" ", 2) for receipt in pair)
        lines[pair[0].line - 1] = b" ".join([*first[:2], second[2]])
        lines[pair[1].line - 1] = b" ".join([*second[:2], first[2]])
        return lines, pair
    chosen = receipts[len(receipts) // 2]
    if kind == "drop":
        del lines[chosen.line - 1]
    else:
        last = lines[-2].split(b" ", 2)
        lines.insert(-1, b" ".join([*last[:2], lines[chosen.line - 1].split(b" ", 2)[2]]))
    lines[-1] = b"end %d\n" % (len(lines) - 1)
    return lines, (chosen,)


def main(arguments):
    if len(arguments) < 2 or arguments[0] not in ("drop", "double", "reorder"):
        print(__doc__, file=sys.stderr)
        return 2
    kind, paths = arguments[0], arguments[1:]
    read = {path: evidence.read_receipts(path, path) for path in paths}
    everything = [receipt for receipts in read.values() for receipt in receipts]
    for path in paths:
        with open(path, "rb") as file:
            done = tamper(kind, file.readlines(), once(read[path], everything))
        if done is None:
            continue
        with open(path, "wb") as file:
            file.writelines(done[0])
        for receipt in done[1]:
            key = "none" if receipt.key is None else receipt.key.decode("utf-8", "backslashreplace")
            print(f"{kind}: partition {receipt.partition}, offset {receipt.offset}, key {key} ({os.path.basename(path)})")
        return 0
    print("sabotage: no member has a record to tamper with", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
