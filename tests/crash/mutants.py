#!/usr/bin/env python3
"""Deliberate protocol bugs (tests/crash/mutants/*.patch): each must be caught by the test it names.

usage: mutants.py [--only NAME]... [--work DIR] [--jobs N]

Works on a copy of the tree outside the checkout, with one build folder per configuration, so that
only what a patch touches is built again. First the unchanged copy: every named test must pass.
Then each patch alone: it must apply, build, and make its test fail (or hang, which counts as
failing). A patch begins with what git apply passes over:

    Mutant: what is wrong, in one sentence
    Target: the test binary              Test: the GoogleTest filter
  or
    Kill-points: arguments of kill_points.py

Prints a table mutant | caught by | result; ends with `N of M mutants caught`. Exit 0: all.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = {".git", "build", ".cache", "__pycache__"}
TEST_TIMEOUT_S = 150
CONFIGURATIONS = {
    "release": ["-DCMAKE_BUILD_TYPE=Release", "-DMALLBOTS_BENCH=OFF"],
    "crash": ["-DCMAKE_BUILD_TYPE=Release", "-DMALLBOTS_BENCH=OFF", "-DMALLBOTS_CRASH_POINTS=ON"],
}


class Broken(Exception):
    """What keeps a mutant from being judged."""


class Mutant:
    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)[:-len(".patch")]
        with open(path) as file:
            head = file.read().split("\n--- ", 1)[0]
        fields = dict(re.findall(r"^(Mutant|Target|Test|Kill-points): *(.+)$", head, re.M))
        self.what = fields.get("Mutant", "")
        self.kill_points = fields.get("Kill-points")
        self.target, self.test = fields.get("Target"), fields.get("Test")
        if not self.what or bool(self.kill_points) == bool(self.target and self.test):
            raise SystemExit(f"{path}: needs Mutant, and either Target and Test or Kill-points")

    @property
    def configuration(self):
        return "crash" if self.kill_points else "release"

    @property
    def targets(self):
        return ["mallbotsd", "mallbots", "crash_client"] if self.kill_points else [self.target]

    @property
    def caught_by(self):
        if self.kill_points:
            return f"kill_points.py {self.kill_points}"
        return f"{self.target} {self.test}"

    def command(self, work):
        if self.kill_points:
            return [sys.executable, os.path.join(work, "tests/crash/kill_points.py"),
                    os.path.join(work, "build/crash/bin"), *self.kill_points.split()]
        return [os.path.join(work, "build/release/bin", self.target),
                f"--gtest_filter={self.test}"]


def run(command, timeout=None, cwd=None):
    """(exit code, or None after the timeout; what it printed). Ends all that it started."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, cwd=cwd, start_new_session=True)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
            os.killpg(process.pid, 9)
            process.wait()
        out.seek(0)
        return code, out.read()


def copy_tree(work):
    def skip(folder, names):
        return [name for name in names if name in SKIPPED]
    shutil.copytree(ROOT, work, ignore=skip, dirs_exist_ok=True, symlinks=True)


def configure(work, configuration):
    code, out = run(["cmake", "-S", work, "-B", os.path.join(work, "build", configuration),
                     "-G", "Ninja", *CONFIGURATIONS[configuration]])
    if code != 0:
        raise Broken(f"cmake failed:\n{out[-2000:]}")


def build(work, configuration, targets, jobs):
    code, out = run(["cmake", "--build", os.path.join(work, "build", configuration), "-j",
                     str(jobs), "--target", *targets])
    if code != 0:
        errors = "\n".join(re.findall(r"^.*error.*$", out, re.M)[:5])
        raise Broken(f"does not build:\n{errors or out[-2000:]}")


def apply(work, mutant, back=False):
    code, out = run(["git", "apply", "--whitespace=nowarn", *(["-R"] if back else []),
                     mutant.path], cwd=work)
    if code != 0:
        raise Broken(f"does not apply:\n{out.strip()}")


def ran_some_and_passed(mutant, code, out):
    if mutant.kill_points:
        return code == 0
    passed = re.search(r"\[  PASSED  \] (\d+) test", out)
    return code == 0 and passed and int(passed.group(1)) > 0


def skip_reason(out):
    match = re.search(r": Skipped\n(.+)", out)
    return match.group(1) if match else None


def check_unchanged(work, mutants, jobs):
    """{command: why it cannot judge}, of those that do not pass on the unchanged tree."""
    for configuration in sorted({mutant.configuration for mutant in mutants}):
        configure(work, configuration)
        targets = {name for mutant in mutants if mutant.configuration == configuration
                   for name in mutant.targets}
        build(work, configuration, sorted(targets), jobs)
    unfit = {}
    for mutant in mutants:
        if mutant.caught_by in unfit:
            continue
        code, out = run(mutant.command(work), TEST_TIMEOUT_S, work)
        unfit[mutant.caught_by] = None
        if not ran_some_and_passed(mutant, code, out):
            reason = skip_reason(out)
            unfit[mutant.caught_by] = (f"skipped: {reason}" if reason else
                                       f"the test fails without the mutant:\n{out[-1500:]}")
    return unfit


def judge(work, mutant, jobs):
    apply(work, mutant)
    try:
        build(work, mutant.configuration, mutant.targets, jobs)
        code, out = run(mutant.command(work), TEST_TIMEOUT_S, work)
    finally:
        apply(work, mutant, back=True)
    if code == 0:
        raise Broken("NOT CAUGHT: the test passes")
    return "caught (hangs)" if code is None else "caught"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", action="append", help="a mutant's name")
    parser.add_argument("--work", help="folder for the copy; kept (default: a temporary one)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    mutants = [Mutant(path) for path in sorted(glob.glob(f"{ROOT}/tests/crash/mutants/*.patch"))]
    if options.only:
        mutants = [mutant for mutant in mutants if mutant.name in options.only]
    if not mutants:
        raise SystemExit("mutants: no such mutant")
    work = options.work or tempfile.mkdtemp(prefix="mallbots-mutants-")
    caught, skipped = 0, 0
    try:
        copy_tree(work)
        unfit = check_unchanged(work, mutants, options.jobs)
        width = max(len(mutant.name) for mutant in mutants)
        print(f"{'mutant':{width}} | caught by | result", flush=True)
        for mutant in mutants:
            began = time.monotonic()
            why = unfit[mutant.caught_by]
            try:
                if why:
                    raise Broken(why)
                result = judge(work, mutant, options.jobs)
                caught += 1
            except Broken as broken:
                result = str(broken)
                skipped += result.startswith("skipped: ")
            print(f"{mutant.name:{width}} | {mutant.caught_by} | {result}, "
                  f"{time.monotonic() - began:.0f} s", flush=True)
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)
    print(f"{caught} of {len(mutants)} mutants caught" +
          (f", {skipped} skipped" if skipped else ""))
    if caught == len(mutants):
        return 0
    return 77 if caught + skipped == len(mutants) and not os.environ.get("REQUIRE_ALL") else 1


if __name__ == "__main__":
    sys.exit(main())
