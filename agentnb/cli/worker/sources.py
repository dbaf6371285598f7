"""The sources of a worker's processors: the command line, or a cell that was kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agentnb.cli.worker.apps import import_app
from agentnb.core.errors import AgentnbError, ConfigError, NotFoundError, UsageError, did_you_mean
from agentnb.core.forking import new_lock
from agentnb.core.modules import KeptModule, module_path
from agentnb.core.queue.processing import KernelOnlyError, Processor, marked, processor_of

if TYPE_CHECKING:
    import argparse
    from pathlib import Path
    from types import ModuleType

    from agentnb.cli.worker.apps import Apps
    from agentnb.cli.worker.show import Screen
    from agentnb.core.hub import Hub

__all__ = ["Kept", "Source", "prefix_of", "say_sources", "sources"]


@dataclass
class Source:
    """The processor of one queue, and where it comes from.

    Attributes
    ----------
    processor
        The processor.
    refused
        Why no job may be processed at present, or None.
    """

    queue: str
    processor: Processor
    refused: AgentnbError | None = None

    def refresh(self) -> AgentnbError | None:
        """Look for a newer processor, and return what is wrong with one that was found."""
        return None


class Kept(Source):
    """The processor that a cell has made; another one as soon as the cell has run again.

    Parameters
    ----------
    queue
        The queue.
    path
        The cell's module.
    timeout
        Seconds for an attempt, where the processor does not say.

    Raises
    ------
    NotFoundError
        No cell has made one here.
    ConfigError
        It cannot be loaded, or needs the notebook's names.
    """

    def __init__(self, queue: str, path: Path, timeout: float | None) -> None:
        self.queue = queue
        self.refused = None
        self._timeout = timeout
        self._lock = new_lock()
        self._module = KeptModule(path, self._use)
        self._module.refresh()
        if self.refused is not None:
            raise self.refused

    def refresh(self) -> AgentnbError | None:
        """Look whether the cell has run again; one that fails leaves the processor as it was."""
        with self._lock:
            try:
                self._module.refresh()
            except AgentnbError as error:
                return error
        return None

    def _use(self, module: ModuleType) -> None:
        try:
            found = processor_of(module, self._module.path.name, self.queue)
        except KernelOnlyError as error:
            # The processor from before is not what the cell says now: nothing is processed.
            self.refused = error
            return
        self.processor = _with_timeout(found, self._timeout)
        self.refused = None


def sources(options: argparse.Namespace, home: Path, apps: Apps) -> list[Source]:
    """Return what the options of ``agentnb worker`` name, a source for each queue.

    Queues that are not named are all that the apps mark, unless agents are named.

    Raises
    ------
    UsageError
        A queue is named twice, or none is; both ways to name a processor are used.
    ConfigError
        A queue has no processor, a module cannot be imported, or has not what it should.
    """
    queues = list(options.queue)
    if len(set(queues)) < len(queues):
        raise UsageError(
            "a queue is named twice", service="cli", hint=f"agentnb worker {queues[0]}"
        )
    if options.processor and options.app:
        raise UsageError(
            "--processor and --app exclude each other", service="cli", hint="leave one out"
        )
    if options.agents is not None and not queues and (options.agents or not options.app):
        return []  # agents alone are asked for
    if options.app:
        return _of_apps(apps, queues, options)
    if not queues:
        raise UsageError(
            "no queue is named",
            service="cli",
            hint="agentnb worker QUEUE, or --app MODULE for all that a module has marked",
        )
    if options.processor:
        found = _with_timeout(_named(options.processor), options.timeout)
        return [Source(queue, found) for queue in queues]
    return [_kept(queue, home, options.timeout) for queue in queues]


def _kept(queue: str, home: Path, timeout: float | None) -> Source:
    try:
        return Kept(queue, module_path(home, "queue", queue), timeout)
    except NotFoundError as error:
        raise ConfigError(
            f"{queue} has no processor: no cell of a notebook was kept for it in {home}",
            service="queue",
            hint=f"run such a cell, or name one: agentnb worker {queue} --processor "
            "pkg.module:function, or --app pkg.module; other machines always need one of these",
        ) from error


def _of_apps(apps: Apps, queues: list[str], options: argparse.Namespace) -> list[Source]:
    found = apps.processors
    agents = options.agents is not None
    if not found and not (agents and not queues):
        hint = "mark them: from agentnb.core.queue import processor; @processor('QUEUE')"
        if apps.agents:
            hint = f"it marks agents, {', '.join(apps.agents)}: add --agents"
        raise ConfigError(
            f"{apps.names} marks no function as a processor", service="queue", hint=hint
        )
    for queue in queues:
        if queue not in found:
            raise ConfigError(
                f"{apps.names} has no processor for {queue}",
                service="queue",
                hint=did_you_mean(queue, found) or f"it has: {', '.join(found)}",
            )
    return [
        Source(queue, _with_timeout(found[queue], options.timeout)) for queue in queues or found
    ]


def _named(spec: str) -> Processor:
    """Return the processor that ``pkg.module:function`` names."""
    name, colon, path = spec.partition(":")
    if not name or not colon or not path:
        raise UsageError(
            f"--processor must be MODULE:FUNCTION, got {spec!r}",
            service="cli",
            hint="--processor pkg.module:function",
        )
    module = import_app(name)
    found: Any = module
    for word in path.split("."):
        if not hasattr(found, word):
            known = [one for one in dir(found) if callable(getattr(found, one, None))]
            raise ConfigError(
                f"{name} has no {path}",
                service="queue",
                hint=did_you_mean(word, known) or f"look into {getattr(module, '__file__', name)}",
            )
        found = getattr(found, word)
    for processor in marked(module).values():
        if processor.function is found:
            return replace(processor, source=spec)
    return Processor(found, source=spec)


def _with_timeout(processor: Processor, timeout: float | None) -> Processor:
    if timeout is None or processor.timeout is not None:
        return processor
    return replace(processor, timeout=timeout)


def say_sources(hub: Hub, sources: list[Source], workers: str, screen: Screen) -> None:
    """Print a line for each queue: its processor, its threads or processes, and the server."""
    for source in sources:
        screen.say(
            f"{source.queue}  {source.processor.name}, {workers}, on {hub.redis.target}, "
            f"{prefix_of(hub)}"
        )


def prefix_of(hub: Hub) -> str:
    """Return the key prefix, for the line about a server."""
    prefix = hub.settings.key_prefix
    return f"prefix {prefix}" if prefix else "no prefix"
