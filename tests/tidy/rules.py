"""The rules. Each takes a Tree and yields (path, line, sentence). A Tree is {path: text}, so that a rule can be tried."""
import fnmatch
import os
import re

import house
import source


class Tree(dict):
    """Path from the root -> text. folders: every folder that holds a file."""

    def folders(self):
        found = set()
        for path in self:
            parts = path.split("/")[:-1]
            for length in range(1, len(parts) + 1):
                found.add("/".join(parts[:length]) + "/")
        return found

    def cpp(self):
        return [(path, self[path]) for path in sorted(self) if source.is_cpp(path)]

    def config(self, path):
        """(first word, rest) of every line of a configuration file that is no comment."""
        rows = []
        for line in self.get(path, "").split("\n"):
            line = line.strip()
            if line and not line.startswith("#"):
                first, _, rest = line.partition(" ")
                rows.append((first, rest.strip()))
        return rows


def starts(path, prefixes):
    return any(path.startswith(prefix) for prefix in prefixes)


def lines_of(pattern, text):
    """Numbers of the lines where the pattern begins."""
    return sorted({text.count("\n", 0, match.start()) + 1 for match in re.finditer(pattern, text)})


def may_include(room, allowed, path):
    if path.startswith(room):
        return True
    for entry in allowed:
        if entry.endswith("/*.h"):
            folder = entry[:-3]
            if path.startswith(folder) and "/" not in path[len(folder):]:
                return True
        elif path.startswith(entry):
            return True
    return False


def include_directions(tree):
    rooms = sorted(house.INCLUDES, key=len, reverse=True)
    for path, text in tree.cpp():
        room = next((room for room in rooms if path.startswith(room)), None)
        for line, target, quoted in source.includes(source.blank(text, keep_strings=True)):
            if not quoted:
                continue
            if ".." in target.split("/"):
                yield path, line, f'"{target}": write it from the repository root'
            elif re.sub(r"(\.grpc)?\.pb\.h$", ".proto", target) not in tree:
                yield path, line, f'"{target}" is no file of the tree; write it from the repository root'
            elif room == "clients/" and target.startswith(("clients/toolkit/", "clients/cli/", "clients/examples/")):
                yield path, line, f"clients/ may not include {target}"
            elif room == "services/":
                yield from service_include(path, line, target)
            elif room and not may_include(room, house.INCLUDES[room], target):
                yield path, line, f"{room} may not include {target}"


def service_include(path, line, target):
    own = "/".join(path.split("/")[:2]) + "/"
    if target.startswith("services/") and not target.startswith((own, "services/runtime/")):
        open_files = ("/contract.h", "/api.pb.h", "/api.grpc.pb.h", "/fleet.pb.h", "/fleet.grpc.pb.h", "/fleet/topics.h",
                      "/access/devices.h")
        if not target.endswith(open_files) and not own == "services/mall/":
            yield path, line, f"{own} may include only contract.h and api.proto of another context, not {target}"
    elif not may_include(own, house.INCLUDES["services/"], target):
        yield path, line, f"services/ may not include {target}"


def own_header_first(tree):
    for path, text in tree.cpp():
        header = path[:-4] + ".h"
        if path.endswith(".cpp") and header in tree:
            first = next(iter(source.includes(text)), None)
            if first and first[1] != header:
                yield path, first[0], f'include the own header "{header}" first: it proves that it stands alone'


def headers(tree):
    for path, text in tree.cpp():
        if not path.endswith(".h"):
            continue
        if "#pragma once" not in text:
            yield path, 1, "a header needs #pragma once"
        body = re.sub(r"#pragma once\s*", "", text, count=1).lstrip()
        if not body.startswith(("//", "/*")):
            yield path, 1, "a header begins with a comment: what it is, who calls it, what it promises"
        for line in lines_of(r"\busing\s+namespace\b", source.blank(text)):
            yield path, line, "no using namespace in a header"


def doors(tree):
    for path, text in tree.cpp():
        code = source.blank(text)
        for power, (pattern, allowed) in house.DOORS.items():
            if not starts(path, allowed):
                for line in lines_of(pattern, code):
                    yield path, line, f"{power}: only in {', '.join(allowed)}"


def orders(tree):
    for path, text in tree.cpp():
        if not starts(path, house.ORDERS + ["tests/"]):
            for line in lines_of(r"\bmemory_order(_|::)(relaxed|consume|acquire|release|acq_rel)\b", source.blank(text)):
                yield path, line, "orders weaker than seq_cst only in shm/concurrent and shm/layout"


RELEASES = r"memory_order(?:_|::)(?:release|acq_rel|seq_cst)\b"
ACQUIRES = r"memory_order(?:_|::)(?:acquire|acq_rel|seq_cst)\b"
PLAIN = r"(?:\.|->)(?:load|store|exchange|compare_exchange_\w+|fetch_\w+)\s*\("  # without an order: seq_cst
REACH = 12  # lines that a SYNC comment speaks for


def sync_pairs(tree):
    sides = {}
    for path, text in tree.cpp():
        if not starts(path, house.ORDERS):
            continue
        raw, code = text.split("\n"), source.blank(text).split("\n")
        marks = []
        for number, line in enumerate(raw, 1):
            for name in re.findall(r"\bSYNC ([a-z][\w-]*)", line):
                marks.append(number)
                window = "\n".join(code[number - 1:number + REACH])
                plain = bool(re.search(PLAIN, window)) and "memory_order" not in window
                seen = sides.setdefault(name, [path, number, 0, False, False])
                seen[2] += 1
                seen[3] = seen[3] or plain or bool(re.search(RELEASES, window))
                seen[4] = seen[4] or plain or bool(re.search(ACQUIRES, window))
        for number in lines_of(r"\bmemory_order(_|::)(consume|acquire|release|acq_rel)\b", "\n".join(code)):
            if not any(mark <= number <= mark + REACH for mark in marks):
                yield path, number, "this order has no // SYNC name: comment in the lines above it"
    for name, (path, number, count, release, acquire) in sorted(sides.items()):
        if count < 2:
            yield path, number, f"SYNC {name} stands only here; a pair has two sides of one name"
        elif not release:
            yield path, number, f"SYNC {name} has no releasing side (release, acq_rel or seq_cst)"
        elif not acquire:
            yield path, number, f"SYNC {name} has no acquiring side (acquire, acq_rel or seq_cst)"


VISIBLE = (
    r"(?:\.|->)(?:compare_exchange_\w+|store|exchange|fetch_\w+)\s*\("
    r"|(?<![\w.>])(?:::)?(?:pwrite|pwritev2?|fsync|fdatasync|renameat2?|unlinkat|fallocate)\s*\("
    r"|(?<!\w)::(?:rename|unlink|ftruncate)\s*\("  # without ::, a method of that name
    r"|\bio_uring_prep_(?:write|fsync|fallocate|renameat|unlinkat)\w*\s*\("
)
POINT = r'\bCRASH_POINT\s*\(\s*"([^"]*)"\s*\)'


def crash_points(tree):
    patterns = [first for first, _ in tree.config("tests/tidy/crash_point_files.txt")]
    names = {}
    for path, text in tree.cpp():
        if path.startswith("tests/"):
            continue
        shown = source.blank(text, keep_strings=True)
        for match in re.finditer(POINT, shown):
            line, name = shown.count("\n", 0, match.start()) + 1, match.group(1)
            if not re.fullmatch(r"[a-z][\w-]*(\.[\w-]+)+", name):
                yield path, line, f'CRASH_POINT("{name}"): the name is room.step'
            elif name in names:
                yield path, line, f'CRASH_POINT("{name}") stands at {names[name][0]}:{names[name][1]} too'
            names.setdefault(name, (path, line))
        if any(fnmatch.fnmatch(path, pattern) for pattern in patterns):
            raw = text.split("\n")
            for line in lines_of(VISIBLE, source.blank(text)):
                near = "\n".join(raw[max(0, line - 4):line])
                if not re.search(r"\bCRASH_POINT\s*\(|// no crash point: \w+", near):
                    yield path, line, ("a store or file operation that others see: CRASH_POINT in the three lines "
                                       "before it, or // no crash point: reason")
    if "tests/crash/points.txt" in tree:
        known = {first for first, _ in tree.config("tests/crash/points.txt")}
        for name in sorted(set(names) - known):
            yield names[name][0], names[name][1], f"{name} is missing in tests/crash/points.txt"
        for name in sorted(known - set(names)):
            yield "tests/crash/points.txt", 1, f"{name} is in no source"


def budgets(tree):
    excused = dict(tree.config("tests/tidy/budget_exceptions.txt"))
    used = set()
    for path, text in sorted(tree.items()):
        if not path.endswith((".h", ".cpp", ".py", ".sh")):
            continue
        rows = text.rstrip("\n").split("\n")
        if len(rows) > house.FILE_CEILING:
            yield path, 1, f"{len(rows)} lines; the ceiling is {house.FILE_CEILING}"
        elif len(rows) > house.FILE_USUAL:
            used.add(path)
            if not excused.get(path):
                yield path, 1, f"{len(rows)} lines; split it, or give the reason in tests/tidy/budget_exceptions.txt"
        if source.is_cpp(path):
            for number, line in enumerate(rows, 1):
                if len(line) > house.COLUMNS and "http" not in line:
                    yield path, number, f"{len(line)} columns; the budget is {house.COLUMNS}"
            for name, line, length in source.functions(text):
                key = f"{path}:{name}"
                if length > house.FUNCTION_LINES:
                    used.add(key)
                    if not excused.get(key):
                        yield path, line, f"{name} has {length} lines; the budget is {house.FUNCTION_LINES} ({key})"
    for key in sorted(set(excused) - used):
        yield "tests/tidy/budget_exceptions.txt", 1, f"{key} keeps its budget now; take it off the list"


def banned_words(tree):
    for path, text in sorted(tree.items()):
        if path.startswith("tests/tidy/"):
            continue
        if source.is_cpp(path):
            shown, raw = source.blank(text), text.split("\n")
            for index, (pattern, better) in enumerate(house.BANNED.items()):
                if not starts(path, house.BANNED_FREE.get(index, [])):
                    for line in lines_of(pattern, text if index == 0 else shown):
                        if "volatile" in pattern and re.search(r"//.*\bvolatile: \w", "\n".join(raw[max(0, line - 4):line])):
                            continue
                        yield path, line, f"banned; instead: {better}"
        elif path.endswith((".py", ".sh", ".md", ".cmake", ".txt", "Makefile")):
            for line in lines_of(next(iter(house.BANNED)), text):
                yield path, line, "banned; do it, or leave it out and say so"
        for line in lines_of(r"(?<![\w.$}])/(?:home|Users|work)/\w+", text):
            yield path, line, "a path of somebody's machine"


def disabled_tests(tree):
    for path, text in sorted(tree.items()):
        if not path.startswith("tests/") or path.startswith("tests/tidy/"):
            continue
        if source.is_cpp(path):
            for line in lines_of(r"\bDISABLED_\w+", text):
                yield path, line, "a disabled test: mend it or delete it"
        if path.endswith("CMakeLists.txt"):
            for line in lines_of(r"#\s*(?:mallbots_test|add_test|add_subdirectory)\b|\bDISABLED\b|WILL_FAIL", text):
                yield path, line, "a switched-off test: mend it or delete it"


def sleeps(tree):
    for path, text in tree.cpp():
        if starts(path, ["tests/", "bench/", "shm/concurrent/wait", "shm/base/clock"]):
            continue
        raw = text.split("\n")
        for line in lines_of(r"\bsleep_(?:for|until)\s*\(|\b(?:u|nano)?sleep\s*\(\s*\d", source.blank(text)):
            if "// sleep: " not in "\n".join(raw[max(0, line - 3):line]):
                yield path, line, "a sleep hides a race; wait for the event, or say // sleep: reason"


def maps(tree):
    folders = tree.folders()
    for path, text in sorted(tree.items()):
        if os.path.basename(path) != "README.md" or path.startswith(("docs/", ".")):
            continue
        here = path[:-len("README.md")]
        for folder in sorted(folders):
            inner = folder[len(here):]
            direct = folder.startswith(here) and inner.count("/") == 1
            if direct and not inner.startswith(".") and not re.search(r"(?:`|^[\s│├└─]*)" + re.escape(inner), text, re.M):
                yield path, 1, f"the map does not name {inner}"
        fenced = False
        for number, line in enumerate(text.split("\n"), 1):
            if line.startswith("```"):
                fenced = not fenced
            match = re.match(r"\s{0,4}([\w.-]+(?:/[\w.-]+)*/)(?:\s{2,}|$)", line) if fenced else None
            match = match or re.match(r"\s*(?:[-*]|\|) ?`([\w.-]+(?:/[\w.-]+)*/)`", line)
            if match and here + match.group(1) not in folders and match.group(1) not in folders:
                yield path, number, f"the map names {match.group(1)}, which does not exist"


def links(tree):
    for path, text in sorted(tree.items()):
        if not path.endswith(".md"):
            continue
        plain = re.sub(r"```.*?```", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.S)
        for match in re.finditer(r"\]\(([^)#\s]+)[^)]*\)", plain):
            target = match.group(1)
            if re.match(r"[a-z]+:", target):
                continue
            real = os.path.normpath(os.path.join(os.path.dirname(path), target))
            if real not in tree and real + "/" not in tree.folders():
                yield path, plain.count("\n", 0, match.start()) + 1, f"the link to {target} leads nowhere"


def mirrors(tree):
    excused = dict(tree.config("tests/tidy/no_mirror.txt"))
    used = set()
    for path, _ in tree.cpp():
        if not path.endswith(".cpp") or not starts(path, house.MIRRORED):
            continue
        if os.path.basename(path) in house.NO_MIRROR_NAMES or path.startswith("clients/examples/"):
            continue
        mirror = f"tests/{path[:-4]}_test.cpp"
        if mirror not in tree:
            pattern = next((key for key in excused if fnmatch.fnmatch(path, key) and excused[key]), None)
            used.add(pattern)
            if not pattern:
                yield path, 1, f"no {mirror}; write it, or give the reason in tests/tidy/no_mirror.txt"
    for key in sorted(set(excused) - used):
        yield "tests/tidy/no_mirror.txt", 1, f"{key} excuses nothing any more; take it off the list"


TOOLS = {"g++", "gcc", "cmake", "ninja-build", "ccache", "lld", "pkg-config", "python3-minimal", "zstd", "clang-19", "libclang-rt-19-dev",
         "clang-tidy-19", "clang-format-19"}


def packages(tree, strict=False):
    listing = "packaging/debian-packages.txt"
    shown = {}
    for number, line in enumerate(tree.get("README.md", "").split("\n"), 1):
        match = re.match(r"\| `([\w.+-]+)` \| `([^`]+)` \|", line)
        if match:
            shown[match.group(1)] = (match.group(2), number)
    listed = set()
    for number, line in enumerate(tree.get(listing, "").split("\n"), 1):
        fields, _, why = line.partition("#")
        words = fields.split()
        if not words:
            continue
        if len(words) != 4 or words[0] not in ("build", "test", "check", "browser") or not why.strip():
            yield listing, number, "a line is: group package file evidence # why"
            continue
        _, package, path, evidence = words
        listed.add(package)
        if path == "-":
            if strict:
                users = [user for user in sorted(tree) if user != listing and not user.startswith("tests/tidy/")
                         and evidence in tree[user]]
                hint = f"; {evidence} stands in {', '.join(users[:3])}" if users else ""
                yield listing, number, f"{package} carries weight nowhere: name its file or leave it out{hint}"
            if package in shown:
                yield "README.md", shown[package][1], f"{package} has a row but no file in {listing}"
        elif path not in tree:
            yield listing, number, f"{package}: {path} does not exist"
        elif evidence not in tree[path]:
            yield listing, number, f"{package}: {path} does not hold {evidence}"
        elif package not in TOOLS and shown.get(package, ("",))[0] != path:
            yield "README.md", 1, f"the package table lacks: | `{package}` | `{path}` | {why.strip()} |"
    for package, (_, number) in sorted(shown.items()):
        if package not in listed:
            yield "README.md", number, f"{package} is not in {listing}"


def mutants(tree):
    """A mutant that does not apply any more is found out by the next full check only, months later."""
    for path, text in sorted(tree.items()):
        if not path.endswith(".patch"):
            continue
        target = None
        for part in re.split(r"^(?=\+\+\+ |@@ )", text, flags=re.M):
            if part.startswith("+++ b/"):
                target = part[len("+++ b/"):].split("\n", 1)[0]
                if target not in tree:
                    yield path, 1, f"{target} does not exist"
            elif part.startswith("@@ "):
                body = re.split(r"^--- ", part, flags=re.M)[0].split("\n")[1:]
                before = "\n".join(line[1:] for line in body if line[:1] in (" ", "-"))
                if before not in tree.get(target, ""):
                    yield path, text.count("\n", 0, text.index(part)) + 1, f"this part does not apply to {target} any more"


RULES = {rule.__name__: rule for rule in (
    include_directions, own_header_first, headers, doors, orders, sync_pairs, crash_points, budgets, banned_words,
    disabled_tests, sleeps, maps, links, mirrors, packages, mutants)}
