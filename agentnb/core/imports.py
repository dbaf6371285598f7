"""Imports that Ctrl-C does not cut in two.

A package that is interrupted while it is imported for the first time stays half in `sys.modules`,
and every later use of it fails. An interrupt that comes while code of agentnb imports something
is therefore held back, and delivered when that is done.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import FrameType, ModuleType

__all__ = ["protect_imports"]

_PACKAGE = __name__.partition(".")[0]
# After the statement that imports has ended, importlib's last steps included.
_SECONDS_LATER = 0.02
_OBJECTS = 20_000  # are made between two collections while a module is imported


def protect_imports() -> None:
    """Hold interrupts back, from now on, while code of agentnb imports. Idempotent."""
    if not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


# Neither is one of importlib.abc's, which imports tempfile and more.
class _Finder:
    """Finds what the other finders find, and has it executed without interrupts."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of a module; None for those of others."""
        if not _may_hold() or not _called_by_us(sys._getframe(1)):  # noqa: SLF001 - inspect's is slow
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(fullname, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = cast("Any", _Whole(spec.loader))
                return spec
        return None


class _Whole:
    """Executes a module with interrupts held back; else it is the loader that it is given."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module, as the loader makes it."""
        spec.loader = self._loader  # for those who ask it for a source or a resource
        try:
            made: ModuleType | None = self._loader.create_module(spec)
        finally:
            spec.loader = cast("Any", self)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with _held(), _rarely_collected():
            self._loader.exec_module(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class _Pending:
    """Stands in for the handler of SIGINT, and remembers that it was to be called."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler
        self.came = True


@contextmanager
def _held() -> Iterator[None]:
    pending = _Pending()
    before = signal.signal(signal.SIGINT, pending)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pending.came:
            # Not here, where it would undo what has just been imported.
            later = threading.Timer(_SECONDS_LATER, _interrupt, [threading.get_ident()])
            later.daemon = True
            later.start()


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """Let the garbage collector run seldom, for modules stay: it was an eighth of a start."""
    before = gc.get_threshold()
    if not 0 < before[0] < _OBJECTS:
        yield
        return
    meanwhile = (_OBJECTS, *before[1:])
    gc.set_threshold(*meanwhile)
    try:
        yield
    finally:
        if gc.get_threshold() == meanwhile:  # else the module has set its own
            gc.set_threshold(*before)


def _interrupt(thread: int) -> None:
    signal.pthread_kill(thread, signal.SIGINT)


def _may_hold() -> bool:
    """Return whether an interrupt could come here, and is not held back already."""
    if threading.current_thread() is not threading.main_thread():
        return False
    handler = signal.getsignal(signal.SIGINT)
    return callable(handler) and not isinstance(handler, _Pending)


def _called_by_us(frame: FrameType | None) -> bool:
    """Return whether code of agentnb imports, itself or through others, and no notebook does."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name == _PACKAGE or name.startswith(f"{_PACKAGE}."):
            return True
        if name == "__main__":
            return False
        frame = frame.f_back
    return False
