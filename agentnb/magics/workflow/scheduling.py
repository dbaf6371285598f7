"""``%workflow schedule``, and the cell that makes a schedule in the place of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.magics.base import Message
from agentnb.magics.times import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.table import Table
    from agentnb.core.workflow import Orchestrator, Task
    from agentnb.magics.grammar import Call

__all__ = ["is_schedule", "make", "schedule"]

_ACTIONS = ("pause", "resume", "trigger", "rm")
_TIMES = ("cron", "every")
_WITH_TIMES = ("tz", "start", "end", "missed", "overlap")
_NOT_WITH_TIMES = ("key", "run", "concurrency")


def schedule(call: Call, workflows: Orchestrator) -> Any:
    """List the schedules, or act on one."""
    from agentnb.core.workflow.schedules import table

    actions = [action for action in _ACTIONS if action in call.options]
    if len(actions) > 1:
        raise UsageError(
            f"{' and '.join(f'--{one}' for one in actions)} do not go together",
            service="workflow",
            hint=f"%workflow schedule NAME --{actions[0]}",
        )
    if not call.arguments:
        if actions:
            raise UsageError(
                f"--{actions[0]} needs the name of a schedule",
                service="workflow",
                hint=f"%workflow schedule NAME --{actions[0]}",
            )
        return workflows.schedules()
    name = call.arguments[0]
    found = workflows.get_schedule(name)
    if not actions:
        return table([found.info()])
    if actions == ["trigger"]:
        return found.trigger()
    {"pause": found.pause, "resume": found.resume, "rm": found.remove}[actions[0]]()
    done = {"pause": "paused", "resume": "resumed", "rm": "removed"}[actions[0]]
    return Message(f"schedule {name}: {done}")


def is_schedule(call: Call) -> bool:
    """Return whether a cell makes a schedule.

    Raises
    ------
    UsageError
        It has options that do not go with what it makes.
    """
    times = [one for one in _TIMES if one in call.options]
    others = _NOT_WITH_TIMES if times else _WITH_TIMES
    wrong = [one for one in others if one in call.options]
    if not wrong:
        return bool(times)
    why = f"does not go with --{times[0]}" if times else "goes with --cron or --every"
    raise UsageError(
        f"--{wrong[0]} {why}",
        service="workflow",
        hint='%%workflow NAME --cron "0 2 * * *" --tz Europe/Berlin',
    )


def make(call: Call, tasks: Sequence[Task], workflows: Orchestrator) -> Table:
    """Make the schedule of a cell."""
    from agentnb.core.workflow.schedules import table

    options: dict[str, Any] = {
        key: call.options[key]
        for key in ("every", "tz", "missed", "overlap", "max_parallel", "data")
        if key in call.options
    }
    for key in ("start", "end"):
        options[key] = moment(key, call.options.get(key), call.options.get("tz"), "workflow")
    made = workflows.schedule(call.arguments[0], call.options.get("cron"), tasks, **options)
    return table([made.info()])
