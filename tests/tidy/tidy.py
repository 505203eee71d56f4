#!/usr/bin/env python3
"""The tree's own manners, run by ctest (label tidy): tests/tidy/tidy.py [ROOT] [--rule NAME]. Needs python3-minimal only.

Prints path:line: [rule] sentence, and fails when there is one. REQUIRE_ALL=1 also refuses packages without a file.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rules  # noqa: E402

SKIPPED = {".git", "build", "__pycache__", ".cache", "node_modules"}
TEXT = (".h", ".cpp", ".py", ".sh", ".md", ".cmake", ".txt", ".json", ".js", ".mjs", ".css", ".html", ".toml", ".pml", ".service", ".in", ".proto", ".patch")


def load(root):
    tree = rules.Tree()
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(name for name in inner if name not in SKIPPED)
        for name in files:
            path = os.path.relpath(os.path.join(folder, name), root)
            text = ""
            if name.endswith(TEXT) or name in ("Makefile", "run"):
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                    text = file.read()
            tree[path] = text
    return tree


def main(args):
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    wanted = list(rules.RULES)
    while args:
        arg = args.pop(0)
        if arg == "--rule" and args and args[0] in rules.RULES:
            wanted = [args.pop(0)]
        elif os.path.isdir(arg):
            root = arg
        else:
            print(f"tidy: {arg}: no such folder or rule; rules: {' '.join(rules.RULES)}", file=sys.stderr)
            return 2
    tree = load(os.path.normpath(root))
    count = 0
    for name in wanted:
        strict = {"strict": bool(os.environ.get("REQUIRE_ALL"))} if name == "packages" else {}
        for path, line, sentence in rules.RULES[name](tree, **strict):
            print(f"{path}:{line}: [{name}] {sentence}")
            count += 1
    print(f"tidy: {len(tree)} files, {len(wanted)} rules, {count} findings")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
