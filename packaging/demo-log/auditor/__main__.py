#!/usr/bin/env python3
"""auditor --orders FILE --topic FILE --kills FILE MEMBER=FILE...

Says whether everything in the file of orders went through the broker once and in order. Reads these files and nothing else:
the orders (CSV), the topic (`mallbots consume TOPIC -o start -e -J`), what each member received and the kills (witness.py).
Exit: 0 all is well, 1 findings, each named by partition, offset and key, 2 the evidence cannot be read.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))

import audit  # noqa: E402
import evidence  # noqa: E402
import report  # noqa: E402


def options(arguments):
    """{"orders", "topic", "kills": path}, {member: path}"""
    files, members = {}, {}
    words = iter(arguments)
    for word in words:
        if word in ("--orders", "--topic", "--kills"):
            files[word[2:]] = next(words, "")
        elif "=" in word and not word.startswith("-"):
            name, _, path = word.partition("=")
            members[name] = path
        else:
            raise evidence.EvidenceError(f"{word}: not known; usage: {__doc__.splitlines()[0]}")
    if len(files) != 3 or not members:
        raise evidence.EvidenceError(f"a file is missing; usage: {__doc__.splitlines()[0]}")
    return files, members


def main(arguments):
    try:
        files, members = options(arguments)
        rows = evidence.read_orders(files["orders"])
        records = evidence.read_topic(files["topic"])
        kills = evidence.read_kills(files["kills"])
        receipts = [receipt for name, path in members.items() for receipt in evidence.read_receipts(path, name)]
        strangers = [kill.name for kill in kills if kill.name != "broker" and kill.name not in members]
        if strangers:
            raise evidence.EvidenceError(f"{files['kills']}: {strangers[0]} was killed, but its file is not given")
    except evidence.EvidenceError as error:
        print(f"auditor: {error}", file=sys.stderr)
        return 2
    figures, findings = audit.audit(rows, records, receipts, kills)
    print(report.text(figures, findings, (records, receipts, kills)))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
