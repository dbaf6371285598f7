"""Jobs for other processes, which import this module."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

from agentnb.core.queue import processor


def note(folder, word, job):
    """Append a line in one piece, since several processes write."""
    with (Path(folder) / "notes").open("ab", 0) as file:
        file.write(f"{word} {job.id} {job.attempt} {os.getpid()}\n".encode())


def who(job):
    """Return the process, what was added, and what the services there say."""
    job.log(f"in {os.getpid()}")
    job.progress(0.5)
    job.hub.cache.set("seen", job.data)
    return [os.getpid(), job.data]


def nap(job):
    folder, seconds = job.data
    note(folder, "begun", job)
    time.sleep(seconds)
    note(folder, "done", job)
    return os.getpid()


def nap_once(job):
    folder, seconds = job.data
    note(folder, "begun", job)
    if job.attempt == 1:
        time.sleep(seconds)
    return job.attempt


def hold_interpreter(job):
    """Let no other thread of the process run, from the first line on."""
    ctypes.PyDLL(None).usleep(int(job.data * 1e6))


def die_where_told(job):
    if job.data:
        note(job.data[0], "begun", job)
        if job.attempt == 1:
            os.kill(os.getpid(), 9)
    return job.attempt


def die_once(job):
    folder, _ = job.data
    note(folder, "begun", job)
    if job.attempt == 1:
        os.kill(os.getpid(), 9)
    return job.attempt


@processor("doubles", schema=int, timeout=30)
def double(job):
    return job.data * 2
