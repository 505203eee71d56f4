"""What the power cuts are made of: a block device that writes down what it is told (nbdkit,
power_cut_recorder.py), shown as a file (nbdfuse) and as a loop device; the images that a cut at any
moment may leave; mounts.

Everything dies with this process, also when it is killed: mounts stand in a mount namespace of its
own, loop devices go with the last descriptor, children with their parent.
"""
import bisect
import concurrent.futures
import ctypes
import fcntl
import mmap
import multiprocessing
import os
import shutil
import signal
import struct
import subprocess
import sys
import time

HEAD = struct.Struct("<cQI")
SECTOR = 512
DEVICE_BYTES = 512 << 20
TOOLS = ("nbdkit", "nbdfuse", "losetup", "mkfs.ext4", "mkfs.xfs", "xfs_io", "mount", "umount")
BLKFLSBUF = 0x1261
CLONE_NEWNS = 0x00020000
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PUNCH_HOLE_KEEP_SIZE = 0x03
# First bytes of xfs's metadata (not its log). These are there or missing, never torn: its recovery
# goes by the sequence number in the first sector of a block, and does not mend what is behind it.
XFS_METADATA = (b"XFSB", b"XAG", b"XAFL", b"IAB3", b"FIB3", b"AB3", b"BMA3", b"RMB3", b"R3FC", b"IN",
                b"XD")
HERE = os.path.dirname(os.path.abspath(__file__))
libc = ctypes.CDLL(None, use_errno=True)


def why_not():
    """The reason why this host cannot do it, or nothing."""
    if os.geteuid() != 0:
        return "not root: file systems cannot be mounted"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    for node in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(node):
            return f"{node} is missing"
    for name in ("ext4", "xfs"):
        with open("/proc/filesystems") as known:
            there = name in known.read().split()
        if not there and (not shutil.which("modprobe") or run("modprobe", name, check=False) != 0):
            return f"the kernel has no {name}"
    if run("nbdkit", "python", "--dump-plugin", check=False) != 0:
        return "nbdkit has no python plugin"
    if run("unshare", "-m", "true", check=False) != 0:
        return "no mount namespace to be had"
    return ""


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, timeout=60)
    if check and done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return done.returncode


def own_mounts():
    """This process and its children get mounts that nobody else sees."""
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")


def adopt_orphans():
    """Children of a child that died become this process's, which can then wait for their end."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


ended = []


def end_once(*_):
    """On SIGTERM. Nothing may disturb the cleaning up, and nothing begins any more."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    ended.append(True)
    sys.exit(1)


def unless_ended(function, *one):
    if ended:
        sys.exit(1)
    return function(*one)


def guard():
    """A process of its own for a series: what it mounts and starts goes with it."""
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is its parent's, who then ends it
    die_with_parent()
    adopt_orphans()
    own_mounts()


def run_all(jobs, function, work):
    """function(*one) of each, in processes of their own; yields what they return. When this is
    ended, they are told to, and clean up."""
    signal.signal(signal.SIGTERM, end_once)
    pool = concurrent.futures.ProcessPoolExecutor(jobs, initializer=guard)
    try:
        runs = [pool.submit(unless_ended, function, *one) for one in work]
        for run in concurrent.futures.as_completed(runs):
            yield run.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        children = multiprocessing.active_children()
        for child in children:
            child.terminate()
        for child in children:
            child.join()
        raise
    pool.shutdown()


def start(command, **options):
    return subprocess.Popen(command, start_new_session=True, preexec_fn=die_with_parent, **options)


def kill_group(process):
    """The process and all that it started; waits until they are gone (see adopt_orphans)."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    try:
        while True:
            os.waitpid(-process.pid, 0)
    except ChildProcessError:
        pass


def work_dir():
    """Where images are put: memory, if there is enough."""
    shm = "/dev/shm"
    if os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 4 << 30:
        return shm
    return None


def remove_folder(folder):
    """Also if something was interrupted while it mounted there."""
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            if line.split()[1].startswith(folder + "/"):
                run("umount", "-l", line.split()[1], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def make_file_system(kind, path, size=DEVICE_BYTES):
    with open(path, "wb") as image:
        image.truncate(size)
    if kind == "ext4":
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", path)
    else:
        # Below 300 MB xfs is for testing only, and this is.
        run("mkfs.xfs", "-q", "-f", "--unsupported", path)


class Loop:
    """A loop device over a file, gone with close() or with this process."""

    def __init__(self, path):
        done = subprocess.run(["losetup", "-f", "--show", path], capture_output=True, timeout=60)
        if done.returncode != 0:
            raise OSError(f"losetup: {done.stderr.decode(errors='replace').strip()}")
        self.node = done.stdout.decode().strip()
        self.fd = os.open(self.node, os.O_RDONLY | os.O_CLOEXEC)
        run("losetup", "-d", self.node)  # takes effect with the last close

    def forget(self):
        """The file behind it is about to change: nothing of it may stay in memory."""
        fcntl.ioctl(self.fd, BLKFLSBUF, 0)

    def close(self):
        os.close(self.fd)


class Mount:
    def __init__(self, node, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        run("mount", node, folder)

    def close(self):
        end = time.monotonic() + 20
        while run("umount", self.folder, check=False) != 0:
            if time.monotonic() > end:
                raise OSError(f"{self.folder} stays busy")
            time.sleep(0.002)


class RecordedDevice:
    """A block device with the content of `base`; `oplog` gets what it is told."""

    def __init__(self, folder, base, oplog):
        self.started = []
        self.loop = None
        socket = os.path.join(folder, "nbd.sock")
        fuse = os.path.join(folder, "nbd")
        os.makedirs(fuse, exist_ok=True)
        if os.path.exists(socket):
            os.unlink(socket)
        log = open(os.path.join(folder, "nbd.log"), "ab")
        try:
            self._start(["nbdkit", "-f", "-U", socket, "python",
                         os.path.join(HERE, "power_cut_recorder.py"), f"base={base}",
                         f"oplog={oplog}"], log)
            self._wait(lambda: os.path.exists(socket), "nbdkit")
            self._start(["nbdfuse", os.path.join(fuse, "disk"), "--unix", socket], log)
            self._wait(lambda: os.path.exists(os.path.join(fuse, "disk")), "nbdfuse")
            self.loop = Loop(os.path.join(fuse, "disk"))
        except BaseException:
            self.close()
            raise
        self.node = self.loop.node
        self.fuse = fuse

    def _start(self, command, log):
        # nbdkit looks for the plugin's Python by the environment's; its own is the right one.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self.started.append(start(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                  env={**environment, "PYTHONDONTWRITEBYTECODE": "1"}))

    def _wait(self, there, what):
        end = time.monotonic() + 20
        while not there():
            if self.started[-1].poll() is not None or time.monotonic() > end:
                raise OSError(f"{what} did not start")
            time.sleep(0.002)

    def close(self):
        if self.loop:
            self.loop.close()
            end = time.monotonic() + 20
            while run("umount", self.fuse, check=False) != 0 and time.monotonic() < end:
                time.sleep(0.002)
        for process in reversed(self.started):
            kill_group(process)
        self.started = []


class OpLog:
    """What a recorded device was told. Moments are bytes of the log; `ends[i]` is where op i ends."""

    def __init__(self, path):
        self.ops = []  # kind, offset, size, where its data is
        self.ends = []
        with open(path, "rb") as log:
            size = os.path.getsize(path)
            self.bytes = mmap.mmap(log.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        at = 0
        while at + HEAD.size <= len(self.bytes):
            kind, offset, count = HEAD.unpack_from(self.bytes, at)
            at += HEAD.size
            self.ops.append((kind, offset, count, at))
            if kind == b"W":
                at += count
            if at > len(self.bytes):
                self.ops.pop()
                break
            self.ends.append(at)

    def count_before(self, moment):
        """How many ops were over at that moment."""
        return bisect.bisect_right(self.ends, moment)

    def data(self, op):
        kind, _, size, at = op
        return bytes(size) if kind == b"Z" else self.bytes[at:at + size]


class ImageMaker:
    """The images that a cut of the power may leave. Moments must be asked for in rising order."""

    def __init__(self, base, oplog, folder):
        self.oplog = oplog
        self.path = os.path.join(folder, "cut.img")
        self.safe = os.path.join(folder, "safe.img")  # all ops before `done`
        self.done = 0
        copy_file(base, self.safe)
        self.fd = os.open(self.safe, os.O_RDWR)

    def close(self):
        os.close(self.fd)
        for path in (self.safe, self.path):
            if os.path.exists(path):
                os.unlink(path)

    def make(self, moment, dice):
        """ops[:moment]; of the writes after the last flush any may be missing or torn.
        Returns how many of them were kept, dropped and torn."""
        ops = self.oplog.ops
        flushed = moment
        while flushed > self.done and ops[flushed - 1][0] != b"S":
            flushed -= 1
        for op in ops[self.done:flushed]:
            put(self.fd, op, self.oplog)
        self.done = max(self.done, flushed)
        copy_sparse(self.fd, self.path)
        count = {"kept": 0, "dropped": 0, "torn": 0}
        fd = os.open(self.path, os.O_RDWR)
        try:
            for op in ops[self.done:moment]:
                self._maybe(fd, op, dice, count)
        finally:
            os.close(fd)
        return count

    def _maybe(self, fd, op, dice, count):
        chance = dice.random()
        if chance < 0.4:
            count["kept"] += 1
            put(fd, op, self.oplog)
        elif chance < 0.75:
            count["dropped"] += 1
        elif self.oplog.data(op)[:4].startswith(XFS_METADATA):
            count["dropped"] += 1
        else:
            count["torn"] += 1
            data = self.oplog.data(op)
            sectors = range(0, len(data), SECTOR)
            if chance < 0.88:  # cut at one border
                kept = sectors[:dice.randrange(len(sectors) + 1)]
            else:
                kept = [at for at in sectors if dice.random() < 0.5]
            for at in kept:
                os.pwrite(fd, data[at:at + SECTOR], op[1] + at)


def put(fd, op, oplog):
    kind, offset, size, _ = op
    if kind == b"Z":
        libc.fallocate(fd, PUNCH_HOLE_KEEP_SIZE, ctypes.c_long(offset), ctypes.c_long(size))
    elif kind == b"W":
        os.pwrite(fd, oplog.data(op), offset)


def copy_file(path, target):
    fd = os.open(path, os.O_RDONLY)
    try:
        copy_sparse(fd, target)
    finally:
        os.close(fd)


def copy_sparse(source, path):
    """Only what is not a hole."""
    size = os.fstat(source).st_size
    target = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.ftruncate(target, size)
        at = 0
        while at < size:
            try:
                begin = os.lseek(source, at, os.SEEK_DATA)
            except OSError:  # holes up to the end
                break
            at = os.lseek(source, begin, os.SEEK_HOLE)
            os.lseek(source, begin, os.SEEK_SET)
            os.lseek(target, begin, os.SEEK_SET)
            left = at - begin
            while left:
                left -= os.sendfile(target, source, None, left)
    finally:
        os.close(target)


if __name__ == "__main__":
    sys.exit(why_not() or 0)
