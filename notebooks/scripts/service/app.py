"""Order prices and a report on them, and approve it; workers do the work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import agentnb
from service.jobs import Refresh
from service.prices import TABLE, Price
from service.report import Report, tasks

if TYPE_CHECKING:
    from agentnb.core.queue import Job
    from agentnb.core.workflow import Workflow


def order(hub: agentnb.Hub, symbols: list[str]) -> tuple[list[Job], Workflow]:
    """Add a job for each symbol, and create the workflow of a report on them."""
    hub.db.execute(TABLE)
    jobs = [hub.queue("prices").add(Refresh(symbol), attempts=5) for symbol in symbols]
    return jobs, hub.workflows.create("report", tasks(symbols), data={"symbols": symbols})


def approve(hub: agentnb.Hub, workflow_id: str) -> str:
    """Approve a report, wait until it is written, and return it."""
    workflow = hub.workflows.get(workflow_id).approve("write").wait(timeout=60)
    return hub.files.read_file(workflow.result_of("write", type=Report).path)


def main(arguments: list[str]) -> None:
    """Order by symbols, or approve by an id."""
    with agentnb.connect() as hub:
        if arguments[:1] == ["approve"]:
            print(approve(hub, arguments[1]))
            return
        jobs, workflow = order(hub, arguments)
        for job in jobs:
            price = job.result(timeout=60, type=Price)
            print(price.symbol, price.amount)
        print("the report waits: python -m service.app approve", workflow.id)


if __name__ == "__main__":
    main(sys.argv[1:])
