"""A report on prices: agents collect them, write it once a person approves, and publish it."""

from __future__ import annotations

from dataclasses import dataclass

from agentnb.core.workflow import Context, Task, TaskInfo, agent
from service.prices import PRICES_URL, Price, afetch, average


@dataclass(frozen=True)
class Order:
    """The data of the task `collect`."""

    symbols: list[str]


@dataclass(frozen=True)
class Report:
    """A report that was written."""

    path: str
    lines: int


def tasks(symbols: list[str]) -> list[Task]:
    """Return the tasks of a report."""
    return [
        Task("collect", data=Order(symbols)),
        Task("write", needs=["collect"], approval=True),
        Task("publish", needs=["write"]),
    ]


@agent("collect", schema=Order, attempts=3)
async def collect(task: TaskInfo[Order], ctx: Context) -> list[Price]:
    """Return the prices; a symbol that was read is not read again by another attempt."""
    api = ctx.api(PRICES_URL, timeout=10)
    return [
        await ctx.astep(f"fetch {symbol}", afetch, api, ctx.cache, symbol)
        for symbol in task.data.symbols
    ]


@agent("write", timeout=60)
def write(task: TaskInfo, ctx: Context) -> Report:
    """Write the prices to a file of the workspace."""
    prices = ctx.input("collect", type=list[Price])
    lines = [f"{price.symbol} {price.amount:.2f}" for price in prices]
    lines.append(f"average {ctx.step('average', average, ctx.db):.2f}")
    path = f"reports/{task.workflow_id}.txt"
    ctx.files.write_file(path, "\n".join(lines))
    return Report(path, len(lines))


@agent("publish")
async def publish(task: TaskInfo, ctx: Context) -> None:
    """Commit the report, and tell the subscribers where it is."""
    report = ctx.input("write", type=Report)
    repository = ctx.git.at(ctx.files.root / "reports")
    await repository.ainitialize()
    name = report.path.removeprefix("reports/")
    if any(row.path == name for row in await repository.astatus()):  # else it is committed
        await repository.acommit(f"Report {task.workflow_id}", paths=[name])
    await ctx.events.apublish("report.written", {"path": report.path, "by": task.agent})
