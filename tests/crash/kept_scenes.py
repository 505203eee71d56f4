"""Scenes of what the broker keeps beside the log: members' rows and cells, delayed records, queues,
the index of streams. As scenes.py."""
import json
import subprocess
import time

from cast import begin, blame_if, meanwhile
from instance import TIMEOUT_S


def sleeps(instance, cast):
    """A member of a group that does not poll for too long: its partitions go to the next one, who
    goes on exactly behind what it has committed."""
    begin(instance, cast)
    instance.wait(instance.produce("a", 300), "a")
    sleeper = instance.start_client("sleeper", "sleeper", "t", "g")
    instance.wait(sleeper, "sleeper")
    heir = instance.until_done("consume", "t", "-g", "g", "-e", "-f", "%p %o\\n")
    with open(instance.path("sleeper.report")) as report:
        committed = set(report.read().splitlines())
    read = set(heir.stdout.decode().splitlines())
    blame_if(committed & read, f"{len(committed & read)} records came again after a durable commit")
    if sleeper.returncode == 0:
        sent = {f"{p} {o}" for p, by in instance.read_log().items() for o in by}
        blame_if(sent != committed | read, f"{len(sent - committed - read)} records reached nobody")


DELAYED = 300


def delays(instance, cast):
    """Records that wait: handed in, delivered and cancelled while somebody dies, each comes once."""
    begin(instance, cast)
    with open(instance.path("w.in"), "w") as out:
        out.writelines(f"k{i % 50},w-{i}-{'x' * 200}\n" for i in range(DELAYED))
    waiting = []
    for name, delay in (("w", "250ms"), ("never", "1h")):
        with open(instance.path("w.in")) as source, \
                open(instance.path(f"{name}.err"), "w") as errors:
            process = instance.spawn(
                instance.command("produce", "t", "-K", ",", "--acks", "durable", "--delay", delay,
                                 "--timeout", "30000", "--report", instance.path(f"{name}.ids")),
                stdin=source, stdout=subprocess.DEVNULL, stderr=errors)
        waiting.append((process, name))
    for process, name in waiting:
        instance.wait(process, name)
    instance.wait(instance.produce("a", 300), "a")
    with open(instance.path("never.ids")) as report:
        never = [line.split()[2] for line in report.read().splitlines()]
    for number in never[:5]:
        # A cancel whose answer was lost with the broker may have been done.
        instance.until_done("schedule", "cancel", number, accept=(0, 1))
    whole = all(instance.ended[name] == 0 for _, name in waiting)
    check_delays(instance, whole)
    instance.lose_memory()
    time.sleep(0.1)  # for an heir that delivers again: check_delays ends as soon as all are there
    check_delays(instance, whole)


def check_delays(instance, whole):
    """`whole`: both producers were told that all their records are in."""
    end = time.monotonic() + TIMEOUT_S
    while True:
        records = instance.read_log()
        came = sum(",w-" in text for by in records.values() for text in by.values())
        if came == DELAYED or not whole:
            break
        blame_if(time.monotonic() > end or came > DELAYED, f"{came} of {DELAYED} were delivered")
        time.sleep(0.05)
    instance.check_order(records, "w")
    listed = instance.until_done("schedule", "list", "t", "--format", "json")
    left = len(json.loads(listed.stdout))
    blame_if(whole and not DELAYED - 5 <= left <= DELAYED, f"{left} are left of {DELAYED - 5}")


def queue_report(instance, name, word):
    """(partition, offset) of the whole lines of that word that a member of the queue printed."""
    try:
        with open(instance.path(f"{name}.report")) as report:
            text = report.read()
    except FileNotFoundError:
        return []
    rows = [line.split() for line in text[:text.rfind("\n") + 1].splitlines()]
    return [(int(row[1]), int(row[2])) for row in rows if len(row) == 3 and row[0] == word]


def queues(instance, cast):
    """Members of a queue that die and stop, and a broker that does: every record is settled, what was
    confirmed never comes again, and what was rejected is a letter."""
    begin(instance, cast)
    instance.wait(instance.produce("a", 400), "a")
    sent = {(p, o) for p, by in instance.read_log().items() for o in by}
    first = instance.start_client("q1", "queue", "t", "g", env=cast.env("queuer"))
    meanwhile(instance, first, "other")  # they append while it stands
    instance.wait(first, "q1", cast.codes("queuer"))
    instance.wait(instance.start_client("q2", "queue", "t", "g"), "q2")
    sent = {(p, o) for p, by in instance.read_log().items() for o in by}
    got = set(queue_report(instance, "q1", "got")) | set(queue_report(instance, "q2", "got"))
    blame_if(got != sent, f"{len(sent - got)} of {len(sent)} reached no member")
    again = set(queue_report(instance, "q1", "done")) & set(queue_report(instance, "q2", "got"))
    if cast.role != "daemon":
        blame_if(again, f"{sorted(again)[:3]} came again after they were confirmed")
    check_letters(instance, sent)
    for end_it in (instance.restart_all, instance.lose_memory):  # an orderly end flushes the journal
        end_it()
        instance.wait(instance.start_client("q3", "queue", "t", "g"), "q3")
        blame_if(queue_report(instance, "q3", "got"), "the queue gave a record again")
        check_letters(instance, sent)


def check_letters(instance, sent):
    """Each rejected record has a letter; two if the broker died between it and its entry."""
    end = time.monotonic() + TIMEOUT_S
    rejected = {place for place in sent if place[1] % 10 == 3}
    while True:
        listed = instance.until_done("--format", "json", "dlq", "list", "t", "-g", "g")
        letters = json.loads(listed.stdout)
        if len(letters) >= len(rejected):
            break
        blame_if(time.monotonic() > end, f"{len(letters)} letters of {len(rejected)} rejected")
        time.sleep(0.05)
    blame_if(len(letters) > len(rejected) + 64, f"{len(letters)} letters of {len(rejected)}")


EVENT_APPENDS = 60  # of 25 events: more than the broker's last checkpoint of a topic needs


def streams(instance, cast):
    """Streams of events, whose index is written when the daemon ends and read when it
    starts; the same from the log alone."""
    begin(instance, cast)
    instance.create_topic("ev", 1, {"type": "events"})
    versions = {}
    for name, then in (("e1", instance.restart_all), ("e2", instance.restart_all),
                       ("e3", instance.lose_memory), ("e4", None)):
        writer = instance.start_client(name, "events", "ev", str(EVENT_APPENDS),
                                       env=cast.env("eventer"))
        meanwhile(instance, writer, name)
        instance.wait(writer, name, cast.codes("eventer"))
        with open(instance.path(f"{name}.report")) as report:
            text = report.read()
        for line in text[:text.rfind("\n") + 1].splitlines():
            stream, version = line.split()
            blame_if(int(version) <= versions.get(stream, 0),
                     f"{stream} got version {version} twice")
            versions[stream] = int(version)
        if then:
            then()
        check_streams(instance, versions)


def check_streams(instance, versions):
    """Versions without a hole, each with what was appended as that one, up to what was
    acknowledged."""
    for stream, last in versions.items():
        read = instance.until_done("events", "read", "ev", stream, "-f", "%v %s\\n")
        found = read.stdout.decode().splitlines()
        blame_if(found != [f"{i + 1} {stream}@{i + 1}" for i in range(len(found))],
                 f"{stream} is mixed up: {found[:3]} ... {found[-3:]}")
        blame_if(len(found) < last, f"{stream} ends at {len(found)}, {last} was acknowledged")
