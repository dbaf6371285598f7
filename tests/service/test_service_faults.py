"""The sample service goes on while its workers are stopped and killed, and its Redis restarts."""

from __future__ import annotations

import signal

import pytest

from .conftest import AMOUNTS

SYMBOLS = list(AMOUNTS)


@pytest.fixture
def hub(backend):
    with backend.connect() as hub:
        yield hub


@pytest.fixture
def ordered(service, hub, prices, until):
    """Return what orders all prices of a worker, which then waits for the API."""

    def order(process):
        process.hear(
            "agent publish is", 60
        )  # then its agents are known, and workflows may be made of them
        prices.gate.clear()
        hub.db.execute(service("prices").TABLE)
        queue = hub.queue("prices")
        jobs = [queue.add(service("jobs").Refresh(one), attempts=5) for one in SYMBOLS]
        until(lambda: len(prices.asked) >= len(SYMBOLS))
        assert {job.refresh().state for job in jobs} == {"active"}
        return jobs

    return order


def finished(service, hub, prices, jobs):
    """Let the API answer, and check that each price is there, and was published once."""
    prices.gate.set()
    found = [job.result(timeout=60, type=service("prices").Price) for job in jobs]
    assert {one.symbol: one.amount for one in found} == AMOUNTS
    saved = hub.db.query("select symbol, amount from price")
    assert {row.symbol: row.amount for row in saved} == AMOUNTS
    published = [event.data["symbol"] for event in hub.events.history("price.changed")]
    assert sorted(published) == sorted(SYMBOLS)
    return [job.refresh().attempt for job in jobs]


def test_sigterm_hands_jobs_back_and_another_worker_does_them_as_its_first_attempt(
    service, hub, prices, worker, ordered
):
    first = worker("--grace", 0.2)
    jobs = ordered(first)
    assert first.end(signal.SIGTERM) == 0
    assert [job.refresh().state for job in jobs] == ["waiting"] * 4
    worker()
    assert finished(service, hub, prices, jobs) == [1, 1, 1, 1]


def test_jobs_of_a_worker_that_is_killed_are_done_by_another(service, hub, prices, worker, ordered):
    first = worker(lease=2)
    jobs = ordered(first)
    first.end(signal.SIGKILL)
    worker(lease=2).hear("job is reclaimed: its worker died", count=len(jobs))
    assert finished(service, hub, prices, jobs) == [1, 1, 1, 1]  # a death does not count


def test_a_worker_survives_a_restart_of_redis_and_writes_its_report(
    service, hub, prices, worker, ordered, backend, until
):
    process = worker()
    jobs = ordered(process)
    backend.restart()
    assert set(finished(service, hub, prices, jobs)) <= {1, 2}
    workflow = hub.workflows.create("report", service("report").tasks(SYMBOLS))
    until(lambda: workflow.task("write").state == "approval")
    text = service("app").approve(hub, workflow.id)
    assert text.splitlines()[:-1] == [f"{one} {AMOUNTS[one]:.2f}" for one in SYMBOLS]
    assert process.process.poll() is None
    assert process.end() == 0
