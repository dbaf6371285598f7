"""Recording by hand: a block, and the file that it becomes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.redact import redact
from agentnb.core.tape.document import SUFFIX, check_path, write_document
from agentnb.core.tape.hook import insert
from agentnb.core.tape.recorder import Recorder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from agentnb.core.hub import Hub

__all__ = ["Recording", "TapeJob", "record"]


@dataclass(slots=True)
class TapeJob:
    """A job as a processor uses it, with neither a queue nor a server.

    Attributes
    ----------
    id, data, queue, attempt
        As they were recorded; the queue is its name.
    hub
        The hub of the tape.
    lines
        The lines that it has logged.
    """

    id: str
    data: Any
    queue: str
    attempt: int
    hub: Hub | None
    lines: list[str] = field(default_factory=list)
    cancelled: bool = False
    _progress: Any = None

    def progress(self, value: Any = None) -> Any:
        """Set the progress, or return it."""
        if value is None:
            return self._progress
        self._progress = value
        return None

    def log(self, text: str) -> None:
        """Keep a line."""
        self.lines.append(str(text))

    async def aprogress(self, value: Any = None) -> Any:
        """Await `progress`."""
        return self.progress(value)

    async def alog(self, text: str) -> None:
        """Await `log`."""
        self.log(text)

    def check_cancelled(self) -> None:
        """Do nothing: a job on a tape is not cancelled."""


class Recording:
    """A block that is recorded; made by `record`.

    Attributes
    ----------
    job
        A job with the data that `record` was given, to call a processor with.
    """

    def __init__(self, recorder: Recorder, hub: Hub | None) -> None:
        self._recorder = recorder
        unit = recorder.unit
        self.job = TapeJob(
            str(unit.get("id", "recorded")),
            unit.get("data"),
            str(unit.get("queue", "recorded")),
            1,
            hub,
        )

    @property
    def count(self) -> int:
        """The number of calls so far."""
        return self._recorder.count

    def check(self, result: Any) -> None:
        """Record the result of the block, which a replay compares."""
        self._recorder.succeeded(result)

    def __repr__(self) -> str:
        return f"Recording({self.count} steps)"


@refuse_unknown("tape")
@contextmanager
def record(
    path: str | os.PathLike[str], *, data: Any = None, hub: Hub | None = None
) -> Iterator[Recording]:
    """Record the calls of a block to services, in all threads, on a tape that tests replay.

    The tape is JSON, readable by its user alone. Secrets are masked: known ones, values whose
    name says so, and what looks like one. It is written at the end, also after an error.

    Parameters
    ----------
    path
        The file, such as ``"tests/night.tape.json"``; one that is there is replaced.
    data
        The data of ``tape.job``.
    hub
        The hub of ``tape.job``; its secrets are masked in all of the tape.

    Raises
    ------
    ConfigError
        The file cannot be written.
    UsageError
        The path is none, or is a folder.

    Examples
    --------
    >>> import tempfile
    >>> from agentnb.testing import isolated_hub, replay
    >>> path = tempfile.mkdtemp() + "/x.tape.json"
    >>> with isolated_hub() as hub, record(path, hub=hub) as tape:
    ...     tape.check(hub.db.query("select 40 + 2 as n").scalar())
    >>> with replay(path) as tape:
    ...     tape.check(tape.hub.db.query("select 40 + 2 as n").scalar())
    """
    with recorded(path, data, hub, Recording) as recording:
        yield recording


@contextmanager
def recorded(
    path: str | os.PathLike[str],
    data: Any,
    hub: Hub | None,
    make: Callable[[Recorder, Hub | None], Any],
) -> Iterator[Any]:
    """Record a block as `record` does; what it is given is made by a function."""
    target = check_path(path)
    if target.is_dir():
        raise UsageError(
            f"the path of a tape must be a file, got the folder {target}",
            service="tape",
            hint=f'record("{target / "night"}{SUFFIX}")',
        )
    redactor = redact if hub is None else hub.settings.redactor
    recorder = Recorder({"kind": "block", "data": data}, redactor=redactor)
    try:
        with insert(recorder):
            yield make(recorder, hub)
    except Exception as error:
        recorder.failed(error)
        write_document(target, recorder.document())
        raise
    write_document(target, recorder.document())
