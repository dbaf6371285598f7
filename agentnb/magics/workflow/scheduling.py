"""``%workflow schedule``, and the cell that makes a schedule in the place of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.magics.scheduling import act, action_of, bounds_of, unnamed
from agentnb.magics.times import seconds_or_moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.table import Table
    from agentnb.core.workflow import Orchestrator, Task
    from agentnb.magics.grammar import Call

__all__ = ["deadline_of", "is_schedule", "make", "schedule"]

_TIMES = ("cron", "every")
_WITH_TIMES = ("tz", "start", "end", "missed", "overlap")
_NOT_WITH_TIMES = ("key", "run", "concurrency", "unknown")


def schedule(call: Call, workflows: Orchestrator) -> Any:
    """List the schedules, or act on one."""
    from agentnb.core.workflow.schedules import table

    action = action_of(call, "workflow")
    if not call.arguments:
        if action:
            raise unnamed(action, "workflow")
        return workflows.schedules()
    name = call.arguments[0]
    found = workflows.get_schedule(name)
    if not action:
        return table([found.info()])
    return act(found, action, name)


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


def deadline_of(call: Call) -> dict[str, Any]:
    """Return the deadline of a cell's line, if it has one, as `Orchestrator.create` takes it."""
    given = call.options.get("deadline")
    if given is None:
        return {}
    zone = call.options.get("tz")
    return {"deadline": seconds_or_moment("deadline", str(given), zone, "workflow")}


def make(call: Call, tasks: Sequence[Task], workflows: Orchestrator) -> Table:
    """Make the schedule of a cell."""
    from agentnb.core.workflow.schedules import table

    options: dict[str, Any] = {
        key: call.options[key]
        for key in ("every", "tz", "missed", "overlap", "max_parallel", "data")
        if key in call.options
    }
    options |= bounds_of(call, "workflow") | deadline_of(call)
    made = workflows.schedule(call.arguments[0], call.options.get("cron"), tasks, **options)
    return table([made.info()])
