"""The sources of a worker's processors: the command line, or a cell that was kept."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError, ConfigError, NotFoundError, UsageError, did_you_mean
from agentnb.core.modules import KeptModule, module_path
from agentnb.core.queue.processing import KernelOnlyError, Processor, marked, processor_of

if TYPE_CHECKING:
    import argparse
    from types import ModuleType

__all__ = ["Kept", "Source", "import_app", "sources"]


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
        self._lock = threading.Lock()
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


def sources(options: argparse.Namespace, home: Path) -> list[Source]:
    """Return what the options of ``agentnb worker`` name, a source for each queue.

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
    if options.app:
        return _of_apps(options.app, queues, options.timeout)
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
            f"{queue} has no processor: no cell under %%queue task {queue} was kept in {home}",
            service="queue",
            hint=f"run such a cell, or name one: agentnb worker {queue} --processor "
            "pkg.module:function, or --app pkg.module; other machines always need one of these",
        ) from error


def _of_apps(apps: list[str], queues: list[str], timeout: float | None) -> list[Source]:
    found: dict[str, Processor] = {}
    for app in apps:
        of_app = marked(import_app(app))
        for queue in of_app.keys() & found.keys():
            raise ConfigError(
                f"both apps have a processor for {queue}: {app}",
                service="queue",
                hint="start a worker for each app",
            )
        found |= of_app
    if not found:
        raise ConfigError(
            f"{' and '.join(apps)} marks no function as a processor",
            service="queue",
            hint="mark them: from agentnb.core.queue import processor; @processor('QUEUE')",
        )
    for queue in queues:
        if queue not in found:
            raise ConfigError(
                f"{' and '.join(apps)} has no processor for {queue}",
                service="queue",
                hint=did_you_mean(queue, found) or f"it has: {', '.join(found)}",
            )
    return [Source(queue, _with_timeout(found[queue], timeout)) for queue in queues or found]


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
    places = getattr(sys.modules.get(parent), "__path__", None) if parent else None
    prefix = f"{parent}." if parent else ""
    known = [prefix + one.name for one in pkgutil.iter_modules(places)]
    hint = did_you_mean(missing, known)
    return hint or f"{name.partition('.')[0]} is looked for in this folder and what is installed"


def _with_timeout(processor: Processor, timeout: float | None) -> Processor:
    if timeout is None or processor.timeout is not None:
        return processor
    return replace(processor, timeout=timeout)
