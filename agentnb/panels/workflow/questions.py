"""The questions of tasks, each with its form and a button that answers it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from agentnb.core.errors import UsageError
from agentnb.core.format import cut, time_of_day
from agentnb.core.workflow.forms import MISSING, one_line
from agentnb.panels.base import button, label, moment, row, stack
from agentnb.panels.base.cells import plain
from agentnb.panels.workflow.form import Form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.workflow import Workflow
    from agentnb.core.workflow.forms import OpenWait
    from agentnb.panels.base import Panel

__all__ = ["Questions"]

_MOST: Final = 5
"""Questions that are shown at once, the oldest first."""
_LONGEST: Final = 2000
_MOST_LINES: Final = 40
_LONGEST_NAME = 30


class Questions:
    """The open questions of the workflow that is shown.

    A form stays as it is while its question is open, so that nothing that was typed is lost.

    Parameters
    ----------
    panel
        Shows results and errors.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.forms: dict[tuple[object, ...], Question] = {}
        self._more = label("", dim=True)
        self.widget = stack()
        self.widget.layout.display = "none"

    def show(self, workflow: Workflow | None, waits: Sequence[OpenWait]) -> None:
        """Show the questions among some waits."""
        asked = [one for one in waits if one.kind == "ask"] if workflow is not None else []
        shown = {_key(one): one for one in asked[:_MOST]}
        if workflow is None or list(shown) == list(self.forms):
            shown_before = list(self.forms) and workflow is not None
            self.widget.layout.display = None if shown_before else "none"
            return
        gone = [form for key, form in self.forms.items() if key not in shown]
        self.forms = {
            key: self.forms.get(key) or Question(self._panel, workflow, one)
            for key, one in shown.items()
        }
        more = len(asked) - len(shown)
        self._more.value = f"and {more:,} more questions" if more else ""
        parts = [form.widget for form in self.forms.values()]
        self.widget.children = [*parts, *([self._more] if more else [])]
        self.widget.layout.display = None if parts else "none"
        for form in gone:
            form.close()


class Question:
    """A question, its form, and the button that answers it."""

    def __init__(self, panel: Panel, workflow: Workflow, wait: OpenWait) -> None:
        self._workflow, self._wait = workflow, wait
        self.form = Form(wait.form)
        about = label("")
        about.value = _about(wait)
        about.add_class("agentnb-question")
        self.answer = button(
            f"Answer {cut(plain(wait.task), _LONGEST_NAME)}",
            panel.action(self._answer, panel.say),
            tooltip="Give this answer to the task, which goes on with it",
            icon="check",
            primary=True,
        )
        self.widget = stack(about, self.form.widget, row(self.answer))
        self.widget.add_class("agentnb-form")

    def _answer(self) -> str:
        value = self.form.answer()
        if value is MISSING:
            raise UsageError("some fields are not right: see beside them", service="workflow")
        self._workflow.answer(self._wait.task, self._wait.name, value)
        self.answer.disabled = True
        return f"{plain(self._wait.task)} is answered"

    def close(self) -> None:
        """Close the widgets."""
        from agentnb.panels.base.live import close_all

        close_all(self.widget)


def _key(wait: OpenWait) -> tuple[object, ...]:
    return (wait.workflow_id, wait.task, wait.name, wait.since, wait.error)


def _about(wait: OpenWait) -> str:
    whom = one_line(wait.to or "an answer")
    words = f"<strong>{escape(plain(wait.task))}</strong> waits for {escape(whom)}: "
    lines = (wait.question or wait.name).splitlines()
    words += "<br>".join(escape(_cut(line)) for line in lines[:_MOST_LINES])
    if wait.due is not None:
        words += (
            f' <span class="agentnb-dim">until {moment(time_of_day(wait.due), wait.due)}</span>'
        )
    if wait.error:
        error = escape(_cut(f"the last answer did not fit: {wait.error}"))
        words += f'<br><span class="agentnb-field-error">{error}</span>'
    return words


def _cut(text: str) -> str:
    return cut(plain(text), _LONGEST)
