"""Mistakes, each of which a checker has to find. This file is checked, and never run."""

from __future__ import annotations

from dataclasses import dataclass

import agentnb
from agentnb.core.events import Event
from agentnb.core.queue import Job, processor
from agentnb.core.workflow import Context, Task, TaskInfo, Workflow, agent
from agentnb.testing import isolated_hub, run_agent, run_job, run_until_idle


@dataclass
class Price:
    symbol: str
    amount: float


def load() -> Price:
    return Price("a", 1.0)


# The hub
agentnb.connect(databse_url="sqlite://")  # mistake
agentnb.connect(database_url=5)  # mistake
agentnb.connect(db_timeout=["30"])  # mistake
agentnb.Hub(homee="/srv")  # mistake
agentnb.conect()  # mistake
hub = agentnb.connect()
hub.cach.get("a")  # mistake
hub.close(1)  # mistake

# The cache
cache = hub.cache
cache.get("a", type=5)  # mistake
cache.get(5)  # mistake
cache.get("a", tpye=Price)  # mistake
amount: int = cache.get("a", type=Price)  # mistake
cache.get("a", type=Price).amount  # mistake
cache.get_or_set("a", load, type=Price).amuont  # mistake
cache.get_or_set("a", load).amuont  # mistake
cache.get_or_set("a", load, tll=5)  # mistake
cache.get_or_set("a", Price)  # mistake
name: str = cache.get_or_set("a", load)  # mistake
cache.set("a", 1, ttl="60")  # mistake


@cache.cached(ttl=60)
def price(symbol: str, day: int = 0) -> Price:
    return Price(symbol, day)


@cache.cached()
async def aprice(symbol: str) -> Price:
    return Price(symbol, 1.0)


class Shop:
    @cache.cached(ttl=60)
    def price(self, symbol: str) -> Price:
        return Price(symbol, 1.0)


price(5)  # mistake
price()  # mistake
price("a", dya=1)  # mistake
price("a").amuont  # mistake
price.invalidte()  # mistake
Shop().price(1)  # mistake
cache.cached(tll=5)  # mistake
cache.cached(stale="60")  # mistake
cache.cached(60)(5)  # mistake


async def use_cache() -> None:
    await price("a")  # mistake
    (await aprice("a")).amuont  # mistake
    await aprice(5)  # mistake
    (await cache.aget_or_set("a", load)).amuont  # mistake


# Workflows
@hub.workflows.agent("fetch", atempts=2)  # mistake
def fetch(task: TaskInfo[Price], ctx: Context) -> Price:
    task.data.amuont  # mistake
    task.dat  # mistake
    ctx.filse.read_file("a")  # mistake
    ctx.files.raed_file("a")  # mistake
    ctx.db.qurey("select 1")  # mistake
    ctx.queue(5)  # mistake
    ctx.api("https://api.example", tiemout=5)  # mistake
    ctx.step("price", price)  # mistake
    ctx.step("price", price, 5)  # mistake
    ctx.step("price", price, "a", dya=1)  # mistake
    ctx.step("price", price, "a").amuont  # mistake
    ctx.step(price, "a")  # mistake
    ctx.input("plan", type=Price).amuont  # mistake
    ctx.with_options(returns=Price).step("load", load).amuont  # mistake
    ctx.with_options(return_=Price)  # mistake
    ctx.progress("half")  # mistake
    return ctx.step("name", str, 5)  # mistake


@agent("report", attempts="3")  # mistake
async def report(task: TaskInfo[Price], ctx: Context) -> Price:
    await ctx.astep(task.data, load)  # mistake
    await ctx.astep("price", price, 5)  # mistake
    (await ctx.astep("price", aprice, "a")).amuont  # mistake
    return ctx.astep("price", aprice, "a")  # mistake


def use_workflows() -> None:
    Task("fetch", dta=1)  # mistake
    Task("fetch", attempts="3")  # mistake
    workflow = hub.workflows.create("prices", [Task("fetch")], keey="a")  # mistake
    workflow.result_of("fetch", type=Price).amuont  # mistake
    workflow.aprove("fetch")  # mistake
    hub.workflows.create("prices", [Task("fetch")], deadline="soon")  # mistake
    hub.workflows.create("prices", [Task("fetch")], transaction=hub.db)  # mistake
    workflow.set("fetch", attempts="5")  # mistake
    workflow.set("fetch", atempts=5)  # mistake
    workflow.retry("fetch", from_step=5)  # mistake
    hub.workflows.pause(5)  # mistake


# APIs
hub.api("https://api.example", tiemout=5)  # mistake
hub.api("https://api.example", auth=5)  # mistake
hub.api()  # mistake
api = hub.api("https://api.example", timeout=5)
api.get("/a", schema=Price).amuont  # mistake
api.get("/a", schema=5)  # mistake
api.get("/a", shcema=Price)  # mistake
api.get("/a", expect="json5")  # mistake
api.get("/a", expect="text").amount  # mistake
api.get("/a", schema=Price, timeout="5")  # mistake
api.get("/a", {"a": 1})  # mistake
api.post("/a", {"a": 1}, schema=Price).amuont  # mistake
api.post(json={"a": 1})  # mistake
api.request("GET", "/a", schema=Price).data.amuont  # mistake
api.request("GET", "/a", schema=Price).dta  # mistake


async def use_api() -> None:
    (await api.aget("/a", schema=Price)).amuont  # mistake
    (await api.apost("/a", 1, schema=Price)).amuont  # mistake
    api.aget("/a", schema=Price).amount  # mistake
    with api.stream("GET", "/a", schema=Price):  # mistake
        pass


# Queues
jobs = hub.queue("prices")
hub.queue(5)  # mistake
hub.quue("prices")  # mistake
jobs.add(1, prioritty=1)  # mistake
jobs.add(1, priority="1")  # mistake
jobs.add(1, backoff={"type": "exponentail"})  # mistake
jobs.add(1, backoff={"dely": 2})  # mistake
jobs.add(1).result(type=Price).amuont  # mistake
jobs.add(1).result(tmeout=1)  # mistake
jobs.add(1).rsult()  # mistake
jobs.jobs("fialed")  # mistake
jobs.search("fialed")  # mistake
hub.queues.add_task("prices", 1, atempts=2)  # mistake
hub.queues.add_task("prices", 1, attempts="2")  # mistake


def process(job: Job[Price]) -> float:
    job.data.amuont  # mistake
    return job.data.amount


def of_two(job: Job, other: int) -> None:
    job.log(other)  # mistake


jobs.work(process, schema=str)  # mistake
jobs.work(process, schema=Price, concurency=2)  # mistake
jobs.work(process, concurrency="2")  # mistake
jobs.work(of_two)  # mistake
jobs.work(load)  # mistake
jobs.work(5)  # mistake
hub.queues.process_queue("prices", process, schema=str)  # mistake
jobs.add_many(5)  # mistake
jobs.schedule("nightly", "0 2 * * *", key="k")  # mistake
jobs.schedule("nightly", every="1 h")  # mistake
jobs.schedule("nightly", every=60, missed="some")  # mistake
jobs.map(process)  # mistake
jobs.map(process, [1], attemps=2)  # mistake
jobs.map(process, [1], key=5)  # mistake
jobs.map(process, [1]).results(errors="ignore")  # mistake
jobs.add_many([1], key="k")  # mistake
hub.queues.process_queue("prices", process, tiemout=2)  # mistake
processor("prices", schema=str)(process)  # mistake
processor("prices", tiemout=1)  # mistake
processor("prices")(of_two)  # mistake


async def use_queue() -> None:
    await jobs.aadd(1, prioritty=1)  # mistake
    (await jobs.aadd(1)).rsult()  # mistake
    (await jobs.add(1).aresult(type=Price)).amuont  # mistake
    jobs.aadd(1).id  # mistake


# Databases
hub.db.qurey("select 1")  # mistake
hub.db.query("select 1", tiemout=1)  # mistake
hub.db.query("select 1", timeout="1")  # mistake
hub.db.query("select 1", [1])  # mistake
hub.db.query("select 1").scalr()  # mistake
hub.db.query("select 1").scalar(type=str) + "!"  # mistake
hub.db.query("select 1").scalar(type=5)  # mistake
hub.db.query("select 1").objects(Price)[0].amuont  # mistake
hub.db.query("select 1")[0]()  # mistake
with hub.db.transaction() as tx:
    tx.exceute("select 1")  # mistake
    tx.comit()  # mistake
with hub.db.transaction(tiemout=1):  # mistake
    pass
hub.db.run(lambda db: db.qurey("select 1"))  # mistake


async def use_db() -> None:
    (await hub.db.aquery("select 1")).scalr()  # mistake
    hub.db.aquery("select 1").scalar()  # mistake
    await hub.db.aquery("select 1", tiemout=1)  # mistake
    await hub.db.query("select 1")  # mistake
    async with hub.db.atransaction() as atx:
        await atx.acomit()  # mistake


# Events and WebSockets
def heard(event: Event[Price]) -> None:
    event.data.amuont  # mistake
    event.chanel  # mistake


events = hub.events
events.publish(5)  # mistake
events.publish("a", durabel=True)  # mistake
events.publish("a").idd  # mistake
events.subscribe("a", heard, schema=str)  # mistake
events.subscribe("a", heard, overflow="drop")  # mistake
events.subscribe("a", heard, overflwo="reread")  # mistake
events.subscribe("a", load)  # mistake
events.stream("a", overflow="drop")  # mistake
events.wait_for("a", timeout="1")  # mistake
hub.websocket("ws://example", reconect=1)  # mistake
hub.websocket("ws://example", reconnect="1")  # mistake


async def use_events() -> None:
    await events.asubscribe("a", heard, schema=str)  # mistake
    (await events.apublish("a")).idd  # mistake
    async for event in events.stream("a", schema=Price):
        event.data.amuont  # mistake


# Files, git and Docker
files = hub.files
files.raed_file("a")  # mistake
files.write_file("a", 5)  # mistake
files.write_file("a", "b", if_hsah="")  # mistake
files.read_file("a").decode()  # mistake
files.read_file("a", encoding=None).encode()  # mistake
hub.git.comit("done")  # mistake
hub.git.commit(message=5)  # mistake


async def use_files() -> None:
    await files.awrite_file("a", "b", if_hsah="")  # mistake
    (await files.aread_file("a")).decode()  # mistake
    await hub.git.acommit("done", pathes=["a"])  # mistake
    (await cache.aget("a", type=Price)).amount  # mistake
    await cache.aget("a", tpye=Price)  # mistake


def use_docker() -> None:
    hub.docker.run("app", "ls", memroy="256m")  # mistake
    hub.docker.run("app", "ls", pull="sometimes")  # mistake
    hub.docker.run("app", "ls", ports=80)  # mistake
    hub.docker.run_container("app", privileged=True)  # mistake
    hub.docker.run_container("app", cpus="1")  # mistake
    hub.docker.service("redis:7", prot=6379)  # mistake
    hub.docker.service("redis:7").exec("ls", tiemout=5)  # mistake
    hub.docker.service("redis:7").logs(tial=5)  # mistake


async def use_docker_awaited() -> None:
    await hub.docker.arun("app", "ls", memroy="256m")  # mistake
    (await hub.docker.arun("app", "ls")).exti_code  # mistake


# Tests
run_job(load)  # mistake
run_job(process, {"symbol": "a"}, attemps=2)  # mistake
run_job(process).reslt  # mistake
run_agent(fetch, tiemout=5)  # mistake
run_until_idle(hub, skpi=True)  # mistake
with isolated_hub(databse_url="sqlite://"):  # mistake
    pass


def use_states(workflow: Workflow, task: TaskInfo, job: Job) -> None:
    bool(workflow.state == "complete")  # mistake
    bool(task.state == "done")  # mistake
    bool(job.state == "complete")  # mistake
    hub.workflows.list("complete")  # mistake
    hub.github.list_pull_requests("a/b", "opened")  # mistake
    run_job(process, Price("a", 1.0)).result.amount  # mistake


def use_words() -> None:
    hub.git.status(untracked="some")  # mistake
    hub.websocket("ws://example").on("conected", print)  # mistake
    hub.docker.build_image("folder", tag="app", pull="sometimes")  # mistake


def of_price(task: TaskInfo[Price], ctx: Context) -> float:
    return task.data.amount if ctx.attempt else 0.0


agent("of another type", schema=Job)(of_price)  # mistake
hub.workflows.agent("of another type", schema=Job)(of_price)  # mistake
agent("of no type", schema=5)  # mistake
agent("no agent", schema=Price)(5)  # mistake
