"""Changes in a tree as they happen, without looking at anything that a link leads to.

The library that watches follows links. So it is given the real folders one by one, and only
wakes us: what has changed is found by looking, beneath the workspace, at the folders it names.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from agentnb.core.files.names import joined
from agentnb.core.files.walking import READ_FOLDER, Found, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

    from agentnb.core.files.beneath import Resolver

__all__ = ["Change", "Watcher"]

_DEBOUNCE_MS: Final = 200
_STEP_MS: Final = 20
_WAKE_MS: Final = 250
_LOOK_SECONDS: Final = 0.5
_JOIN_SECONDS: Final = 5.0

_log = logging.getLogger("agentnb.files")

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """Something that happened to a file or folder.

    Parameters
    ----------
    path
        Relative to the workspace.
    kind
        What happened: ``"created"``, ``"modified"`` or ``"deleted"``.
    """

    path: str
    kind: Literal["created", "modified", "deleted"]


class Watcher:
    """Yields the changes below a folder, each time a list of them; made by `watch`.

    Iterate it, or have it call something; `close` ends both. It also is a context manager.

    Parameters
    ----------
    open_root
        Returns a descriptor of the workspace.
    resolver
        How to open what lies in it.
    place
        The workspace and the folder in it, as a real path and as names.
    on_close
        Called once with the watcher.
    """

    def __init__(
        self,
        open_root: Callable[[], int],
        resolver: Resolver,
        place: tuple[Path, list[str]],
        on_close: Callable[[Watcher], object],
    ) -> None:
        self._open_root, self._resolver = open_root, resolver
        self._root, self._parts = place
        self._on_close = on_close
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._wakes: Generator[object] | None = None
        self._watched: dict[str, int] = {}
        self._seen = self._look()

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._stop.is_set()

    def _look(self) -> dict[str, Stamp]:
        """Return what there is now, each with what tells that it has changed."""
        root = self._open_root()
        self._top = 0
        try:
            folder = self._resolver.open(root, self._parts, READ_FOLDER)
        except OSError:
            return {}  # the folder itself is gone; it may come back
        finally:
            os.close(root)
        try:
            self._top = os.fstat(folder).st_ino
            start = joined(*self._parts)
            return {joined(start, found.path): _stamp(found) for found in walk(folder)}
        finally:
            os.close(folder)

    def _folders(self) -> dict[str, int]:
        """Return the real folders that are there, as the system names and numbers them."""
        if not self._top:
            return {}
        inner = {path: ino for path, (mode, ino, *_) in self._seen.items() if stat.S_ISDIR(mode)}
        folders = {joined(*self._parts): self._top, **inner}
        return {str(self._root / path): ino for path, ino in folders.items()}

    def poll(self) -> list[Change]:
        """Return what has changed since the last look, by path."""
        before, self._seen = self._seen, self._look()
        now = self._seen
        return sorted(
            [Change(path, "created") for path in now.keys() - before.keys()]
            + [Change(path, "deleted") for path in before.keys() - now.keys()]
            + [
                Change(path, "modified")
                for path in now.keys() & before.keys()
                if now[path] != before[path] and not _is_folder(now[path], before[path])
            ]
        )

    def wait(self, timeout: float | None = None) -> list[Change]:
        """Return the next changes, as soon as there are any.

        Parameters
        ----------
        timeout
            Seconds; None waits until the watcher is closed.

        Returns
        -------
        list of Change
            Empty where the time was over first, or the watcher has been closed.
        """
        until = None if timeout is None else monotonic() + timeout
        while not self._stop.is_set():
            first = self._wakes is None
            if self._wakes is None:
                self._watched = self._folders()
                self._wakes = self._woken(self._watched)
            woken = next(self._wakes, True)
            if first or woken:
                changes = self.poll()
                if self._folders() != self._watched:
                    self._wakes.close()
                    self._wakes = None
                if changes:
                    return changes
            if until is not None and monotonic() > until:
                break
        return []

    def __iter__(self) -> Iterator[list[Change]]:
        while not self._stop.is_set():
            if changes := self.wait():
                yield changes

    def _woken(self, folders: Iterable[str]) -> Generator[object]:
        """Yield whenever something may have happened (true) and now and then (false)."""
        from watchfiles import watch

        there = [folder for folder in folders if os.path.isdir(folder)]  # noqa: PTH112 - a Path for each of thousands is slow
        try:
            if there:
                yield from watch(
                    *there,
                    watch_filter=None,
                    recursive=False,
                    debounce=_DEBOUNCE_MS,
                    step=_STEP_MS,
                    rust_timeout=_WAKE_MS,
                    yield_on_timeout=True,
                    stop_event=self._stop,
                    raise_interrupt=True,
                )
        except OSError as error:  # a folder went away, or there are more than the system watches
            _log.debug("looking instead of watching: %s", error)
        while not self._stop.wait(_LOOK_SECONDS):
            yield True

    def start(self, call: Callable[[list[Change]], Any]) -> Watcher:
        """Call this with each list of changes, in a thread, until the watcher is closed."""

        def run() -> None:
            for changes in self:
                try:
                    call(changes)
                except Exception:  # noqa: BLE001 - the next changes are told all the same
                    _log.exception("what was to be told of changes has failed")

        self._thread = threading.Thread(target=run, name="agentnb-files-watch", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """End the watch. Idempotent."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_SECONDS)
        elif self._wakes is not None:
            with contextlib.suppress(ValueError):  # it is being waited for, and ends by itself
                self._wakes.close()
        self._on_close(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _stamp(found: Found) -> Stamp:
    about = found.stat
    return about.st_mode, about.st_ino, about.st_size, about.st_mtime_ns


def _is_folder(*stamps: Stamp) -> bool:
    """Tell whether it was a folder and is one: its own time says only that its names changed."""
    return all(stat.S_ISDIR(mode) for mode, *_ in stamps)
