"""The agents of a worker: marked in modules, or made by cells and kept in the home."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from agentnb.cli.worker.sources import import_app
from agentnb.core.errors import AgentnbError, ConfigError, did_you_mean
from agentnb.core.workflow.agents import marked

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from agentnb.core.hub import Hub
    from agentnb.core.workflow import Worker

__all__ = ["AgentPost"]


class AgentPost:
    """What ``--agents`` names, and the threads that do its tasks.

    Parameters
    ----------
    hub
        The hub.
    options
        Those of the command line.
    tell
        Given a line for people.

    Raises
    ------
    ConfigError
        An agent is not known, cannot be used in a worker process, or a module has none.
    """

    def __init__(
        self, hub: Hub, options: argparse.Namespace, tell: Callable[[str], object]
    ) -> None:
        self._workflows = hub.workflows
        self._options = options
        self._tell = tell
        self._said: dict[str, str] = {}
        self._worker: Worker | None = None
        self._stopper: threading.Thread | None = None
        self.orderly = True
        """Whether everything that ran when work ended came to its end."""
        registry = self._workflows.registry
        for app in options.app:
            for agent in marked(import_app(app)).values():
                registry.add(agent)
        self._wanted = tuple(options.agents) or None
        for name in self._wanted or ():
            self._find(name)
        if self._wanted is None and options.app and not registry.here():
            raise ConfigError(
                f"{' and '.join(options.app)} marks no agent",
                service="workflow",
                hint="mark them: from agentnb.core.workflow import agent; @agent('NAME')",
            )

    def _find(self, name: str) -> None:
        registry = self._workflows.registry
        known = [*registry.here(), *registry.kept()]
        if name not in known:
            raise ConfigError(
                f"there is no agent {name} here: no cell under %%agent {name} was kept",
                service="workflow",
                hint=did_you_mean(name, known)
                or "run such a cell, or name a module: --app pkg.module; other machines always "
                "need that",
            )
        registry.find(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The agents that can be worked as now."""
        registry = self._workflows.registry
        found = []
        for name in self._wanted or dict.fromkeys([*registry.here(), *registry.kept()]):
            try:
                agent = registry.find(name)
            except AgentnbError as error:
                self._say(name, f"agent {name} waits: {error}")
            else:
                self._say(name, f"agent {name} is {agent.module}")
                found.append(name)
        return tuple(found)

    def _say(self, name: str, line: str) -> None:
        if self._said.get(name) != line:
            self._said[name] = line
            self._tell(line)

    def start(self) -> None:
        """Begin to work."""
        names = self.names
        if not names:
            self._tell("no agent yet: %%agent NAME over a cell makes one, which is then served")
        self._worker = self._workflows.work(
            names, concurrency=self._options.concurrency, kind="process"
        )

    def look(self) -> None:
        """Look for newer agents."""
        if self._worker is not None:
            self._worker.serve(self.names)

    @property
    def running(self) -> int:
        """How many tasks run."""
        return self._worker.busy if self._worker is not None else 0

    def done(self) -> bool:
        """Return whether no task is left to do."""
        return self._worker is not None and not self._worker.left()

    def stop(self) -> threading.Thread:
        """Begin to stop, and return what can be waited for."""
        if self._stopper is None:
            self._stopper = threading.Thread(target=self._stop, name="agentnb-stop", daemon=True)
            self._stopper.start()
        return self._stopper

    def _stop(self) -> None:
        self.orderly = self._workflows.stop(self._options.grace)
