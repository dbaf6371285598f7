"""Inspection of containers and images, which changes neither."""

from __future__ import annotations

import re
from types import NoneType
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.logs import OUTPUT, LogLine, Logs
from agentnb.core.errors import UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentnb.core.docker.connection import Connection
    from agentnb.core.docker.results import Container, Stats
    from agentnb.core.table import Table

__all__ = ["Inspection"]


@refuse_unknown("docker")
class Inspection:
    """Reads the logs, the usage and the state of containers.

    Parameters
    ----------
    connection
        The connection to the engine.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get_container_logs(
        self,
        container: Container | str,
        *,
        follow: bool = False,
        since: float | None = None,
        tail: int | None = None,
        stdout: bool = True,
        stderr: bool = True,
        limit: int = OUTPUT,
        timeout: float | None = None,
    ) -> Logs | Iterator[LogLine]:
        """Return or yield the output of a container; see `DockerManager.get_container_logs`."""
        if tail is not None:
            tail = whole("tail", tail, service="docker", least=0, hint="tail=100")
        if since is not None:
            since = seconds("since", since, service="docker", zero=True, hint="since=60")
        if timeout is not None:
            timeout = seconds("timeout", timeout, service="docker", hint="timeout=60")
        limit = whole("limit", limit, service="docker", hint="limit=1_000_000")
        return self._connection.containers.logs(
            str(container),
            follow_=follow,
            since=since,
            tail=tail,
            streams=(stdout, stderr),
            limit=limit,
            timeout=timeout,
        )

    def inspect(self, container: Container | str) -> dict[str, Any]:
        """Return all that the engine says of a container, its variables without secrets.

        Parameters
        ----------
        container
            It or its name; it may have ended.

        Raises
        ------
        NotFoundError
            The home has no such container.
        """
        return self._connection.containers.inspected(str(container))

    def stats(self, container: Container | str) -> Stats:
        """Return the usage of a container; processor time since the previous call."""
        return self._connection.containers.stats(str(container))

    def usage(self) -> Table:
        """Return the usage of the home's running containers."""
        return self._connection.containers.usage()

    def events(
        self, *, since: float = 3600.0, follow: bool = False, timeout: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the events of the home's containers: time, action, container, exit_code.

        Parameters
        ----------
        since
            Seconds back from now.
        follow
            Whether to go on with what happens from now on, until the iterator is closed.
        timeout
            While following: seconds without an event after which it ends.
        """
        since = seconds("since", since, service="docker", zero=True, hint="since=3600")
        if timeout is not None:
            timeout = seconds("timeout", timeout, service="docker", hint="timeout=60")
        return self._connection.containers.events(since=since, follow_=follow, timeout=timeout)

    def images(self) -> Table:
        """Return the images that were built here: tag, bytes, time of making, id."""
        return self._connection.images.table()

    def list(self) -> Table:
        """Return the home's containers, ended ones included."""
        return self._connection.containers.table()

    def wait_until(
        self,
        container: Container | str,
        *,
        healthy: bool = False,
        line: str | re.Pattern[str] | None = None,
        port: int | None = None,
        exited: bool = False,
        timeout: float = 60.0,
    ) -> str | int | None:
        """Wait until a container is ready, in one of four ways.

        Parameters
        ----------
        container
            It or its name.
        healthy
            Until its own check says so.
        line
            Until it has printed a line that holds this, or that this pattern finds; returns it.
        port
            Until something listens there.
        exited
            Until its end; returns the exit code.
        timeout
            Seconds at most.

        Raises
        ------
        DeadlineExceeded
            It is not in time.
        RejectedError
            It has ended before.
        UsageError
            None or several of the four, or it has no check.
        """
        asked = [bool(healthy), line is not None, port is not None, bool(exited)]
        if sum(asked) != 1:
            raise UsageError(
                "wait_until takes exactly one of healthy=True, line=, port= and exited=True",
                service="docker",
                hint="wait_until(container, port=8000)",
            )
        timeout = seconds("timeout", timeout, service="docker", hint="timeout=60")
        if not isinstance(line, (str, re.Pattern, NoneType)):
            raise TypeError(f"line must be a text or a pattern, got {type(line).__name__}")
        if port is not None:
            whole("port", port, service="docker", most=65_535, hint="port=8000")
        waiting = self._connection.containers.waiting(str(container), timeout)
        if exited:
            return waiting.exited()
        if line is not None:
            return waiting.line(line)
        if port is None:
            waiting.healthy()
        else:
            found = self._connection.containers.find(str(container))
            waiting.port(port, found.ports.get(port))
        return None
