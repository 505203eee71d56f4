#!/usr/bin/env python3
"""Each rule is shown trees that it must report and trees that it must leave alone: a check that cannot fail is worth nothing."""
import sys
import os

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rules  # noqa: E402
import source  # noqa: E402

H = "// What it is.\n#pragma once\n"
SYNC_OK = ("// SYNC tail: release in commit, acquire in read\nx.store(1, std::memory_order_release);\n" + "\n" * 14 +
           "// SYNC tail: release in commit, acquire in read\ny = x.load(std::memory_order_acquire);\n")
CRASH = "tests/tidy/crash_point_files.txt"
LONG = "void f() {\n" + "  g();\n" * 70 + "}\n"
LIST = "packaging/debian-packages.txt"
TAB = "| `libx-dev` | `shm/a.h` | why |\n"

PATCH = "Mutant: x\n\n--- a/shm/a.h\n+++ b/shm/a.h\n@@ -1,3 +1,2 @@\n one\n-two\n three\n"

# rule -> [(name of the case, tree)]
BAD = {
    "include_directions": [
        ("base looks up", {"shm/base/a.h": '#include "shm/layout/b.h"\n', "shm/layout/b.h": H}),
        ("broker sees clients", {"broker/a.cpp": '#include "clients/p.h"\n', "clients/p.h": H}),
        ("clients see broker", {"clients/a.cpp": '#include "broker/p.h"\n', "broker/p.h": H}),
        ("clients see toolkit", {"clients/a.h": '#include "clients/toolkit/b.h"\n', "clients/toolkit/b.h": H}),
        ("toolkit sees internal", {"clients/toolkit/a.h": '#include "clients/internal/b.h"\n', "clients/internal/b.h": H}),
        ("toolkit sees layout", {"clients/toolkit/a.h": '#include "shm/layout/b.h"\n', "shm/layout/b.h": H}),
        ("bench sees broker", {"bench/a.cpp": '#include "broker/b.h"\n', "broker/b.h": H}),
        ("product sees tests", {"broker/a.cpp": '#include "tests/support/b.h"\n', "tests/support/b.h": H}),
        ("context sees insides", {"services/a/x.cpp": '#include "services/b/domain/y.h"\n', "services/b/domain/y.h": H}),
        ("dots", {"shm/base/a.cpp": '#include "../base/b.h"\n', "shm/base/b.h": H}),
        ("not from the root", {"shm/base/a.cpp": '#include "b.h"\n', "shm/base/b.h": H}),
    ],
    "own_header_first": [("late", {"shm/a.cpp": '#include <vector>\n#include "shm/a.h"\n', "shm/a.h": H})],
    "headers": [
        ("no pragma", {"shm/a.h": "// What.\nint x;\n"}),
        ("no comment", {"shm/a.h": "#pragma once\nint x;\n"}),
        ("using", {"shm/a.h": H + "using namespace std;\n"}),
    ],
    "doors": [
        ("mmap", {"broker/a.cpp": "void* p = ::mmap(0, 1);\n"}),
        ("memfd", {"clients/a.cpp": "int f = memfd_create(n, 0);\n"}),
        ("futex", {"shm/concurrent/append.h": "syscall(SYS_futex, w);\n"}),
        ("boost", {"broker/a.cpp": "#include <boost/interprocess/mapped_region.hpp>\n"}),
        ("uring", {"broker/log/a.cpp": "io_uring_queue_init(1, &r, 0);\n"}),
        ("pwrite", {"broker/log/a.cpp": "n = pwrite(fd, p, 1, 0);\n"}),
        ("open", {"broker/control/a.cpp": "fd = ::open(p, 0);\n"}),
        ("fstream", {"clients/a.cpp": "#include <fstream>\n"}),
        ("unix", {"broker/log/a.cpp": "#include <sys/un.h>\n"}),
        ("sendmsg", {"clients/a.cpp": "::sendmsg(s, &m, 0);\n"}),
        ("tcp", {"clients/a.cpp": "#include <boost/asio.hpp>\n"}),
        ("clock", {"broker/a.cpp": "auto t = std::chrono::steady_clock::now();\n"}),
        ("clock_gettime", {"shm/concurrent/a.h": "clock_gettime(CLOCK_MONOTONIC, &t);\n"}),
        ("fork", {"broker/a.cpp": "pid = fork();\n"}),
        ("kill", {"broker/control/a.cpp": "::kill(pid, 9);\n"}),
        ("kill in a test", {"tests/broker/a_test.cpp": "kill(pid, SIGKILL);\n"}),
        ("pidfd", {"clients/a.cpp": "syscall(SYS_pidfd_send_signal, fd);\n"}),
    ],
    "orders": [
        ("broker", {"broker/a.cpp": "x.load(std::memory_order_acquire);\n"}),
        ("enum class", {"clients/a.cpp": "x.load(std::memory_order::relaxed);\n"}),
    ],
    "sync_pairs": [
        ("alone", {"shm/concurrent/a.h": "// SYNC one: release here\nx.store(1, std::memory_order_release);\n"}),
        ("two releases", {"shm/concurrent/a.h": SYNC_OK.replace("_acquire", "_release").replace("load(", "store(1, ")}),
        ("two acquires", {"shm/concurrent/a.h": SYNC_OK.replace("_release", "_acquire")}),
        ("unnamed", {"shm/concurrent/a.h": SYNC_OK + "\n" * 14 + "z.load(std::memory_order_acquire);\n"}),
    ],
    "crash_points": [
        ("store", {CRASH: "shm/concurrent/*.h", "shm/concurrent/a.h": "f();\n\n\n\nx.store(1);\n"}),
        ("cas", {CRASH: "shm/concurrent/*.h", "shm/concurrent/a.h": "x->compare_exchange_strong(a, b);\n"}),
        ("pwrite", {CRASH: "broker/io/*.cpp", "broker/io/a.cpp": "::pwrite(fd, p, 1, 0);\n"}),
        ("uring", {CRASH: "broker/io/*.cpp", "broker/io/a.cpp": "io_uring_prep_write(s, fd);\n"}),
        ("rename", {CRASH: "broker/io/*.cpp", "broker/io/a.cpp": "::rename(a, b);\n"}),
        ("too far", {CRASH: "broker/io/*.cpp", "broker/io/a.cpp": 'CRASH_POINT("io.x");\n\n\n\n::fsync(fd);\n'}),
        ("no reason", {CRASH: "broker/io/*.cpp", "broker/io/a.cpp": "// no crash point:\n::fsync(fd);\n"}),
        ("twice", {"shm/a.h": 'CRASH_POINT("shm.x");\nCRASH_POINT("shm.x");\n'}),
        ("name", {"shm/a.h": 'CRASH_POINT("Shm X");\n'}),
        ("unregistered", {"shm/a.h": 'CRASH_POINT("shm.x");\n', "tests/crash/points.txt": "# none\n"}),
        ("ghost", {"tests/crash/points.txt": "shm.gone\n"}),
    ],
    "budgets": [
        ("long function", {"shm/a.cpp": LONG}),
        ("long method", {"shm/a.cpp": "namespace a {\nResult<int> A::b(int c) const noexcept {\n" + "  g();\n" * 70 + "}\n}\n"}),
        ("long constructor", {"shm/a.cpp": "A::A(int x) : x_(x), y_{2} {\n" + "  g();\n" * 70 + "}\n"}),
        ("long test", {"tests/a_test.cpp": "TEST(A, B) {\n" + "  g();\n" * 70 + "}\n"}),
        ("wide", {"shm/a.cpp": "x" * 101 + "\n"}),
        ("long file", {"shm/a.cpp": "int x;\n" * 501}),
        ("too long file", {"shm/a.cpp": "int x;\n" * 1001, "tests/tidy/budget_exceptions.txt": "shm/a.cpp big\n"}),
        ("no reason", {"shm/a.cpp": "int x;\n" * 501, "tests/tidy/budget_exceptions.txt": "shm/a.cpp\n"}),
        ("stale", {"shm/a.cpp": "int x;\n", "tests/tidy/budget_exceptions.txt": "shm/a.cpp big\n"}),
    ],
    "banned_words": [
        ("to do", {"shm/a.cpp": "// TO" "DO: later\n"}),
        ("to do in a document", {"README.md": "FIX" "ME\n"}),
        ("if 0", {"shm/a.cpp": "#if 0\n#endif\n"}),
        ("format", {"shm/a.cpp": "auto s = std::format(x);\n"}),
        ("sprintf", {"shm/a.cpp": "sprintf(b, f);\n"}),
        ("assert", {"shm/a.cpp": "assert(x);\n"}),
        ("volatile", {"shm/a.cpp": "volatile int x;\n"}),
        ("machine path", {"docs/a.md": "see /home" "/me/x\n"}),
    ],
    "disabled_tests": [
        ("prefix", {"tests/a_test.cpp": "TEST(A, DISABLED_B) {}\n"}),
        ("commented", {"tests/a/CMakeLists.txt": "# mallbots_test(a a.cpp)\n"}),
        ("will fail", {"tests/a/CMakeLists.txt": "set_tests_properties(a PROPERTIES WILL_FAIL 1)\n"}),
    ],
    "sleeps": [("sleep", {"broker/a.cpp": "std::this_thread::sleep_for(1ms);\n"})],
    "maps": [
        ("unnamed folder", {"shm/README.md": "nothing", "shm/base/a.h": H}),
        ("named in a picture only", {"shm/README.md": "```\n a --> base/x\n```\n", "shm/base/a.h": H}),
        ("ghost folder", {"shm/README.md": "`base/`\n```\nbase/    words\nring/    gone\n```\n", "shm/base/a.h": H}),
        ("ghost in a table", {"README.md": "`shm/`\n| `gone/` | x |\n", "shm/a.h": H}),
    ],
    "links": [("dead", {"README.md": "[x](docs/gone.md)"})],
    "mutants": [
        ("gone", {"tests/a.patch": PATCH}),
        ("changed", {"tests/a.patch": PATCH, "shm/a.h": "one\ntwo and\nthree\n"}),
        ("second part", {"tests/a.patch": PATCH + "@@ -9,2 +8,2 @@\n nine\n-ten\n+10\n", "shm/a.h": "one\ntwo\nthree\n"}),
    ],
    "mirrors": [
        ("missing", {"shm/base/a.cpp": ""}),
        ("no reason", {"shm/base/a.cpp": "", "tests/tidy/no_mirror.txt": "shm/base/a.cpp\n"}),
        ("stale", {"tests/tidy/no_mirror.txt": "shm/base/a.cpp because\n"}),
    ],
    "packages": [
        ("no file", {LIST: "build libx-dev shm/a.h x.h # why\n", "README.md": TAB}),
        ("no evidence", {LIST: "build libx-dev shm/a.h x.h # why\n", "README.md": TAB, "shm/a.h": H}),
        ("no row", {LIST: "build libx-dev shm/a.h x.h # why\n", "shm/a.h": "#include <x.h>\n"}),
        ("row of nothing", {LIST: "", "README.md": TAB}),
        ("malformed", {LIST: "build libx-dev\n"}),
        ("row without file", {LIST: "build libx-dev - x.h # why\n", "README.md": TAB}),
    ],
}

GOOD = {
    "include_directions": {"broker/a.cpp": '#include "shm/base/b.h"\n#include <vector>\n// #include "clients/x.h"\n',
                           "shm/base/b.h": H, "clients/a.h": '#include "clients/b.h"\n', "clients/b.h": H,
                           "services/a/x.cpp": '#include "services/b/contract.h"\n', "services/b/contract.h": H},
    "own_header_first": {"shm/a.cpp": '#include "shm/a.h"\n#include <vector>\n', "shm/a.h": H},
    "headers": {"shm/a.h": H, "shm/b.h": "#pragma once\n// What.\n"},
    "doors": {"shm/region/a.cpp": "::mmap(0);\n", "broker/io/a.cpp": "::pwrite(fd);\n#include <liburing.h>\n",
              "broker/a.cpp": '// mmap(\nlog("fork()"); file.open(x); child.kill(); Region::mmap(x);\n'},
    "orders": {"broker/a.cpp": "x.load(std::memory_order_seq_cst); // memory_order_relaxed\n",
               "shm/layout/a.h": "x.load(std::memory_order_relaxed);\n"},
    "sync_pairs": {"shm/concurrent/a.h": SYNC_OK,
                   "shm/layout/b.h": "// SYNC dekker: both seq_cst\nx.store(1);\n" + "\n" * 14 +
                                     "// SYNC dekker: both seq_cst\ny.load();\n"},
    "crash_points": {CRASH: "broker/io/*.cpp", "tests/crash/points.txt": "io.x why\n",
                     "broker/io/a.cpp": 'CRASH_POINT("io.x");\n::fsync(fd);\nf();\n\n\n// no crash point: reads\n::fsync(fd);\n'
                                       "f();\n\n\n\nvirtual Result<void> rename(int a) = 0;\n"},
    "budgets": {"shm/a.cpp": LONG.replace("  g();\n", "", 2), "shm/b.h": "struct A {\n" + "  int x;\n" * 80 + "};\n",
                "shm/c.cpp": "constexpr int t[] = {f(1),\n" + "1,\n" * 90 + "};\n#define X(y) \\\n" + "  y {} \\\n" * 90 + "\n",
                "shm/d.cpp": "int x;\n" * 501, "tests/tidy/budget_exceptions.txt": "shm/d.cpp one table\n"},
    "banned_words": {"shm/a.cpp": 'static_assert(x); // assert(x)\nlog("volatile");\nasm volatile("pause");\n// Read once (volatile: not again later)\nvolatile int y;\n'},
    "disabled_tests": {"tests/a_test.cpp": "TEST(A, B) {}\n", "tests/a/CMakeLists.txt": "mallbots_test(a a.cpp)\n"},
    "sleeps": {"broker/a.cpp": "// sleep: back-off of the keeper\nstd::this_thread::sleep_for(1ms);\n"},
    "maps": {"shm/README.md": "```\nbase/    words\n```\n", "shm/base/a.h": H},
    "links": {"README.md": "[x](docs/a.md) [y](https://debian.org) [z](docs)", "docs/a.md": "[up](../README.md)"},
    "mutants": {"tests/a.patch": PATCH + "--- a/b.h\n+++ b/b.h\n@@ -1 +1 @@\n-x\n+y\n", "shm/a.h": "0\none\ntwo\nthree\n", "b.h": "x\n"},
    "mirrors": {"shm/a.cpp": "", "tests/shm/a_test.cpp": "", "broker/main.cpp": "", "shm/b.cpp": "",
                "tests/tidy/no_mirror.txt": "shm/b.* held by tests/x\n"},
    "packages": {LIST: "# c\nbuild libx-dev shm/a.h x.h # why\nbuild liby-dev - y.h # later\n", "README.md": TAB,
                 "shm/a.h": "#include <x.h>\n"},
}


def main():
    failures = []
    count = 0
    for name, rule in rules.RULES.items():
        if name not in BAD or name not in GOOD:
            failures.append(f"{name}: no bad or no good tree")
            continue
        for case, tree in BAD[name]:
            count += 1
            if not list(rule(rules.Tree(tree))):
                failures.append(f"{name}: '{case}' was not reported")
        count += 1
        failures += [f"{name}: good tree reported: {finding}" for finding in rule(rules.Tree(GOOD[name]))]
    count += 1
    if not list(rules.packages(rules.Tree({LIST: "build libx-dev - x.h # why\n"}), strict=True)):
        failures.append("packages: a package without file passed under REQUIRE_ALL")
    count += 1
    text = "int a() {\n}\nnamespace n {\nvoid B::c(int x) {\n  if (x) {\n  }\n  auto l = [&](int y) { return y; };\n}\n}\n"
    if source.functions(text) != [("a", 1, 2), ("B::c", 4, 5)]:
        failures.append(f"functions: {source.functions(text)}")
    for failure in failures:
        print(failure)
    print(f"tidy self-test: {count} trees, {len(failures)} wrong verdicts")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
