"""What a broker finds after a cut, and whether that keeps every promise that was made before it."""
import bisect
import collections
import json
import re
import subprocess

import power_cut_workload as workload

NAME = re.compile(r"([a-z])(\d+)-(\d+)-")
EVENT = re.compile(r"([ef]\d+)-\d+-(s\d+)@(\d+)/(\d+)/(\d+)-")
BATCH = re.compile(r"(b\d+)-\d+-(\d+)/(\d+)/(\d+)-")


class Found:
    """The log and the groups' positions, as the command shows them."""

    def __init__(self, instance):
        self.violations = []
        self.logs = collections.defaultdict(dict)  # (topic, partition): offset -> payload
        self.positions = {}  # (group, topic, partition): offset
        self.ends = {}
        self.versions = {}  # (partition, offset): of the event there
        self.streams = {}  # name: version, by the index
        self.last = {}  # partition: last sequence of the producer n
        self.waiting = set()  # ids of records that are not delivered yet
        self._state(instance)
        topics = [*workload.TOPICS, workload.LETTERS]
        done = self._consume(instance, topics)
        if done.returncode != 0:  # a cut before all topics were made
            known = json.loads(instance.must("--format", "json", "topic", "list"))
            topics = [row["topic"] for row in known if row["topic"] in topics]
            done = self._consume(instance, topics) if topics else None
        if done is not None:
            self._take(done)
        for group in ("g", "h"):
            shown = instance.run("--format", "json", "group", "describe", group)
            if shown.returncode != 0:
                continue  # not there yet
            for row in json.loads(shown.stdout):
                where = (row["topic"], row["partition"])
                self.ends[where] = row["log_end_offset"]
                if row["current_offset"] is not None:
                    self.positions[(group, *where)] = row["current_offset"]

    def _state(self, instance):
        """Before the log is read: what waits no more by then is in it. A topic may not be there."""
        for row in json.loads(instance.must("--format", "json", "schedule", "list")):
            self.waiting.add(row["id"])
        listed = instance.run("--format", "json", "events", "streams", "e")
        if listed.returncode == 0:
            self.streams = {row["stream"]: row["version"] for row in json.loads(listed.stdout)}
        last = subprocess.run([instance.client, instance.run_dir, "last", "n", "n"],
                              capture_output=True, timeout=workload.LIMIT_S)
        if last.returncode == 0:
            self.last = dict(map(int, line.split()) for line in last.stdout.splitlines())

    def _consume(self, instance, topics):
        return instance.run("consume", *topics, "-o", "start", "-e", "-f", "%t %p %o %v %s\\n")

    def _take(self, done):
        if done.returncode != 0:
            self.violations.append(f"consume ends with {done.returncode}: "
                                   f"{done.stderr.decode(errors='replace').strip()}")
        for line in done.stdout.decode(errors="replace").splitlines():
            topic, partition, offset, version, payload = line.split(" ", 4)
            if version:
                self.versions[(int(partition), int(offset))] = int(version)
            log = self.logs[(topic, int(partition))]
            if int(offset) in log:
                self.violations.append(f"{topic}/{partition}/{offset} is there twice")
            log[int(offset)] = payload

    def promises(self):
        """Everything that is there, for whom it is the state to go on from."""
        return [(topic, partition, offset, payload)
                for (topic, partition), log in self.logs.items() for offset, payload in log.items()]


class Judge:
    """Checks what was found after a cut against the history of what was promised."""

    def __init__(self, history, inherited=None, inherited_at=0, sent_before=None):
        """`inherited`: what was there, and read, when this history began, at moment
        `inherited_at`; what was not there then must not come back."""
        self.history = history
        self.acked = sorted(history.acked)
        self.seen = sorted(history.seen)
        self.positions = sorted(history.positions)
        self.inherited = inherited
        self.inherited_at = inherited_at
        self.sent_before = sent_before or {}
        self.checked = collections.Counter()

    def judge(self, moment, found):
        violations = list(found.violations)
        for text in (*self._dense(found), *self._kept(moment, found), *self._sent(found),
                     *self._batches(found), *self._at_positions(moment, found),
                     *self._revived(moment, found), *self._events(found), *self._named(found),
                     *self._waiting(moment, found)):
            violations.append(text)
        return violations

    def _dense(self, found):
        for (topic, partition), log in found.logs.items():
            first, last = min(log), max(log)
            if last - first + 1 != len(log):
                yield f"{topic}/{partition}: {len(log)} records from {first} to {last}"
            if first != 0 and topic != "r":
                yield f"{topic}/{partition} begins at {first}"

    def _kept(self, moment, found):
        known = [("acknowledged", self.acked), ("read as durable", self.seen)]
        if self.inherited is not None and moment >= self.inherited_at:
            known.append(("there at the start", [
                workload.Promise(self.inherited_at, *one) for one in self.inherited.promises()]))
        for what, promises in known:
            for one in promises[:bisect.bisect_right(promises, (moment, "\x7f"))]:
                log = found.logs.get((one.topic, one.partition), {})
                self.checked[what] += 1
                if log.get(one.offset) == one.payload:
                    continue
                end = max(log, default=-1) + 1
                if one.topic == "r" and one.offset not in log and one.offset < min(
                        min(log, default=0), end - workload.RETAINED):
                    continue  # taken by retention, which leaves at least so many
                yield (f"{what} at {one.moment}, {one.topic}/{one.partition}/{one.offset} "
                       f"{one.payload[:30]!r}: found {str(log.get(one.offset))[:30]!r}, "
                       f"the log ends at {end}")

    def _sent(self, found):
        """Nothing that nobody sent, nothing twice, and each producer's records in its order."""
        for (topic, partition), log in found.logs.items():
            last = {}
            by = {workload.LETTERS: "q", "e": "ef"}.get(topic, topic)
            for offset in sorted(log):
                payload = log[offset]
                match = NAME.match(payload)
                if match is None or match[1] not in by or (
                        topic not in "ben" and payload not in self.history.sent[by]
                        and payload not in self.sent_before.get(by, ())):
                    yield f"{topic}/{partition}/{offset}: nobody sent {payload[:40]!r}"
                    continue
                if topic == workload.LETTERS:
                    continue
                if int(match[3]) <= last.get(match[1] + match[2], 0):
                    yield (f"{topic}/{partition}/{offset}: {payload[:20]!r} stands behind "
                           f"number {last[match[1] + match[2]]} of its producer")
                last[match[1] + match[2]] = int(match[3])
                self.checked["records"] += 1

    def _batches(self, found):
        for (topic, partition), log in found.logs.items():
            if topic != "b":
                continue
            expected = None  # of the batch that is not over
            for offset in sorted(log):
                match = BATCH.match(log[offset])
                if match is None:
                    yield f"b/{partition}/{offset}: not a record of a batch"
                    continue
                name, batch, records, index = match[1], *map(int, match.groups()[1:])
                if expected is None and index != 0 or expected not in (None, (name, batch, index)):
                    yield f"b/{partition}/{offset}: {match[0]} follows {expected}"
                self.checked["batches"] += index == 0
                expected = (name, batch, index + 1) if index + 1 < records else None
            if expected is not None:
                yield f"b/{partition}: the last batch is half there: {expected} is missing"

    def _events(self, found):
        """The versions of a stream have no hole and say what its writer expected; no append is half
        there; the index knows the same."""
        versions = collections.Counter()
        for (topic, partition), log in found.logs.items():
            if topic != "e":
                continue
            expected = None
            for offset in sorted(log):
                match = EVENT.match(log[offset])
                if match is None:
                    yield f"e/{partition}/{offset}: not an event that was sent"
                    continue
                name, stream = match[1], match[2]
                version, events, index = map(int, match.groups()[2:])
                if expected is None and index != 0 or expected not in (None, (name, stream, index)):
                    yield f"e/{partition}/{offset}: {match[0]} follows {expected}"
                expected = (name, stream, index + 1) if index + 1 < events else None
                versions[stream] += 1
                if not versions[stream] == version == found.versions.get((partition, offset)):
                    yield (f"e/{partition}/{offset}: {match[0]} has version "
                           f"{found.versions.get((partition, offset))}, is number "
                           f"{versions[stream]} of its stream")
                self.checked["events"] += 1
            if expected is not None:
                yield f"e/{partition}: the last append is half there: {expected} is missing"
        if dict(versions) != found.streams:
            yield f"the index has {found.streams}, the log {dict(versions)}"

    def _named(self, found):
        """The sequences of a name have no hole, over all lives, and the broker knows the last."""
        for (topic, partition), log in found.logs.items():
            if topic != "n":
                continue
            sequences = [int(NAME.match(log[offset])[3]) for offset in sorted(log)]
            if sequences != list(range(1, len(sequences) + 1)):
                yield f"n/{partition}: the sequences of the name are {sequences[-5:]} at the end"
            if found.last.get(partition) != len(sequences):
                yield (f"n/{partition} has {len(sequences)} sequences, the broker says "
                       f"{found.last.get(partition)}")
            self.checked["sequences"] += len(sequences)

    def _waiting(self, moment, found):
        delivered = {payload for (topic, _), log in found.logs.items() if topic == "w"
                     for payload in log.values()}
        for one in self.history.waiting:
            if one.moment > moment:
                break
            self.checked["delayed"] += 1
            if one.payload not in delivered and one.id not in found.waiting:
                yield f"delayed record {one.id} {one.payload[:20]!r} of {one.moment} is gone"

    def queue(self, moment, found, drained):
        """`drained`: what the queue w still gave, or nothing if there is no such queue."""
        given = {(one[0], one[1]): one[2] for one in drained or ()}
        if drained is not None and len(given) != len(drained):
            yield f"the queue gave {len(drained) - len(given)} records twice"
        letters = set().union(*(log.values() for (topic, _), log in found.logs.items()
                                if topic == workload.LETTERS))
        for one in self.history.settled:
            if one.moment > moment:
                break
            place = (one.partition, one.offset)
            self.checked["settled"] += 1
            if one.how == "back":
                if given.get(place, 2) < 2:
                    yield f"q/{place} was put back, its attempts are forgotten"
            elif drained is None or place in given:
                yield f"q/{place} was {one.how}, settled before {one.moment}, and came again"
            elif one.how == "dead" and found.logs.get(("q", one.partition), {}).get(
                    one.offset) not in letters:
                yield f"q/{place} was rejected before {one.moment}, and there is no letter"
        asked = {(one.partition, one.offset) for one in self.history.asked if one.moment <= moment}
        for (topic, partition), log in found.logs.items():
            for offset in log if topic == "q" and drained is not None else ():
                if (partition, offset) not in given and (partition, offset) not in asked:
                    yield f"q/{partition}/{offset} was never settled, and does not come"

    def _at_positions(self, moment, found):
        for (group, topic, partition), offset in found.positions.items():
            self.checked["positions"] += 1
            if offset > found.ends[(topic, partition)]:
                yield (f"group {group} stands at {topic}/{partition}/{offset}, the log ends at "
                       f"{found.ends[(topic, partition)]}")
        best = {}
        for one in self.positions:
            if one.moment > moment:
                break
            best[(one.group, one.topic, one.partition)] = one.offset
        for where, offset in best.items():
            self.checked["commits"] += 1
            if found.positions.get(where, -1) < offset:
                yield (f"{where[1]}/{where[2]}/{offset} was committed durably by {where[0]}; found "
                       f"{found.positions.get(where)}")

    def _revived(self, moment, found):
        if self.inherited is None or moment < self.inherited_at:
            return
        for where, log in found.logs.items():
            if where[0] in ("w", workload.LETTERS):
                continue  # delivered, buried after the cut
            end = max(self.inherited.logs.get(where, {}), default=-1) + 1
            for offset, payload in log.items():
                match = NAME.match(payload)
                if offset >= end and match and match[2] != "2":
                    yield (f"{where[0]}/{where[1]}/{offset}: {payload[:20]!r} was gone after the "
                           "first cut and is back after the second")


def drained(instance):
    """(partition, offset, attempt) of all that the queue has left."""
    shown = instance.run("--format", "json", "group", "describe", "w")
    if shown.returncode != 0:
        return None
    left = sum(row["left"] for row in json.loads(shown.stdout)["partitions"])
    done = subprocess.run([instance.client, instance.run_dir, "drain", "q", "w", str(left)],
                          capture_output=True, timeout=workload.LIMIT_S)
    if done.returncode != 0:
        raise OSError(f"the queue has {left} records left and does not give them all: "
                      f"{done.stderr.decode(errors='replace').strip()}")
    return [tuple(map(int, line.split())) for line in done.stdout.splitlines()]


def goes_on(instance, found):
    """After a cut the log takes records again."""
    for topic in sorted({topic for topic, _ in found.logs} - {"e"})[:1]:
        done = subprocess.run(
            instance.command("produce", topic, "-p", "0", "--acks", "durable", "--timeout",
                             "10000"), input=b"after\n", capture_output=True, timeout=60)
        if done.returncode != 0:
            yield (f"{topic} takes no durable append after the cut: "
                   f"{done.stderr.decode(errors='replace').strip()}")


def verified(instance):
    done = instance.run("verify", "--deep", "--data-dir", instance.data_dir)
    if done.returncode != 0:
        yield f"verify ends with {done.returncode}: {done.stdout.decode(errors='replace').strip()}"
