"""The flight recorder: a tape in memory for each unit of work, written if it fails."""

from __future__ import annotations

import datetime as dt
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

from agentnb.core.errors import AgentnbError
from agentnb.core.ranges import choice
from agentnb.core.tape.document import SUFFIX, write_document
from agentnb.core.tape.hook import inserted, muted, on_tape
from agentnb.core.tape.recorder import FLIGHT, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from agentnb.core.trace.servicelog import ServiceLog

__all__ = ["FOLDER", "MODES", "CellUnit", "FlightRecorder", "Unit"]

FOLDER: Final = "tapes"
MODES: Final = ("off", "failed", "all")
HINT: Final = 'hub.record("failed") (%agentnb record failed)'
_MOST_BYTES = 20_000_000
_MOST_SECONDS = 7 * 86_400.0
_MODE = 0o700
_NO_NAME = re.compile(r"[^A-Za-z0-9]+")


class FlightRecorder:
    """Records the jobs, the tasks and the cells of a hub.

    Nothing is written while nothing fails. A tape holds 500 steps, 1 MB and 64 kB of an answer at
    most; a home keeps 20 MB for 7 days, and the oldest tapes go first.

    Parameters
    ----------
    home
        The home, which holds the folder of the tapes.
    mode
        ``off``, ``failed`` or ``all``: the units whose tapes are written.
    redactor
        Masks secrets.
    """

    def __init__(self, home: Path, mode: str, redactor: Callable[[str], str]) -> None:
        self.folder = home / FOLDER
        self.redactor = redactor
        self._mode = mode

    @property
    def mode(self) -> str:
        """The units whose tapes are written."""
        return self._mode

    @property
    def takes_part(self) -> bool:
        """Whether units are recorded, or kept off the tape of a test."""
        return self._mode != "off" or inserted()

    def switch(self, mode: str) -> None:
        """Set the mode; it counts for units that begin from now on.

        Raises
        ------
        UsageError
            It is none of ``off``, ``failed`` and ``all``.
        """
        self._mode = choice("record", mode, MODES, service="tape", hint=HINT)

    def unit(self, describe: Callable[[], dict[str, Any]], log: ServiceLog) -> Unit:
        """Return the block of a unit of work.

        Parameters
        ----------
        describe
            Returns the unit as its tape has it; called if the tape is written.
        log
            The log in which it says that the tape was written, or why it was not.
        """
        return Unit(self, describe, log)

    def cell(self, describe: Callable[[], dict[str, Any]], log: ServiceLog) -> CellUnit:
        """Return the block of a cell, as `unit`; one that calls no service has no tape."""
        return CellUnit(self, describe, log)

    def write(self, document: dict[str, Any]) -> Path:
        """Write a tape, and remove those that are too old or too many."""
        unit = document["unit"]
        began = dt.datetime.fromisoformat(document["began"])
        words = [str(unit.get(name, "")) for name in ("kind", "id", "attempt")]
        name = "-".join(_NO_NAME.sub("_", word)[:60] for word in words)
        self.folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
        path = self.folder / f"{began:%Y%m%dT%H%M%S}{began.microsecond:06d}-{name}{SUFFIX}"
        write_document(path, document)
        self._prune()
        return path

    def _prune(self) -> None:
        total, oldest = 0, time.time() - _MOST_SECONDS
        for path in sorted(self.folder.glob(f"*{SUFFIX}"), reverse=True):  # the newest first
            with suppress(OSError):  # another worker has removed it
                found = path.stat()
                total += found.st_size
                if total > _MOST_BYTES or found.st_mtime < oldest:
                    path.unlink()


class Unit:
    """The block of a unit of work that is recorded; made by `FlightRecorder.unit`."""

    __slots__ = ("_block", "_describe", "_flight", "_is_test", "_log", "_mode", "_recorder")

    def __init__(
        self, flight: FlightRecorder, describe: Callable[[], dict[str, Any]], log: ServiceLog
    ) -> None:
        self._flight = flight
        # A test that records has the job's result on its tape, where a replay runs no job.
        self._is_test = inserted()
        self._mode = "off" if self._is_test else flight.mode
        self._describe = describe
        self._log = log
        self._recorder = Recorder({}, FLIGHT, flight.redactor)
        self._block = muted() if self._is_test else on_tape(self._recorder)

    def __enter__(self) -> Self:
        if self._is_test or self._mode != "off":
            self._block.__enter__()
        return self

    def _leave(self) -> None:
        self._block.__exit__()

    def returned(self, result: Any) -> None:
        """Note the result of the unit."""
        if self._mode == "all":
            self._recorder.succeeded(result)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_test:
            self._block.__exit__()
        if self._mode == "off":
            return
        self._leave()
        if isinstance(error, Exception):
            self._recorder.failed(error)
        elif error is not None or self._mode != "all":
            return  # it was put back or stopped, or is well
        try:
            self._recorder.unit = self._describe()
            path = self._flight.write(self._recorder.document())
        except (AgentnbError, OSError, ValueError, TypeError, RecursionError) as broken:
            self._log.warning("the attempt cannot be recorded: %s", broken)
            return
        self._log.info("the attempt is recorded: %s", path)


class CellUnit(Unit):
    """The block of a cell, which begins and ends in two hooks of the shell."""

    __slots__ = ()

    def begin(self) -> None:
        """Record what the cell does from now on; nothing where a tape is inserted."""
        if not self._is_test:
            self.__enter__()

    def end(self, error: BaseException | None) -> None:
        """Write the tape, if the cell has called a service and the mode says so."""
        if self._is_test or self._mode == "off":
            return
        if not self._recorder.count:
            self._leave()
            return
        self.__exit__(None if error is None else type(error), error, None)

    def _leave(self) -> None:
        with suppress(ValueError):  # the end of an awaited cell has the context of the one before
            self._block.__exit__()
