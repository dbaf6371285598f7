"""``%workflow waits`` and ``%workflow answer``: the open questions of tasks, and their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.format import clock
from agentnb.core.hints import rendered
from agentnb.core.table import Column, Table
from agentnb.core.workflow.forms import answer_of_text, form_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.workflow import Orchestrator, Workflow
    from agentnb.core.workflow.forms import OpenWait
    from agentnb.magics.grammar import Call

__all__ = ["answer", "wait_table"]

_FORM = "%workflow answer WORKFLOW TASK NAME VALUE"


def wait_table(waits: Sequence[OpenWait], names: dict[str, str]) -> Table:
    """Return open waits as a table for people.

    Parameters
    ----------
    names
        The names of the workflows by their ids.
    """
    rows = []
    for one in waits:
        question = one.question if one.error is None else f"{one.question} ({one.error})"
        form = form_words(one.form) if one.kind == "ask" else ""
        due = "" if one.due is None else clock(one.due)
        known = (names.get(one.workflow_id, ""), one.task, one.name, one.kind, one.to or "", due)
        rows.append((*known, question, form, one.since, one.workflow_id))
    # A question and its form may be long: what is short is before them, where it is seen.
    columns = (
        *("workflow", "task", "name", "kind", "to", "until", "question", "answer"),
        *(Column("since", "time"), "id"),
    )
    asks = any(one.kind == "ask" for one in waits)
    empty = "no task waits for an answer, a time, an event or other tasks"
    return Table(columns, rows, empty=empty, note=f"{_FORM} answers a question" if asks else "")


def answer(call: Call, workflows: Orchestrator, workflow: Workflow) -> str:
    """Answer a question, and return what to say about it.

    Raises
    ------
    UsageError
        A word is missing, or the answer does not fit.
    """
    asked = [one for one in workflow._open_waits() if one.kind == "ask"]  # noqa: SLF001 - for this package
    given = [*call.arguments[1:]]
    if len(given) < _WORDS:
        raise _missing(workflow, asked)
    task, name = str(given[0]), str(given[1])
    form = next((one.form for one in asked if (one.task, one.name) == (task, name)), None)
    value: Any = given[2]
    if call.words[3].kind == "plain" and isinstance(value, str):  # in quotes it is text
        value = answer_of_text(value, form)
    by = {"by": call.options["by"]} if "by" in call.options else {}
    workflows.answer(workflow, task, name, value, **by)
    return f"{workflow.name}: {task}: {name} is answered"


_WORDS = 3


def _missing(workflow: Workflow, asked: Sequence[OpenWait]) -> UsageError:
    if not asked:
        return UsageError(
            f"no task of {workflow.name} waits for an answer",
            service="workflow",
            hint=rendered("workflow.waits() (%workflow waits) lists what tasks wait for"),
        )
    first = asked[0]
    name = first.name if first.name.isidentifier() else f'"{first.name}"'
    return UsageError(
        f"an answer needs TASK, NAME and VALUE: {first.task} {first.words}",
        service="workflow",
        hint=f"%workflow answer {workflow.id} {first.task} {name} VALUE, which is: "
        f"{form_words(first.form)}",
    )
