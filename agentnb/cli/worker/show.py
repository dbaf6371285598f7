"""The output of a worker: a line for each job, and a bar while it drains."""

from __future__ import annotations

import logging
import shutil
import sys
from contextlib import suppress
from datetime import datetime
from time import monotonic, strftime
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.forking import new_lock
from agentnb.core.redact import redact
from agentnb.core.trace.logs import JsonFormatter

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JobLines", "Screen", "line_of"]

_LONGEST = 200
_ENDED = {
    "completed": "completed",
    "failed": "failed",
    "delayed": "again",
    "waiting": "again",
}
_WORKFLOW = "agentnb.workflow"
_EXECUTOR = "agentnb.work"
_LOGGERS = ("agentnb.queue", _WORKFLOW, _EXECUTOR)
_BAR = 28
_LEVELS = {"failed": logging.ERROR, "again": logging.WARNING}


def line_of(record: logging.LogRecord) -> tuple[str, str] | None:
    """Return how a job or task ended, or nothing, and a line; None for what is not shown."""
    data: dict[str, Any] = getattr(record, "data", None) or {}
    kind, _, ended = str(record.msg).partition(" ")
    ended = data["state"] if "error" in data and "state" in data else ended
    outcome = _ENDED.get(ended, "") if kind in {"job", "task"} else ""
    queue, job = data.get("queue", ""), data.get("job_id", "")
    if record.name == _WORKFLOW:
        queue, job = data.get("agent") or "agents", data.get("task", "")
        job = f"{data.get('workflow')}/{job}" if job and data.get("workflow") else job
    elif record.name == _EXECUTOR:
        queue = "executor"
    if outcome:
        words = {"again": f"failed, {data.get('left')} left"}.get(outcome, outcome)
        what = f"{words:<14}  {data.get('ms', 0.0):>8,.0f} ms"
        error = data.get("error")
        if error:
            what += f"  attempt {data.get('attempt')}: {error}"
    elif record.levelno >= logging.WARNING or not job:
        what = " ".join(filter(None, (record.getMessage(), data.get("worker"))))
    else:
        return None
    words = f"{queue}  {job}" if job else str(queue)
    # One line each: an error's text may have several.
    return outcome, " ".join(f"{words}  {what}".lstrip().split("\n"))[:_LONGEST]


class JobLines(logging.Handler):
    """Hands on what a hub's queues, workflows and executor log, as lines for people.

    Parameters
    ----------
    hub_id
        The hub.
    tell
        Given the outcome, or nothing, the line and the record.
    """

    def __init__(
        self, hub_id: str | None, tell: Callable[[str, str, logging.LogRecord], object]
    ) -> None:
        super().__init__(logging.INFO)
        self._hub_id = hub_id
        self._tell = tell
        self._loggers = [logging.getLogger(name) for name in _LOGGERS]

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record on."""
        # An executor may serve several hubs; a worker's process has one.
        if record.name != _EXECUTOR and getattr(record, "hub", None) != self._hub_id:
            return
        found = line_of(record)
        if found is not None:
            self._tell(*found, record)

    def __enter__(self) -> Self:
        for logger in self._loggers:
            logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        for logger in self._loggers:
            logger.removeHandler(self)


def _record(line: str, level: int) -> logging.LogRecord:
    return logging.LogRecord("agentnb.worker", level, "", 0, line, None, None)


class Screen:
    """Standard output: lines, and below them a bar where it is a terminal.

    Parameters
    ----------
    quiet
        Whether lines that tell how a job ended are left out.
    log
        ``text`` for lines with the date, the zone and the level, ``json`` for an object a line,
        as in the logs of the home; None for lines with the time of day.
    redactor
        Masks secrets in JSON.

    Attributes
    ----------
    ended
        How many attempts have ended, by how.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        log: str | None = None,
        redactor: Callable[[str], str] = redact,
    ) -> None:
        self.ended = {"completed": 0, "failed": 0, "again": 0}
        self._quiet = quiet
        self._log = log
        self._redactor = redactor
        self._lock = new_lock()
        self._bar = ""
        self._out = sys.stdout
        self._terminal = self._out.isatty() and log is None
        self._began = monotonic()

    def tell(self, outcome: str, line: str, record: logging.LogRecord | None = None) -> None:
        """Count an outcome and print a line."""
        with self._lock:
            if outcome:
                self.ended[outcome] += 1
            if not (outcome and self._quiet):
                self._write(self._formatted(outcome, line, record) + "\n")

    def _formatted(self, outcome: str, line: str, record: logging.LogRecord | None) -> str:
        if self._log is None:
            return f"{strftime('%H:%M:%S')}  {line}"
        level = _LEVELS.get(outcome, logging.INFO) if record is None else record.levelno
        if self._log == "text":
            now = datetime.now().astimezone().isoformat(timespec="milliseconds")
            return f"{now} {logging.getLevelName(level):<7} {line}"
        return JsonFormatter(self._redactor).format(record or _record(line, level))

    def say(self, line: str) -> None:
        """Print a line."""
        self.tell("", line)

    def progress(self, ended: int, total: int) -> None:
        """Draw the bar anew; nothing where this is no terminal."""
        if not self._terminal:
            return
        share = ended / total if total else 1.0
        full = round(share * _BAR)
        seconds = max(monotonic() - self._began, 0.001)
        bar = "\u2588" * full + "\u2591" * (_BAR - full)
        rate = ended / seconds
        speed = f"{rate:,.0f} a second" if rate >= 1 else f"{rate * 60:,.0f} a minute"
        text = f"{bar} {share:4.0%}  {ended:,} of {total:,}  {speed}"
        text = text[: shutil.get_terminal_size().columns - 1]
        with self._lock:
            if text != self._bar:
                self._bar = text
                self._write("")

    def clear(self) -> None:
        """Leave the bar as it is, and go on below it."""
        with self._lock:
            if self._bar:
                self._write("", end="\n")
                self._bar = ""

    def sum_up(self) -> None:
        """Print what was done."""
        counts = [f"{self.ended['completed']:,} completed", f"{self.ended['failed']:,} failed"]
        if self.ended["again"]:
            counts.append(f"{self.ended['again']:,} tried again")
        self.say(f"stopped: {', '.join(counts)}")

    def _write(self, text: str, end: str = "") -> None:
        erase = "\r\x1b[K" if self._bar else ""
        whole = f"{erase}{text}{self._bar}{end}"
        # The reader may be gone; the worker goes on.
        with suppress(OSError):
            self._out.flush()
            self._out.buffer.write(whole.encode(self._out.encoding or "utf-8", "replace"))
            self._out.buffer.flush()
