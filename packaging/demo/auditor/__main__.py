#!/usr/bin/env python3
"""auditor --invoices FILE --limit N --topics FOLDER --shoppers FILE [--kills FILE]

Says whether the mall did to the first N invoices of the file what it should have done, in rows and to the penny. Reads these files
and the contracts (services/*/contract.proto) and nothing else: the invoices (CSV), the topics (TOPIC.jsonl, each of `mallbots
consume TOPIC -o start -e -J --internal`), what the shoppers saw through the kiosk's API, who was killed.
Exit: 0 all is well, 1 findings, each named by order and record, 2 the evidence cannot be read.
"""
import os
import sys

sys.dont_write_bytecode = True
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
sys.path.append(os.path.join(ROOT, "packaging", "python"))

import audit  # noqa: E402
import evidence  # noqa: E402
import report  # noqa: E402
import retail  # noqa: E402


def options(arguments):
    given, words = {}, iter(arguments)
    for word in words:
        if word not in ("--invoices", "--limit", "--topics", "--shoppers", "--kills"):
            raise evidence.EvidenceError(f"{word}: not known; usage: {__doc__.splitlines()[0]}")
        given[word[2:]] = next(words, "")
    missing = [name for name in ("invoices", "limit", "topics", "shoppers") if not given.get(name)]
    if missing or not given["limit"].isdigit():
        raise evidence.EvidenceError(f"--{(missing or ['limit'])[0]} is missing or wrong; usage: {__doc__.splitlines()[0]}")
    return given


def main(arguments):
    try:
        given = options(arguments)
        rows, orders = retail.read(given["invoices"], int(given["limit"]))
        topics = evidence.read_topics(given["topics"], evidence.contract_of_shop(ROOT))
        shoppers = evidence.read_results(given["shoppers"])
        kills = evidence.read_kills(given["kills"]) if given.get("kills") else []
    except (evidence.EvidenceError, retail.RetailError) as error:
        print(f"auditor: {error}", file=sys.stderr)
        return 2
    figures, findings = audit.audit(rows, orders, topics, shoppers, kills)
    print(report.text(figures, findings, len({row.invoice for row in rows})))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
