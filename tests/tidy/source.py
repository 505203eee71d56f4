"""What the rules know of a source file: its text without comments and strings, its functions, its includes."""
import re

CPP = (".h", ".cpp")
_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^()\s\\]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
    re.S,
)


def is_cpp(path):
    return path.endswith(CPP) and not path.startswith("tests/models/")  # Promela includes its own .h


def blank(text, keep_strings=False):
    """The text with comments (and strings) blanked; line numbers stay."""

    def wipe(match):
        token = match.group(0)
        if keep_strings and not token.startswith("/"):
            return token
        wiped = re.sub(r"[^\n]", " ", token)
        return '"' + wiped[1:-1] + '"' if token.startswith('"') and len(token) > 1 else wiped

    return _TOKEN.sub(wipe, text)


def includes(text):
    """(line, path, quoted) of every include."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            found.append((number, match.group(2), match.group(1) == '"'))
    return found


_NO_FUNCTION = re.compile(r"\b(namespace|class|struct|union|enum|extern|concept|requires)\b")
_NAME = re.compile(r"([~\w:]+(?:\s*operator\s*\S+)?)\s*\(")


def functions(text):
    """(name, first line, length in lines) of every function body; lambdas belong to their function."""
    code = blank(text)
    code = re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), code, flags=re.M)
    found = []
    stack = []  # (True: opened a function body, None: part of a declaration; depth of parentheses outside)
    start = 0  # where the declaration before the next brace begins
    inside = None
    depth = 0
    for pos, char in enumerate(code):
        if char == "(":
            depth += 1
        elif char == ")":
            depth = max(0, depth - 1)
        elif char == "{":
            head = code[start:pos].strip()
            if inside is None and re.search(r"\)[^()?]*[^:]:[^:]", head) and re.match(r"[\w>]", code[pos - 1]):
                stack.append((None, depth))  # a{1} in a constructor's list: the declaration goes on
                continue
            starts = False
            if inside is None and depth == 0 and "(" in head and not head.endswith(("=", ",")):
                before = head.split("(", 1)[0]
                starts = not re.search(r"\b(namespace|class|struct|union|enum|concept)\b[^<>]*$", before)
                starts = starts and "=" not in re.sub(r"operator\s*\S+|[<>!=]=", "", before)
            if starts:
                match = _NAME.search(head)
                name = match.group(1) if match else "?"
                if re.match(r"TEST(_F|_P)?$", name):
                    args = head.split("(", 1)[1].split(")", 1)[0]
                    name = ".".join(part.strip() for part in args.split(","))
                lead = len(code[start:pos]) - len(code[start:pos].lstrip())
                inside = (name, code.count("\n", 0, start + lead) + 1, len(stack))
            stack.append((starts, depth))
            depth = 0
            start = pos + 1
        elif char == "}":
            if stack:
                opened, depth = stack.pop()
                if opened is None:
                    continue
                if inside and len(stack) == inside[2]:
                    last = code.count("\n", 0, pos) + 1
                    found.append((inside[0], inside[1], last - inside[1] + 1))
                    inside = None
            start = pos + 1
        elif char == ";" and depth == 0:
            start = pos + 1
    return found
