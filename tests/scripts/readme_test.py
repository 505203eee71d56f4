"""The `sh` lines of README.md: each is a target of the Makefile whose script a test runs, or is named here with the reason why not.
`make up`, `make down` and `make reset` are run by this test, with the programs of the build: argument 1 is their folder."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
from pathlib import Path

BIN = Path(sys.argv[1]).resolve()
# Line of README -> (what `make -n` must say it would run, who runs that).
LINES = {
    "make up": ("packaging/demo/up.sh up", "tests/scripts/readme_test.py"),
    "make demo": ("packaging/demo/run.sh", "tests/e2e/demo_runs.h"),
    "make demo-log": ("packaging/demo-log/run.sh", "tests/e2e/demo_log_test.cpp"),
    "make build": ("cmake --build --preset release", None),  # it is what built what this test runs
    "make test": ("tests/check/ctest.sh release", None),  # it is what runs this test
    "make": ("make demo", "tests/scripts/readme_test.py"),
}
INVOICE = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n536365,85123A,LANTERN,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n"


def run(*command, **environment):
    clean = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return subprocess.run(command, env={**clean, **environment}, text=True, timeout=150, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)


def sh_lines():
    blocks = re.findall(r"^```sh\n(.*?)^```", Path("README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.split("#")[0].strip()]


def free_ports(count):
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(one.getsockname()[1]) for one in taken]
    for one in taken:
        one.close()
    return ports


def status_of(address):
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status
    except urllib.error.URLError as error:
        return str(error.reason)


class Readme(unittest.TestCase):
    def test_each_sh_line_is_known_here_and_run_by_somebody(self):
        self.assertEqual(sorted(sh_lines()), sorted(LINES))
        for line, (script, runner) in LINES.items():
            would = run(*line.split(), "-n")
            self.assertEqual(would.returncode, 0, f"{line}: {would.stdout}")
            self.assertIn(script, would.stdout, line)
            if runner:
                self.assertIn(script.split()[0] if "/" in script else script, Path(runner).read_text(encoding="utf-8"), f"{runner} does not run {line}")

    def test_up_prints_pages_that_answer_down_keeps_and_reset_removes(self):
        kiosk, admin = free_ports(2)
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder, "mall")
            orders = Path(folder, "orders.csv")
            orders.write_text(INVOICE, encoding="utf-8")
            settings = {"BIN": str(BIN), "UP_DIR": str(work), "KIOSK_PORT": kiosk, "ADMIN_PORT": admin, "ROBOTS": "2", "ORDERS": str(orders), "YES": "1"}
            try:
                up = run("packaging/demo/up.sh", "up", **settings)
                self.assertEqual(up.returncode, 0, up.stdout)
                self.assertIn(f"http://127.0.0.1:{kiosk}/", up.stdout)
                self.assertRegex(up.stdout, rf"http://127\.0\.0\.1:{admin}/#link=\w+")
                for port in (kiosk, admin):
                    self.assertEqual(status_of(f"http://127.0.0.1:{port}/"), 200)
                again = run("packaging/demo/up.sh", "up", **settings)
                self.assertEqual(again.returncode, 0, again.stdout)
                self.assertNotEqual(*(re.search(r"#link=(\w+)", said.stdout).group(1) for said in (up, again)))
                down = run("packaging/demo/up.sh", "down", **settings)
                self.assertEqual(down.returncode, 0, down.stdout)
                self.assertIn("refused", str(status_of(f"http://127.0.0.1:{kiosk}/")))
                self.assertTrue((work / "shop").exists())
            finally:
                reset = run("packaging/demo/up.sh", "reset", **settings)
            self.assertEqual(reset.returncode, 0, reset.stdout)
            self.assertFalse(work.exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
