#!/usr/bin/env python3
"""auditor --invoices FILE --limit N --topics FOLDER --shoppers FILE --answers FILE [--kills FILE]
auditor ask --admin URL --staff NAME --password-file FILE --kiosk URL --run RUN --shoppers FILE --answers FILE

The first says whether the mall did to the first N invoices of the file what it should have done, in rows and to the penny. Reads these
files and the contracts (services/*/contract.proto) and nothing else: the invoices (CSV), the topics (TOPIC.jsonl, each of `mallbots
consume TOPIC -o start -e -J --internal`), what the shoppers saw through the kiosk's API, what the public API answered to the auditor
itself, who was killed. The second asks the public API of a mall that is open, and writes those answers (asking.py).
Exit: 0 all is well, 1 findings, each named by order and record, 2 the evidence cannot be read, or nobody answers.
"""
import os
import sys

sys.dont_write_bytecode = True
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
sys.path.append(os.path.join(ROOT, "packaging", "python"))

import asking  # noqa: E402
import audit  # noqa: E402
import evidence  # noqa: E402
import report  # noqa: E402
import retail  # noqa: E402


AUDIT = ("invoices", "limit", "topics", "shoppers", "answers")
ASK = ("admin", "staff", "password-file", "kiosk", "run", "shoppers", "answers")


def options(arguments, needed, usage):
    given, words = {}, iter(arguments)
    for word in words:
        if word not in [f"--{name}" for name in (*needed, "kills")]:
            raise evidence.EvidenceError(f"{word}: not known; usage: {usage}")
        given[word[2:]] = next(words, "")
    missing = [name for name in needed if not given.get(name)]
    if missing or not given.get("limit", "0").isdigit():
        raise evidence.EvidenceError(f"--{(missing or ['limit'])[0]} is missing or wrong; usage: {usage}")
    return given


def judge(given):
    rows, orders = retail.read(given["invoices"], int(given["limit"]))
    seen = audit.Evidence(evidence.read_topics(given["topics"], evidence.contract_of_shop(ROOT)),
                          *evidence.read_results(given["shoppers"]), asking.read_answers(given["answers"]),
                          evidence.read_kills(given["kills"]) if given.get("kills") else [])
    figures, findings = audit.audit(rows, orders, seen)
    print(report.text(figures, findings, len({row.invoice for row in rows})))
    return 1 if findings else 0


def main(arguments):
    to_audit, to_ask = __doc__.splitlines()[:2]
    try:
        if arguments[:1] == ["ask"]:
            print(f"{asking.ask(options(arguments[1:], ASK, to_ask)):,} answers")
            return 0
        return judge(options(arguments, AUDIT, to_audit))
    except (evidence.EvidenceError, retail.RetailError) as error:
        print(f"auditor: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
