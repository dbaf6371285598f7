"""The state of each service and the calls to it, as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.trace.metrics import Numbers

__all__ = ["status_table"]

_COLUMNS = (
    *("service", "kind", Column("state", "text"), Column("ms", "number")),
    *(Column("calls", "count"), Column("errors", "count")),
    *(Column("p50", "duration"), Column("p95", "duration"), Column("last error", "text")),
)
_NONE = (None, None, None, None, "")


def status_table(health: Table, numbers: Mapping[str, Numbers], *, dropped: int = 0) -> Table:
    """Return the rows of ``hub.health()``, with the calls to each service behind them.

    A service that has several rows, such as one for each connection, and one that has none, has
    its calls in a row of its own.

    Parameters
    ----------
    health
        Service, kind, state and milliseconds.
    numbers
        The calls of this process, by service.
    dropped
        How many spans were not written.
    """
    services = [str(row[0]).partition(" ")[0] for row in health.rows]
    single = {one for one in services if services.count(one) == 1}
    rows = [
        (*row, *_shown(numbers.get(service) if service in single else None))
        for service, row in zip(services, health.rows, strict=True)
    ]
    rows += [
        (service, "", "", None, *_shown(found))
        for service, found in numbers.items()
        if service not in single
    ]
    notes = [health.note] if health.note else []
    if dropped:
        notes.append(f"{dropped:,} spans were not written: traces lack them")
    return Table(_COLUMNS, rows, note="\n".join(notes), empty=health.empty)


def _shown(numbers: Numbers | None) -> tuple[object, ...]:
    if numbers is None:
        return _NONE
    return (*numbers[:4], numbers.last_error or "")
