"""The queue panel: queues, their jobs and workers, how fast they are, and what to do with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentnb.core.hub import Hub
    from agentnb.panels.base import Panel

__all__ = ["make"]


def make(hub: Hub, **options: Any) -> Panel:
    """Return the queue panel of a hub.

    Parameters
    ----------
    hub
        Whose queues it shows.
    **options
        As `agentnb.panels.queue.view.QueuePanel` takes them.
    """
    from agentnb.panels.queue.view import QueuePanel

    return QueuePanel(hub, **options).panel
