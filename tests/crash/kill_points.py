#!/usr/bin/env python3
"""Kill points: every store and file operation that others can see has a name (CRASH_POINT); here
the product is killed or stopped at each of them, and must lose nothing that it acknowledged.

usage: kill_points.py BIN_DIR [--only NAME]... [--scene NAME] [--nth N,N...] [--all-scenes]
                      [--user UID] [--every K] [--jobs N]

BIN_DIR holds mallbotsd, mallbots and crash_client of a build with MALLBOTS_CRASH_POINTS=ON.
The scenes (scenes.py, kept_scenes.py) are first played without a crash, to learn who comes to which point. Then:

  daemon (broker and keeper)   x SIGKILL; the keeper, or this program for a dead keeper, starts the
                               next one
  each client                  x SIGKILL, and x SIGSTOP + fence + SIGCONT

A point is run in the first scene that visits it (--all-scenes: in each), at its N-th visits.
Checked by each scene: offsets are dense; every acknowledged record is there, at its offset, once,
with its bytes; records of one producer are in its order; the same again after a restart of all.

--user UID runs everything as that user, who needs no name; --every K takes every K-th run only.
Prints a table; ends with points found, points run, violations. Without --only, --scene and --every,
a point that was not run is a failure.
"""
import argparse
import collections
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cast import Cast  # noqa: E402
from instance import Instance, Programs, Violation  # noqa: E402
from scenes import SCENES  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TRIES = 3  # for a point that a run did not come to

Run = collections.namedtuple("Run", "scene role how point nth others")


def points_found():
    found = {}
    for room in ("shm", "broker", "clients"):
        for path in glob.glob(f"{ROOT}/{room}/**/*", recursive=True):
            if path.startswith(f"{ROOT}/clients/toolkit/"):
                continue  # tests/clients/toolkit/crash_test.cpp goes through those
            if path.endswith((".h", ".cpp")):
                with open(path) as file:
                    for name in re.findall(r'CRASH_POINT\("([^"]+)"\)', file.read()):
                        found[name] = os.path.relpath(path, ROOT)
    found.pop("room.step", None)  # the example in crash_point.h
    return found


def points_visited(programs, scene):
    """{role: points} of a run in which nobody dies but whom the scene itself kills."""
    instance = Instance(programs)
    try:
        logs = {role: instance.path(f"{role}.points") for role in scene.roles}
        scene.play(instance, Cast(instance, first=scene.first, logs=logs))
        visited = {}
        for role, log in logs.items():
            with open(log) as file:
                visited[role] = sorted({line.split()[1] for line in file if len(line.split()) == 2})
        return visited
    except (Violation, subprocess.TimeoutExpired) as violation:
        raise SystemExit(f"scene {scene.name} without a crash: {violation}\n"
                         f"{log_tail(instance)}") from None
    finally:
        instance.close()


def log_tail(instance):
    done = subprocess.run(["tail", "-n", "6", instance.path("daemon.log")], capture_output=True)
    return done.stdout.decode(errors="replace")


def play(programs, run):
    """(verdict, why, seconds)"""
    began = time.monotonic()
    scenes = [run.scene] * TRIES + list(run.others) if run.nth == 1 else [run.scene]
    for scene in scenes:
        instance = Instance(programs)
        try:
            once = instance.flag("once")
            orders = {"MALLBOTS_CRASH_AT": run.point, "MALLBOTS_CRASH_NTH": str(run.nth),
                      "MALLBOTS_CRASH_HOW": run.how, "MALLBOTS_CRASH_ONCE": once}
            scene.play(instance, Cast(instance, run.role, orders, scene.first))
            if not os.path.exists(once):
                return "passed", "", time.monotonic() - began
        except (Violation, subprocess.TimeoutExpired) as violation:
            hit = "" if not os.path.exists(once) else " (before the point)"
            return ("FAILED", f"{violation}{hit}\n{log_tail(instance)}", time.monotonic() - began)
        finally:
            instance.close()
    return "not hit", "", time.monotonic() - began


def plan(options, visits):
    """Who comes to a point only now and then is looked for in the other scenes too."""
    runs = []
    for nth in map(int, options.nth.split(",")):
        seen = set()
        for scene, visited in visits:
            for role in scene.roles:
                for how in ("kill",) if role == "daemon" else ("kill", "stop"):
                    for point in visited[role]:
                        if (role, how, point) in seen and not (options.all_scenes and nth == 1):
                            continue
                        seen.add((role, how, point))
                        others = [other for other, points in visits
                                  if other is not scene and point in points.get(role, ())]
                        runs.append(Run(scene, role, how, point, nth, others))
    if options.only:
        runs = [run for run in runs if run.point in options.only]
    return runs[::options.every]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin_dir")
    parser.add_argument("--only", action="append", help="a point")
    parser.add_argument("--scene", help="one scene")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--nth", default="1,4", help="at which visits")
    parser.add_argument("--all-scenes", action="store_true")
    parser.add_argument("--user", type=int)
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    whole = not (options.only or options.scene or options.every > 1)
    programs = Programs(options.bin_dir, options.user)
    tally, points_run, failed = collections.Counter(), set(), set()
    try:
        scenes = [scene for scene in SCENES if options.scene in (None, scene.name)]
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            visits = list(zip(scenes, pool.map(lambda one: points_visited(programs, one), scenes)))
            runs = plan(options, visits)
            futures = {pool.submit(play, programs, run): run for run in runs}
            for future in concurrent.futures.as_completed(futures):
                run = futures[future]
                verdict, why, seconds = future.result()
                tally[verdict] += 1
                if verdict != "not hit":
                    points_run.add(run.point)
                print(f"{run.scene.name:20} {run.role:9} {run.how} {run.point:32} visit {run.nth:2} "
                      f"{verdict:8} {seconds:5.1f} s", flush=True)
                if why:
                    failed.add(run.point)
                    print(f"    {why}", flush=True)
    finally:
        programs.close()
    found = set(points_found())
    print(f"\nas {'user ' + str(options.user) if options.user else 'this user'}: {len(runs)} runs, "
          f"{tally['passed']} passed, {tally['not hit']} never came to that visit, "
          f"{tally['FAILED']} failed")
    if whole and found - points_run:
        print(f"not run ({len(found - points_run)}): {', '.join(sorted(found - points_run))}")
    print(f"points found {len(found)}, points run {len(points_run)}, violations {tally['FAILED']}")
    return 1 if tally["FAILED"] or not runs or (whole and found - points_run) else 0


if __name__ == "__main__":
    sys.exit(main())
