"""The events that are published in a block of a test, and what they are expected to be."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, overload

import msgspec

from agentnb.core.errors import DeadlineExceeded, UsageError
from agentnb.core.events.glob import matcher
from agentnb.core.forking import new_condition
from agentnb.core.keywords import refuse_unknown
from agentnb.testing.work import busy_events

if TYPE_CHECKING:
    from agentnb.core.events import Event
    from agentnb.core.hub import Hub

__all__ = ["Expected", "RecordedEvents", "assert_events", "record_events"]

Expected = str | tuple[str, Any]
"""A channel or a pattern of channels, alone or with the data."""
_SECONDS = 10.0
_LOOK_SECONDS = 0.002
_LONGEST = 200  # characters of an event in a message
_PAIR = 2
_HINT = '["order.*", ("order.created", {"id": 7})]'


@refuse_unknown("testing")
class RecordedEvents(Sequence["Event"]):
    """The events that are published while it records, by whoever shares the key prefix.

    Reading it waits until those that were published before have arrived, and until the handlers
    of the hub have returned.

    Parameters
    ----------
    hub
        The hub.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._events: list[Event] = []
        self._news = new_condition()
        self._marker = f"agentnb.testing.{secrets.token_hex(8)}"
        self._marks = 0
        self._subscription = hub.events.subscribe(
            "*", self._add, queue=1_000_000, name="recorded_events"
        )

    def _add(self, event: Event) -> None:
        with self._news:
            if event.channel == self._marker:
                self._marks += 1
                self._news.notify_all()
            elif not event.channel.startswith("agentnb.testing."):
                self._events.append(event)

    def settle(self, timeout: float = _SECONDS) -> None:
        """Wait for the events that were published before, and for what their handlers publish.

        Raises
        ------
        DeadlineExceeded
            A handler has not returned in time, or the server is away.
        """
        if self._subscription.state == "closed":
            return
        until = monotonic() + timeout
        while True:
            while (busy := busy_events(self._hub)) is not None:
                if monotonic() >= until:
                    raise DeadlineExceeded(
                        f"{busy} has not ended within {timeout:g} s",
                        service="testing",
                        hint="recorded.settle(timeout=60) waits longer",
                    )
                sleep(_LOOK_SECONDS)
            count = len(self._events)
            self._mark(until, timeout)
            if len(self._events) == count and busy_events(self._hub) is None:
                return

    def _mark(self, until: float, timeout: float) -> None:
        """Publish an event as another process does, and wait for it: all earlier ones are there."""
        from agentnb.core.events import EventBus

        hub = self._hub
        with self._news:
            expected = self._marks + 1
        with EventBus(hub.redis, prefix=hub.settings.key_prefix, runtime=hub.runtime) as other:
            other.publish(self._marker, durable=False)
        with self._news:
            arrived = self._news.wait_for(lambda: self._marks >= expected, until - monotonic())
        if not arrived:
            raise DeadlineExceeded(
                f"events have not arrived within {timeout:g} s",
                service="testing",
                hint="hub.events.ping() says what is wrong with the server",
            )

    @property
    def channels(self) -> list[str]:
        """Return the channels of the events, in order."""
        return [event.channel for event in self]

    def on(self, pattern: str) -> list[Event]:
        """Return the events on a channel, or on the channels of a pattern."""
        matches = matcher(pattern)
        return [event for event in self if matches(event.channel)]

    def assert_events(
        self, expected: Iterable[Expected], *, on: str | Iterable[str] | None = None
    ) -> None:
        """Check the events so far; see `agentnb.testing.assert_events`."""
        __tracebackhide__ = True
        expectations = _expectations(expected)
        patterns = [pattern for pattern, _ in expectations] if on is None else on
        matchers = [matcher(one) for one in ([patterns] if isinstance(patterns, str) else patterns)]
        events = [event for event in self if any(fits(event.channel) for fits in matchers)]
        fits = [[_fits(one, event) for event in events] for one in expectations]
        if len(expectations) == len(events) and all(row[n] for n, row in enumerate(fits)):
            return
        others = sorted({event.channel for event in self} - {one.channel for one in events})
        raise AssertionError(_difference(expectations, events, fits, others))

    def close(self) -> None:
        """Record no more, from now on; what was recorded can still be read."""
        self._subscription.close()

    @overload
    def __getitem__(self, index: int) -> Event: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...

    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        self.settle()
        return self._events[index]

    def __iter__(self) -> Iterator[Event]:
        self.settle()
        return iter(list(self._events))

    def __len__(self) -> int:
        self.settle()
        return len(self._events)

    def __repr__(self) -> str:
        return f"RecordedEvents({', '.join(event.channel for event in self._events)})"


@refuse_unknown("testing")
@contextmanager
def record_events(hub: Hub) -> Iterator[RecordedEvents]:
    """Record the events that are published in the block.

    Examples
    --------
    >>> from agentnb.testing import isolated_hub
    >>> with isolated_hub() as hub, record_events(hub) as recorded:
    ...     event = hub.events.publish("order.created", {"id": 7})
    ...     recorded.channels, recorded[0].data
    (['order.created'], {'id': 7})
    """
    recorded = RecordedEvents(hub)
    try:
        yield recorded
    except BaseException:
        recorded.close()  # the error of the block is the test's
        raise
    try:
        recorded.settle()
    finally:
        recorded.close()


@refuse_unknown("testing")
@contextmanager
def assert_events(
    hub: Hub, expected: Iterable[Expected], *, on: str | Iterable[str] | None = None
) -> Iterator[RecordedEvents]:
    """Check that the block publishes exactly some events, in this order.

    Parameters
    ----------
    hub
        The hub.
    expected
        The events: each a channel or a pattern of channels, ``"order.*"``, or a pair of that and
        the data. Of a dict only the given names are compared, however deep; a function is called
        with the data and returns whether that fits; any other value has to be equal.
    on
        The channels that are looked at, as patterns; default: those of the expected events.

    Raises
    ------
    AssertionError
        The events are others; the message shows both.

    Examples
    --------
    >>> from agentnb.testing import isolated_hub
    >>> with isolated_hub() as hub:
    ...     with assert_events(hub, [("order.created", {"id": 7}), "order.paid"]):
    ...         _ = hub.events.publish("order.created", {"id": 7, "total": 20})
    ...         _ = hub.events.publish("order.paid")
    """
    __tracebackhide__ = True
    expectations = _expectations(expected)
    with record_events(hub) as recorded:
        yield recorded
        recorded.assert_events(expectations, on=on)


def _expectations(expected: Iterable[Expected]) -> list[tuple[str, Any]]:
    """Return channels and data; one text is refused: its letters are no channels."""
    if isinstance(expected, str) or not isinstance(expected, Iterable):
        raise UsageError(
            f"expected must be a list of events, got {expected!r:.80}",
            service="testing",
            hint=f"[{expected!r:.80}]" if isinstance(expected, str) else _HINT,
        )
    return [_expectation(one) for one in expected]


def _expectation(one: Any) -> tuple[str, Any]:
    if isinstance(one, str):
        return one, _anything
    if isinstance(one, tuple) and len(one) == _PAIR and isinstance(one[0], str):
        return one
    raise UsageError(
        f"an expected event is a channel, or a pair of it and the data, got {one!r:.80}",
        service="testing",
        hint=_HINT,
    )


def _anything(data: Any) -> bool:  # noqa: ARG001 - a predicate
    return True


def _fits(expected: tuple[str, Any], event: Event) -> bool:
    pattern, data = expected
    return matcher(pattern)(event.channel) and _contains(data, event.data)


def _contains(expected: Any, data: Any) -> bool:
    """Return whether data is as expected: of dicts the given names only."""
    if callable(expected):
        return bool(expected(data))
    if isinstance(expected, Mapping):
        return isinstance(data, Mapping) and all(
            name in data and _contains(value, data[name]) for name, value in expected.items()
        )
    if isinstance(expected, list | tuple):
        return (
            isinstance(data, list)
            and len(expected) == len(data)
            and all(map(_contains, expected, data))
        )
    return bool(expected == data)


def _difference(
    expected: list[tuple[str, Any]],
    events: list[Event],
    fits: list[list[bool]],
    others: list[str],
) -> str:
    """Return the expected events beside the published ones, those that fit without a sign."""
    lines = ["the events are not the expected ones (- expected, + published):"]
    row = column = 0
    common = _common(fits, len(events))
    while row < len(expected) or column < len(events):
        both = row < len(expected) and column < len(events)
        if both and fits[row][column]:
            lines.append(f"    {_shown(events[column].channel, events[column].data)}")
            row, column = row + 1, column + 1
        elif row < len(expected) and (
            column == len(events) or common[row + 1][column] >= common[row][column + 1]
        ):
            lines.append(f"  - {_shown(*expected[row])}")
            row += 1
        else:
            lines.append(f"  + {_shown(events[column].channel, events[column].data)}")
            column += 1
    if others:
        lines.append(f"other channels: {', '.join(others)}")
    return "\n".join(lines)


def _common(fits: list[list[bool]], columns: int) -> list[list[int]]:
    """Return how many fit in order at most, from each pair on."""
    found = [[0] * (columns + 1) for _ in range(len(fits) + 1)]
    for row in range(len(fits) - 1, -1, -1):
        for column in range(columns - 1, -1, -1):
            best = max(found[row + 1][column], found[row][column + 1])
            if fits[row][column]:
                best = max(best, found[row + 1][column + 1] + 1)
            found[row][column] = best
    return found


def _shown(channel: str, data: Any) -> str:
    if data is _anything:
        return channel
    if callable(data):
        return f"{channel} {getattr(data, '__name__', data)}"
    text = msgspec.json.encode(data, enc_hook=repr).decode()
    return f"{channel} {text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}"
