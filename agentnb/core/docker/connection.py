"""The engine and what stands on it: opened by the first call that needs it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.docker.containers import Containers
from agentnb.core.docker.engine import Engine
from agentnb.core.docker.images import Images
from agentnb.core.docker.networks import Networks
from agentnb.core.docker.owner import Owner
from agentnb.core.docker.policy import POLICIES
from agentnb.core.docker.roots import Roots
from agentnb.core.docker.runner import Runner
from agentnb.core.docker.session import Session
from agentnb.core.errors import UsageError
from agentnb.core.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentnb.core.docker.policy import Policy

__all__ = ["Opening"]


class _Opened(NamedTuple):
    """What there is once an engine has answered."""

    session: Session
    containers: Containers
    images: Images
    networks: Networks
    runner: Runner


class Opening:
    """What opens on first use, and is opened again after it was closed.

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
            raise UsageError("there is no policy", service="docker", hint="policies=[...]")
        if host is None and context is None:
            host, context = os.environ.get("DOCKER_HOST"), os.environ.get("DOCKER_CONTEXT")
        self._home, self._roots, self._workspace = home, Roots(roots, home), workspace
        self.engine = Engine(host, context, runtime=runtime or Runtime())
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    def _open(self) -> _Opened:
        with self._lock:
            if self._opened is None:
                _ = self.engine.api  # nothing is written for an engine that is not there
                owner = Owner(self._home)
                session = Session(self.engine, owner)
                images = Images(self.engine, owner)
                containers = Containers(self.engine, owner, self._roots)
                networks = Networks(self.engine, session)
                runner = Runner(self.engine, session, images, containers, networks, self._roots)
                session.sweep()
                self._opened = _Opened(session, containers, images, networks, runner)
            return self._opened

    @property
    def _containers(self) -> Containers:
        return self._open().containers

    @property
    def _images(self) -> Images:
        return self._open().images

    @property
    def _networks(self) -> Networks:
        return self._open().networks

    @property
    def _runner(self) -> Runner:
        return self._open().runner

    def close(self) -> None:
        """Remove this process's containers and networks; close, to be opened again on use."""
        with self._lock:
            opened, self._opened = self._opened, None
        try:
            if opened is not None:
                opened.session.close()
        finally:
            self.engine.close()
