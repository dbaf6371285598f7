"""A Dask cluster of real processes: one `dask scheduler`, and some `dask worker`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from .waiting import until

__all__ = ["Cluster", "cluster"]

_QUIET = ("--no-dashboard", "--host", "127.0.0.1")


class Cluster:
    """A scheduler and its workers, on this machine's loopback.

    Parameters
    ----------
    folder
        Takes their logs.
    environ
        Variables of the workers, beside those of this process.

    Attributes
    ----------
    address
        The address of the scheduler, as `agentnb worker --executor` takes it.
    workers
        The processes of the workers.
    """

    def __init__(self, folder, environ=None):
        self._folder = Path(folder)
        self._environ = os.environ | (environ or {})
        self._port = 0  # one that is free, which no other process can take meanwhile
        self._number = 0
        self.workers = []
        self.start_scheduler()

    def start_scheduler(self):
        """Start the scheduler, again at the same address."""
        self._file = self._folder / "scheduler.json"
        self._file.unlink(missing_ok=True)
        self.scheduler = self._start(
            "scheduler", *_QUIET, "--port", self._port, "--scheduler-file", self._file
        )
        address = until(self._said, 120)  # of a machine that is busy
        self._port = int(address.rpartition(":")[2])
        self.address = f"dask://127.0.0.1:{self._port}"

    def _said(self):
        log = self._folder / f"scheduler-{self._number}.log"
        assert self.scheduler.poll() is None, log.read_text()
        return self._file.exists() and _address_in(self._file)

    def add_worker(self, *, threads=2, environ=None):
        """Start a worker without a nanny, and return its process."""
        self._number += 1
        options = ["--no-nanny", "--nthreads", threads, "--memory-limit", 0, "--death-timeout", 60]
        options += ["--local-directory", self._folder]
        options += ["--name", f"w{self._number}", "--scheduler-file", self._file]
        worker = self._start("worker", *_QUIET, *options, environ=environ)
        self.workers.append(worker)
        return worker

    def wait(self, workers=None):
        """Wait until some workers have joined; by default all."""
        from distributed import Client

        address = self.address.replace("dask", "tcp")
        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers or len(self.workers), timeout=120)
            return client.nthreads()

    def _start(self, kind, *options, environ=None):
        log = self._folder / f"{kind}-{self._number}.log"
        with log.open("a") as file:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", *map(str, options)],
                env=self._environ | (environ or {}),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    def kill_scheduler(self):
        """End the scheduler as a machine does that loses its power."""
        _kill(self.scheduler)

    def kill_worker(self, worker):
        """End a worker likewise."""
        _kill(worker)
        self.workers.remove(worker)

    def close(self):
        """End all processes."""
        for process in (*self.workers, self.scheduler):
            _kill(process)


@contextmanager
def cluster(folder, *, workers=2, threads=2, environ=None):
    """Yield a cluster whose workers have joined."""
    made = Cluster(folder, environ)
    try:
        for _ in range(workers):
            made.add_worker(threads=threads)
        if workers:
            made.wait()
        yield made
    finally:
        made.close()


def _kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def _address_in(file):
    try:
        return json.loads(file.read_text())["address"]
    except (ValueError, KeyError):
        return None
