"""The sample service does its work, on SQLite with the embedded server and on PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import httpx
import pytest

import agentnb
from agentnb.errors import UnavailableError
from agentnb.testing import isolated_hub, run_agent, run_until_idle
from tests.waiting import until as wait_until

from .conftest import AMOUNTS, SCRIPTS

TWO = ["EURUSD", "GBPUSD"]


def test_jobs_save_prices_and_agents_report_on_them(service, prices):
    app, report, kind = service("app"), service("report"), service("prices").Price
    with isolated_hub() as hub:
        run_until_idle(hub, service("jobs"), report)  # registers them, as a worker does
        jobs, workflow = app.order(hub, TWO)
        run_until_idle(hub, approve=True)
        found = [job.result(timeout=10, type=kind) for job in jobs]
        assert {one.symbol: one.amount for one in found} == {one: AMOUNTS[one] for one in TWO}
        saved = hub.db.query("select * from price order by symbol").objects(kind)
        assert saved == found
        written = workflow.result_of("write", type=report.Report)
        text = hub.files.read_file(written.path)
        assert text == "EURUSD 1.50\nGBPUSD 2.50\naverage 2.00"
        assert sorted(prices.asked) == ["/prices/EURUSD", "/prices/GBPUSD"]
        events = [event.data for event in hub.events.history("price.changed")]
        assert [event["symbol"] for event in events] == TWO
        last = hub.events.history("report.written")[-1]
        assert last.data == {"path": written.path, "by": "publish"}
        commits = hub.repo("reports").log()
        assert [commit.subject for commit in commits] == [f"Report {workflow.id}"]


def test_a_report_that_was_committed_before_a_crash_is_committed_once(service):
    app, report = service("app"), service("report")
    with isolated_hub() as hub:
        run_until_idle(hub, service("jobs"), report)
        _, workflow = app.order(hub, ["EURUSD"])
        run_until_idle(hub, approve=True)
        written = workflow.result_of("write", type=report.Report)
        inputs = {"write": {"path": written.path, "lines": written.lines}}
        run_agent(report.publish, inputs=inputs, hub=hub)
        assert len(hub.repo("reports").log()) == 1
        assert len(hub.events.history("report.written")) == 2


def test_a_price_that_has_not_changed_is_not_published_again(service):
    app, prices = service("app"), service("prices")
    with isolated_hub() as hub:
        run_until_idle(hub, service("jobs"), service("report"))
        app.order(hub, ["EURUSD"])
        price = prices.Price("EURUSD", 1.5, "2026-01-01T00:00:00Z")
        assert prices.save(hub.db, price) is None
        assert prices.save(hub.db, price) == price
        run_until_idle(hub, approve=True)
        assert hub.events.history("price.changed") == []


def test_the_web_application_orders_and_approves_and_starts_twice_in_one_process(service, worker):
    web = service("web")
    process = worker()
    process.hear(
        "agent publish is", 60
    )  # then its agents are known, and workflows may be made of them

    async def use(order):
        async with web.app.router.lifespan_context(web.app):
            transport = httpx.ASGITransport(web.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://it") as client:
                return await order(client)

    async def buy(client):
        ordered = (await client.post("/orders", json=TWO)).raise_for_status().json()
        assert len(ordered["jobs"]) == 2
        workflow = await web.app.state.hub.workflows.aget(ordered["workflow"])
        async with asyncio.timeout(60):
            while (await workflow.atask("write")).state != "approval":  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.02)
        for job in ordered["jobs"]:
            await (await web.app.state.hub.queue("prices").aget(job)).aresult(timeout=60)
        return ordered["workflow"]

    async def approve(client):
        path = f"/reports/{workflow}/approval"
        report = (await client.post(path, timeout=60)).raise_for_status().json()
        assert (await client.get("/prices/EURUSD")).json()["amount"] == 1.5
        assert (await client.get("/prices/NOTONE")).status_code == 404
        assert (await client.post("/reports/none/approval")).status_code == 404
        ready = await client.get("/ready")
        assert ready.status_code == 200, ready.text
        assert ready.json().keys() >= {"redis", "db default"}
        return report["text"]

    workflow = asyncio.run(use(buy))
    assert asyncio.run(use(approve)).startswith("EURUSD 1.50\nGBPUSD 2.50\n")
    assert process.end() == 0


def test_a_web_application_whose_redis_is_away_does_not_start_and_leaves_no_thread(
    service, tmp_path, monkeypatch
):
    web = service("web")
    monkeypatch.setenv("AGENTNB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    before = set(threading.enumerate())

    async def start():
        async with web.app.router.lifespan_context(web.app):
            pytest.fail("it has started")

    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):
        asyncio.run(start())
    assert [each for each in set(threading.enumerate()) - before if not each.daemon] == []


def test_changes_of_prices_come_over_the_websocket(redis_home, tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTNB_HOME", str(redis_home))
    command = [sys.executable, "-m", "agentnb.cli", "serve", "--port", "0"]
    watch = [sys.executable, "-m", "service.watch"]
    options = {"cwd": tmp_path, "stdout": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "PYTHONUNBUFFERED": "1"}
    with agentnb.connect() as hub, subprocess.Popen(command, **options) as server:
        while "stops it" not in server.stdout.readline():
            assert server.poll() is None
        with subprocess.Popen(watch, env=environment, **options) as watching:
            found = []
            reader = threading.Thread(target=lambda: found.append(watching.stdout.readline()))
            reader.start()

            def published():
                hub.events.publish("price.changed", {"symbol": "EURUSD"})
                reader.join(0.2)
                return found

            wait_until(published, 60)
            watching.kill()
        server.terminate()
        assert server.wait(120) == 0
    assert found[0].split(maxsplit=1) == ["price.changed", "{'symbol': 'EURUSD'}\n"]
