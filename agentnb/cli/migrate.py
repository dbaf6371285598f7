"""``agentnb migrate``: creates or updates the tables of workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


def run(_: argparse.Namespace) -> int:
    """Migrate the default database and print the versions."""
    import agentnb

    with agentnb.connect() as hub:
        before, now = hub.workflows.migrate()
        where = hub.workflows.database.access.backend.target
    if before == now:
        print(f"{where}: the tables of workflows have version {now}, the newest")
    else:
        print(f"{where}: the tables of workflows have version {now} now, before: {before}")
    return 0
