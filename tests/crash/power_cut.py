#!/usr/bin/env python3
"""Power cuts: the daemon on ext4 and xfs on a block device that writes down each write and flush.
From that the images are built that a cut at a random moment may leave (everything flushed, of the
rest each write there, missing or torn at 512 B); on each the broker starts, and every promise made
before the cut must hold.

usage: power_cut.py BIN_DIR [--client FILE] [--lies BIN_DIR] [--states N] [--jobs N] [--seed N]
                    [--full] [--only TEXT] [--keep DIR]
       power_cut.py BIN_DIR --again DIR [--state N]

BIN_DIR holds mallbotsd and mallbots, --client power_cut_client (default: in BIN_DIR). --lies: a
build with MALLBOTS_CRASH_POINTS=ON, whose disk is told to lie: negative controls, which must be
caught. --keep: where the recording of a series with violations goes; --again looks at its states
(or one) once more. --states: per file system and engine.

A series is one life of a broker (with a killed broker, a clean stop, everything killed), then
second lives on some of its cuts: recovery, records of the same sizes in the place of the lost ones,
cut again. Checked per state: acknowledged records and those read with read=durable are there with
their bytes, order and offset; no batch is half there; nothing that nobody sent, nothing that was
gone after the first cut; positions committed durably are kept and none lies above the end. Streams
of events: versions dense, appends whole, the index as the log. A queue: what was settled, when
its journal is on the disk, does not come again, all else does; what was rejected has its letter. Delayed records are
delivered once or still wait. A producer's name has each sequence once, and the broker its last.
"""
import argparse
import collections
import os
import pickle
import random
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import power_cut_check as check  # noqa: E402
import power_cut_device as device  # noqa: E402
import power_cut_workload as workload  # noqa: E402

SKIPPED = 77
MOST_SHOWN = 5
AT_PROMISE = 0.3  # share of the moments that follow a promise at once
EXTRA_EVERY = 8  # states after which the files are verified and the log must take records
SECOND_LIVES = 2
SECOND_SHARE = 0.4  # of the states

QUICK = (("ext4", "io_uring", "fdatasync"), ("xfs", "io_uring", "dsync"),
         ("ext4", "pwrite", "dsync"), ("xfs", "pwrite", "fdatasync"))
MORE = (("ext4", "io_uring", "dsync"), ("xfs", "io_uring", "fdatasync"),
        ("ext4", "pwrite", "fdatasync"), ("xfs", "pwrite", "dsync"))
LIES = (("ext4", "io_uring", "fdatasync", "drop-flush"), ("xfs", "pwrite", "dsync", "drop-flush"),
        ("ext4", "pwrite", "fdatasync", "publish-early"),
        ("xfs", "io_uring", "dsync", "publish-early"))
LIE_STATES = 40
FULL_ROUNDS = 4  # lives of each combination


def name_of(series):
    words = (series.fs, series.engine, series.flush, series.lie, series.round)
    return "-".join(str(word) for word in words if word)


class Runner:
    """One series, in a process and a folder of its own."""

    def __init__(self, series, options):
        self.series = series
        self.options = options
        self.name = name_of(series)
        self.folder = tempfile.mkdtemp(prefix="mb-cut-", dir=device.work_dir())
        self.tally = collections.Counter()
        self.writes = collections.Counter()
        self.violations = []
        self.cuts = {}  # number of a second life: the moment of the cut before it

    def close(self):
        device.remove_folder(self.folder)

    def dice(self, *words):
        return random.Random("/".join(map(str, (self.options.seed, self.name, *words))))

    def instance(self, folder, data_dir, recorded=False):
        bins, environment = self.options.bin_dir, {}
        if self.series.lie and recorded:
            bins, environment = self.options.lies, {"MALLBOTS_DISK_LIE": self.series.lie}
        instance = workload.Instance(bins, folder, data_dir, self.series.engine, self.series.flush,
                                     environment)
        instance.client = self.options.client
        return instance

    # --- recording

    def first_life(self):
        folder = os.path.join(self.folder, "life1")
        os.mkdir(folder)
        base = os.path.join(folder, "base.img")
        device.make_file_system(self.series.fs, base)

        def live(instance, work):
            workload.first_life(instance, work, self.options.pace)

        return self._record(folder, base, live, 1)

    def second_life(self, number, before):
        folder = os.path.join(self.folder, f"life2.{number}")
        base = os.path.join(folder, "base.img")
        found = []

        def live(instance, work):
            instance.start()
            found.append(check.Found(instance))
            found.append(work.moment())
            workload.second_life(instance, work, self.options.pace)

        life = self._record(folder, base, live, 2, before.history.carried(self.cuts[number]))
        return life._replace(inherited=found[0], inherited_at=found[1], sent=before.history.sent)

    def _record(self, folder, base, live, generation, history=None):
        oplog = os.path.join(folder, "oplog")
        mount_at = os.path.join(folder, "mnt")
        recorded = device.RecordedDevice(folder, base, oplog)
        mount = instance = work = None
        try:
            mount = device.Mount(recorded.node, mount_at)
            begin = os.path.getsize(oplog)
            instance = self.instance(folder, os.path.join(mount_at, "data"), recorded=True)
            work = workload.Workload(instance, folder, oplog, self.options.client,
                                     f"{self.options.seed}/{folder[-7:]}", generation,
                                     history)
            live(instance, work)
        finally:
            if work:
                work.end()
            if instance:
                instance.kill()
            size = os.path.getsize(oplog)  # what comes now is the end of the recording, not a life
            if mount:
                mount.close()
            recorded.close()
            os.truncate(oplog, size)
        return workload.Life(folder, base, oplog, begin, work.history, None, 0, {})

    # --- states

    def moments(self, life, states):
        """Number of ops before the cut, by state: behind a write that no flush covers yet (best
        of two, that with more such writes before it), or where a promise was made."""
        log = device.OpLog(life.oplog)
        loose, writes = 0, []
        for i, op in enumerate(log.ops):
            loose = 0 if op[0] == b"S" else loose + 1
            if loose and log.ends[i] > life.begin:
                writes.append((loose, i + 1))
        promises = [one.moment for one in life.history.acked + life.history.seen]
        chosen = []
        for number in range(states):
            dice = self.dice(os.path.basename(life.folder), number, "moment")
            if promises and dice.random() < AT_PROMISE:
                chosen.append((log.count_before(dice.choice(promises)), number))
            else:
                chosen.append((max(dice.choice(writes), dice.choice(writes))[1], number))
        return log, sorted(chosen)

    def look_at(self, life, states, second=0, only=None):
        """Builds and checks `states` states; leaves the images of `second` of them for lives to
        come."""
        log, chosen = self.moments(life, states)
        judge = check.Judge(life.history, life.inherited, life.inherited_at, life.sent)
        maker = device.ImageMaker(life.base, log, life.folder)
        loop = None
        later = {number for _, number in chosen[len(chosen) // 3:]}
        spared = sorted(later)[:second]
        try:
            for moment, number in chosen:
                if loop:
                    loop.forget()
                dice = self.dice(os.path.basename(life.folder), number, "writes")
                self.writes += maker.make(moment, dice)
                if number in spared:
                    folder = os.path.join(self.folder, f"life2.{spared.index(number)}")
                    self.cuts[spared.index(number)] = log.ends[moment - 1]
                    os.makedirs(folder, exist_ok=True)
                    device.copy_file(maker.path, os.path.join(folder, "base.img"))
                if only is not None and number != only:
                    continue
                loop = loop or device.Loop(maker.path)
                at = log.ends[moment - 1]
                wrong = self.state(life, loop, at, judge, number % EXTRA_EVERY == 0)
                self.tally["states"] += 1
                if wrong:
                    self.tally["wrong states"] += 1
                    where = f"{os.path.basename(life.folder)} state {number} (op {moment}, at {at})"
                    self.violations += [f"{where}: {text}" for text in wrong[:MOST_SHOWN]]
        finally:
            if loop:
                loop.close()
            maker.close()
        self.tally += judge.checked

    def state(self, life, loop, at, judge, extra):
        """One cut: mount, start, read, judge."""
        mount_at = os.path.join(life.folder, "cut")
        try:
            mount = device.Mount(loop.node, mount_at)
        except OSError as error:
            return [f"does not mount: {error}"]
        instance = self.instance(life.folder, os.path.join(mount_at, "data"))
        try:
            instance.start()
            found = check.Found(instance)
            wrong = judge.judge(at, found)
            wrong += judge.queue(at, found, check.drained(instance))
            if extra:
                wrong += check.goes_on(instance, found)
                wrong += check.verified(instance)
            return wrong
        except (OSError, ValueError) as error:
            return [f"{type(error).__name__}: {error}"]
        finally:
            instance.kill()
            mount.close()

    # --- the whole

    def run(self):
        states = self.series.states
        second = 0 if self.series.lie else SECOND_LIVES
        later = int(states * SECOND_SHARE) // second if second else 0
        life = self.first_life()
        lives = [life]
        self.look_at(life, states - later * second, second)
        for number in range(second):
            lives.append(self.second_life(number, life))
            self.look_at(lives[-1], later)
        if self.violations and not self.series.lie and self.options.keep:
            self.keep(lives)
        return self

    def keep(self, lives):
        """So that a state can be looked at again: recordings depend on time, states on the seed."""
        target = os.path.join(self.options.keep, self.name)
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
        for life in lives:
            folder = os.path.join(target, os.path.basename(life.folder))
            os.mkdir(folder)
            for path in (life.base, life.oplog):
                device.copy_file(path, os.path.join(folder, os.path.basename(path)))
            moved = life._replace(folder=folder, base=os.path.join(folder, "base.img"),
                                  oplog=os.path.join(folder, "oplog"))
            with open(os.path.join(folder, "life"), "wb") as out:
                pickle.dump((self.series, self.options.seed, moved), out)


def run_series(series, options):
    runner = Runner(series, options)
    began = time.monotonic()
    try:
        runner.run()
    except Exception as error:  # said in the table; the other series go on
        runner.violations.append(f"not finished: {type(error).__name__}: {error}")
        runner.tally["broken"] += 1
    finally:
        runner.close()
    return (series, runner.tally, runner.writes, runner.violations, time.monotonic() - began)


def look_again(options):
    with open(os.path.join(options.again, "life"), "rb") as kept:
        series, options.seed, life = pickle.load(kept)
    device.guard()
    runner = Runner(series, options)
    try:
        runner.look_at(life._replace(folder=options.again), series.states, only=options.state)
    finally:
        runner.close()
    print("\n".join(runner.violations) or "no violation")
    return 1 if runner.violations else 0


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin_dir")
    parser.add_argument("--client")
    parser.add_argument("--lies", help="binaries whose disk can be told to lie")
    parser.add_argument("--states", type=int, default=200)
    parser.add_argument("--full", action="store_true", help="every flush method with every engine, several lives")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--only", default="", help="series whose name holds this")
    parser.add_argument("--pace", type=float, default=1.0, help="length of a life")
    parser.add_argument("--keep", help="folder for the recordings of series with violations")
    parser.add_argument("--again", help="a life that was kept")
    parser.add_argument("--state", type=int)
    options = parser.parse_args()
    options.bin_dir = os.path.abspath(options.bin_dir)
    options.client = os.path.abspath(
        options.client or os.path.join(options.bin_dir, "power_cut_client"))
    return options


def all_series(options):
    combinations, rounds = (QUICK + MORE, FULL_ROUNDS) if options.full else (QUICK, 1)
    # Full: two flush methods share the states of an engine.
    states = options.states * len(QUICK) // len(combinations) // rounds
    series = [workload.Series(*one, "", states, number)
              for number in range(rounds) for one in combinations]
    if options.lies:
        series += [workload.Series(*one, LIE_STATES, 0) for one in LIES]
    return [one for one in series if options.only in name_of(one)]


def row(series, tally, writes, violations, seconds):
    verdict = "ok"
    if tally["broken"]:
        verdict = "BROKEN"
    elif series.lie:
        verdict = "caught" if tally["wrong states"] else "NOT CAUGHT"
    elif violations:
        verdict = "VIOLATED"
    columns = (series.fs, series.engine, series.flush, series.lie or "-", tally["states"],
               tally["acknowledged"], tally["read as durable"], tally["batches"],
               tally["commits"] + tally["positions"], writes["dropped"], writes["torn"],
               tally["wrong states"], verdict, f"{seconds:.0f} s")
    return columns, verdict


HEADS = ("FS", "ENGINE", "FLUSH", "LIE", "STATES", "ACKED", "SEEN", "BATCHES", "POSITIONS",
         "DROPPED", "TORN", "WRONG", "VERDICT", "TIME")
WIDTHS = (5, 9, 10, 14, 7, 9, 9, 9, 10, 8, 6, 6, 11, 6)


def show(columns):
    print("".join(str(text).ljust(width) for text, width in zip(columns, WIDTHS)).rstrip(),
          flush=True)


def main():
    options = arguments()
    reason = device.why_not()
    if reason:
        print(f"skipped: {reason}")
        return SKIPPED
    if options.again:
        return look_again(options)
    print(f"seed {options.seed}")
    show(HEADS)
    total, failed = collections.Counter(), 0
    work = [(one, options) for one in all_series(options)]
    for series, tally, writes, violations, seconds in device.run_all(options.jobs, run_series, work):
        columns, verdict = row(series, tally, writes, violations, seconds)
        show(columns)
        good = verdict in ("ok", "caught")
        failed += not good
        if not good or series.lie:
            for text in violations[:1 if good else MOST_SHOWN]:
                print(f"    {text}", flush=True)
        if not series.lie:
            total.update(tally)
    for kind in ("events", "sequences", "settled", "delayed"):
        if total["states"] >= LIE_STATES and not total[kind]:
            failed += 1
            print(f"    nothing was checked: {kind}", flush=True)
    print(f"{total['states']} states, {total['acknowledged']} acknowledged records checked, "
          f"{total['events']} events, {total['sequences']} sequences of a name, "
          f"{total['settled']} settlements, {total['delayed']} delayed; "
          f"{total['wrong states']} states with violations; {failed} series failed; "
          f"seed {options.seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
