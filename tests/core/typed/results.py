"""The types of results, as a checker has to infer them. This file is checked, and never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, assert_type

import agentnb
from agentnb.core.api import APIClient, GitHub
from agentnb.core.api.request import Reply
from agentnb.core.cache import Cache
from agentnb.core.db import Database, Result, Transaction
from agentnb.core.docker import DockerManager
from agentnb.core.docker.logs import Logs
from agentnb.core.docker.results import Container, ExecResult, RunResult
from agentnb.core.docker.service import Service
from agentnb.core.events import Event, EventBus, Subscription
from agentnb.core.files import FileSystemManager
from agentnb.core.git import GitManager
from agentnb.core.git.nested import Committed
from agentnb.core.queue import Batch, BatchItem, Job, Queue, Worker, processor
from agentnb.core.redis import RedisClient
from agentnb.core.table import Row, Table
from agentnb.core.websocket import WebSocketClient
from agentnb.core.work.schedules.schedule import Schedule
from agentnb.core.workflow import Context, Task, TaskInfo, Workflow, agent
from agentnb.testing import JobRun, arun_job, run_job


@dataclass
class Request:
    symbol: str


@dataclass
class Price:
    symbol: str
    amount: float


hub = agentnb.connect(database_url="sqlite://", api_timeout=5, files_quota="1GB", start="/srv")
assert_type(hub, agentnb.Hub)


# The cache


def load() -> Price:
    return Price("a", 1.0)


async def aload() -> Price:
    return load()


def load_anything() -> Any:
    return load()


cache = hub.cache
assert_type(cache.get("a"), Any)
assert_type(cache.get("a", type=Price), Price | None)
assert_type(cache.get("a", type=list[Price]), list[Price] | None)
assert_type(cache.get("a", type=Literal["on", "off"]), Literal["on", "off"] | None)
assert_type(cache.get("a", 0, type=Price, local=True), Price | int)
assert_type(cache.get_or_set("a", load), Price)
assert_type(cache.get_or_set("a", aload), Price)
assert_type(cache.get_or_set("a", lambda: aload(), 60), Price)
assert_type(cache.get_or_set("a", load_anything, type=Price), Price)
assert_type(cache.get_or_set("a", load, type=Price, tags=["prices"], stale=60), Price)
assert_type(cache.get_or_set("a", load, type=Price | None), Price | None)


@cache.cached(ttl=60, tags=["prices"])
def price(symbol: str, day: int = 0) -> Price:
    return Price(symbol, day)


@cache.cached()
async def aprice(symbol: str) -> Price:
    return Price(symbol, 1.0)


class Shop:
    @cache.cached(ttl=60)
    def price(self, symbol: str) -> Price:
        return Price(symbol, 1.0)

    @cache.cached(ttl=60)
    async def aprice(self, symbol: str) -> Price:
        return Price(symbol, 1.0)

    @classmethod
    @cache.cached(ttl=60)
    def named(cls, name: str) -> Price:
        return Price(name, 1.0)


assert_type(price("a", day=1), Price)
assert_type(price.invalidate(), int)
assert_type(aprice.invalidate(), int)
assert_type(Shop().price("a"), Price)
assert_type(Shop().price.invalidate(), int)
assert_type(Shop.named("a"), Price)


async def use_cache() -> None:
    assert_type(await cache.aget("a", type=Price), Price | None)
    assert_type(await cache.aget("a", 0, type=Price), Price | int)
    assert_type(await cache.aget("a"), Any)
    assert_type(await cache.aset("a", Price("a", 1.0), ttl=60), None)
    assert_type(await cache.ainvalidate("a*"), int)
    assert_type(await aprice("a"), Price)
    assert_type(await Shop().aprice("a"), Price)
    assert_type(await cache.aget_or_set("a", load), Price)
    assert_type(await cache.aget_or_set("a", aload, type=Price), Price)
    assert_type(await cache.aget_or_set("a", load_anything, type=Price), Price)


# Workflows


@hub.workflows.agent("fetch", schema=Request, attempts=2, timeout=60)
def fetch(task: TaskInfo[Request], ctx: Context) -> Price:
    assert_type(task.data, Request)
    assert_type(ctx.db, Database)
    assert_type(ctx.cache, Cache)
    assert_type(ctx.events, EventBus)
    assert_type(ctx.files, FileSystemManager)
    assert_type(ctx.git, GitManager)
    assert_type(ctx.docker, DockerManager)
    assert_type(ctx.github, GitHub)
    assert_type(ctx.redis, RedisClient)
    assert_type(ctx.api("https://api.example", timeout=5), APIClient)
    assert_type(ctx.queue("prices"), Queue)
    assert_type(ctx.input("plan", type=Request), Request)
    assert_type(ctx.input("plan"), Any)
    assert_type(ctx.inputs, dict[str, Any])
    assert_type(ctx.step("price", price, "a", day=1), Price)
    assert_type(ctx.with_options(returns=Price).step("any", load_anything), Price)
    assert_type(ctx.ask("price", form=Price), Price)
    assert_type(ctx.ask("price", form=Price, timeout=60, default=None), Price | None)
    assert_type(ctx.ask("price"), Any)
    assert_type(ctx.wait_event("paid"), Event)
    assert_type(ctx.wait_event("paid", timeout=60, default=None), Event | None)
    assert_type(ctx.spawn(Task("part", agent="fetch")).result(type=Price), Price)
    assert_type(ctx.map("fetch", [1, 2]), list[Any])
    assert_type(ctx.entry, int)
    return ctx.step("load", load)


async def of_anything(data: Any) -> Price:
    return Price(str(data), 1.0)


@agent("report", capabilities=["text"], schema=Request)
async def report(task: TaskInfo, ctx: Context) -> Price:
    assert_type(task.data, Any)
    assert_type(await ctx.step("price", aprice, "a"), Price)
    assert_type(await ctx.aask("price", form=Price), Price)
    assert_type(await ctx.await_event("paid"), Event)
    assert_type(await (await ctx.aspawn(Task("part"))).aresult(type=Price), Price)
    assert_type(await ctx.astep("load", load), Price)
    assert_type(await ctx.with_options(returns=Price).astep("any", load_anything), Price)
    assert_type(await ctx.astep("any", of_anything, task.data), Price)
    return await ctx.astep("again", aprice, "a")


async def use_workflows() -> None:
    workflow = hub.workflows.create("prices", [Task("fetch", data=Request("a"))])
    assert_type(workflow, Workflow)
    assert_type(workflow.result_of("fetch", type=Price), Price)
    assert_type(workflow.result_of("fetch"), Any)
    assert_type(workflow.task("fetch"), TaskInfo)
    assert_type(await workflow, Workflow)
    with hub.db.transaction() as tx:
        hub.workflows.create("prices", [Task("fetch")], transaction=tx, deadline=60)
    workflow.set("fetch", attempts=5, timeout=None, priority=1).retry("fetch", from_step="ask")
    assert_type(await workflow.apause(), Workflow)


# APIs

api = hub.api("https://api.example", timeout=5, auth=("ada", "s3cret"), cookies=True)
assert_type(api, APIClient)
assert_type(api.get("/a"), Any)
assert_type(api.get("/a", schema=Price), Price)
assert_type(api.get("/a", schema=list[Price], params={"page": 2}), list[Price])
assert_type(api.get("/a", schema=Price, etag='"a"'), Price | None)
assert_type(api.get("/a", expect="text"), str)
assert_type(api.get("/a", expect="bytes", timeout=None), bytes)
assert_type(api.post("/a", Request("a"), schema=Price), Price)
assert_type(api.put("/a", Request("a"), schema=Price), Price)
assert_type(api.patch("/a", schema=Price), Price)
assert_type(api.delete("/a", schema=Price), Price)
assert_type(api.post("/a", {"a": 1}), Any)
assert_type(api.request("GET", "/a", schema=Price), Reply[Price])
assert_type(api.request("GET", "/a", schema=Price).data, Price)
assert_type(api.request("GET", "/a"), Reply)


async def use_api() -> None:
    assert_type(await api.aget("/a", schema=Price), Price)
    assert_type(await api.aget("/a"), Any)
    assert_type(await api.apost("/a", Request("a"), schema=Price), Price)
    assert_type(await api.aput("/a", schema=Price), Price)
    assert_type(await api.apatch("/a", schema=Price), Price)
    assert_type(await api.adelete("/a", schema=Price), Price)
    assert_type((await api.arequest("GET", "/a", schema=Price)).data, Price)
    assert_type(await api.aget("/a", expect="text"), str)


# Queues

jobs = hub.queue("prices")
assert_type(jobs, Queue)
job = jobs.add(Request("a"), priority=1, backoff={"type": "fixed", "delay": 2}, key="a")
assert_type(job, Job)
assert_type(job.data, Any)
assert_type(job.result(timeout=5), Any)
assert_type(job.result(5, type=Price), Price)
assert_type(job.result(type=list[Price] | None), list[Price] | None)
assert_type(hub.queues.add_task("prices", Request("a"), attempts=2), Job)
assert_type(jobs.schedule("nightly", "0 2 * * *", tz="Europe/Berlin", attempts=5), Schedule[Job])
assert_type(jobs.get_schedule("nightly").trigger(), Job)
assert_type(jobs.add_many([Request("a")], key=lambda one: one.symbol, delay=1), list[Job])
assert_type(jobs.get("a"), Job)
assert_type(jobs.jobs("failed"), list[Job])
assert_type(hub.queues.find("a"), Job)


@processor("prices", schema=Request, timeout=60)
def process(job: Job[Request]) -> Price:
    assert_type(job.data, Request)
    assert_type(job.refresh(), Job[Request])
    return Price(job.data.symbol, 1.0)


@processor("prices")
async def aprocess(job: Job) -> Price:
    assert_type(job.data, Any)
    return Price("a", 1.0)


assert_type(jobs.work(process, schema=Request, concurrency=2), Worker)
assert_type(jobs.work(lambda job: job.data), Worker)
assert_type(jobs.work(), Worker)
assert_type(hub.queues.process_queue("prices", process, schema=Request), Worker)
assert_type(hub.queues.process_queue("prices", aprocess, 2), Worker)

assert_type(jobs.map(process, [Request("a")], key="monday"), Batch[Price])
assert_type(jobs.map(aprocess, [1], attempts=2), Batch[Price])
assert_type(jobs.map("jobs.prices:process", [1]), Batch)
assert_type(jobs.map(None, [1]), Batch)
prices = jobs.map(process, [Request("a")])
assert_type(prices.results(5), list[Price])
assert_type(prices.results(errors="return"), list[Any])
assert_type(prices.results(type=str), list[str])
assert_type(list(prices), list[Price])
assert_type(next(prices.as_completed()).result(), Price)
assert_type(prices.failed, list[BatchItem[Price]])
assert_type(prices.counts().left, int)
assert_type(jobs.batch("monday"), Batch)
assert_type(jobs.batches(), list[Batch])


async def use_queue() -> None:
    batch = await jobs.amap(process, [Request("a")])
    assert_type(batch, Batch[Price])
    assert_type(await batch, list[Price])
    assert_type(await batch.aresults(type=int), list[int])
    async for price in batch:
        assert_type(price, Price)
    async for item in batch.aas_completed():
        assert_type(item.result(), Price)
    assert_type(await jobs.aadd(Request("a"), priority=1), Job)
    assert_type(await jobs.aadd_many([1, 2], priority=lambda one: one), list[Job])
    assert_type(await job.aresult(5, type=Price), Price)
    assert_type(await job.aresult(), Any)
    assert_type(await job, Any)
    assert_type(await hub.queues.aadd_task("prices", 1, attempts=2), Job)


# Databases

found = hub.db.query("select 1", timeout=1)
assert_type(found, Result)
assert_type(found.scalar(), Any)
assert_type(found.scalar(type=int), int | None)
assert_type(found.objects(Price), list[Price])
assert_type(found[0], Row)
assert_type(found[0].amount, Any)
assert_type(found[0][0], Any)
assert_type(found[:2], list[Row])
assert_type(list(found), list[Row])
assert_type(found.dicts(), list[dict[str, Any]])
assert_type(hub.db.run(lambda db: db.query("select 1")), Result)
with hub.db.transaction() as tx:
    assert_type(tx, Transaction)
    assert_type(tx.execute("select 1"), Result)
    assert_type(tx.open, bool)
with hub.db.session() as session, session.transaction() as tx:
    assert_type(tx, Transaction)


async def count(db: Database) -> int:
    return (await db.aquery("select 1")).scalar(type=int) or 0


async def use_db() -> None:
    assert_type(await hub.db.aquery("select 1"), Result)
    assert_type(await hub.db.aexecute("select 1"), Result)
    assert_type(hub.db.run(count), int)
    assert_type(await hub.db.arun(count), int)
    async with hub.db.atransaction() as atx:
        assert_type(atx, Transaction)
        assert_type(await atx.aexecute("select 1"), Result)
    async with agentnb.connect() as opened:
        assert_type(opened, agentnb.Hub)


# Events and WebSockets


def heard(event: Event[Price]) -> None:
    assert_type(event.data, Price)


async def aheard(event: Event) -> None:
    assert_type(event.data, Any)


events = hub.events
assert_type(events.publish("a", Request("a"), durable=True), Event)
assert_type(events.subscribe("a", heard, schema=Price, replay=5), Subscription)
assert_type(events.subscribe("a", aheard, overflow="reread", name="a"), Subscription)
assert_type(events.subscribe("a", lambda event: event.data), Subscription)
assert_type(events.wait_for("a", timeout=1), Event)
assert_type(events.history("a")[0], Event)
assert_type(hub.websocket("ws://example", reconnect=1, json=False), WebSocketClient)


async def use_events() -> None:
    assert_type(await events.apublish("a", 1), Event)
    assert_type(await events.asubscribe("a", heard, schema=Price), Subscription)
    assert_type(await events.await_for("a"), Event)
    async for event in events.stream("a", schema=Price, replay=5):
        assert_type(event, Event[Price])
    async for plain in events.stream("a"):
        assert_type(plain, Event)


# Files, git and Docker

files = hub.files
assert_type(files.read_file("a"), str)
assert_type(files.read_file("a", encoding=None), bytes)
assert_type(hub.git.commit("done"), Committed)
assert_type(hub.git.commit("done", dry_run=True), Table)


async def use_files() -> None:
    assert_type(await files.aread_file("a"), str)
    assert_type(await files.aread_file("a", encoding=None), bytes)
    assert_type(await files.awrite_file("a", "b", if_hash=""), None)
    assert_type(await hub.git.acommit("done"), Committed)


async def use_docker() -> None:
    docker = hub.docker
    assert_type(docker.run("app", "ls", memory="256m", ports=[80], timeout=5), RunResult)
    assert_type(docker.wait_until("app", exited=True), str | int | None)
    assert_type(docker.run_container("app", env={"A": 1}, ports={80: None}), Container)
    assert_type(await docker.arun("app", "ls", memory="256m", pull="missing"), RunResult)
    with docker.service("redis:7", port=6379, network="prices") as service:
        assert_type(service, Service)
        assert_type(service.exec("ls", timeout=5), ExecResult)
        assert_type(service.logs(tail=5), Logs)


async def use_tests() -> None:
    assert_type(run_job(process, Request("a"), hub=hub).result, Price)
    assert_type(run_job(aprocess, attempts=2), JobRun[Price])
    assert_type((await arun_job(aprocess)).result, Price)
    assert_type(await price.ainvalidate(), int)


@agent("short", schema=Request)
def short(task: TaskInfo[Request]) -> str:
    return task.data.symbol


@agent("of a class", schema=Request)
class Reporter:
    def execute(self, data: Request, ctx: Context) -> Price:
        ctx.log(data.symbol)
        return Price(data.symbol, 1.0)


@agent("untyped", schema=Request)
async def untyped(task: TaskInfo, ctx: Context) -> None:
    ctx.log(str(task.data))


class Sender:
    def execute(self, data: Request) -> str:
        return data.symbol


assert_type(agent("of an object", schema=Request)(Sender()), Sender)
assert_type(Reporter().execute(Request("a"), Context.__new__(Context)), Price)
assert_type(short(TaskInfo.__new__(TaskInfo)), str)
