"""The view of a handler made of a cell: its output and its state."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Protocol

from agentnb.panels.base import Instruction, Panel, TextBlock, button, label, row

if TYPE_CHECKING:
    from agentnb.core.events import Subscription
    from agentnb.core.hub import Hub

__all__ = ["make"]


_NOTHING = Instruction("What the cell prints comes here.")


class Printed(Protocol):
    """The output so far."""

    @property
    def text(self) -> str:
        """Return it."""

    def clear(self) -> None:
        """Forget it."""


def make(hub: Hub, subscription: Subscription, output: Printed) -> Panel:
    """Return the view of a handler.

    Parameters
    ----------
    hub
        Whose handler it is.
    subscription
        The handler's.
    output
        The output of the handler.
    """
    panel = Panel(f"on {subscription.pattern}", every=1.0, redactor=hub.settings.redactor)
    counts = label("", dim=True)
    text = TextBlock(f"Output of the handler of {subscription.pattern}")
    clear = button("Clear", panel.action(output.clear), tooltip="Clear the output", icon="eraser")
    stop = button(
        "Unsubscribe",
        panel.action(subscription.close),
        tooltip="Remove this handler",
        icon="stop",
        danger=True,
    )
    panel.compose(row(counts, clear, stop), text)

    def load() -> tuple[bool, str, str]:
        one = subscription
        closed = one.state == "closed"
        words = [f"{'unsubscribed' if closed else one.state} · {one.handled:,} handled"]
        words += [f"{one.failed:,} failed: %events dead"] if one.failed else []
        words += [f"{one.dropped:,} dropped"] if one.dropped else []
        words += [f"{one.waiting:,} waiting"] if one.waiting else []
        return closed, " · ".join(words), output.text

    def show(loaded: tuple[bool, str, str]) -> None:
        closed, said, printed = loaded
        counts.value = escape(said)
        if closed:
            panel.end("unsubscribed")
        stop.disabled = closed
        nothing = "The cell printed nothing." if closed else _NOTHING
        text.show(printed or nothing)

    return panel.keep_fresh(load, show)
