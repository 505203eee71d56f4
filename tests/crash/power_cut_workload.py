"""What runs on the device while it is recorded: the daemon, producers, a group reader, commits; and
the history of what they were promised, each promise with the moment of the device at which it was
known. Whoever gets a promise at moment m must find it kept in every cut at m or later."""
import collections
import json
import os
import random
import selectors
import signal
import socket
import subprocess
import threading
import time

import power_cut_device as device

Promise = collections.namedtuple("Promise", "moment topic partition offset payload")
Waiting = collections.namedtuple("Waiting", "moment id payload")
Settled = collections.namedtuple("Settled", "moment how partition offset")
Position = collections.namedtuple("Position", "moment group topic partition offset")
Series = collections.namedtuple("Series", "fs engine flush lie states round")
Life = collections.namedtuple("Life", "folder base oplog begin history inherited inherited_at sent")

SMALL = ["slot.bytes=64KiB", "segment.bytes=192KiB"]
RETAINED = 300
TOPICS = {  # name: partitions, settings
    "d": (4, SMALL),
    "b": (2, SMALL),
    "c": (2, SMALL + ["flush.interval=25ms"]),
    "e": (2, SMALL + ["type=events"]),
    "n": (2, SMALL),
    "q": (2, SMALL),
    "w": (2, SMALL),
    "r": (1, ["slot.bytes=64KiB", "segment.bytes=64KiB", f"retention.records={RETAINED}"]),
}
LETTERS = "q.w.dlq"  # of the queue w on the topic q
# What is produced with the command: topic, --acks, sizes of the payloads, lines in one go.
STREAMS = (("d", "durable", (20, 2200), 12), ("c", "committed", (200, 200), 20),
           ("r", "durable", (300, 300), 12), ("q", "durable", (40, 400), 4),
           ("w", "durable", (40, 400), 3))
DELAY = "400ms"  # of the records of the topic w
PAUSE_S = 0.02
LIMIT_S = 60


class Instance:
    """One mallbotsd and its commands."""

    def __init__(self, bins, folder, data_dir, engine, flush, environment=None):
        """`bins`: where mallbotsd and mallbots are; `flush`: io.flush."""
        self.bins = bins
        self.data_dir = data_dir
        self.run_dir = os.path.join(folder, "run")
        self.log_path = os.path.join(folder, "daemon.log")
        self.config = os.path.join(folder, "config.toml")
        self.environment = {**os.environ, **(environment or {})}
        self.daemon = None
        with open(self.config, "w") as out:
            out.write(f'io.engine = "{engine}"\nio.flush = "{flush}"\nlog.level = "warning"\n')

    def start(self):
        """Returns when it can be talked to."""
        path = os.path.join(self.run_dir, "control.sock")
        with open(self.log_path, "ab") as log:
            self.daemon = device.start(
                [os.path.join(self.bins, "mallbotsd"), "--data-dir", self.data_dir,
                 "--runtime-dir", self.run_dir, "--config", self.config],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment)
        end = time.monotonic() + LIMIT_S
        while not answers(path):
            if self.daemon.poll() is not None or time.monotonic() > end:
                raise OSError(f"no start; {self.log_tail()}")
            time.sleep(0.001)

    def command(self, *words):
        return [os.path.join(self.bins, "mallbots"), "--runtime-dir", self.run_dir, *words]

    def run(self, *words):
        return subprocess.run(self.command(*words), capture_output=True, timeout=LIMIT_S)

    def must(self, *words):
        done = self.run(*words)
        if done.returncode != 0:
            raise OSError(f"mallbots {' '.join(words)}: exit {done.returncode}: "
                          f"{done.stderr.decode(errors='replace').strip()}; {self.log_tail()}")
        return done.stdout

    def status(self):
        return json.loads(self.must("--format", "json", "status"))

    def create(self, topic, partitions, settings):
        words = ["topic", "create", topic, "-p", str(partitions)]
        for setting in settings:
            words += ["-c", setting]
        self.must(*words)

    def terminate(self):
        self.daemon.terminate()
        self.daemon.wait(LIMIT_S)

    def kill(self):
        if self.daemon:
            device.kill_group(self.daemon)
            self.daemon = None

    def log_tail(self):
        with open(self.log_path, errors="replace") as log:
            return "daemon: " + " | ".join(log.read().splitlines()[-4:])


def answers(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
        try:
            caller.connect(path)
        except OSError:
            return False
    return True


class History:
    """What was promised, and all that was ever handed in."""

    def __init__(self):
        self.acked = []  # Promise, by moment
        self.seen = []  # Promise: what a group with read=durable was given
        self.positions = []  # Position, by moment: durably committed
        self.sent = collections.defaultdict(set)  # topic: payloads
        self.waiting = []  # Waiting, by moment: durably handed in, to be delivered later
        self.asked = []  # Settled: not asked before that moment
        self.settled = []  # Settled, by moment: safe then

    def carried(self, moment):
        """What a life after a cut at that moment must keep beside the log."""
        heir = History()
        for kind in ("waiting", "asked", "settled"):
            setattr(heir, kind, [one._replace(moment=0) for one in getattr(self, kind)
                                 if one.moment <= moment])
        return heir

    def know(self, moment, acked=(), seen=(), positions=()):
        self.acked += [Promise(moment, *one) for one in acked]
        self.seen += [Promise(moment, *one) for one in seen]
        self.positions += [Position(moment, *one) for one in positions]


class Stream:
    """One `mallbots produce`, fed from here; its report comes back through a pipe with a name."""

    def __init__(self, instance, folder, topic, acks, name):
        self.topic = topic
        self.name = name
        self.lines = []  # payloads
        self.rest = b""
        path = os.path.join(folder, f"{name}.report")
        os.mkfifo(path)
        self.report = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.errors = os.path.join(folder, f"{name}.err")
        self.process = device.start(
            instance.command("produce", topic, "-K", ",", "--acks", acks, "--timeout", "30000",
                             "--report", path, *(("--delay", DELAY) if topic == "w" else ())),
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=open(self.errors, "wb"))

    def feed(self, count, sizes, dice, history):
        text = []
        for _ in range(count):
            head = f"{self.name}-{len(self.lines) + 1}-"
            size = dice.randint(*sizes)
            payload = head + (chr(ord("a") + len(self.lines) % 26) * size)[:max(0, size - len(head))]
            self.lines.append(payload)
            history.sent[self.topic].add(payload)
            text.append(f"k{dice.randrange(40)},{payload}\n")
        try:
            self.process.stdin.write("".join(text).encode())
            self.process.stdin.flush()
        except BrokenPipeError as error:
            with open(self.errors, encoding="utf-8", errors="replace") as said:
                raise OSError(f"the producer of {self.topic} has ended: {said.read()}") from error


class Workload:
    """Everything that runs beside the daemon. `moment()` tells where the device is."""

    def __init__(self, instance, folder, oplog, client, seed, generation, history=None):
        self.instance = instance
        self.client = client
        self.folder = folder
        self.oplog = oplog
        self.dice = random.Random(seed)
        self.generation = generation
        self.history = history or History()
        self.streams = []
        self.processes = []
        self.ended = threading.Event()
        self.selector = selectors.DefaultSelector()
        self.threads = []
        self.trouble = []

    def moment(self):
        return os.stat(self.oplog).st_size

    def start(self):
        for topic, acks, _, _ in STREAMS:
            name = f"{topic}{self.generation}"
            stream = Stream(self.instance, self.folder, topic, acks, name)
            self.streams.append(stream)
            self.processes.append(stream.process)
            self._listen(stream.report, lambda line, s=stream: self._reported(s, line))
        for what, name in (("batches", "b"), ("events", "e"), ("events", "f"), ("named", "n")):
            seed = [str(self.dice.getrandbits(32))] if what != "named" else []
            topic = {"f": "e"}.get(name, name)
            client = self._client(what, topic, f"{name}{self.generation}", *seed)
            self._listen(client, lambda line, t=topic: self._placed("acked", t, line))
        self._listen(self._client("queue", "q", "w"), self._settled)
        self._listen(self._client("commits", "h", "d", "b"), self._committed)
        group = self._pipe(self.instance.command("consume", "c", "d", "-g", "g", "--read", "durable",
                                                 "-f", "%t %p %o %s\\n"), "group")
        self._listen(group, self._given)
        for work in (self._read, self._feed):
            thread = threading.Thread(target=self._guarded, args=(work,))
            thread.start()
            self.threads.append(thread)

    def end(self):
        """Everything at once; nobody says goodbye."""
        self.ended.set()
        for process in self.processes:
            device.kill_group(process)
        for thread in self.threads:
            thread.join()
        for key in list(self.selector.get_map().values()):  # said, and not heard before the end
            while self._take(key):
                pass

    def stop(self):
        self.end()
        if self.trouble:
            raise self.trouble[0]

    def _client(self, *words):
        return self._pipe([self.client, self.instance.run_dir, *words], words[0])

    def _pipe(self, command, name):
        errors = open(os.path.join(self.folder, f"{name}.err"), "wb")
        process = device.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=errors)
        self.processes.append(process)
        os.set_blocking(process.stdout.fileno(), False)
        return process.stdout.fileno()

    def _listen(self, fd, handler):
        self.selector.register(fd, selectors.EVENT_READ, [handler, b"", self.moment()])

    def _guarded(self, work):
        try:
            work()
        except BaseException as error:  # told by stop(), on the thread that cares
            if not self.ended.is_set():
                self.trouble.append(error)

    def _read(self):
        while not self.ended.is_set():
            for key, _ in self.selector.select(0.1):
                if not self._take(key):
                    time.sleep(0.001)  # a named pipe whose writer has not come yet

    def _take(self, key):
        """What lies in that pipe now; false if there is nothing."""
        before = self.moment()
        try:
            chunk = os.read(key.fd, 1 << 18)
        except BlockingIOError:
            return False
        self.now = self.moment()  # after the read: the promise was made before it
        self.since = key.data[2]  # and this is behind the read before, which took all
        if len(chunk) < 1 << 18:
            key.data[2] = before
        handler, rest, _ = key.data
        *lines, key.data[1] = (rest + chunk).split(b"\n")
        for line in lines:
            handler(line.decode())
        return bool(chunk)

    def _feed(self):
        while not self.ended.is_set():
            for stream, (_, _, sizes, most) in zip(self.streams, STREAMS):
                stream.feed(self.dice.randint(1, most), sizes, self.dice, self.history)
            time.sleep(PAUSE_S * self.dice.random() * 2)

    def _reported(self, stream, line):
        number, partition, offset = line.split()
        payload = stream.lines[int(number) - 1]
        if partition == "delayed":
            self.history.waiting.append(Waiting(self.now, int(offset), payload))
            return
        if stream.topic == "c":  # committed, not durable: no promise about a cut
            return
        self.history.know(self.now, acked=[(stream.topic, int(partition), int(offset), payload)])

    def _placed(self, kind, topic, line):
        partition, offset, payload = line.split(" ", 2)
        self.history.know(self.now, **{kind: [(topic, int(partition), int(offset), payload)]})

    def _given(self, line):
        topic, rest = line.split(" ", 1)
        self._placed("seen", topic, rest)

    def _settled(self, line):
        how, partition, offset = line.split()
        place = int(partition), int(offset)
        if how == "ask":
            self.history.asked.append(Settled(self.since, how, *place))
        else:
            self.history.settled.append(Settled(self.now, how, *place))

    def _committed(self, line):
        topic, partition, offset = line.split()
        self.history.know(self.now, positions=[("h", topic, int(partition), int(offset))])


def make_topics(instance):
    for topic, (partitions, settings) in TOPICS.items():
        instance.create(topic, partitions, settings)


def first_life(instance, workload, pace):
    """Everything that leaves something on a disk: a first start, topics made and deleted, rolls, a
    broker killed, a clean stop, everything killed."""
    instance.start()
    make_topics(instance)
    workload.start()
    for wait_s in (0.8, 0.6, 0.5):
        time.sleep(wait_s * pace)
        os.kill(instance.status()["broker_pid"], signal.SIGKILL)
    time.sleep(0.4 * pace)
    instance.create("x", 1, SMALL)
    instance.must("topic", "delete", "x", "--execute")
    time.sleep(0.4 * pace)
    instance.terminate()
    instance.start()
    time.sleep(0.8 * pace)
    instance.kill()
    instance.start()
    time.sleep(0.8 * pace)
    workload.stop()
    instance.kill()


def second_life(instance, workload, pace):
    """After a cut: recovery, then records of the same sizes where the lost ones were."""
    workload.start()
    time.sleep(0.8 * pace)
    workload.stop()
    instance.kill()
