"""``%queue schedule``: make schedules, list them, pause, resume, trigger and remove one."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.magics.scheduling import act, action_of, bounds_of, unnamed

if TYPE_CHECKING:
    from agentnb.core.queue import Queues
    from agentnb.core.table import Table
    from agentnb.magics.grammar import Call

__all__ = ["schedule"]

_KNOWN = ("tz", "missed", "overlap", "priority", "attempts", "timeout")
_MAKING = (*_KNOWN, "every", "start", "end", "correlation")
_FORM = '%queue schedule NAME "0 2 * * *" QUEUE JSON, or NAME QUEUE JSON --every 900'


def schedule(call: Call, queues: Queues) -> Any:
    """Do what a line says: list the schedules, make one, or act on one."""
    action = action_of(call, "queue")
    making = [one for one in _MAKING if one in call.options]
    if making and (action or len(call.arguments) <= 1):
        raise UsageError(
            f"--{making[0]} goes with the times of a schedule and its queue",
            service="queue",
            hint=_FORM,
        )
    if action:
        return _act(call, queues, action)
    if len(call.arguments) <= 1:
        return _list(call, queues)
    return _make(call, queues)


def _list(call: Call, queues: Queues) -> Table:
    if not call.arguments:
        return queues.schedules()
    name = call.arguments[0]
    from agentnb.core.queue.schedules import table

    queue = queues.find_schedule(name)
    return table([queue.get_schedule(name).info()])


def _act(call: Call, queues: Queues, action: str) -> Any:
    if not call.arguments:
        raise unnamed(action, "queue")
    name, *rest = call.arguments
    if len(rest) > 1:
        raise UsageError(
            f"--{action} goes with the name of a schedule and its queue alone",
            service="queue",
            hint=f"%queue schedule {name} --{action}",
        )
    queue = queues.get_queue(rest[0]) if rest else queues.find_schedule(name)
    return act(queue.get_schedule(name), action, f"{name} of {queue.name}")


def _make(call: Call, queues: Queues) -> Table:
    from agentnb.core.queue.schedules import table

    every = call.options.get("every")
    before = 1 if every is not None else 2  # words in front of the queue
    words = call.arguments
    if not before < len(words) <= before + 2:
        raise UsageError(
            "a schedule needs a name, its times and a queue"
            if len(words) <= before
            else f"{words[before + 2]!r:.40} is one word too many",
            service="queue",
            hint=_FORM,
        )
    data: Any = words[before + 1] if len(words) > before + 1 else None
    if len(words) > before + 1 and call.words[before + 1].kind == "plain":
        with suppress(ValueError):  # what is no JSON is the text itself
            data = json.loads(data)
    options: dict[str, Any] = {key: call.options[key] for key in _KNOWN if key in call.options}
    if "correlation" in call.options:
        options["correlation_id"] = call.options["correlation"]
    options |= bounds_of(call, "queue")
    if every is not None and len(words[1].split()) > 1:  # no queue has such a name
        raise UsageError(
            f"--every and the cron line {words[1]!r:.40} do not go together",
            service="queue",
            hint=_FORM,
        )
    queue = queues.get_queue(words[before])
    cron = None if every is not None else words[1]
    made = queue.schedule(words[0], cron, data, every=every, **options)
    return table([made.info()])
