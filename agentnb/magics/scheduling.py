"""The options and actions that the schedules of queues and of workflows share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from agentnb.core.errors import UsageError
from agentnb.magics.base import Message
from agentnb.magics.grammar import Option
from agentnb.magics.times import moment

if TYPE_CHECKING:
    from datetime import datetime

    from agentnb.magics.grammar import Call

__all__ = ["TIME_ZONE", "act", "action_of", "bounds_of", "firing_options", "unnamed"]

_ACTIONS = ("pause", "resume", "trigger", "rm")
_DONE = {"pause": "paused", "resume": "resumed", "rm": "removed"}
TIME_ZONE = Option(("--tz",), "the time zone of CRON (default UTC)", "ZONE", live="zone")


class _Schedule(Protocol):
    def pause(self) -> object: ...
    def resume(self) -> object: ...
    def trigger(self) -> Any: ...
    def remove(self) -> object: ...


def firing_options(busy: str) -> tuple[Option, ...]:
    """Return the options that say which times fire; ``busy``: while the last work has not ended."""
    return (
        Option(("--start",), "no time before this one", "TIME"),
        Option(("--end",), "no time after this one", "TIME"),
        Option(
            ("--missed",),
            "times at which no worker ran: fire once for the latest, for none or for all",
            choices=("latest", "skip", "all"),
        ),
        Option(
            ("--overlap",),
            f"skip: leave out a time while {busy}",
            choices=("allow", "skip"),
        ),
    )


def action_of(call: Call, service: str) -> str | None:
    """Return the action that a line asks for, None for none.

    Raises
    ------
    UsageError
        It asks for two.
    """
    found = [action for action in _ACTIONS if action in call.options]
    if len(found) > 1:
        raise UsageError(
            f"{' and '.join(f'--{one}' for one in found)} do not go together",
            service=service,
            hint=f"%{service} schedule NAME --{found[0]}",
        )
    return found[0] if found else None


def unnamed(action: str, service: str) -> UsageError:
    """Return the error of an action without the name of a schedule."""
    return UsageError(
        f"--{action} needs the name of a schedule",
        service=service,
        hint=f"%{service} schedule NAME --{action}",
    )


def act(schedule: _Schedule, action: str, name: str) -> Any:
    """Act on a schedule, and return what a trigger has made, or a line that names it."""
    if action == "trigger":
        return schedule.trigger()
    {"pause": schedule.pause, "resume": schedule.resume, "rm": schedule.remove}[action]()
    return Message(f"schedule {name}: {_DONE[action]}")


def bounds_of(call: Call, service: str) -> dict[str, datetime | None]:
    """Return the first and the last moment of a schedule, as a line gives them.

    Raises
    ------
    UsageError
        One is no time.
    """
    zone = call.options.get("tz")
    return {key: moment(key, call.options.get(key), zone, service) for key in ("start", "end")}
