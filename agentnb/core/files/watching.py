"""Changes in a tree as they happen, without looking at anything that a link leads to.

The library that watches follows links. So it is given the real folders one by one, and only
wakes us: what has changed is found by looking, beneath the workspace, at the folders it names.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from dataclasses import dataclass
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from agentnb.core.background import BackgroundThread
from agentnb.core.callthreads import CallThreads, current_call
from agentnb.core.closing import aclosed, aleave, leave
from agentnb.core.errors import PathEscape
from agentnb.core.failure import words_of
from agentnb.core.files.calls import opened
from agentnb.core.files.names import joined
from agentnb.core.files.walking import READ_FOLDER, WalkEntry, entries
from agentnb.core.forking import new_event
from agentnb.core.keywords import refuse_unknown
from agentnb.core.redact import redact
from agentnb.core.trace import ServiceLog
from agentnb.core.twins import twin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
    from pathlib import Path

    from agentnb.core.files.confinement import Confined

__all__ = ["Change", "Watcher"]

_DEBOUNCE_MS: Final = 200
_STEP_MS: Final = 20
_WAKE_MS: Final = 250
_LOOK_SECONDS: Final = 0.5
_JOIN_SECONDS: Final = 5.0
_STEP_SECONDS: Final = 0.5

_log = ServiceLog("files")

Stamp = tuple[int, int, int, int]
Events = set[tuple[Any, str]] | None


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """A change of a file or folder.

    Parameters
    ----------
    path
        Relative to the workspace.
    kind
        The kind: ``"created"``, ``"modified"`` or ``"deleted"``.
    """

    path: str
    kind: Literal["created", "modified", "deleted"]


@refuse_unknown("files")
class Watcher:
    """Yields the changes below a folder, each time a list of them; made by `watch`.

    Iterate it, or have it call something; `close` ends both. It also is a context manager.

    Parameters
    ----------
    open_root
        Returns a descriptor of the workspace.
    resolver
        Opens the files in it.
    place
        The workspace and the folder in it, as a real path and as names.
    on_close
        Called once with the watcher.
    """

    def __init__(
        self,
        open_root: Callable[[], int],
        resolver: Confined,
        place: tuple[Path, list[str]],
        on_close: Callable[[Watcher], object],
    ) -> None:
        self._open_root, self._resolver = open_root, resolver
        self._root, self._parts = place
        self._on_close = on_close
        self._stop = new_event()
        self._thread: BackgroundThread | None = None
        # Of its own, since it waits for as long as nothing changes.
        self._call_threads = CallThreads("files-watch", limit=1, finish=True)
        self._wakes: Generator[Events] | None = None
        self._watched: dict[str, int] = {}
        self._start = joined(*self._parts)
        self._seen: dict[str, tuple[int, dict[str, Stamp]]] = {}
        self.poll()

    @property
    def closed(self) -> bool:
        """Whether the watcher has ended."""
        return self._stop.is_set()

    def poll(self, folders: Iterable[str] | None = None) -> list[Change]:
        """Return the changes since the last call, by path.

        Parameters
        ----------
        folders
            Look into these only, and into what is new in them; by default into all.
        """
        before: dict[str, Stamp] = {}
        now: dict[str, Stamp] = {}
        waiting = list((self._seen.keys() | {self._start}) if folders is None else folders)
        done: set[str] = set()
        while waiting:
            folder = waiting.pop()
            if folder in done:
                continue
            done.add(folder)
            _, old = self._seen.pop(folder, (0, {}))
            new: dict[str, Stamp] = {}
            looked = self._look(folder)
            if looked is not None:
                self._seen[folder] = looked
                new = looked[1]
            before.update((joined(folder, name), stamp) for name, stamp in old.items())
            now.update((joined(folder, name), stamp) for name, stamp in new.items())
            # A folder that came, went, or is another one now; the others tell of themselves.
            waiting += [
                joined(folder, name)
                for name in old.keys() | new.keys()
                if _folder_in(old, name) != _folder_in(new, name)
            ]
        return _changes(before, now)

    apoll = twin(poll)

    def _look(self, folder: str) -> tuple[int, dict[str, Stamp]] | None:
        """Return a folder's number and its entries; None where it is no longer a folder."""
        parts = [] if folder == "." else folder.split("/")
        try:
            with (
                opened(self._open_root()) as root,
                opened(self._resolver.open(root, parts, READ_FOLDER | os.O_NOFOLLOW)) as found,
            ):
                listed = entries(found, hidden=self._resolver.hidden)
                names = {one.name: _stamp(one) for one in listed}
                return os.fstat(found).st_ino, names
        except (OSError, PathEscape):
            return None

    def _folders(self) -> dict[str, int]:
        """Return the real folders that are there, as the system names and numbers them."""
        return {str(self._root / path): ino for path, (ino, _) in self._seen.items()}

    def _affected(self, events: Iterable[tuple[object, str]]) -> set[str]:
        """Return the folders in which something has happened, or that something happened to."""
        found: set[str] = set()
        skip = len(str(self._root)) + 1
        for _, path in events:
            inner = path[skip:]
            found |= {inner.rpartition("/")[0] or ".", inner or "."}
        return found & self._seen.keys()

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
            woken = next(self._wakes, None)
            if first or woken is None or woken:
                # At first, since something may have happened before the watch began.
                everything = first or not woken
                changes = self.poll(None if everything else self._affected(woken or ()))
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

    async def await_(self, timeout: float | None = None) -> list[Change]:  # noqa: ASYNC109 - as wait
        """Await `wait`."""
        return await self._call_threads.run(partial(self._await, timeout))

    def _await(self, timeout: float | None) -> list[Change]:
        """Wait in steps, so that a caller that is cancelled ends the wait."""
        call = current_call("files-watch")
        until = inf if timeout is None else monotonic() + timeout
        while not self.closed and not (call and call.cancelled):
            if changes := self.wait(max(0.0, min(until - monotonic(), _STEP_SECONDS))):
                return changes
            if monotonic() >= until:
                break
        return []

    async def __aiter__(self) -> AsyncIterator[list[Change]]:
        while not self.closed:
            if changes := await self.await_():
                yield changes

    def _woken(self, folders: Iterable[str]) -> Generator[Events]:
        """Yield the changed folders, None if any may have changed, or an empty set now and then."""
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
            yield None

    def start(self, call: Callable[[list[Change]], Any]) -> Watcher:
        """Call this with each list of changes, in a thread, until the watcher is closed."""

        def run() -> None:
            for changes in self:
                try:
                    call(changes)
                except Exception as error:  # noqa: BLE001 - the next changes are told all the same
                    name = getattr(call, "__qualname__", type(call).__name__)
                    _log.failed(
                        logging.ERROR,
                        "handler %s of changed files failed: %s",
                        *(name, redact(words_of(error))),
                        error=error,
                    )

        self._thread = BackgroundThread(run, name="files-watch", log=_log)
        self._thread.wake()
        return self

    def close(self) -> None:
        """End the watch. Idempotent."""
        self._stop.set()
        if self._thread is not None and not self._thread.is_current:
            self._thread.stop(_JOIN_SECONDS)
        elif self._wakes is not None:
            with contextlib.suppress(ValueError):  # it is being waited for, and ends by itself
                self._wakes.close()
        self._call_threads.close()
        self._on_close(self)

    async def aclose(self) -> None:
        """Await `close`."""
        await aclosed(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await aleave(error, self.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)


def _stamp(found: WalkEntry) -> Stamp:
    about = found.stat
    return about.st_mode, about.st_ino, about.st_size, about.st_mtime_ns


def _folder_in(names: dict[str, Stamp], name: str) -> int:
    """Return the number of the folder that has a name, or 0."""
    mode, ino, *_ = names.get(name, (0, 0))
    return ino if stat.S_ISDIR(mode) else 0


def _changes(before: dict[str, Stamp], now: dict[str, Stamp]) -> list[Change]:
    modified = (path for path in now.keys() & before.keys() if now[path] != before[path])
    return sorted(
        [Change(path, "created") for path in now.keys() - before.keys()]
        + [Change(path, "deleted") for path in before.keys() - now.keys()]
        + [
            Change(path, "modified")
            for path in modified
            # A folder's own time says only that its names have changed.
            if not (stat.S_ISDIR(now[path][0]) and stat.S_ISDIR(before[path][0]))
        ]
    )
