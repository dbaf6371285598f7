"""Schedules of queues: made, replaced, fired once, missed, paused, shown."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import threading
import time
from dataclasses import replace
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agentnb.core.clock import Clock
from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.queue import schedule_scripts
from agentnb.core.queue.schedules import Spec
from tests.groups import stable_id
from tests.waiting import until

HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queues(make_queues, shared_redis, clock):
    return make_queues(runtime=replace(shared_redis.runtime, clock=clock))


@pytest.fixture
def queue(queues):
    return queues.get_queue("reports")


def move_to(clock, moment):
    clock.advance(moment - clock.time() + 0.005)


def run_due(queue, processor=lambda job: job.data):
    """Fire and run what is due, in this thread, and return the jobs."""
    queue.process(processor)
    ran = []
    with queue._inline_worker() as worker:
        while (one := worker.run_next()) is not None:
            ran.append(queue.get(one.claim.id) if one.state != "gone" else one)
    return ran


def test_a_firing_adds_a_job_that_names_its_schedule_and_its_time(queue, clock):
    made = queue.schedule("nightly", "0 2 * * *", {"kind": "daily"}, tz="Europe/Berlin", attempts=5)
    due = made.next_times(1)[0]

    assert run_due(queue) == []
    move_to(clock, due.timestamp())
    (job,) = run_due(queue)

    assert (job.schedule, job.scheduled_at) == ("nightly", due)
    assert job.result() == {"kind": "daily"}
    assert job.options.attempts == 5
    assert due.astimezone(ZoneInfo("Europe/Berlin")).hour == 2
    info = made.info()
    assert (info.last, info.last_id, info.fired) == (due.timestamp(), job.id, 1)
    assert info.next_times(1)[0].timestamp() - due.timestamp() in {DAY - HOUR, DAY, DAY + HOUR}
    assert run_due(queue) == []


def test_a_worker_fires_at_the_time_though_all_its_threads_are_busy(queue, clock):
    began, go = threading.Event(), threading.Event()

    def work(job):
        if job.schedule is None:
            began.set()
            go.wait(30)

    with queue.work(work, concurrency=1):
        queue.add()
        assert began.wait(10)
        made = queue.schedule("hourly", every=HOUR)
        clock.advance(HOUR)
        until(lambda: made.info().fired == 1)
        assert queue.counts().waiting == 1
        go.set()
        until(lambda: queue.counts()["completed"] == 2)


def test_a_worker_fires_by_itself_again_and_again(queue):
    made = queue.schedule("tick", every=1, data=1)
    seen = []

    with queue.work(lambda job: seen.append((job.scheduled_at.timestamp(), time.time()))):
        until(lambda: len(seen) >= 3)

    times = [at for at, _ in seen]
    assert times == [times[0] + n for n in range(len(times))]
    assert made.info().fired == len(times)


def test_each_firing_is_one_job_however_many_look_at_once(make_queues, shared_redis, clock):
    runtime = replace(shared_redis.runtime, clock=clock)
    several = [make_queues(runtime=runtime).get_queue("reports") for _ in range(3)]
    several[0].schedule("hourly", every=HOUR, missed="all")
    barrier = threading.Barrier(6)

    def look(queue):
        for _ in range(20):
            barrier.wait(30)
            queue._schedules.fire_due()
            if barrier.wait(30) == 0:
                clock.advance(HOUR)

    threads = [threading.Thread(target=look, args=(one,)) for one in several * 2]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    several[0]._schedules.fire_due()

    times = [job.scheduled_at for job in several[0].jobs("waiting")]
    assert len(times) == len(set(times)) == several[0].get_schedule("hourly").info().fired
    assert len(times) in {19, 20, 21}


@pytest.mark.parametrize(
    ("missed", "late", "fired"),
    [("latest", 10.0, [5]), ("skip", 10.0, [5]), ("all", 10.0, [1, 2, 3, 4, 5])],
)
def test_missed_firings_follow_the_policy(queue, clock, caplog, missed, late, fired):
    made = queue.schedule("hourly", every=HOUR, missed=missed)
    first = made.next_times(1)[0]

    move_to(clock, first.timestamp() + 4 * HOUR + late)
    jobs = run_due(queue)

    wanted = [first + (n - 1) * dt.timedelta(hours=1) for n in fired]
    assert sorted(job.scheduled_at for job in jobs) == wanted
    lines = [one.getMessage() for one in caplog.records if "missed firings" in one.getMessage()]
    assert len(lines) == (missed != "all")


def test_skip_gives_up_a_firing_that_is_a_minute_late(queue, clock, caplog):
    made = queue.schedule("hourly", every=HOUR, missed="skip")
    first = made.next_times(1)[0]

    move_to(clock, first.timestamp() + 61)

    assert run_due(queue) == []
    assert "so none is made up for" in caplog.text
    assert made.next_times(1) == [first + dt.timedelta(hours=1)]


def test_all_is_bounded_and_says_what_it_leaves_out(queue, clock, caplog):
    queue.schedule("minutely", "* * * * *", missed="all", remove_on_complete=False)

    clock.advance(5 * HOUR)

    assert len(run_due(queue)) == 100
    assert "the latest 100 are made up for" in caplog.text


def test_a_long_outage_is_looked_at_in_no_time(queue, clock):
    queue.schedule("secondly", "* * * * * *")

    clock.advance(3 * 366 * DAY)

    assert len(run_due(queue)) == 1


def test_overlap_skip_leaves_out_a_firing_while_the_last_job_has_not_ended(queue, clock, caplog):
    made = queue.schedule("hourly", every=HOUR, overlap="skip")
    clock.advance(HOUR)
    queue._schedules.fire_due()
    clock.advance(HOUR)
    queue._schedules.fire_due()

    assert queue.counts().waiting == made.info().fired == 1
    assert "1 firings are left out" in caplog.text
    run_due(queue)
    clock.advance(HOUR)
    assert len(run_due(queue)) == 1


def test_the_same_call_again_keeps_the_next_time_and_another_replaces_it(queue, clock):
    start = dt.datetime.fromtimestamp(time.time() + 100, dt.UTC)
    made = queue.schedule("report", every=HOUR, data=1, start=start)
    before = made.info()
    clock.advance(50)

    assert queue.schedule("report", every=HOUR, data=1, start=start).info() == before

    clock.advance(60)
    queue.schedule("report", every=HOUR, data=1, start=start)  # as a cell that runs again
    assert len(run_due(queue)) == 1
    again = queue.schedule("report", every=2 * HOUR, data=2)
    assert again.info().timing.every == 2 * HOUR
    assert again.info().fired == 1
    clock.advance(2 * HOUR)
    assert [job.data for job in run_due(queue)] == [2]
    assert [one.name for one in queue.schedule_infos()] == ["report"]


def test_a_firing_of_a_schedule_that_was_replaced_meanwhile_does_not_count(queue, clock):
    queue.schedule("report", every=HOUR, data=1)
    clock.advance(HOUR)
    store = queue._schedules._parts.store
    now, _, one = store.run(schedule_scripts.DUE, [])
    queue.schedule("report", every=HOUR, data=2)

    queue._schedules._fire_one(int(now) / 1000, *one)
    spec = msgspec.json.decode(one[2], type=Spec)
    revision = one[3].decode()
    out_of_turn = queue._schedules._fire(
        "report", revision, spec, [1.0], "", "inf", overlap="allow"
    )

    assert out_of_turn is None
    assert queue.counts().waiting == 0


def test_a_paused_schedule_fires_nothing_and_goes_on_with_its_next_time(queue, clock):
    made = queue.schedule("hourly", every=HOUR, missed="all")
    made.pause()
    assert (made.info().state, made.next_times()) == ("paused", [])
    clock.advance(5 * HOUR)
    assert run_due(queue) == []

    queue.schedule("hourly", every=2 * HOUR, missed="all")
    clock.advance(3 * HOUR)
    assert run_due(queue) == []
    assert made.info().paused
    made.resume()

    assert run_due(queue) == []
    clock.advance(2 * HOUR)
    assert len(run_due(queue)) == 1


def test_a_paused_queue_fires_nothing_and_its_missed_times_follow_the_policy(queue, clock):
    queue.schedule("hourly", every=HOUR)
    queue.pause()
    clock.advance(3 * HOUR)
    assert run_due(queue) == []
    assert queue.counts()["paused"] == 0

    queue.resume()

    assert len(run_due(queue)) == 1


def test_a_trigger_adds_a_job_now_and_leaves_the_times(queue):
    made = queue.schedule("nightly", "0 2 * * *", 7)
    before = made.next_times()

    job = made.trigger()

    assert (job.data, job.schedule) == (7, "nightly")
    assert made.next_times() == before
    assert (made.info().last_id, made.info().fired) == (job.id, 1)
    made.pause()
    assert made.trigger().id != job.id
    assert queue.counts().waiting == 2


def test_an_end_ends_it(queue, clock):
    now = dt.datetime.now(dt.UTC)
    made = queue.schedule("twice", every=HOUR, start=now, end=now + dt.timedelta(hours=2.5))
    seen = 0
    for _ in range(5):
        clock.advance(HOUR)
        seen += len(run_due(queue))

    assert (seen, made.info().state) == (2, "ended")
    assert made.next_times() == []


def test_a_removed_schedule_fires_no_more_and_its_jobs_stay(queue, clock):
    made = queue.schedule("hourly", every=HOUR)
    job = made.trigger()
    made.remove()
    clock.advance(2 * HOUR)

    assert [one.id for one in run_due(queue)] == [job.id]
    queue.schedule("hourly", every=HOUR)
    queue.unschedule("hourly")
    with pytest.raises(NotFoundError, match="no schedule 'hourly'"):
        queue.unschedule("hourly")
    with pytest.raises(NotFoundError):
        made.info()
    with pytest.raises(NotFoundError):
        made.pause()
    with pytest.raises(NotFoundError):
        made.trigger()


def test_the_nearest_schedule_is_named(queue):
    queue.schedule("nightly", every=HOUR)

    with pytest.raises(NotFoundError) as caught:
        queue.get_schedule("nihgtly")

    assert caught.value.hint == "did you mean nightly?"


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("no name", {"every": 60}, "cannot be called"),
        ("", {"every": 60}, "cannot be called"),
        ("-x", {"every": 60}, "cannot be called"),
        (7, {"every": 60}, "cannot be called"),
        ("x" * 201, {"every": 60}, "cannot be called"),
        ("x", {"every": 60, "missed": "some"}, "missed must be latest, skip or all"),
        ("x", {"every": 60, "overlap": True}, "overlap must be allow or skip"),
        ("x", {"every": 60, "priority": -1}, "priority must be"),
        ("x", {"every": 60, "data": object()}, "object"),
        ("x", {"every": 60, "key": "k"}, "schedule has no option key"),
        ("x", {"every": 60, "delay": 5}, "schedule has no option delay"),
        ("x", {"every": 60, "atempts": 5}, "schedule has no option atempts"),
        ("x", {"cron": "0 0 30 2 *"}, "would never fire"),
        ("x", {"every": 0}, "every must be"),
    ],
    ids=stable_id,
)
def test_bad_input_is_refused_before_anything_is_kept(queue, name, words, message):
    with pytest.raises(UsageError) as caught:
        queue.schedule(name, **words)

    assert message in caught.value.message
    assert caught.value.hint
    assert queue.schedule_infos() == []


def test_the_data_is_checked_by_the_schema_of_the_processor(queue):
    queue.process(lambda job: job.data, schema=dict[str, int])

    with pytest.raises(UsageError):
        queue.schedule("x", every=60, data={"a": "no number"})

    assert queue.schedule_infos() == []


def test_a_time_by_a_clock_that_was_put_back_does_not_fire_again(queue, clock):
    queue.schedule("hourly", every=HOUR)
    clock.advance(HOUR)
    assert len(run_due(queue)) == 1
    clock.advance(-HOUR)
    assert run_due(queue) == []
    clock.advance(HOUR)
    assert run_due(queue) == []
    clock.advance(HOUR)
    assert len(run_due(queue)) == 1


def test_a_schedule_that_cannot_be_read_here_is_said_and_the_others_fire(queue, clock, caplog):
    queue.schedule("odd", "0 * * * *", tz="Europe/Berlin")
    queue.schedule("hourly", every=HOUR)
    store = queue._schedules._parts.store
    key = f"{store.base}:schedule:odd"
    spec = store.redis.hget(key, "spec").replace(b"Europe/Berlin", b"Mars/Olympus")
    store.redis.hset(key, "spec", spec)
    clock.advance(2 * HOUR)

    assert [job.schedule for job in run_due(queue)] == ["hourly"]
    assert run_due(queue) == []
    assert "schedule odd of reports cannot fire here: there is no time zone" in caplog.text
    assert len([one for one in caplog.records if "cannot fire here" in one.getMessage()]) == 1


def test_a_firing_is_logged_and_published(make_queues, make_bus, shared_redis, clock, caplog):
    caplog.set_level(logging.INFO, "agentnb.queue")
    bus = make_bus()
    runtime = replace(shared_redis.runtime, clock=clock)
    queue = make_queues(runtime=runtime, events=bus).get_queue("reports")
    seen = []
    bus.subscribe("queue.reports.scheduled", seen.append)
    made = queue.schedule("hourly", every=HOUR)

    job = made.trigger()

    until(lambda: seen)
    assert (seen[0].data["schedule"], seen[0].data["job_id"]) == ("hourly", job.id)
    assert "schedule hourly fired" in caplog.text


def test_draining_does_not_wait_for_the_next_firing(queue):
    queue.schedule("hourly", every=HOUR)

    with queue.work(lambda job: job.data) as worker:
        assert worker.drain(timeout=10) == 0

    assert queue.counts().left == 0


def test_the_table_shows_the_next_three_times_in_the_reader_s_zone(queue):
    made = queue.schedule("nightly", "0 2 * * *", tz="Europe/Berlin")
    job = made.trigger()

    table = queue.schedules()

    (row,) = table
    assert (row.schedule, row.queue, row.when, row.zone) == (
        *("nightly", "reports", "0 2 * * *"),
        "Europe/Berlin",
    )
    first, second, third = made.next_times(3)
    assert row.next == first
    assert row.then == f"{second:%Y-%m-%d %H:%M:%S}, {third:%Y-%m-%d %H:%M:%S}"
    assert (row.state, row.job) == ("active", job.id)
    assert "reports" in repr(table)
    assert "hub.queue(QUEUE).schedule" in repr(queue.queues.get_queue("other").schedules())


def test_the_methods_can_be_awaited(queue):
    async def main():
        made = await queue.aschedule("hourly", every=HOUR)
        await made.apause()
        await made.aresume()
        job = await made.atrigger()
        assert (await made.ainfo()).last_id == job.id
        assert len(await made.anext_times(2)) == 2
        assert len(await queue.aschedules()) == 1
        await (await queue.aget_schedule("hourly")).aremove()
        assert await queue.aschedule_infos() == []

    asyncio.run(main())
