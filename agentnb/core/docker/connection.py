"""The connection to an engine, opened by the first call that needs it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.callthreads import CallThreads
from agentnb.core.docker.containers import Containers
from agentnb.core.docker.engine import Engine
from agentnb.core.docker.images import Images
from agentnb.core.docker.networks import Networks
from agentnb.core.docker.owner import Owner
from agentnb.core.docker.policy import POLICIES
from agentnb.core.docker.roots import Roots
from agentnb.core.docker.runner import Runner
from agentnb.core.docker.session import Session
from agentnb.core.errors import AgentnbError, UsageError
from agentnb.core.forking import new_lock
from agentnb.core.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentnb.core.docker.policy import Policy

__all__ = ["Connection"]

_CALLS = 32
"""Awaited calls that run at once; a run may last for minutes."""


class _Opened(NamedTuple):
    """The objects that need an engine that has answered."""

    session: Session
    containers: Containers
    images: Images
    networks: Networks
    runner: Runner


class Connection:
    """A connection to an engine, opened on first use, and again after it was closed.

    Parameters
    ----------
    host, context, home, policies, roots, workspace, runtime
        As in `DockerManager`.
    """

    def __init__(
        self,
        host: str | None = None,
        *,
        context: str | None = None,
        home: Path | None = None,
        policies: Sequence[Policy] | None = None,
        roots: Sequence[Path] = (),
        workspace: Path | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self.policies = tuple(POLICIES.values() if policies is None else policies)
        if not self.policies:
            raise UsageError(
                "policies is empty", service="docker", hint="DockerManager(policies=[Policy(...)])"
            )
        if host is None and context is None:
            host, context = os.environ.get("DOCKER_HOST"), os.environ.get("DOCKER_CONTEXT")
        self.home, self.roots, self.workspace = home, Roots(roots, home), workspace
        self.engine = Engine(host, context, runtime=runtime or Runtime())
        # A run that is cancelled is undone, and what waits for the engine is cut off: neither
        # has to be waited for.
        self.threads = CallThreads("docker", limit=_CALLS)
        self._lock = new_lock()
        self._opened: _Opened | None = None

    def open(self) -> _Opened:
        """Return the objects of an engine that answers."""
        with self._lock:
            if self._opened is None:
                _ = self.engine.api  # nothing is written for an engine that is not there
                owner = Owner(self.home)
                session = Session(self.engine, owner)
                images = Images(self.engine, owner)
                containers = Containers(self.engine, owner, self.roots)
                networks = Networks(self.engine, session)
                runner = Runner(self.engine, session, images, containers, networks, self.roots)
                session.sweep()
                self._opened = _Opened(session, containers, images, networks, runner)
            return self._opened

    @property
    def containers(self) -> Containers:
        """The owner's containers."""
        return self.open().containers

    @property
    def images(self) -> Images:
        """The owner's images."""
        return self.open().images

    @property
    def networks(self) -> Networks:
        """The owner's networks."""
        return self.open().networks

    @property
    def runner(self) -> Runner:
        """The runner of containers."""
        return self.open().runner

    def discard(self, name: str) -> None:
        """Remove a container, if it exists and the engine answers."""
        with suppress(AgentnbError):
            self.containers.discard(name)

    def close(self) -> None:
        """Remove this process's containers and networks; close, to be opened again on use."""
        with self._lock:
            opened, self._opened = self._opened, None
        try:
            if opened is not None:
                opened.session.close()
        finally:
            self.engine.close()
            self.threads.close()
