"""``agentnb migrate``: makes the tables of workflows, or brings them up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


def run(_: argparse.Namespace) -> int:
    """Migrate the default database, and say what was done."""
    import agentnb

    with agentnb.connect() as hub:
        before, now = hub.workflows.migrate()
        where = hub.workflows.database.access.backend.target
    if before == now:
        print(f"{where}: the tables of workflows are of version {now}, the newest")
    else:
        print(f"{where}: the tables of workflows are now of version {now}, before: {before}")
    return 0
