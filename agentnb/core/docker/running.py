"""Running a container: its configuration, start, time limit and output."""

from __future__ import annotations

import posixpath
import secrets
import threading
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.docker.checks import NUMBERED
from agentnb.core.docker.logs import Lines
from agentnb.core.docker.policy import NOBODY
from agentnb.core.errors import NotFoundError, RejectedError
from agentnb.core.trace import current, outgoing_variables

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from agentnb.core.docker.engine import Engine
    from agentnb.core.docker.logs import LogLine
    from agentnb.core.docker.options import ContainerOptions
    from agentnb.core.docker.owner import Owner

__all__ = [
    "Watchdog",
    "aliases",
    "configuration",
    "environment",
    "follow",
    "interpreter",
    "new_name",
    "safe_user",
    "start",
]


def configuration(
    image: dict[str, Any],
    name: str,
    command: Sequence[str] | None,
    requested: ContainerOptions,
    owner: Owner,
    *,
    network: str | None = None,
    stdin: bool = False,
) -> dict[str, Any]:
    """Return the engine's whole configuration of a container.

    Parameters
    ----------
    image
        As the engine describes it, and under ``Asked`` the name it was asked for by.
    name
        The container's.
    command
        None for the image's own.
    requested
        The options, checked.
    owner
        The owner.
    network
        The private network's name on the engine; None for none.
    stdin
        Whether the program gets a standard input.
    """
    policy = requested.policy
    limits = {
        "Memory": requested.memory,
        "MemorySwap": requested.memory,
        "NanoCpus": int(requested.cpus * 1e9),
        "PidsLimit": requested.pids,
    }
    bindings = {
        f"{inside}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(outside or "")}]
        for inside, outside in requested.ports.items()
    }
    host = {**policy.host_config(), **limits, "PortBindings": bindings}
    beside: dict[str, Any] = {}
    if network is not None and not bindings:  # else it joins: a private network publishes no ports
        host["NetworkMode"] = network
        beside = {
            "NetworkingConfig": {"EndpointsConfig": {network: {"Aliases": aliases(requested)}}}
        }
    return {
        "Image": image["Asked"],
        "Cmd": None if command is None else list(command),
        "Entrypoint": None if requested.entrypoint is None else list(requested.entrypoint),
        "Env": environment(requested),
        "User": requested.user or ("" if policy.root else safe_user(image)),
        "WorkingDir": requested.workdir or requested.work or "",
        "Labels": {**requested.labels, **owner.labels(name, policy.name, keep=requested.keep)},
        "Tty": requested.tty,
        "Volumes": {posixpath.dirname(requested.work): {}} if requested.work else {},
        "ExposedPorts": {port: {} for port in bindings},
        "HostConfig": host,
        "OpenStdin": stdin,
        "StdinOnce": stdin,
        "AttachStdin": stdin,
        **beside,
    }


def aliases(requested: ContainerOptions) -> list[str]:
    """Return the names by which a network knows a container, beside its own."""
    return [] if requested.alias is None else [requested.alias]


def safe_user(image: dict[str, Any]) -> str:
    """Return the image's user if it is a number other than 0, else the number of nobody.

    A name is the image's to give: in its ``/etc/passwd`` any name may be root's.

    >>> safe_user({"Config": {"User": "1000:1000"}}), safe_user({"Config": {"User": "app"}})
    ('1000:1000', '65534:65534')
    """
    own = str((image.get("Config") or {}).get("User") or "")
    return own if NUMBERED.fullmatch(own) else NOBODY


def environment(requested: ContainerOptions) -> list[str]:
    """Return the variables of a program: those of the trace, then the given ones."""
    context = current()
    variables = {} if context is None else outgoing_variables(context)
    return [f"{key}={value}" for key, value in {**variables, **requested.env}.items()]


def new_name(image: str) -> str:
    """Return a name for a container of an image: the image's, and four digits."""
    base = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return f"{base[:40] or 'container'}-{secrets.token_hex(2)}"


def start(engine: Engine, container: str, image: str) -> None:
    """Start a container, and log that.

    Raises
    ------
    RejectedError
        It cannot be started, as when there is no such program in it.
    """
    with engine.logs_failure("container failed to start", image=image, id=container):
        _start(engine, container)
    data = {"image": image, "id": container}
    engine.log.info("container started: %s %s", image, container[:12], extra={"data": data})


def _start(engine: Engine, container: str) -> None:
    try:
        engine.call("start", lambda api: api.start(container), container=container)
    except (RejectedError, NotFoundError) as error:
        if "exec format error" in error.message:
            raise RejectedError(
                "the image's programs are for another kind of processor than the engine's",
                service="docker",
                hint="build or pull the image for the engine's own, or set up emulation: "
                "docker run --privileged --rm tonistiigi/binfmt --install all",
            ) from error
        if "executable file not found" in error.message or "no such file" in error.message:
            raise NotFoundError(
                "there is no such program in the image: " + error.message.rpartition("exec: ")[2],
                service="docker",
                hint="its name is right, and the image has it? Give words, or a shell: sh -c '...'",
            ) from error
        raise RejectedError(
            error.message,
            service="docker",
            hint=error.hint or "docker logs NAME shows the output of the container",
        ) from error


class Watchdog:
    """Kills a container when its time is over, which ends the stream of its output.

    Parameters
    ----------
    engine, container
        The engine and the container.
    seconds
        After which time; None for never.
    """

    def __init__(self, engine: Engine, container: str, seconds: float | None) -> None:
        self.expired = False
        self._engine, self._container = engine, container
        self._timer: threading.Timer | None = None
        if seconds is not None:
            self._timer = threading.Timer(seconds, self._kill)
            self._timer.daemon = True

    def _kill(self) -> None:
        self.expired = True
        with suppress(Exception):  # it may have come to its end by itself just now
            self._engine.call("kill", lambda api: api.kill(self._container))

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()


def follow(
    engine: Engine,
    container: str,
    *,
    tty: bool,
    timeout: float | None = None,
    **params: object,
) -> Generator[LogLine, None, None]:
    """Yield the lines of a container's log.

    Parameters
    ----------
    engine, container
        Of which, and where.
    tty
        Whether the container has a terminal.
    timeout
        Seconds without a word after which it is given up; None for no limit.
    **params
        The engine's: ``follow``, ``since``, ``tail``, ``stdout``, ``stderr``.
    """
    path = f"/containers/{container}/logs"
    stamped = bool(params.get("follow")) and not tty
    lines = Lines(tty=tty, stamped=stamped)
    if stamped:
        params["timestamps"] = 1
    live = bool(params.get("follow"))
    for data in engine.stream(path, params, timeout=timeout, live=live):
        yield from lines.feed(data)
    if stamped:
        # An engine stops to follow when a container ends, however much of its log is left.
        lines.skip_seen()
        params["follow"] = 0
        if lines.newest:
            params |= {"since": _unix(min(lines.newest.values())), "tail": "all"}
        for data in engine.stream(path, params, timeout=timeout, live=False):
            yield from lines.feed(data)
    yield from lines.end()


def _unix(stamp: bytes) -> str:
    """Return the engine's time, which is UTC, as the engine wants it.

    >>> _unix(b"1970-01-02T00:00:01.000000123Z")
    '86401.000000123'
    """
    text = stamp.decode("ascii")
    whole = datetime.fromisoformat(f"{text[:19]}+00:00").timestamp()
    return f"{whole:.0f}.{text[20:29]}"


def interpreter(script: str) -> list[str]:
    r"""Return the program that a script asks for in its first line; ``sh`` if in none.

    >>> interpreter("#!/usr/bin/env python3\nprint(1)"), interpreter("echo hi")
    (['python3'], ['sh'])
    """
    first = script.lstrip("\n").partition("\n")[0]
    if not first.startswith("#!"):
        return ["sh"]
    words = first[2:].split()
    if words and posixpath.basename(words[0]) == "env":
        words = [word for word in words[1:] if word != "-S"]
    return words or ["sh"]
