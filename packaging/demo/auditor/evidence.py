"""What the auditor reads beside the invoices: dumps of the topics, what the shoppers saw through the public API, who was killed.
A file that is torn or strange is an EvidenceError that names file and line; the audit then has no verdict."""
import base64
import glob
import os
import re
from collections import namedtuple

import json_line
import protobuf

# One message of a topic. fields: by the contract; None: not of any contract we know.
Event = namedtuple("Event", "topic partition offset ts_ms id name fields")
# One invoice as the shoppers saw it: the fields of its line.
Kill = namedtuple("Kill", "name unix_ms")

CONTEXTS = ("customers", "depot", "orders", "payments", "stores")
NEEDED = ("mallbots.orders.events.Cart", "mallbots.orders.events.Order", "mallbots.payments.events.Invoice",
          "mallbots.depot.events.ShoppingList", "mallbots.stores.events.Product")


class EvidenceError(Exception):
    pass


def lines(path):
    """(number, text) of every line; the last one must have its end."""
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    raise EvidenceError(f"{path}:{number}: the file ends in the middle of a line; it is torn, run again")
                yield number, line[:-1].decode("utf-8", "surrogateescape")
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error


def contract_of_shop(root):
    """Of the .proto files under `root`."""
    paths = [os.path.join(root, "services", context, "contract.proto") for context in CONTEXTS]
    try:
        return protobuf.read_contract([*paths, os.path.join(root, "services", "runtime", "money.proto")])
    except OSError as error:
        raise EvidenceError(f"{error.filename}: {error.strerror}") from error


def payload_of(record):
    if "payload" in record:
        return (record["payload"] or "").encode("utf-8", "surrogateescape")
    return base64.b64decode(record["payload_base64"], validate=True)


def headers_of(record):
    texts = json_line.strings(record["headers"])
    return dict(zip(texts[::2], texts[1::2]))


def name_of(headers):
    """Of the message: OrderCreated_v1 is an OrderCreated."""
    return re.sub(r"_v\d+$", "", headers.get("msg.name", ""))


def _event(record, contract):
    headers = headers_of(record)
    name = name_of(headers)
    context = record["topic"].split(".")[1] if record["topic"].count(".") > 1 else ""
    kind = f"{context}api.{name}"
    fields = protobuf.decode(contract, kind, payload_of(record)) if kind in contract else None
    where = record["topic"], int(record["partition"]), int(record["offset"])
    return Event(*where, int(record["ts"]), headers.get("msg.id", "/".join(map(str, where))), name, fields)


def read_topics(folder, contract):
    """{topic: [Event]} of the files TOPIC.jsonl, each `mallbots consume TOPIC -o start -e -J --internal`."""
    topics = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.jsonl"))):
        events = topics.setdefault(os.path.basename(path)[:-len(".jsonl")], [])
        for number, text in lines(path):
            try:
                events.append(_event(json_line.parse(text), contract))
            except (ValueError, TypeError, KeyError) as error:
                raise EvidenceError(f"{path}:{number}: no message of its topic ({error})") from error
    for topic in NEEDED:
        if not topics.get(topic):
            raise EvidenceError(f"{folder}: nothing of topic {topic}; the mall has not traded")
    return topics


def read_results(path):
    """([{field: value}] one an invoice, {field: value} of the closing line)"""
    results = []
    for number, text in lines(path):
        try:
            results.append(json_line.parse(text))
        except ValueError as error:
            raise EvidenceError(f"{path}:{number}: no line of the shoppers ({error})") from error
    if not results or "invoices" not in results[-1]:
        raise EvidenceError(f"{path}: the closing line is missing; the shoppers did not come to their end")
    return results[:-1], results[-1]


def read_kills(path):
    """Lines "NAME pid=N unix_ms=N"."""
    kills = []
    for number, text in lines(path):
        try:
            name, *words = text.split()
            kills.append(Kill(name, int(dict(word.split("=", 1) for word in words)["unix_ms"])))
        except (ValueError, KeyError) as error:
            raise EvidenceError(f"{path}:{number}: not \"NAME pid=N unix_ms=N\": {error}") from error
    return kills
