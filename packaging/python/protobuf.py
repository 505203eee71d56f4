"""Protobuf as far as the contracts of the shop need it, from their .proto files alone: no generated code, no library, so that
who audits does not rely on what wrote the bytes.

A message is {field name: value}: int (money's minor units unzigzagged), bool, str, {} of a message, [] of a repeated one. Fields
that are not there have their default, as proto3 wants it; fields that the contract does not name are left out.
"""
import re
from collections import namedtuple

Field = namedtuple("Field", "number name kind is_repeated")
SCALARS = {"string", "bool", "int32", "int64", "uint32", "uint64", "sint64"}
_FIELD = re.compile(r"(repeated\s+)?([\w.]+)\s+(\w+)\s*=\s*(\d+)\s*;")
_MESSAGE = re.compile(r"message\s+(\w+)\s*\{([^{}]*)\}")
_PACKAGE = re.compile(r"^package\s+(\w+);", re.MULTILINE)


class WireError(ValueError):
    pass


def read_contract(paths):
    """{"package.Message": [Field]} of .proto files whose messages are not nested."""
    messages = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"//[^\n]*", "", file.read())
        package = _PACKAGE.search(text).group(1)
        for name, body in _MESSAGE.findall(text):
            messages[f"{package}.{name}"] = [
                Field(int(number), field, kind if kind in SCALARS or "." in kind else f"{package}.{kind}", bool(repeated))
                for repeated, kind, field, number in _FIELD.findall(body)]
    return messages


def _varint(data, at):
    value, shift = 0, 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError(f"a number is cut off at byte {at}")
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def _scalar(kind, value):
    if kind == "bool":
        return value != 0
    if kind == "sint64":
        return (value >> 1) ^ -(value & 1)
    if kind.startswith("int") and value >= 1 << 63:
        return value - (1 << 64)
    return value


def _default(field, contract):
    if field.is_repeated:
        return []
    if field.kind == "string":
        return ""
    if field.kind == "bool":
        return False
    return 0 if field.kind in SCALARS else decode(contract, field.kind, b"")


def fields_on_wire(data):
    """(number, wire type, value, begin, end) of each field of a message; begin and end are of the whole field."""
    at = 0
    while at < len(data):
        begin = at
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = data[at:at + size], at + size
        elif wire == 2:
            size, at = _varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise WireError(f"wire type {wire} at byte {begin}")
        if at > len(data):
            raise WireError(f"field {number} is cut off at byte {begin}")
        yield number, wire, value, begin, at


def decode(contract, name, data):
    """The message `name` ("package.Message") in `data`. WireError: it is none."""
    by_number = {field.number: field for field in contract[name]}
    message = {field.name: None for field in contract[name]}
    for number, wire, value, _, _ in fields_on_wire(data):
        field = by_number.get(number)
        if field is None:
            continue
        if wire != (0 if field.kind in SCALARS and field.kind != "string" else 2):
            raise WireError(f"field {field.name} of {name} has wire type {wire}")
        if field.kind == "string":
            value = value.decode("utf-8", "surrogateescape")
        elif field.kind in SCALARS:
            value = _scalar(field.kind, value)
        else:
            value = decode(contract, field.kind, value)
        if field.is_repeated:
            message[field.name] = (message[field.name] or []) + [value]
        else:
            message[field.name] = value
    for field in contract[name]:
        if message[field.name] is None:
            message[field.name] = _default(field, contract)
    return message


def varint(value):
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def with_field(data, number, value):
    """`data` with the first field `number` replaced by `value` (int: a number on the wire; bytes: a string or message)."""
    tag = varint(number << 3 | (0 if isinstance(value, int) else 2))
    new = tag + (varint(value) if isinstance(value, int) else varint(len(value)) + value)
    for found, _, _, begin, end in fields_on_wire(data):
        if found == number:
            return data[:begin] + new + data[end:]
    return data + new
