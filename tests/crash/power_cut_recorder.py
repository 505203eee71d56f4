"""nbdkit plugin: a disk in memory that writes down each write and flush, in order.

nbdkit python power_cut_recorder.py base=IMAGE oplog=FILE: the disk holds what IMAGE holds; IMAGE
itself stays as it is. Requests are served one after the other, so the log is the order in which
the device took them. Form of the log: struct HEAD (power_cut_device.py reads it):
W write, Z write of zeros (no data follows), S flush.
"""
import builtins
import mmap
import os
import struct

import nbdkit

API_VERSION = 2
HEAD = struct.Struct("<cQI")

disk = None
log = -1


def config(key, value):
    global disk, log
    if key == "base":
        with builtins.open(value, "rb") as image:
            disk = mmap.mmap(image.fileno(), 0, access=mmap.ACCESS_COPY)
    elif key == "oplog":
        log = os.open(value, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    else:
        raise RuntimeError(f"unknown parameter {key}")


def thread_model():
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def open(readonly):
    return 1


def get_size(handle):
    return len(disk)


def can_flush(handle):
    return True


def can_fua(handle):
    return nbdkit.FUA_EMULATE  # a write, then a flush


def pread(handle, into, offset, flags):
    into[:] = disk[offset:offset + len(into)]


def pwrite(handle, data, offset, flags):
    size = len(data)
    disk[offset:offset + size] = data
    if size >= 65536 and bytes(data).count(0) == size:
        os.write(log, HEAD.pack(b"Z", offset, size))
    elif os.writev(log, (HEAD.pack(b"W", offset, size), data)) != HEAD.size + size:
        raise RuntimeError("the log of the device is cut short: no room")


def flush(handle, flags):
    os.write(log, HEAD.pack(b"S", 0, 0))
