"""Schedules in a panel: their next times, and buttons to pause, resume and trigger one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentnb.core.errors import UsageError
from agentnb.core.format import clock
from agentnb.panels.base.indicators import state
from agentnb.panels.base.parts import button, row
from agentnb.panels.base.table import TableView

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.work.schedules.schedule import Schedule, ScheduleInfo
    from agentnb.panels.base.panel import Panel

__all__ = ["Schedules"]

_COLUMNS: Final = ("schedule", "when", "zone", "state", "next", "then", "last")
_TONES: Final = {"active": "good", "paused": "warn", "ended": "dim"}


class Schedules:
    """The table of schedules with its buttons, which are for the row that is clicked.

    Parameters
    ----------
    panel
        Shows results and errors.
    find
        Returns the schedule of a row.
    label
        Returns the name of a row, unique among all.

    Attributes
    ----------
    parts
        The table and the row of buttons; hidden where there is no schedule.
    """

    def __init__(
        self,
        panel: Panel,
        find: Callable[[ScheduleInfo], Schedule[Any]],
        label: Callable[[ScheduleInfo], str],
    ) -> None:
        self._panel, self._find, self._label = panel, find, label
        self._seen: dict[str, ScheduleInfo] = {}
        self._picked: str | None = None
        act = panel.action
        self.table = TableView(
            _COLUMNS,
            key="schedule",
            label="Schedules",
            hint="No schedule is kept.",
            on_select=act(self._pick),
            height="144px",
            filterable=False,
            noun=("schedule", "schedules"),
        )
        self.pause = button("Pause schedule", act(self._pause, panel.say), icon="pause")
        self.trigger = button(
            "Trigger now",
            act(self._trigger, panel.say),
            tooltip="Fire the schedule once, now",
            icon="bolt",
        )
        self.parts = (self.table, row(self.pause, self.trigger))
        self._show_buttons()
        self._show_parts(shown=False)

    def _pick(self, name: str) -> None:
        """Choose a schedule; none, if it was this one already."""
        with self._panel.lock:
            self._picked = None if self._picked == name else name
            self.table.select(self._picked)
            self._show_buttons()

    def _chosen(self) -> tuple[str, ScheduleInfo]:
        with self._panel.lock:
            name = self._picked
            if name is None or name not in self._seen:
                raise UsageError("no schedule is chosen", service="panel", hint="click on one")
            return name, self._seen[name]

    def _pause(self) -> str:
        name, info = self._chosen()
        found = self._find(info)
        if info.paused:
            found.resume()
            return f"{name} is resumed"
        found.pause()
        return f"{name} is paused: it fires nothing until it is resumed"

    def _trigger(self) -> str:
        name, info = self._chosen()
        made = self._find(info).trigger()
        return f"{name} has fired: {made.id}"

    def _show_buttons(self) -> None:
        info = self._seen.get(self._picked or "")
        paused = info is not None and info.paused
        word = "Resume" if paused else "Pause"
        self.pause.description = f"{word} schedule"
        self.pause.icon = "play" if paused else "pause"
        self.pause.tooltip = f"{word} {self._picked}" if info else "Choose a schedule to pause it"
        self.pause.disabled = self.trigger.disabled = info is None

    def show(self, infos: Sequence[ScheduleInfo]) -> None:
        """Show schedules as they are now."""
        self._seen = {self._label(one): one for one in infos}
        if self._picked not in self._seen:
            self._picked = None
        self.table.update([self._row(name, one) for name, one in self._seen.items()])
        self.table.select(self._picked)
        self._show_buttons()
        self._show_parts(shown=bool(infos))

    def _show_parts(self, *, shown: bool) -> None:
        for part in self.parts:
            widget: Any = getattr(part, "widget", part)
            widget.layout.display = None if shown else "none"

    @staticmethod
    def _row(name: str, info: ScheduleInfo) -> tuple[object, ...]:
        first, *rest = [*info.next_times(), None]
        zone = info.timing.tz if info.timing.cron is not None else ""
        return (
            name,
            info.timing.text,
            zone,
            state("late", "warn") if info.is_late else state(info.state, _TONES[info.state]),
            clock(first),
            ", ".join(clock(time) for time in rest if time is not None),
            clock(info.last),
        )
