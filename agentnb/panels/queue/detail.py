"""All that is known of one job."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.errors import AgentnbError, NotFoundError, UsageError
from agentnb.core.format import ago, cut, duration, pretty
from agentnb.core.work.identity import describe
from agentnb.panels.base import TextBlock, button, label, moment, row, stack
from agentnb.panels.base.cells import plain

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from agentnb.core.queue import Job, TaskQueue
    from agentnb.core.queue.snapshot import JobSnapshot
    from agentnb.panels.base import Panel

__all__ = ["Detail", "Details", "read"]

SHOWN: Final = 20_000
"""Characters that are shown of data, a result, a log or an error."""
_PRETTY = 200_000
_LINES = 200


@dataclass(frozen=True, slots=True)
class Details:
    """A job, and its parts as text."""

    job: Job
    seen: JobSnapshot
    progress: str
    log: str
    result: str
    data: str
    error: str
    traceback: str
    redact: Callable[[str], str]
    reason: str = ""


def read(queues: TaskQueue, job_id: str, redact: Callable[[str], str]) -> Details | None:
    """Return all that is known of a job; None if it is gone."""
    try:
        job = queues.find(job_id)
    except NotFoundError:
        return None
    seen = job.seen or job.snapshot()
    fields, failure = seen.fields, seen.failure
    error = traceback = ""
    if failure is not None:
        of = f" (attempt {failure.attempt})" if failure.attempt else ""
        error, traceback = f"{failure.error}{of}", failure.traceback.rstrip()
    said = ""
    with suppress(AgentnbError, ValueError):
        said = _progress(json.loads(fields["progress"])) if "progress" in fields else ""
    return Details(
        job=job,
        seen=seen,
        progress=said,
        log=cut("\n".join(job.logs(_LINES, marks=True)), SHOWN, end=True),
        result=str(seen.unkept or "") or redact(_pretty(fields.get("result", b""))),
        data=redact(_data(job)),
        error=cut(error, SHOWN),
        traceback=cut(traceback, SHOWN),
        redact=redact,
        reason=redact(job.reason or "") if seen.state in {"waiting", "paused"} else "",
    )


def _data(job: Job) -> str:
    try:
        _ = job.data
    except UsageError as error:
        message = job.seen.fields.get("message", b"") if job.seen else b""
        return f"{error.message}\n\n{message[:SHOWN].decode('utf-8', 'replace')}"
    return _pretty(job.raw)


def _progress(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g} %"
    return plain(value)


def _pretty(data: bytes) -> str:
    """Return JSON as indented text; of a very large value the beginning as it is."""
    if len(data) > _PRETTY:
        data = data[: 2 * SHOWN]
    return pretty(data, SHOWN)


class Detail:
    """Shows one job, and has buttons for what can be done with it.

    Parameters
    ----------
    panel
        Shows messages and errors.
    forget
        Called when something was done.
    """

    def __init__(self, panel: Panel, forget: Callable[[], object]) -> None:
        self._forget = forget
        self._job: Job | None = None
        self.about = label("", dim=True)
        self.times = label("", dim=True)
        make = self._make(panel)
        self.retry = make("Retry", "repeat", "run again", "Run it now with all its attempts")
        self.cancel = make("Cancel", "ban", "cancelled", "Cancel the job", danger=True)
        self.remove = make("Remove", "trash", "removed", "Remove the job", danger=True)
        self.buttons = row(self.retry, self.cancel, self.remove)
        self.error, self.log, self.result, self.data = (
            TextBlock(name, wrap=True) for name in ("Error", "Log", "Result", "Data")
        )
        # Its marks stand below what they mark: a line must not go on in the next one.
        self.traceback = TextBlock("Traceback")
        texts = (self.error, self.traceback, self.log, self.result, self.data)
        self.widget = stack(self.about, self.times, self.buttons, *texts)
        self.show(None, None)

    def _make(self, panel: Panel) -> Callable[..., Any]:
        def make(text: str, icon: str, done: str, tooltip: str, *, danger: bool = False) -> object:
            def act() -> str:
                job = self._job
                if job is None:
                    raise UsageError("no job is picked", service="queue", hint="click on one")
                getattr(job, text.lower())()
                self._forget()
                return f"{job.id}: {done}"

            return button(
                text, panel.action(act, panel.say), tooltip=tooltip, icon=icon, danger=danger
            )

        return make

    def show(self, picked: str | None, found: Details | None) -> None:
        """Show a job; None for one that is gone, or, without an id, for none at all."""
        self._job = found.job if found else None
        state = found.seen.state if found else ""
        self.retry.disabled = state not in {"failed", "cancelled", "completed", "delayed"}
        self.cancel.disabled = state not in {"active", "waiting", "paused", "delayed"}
        self.remove.disabled = state in {"", "active"}
        self.widget.layout.display = None if picked else "none"
        self.buttons.layout.display = None if found else "none"
        self.times.layout.display = None if found else "none"
        for block, text in (
            (self.error, found.error if found else ""),
            (self.traceback, found.traceback if found else ""),
            (self.log, found.log if found else ""),
            (self.result, found.result if found else ""),
            (self.data, found.data if found else ""),
        ):
            block.show(text)
        if picked is None:
            return
        name = f"<strong>{escape(picked)}</strong>"
        if found is None:
            self.about.value = f"{name} · gone: removed, or no longer kept"
            return
        self.about.value = " · ".join([name, *map(escape, _words(found))])
        self.times.value = " · ".join(_times(found.seen))


def _words(found: Details) -> list[str]:
    job, seen, options = found.job, found.seen, found.job.options
    words = [job.queue.name, "done, not kept" if seen.unkept is not None else seen.state]
    if seen.attempt:
        words.append(f"attempt {seen.attempt} of {options.attempts}")
    if found.progress:
        words.append(found.progress)
    if seen.state == "active" and seen.worker:
        words.append(f"worker {describe(seen.worker)}")
    if options.priority:
        words.append(f"priority {options.priority}")
    if found.reason:
        words.append(f"waits: {found.reason}")
    words += [f"{name} {value}" for name, value in _free(job, found.redact) if value]
    return words


def _free(job: Job, redact: Callable[[str], str]) -> list[tuple[str, str | None]]:
    texts = (("key", job.options.key), ("correlation", job.correlation_id))
    return [(name, redact(plain(text)) if text else None) for name, text in texts]


def _times(seen: JobSnapshot) -> list[str]:
    now = seen.now / 1000
    words = []
    for name, at in (("added", seen.created), ("started", seen.started), ("ended", seen.finished)):
        if at is not None and not (name == "ended" and seen.state == "active"):
            words.append(_time(name, at, now))
    if seen.state == "delayed":
        left = seen.score / 1000 - now
        words.append(f"due in {duration(left)}" if left > 0 else "due now")
    ended = seen.started and seen.finished and seen.finished >= seen.started
    if seen.started and seen.finished and ended and seen.state != "active":
        words.append(f"took {duration((seen.finished - seen.started).total_seconds())}")
    return words


def _time(name: str, at: dt.datetime, now: float) -> str:
    exact = at.astimezone().isoformat(sep=" ", timespec="milliseconds")
    words = moment(ago(max(now - at.timestamp(), 0.0)), at.timestamp())
    return f'<span title="{exact}">{name} {words}</span>'
