"""Any JSON value, nested as it may be, as an API answers with it. Not the standard library's json: a bare Debian's python3-minimal
has none. Strict: what is no JSON, or has more behind it, is a ValueError. A name that comes twice in an object is one, too."""
import re

import json_line

_TOKEN = re.compile(rf'\s*(?:{json_line.STRING}|{json_line.NUMBER}|(null|true|false)|([\[\]{{}},:]))')


def parse(text):
    tokens = _Tokens(text)
    value = tokens.value(tokens.next())
    if text[tokens.at:].strip():
        raise ValueError(f"more after the value, from character {tokens.at + 1} on")
    return value


class _Tokens:
    def __init__(self, text):
        self.text, self.at = text, 0

    def next(self):
        match = _TOKEN.match(self.text, self.at)
        if not match:
            raise ValueError(f"not JSON from character {self.at + 1} on")
        self.at = match.end()
        return match

    def value(self, token):
        string, number, word, sign = token.groups()
        if string is not None:
            return json_line.unescape(string)
        if number is not None:
            return int(number) if number.lstrip("-").isdigit() else float(number)
        if word is not None:
            return json_line.WORDS[word]
        if sign == "[":
            return list(self.elements("]"))
        if sign != "{":
            raise ValueError(f"a value is wanted before character {self.at}")
        return self.object()

    def elements(self, end):
        """The values up to `end`; of an object the names."""
        token = self.next()
        while token.group(4) != end:
            yield self.value(token)
            token = self.next()
            if token.group(4) == ",":
                token = self.next()
                if token.group(4) == end:
                    raise ValueError(f"a value is wanted before character {self.at}")
            elif token.group(4) != end:
                raise ValueError(f", or {end} is wanted before character {self.at}")

    def object(self):
        fields = {}
        for name in self.elements("}"):
            if not isinstance(name, str) or name in fields or self.next().group(4) != ":":
                raise ValueError(f"a name of its own and : are wanted before character {self.at}")
            fields[name] = self.value(self.next())
        return fields
