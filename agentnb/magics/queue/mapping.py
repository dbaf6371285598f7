"""``%queue map`` and ``%queue batches``: a function and items of a line, batches as a table."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.format import duration
from agentnb.core.table import Column, Table
from agentnb.magics.queue.render import progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.queue import Batch

__all__ = ["batches", "function_and_items"]

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")


def function_and_items(arguments: Sequence[Any], words: Sequence[Any]) -> tuple[Any, Any]:
    """Return the function of a line, None for the queue's own, and the items.

    A single argument is the items: a value of the notebook, or a JSON list. Several arguments are
    an item each.

    Parameters
    ----------
    arguments
        The words after the queue, with ``:name`` as the value of that name.
    words
        The words that they were written as.
    """
    values = [_value(given, word.kind) for given, word in zip(arguments, words, strict=True)]
    function = None
    first = values[0]
    if callable(first) or (isinstance(first, str) and _FUNCTION.match(first)):
        function, values = first, values[1:]
        if not values:
            raise UsageError(
                "there are no items behind the function",
                service="queue",
                hint="%queue map QUEUE :function :items",
            )
    bound = words[-1].kind == "bind"
    if len(values) == 1 and (bound or isinstance(values[0], list)):
        return function, values[0]
    return function, values


def _value(given: Any, kind: str) -> Any:
    if kind != "plain":  # in quotes it is text
        return given
    try:
        return json.loads(given) if isinstance(given, str) else given
    except ValueError:
        return given


def batches(found: Sequence[Batch], queue: str) -> Table:
    """Return batches as a table.

    Parameters
    ----------
    found
        The batches.
    queue
        The name of the queue in the line that is shown where there is none.
    """
    rows = []
    for batch in found:
        counts = batch.seen
        left = counts.seconds_left if counts.sealed else None
        rows.append(
            (
                batch.queue.name,
                batch.key or batch.id,
                progress_bar(str(int(100 * counts.progress)).encode()),
                counts.ended,
                counts.total,
                counts.failed,
                counts.cancelled,
                _state(counts, left),
                batch.created,
                batch.function,
            )
        )
    columns = (
        *("queue", "batch", "progress", "ended", "of", "failed", "cancelled", "left"),
        *(Column("added", "time"), "function"),
    )
    return Table(
        columns,
        rows,
        empty=f"no batch is kept: %queue map {queue} :items, or hub.queue(QUEUE).map(f, items)",
    )


def _state(counts: Any, left: float | None) -> str:
    if not counts.sealed:
        return "not all added"
    if counts.done:
        return ""
    return "" if left is None else duration(left)
