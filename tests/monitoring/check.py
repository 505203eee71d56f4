#!/usr/bin/env python3
"""Usage: check.py ROOT. What promtool cannot know: that each rule is shown to fire and to clear, and that the metrics exist."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
folder = root / "packaging/monitoring"
rules = (folder / "alerts.yml").read_text()
tests = (folder / "alerts_test.yml").read_text()
dashboard = (folder / "dashboard.json").read_text()
problems = []

alerts = re.findall(r"- alert: (\w+)", rules)
for name in alerts:
    block = re.search(rf"- name: {name}\n(.*?)(?=\n  - name: |\Z)", tests, re.S)
    if not block:
        problems.append(f"alerts.yml: {name} has no test")
        continue
    evaluated = re.split(r"\n      - (?=\{?eval_time)", block[1])[1:]
    fires = [number for number, each in enumerate(evaluated) if "exp_labels" in each]
    if not fires or fires[0] == 0 or fires[-1] == len(evaluated) - 1:
        problems.append(f"alerts_test.yml: {name} is not shown silent, then firing, then clear")
if len(set(alerts)) != len(alerts) or not alerts:
    problems.append("alerts.yml: an alert is named twice, or there is none")

sources = "".join(path.read_text() for base in ("broker", "clients/toolkit") for path in (root / base).rglob("*.cpp"))
named = set(re.findall(r"\b(?:mallbots|messages|outbox|saga|view|service_metrics)_[a-z_]+", rules + dashboard))
for metric in sorted(named):
    if f'"{re.sub("_(bucket|sum|count)$", "", metric)}"' not in sources:
        problems.append(f"packaging/monitoring: no source has the metric {metric}")

table = set(re.findall(r"`(mallbots_\w+)`", (folder / "README.md").read_text()))
told = set(re.findall(r'"(mallbots_\w+)"', "".join(path.read_text() for path in (root / "broker").rglob("*.cpp"))))
problems += [f"packaging/monitoring/README.md: {name} is in the table or in the broker alone" for name in sorted(table ^ told)]

print("\n".join(problems) or f"{len(alerts)} alerts, {len(named)} metrics: all tested, all there")
sys.exit(bool(problems))
