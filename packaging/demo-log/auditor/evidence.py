"""What the auditor reads: the orders, the topic, what each member received, the kills. A file that is torn, empty or strange is
an EvidenceError that names file and line; the audit then has no verdict."""
import base64
from collections import namedtuple

import json_line

# key: bytes, or None. An empty key is no key.
Row = namedtuple("Row", "line key value")
Record = namedtuple("Record", "partition offset key value ts_ms")
# Received at some moment between earliest_us and latest_us (monotonic); line is the line in the member's file.
Receipt = namedtuple("Receipt", "member line earliest_us latest_us partition offset key value")
# commits: {partition: first offset that is not committed}, only of a killed member.
Kill = namedtuple("Kill", "name at_us unix_ms commits")


class EvidenceError(Exception):
    pass


def _lines(path):
    """(number, bytes without the line end) of every line; the last one must have its end."""
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    raise EvidenceError(f"{path}:{number}: the file ends in the middle of a line; it is torn, run again")
                yield number, line[:-1]
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error


def read_orders(path):
    """Every line is a row, its key what stands before the first comma; a title line is left out."""
    rows = []
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                line = line[:-1] if line.endswith(b"\n") else line
                if number == 1 and line.startswith(b"InvoiceNo,"):
                    continue
                key, comma, value = line.partition(b",")
                rows.append(Row(number, key or None, value) if comma else Row(number, None, line))
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
    if not rows:
        raise EvidenceError(f"{path}: no order in it")
    return rows


def _content(fields, name):
    if name in fields:
        value = fields[name]
        return value.encode() if isinstance(value, str) else None
    return base64.b64decode(fields[name + "_base64"], validate=True)


def _record(path, number, text):
    try:
        fields = json_line.parse(text.decode())
        return Record(int(fields["partition"]), int(fields["offset"]), _content(fields, "key") or None,
                      _content(fields, "payload"), int(fields["ts"]))
    except KeyError as error:
        raise EvidenceError(f"{path}:{number}: the record has no field {error}") from error
    except (ValueError, TypeError) as error:
        raise EvidenceError(f"{path}:{number}: not a record of `mallbots consume -J` ({error})") from error


def read_topic(path):
    """Output of `mallbots consume TOPIC -o start -e -J`."""
    records = [_record(path, number, text) for number, text in _lines(path)]
    if not records:
        raise EvidenceError(f"{path}: the topic is empty")
    return records


def read_receipts(path, member):
    """Output of `witness.py receive`: "EARLIEST LATEST RECORD" lines, at last "end COUNT"."""
    receipts, promised = [], None
    for number, text in _lines(path):
        if promised is not None:
            raise EvidenceError(f"{path}:{number}: more after the closing line")
        first, _, rest = text.partition(b" ")
        second, _, json = rest.partition(b" ")
        try:
            if first == b"end":
                promised = int(second)
                continue
            record = _record(path, number, json)
            receipts.append(Receipt(member, number, int(first), int(second), *record[:4]))
        except ValueError as error:
            raise EvidenceError(f"{path}:{number}: not \"EARLIEST LATEST RECORD\": {error}") from error
    if promised is None:
        raise EvidenceError(f"{path}: the closing line \"end COUNT\" is missing; the file is cut short")
    if promised != len(receipts):
        raise EvidenceError(f"{path}: {len(receipts)} records, but the closing line says {promised}; lines are missing")
    return receipts


def _commits(text):
    return {int(partition): int(offset) for partition, offset in
            (pair.split(":") for pair in text.split(",") if pair)}


def read_kills(path):
    """Output of `witness.py kill`: "NAME pid=N at_us=N unix_ms=N [commits=PARTITION:OFFSET,...]" lines."""
    kills = []
    for number, text in _lines(path):
        try:
            name, *words = text.decode().split()
            fields = dict(word.split("=", 1) for word in words)
            commits = _commits(fields["commits"]) if "commits" in fields else {}
            kills.append(Kill(name, int(fields["at_us"]), int(fields["unix_ms"]), commits))
        except (ValueError, KeyError) as error:
            raise EvidenceError(f"{path}:{number}: not \"NAME pid=N at_us=N unix_ms=N ...\": {error}") from error
    if not kills:
        raise EvidenceError(f"{path}: no kill in it; an undisturbed run proves little")
    return kills
