"""The events panel: the live events of all channels, and the dead letters."""

from __future__ import annotations

import json
import time
from collections import deque
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.errors import UsageError
from agentnb.core.events.glob import is_pattern, matcher
from agentnb.core.forking import new_lock
from agentnb.core.format import moment, short, time_of_day
from agentnb.panels.base import (
    Confirm,
    Indicator,
    Instruction,
    Panel,
    Plot,
    TableView,
    TextBlock,
    button,
    label,
    row,
    split,
    stack,
    text_box,
)
from agentnb.panels.base.cells import plain
from agentnb.panels.base.saved import absolute

if TYPE_CHECKING:
    from agentnb.core.events import DeadLetter, Event, EventBus, Subscription
    from agentnb.core.hub import Hub

__all__ = ["EventsPanel", "make"]

KEPT = 1000
LETTERS = 200
_EMPTY = "No events yet. Type in a cell:  %events publish CHANNEL DATA"
_NO_LETTERS = "No dead letters: every event was handled."
_PICK = Instruction("Click on an event to see its envelope, or on a dead letter to see its error.")
_KEYS = (("Enter", "in the data: publish the event"),)
_BRIEF = 300


class _Loaded(NamedTuple):
    filter: tuple[str, str]
    events: list[tuple[str, Event]]
    rate: float | None
    handlers: str
    letters: list[DeadLetter]


class EventsPanel:
    """Shows live events, publishes, and replays dead letters; `panel` has the widgets.

    Parameters
    ----------
    hub
        The hub whose events it shows.
    channel
        The first filter: a pattern, or a part of channel names.
    every
        Seconds between refreshes.
    """

    def __init__(self, hub: Hub, *, channel: str = "", every: float | None = 1.0) -> None:
        self._hub = hub
        self._tail = _Tail()
        self._filter = (channel.strip(), "")
        self._picked_letter: str | None = None
        self._letters: dict[str, DeadLetter] = {}
        self.panel = Panel("Events", every=every, redactor=hub.settings.redactor, keys_help=_KEYS)
        act = self.panel.action
        self.channel = text_box(
            value=channel,
            placeholder="Channel, such as agent.* · Enter",
            tooltip="Channel: a pattern, or a part of the name",
            on_change=act(lambda text: self._want(channel=text)),
        )
        self.text = text_box(
            placeholder="Text in the data · Enter",
            tooltip="Text in the data",
            on_change=act(lambda text: self._want(text=text)),
        )
        self.events = TableView(
            ("time", "channel", "data", "id"),
            key="id",
            label="Events",
            hint=_EMPTY,
            on_select=act(self._pick, self._show_picked),
            height="440px",
            filterable=False,
            noun=("event", "events"),
        )
        self.rate = Plot("Events a second, all channels")
        self.numbers = label("", dim=True)
        self.about = label(_PICK, dim=True)
        self.detail = TextBlock("Envelope")
        self.to = text_box(placeholder="Channel", tooltip="Channel to publish on", width="38%")
        self.data = text_box(placeholder='Data: {"task": 1}, or text', tooltip="Data to publish")
        publish = act(self._publish, self.panel.say)
        self.publish = button(
            "Publish",
            publish,
            tooltip="Publish an event: Enter in the data",
            icon="paper-plane",
            primary=True,
        )
        self.panel.on_submit(self.data, publish)
        self.letters = TableView(
            ("time", "channel", "error", "handler", "id"),
            key="id",
            label="Dead letters",
            hint=_NO_LETTERS,
            on_select=act(self._pick_letter, self._show_picked),
            height="180px",
            filterable=False,
            noun=("dead letter", "dead letters"),
        )
        self.replay = button(
            "Replay",
            act(self._replay, self.panel.say),
            tooltip="Hand the selected dead letter to its handler again",
            icon="repeat",
        )
        self.replay.disabled = True
        self.discard = Confirm(
            self.panel,
            "Discard all…",
            self._ask_discard,
            self._discard,
            tooltip="Remove the selected dead letter, or all that are listed if none is selected",
        )
        self.discard.first.disabled = True
        self.panel.compose(
            split(
                stack(
                    row(self.channel, self.text), self.events, row(self.to, self.data, self.publish)
                ),
                stack(
                    self.rate,
                    self.numbers,
                    self.about,
                    self.detail,
                    self.letters,
                    row(self.replay, self.discard),
                ),
                wide_left=True,
            )
        ).keep_fresh(self._load, self._show).on_close(self._tail.close)

    @property
    def _bus(self) -> EventBus:
        return self._hub.events

    def _want(self, *, channel: str | None = None, text: str | None = None) -> None:
        before = self._filter
        with self.panel.lock:
            self._filter = (
                before[0] if channel is None else channel.strip(),
                before[1] if text is None else text.strip(),
            )

    def _load(self) -> _Loaded:
        bus, wanted = self._bus, self._filter
        self._tail.follow(bus, wanted[0])
        words = wanted[1].casefold()
        events = [
            (key, event)
            for key, event in self._tail.newest()
            if not words or words in short(event.data, None).casefold()
        ]
        handlers = [one for one in bus.subscriptions() if one is not self._tail.subscription]
        failed, dropped = sum(one.failed for one in handlers), sum(one.dropped for one in handlers)
        summary = f"{len(handlers)} handler{'' if len(handlers) == 1 else 's'} in this notebook"
        summary += f" · {failed:,} failed" if failed else ""
        summary += f" · {dropped:,} dropped" if dropped else ""
        summary += f" · {bus.pending:,} wait for the server" if bus.pending else ""
        return _Loaded(wanted, events, self._tail.rate(), summary, bus.dead_letters(LETTERS))

    def _show(self, loaded: _Loaded) -> None:
        self.rate.add(loaded.rate)
        self.numbers.value = escape(loaded.handlers)
        if loaded.filter == self._filter:  # else a newer filter is being applied
            rows = [
                (_time(event), _name(event), short(event.data, _BRIEF), key)
                for key, event in loaded.events
            ]
            note = f"the last {KEPT:,}" if len(rows) >= KEPT else ""
            hint = f"No event with {' and '.join(filter(None, loaded.filter))}"
            self.events.update(rows, note=note, hint=hint if any(loaded.filter) else _EMPTY)
        self._letters = {one.place: one for one in loaded.letters}
        self.letters.update(
            note=f"the newest {LETTERS:,}" if len(loaded.letters) >= LETTERS else "",
            rows=[
                (
                    Indicator(
                        time_of_day(one.time),
                        order=one.time.timestamp(),
                        saved=absolute(one.time.timestamp()),
                    ),
                    one.channel,
                    one.error,
                    one.handler,
                    one.place,
                )
                for one in loaded.letters
            ],
        )
        if self._picked_letter not in self._letters:
            self._picked_letter = None
        self._show_letter_buttons()

    def _show_letter_buttons(self) -> None:
        picked = self._picked_letter is not None
        self.replay.disabled = not picked
        self.discard.rename("Discard" if picked else "Discard all…")
        self.discard.first.disabled = not self._letters and not self.discard.asking

    def _pick(self, key: str) -> tuple[str, str]:
        event = self._tail.get(key)
        if event is None:
            return "gone: newer events took its place", ""
        text = json.dumps(event.envelope(), indent=2, ensure_ascii=False, default=str)
        return (
            f"<strong>{escape(plain(event.channel))}</strong> · {moment(event.time)}",
            text,
        )

    def _pick_letter(self, place: str) -> tuple[str, str]:
        with self.panel.lock:
            self._picked_letter = place
            self.discard.reset()
            self._show_letter_buttons()
        letter = self._letters.get(place)
        if letter is None:
            return "gone", ""
        who = letter.handler or "its message cannot be decoded"
        text = f"{letter.error}\n\n{letter.message.decode('utf-8', 'replace')}"
        return f"<strong>{escape(plain(letter.channel))}</strong> · {escape(plain(who))}", text

    def _show_picked(self, found: tuple[str, str]) -> None:
        self.about.value, text = found
        self.detail.show(text)

    def _publish(self) -> str:
        channel, data = self.to.value.strip(), self.data.value.strip()
        if not channel:
            raise UsageError("the channel is missing", service="events", hint="such as agent.done")
        value: Any = data or None
        with suppress(ValueError):  # not JSON: the text itself
            value = json.loads(data)
        event = self._bus.publish(channel, value)
        return f"{plain(channel)}: {'waits for the server' if event.pending else 'published'}"

    def _replay(self) -> str:
        place = self._picked_letter
        if place is None:
            raise UsageError(
                "no dead letter is selected", service="events", hint="click on a dead letter"
            )
        handlers = self._bus.replay(place)
        return "handed to its handler again" if handlers else "published anew"

    def _ask_discard(self) -> tuple[str, list[str]]:
        if self._picked_letter is not None:
            return "Discard the selected one", [self._picked_letter]
        places = list(self._letters)
        if not places:
            raise UsageError(
                "there are no dead letters", service="events", hint="every event was handled"
            )
        if len(places) == 1:
            return "Discard the only dead letter", places
        listed = ", the newest of more" if len(places) >= LETTERS else ""
        return f"Discard all {len(places):,} dead letters{listed}", places

    def _discard(self, places: list[str]) -> str:
        return f"{self._bus.discard(*places):,} removed"


class _Tail:
    """The last events on the channels that are wanted, and how many there are on all."""

    def __init__(self) -> None:
        self.subscription: Subscription | None = None
        self._bus: EventBus | None = None
        self._lock = new_lock()
        self._matches = matcher("*")
        self._channel: str | None = None
        self._events: dict[str, Event] = {}
        self._order: deque[str] = deque()
        self._count = 0
        self._counted: tuple[float, int] | None = None

    def follow(self, bus: EventBus, channel: str) -> None:
        """Begin with what the log has, if the bus or the channel is another than before."""
        if bus is not self._bus or self.subscription is None:
            self.close()
            self._bus, self._channel = bus, None
            self.subscription = bus.subscribe("*", self._take, queue=5000, name="events panel")
        if channel != self._channel:
            wanted = channel if is_pattern(channel) else "*"
            matches = matcher(wanted)
            part = "" if is_pattern(channel) else channel.casefold()
            with self._lock:
                self._channel = channel
                self._matches = lambda name: matches(name) and part in name.casefold()
                self._events.clear()
                self._order.clear()
            for event in bus.history("*", KEPT):
                self._take(event, new=False)

    def _take(self, event: Event, *, new: bool = True) -> None:
        with self._lock:
            self._count += new
            key = event.id or f"#{self._count}"
            if key in self._events or not (event.gap or self._matches(event.channel)):
                return
            self._events[key] = event
            self._order.append(key)
            if len(self._order) > KEPT:
                del self._events[self._order.popleft()]

    def newest(self) -> list[tuple[str, Event]]:
        """Return the events, newest first, each with a name of its own."""
        with self._lock:
            return [(key, self._events[key]) for key in reversed(self._order)]

    def get(self, key: str) -> Event | None:
        """Return an event by its name."""
        with self._lock:
            return self._events.get(key)

    def rate(self) -> float | None:
        """Return the events a second since the last time that this was asked."""
        now, count = time.monotonic(), self._count
        before, self._counted = self._counted, (now, count)
        return None if before is None else (count - before[1]) / max(now - before[0], 0.1)

    def close(self) -> None:
        """End the subscription."""
        if self.subscription is not None:
            self.subscription.close()
        self.subscription = None


def make(hub: Hub, **options: Any) -> Panel:
    """Return the events panel of a hub.

    Parameters
    ----------
    hub
        The hub whose events it shows.
    **options
        As `EventsPanel` takes them.
    """
    return EventsPanel(hub, **options).panel


def _time(event: Event) -> Indicator:
    at = event.time.timestamp()
    return Indicator(moment(event.time), order=at, saved=absolute(at))


def _name(event: Event) -> str:
    return f"{event.channel} (gap)" if event.gap else event.channel
