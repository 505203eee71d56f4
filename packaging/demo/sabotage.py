#!/usr/bin/env python3
"""sabotage.py drop|double|reorder|penny|answer FOLDER

Shows that the auditor is no rubber stamp: changes its evidence in FOLDER (topics/, answers.jsonl) as if the mall had failed, and says
which order and event it is. Offsets are put right, so that only the content can give it away.

  drop     an event never happened
  double   an event happened a second time, under an id of its own
  reorder  two events of one order changed places
  penny    one amount is a penny higher
  answer   the staff's API answered that a penny less was paid
The order is from the middle of those that were completed.
"""
import base64
import os
import re
import sys

sys.dont_write_bytecode = True
_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(_here, "auditor"), os.path.join(_here, "..", "python")]
import evidence  # noqa: E402
import json_line  # noqa: E402
import protobuf  # noqa: E402

ORDERS, INVOICES = "mallbots.orders.events.Order", "mallbots.payments.events.Invoice"
# kind -> topic, the event, and for penny its money field's number
VICTIMS = {"drop": (INVOICES, "InvoicePaid"), "double": (INVOICES, "InvoicePaid"), "reorder": (ORDERS, "OrderApproved"),
           "penny": (INVOICES, "InvoicePaid")}
AMOUNT = 3  # of every event of an invoice


def name_of(record):
    return evidence.name_of(evidence.headers_of(record))


def with_offset(line, offset):
    return re.sub(r'("offset":\s*)\d+', rf"\g<1>{offset}", line, count=1)


def with_payload(line, data):
    new = f'"payload_base64":"{base64.b64encode(data).decode()}"'
    return re.sub(r'"payload(?:_base64)?":\s*"(?:[^"\\]|\\.)*"', lambda _: new, line, count=1)


def a_penny_more(data):
    for number, _, value, _, _ in protobuf.fields_on_wire(data):
        if number == AMOUNT:
            minor = next(v for n, _, v, _, _ in protobuf.fields_on_wire(value) if n == 1)
            return protobuf.with_field(data, AMOUNT, protobuf.with_field(value, 1, minor + 2))  # zigzag
    raise SystemExit("sabotage: the event has no amount")


def order_of(record):
    """Field 1 of an order's event; an invoice's id is the order's."""
    return next(value for number, _, value, _, _ in protobuf.fields_on_wire(evidence.payload_of(record)) if number == 1).decode()


def completed(folder):
    orders = [order_of(record) for record in (json_line.parse(text) for _, text in evidence.lines(f"{folder}/{ORDERS}.jsonl"))
              if name_of(record) == "OrderCompleted"]
    if not orders:
        raise SystemExit("sabotage: no order was completed")
    return orders[len(orders) // 2]


def renumbered(lines):
    """Offsets of each partition as they were, in order, however many lines there are now."""
    records = [json_line.parse(line) for line in lines]
    least, out = {}, []
    for record in records:
        least[record["partition"]] = min(record["offset"], least.get(record["partition"], record["offset"]))
    for line, record in zip(lines, records):
        out.append(with_offset(line, least[record["partition"]]))
        least[record["partition"]] += 1
    return out


def tamper(kind, lines, at, order):
    if kind == "drop":
        del lines[at]
    elif kind == "double":
        identity = evidence.headers_of(json_line.parse(lines[at]))["msg.id"]
        lines.insert(at + 1, lines[at].replace(identity, identity[:-1] + ("0" if identity[-1] != "0" else "1")))
    elif kind == "penny":
        lines[at] = with_payload(lines[at], a_penny_more(evidence.payload_of(json_line.parse(lines[at]))))
    else:
        later = next(i for i in range(at + 1, len(lines)) if order_of(json_line.parse(lines[i])) == order)
        lines[at], lines[later] = lines[later], lines[at]


def write(path, lines):
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(line + "\n" for line in lines)


def falsify(path, order):
    """The answer about that order."""
    lines = [text for _, text in evidence.lines(path)]
    at = next(i for i, line in enumerate(lines) if line.startswith(f'{{"asked":"/admin/v1/orders/{order}"'))
    lines[at] = re.sub(r'("paid":\s*\{[^{}]*"minor":\s*)(\d+)', lambda m: m.group(1) + str(int(m.group(2)) - 1), lines[at], count=1)
    write(path, lines)


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in (*VICTIMS, "answer"):
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    kind, folder = arguments
    order = completed(f"{folder}/topics")
    if kind == "answer":
        falsify(f"{folder}/answers.jsonl", order)
        print(f"{kind}: order {order}, what was paid")
        return 0
    topic, event = VICTIMS[kind]
    path = f"{folder}/topics/{topic}.jsonl"
    lines = [text for _, text in evidence.lines(path)]
    at = next(i for i, record in enumerate(map(json_line.parse, lines)) if name_of(record) == event and order_of(record) == order)
    tamper(kind, lines, at, order)
    write(path, renumbered(lines))
    print(f"{kind}: order {order}, {event}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
