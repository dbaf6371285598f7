"""The streams of a task as the output of a cell."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.workflow.streams import StreamText, joined, piece_of
from agentnb.magics.livetext import LiveText, PrintedText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.workflow import Chunk, TaskInfo, Workflow

__all__ = ["Streamed", "chosen_task", "show_stream"]

_EVERY = 0.1
_ASK_AFTER = 2.0  # seconds without a value, until it says what the task waits for
_ENDED = {"completed", "failed", "cancelled", "skipped"}


class Streamed:
    """The chunks that a cell has seen of a task's streams, shown in its output.

    Iterating over it reads the chunks anew.

    Attributes
    ----------
    text
        The text, without secrets; of a long one the end.
    note
        The line about a task that has not completed; else empty.
    resets
        How often an attempt began again while it was shown.
    """

    def __init__(self, chunks: Callable[[], Iterator[Chunk]]) -> None:
        self._chunks = chunks
        self._is_displayed, self._summary = False, ""
        self.text = self.note = ""
        self.resets = 0

    def displayed(self, summary: str = "") -> None:
        """Note that the cell has shown it already; a terminal prints a summary below."""
        self._is_displayed, self._summary = True, summary

    def __iter__(self) -> Iterator[Chunk]:
        return self._chunks()

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        between = "" if self.text.endswith("\n") or not (self.text and self.note) else "\n"
        return f"{self.text}{between}{self.note}"

    def _ipython_display_(self) -> None:
        # The cell that made it has one output, which has grown to this text.
        if self._is_displayed:
            self._is_displayed = False
            if self._summary:
                print(self._summary)  # noqa: T201 - behind the prompt of a terminal
            return
        live = LiveText(lambda: repr(self))
        live.update()


def chosen_task(workflow: Workflow, name: str | None) -> TaskInfo:
    """Return the task of a name; without one the only task, or the only one that runs or streams.

    Raises
    ------
    NotFoundError, UsageError
        There is none, or there are several.
    """
    if name is not None:
        return workflow.task(name)
    tasks = workflow.tasks
    active = [task for task in tasks if task.state == "active"]
    found = tasks if len(tasks) == 1 else active
    if len(found) != 1:
        found = [task for task in active or tasks if len(workflow.streams(task.name))]
    if len(found) == 1:
        return found[0]
    some = found or active or tasks
    names = ", ".join(task.name for task in some[:10])
    if not found:
        raise NotFoundError(
            f"no task of {workflow.name} has streamed anything yet",
            service="workflow",
            hint=f"name the one to wait for: {names}",
        )
    raise UsageError(
        f"{len(found)} tasks of {workflow.name} stream",
        service="workflow",
        hint=f"name one: {names}",
    )


def show_stream(
    workflow: Workflow,
    task: TaskInfo,
    *,
    stream: str | None = None,
    follow: bool = True,
    redactor: Callable[[str], str],
    shell: Any,
    quiet: bool = False,
) -> Streamed:
    """Show what a task streams until it has ended; Ctrl-C leaves it, and the task goes on.

    Parameters
    ----------
    workflow, task
        The task.
    stream
        The only stream that is shown; None for all, each below its name.
    follow
        Whether it waits for what is written later.
    redactor
        Masks secrets in the output.
    shell
        The IPython shell.
    quiet
        Whether nothing is shown.
    """
    seen = Streamed(lambda: workflow.stream(task.name, stream, follow=False))
    kind = _Display if hasattr(shell, "kernel") else _Terminal
    output = kind(seen, redactor, quiet=quiet)
    began = monotonic()
    try:
        for chunk in workflow._stream_beats(task, stream, follow=follow, every=_EVERY):  # noqa: SLF001 - for display
            if chunk is not None:
                seen.note = ""
                seen.resets += chunk.reset
                output.add(chunk)
            elif not output.texts and not seen.note and monotonic() - began > _ASK_AFTER:
                seen.note = _waiting(workflow, task.name)
            output.soon()
        seen.note = _ended(workflow.task(task.name), written=bool(output.texts))
    except KeyboardInterrupt:
        where = f"{workflow.id} {task.name}{'' if stream is None else f' --stream {stream}'}"
        seen.note = f"[left; the task goes on: %workflow stream {where}]"
    output.end()
    return seen


class _Display:
    """The output of a cell in a notebook."""

    def __init__(self, seen: Streamed, redactor: Callable[[str], str], *, quiet: bool) -> None:
        self.texts: dict[str, StreamText] = {}
        self._seen, self._redactor = seen, redactor
        self._live = LiveText(self._render, quiet=quiet)

    def _render(self) -> str:
        self._seen.text = self._redactor(joined(self.texts))
        return repr(self._seen)

    def add(self, chunk: Chunk) -> None:
        """Take a chunk."""
        self.texts.setdefault(chunk.stream, StreamText()).add(chunk)

    def soon(self) -> None:
        """Show what is new, if it is time."""
        self._live.soon()

    def end(self) -> None:
        """Show the last text."""
        self._render()
        self._live.update()
        self._seen.displayed()


class _Terminal(_Display):
    """The output in a terminal: what comes is printed, each stream below its name."""

    def __init__(self, seen: Streamed, redactor: Callable[[str], str], *, quiet: bool) -> None:
        super().__init__(seen, redactor, quiet=True)
        self._printed = PrintedText(redactor, quiet=quiet)
        self._stream, self._note, self._last = "", "", 0.0

    def add(self, chunk: Chunk) -> None:
        """Print a chunk."""
        super().add(chunk)
        if chunk.stream != self._stream and len(self.texts) > 1:
            self._printed.line(f"[{chunk.stream}]")
        self._stream = chunk.stream
        if chunk.reset:
            self._printed.line(
                f"[attempt {chunk.attempt} writes anew what is behind value {chunk.n}]"
            )
        else:
            self._printed.add(piece_of(chunk.value))

    def soon(self) -> None:
        """Print what has not become a line for a while."""
        if monotonic() - self._last >= _EVERY:
            self._last = monotonic()
            self._printed.flush()
            self._say()

    def end(self) -> None:
        """Print the rest."""
        super().end()
        self._printed.flush()
        self._say()
        self._printed.end_line()
        number = sum(text.n for text in self.texts.values())
        self._seen.displayed(f"{number:,} value{'' if number == 1 else 's'}")

    def _say(self) -> None:
        if self._seen.note and self._seen.note != self._note:
            self._printed.line(self._seen.note)
        self._note = self._seen.note


def _waiting(workflow: Workflow, task: str) -> str:
    why = workflow.why_waiting()
    return f"[task {task} has streamed nothing yet{f': {why}' if why else ''}]"


def _ended(task: TaskInfo, *, written: bool) -> str:
    """Return the line about the end of a task; nothing about one that went well."""
    if task.state == "completed":
        return "" if written else f"[task {task.name} is completed, and has streamed nothing]"
    if task.state in _ENDED:
        return f"[task {task.name} is {task.state}{f': {task.error}' if task.error else ''}]"
    return f"[task {task.name} is {task.state}: more may follow]"
