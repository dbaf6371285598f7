"""What ``%docker`` shows: sizes with their unit, times as the clock of this machine has them."""

from __future__ import annotations

from agentnb.core.table import Table
from agentnb.panels.base.units import Size

__all__ = ["images", "usage"]


def images(found: Table) -> Table:
    """Return images as a person reads them."""
    rows = [
        (tag, Size(size), f"{created.astimezone():%Y-%m-%d %H:%M:%S}", number)
        for tag, size, created, number in found.rows
    ]
    return Table(found.columns, rows, empty=found.empty)


def usage(found: Table) -> Table:
    """Return what containers use as a person reads it."""
    rows = [
        (name, cpu, Size(memory), Size(limit), pids)
        for name, cpu, memory, limit, pids in found.rows
    ]
    return Table(found.columns, rows, note=found.note, empty=found.empty)
