"""Structured logs: stdlib ``logging`` under ``agentnb``, stamped with the trace, as JSON."""

from __future__ import annotations

import functools
import logging
from collections import deque
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from agentnb.core.closing import leave
from agentnb.core.forking import new_lock
from agentnb.core.keywords import refuse_unknown
from agentnb.core.redact import redact
from agentnb.core.trace.context import context_var
from agentnb.core.trace.files import LinesFile, clean, clean_text, encode
from agentnb.core.trace.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agentnb.core.redact import Redactor

__all__ = ["JsonFormatter", "LogFile", "StampFilter", "write_line"]

_NAME = "agentnb"
_logger = logging.getLogger(_NAME)
# As a library should: without it, a record that no handler takes is printed to stderr.
_logger.addHandler(logging.NullHandler())

_attaching = new_lock()
_UNCHANGING = frozenset({str, int, float, bool, type(None)})


class StampFilter(logging.Filter):
    """Adds ``trace_id``, ``span_id`` and ``correlation_id`` to every record; refuses none.

    To be put on a *handler*: it then also stamps what sqlalchemy, redis and httpx log. A record
    that was stamped where it was made, before it crossed a thread, keeps its ids.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Stamp the record with the ids of the running context, or None."""
        if not hasattr(record, "trace_id"):
            context = context_var.get()
            record.trace_id = context.trace_id if context else None
            record.span_id = context.span_id if context else None
            record.correlation_id = context.correlation_id if context else None
        return True


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON in which every secret is masked.

    The keys are ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, ``trace_id``,
    ``span_id`` and ``correlation_id``, and where there is one, ``data`` (what was logged with
    ``extra={"data": {...}}``), ``error`` (the traceback) and ``stack``.

    Parameters
    ----------
    redactor
        Masks secrets in all of the record's text.
    """

    def __init__(self, redactor: Callable[[str], str] = redact) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, without a line break."""
        return self.encode(record).decode().rstrip("\n")

    def encode(self, record: logging.LogRecord) -> bytes:
        """Return the record's line as bytes, with a line break."""
        redactor = self._redactor
        line = self._line(_Parts.of(record, _message(record), getattr(record, "data", None)))
        if record.exc_info:
            line["error"] = clean_text(self.formatException(record.exc_info), redactor)
        elif record.exc_text:
            line["error"] = clean_text(record.exc_text, redactor)
        if record.stack_info:
            line["stack"] = clean_text(self.formatStack(record.stack_info), redactor)
        return encode(line)

    def encode_parts(self, parts: _Parts) -> bytes:
        """Return the line of a record of which only its parts were kept; as `encode`."""
        return encode(self._line(parts))

    def _line(self, parts: _Parts) -> dict[str, object]:
        redactor = self._redactor
        line: dict[str, object] = {
            "time": _moment(parts.created),
            "level": parts.level,
            "logger": parts.logger,
            "message": clean_text(parts.message, redactor),
            "trace_id": parts.trace_id,
            "span_id": parts.span_id,
            "correlation_id": clean(parts.correlation_id, redactor),
        }
        if parts.data is not None:
            line["data"] = _data(parts.data, redactor)
        return line


class _Parts(NamedTuple):
    """The parts of a line. A tuple, not a record, since thousands may wait to be written."""

    created: float
    level: str
    logger: str
    message: str
    trace_id: str | None
    span_id: str | None
    correlation_id: object
    data: object

    @classmethod
    def of(cls, record: logging.LogRecord, message: str, data: object) -> _Parts:
        """Return the parts of a record."""
        return cls(
            record.created,
            record.levelname,
            record.name,
            message,
            getattr(record, "trace_id", None),
            getattr(record, "span_id", None),
            getattr(record, "correlation_id", None),
            data,
        )


def _moment(created: float) -> str:
    """Return a time as ISO 8601 in UTC, with milliseconds."""
    ms = int(created * 1000)
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@functools.lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:19]


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - formatting runs the __str__ of any object
        # The record is kept and stderr left alone; the template has no values, so no secrets.
        template = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        return f"{template} (unformatted: {type(error).__name__})"


def _data(data: object, redactor: Callable[[str], str]) -> object:
    try:
        return clean(data, redactor)
    except Exception as error:  # noqa: BLE001 - a value's __str__ may raise anything
        return f"unwritable: {type(error).__name__}"


def _unchanging(record: logging.LogRecord) -> _Parts | None:
    """Return the parts of a record that will read the same later, or None if it may not."""
    if record.args or record.exc_info or record.exc_text or record.stack_info:
        return None
    data: object = getattr(record, "data", None)
    if data is not None:
        if type(data) is not dict or not _UNCHANGING.issuperset(map(type, data.values())):
            return None
        data = data.copy()
    return _Parts.of(record, record.msg, data) if type(record.msg) is str else None


class _Level(int):
    """A level that `LogFile.attach` has set; its type tells it from one that the user has set."""

    __slots__ = ()


class _Unlocked(logging.Handler):
    """A handler without a lock: threads do not wait for each other's records to be encoded."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Handle a record without taking a lock."""
        found: bool | logging.LogRecord = self.filter(record)
        if found:
            # From Python 3.12 on a filter may have put another in its place.
            self.emit(record if isinstance(found, bool) else found)
        return bool(found)


class _LogFileHandler(_Unlocked):
    """Writes to a file, never to stderr."""

    def __init__(
        self, file: LinesFile, formatter: JsonFormatter, hub_id: str | None, lowest: int
    ) -> None:
        super().__init__()
        self.lowest = lowest
        self.lines = formatter
        self.hub_id = hub_id
        self.kept: deque[bytes] = deque(maxlen=1000)
        self.writer: Writer[bytes | _Parts] = Writer(file, self._line, lost=self.kept.extend)
        self.addFilter(StampFilter())

    def emit(self, record: logging.LogRecord) -> None:
        if self.takes(record.name, record.levelno, getattr(record, "hub", None)):
            # The writing thread encodes a record that cannot change.
            self.write(record.levelno, _unchanging(record) or self.lines.encode(record))

    def takes(self, name: str, level: int, hub_id: str | None) -> bool:
        """Return whether the file takes the records of a logger and a hub at a level."""
        if self.hub_id is not None and hub_id not in {None, self.hub_id}:
            return False
        return level >= self.lowest or level >= _users_level(name)

    def write(self, level: int, line: bytes | _Parts) -> None:
        """Have a line written."""
        if not self.writer.submit(line):
            self.kept.append(self._line(line))
        elif level >= logging.WARNING:
            self.writer.flush()  # the process may be about to end

    def _line(self, line: bytes | _Parts) -> bytes:
        return line if isinstance(line, bytes) else self.lines.encode_parts(line)

    def close(self) -> None:
        self.writer.close()
        super().close()


class _Passage(_Unlocked):
    """Hands records on to the user's handlers as if there were no log file.

    Our file wants INFO; a user whose root logger is at WARNING would see all of it in the
    notebook. So while files are attached, this stands in for propagation.
    """

    def emit(self, record: logging.LogRecord) -> None:
        for handler in self.takers(record.name, record.levelno):
            handler.handle(record)

    def takers(self, name: str, level: int) -> list[logging.Handler]:
        """Return the user's handlers that take the records of a logger at a level."""
        takers = []
        at = _logger.parent
        while at is not None:
            for handler in at.handlers:
                # Some tools, pytest among them, also attach to a logger that does not propagate.
                if level >= handler.level and handler not in _logger.handlers:
                    takers.append(handler)  # noqa: PERF401 - a comprehension costs as much as the rest
            at = at.parent if at.propagate else None
        # The level is looked for last: most programs have no handler that would take the record.
        return takers if takers and level >= _users_level(name) else []


_UNSEEN = (logging.NullHandler, _LogFileHandler)


def write_line(logger: logging.Logger, level: int, message: str, extra: dict[str, Any]) -> bool:
    """Write a line to the log files without making a record, where nothing else would take one.

    A record costs several times as much as the line, which tells for lines of which there are
    thousands a second.

    Parameters
    ----------
    logger, level, message, extra
        As for `logging.Logger.log`; the message without arguments.

    Returns
    -------
    bool
        Whether that was done; if not, the logger has to be asked.
    """
    data = extra.get("data")
    if type(data) is not dict or not _UNCHANGING.issuperset(map(type, data.values())):
        return False
    files = _only_files(logger, level)
    if not files:
        return False
    context = extra if "trace_id" in extra else _ids_of(context_var.get())
    parts = _Parts(
        time(),
        logging.getLevelName(level),
        logger.name,
        message,
        context["trace_id"],
        context["span_id"],
        context["correlation_id"],
        data.copy(),
    )
    for file in files:
        if file.takes(logger.name, level, extra.get("hub")):
            file.write(level, parts)
    return True


def is_shown(logger: logging.Logger, level: int) -> bool:
    """Return whether a handler of the user's takes the records of a logger at a level."""
    at: logging.Logger | None = logger
    while at is not None:
        for handler in at.handlers:
            if isinstance(handler, _Passage):
                if handler.takers(logger.name, level):
                    return True
            elif not isinstance(handler, _UNSEEN) and level >= handler.level:
                return True
        at = at.parent if at.propagate else None
    return False


def _ids_of(context: Any) -> dict[str, Any]:
    """Return the ids of a context, each None where there is none."""
    names = ("trace_id", "span_id", "correlation_id")
    return {name: getattr(context, name, None) for name in names}


def _only_files(logger: logging.Logger, level: int) -> list[_LogFileHandler]:
    """Return the log files if no other handler or filter would see a record of a logger."""
    plain = logger.propagate and not (logger.handlers or logger.filters or logger.disabled)
    made = logging.getLogRecordFactory() is logging.LogRecord and logger.isEnabledFor(level)
    if not (plain and made) or logger.parent is not _logger or _logger.propagate:
        return []
    files = []
    for handler in _logger.handlers:
        if isinstance(handler, _LogFileHandler) and len(handler.filters) == 1:
            files.append(handler)
        elif isinstance(handler, _Passage):
            if handler.takers(logger.name, level):
                return []
        elif not isinstance(handler, logging.NullHandler):
            return []
    return files


def _users_level(name: str) -> int:
    at: logging.Logger | None = logging.getLogger(name)
    while at is not None:
        if at.level and not isinstance(at.level, _Level):
            return at.level
        at = at.parent
    return logging.NOTSET


@refuse_unknown("trace")
class LogFile:
    """Writes the records below ``agentnb`` to ``directory/agentnb-<pid>.jsonl``.

    The logger's level is lowered to `level` unless the user has set one, and the user's own
    handlers go on to see what they saw before; a user who turns the root logger to DEBUG later
    attaches again, or sets the level of ``agentnb``. Nothing is printed: a folder that cannot be
    written to is reported by `failed`, and the last 1,000 lines are kept in memory (`kept`).

    A thread writes within a moment. Warnings and errors are written at once, with all earlier
    records.

    Parameters
    ----------
    directory
        The folder; made at the first record.
    redactor
        Masks secrets in all that is written.
    hub_id
        With it, records that carry another ``hub`` (``extra={"hub": ...}``) are not taken.
    level
        The lowest level that is written; lower ones are where the user has set them on the
        logger ``agentnb``, one below it or the root logger.
    max_bytes
        The cap on a file, in bytes; the one before it is kept as ``.jsonl.1``.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from agentnb.core.redact import Redactor
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with LogFile(pathlib.Path(folder), redactor=Redactor()) as log:
    ...         logging.getLogger("agentnb.db").info("connected", extra={"data": {"ms": 3}})
    ...         '"message":"connected"' in log.path.read_text()
    True
    """

    def __init__(
        self,
        directory: Path,
        *,
        redactor: Redactor,
        hub_id: str | None = None,
        level: int = logging.INFO,
        max_bytes: int = 5_000_000,
    ) -> None:
        self._file = LinesFile(directory, _NAME, max_bytes=max_bytes)
        self._handler = _LogFileHandler(self._file, JsonFormatter(redactor), hub_id, level)

    @property
    def path(self) -> Path:
        """Return the file of the running process, with all records written to it."""
        self.flush()
        return self._file.path

    @property
    def failed(self) -> str | None:
        """Return the reason why records are no longer written, or None."""
        self.flush()
        return self._file.failed

    @property
    def kept(self) -> list[str]:
        """Return the latest lines that could not be written, oldest first."""
        self.flush()
        return [line.decode().rstrip("\n") for line in list(self._handler.kept)]

    def flush(self) -> None:
        """Write the waiting records to the file."""
        self._handler.writer.flush()

    def attach(self) -> None:
        """Start taking records; a second call only reads the user's log levels again."""
        with _attaching:
            _logger.addHandler(self._handler)  # which adds a handler only once
            _arrange()

    def close(self) -> None:
        """Stop taking records and close the file. Idempotent."""
        with _attaching:
            _logger.removeHandler(self._handler)
            _arrange()
        self._handler.close()

    def __enter__(self) -> Self:
        self.attach()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)


def _arrange() -> None:
    """Set level and propagation as the attached files need them; undo both after the last."""
    levels = [one.lowest for one in _logger.handlers if isinstance(one, _LogFileHandler)]
    passages = [handler for handler in _logger.handlers if isinstance(handler, _Passage)]
    if not _logger.level or isinstance(_logger.level, _Level):
        # A user who has set the root logger to DEBUG goes on to see the records of that level.
        above = _logger.parent.getEffectiveLevel() if _logger.parent else logging.WARNING
        _logger.setLevel(_Level(min(*levels, above)) if levels else logging.NOTSET)
    if levels and not passages and _logger.propagate:
        _logger.propagate = False
        _logger.addHandler(_Passage())
    elif not levels and passages:
        for passage in passages:
            _logger.removeHandler(passage)
        _logger.propagate = True
