"""The web application: orders prices and reports, approves them, and says how the service is.

`uvicorn service.web:app` runs it, and
`gunicorn --workers 2 --worker-class uvicorn_worker.UvicornWorker service.web:app` in production.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response

import agentnb
from agentnb import errors
from service.jobs import Refresh
from service.prices import PRICES_URL, TABLE, Price, afetch
from service.report import Report, tasks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Open the hub before the first request, and close it after the last one."""
    async with agentnb.connect() as hub:
        # In a thread: no request imports anything or waits for a first connection.
        await hub.aopen("db", "redis", "cache", "events", "queue", "workflow", "files", "api")
        await hub.db.aexecute(TABLE)
        app.state.hub = hub
        yield


def hub_of(request: Request) -> agentnb.Hub:
    """Return the hub of the application."""
    hub: agentnb.Hub = request.app.state.hub
    return hub


Hub = Annotated[agentnb.Hub, Depends(hub_of)]
app = FastAPI(lifespan=lifespan)


@app.get("/prices/{symbol}")
async def price(symbol: str, hub: Hub) -> Price:
    """Return a price, at most a minute old."""
    try:
        return await afetch(hub.api(PRICES_URL, timeout=10), hub.cache, symbol)
    except errors.NotFoundError as error:
        raise HTTPException(404, error.message) from error


@app.post("/orders", status_code=202)
async def order(symbols: list[str], hub: Hub) -> dict[str, str | list[str]]:
    """Add a job for each symbol, and create the workflow of a report on them."""
    queue = hub.queue("prices")
    jobs = [await queue.aadd(Refresh(symbol), attempts=5) for symbol in symbols]
    workflow = await hub.workflows.acreate("report", tasks(symbols), data={"symbols": symbols})
    return {"jobs": [job.id for job in jobs], "workflow": workflow.id}


@app.post("/reports/{workflow_id}/approval")
async def approve(workflow_id: str, hub: Hub) -> dict[str, str]:
    """Approve a report, wait until it is published, and return it."""
    try:
        workflow = await hub.workflows.aget(workflow_id)
        await workflow.aapprove("write")
        await workflow.await_(timeout=60)
    except errors.NotFoundError as error:
        raise HTTPException(404, error.message) from error
    except errors.DeadlineExceeded as error:
        raise HTTPException(504, error.message) from error
    report = workflow.result_of("write", type=Report)
    return {"path": report.path, "text": await hub.files.aread_file(report.path)}


@app.get("/live")
async def live() -> dict[str, bool]:
    """Answer while the event loop runs."""
    return {"ok": True}


@app.get("/ready")
async def ready(hub: Hub, response: Response) -> dict[str, str]:
    """Return the state of each service, with 503 while one is away."""
    found = await hub.aready(timeout=1)
    response.status_code = 200 if found.ok else 503
    return found.services
