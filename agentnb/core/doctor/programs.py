"""git, Docker, Dask and the ports that agentnb listens on."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

from agentnb.core.doctor.diagnosis import FAILED, MISSING, OK, WARNING, Finding
from agentnb.core.doctor.surroundings import ASK_SECONDS
from agentnb.core.errors import AgentnbError
from agentnb.core.launch import absolute

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentnb.core.doctor.surroundings import Surroundings

__all__ = ["dask", "docker", "git", "ports"]

_SERVE_PORT = 3000
_DASK = re.compile(r"(?:dask|tcp|tls)://\[?(?P<host>[^]/]+?)\]?:(?P<port>\d+)/?")
_NAMES = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL")


def git(here: Surroundings) -> Iterator[Finding]:
    """Yield the version of git and the name under which it commits."""
    program = shutil.which("git", path=os.pathsep.join(absolute("PATH")))
    if program is None:
        yield Finding("git", FAILED, "no git on PATH", "sudo apt install git (or brew install git)")
        return
    version = _say(program, here.folder, "--version").removeprefix("git version ")
    yield Finding("git", OK, f"{version} at {program}")
    if all(os.environ.get(name) for name in _NAMES):
        yield Finding("git user", OK, f"{os.environ['GIT_AUTHOR_NAME']}, from the environment")
        return
    name, email = (_say(program, here.folder, "config", f"user.{one}") for one in ("name", "email"))
    if name and email:
        yield Finding("git user", OK, f"{name} <{email}>")
        return
    missing, value = ("name", "Your Name") if not name else ("email", "you@example.com")
    yield Finding(
        "git user",
        WARNING,
        f"user.{missing} is not set: commits are refused",
        f'git config --global user.{missing} "{value}"',
    )


def _say(program: str, folder: Path, *words: str) -> str:
    """Return what git prints; it runs nothing of the repository's and asks nobody."""
    try:
        return subprocess.run(  # noqa: S603 - the git of PATH, as everywhere
            [program, *words],
            cwd=folder,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ASK_SECONDS,
            check=False,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def docker(here: Surroundings) -> Iterator[Finding]:
    """Yield whether the engine answers."""
    from agentnb.core.docker.endpoint import find
    from agentnb.core.docker.engine import connected

    known = here.settings
    if known is None:
        return
    endpoint = find(known.docker_host, known.docker_context)
    try:
        with closing(connected(endpoint)) as api:
            number = api.version()["Version"]
    except AgentnbError as error:
        # Without a setting nobody asked for an engine: most projects need none.
        state = MISSING if endpoint.source == "default" else FAILED
        yield Finding("docker", state, error.message, error.hint or "")
        return
    yield Finding("docker", OK, f"{number} at {endpoint.url} ({endpoint.source})")


def dask(here: Surroundings) -> Iterator[Finding]:
    """Yield whether a scheduler listens, where the settings name one."""
    known = here.settings
    found = None if known is None else _DASK.fullmatch(known.executor)
    if known is None or found is None:
        return
    if not _has("distributed"):
        mend = f"{here.pip} install distributed"
        yield Finding("dask", FAILED, "AGENTNB_EXECUTOR needs distributed", mend)
        return
    try:
        socket.create_connection((found["host"], int(found["port"])), ASK_SECONDS).close()
    except OSError as error:
        reason = f"no scheduler answers at {known.executor}: {error.strerror or error}"
        mend = f"dask scheduler --port {found['port']}, or set AGENTNB_EXECUTOR"
        yield Finding("dask", FAILED, reason, mend)
    else:
        yield Finding("dask", OK, f"a scheduler listens at {known.executor}")


def _has(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def ports(here: Surroundings) -> Iterator[Finding]:
    """Yield whether the ports of ``agentnb serve`` and of the metrics are free."""
    from agentnb.core.metrics.address import read_address
    from agentnb.core.websocket.running import running

    known = here.settings
    if known is None:
        return
    served = running(known.home)
    if served is not None:
        yield Finding("port of serve", OK, f"agentnb serve runs at {served.url}")
    else:
        yield _port("port of serve", "127.0.0.1", _SERVE_PORT, "agentnb serve --port 0")
    if known.metrics is not None:
        host, port = read_address(known.metrics)
        yield _port("port of metrics", host, port, "set AGENTNB_METRICS to another port")


def _port(part: str, host: str, port: int, mend: str) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((host, port))
    except OSError as error:
        found = f"{host}:{port} cannot be used: {error.strerror or error}"
        return Finding(part, WARNING, found, mend)
    return Finding(part, OK, f"{host}:{port} is free")
