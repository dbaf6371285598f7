"""The modules of ``agentnb worker --app``: the processors and the agents that they mark."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agentnb.core.errors import ConfigError, UsageError, did_you_mean
from agentnb.core.queue.processing import marked as marked_processors
from agentnb.core.workflow.agents import Agent
from agentnb.core.workflow.agents import marked as marked_agents

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from types import ModuleType

    from agentnb.core.queue.processing import Processor

__all__ = ["Apps", "import_app"]

T = TypeVar("T", "Processor", "Agent")


_ARTICLES = {"agent": "an", "processor": "a"}


class Apps:
    """The processors and agents that some modules mark.

    Parameters
    ----------
    names
        The names of the modules.

    Attributes
    ----------
    names
        The names, as text.
    processors, agents
        Marked functions by the queue or the agent that they are marked for.

    Raises
    ------
    ConfigError
        A module cannot be imported, or two mark a function for the same queue or agent.
    UsageError
        One of the names is no module's name.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = " and ".join(names)
        modules = {name: import_app(name) for name in names}
        self.processors: dict[str, Processor] = {}
        self.agents: dict[str, Agent] = {}
        self._owners: dict[tuple[str, str], str] = {}
        for name, module in modules.items():
            self._take(name, "processor", marked_processors, module, self.processors)
            self._take(name, "agent", marked_agents, module, self.agents)

    def _take(
        self,
        app: str,
        kind: str,
        marked: Callable[[ModuleType], Mapping[str, T]],
        module: ModuleType,
        known: dict[str, T],
    ) -> None:
        for name, found in marked(module).items():
            if name in known:
                if _target(found) is _target(known[name]):
                    continue  # imported from the other module
                owner = self._owners[kind, name]
                raise ConfigError(
                    f"both apps have {_ARTICLES[kind]} {kind} for {name}: {owner} and {app}",
                    service="queue" if kind == "processor" else "workflow",
                    hint="start a worker for each app",
                )
            known[name] = found
            self._owners[kind, name] = app

    def unused(self, queues: Collection[str], agents: Collection[str]) -> list[str]:
        """Return a line for each processor and agent of the apps that the worker does not run.

        Parameters
        ----------
        queues, agents
            The queues and agents that the worker runs.
        """
        return [
            f"{name}  is registered by {self._owners['processor', name]} and not worked on: "
            f"agentnb worker {name}"
            for name in self.processors
            if name not in queues
        ] + [
            f"agent {name} is registered by {self._owners['agent', name]} and not worked on: "
            f"agentnb worker --agents {name}"
            for name in self.agents
            if name not in agents
        ]


def _target(found: Processor | Agent) -> object:
    """Return the function or the class that was marked."""
    return found.target if isinstance(found, Agent) else found.function


def import_app(name: str) -> ModuleType:
    """Return a module that the command line names.

    Raises
    ------
    ConfigError, UsageError
        It cannot be imported; it is no module's name.
    """
    # As `python -m` has it: a project's own modules are found in its folder.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # The module itself, or one that it imports?
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(
                f"there is no module {name}", service="queue", hint=_near(name, error.name)
            ) from error
        raise _failed(name, error) from error
    except ValueError as error:
        raise UsageError(
            f"{name!r} is no module's name", service="cli", hint="--app pkg.module"
        ) from error
    except (Exception, SystemExit) as error:
        raise _failed(name, error) from error


def _failed(name: str, error: BaseException) -> ConfigError:
    return ConfigError(
        f"{name} cannot be imported: {type(error).__name__}: {error}",
        service="queue",
        hint=f"python -c 'import {name}' shows where",
    )


def _near(name: str, missing: str) -> str:
    """Return a hint for a module that is not there."""
    parent, _, _ = missing.rpartition(".")
    above = sys.modules.get(parent) if parent else None
    if above is not None and not hasattr(above, "__path__"):
        return f"{parent} is a module, not a package: --app {parent}"
    places = getattr(above, "__path__", None)
    prefix = f"{parent}." if parent else ""
    known = [prefix + one.name for one in pkgutil.iter_modules(places)]
    hint = did_you_mean(missing, known)
    return hint or f"{name.partition('.')[0]} is looked for in this folder and what is installed"
