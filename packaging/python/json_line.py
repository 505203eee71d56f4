"""One JSON object per line, as `mallbots consume -J` prints it: strings, numbers, words, and lists of strings.

Not the standard library's json: a bare Debian's python3-minimal has none. Strict about what it takes, so that a torn line is
an error and never a shorter record.
"""
import re

_CHARACTERS = r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*'
STRING = rf'"({_CHARACTERS})"'
NUMBER = r"(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
_LIST = rf'\[((?:[^\]"]|"{_CHARACTERS}")*)\]'
_FIELD = re.compile(rf'\s*"(\w+)"\s*:\s*(?:{STRING}|{NUMBER}|(null|true|false)|{_LIST})\s*([,}}])')
_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt])|u([0-9a-fA-F]{4}))')
_PLAIN = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
WORDS = {"null": None, "true": True, "false": False}


def unescape(text):
    if "\\" not in text:
        return text
    text = _ESCAPE.sub(lambda m: _PLAIN[m.group(1)] if m.group(1) else chr(int(m.group(2), 16)), text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16")  # two escapes may be one character


def parse(line):
    """{name: value} of a line; lists stay text. ValueError if it is not one whole object."""
    text = line.strip()
    if not text.startswith("{"):
        raise ValueError("no JSON object")
    fields, at, closed = {}, 1, False
    while not closed:
        match = _FIELD.match(text, at)
        if not match:
            raise ValueError(f"not JSON from character {at + 1} on")
        name, string, number, word, rest, end = match.groups()
        if string is not None:
            fields[name] = unescape(string)
        elif number is not None:
            fields[name] = int(number) if number.lstrip("-").isdigit() else float(number)
        else:
            fields[name] = WORDS[word] if word is not None else rest
        at, closed = match.end(), end == "}"
    if at != len(text):
        raise ValueError(f"more after the object, from character {at + 1} on")
    return fields


_ELEMENT = re.compile(rf'\s*{STRING}\s*(?:,|$)')


def strings(text):
    """The strings of a list that parse() left as text. ValueError if it has others."""
    found, at = [], 0
    while text[at:].strip():
        match = _ELEMENT.match(text, at)
        if not match:
            raise ValueError(f"no list of strings from character {at + 1} on")
        found.append(unescape(match.group(1)))
        at = match.end()
    return found
