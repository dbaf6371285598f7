"""``%events``: publish, look back, listen; ``%%events on``: a cell that handles events."""

from __future__ import annotations

import json
import queue
import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_cell_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import AgentnbError, NotFoundError, UsageError, did_you_mean
from agentnb.core.format import moment, short
from agentnb.core.table import Column, Table, cut_note
from agentnb.magics.base import Magic, Message
from agentnb.magics.body import Role, body_of
from agentnb.magics.events.grammar import GRAMMAR
from agentnb.magics.grammar import is_word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.events import Event, EventBus, Subscription
    from agentnb.magics.grammar import Call

__all__ = ["EventsMagic", "Tail"]

_SHOWN = 20
_PUBLISH = "hub.events.publish(CHANNEL, DATA) (%events publish CHANNEL DATA)"
_MANY = 10
_LOOKED_AT = 500
_TAIL_COUNT, _TAIL_SECONDS = 10, 10.0
_ROLE = Role("events", "handler", "event", "a handler", "print(event.data)", "publish it")


class Tail(list[Any]):
    """The events that ``%events tail`` received; each was printed already."""

    stopped = False
    """True if the default count was reached, so that more may follow."""

    def __repr__(self) -> str:
        number = f"{len(self):,} event{'' if len(self) == 1 else 's'}"
        return f"{number}, then stopped: -n N for more" if self.stopped else number

    def df(self) -> Any:
        """Return them as a pandas DataFrame."""
        return _table(self).df()


@magics_class
class EventsMagic(Magic):
    """The magic ``%events`` and ``%%events``."""

    grammar = GRAMMAR
    body_is_python = True

    def __init__(self, extension: Any) -> None:
        super().__init__(extension)
        self._cells: dict[str, Subscription] = {}

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def events(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Publish and handle events; `%%events on CHANNEL` is a handler. See `%events help`."""
        __tracebackhide__ = True
        return self.call(line, cell, local_ns)

    def reset(self) -> None:
        """Remove the handlers that cells have made."""
        for one in self._cells.values():
            one.close()
        self._cells.clear()

    @property
    def _bus(self) -> EventBus:
        return self.hub.events

    def status(self, call: Call) -> Table:  # noqa: ARG002 - magics share a signature
        """Return the numbers of handlers, events and dead letters."""
        bus = self._bus
        last = bus.history("*", 1)
        rows = [
            (
                len(bus.subscriptions()),
                bus.inspect.log_size(),
                bus.inspect.dead_letter_count(),
                bus.pending,
            )
        ]
        note = (
            f"last: {last[0].channel}, {moment(last[0].time)}"
            if last
            else f"no event yet: {_PUBLISH}"
        )
        names = ("handlers", "events", "dead_letters", "unsent")
        return Table([Column(name, "count") for name in names], rows, note=note)

    def free(self, call: Call, cell: str | None, namespace: Any) -> Any:  # noqa: ARG002 - as above
        """Refuse a cell without a verb."""
        raise UsageError("%%events needs a verb", service="events", hint="%%events on CHANNEL")

    def live(self, kind: str, start: str = "") -> Iterable[str]:  # noqa: ARG002 - few enough
        """Return channels, patterns with handlers, or the notebook's variables, for Tab."""
        if kind == "bound":
            return [f":{name}" for name in self.variables()]
        if kind == "schema":
            return self.classes()
        patterns = {one.pattern for one in self._bus.subscriptions()}
        if kind == "channel":
            with suppress(AgentnbError):  # an error would interrupt typing
                patterns |= {event.channel for event in self._bus.history("*", _LOOKED_AT)}
        return sorted(name for name in patterns if is_word(name))

    def in_scope(self) -> dict[str, type]:
        """Return the names that a handler has in scope."""
        from agentnb.core.events import Event

        return {"event": Event}

    def do_publish(self, call: Call) -> Event:
        """Publish an event."""
        channel = _text(call, 0)
        if "*" in channel:  # Redis would publish on a channel of that very name
            raise UsageError(
                f"channel must be one channel, got the pattern {channel}",
                service="events",
                hint=f"such as %events publish {channel.replace('*', 'done')}",
            )
        data: Any = call.arguments[1] if len(call.arguments) > 1 else None
        if len(call.words) > 1 and call.words[1].kind == "plain":  # in quotes it is text
            with suppress(ValueError):  # not JSON: the text itself
                data = json.loads(data)
        return self._bus.publish(
            channel,
            data,
            correlation_id=call.options.get("correlation"),
            durable=not _passing(call),
        )

    def do_history(self, call: Call) -> Table:
        """Return the last events."""
        pattern = _text(call, 0) if call.arguments else "*"
        since = call.options.get("since")
        count = call.options.get("count", _SHOWN)
        events = self._bus.history(
            pattern, count + 1, since=None if since is None else time.time() - since
        )
        note = cut_note(count) if len(events) > count else ""
        empty = f"no event on {pattern} yet: {_PUBLISH}"
        return _table(events[-count:], empty=empty, note=note)

    def do_tail(self, call: Call) -> Tail:
        """Show events as they come, and return them."""
        pattern = _text(call, 0) if call.arguments else "*"
        count = call.options.get("count", _TAIL_COUNT)
        until = time.monotonic() + call.options.get("timeout", _TAIL_SECONDS)
        came: queue.SimpleQueue[Event] = queue.SimpleQueue()
        found = Tail()
        # Ctrl-C ends the wait; the events so far are returned.
        with (
            suppress(KeyboardInterrupt),
            self._bus.subscribe(pattern, came.put, name="%events tail"),
        ):
            while len(found) < count and (left := until - time.monotonic()) > 0:
                with suppress(queue.Empty):
                    event = came.get(timeout=left)
                    found.append(event)
                    if "quiet" not in call.options:
                        line = f"{moment(event.time)}  {event.channel}  {short(event.data, None)}"
                        print(line)  # noqa: T201 - in the cell that looks
        found.stopped = "count" not in call.options and len(found) == count
        return found

    def do_list(self, call: Call) -> Table:  # noqa: ARG002 - as status
        """Return the handlers."""
        return self._bus.table()

    def do_unsubscribe(self, call: Call) -> str:
        """Remove every handler of a channel or pattern."""
        pattern = _text(call, 0)
        count = self._bus.unsubscribe(pattern)
        if not count:
            known = [one.pattern for one in self._bus.subscriptions()]
            raise NotFoundError(
                f"there is no handler of {pattern}",
                service="events",
                hint=did_you_mean(pattern, known) or "%events list",
            )
        return Message(f"{pattern}: {count} handler{'' if count == 1 else 's'} removed")

    def do_dead(self, call: Call) -> Any:
        """Return the dead letters, or replay or discard them."""
        for option, act in (("replay", self._replay), ("discard", self._discard)):
            if option in call.options:
                return act(call.options[option], sure="yes" in call.options)
        letters = self._bus.dead_letters(call.options.get("count", _SHOWN))
        cut = cut_note(len(letters), self._bus.inspect.dead_letter_count())
        rows = [
            (one.place, one.time, one.channel, one.handler, one.error, (one.trace_id or "")[:8])
            for one in letters
        ]
        return Table(
            ("id", Column("time", "moment"), "channel", "handler", "error", "trace"),
            rows,
            note="; ".join(filter(None, (cut, "again: %events dead --replay ID"))) if rows else "",
            empty="no dead letters: every event was handled",
        )

    def _replay(self, which: str, *, sure: bool) -> str:
        letters = self._letters(which, "--replay", sure=sure)
        for one in reversed(letters):  # in the order of their failures
            self._bus.replay(one)
        return Message(f"{len(letters):,} replayed")

    def _discard(self, which: str, *, sure: bool) -> str:
        letters = self._letters(which, "--discard", sure=sure)
        return Message(f"{self._bus.discard(*letters):,} removed")

    def _letters(self, which: str, option: str, *, sure: bool) -> list[str]:
        known = [one.place for one in self._bus.dead_letters(1000)]
        if which != "all":
            if which not in known:
                raise NotFoundError(
                    f"there is no dead letter {which}", service="events", hint="%events dead"
                )
            return [which]
        if len(known) > _MANY and not sure:
            raise UsageError(
                f"{len(known):,} dead letters; nothing was done",
                service="events",
                hint=f"%events dead {option} all --yes",
            )
        return known

    def do_panel(self, call: Call) -> Any:  # noqa: ARG002 - as status
        """Open the panel."""
        return self.hub.panel("events")

    def do_on(self, call: Call) -> Any:
        """Make the cell a handler; a second run replaces the first handler."""
        from agentnb.magics.events.output import Output

        pattern = _text(call, 0)
        line = f"%%events on {pattern}"
        shell = self.extension.shell
        handler = body_of(call, line, _ROLE, shell).bound(shell.user_ns)
        options = {
            key: call.options[key] for key in ("replay", "queue", "overflow") if key in call.options
        }
        schema = self.schema(call)
        if hasattr(shell, "kernel"):
            _ = self.extension.panels  # the handler's own panel shows what it prints
            output = Output(shell)
        else:
            output = None
        key = self._key(pattern)
        before = self._cells.pop(key, None)
        if before is not None:
            before.close()
        made = self._cells[key] = self._bus.subscribe(
            pattern,
            handler if output is None else output.of(handler),
            schema=schema,
            name=line,
            **options,
        )
        return (
            Message(f"{pattern}: handled by this cell")
            if output is None
            else self._view(made, output)
        )

    def _key(self, pattern: str) -> str:
        from agentnb.panels.base.registry import cell_id

        # Without a notebook's cells, what is handled is what tells two of them apart.
        return cell_id(self.extension.shell) or pattern

    def _view(self, made: Subscription, output: Any) -> Any:
        from agentnb.panels.base import cell_id, run_id
        from agentnb.panels.handler import make

        shell = self.extension.shell

        def opened() -> Any:
            panel = make(self.hub, made, output)
            output.changed = panel.refresh
            return panel

        return self.extension.panels.open(
            f"handler {self._key(made.pattern)}", opened, cell_id(shell), run_id(shell)
        )


def _passing(call: Call) -> bool:
    """Return whether the event is not to be kept in the log."""
    if "passing" in call.options:
        warnings.warn("--passing is deprecated: use --no-durable", FutureWarning, stacklevel=2)
        return True
    return "no_durable" in call.options


def _text(call: Call, at: int) -> str:
    """Return an argument that is a text, such as a channel."""
    value = call.arguments[at]
    if call.words[at].kind == "json":
        return call.words[at].text  # `[ab]*` is as good as any other pattern here
    if not isinstance(value, str):
        raise UsageError(
            f"a channel must be text, {call.words[at].text} is of type {type(value).__name__}",
            service="events",
            hint="put the channel into quotes, or bind a str",
        )
    return value


def _table(events: list[Event], *, empty: str = "", note: str = "") -> Table:
    rows = [(event.time, event.channel, short(event.data, None), event.id) for event in events]
    return Table((Column("time", "moment"), "channel", "data", "id"), rows, empty=empty, note=note)
