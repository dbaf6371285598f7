"""All that is known of one task."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from agentnb.core.format import cut, duration, pretty, time_of_day, visible
from agentnb.core.workflow.drawing import signed
from agentnb.panels.base import TextBlock, label, moment, stack
from agentnb.panels.base.cells import plain
from agentnb.panels.workflow.rows import took

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.workflow import TaskInfo
    from agentnb.core.workflow.forms import OpenWait

__all__ = ["Detail"]

SHOWN: Final = 20_000
"""Characters that are shown of data, a result or an error."""

STREAMED: Final = 2000
"""Characters that are shown of the end of a stream."""


class Detail:
    """Shows one task."""

    def __init__(self) -> None:
        self.about = label("", dim=True)
        self.times = label("", dim=True)
        self.error, self.log, self.result, self.data = (
            TextBlock(name, wrap=True) for name in ("Error", "Log", "Result", "Data")
        )
        self.stream = TextBlock("Stream", wrap=True)
        # Its marks stand below what they mark: a line must not go on in the next one.
        self.traceback = TextBlock("Traceback")
        texts = (self.error, self.traceback, self.stream, self.log, self.result, self.data)
        self.widget = stack(self.about, self.times, *texts)

    def show_stream(self, text: str) -> None:
        """Show the end of what the task streams."""
        beginning, text = text[:-STREAMED], text[-STREAMED:]
        self.stream.show(f"… {text}" if beginning else text)

    def show(
        self,
        task: TaskInfo | None,
        log: list[str],
        now: float,
        waits: Sequence[OpenWait] = (),
        stream: str = "",
    ) -> None:
        """Show a task, or none at all."""
        self.widget.layout.display = "none" if task is None else None
        if task is None:
            return
        self.about.value = " · ".join(
            [f"<strong>{escape(plain(task.name))}</strong>", *map(escape, _words(task, waits))]
        )
        self.times.value = " · ".join(_times(task, now))
        self.error.show(cut(task.error or "", SHOWN))
        self.traceback.show(cut(task.traceback or "", SHOWN))
        self.log.show(cut("\n".join(_marked(task, log)), SHOWN))
        self.show_stream(stream)
        self.result.show(str(task.unkept or "") or pretty(task.result, SHOWN))
        self.data.show(visible(pretty(task.data, SHOWN)))


def _marked(task: TaskInfo, log: list[str]) -> list[str]:
    """Say of which attempt a log is, where there were several."""
    return [f"attempt {task.attempt}:", *log] if log and task.attempt > 1 else log


def _words(task: TaskInfo, waits: Sequence[OpenWait]) -> list[str]:
    words = [signed(task.standing), f"agent {plain(task.agent)}"]
    if task.attempt:
        words.append(f"attempt {task.attempt} of {task.attempts}")
    if task.state == "parked":
        words += [plain(one.words) for one in waits if one.task == task.name]
    if task.message:
        words.append(plain(task.message))
    if task.needs:
        words.append(f"needs {plain(', '.join(task.needs))}")
    if task.priority:
        words.append(f"priority {task.priority}")
    if task.approved_by:
        words.append(f"approved by {plain(task.approved_by)}")
    if task.usage:
        words.append(str(task.usage))
    return words + ([f"worker {task.worker}"] if task.worker else [])


def _times(task: TaskInfo, now: float) -> list[str]:
    named = (("made", task.created), ("ready", task.ready_at), ("started", task.started))
    words = [
        f"{name} {moment(time_of_day(at), at.timestamp())}" for name, at in named if at is not None
    ]
    if task.state == "delayed" and task.due is not None:
        words.append(f"due {moment(time_of_day(task.due), task.due.timestamp())}")
    spent = took(task, now)
    return words + ([] if spent is None else [f"took {duration(spent)}"])
