"""What goes on while somebody dies: each scene plays a part of the product's life with a daemon and
clients that have roles, and checks afterwards. `cast` says who visits, dies or stops where; a scene
must hold whoever it is. Used by kill_points.py."""
import os
import signal
import time

from cast import begin, blame_if, meanwhile, same_after_restart
from instance import LINES, TIMEOUT_S, Violation, is_stopped
from kept_scenes import delays, queues, sleeps, streams

ENDLESS = 1_000_000
LEASE_LOST = 9  # exit code of crash_client
NAME_TAKEN = 1


def produce_and_consume(instance, cast):
    """Two producers and a group, whose second member must get all that the first did not."""
    begin(instance, cast)
    first = instance.produce("a", LINES, cast.env("producer"))
    others = ["b"] if cast.role != "daemon" else []
    second = instance.produce("b", LINES) if others else None
    others += meanwhile(instance, first, "a")
    stopped_only = cast.environment.get("MALLBOTS_CRASH_HOW") == "stop"
    instance.wait(first, "a", (0,) if stopped_only else cast.codes("producer"))
    if second:
        instance.wait(second, "b")
    group_reads_all(instance, cast, len(others) + 1)
    sure = [name for name in ["a", *others] if name != "a" or first.returncode == 0]
    before = instance.check(["a", *others], exactly_once=sure)
    same_after_restart(instance, ["a", *others], before)


def group_reads_all(instance, cast, names):
    form = "%p %o %k,%s\\n"
    with open(instance.path("dying.out"), "wb") as out:
        member = instance.spawn(instance.command("consume", "t", "-g", "g", "-e", "-f", form),
                                cast.env("member"), stdout=out)
        meanwhile(instance, member, "m")
    heir = instance.until_done("consume", "t", "-g", "g", "-e", "-f", form)
    with open(instance.path("dying.out")) as out:
        whole = out.read()
    seen = set(whole[:whole.rfind("\n") + 1].splitlines()) | set(heir.stdout.decode().splitlines())
    records = instance.read_log()
    sent = {f"{p} {o} {text}" for p, by in records.items() for o, text in by.items()}
    if not sent >= seen or (sent != seen and names):
        raise Violation(f"{len(sent - seen)} records reached no member, "
                        f"{len(seen - sent)} were never sent")


def handed_in(instance, cast):
    """Two producers whose records the broker appends for them, while either side dies."""
    instance.daemon_env = cast.daemon_env()
    instance.start()
    instance.create_topic(settings={"ingest": "sequenced"})
    first = instance.produce("a", LINES, cast.env("hander"))
    second = instance.produce("b", LINES)
    others = ["b", *meanwhile(instance, first, "a")]
    stopped_only = cast.environment.get("MALLBOTS_CRASH_HOW") == "stop"
    instance.wait(first, "a", (0,) if stopped_only else cast.codes("hander"))
    instance.wait(second, "b")
    sure = [name for name in ["a", *others] if name != "a" or first.returncode == 0]
    before = instance.check(["a", *others], exactly_once=sure)
    instance.create_topic("gone", 1, {"ingest": "sequenced"})
    instance.wait(instance.produce("g", 50, topic="gone"), "g")
    gone(instance, "gone")
    same_after_restart(instance, ["a", *others], before)


def restarts(instance, cast):
    """A clean stop, then the loss of all memory, with appends before, between and after."""
    begin(instance, cast)
    names = []
    for name, then in (("a", instance.restart_all), ("b", instance.lose_memory), ("c", None)):
        instance.wait(instance.produce(name, LINES // 3), name)
        names.append(name)
        if then:
            then()
    before = instance.check(names, exactly_once=names)
    instance.lose_memory()
    if instance.check(names) != before:
        raise Violation("the log is another one after the memory was lost")


def gone(instance, topic):
    end = time.monotonic() + TIMEOUT_S
    while instance.run("topic", "describe", topic).returncode == 0:
        instance.keep_up()
        instance.run("topic", "delete", topic, "--execute")
        if time.monotonic() > end:
            raise Violation(f"topic {topic} could not be deleted")
    instance.until_done("topic", "list")
    if instance.run("topic", "describe", topic).returncode != 1:
        raise Violation(f"topic {topic} came back")


def housekeeping(instance, cast):
    """The pwrite twin; retention, deletion, zeros ahead, spares, a group file that is renewed."""
    instance.configure('io.engine = "pwrite"')
    begin(instance, cast)
    instance.create_topic("r", 1, {"slot.bytes": "64KiB", "segment.bytes": "64KiB",
                                   "retention.records": "200"})
    instance.create_topic("many", 8)
    instance.create_topic("z", 1, {"segment.bytes": "16MiB"})
    for name, count, topic in (("a", LINES, "t"), ("r", 1500, "r"), ("m", 200, "many"),
                               ("z", 12000, "z"), ("z2", 3000, "z")):
        instance.wait(instance.produce(name, count, topic=topic), name)
    conflict = instance.start_client("conflict", "conflict", "t", env=cast.env("refused"))
    others = meanwhile(instance, conflict, "conflict")
    instance.wait(conflict, "conflict", cast.codes("refused"))
    commits = instance.start_client("commits", "commits", "t", "many-commits", "1200")
    instance.wait(commits, "commits")
    instance.until_done("consume", "t", "-g", "g", "-e", "-f", "%o\\n")
    end = time.monotonic() + TIMEOUT_S
    while instance.run("group", "delete", "g", "--execute").returncode == 0:
        if time.monotonic() > end:
            raise Violation("group g could not be deleted")
    gone(instance, "many")
    names = ["a", *others]
    before = instance.check(names, exactly_once=names)
    instance.check(["z", "z2"], exactly_once=["z", "z2"], topic="z")
    kept = instance.read_log("r", dense_from_zero=False)
    blame_if(max(kept[0]) != 1499, "the newest record of topic r is gone")
    same_after_restart(instance, names, before)
    blame_if(os.path.exists(instance.path("data/topics/many")), "topic many came back")


def lease(instance, cast):
    """Exclusive producers, of which each takes the partition over from one that is in the middle of
    it: alive, stopped, dead."""
    begin(instance, cast)
    # Slots so large that no holder comes to a next one, where it would hear that its lease is lost.
    instance.create_topic("x", 1, {"producers": "exclusive", "slot.bytes": "32MiB",
                                   "segment.bytes": "32MiB"})

    def run(name, count, env=None):
        return instance.start_client(name, "exclusive", "x", name, str(count), env=env)

    first = run("e", ENDLESS, cast.env("exclusive"))
    until_busy(instance, first, "e")
    instance.wait(run("f", 300), "f")
    if is_stopped(first):
        first.send_signal(signal.SIGCONT)
    stops = cast.environment.get("MALLBOTS_CRASH_HOW") == "stop"
    instance.wait(first, "e", (LEASE_LOST,) if stops else cast.codes("exclusive", (LEASE_LOST,)))
    third = run("h", ENDLESS)
    until_busy(instance, third, "h")
    third.kill()
    third.wait()
    instance.wait(run("i", 100), "i")
    check_lease(instance)
    instance.restart_all()
    check_lease(instance)


def names(instance, cast):
    """One input under one name, sent by several who take the name from each other."""
    begin(instance, cast)

    def run(**how):
        return instance.produce("n", LINES, options=("--producer", "p"), **how)

    def check():
        found = sorted(text for by in instance.read_log().values() for text in by.values())
        blame_if(found != sorted(lines), f"{len(found)} records of {len(lines)} lines")

    older = run(by_pipe=True)
    with open(instance.path("n.in")) as source:
        lines = source.read().splitlines()
    feed(older, [line.encode() + b"\n" for line in lines[:LINES // 2]])
    end = time.monotonic() + TIMEOUT_S
    while not instance.acknowledged("n"):
        instance.keep_up()
        blame_if(older.poll() is not None or time.monotonic() > end, "the first holder hangs")
        time.sleep(0.005)
    instance.wait(run(), "n")
    feed(older, [line.encode() + b"\n" for line in lines[LINES // 2:]])
    older.stdin.close()
    instance.wait(older, "n", (NAME_TAKEN,))
    check()
    instance.lose_memory()
    instance.wait(run(), "n")
    check()
    instance.restart_all()
    instance.wait(run(), "n")
    check()


def until_busy(instance, process, name):
    """Until it has appended something, or can no more."""
    end = time.monotonic() + TIMEOUT_S
    while process.poll() is None and not is_stopped(process):
        instance.keep_up()
        if len(instance.acknowledged(name)) >= 70:
            return
        blame_if(time.monotonic() > end, f"{name} did not begin")
        time.sleep(0.005)


def check_lease(instance):
    log = instance.read_log("x")
    for name in "efhi":
        for number, _, offset in instance.acknowledged(name):
            blame_if(not log[0].get(offset, "").startswith(f",{name}-{number}-"),
                     f"{name}-{number}, acknowledged as {offset}, is not there")
        instance.check_order(log, name)
    holders = [text[1] for _, text in sorted(log[0].items())]
    changes = [one for i, one in enumerate(holders) if i == 0 or holders[i - 1] != one]
    blame_if(changes != ["e", "f", "h", "i"][4 - len(changes):],
             f"holders of the lease are mixed: {changes}")


def stop_at(point, nth, instance, how="stop"):
    return {"MALLBOTS_CRASH_AT": point, "MALLBOTS_CRASH_NTH": str(nth), "MALLBOTS_CRASH_HOW": how,
            "MALLBOTS_CRASH_ONCE": instance.flag(f"client-{point}-{nth}-{how}")}


def stop_first(instance, point="word.commit:5", name="client"):
    return {"MALLBOTS_CRASH_FIRST": point, "MALLBOTS_CRASH_FIRST_HOW": "stop",
            "MALLBOTS_CRASH_FIRST_ONCE": instance.flag(f"{name}-first")}


def pid_is_stopped(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "T"
    except FileNotFoundError:
        return False


def outrun(instance, cast):
    """A holder that commits between the broker's note of its fence and the fence itself."""
    instance.daemon_env = {**cast.env("daemon"), **stop_first(instance, "word.fence:1", "broker")}
    instance.start()
    instance.create_topic()
    holder = instance.produce("a", LINES, stop_first(instance))
    end = time.monotonic() + TIMEOUT_S
    while holder.poll() is None and not (is_stopped(holder) and pid_is_stopped(
            instance.broker_pid())):
        instance.keep_up()
        blame_if(time.monotonic() > end, "nobody was stopped")
        time.sleep(0.005)
    broker = instance.broker_pid()
    holder.send_signal(signal.SIGCONT)
    while os.path.exists(instance.path("a.report")) and not instance.acknowledged("a") and \
            time.monotonic() < end - TIMEOUT_S + 1:
        time.sleep(0.01)  # the broker stands, so at most a second: the commit needs none of it
    if pid_is_stopped(broker):
        os.kill(broker, signal.SIGCONT)
    instance.wait(holder, "a")
    instance.wait(instance.produce("b", 300), "b")
    before = instance.check(["a", "b"], exactly_once=["a", "b"])
    same_after_restart(instance, ["a", "b"], before)


def deleted_while_held(instance):
    """A topic goes while a holder of one of its words stands."""
    instance.create_topic("y", 1)
    holder = instance.produce("y", LINES, stop_at("word.commit", 6, instance), topic="y")
    end = time.monotonic() + TIMEOUT_S
    while holder.poll() is None and not is_stopped(holder):
        instance.keep_up()
        blame_if(time.monotonic() > end, "y did not stop")
        time.sleep(0.005)
    instance.wait(instance.produce("y2", 300, topic="y"), "y2")
    gone(instance, "y")
    holder.send_signal(signal.SIGCONT)
    instance.wait(holder, "y", None)


def fences(instance, cast):
    """Holders that stall, die, come back; a reader that holds its view; a session of nonsense."""
    instance.configure('orphan.max = "64KiB"')
    begin(instance, cast)
    instance.wait(instance.produce("a", 300), "a")
    holder = instance.start_client("hold", "hold", "t", "200", env=cast.env("reader"))
    end = time.monotonic() + TIMEOUT_S
    while holder.poll() is None and not is_stopped(holder):
        instance.keep_up()
        blame_if(time.monotonic() > end, "hold did not stop")
        time.sleep(0.005)
    back = instance.produce("v", LINES, {**cast.env("fenced"), **stop_first(instance)})
    names = ["a", "v", *meanwhile(instance, back, "v")]
    stops = cast.environment.get("MALLBOTS_CRASH_HOW") == "stop"
    instance.wait(back, "v", (0,) if stops else cast.codes("fenced"))
    dead = instance.produce("d", LINES, stop_at("word.commit", 7, instance, "kill"))
    instance.wait(dead, "d", None)
    late = instance.produce("s", LINES, stop_at("word.commit", 5, instance))
    names += ["d", "s", *meanwhile(instance, late, "s", resume=False)]
    instance.wait(instance.start_client("garbage", "garbage"), "garbage", (0, 1))
    deleted_while_held(instance)
    instance.wait(instance.produce("z", 300), "z")
    names.append("z")
    meanwhile(instance, holder, "hold")
    instance.wait(holder, "hold", cast.codes("reader"))
    sure = [name for name in names if name not in "ds" and (name != "v" or back.returncode == 0)]
    before = instance.check(names, exactly_once=sure)
    same_after_restart(instance, names, before)


def disk_refuses(instance, cast):
    """Files that may not grow for a while: writes fail, nothing acknowledged may be lost."""
    begin(instance, cast)
    producer = instance.produce("b", LINES, by_pipe=True)
    with open(instance.path("b.in"), "rb") as file:
        lines = file.readlines()
    feed(producer, lines[:20])
    end = time.monotonic() + TIMEOUT_S
    while len(instance.acknowledged("b")) < 20 and producer.poll() is None:
        instance.keep_up()
        blame_if(time.monotonic() > end, "b did not begin")
        time.sleep(0.005)
    instance.limit_file_size(8 << 10)  # a header, and one block of records
    feed(producer, lines[20:200])
    end = time.monotonic() + 0.6
    while producer.poll() is None and time.monotonic() < end:
        instance.keep_up()
        time.sleep(0.01)
    instance.limit_file_size(None)
    feed(producer, lines[200:])
    producer.stdin.close()
    instance.wait(producer, "b", (0, 1))  # the partition may have refused its records
    instance.wait(instance.produce("c", 300), "c")
    before = instance.check(["b", "c"], exactly_once=["b", "c"])
    same_after_restart(instance, ["b", "c"], before)


def feed(producer, lines):
    try:
        producer.stdin.write(b"".join(lines))
        producer.stdin.flush()
    except BrokenPipeError:
        pass


class Scene:
    def __init__(self, play, name=None, first=None, roles=("daemon",)):
        self.play, self.first, self.roles = play, first, roles
        self.name = name or play.__name__


# A point is run in the first scene that visits it, so the quick ones stand first.
SCENES = [
    Scene(produce_and_consume, roles=("daemon", "producer", "member")),
    Scene(handed_in, roles=("daemon", "hander")),
    Scene(restarts),
    Scene(names),
    Scene(produce_and_consume, "heir of a row", first="groups.free-row:2"),
    Scene(produce_and_consume, "heir of a header", first="storage.segment.header:1"),
    Scene(lease, roles=("daemon", "exclusive")),
    Scene(fences, roles=("daemon", "fenced", "reader")),
    Scene(fences, "heir of a fence", first="word.fence:1"),
    Scene(outrun),
    Scene(disk_refuses),
    Scene(sleeps),
    Scene(delays),
    Scene(queues, roles=("daemon", "queuer")),
    Scene(streams, roles=("daemon", "eventer")),
    Scene(housekeeping, roles=("daemon", "refused")),
]
