"""Reading and writing 64 kB, and what a race gets out of the workspace."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic, perf_counter

import peers
from rounds import Row, by_turns, compared, scratch

from agentnb.core.errors import AgentnbError

TEXT = "sixty-four bytes of text, as many as there are in this one line\n" * 1024
SECRET = "the secret"
READS, WRITES = 200, 20
ATTACKER = """
import ctypes, os, sys
swap = ctypes.CDLL(None).renameat2
os.chdir(sys.argv[1])
os.symlink(sys.argv[2], "link")
print("ready", flush=True)
while True:
    swap(-100, b"folder", -100, b"link", 2)
"""


def opened(path):
    """Read a text with Python's own open."""
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def atomically(path):
    """Write a text as one does by hand who does it well."""
    data = TEXT.encode()
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), path.stat().st_mode)
        os.fsync(file.fileno())
    Path(name).replace(path)


class Batch:
    """Runs a call many times, then writes its spans, at once; a thread would do it in others' time.

    ``seconds`` has what the writing took in each round.
    """

    def __init__(self, call, count, tracer=None):
        self.call, self.count, self.tracer = call, count, tracer
        self.seconds = []

    def __call__(self):
        for _ in range(self.count):
            self.call()
        started = perf_counter()
        if self.tracer is not None:
            self.tracer.flush()
        self.seconds.append(perf_counter() - started)


def rows_of(what, batches, peer, rounds):
    """Return the row of what a caller waits for, and the one with the spans written."""
    found = by_turns(batches, rounds=rounds, clock=perf_counter)
    whole = {}
    for name, batch in batches.items():
        pairs = zip(found[name], batch.seconds[-rounds:], strict=True)
        whole[name] = [both / batch.count for both in found[name]]
        found[name] = [(both - writing) / batch.count for both, writing in pairs]
    others = [name for name in batches if name not in {"agentnb", peer}]
    about = {"others": others, "unit": "µs"}
    return [
        compared(f"{what}, until the caller has it", found, "agentnb", peer, target=1.5, **about),
        compared(f"{what}, spans written included", whole, "agentnb", peer, target=None, unit="µs"),
    ]


def times(hub, folder, rounds):
    """Return the rows of reading and writing."""
    from agentnb.core.files import FileSystemManager
    from agentnb.core.files.confinement import Walk
    from agentnb.core.runtime import Runtime

    files, tracer, path = hub.files, hub.tracer, folder / "plain.txt"
    walk = FileSystemManager(files.root, runtime=Runtime(tracer), resolver=Walk())
    path.write_text(TEXT)
    name = "src/agents/text.txt"
    files.write_file(name, TEXT)
    walk.write_file(name, TEXT)
    reads = {
        "open": Batch(lambda: opened(path), READS),
        "agentnb": Batch(lambda: files.read_file(name), READS, tracer),
        "the walk": Batch(lambda: walk.read_file(name), READS, tracer),
    }
    writes = {
        "by hand": Batch(lambda: atomically(path), WRITES),
        "agentnb": Batch(lambda: files.write_file(name, TEXT), WRITES, tracer),
        "the walk": Batch(lambda: walk.write_file(name, TEXT), WRITES, tracer),
    }
    if peers.installed("fsspec"):
        from fsspec.implementations.dirfs import DirFileSystem
        from fsspec.implementations.local import LocalFileSystem

        within = DirFileSystem(str(files.root), LocalFileSystem())
        reads["fsspec"] = Batch(lambda: within.cat_file(name).decode(), READS)
    return [
        *rows_of("read a text of 64 kB", reads, "open", rounds),
        *rows_of("write a text of 64 kB, whole and on the disk", writes, "by hand", rounds),
    ]


@contextlib.contextmanager
def attacked(root, outside):
    """Swap a folder with a link to the outside, without end, for the length of a block."""
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "secret.txt").write_text("inside")
    attacker = subprocess.Popen(
        [sys.executable, "-c", ATTACKER, str(root), str(outside)], stdout=subprocess.PIPE
    )
    try:
        attacker.stdout.readline()
        yield
    finally:
        attacker.kill()
        attacker.wait()
        attacker.stdout.close()


def escapes(read, root, outside, seconds):
    """Return how often a read got out, and of how many."""
    tries = got = 0
    with attacked(root, outside):
        until = monotonic() + seconds
        while monotonic() < until:
            tries += 1
            try:
                got += read() == SECRET
            except (OSError, AgentnbError):
                continue
    return got, tries


def checked(root):
    """Return what reads after the usual check of the path."""
    path = root / "folder" / "secret.txt"
    within = root.resolve()

    def read():
        return path.read_text() if path.resolve().is_relative_to(within) else ""

    return read


def races(folder, seconds):
    """Return the rows of the race."""
    from agentnb.core.files import FileSystemManager
    from agentnb.core.files.confinement import Openat2, Walk

    outside = folder / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    usual = folder / "checked"
    theirs = escapes(checked(usual), usual, outside, seconds)
    rows = []
    for resolver in (Openat2(), Walk()):
        root = folder / resolver.name
        files = FileSystemManager(root, resolver=resolver)
        read = functools.partial(files.read_file, "folder/secret.txt")
        got, tries = escapes(read, root, outside, seconds)
        what = f"escapes of reads by `{resolver.name}` while links are swapped for {seconds:.0f} s"
        peer = f"resolve() and is_relative_to() {theirs[0]:,} of {theirs[1]:,}"
        rows.append(Row(what, f"{got:,} of {tries:,}", peer, got, 0, "escapes"))
    return rows


def measure(*, quick):
    """Return the rows of this subject."""
    import agentnb

    with scratch() as folder, agentnb.connect(workspace=folder / "workspace") as hub:
        rows = times(hub, folder, 5 if quick else 25)
        return rows + races(folder, 2 if quick else 10)
