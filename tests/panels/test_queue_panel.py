"""The queue panel over real queues and workers; what the browser adds is tested there."""

from __future__ import annotations

import os
import re
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

import agentnb
from agentnb.core.errors import UsageError
from agentnb.core.table import names_of
from agentnb.panels.queue import bulk, snapshot
from agentnb.panels.queue.rows import JOB_COLUMNS
from agentnb.panels.queue.view import QueuePanel
from tests.waiting import refresh, until

PANEL = QueuePanel


@pytest.fixture(scope="module")
def home():
    """Keep one embedded server for all of these tests."""
    # Not under pytest's folder, whose path is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="agentnb-queue-", dir="/tmp") as folder:
        home = Path(folder) / "home"
        with agentnb.connect(home=home) as keeper:
            keeper.redis.ping()
            yield home
        for _ in range(200):  # the server leaves a moment after the last of its users
            if not (home / "redis" / "running").exists():
                break
            time.sleep(0.05)


@pytest.fixture
def hub(home):
    with agentnb.connect(home=home) as hub:
        hub.redis.flushall()
        yield hub


def refreshed(view):
    view._poller.forget()
    refresh(view.panel)
    return view


def cells(table):
    """Return the texts of a table's rows by their first cell, with their columns' names."""
    state = table.state()
    names = [name for name, _ in state["cols"]]
    rows = [
        [cell["text"] if isinstance(cell, dict) else cell for cell in row]
        for _, row in state["rows"]
    ]
    return {row[0]: dict(zip(names, row, strict=True)) for row in rows}


def message(view):
    return view.panel._bar.widget.message


def pick(view, job):
    view.jobs.on_select(job.id)
    until(lambda: job.id in view.detail.about.value)


def fail(job):
    raise ValueError(f"no <b>{job.data['n']}</b>")


def failed(queue, count, **options):
    jobs = [queue.add({"n": number}, attempts=1, **options) for number in range(count)]
    queue.work(fail).drain(120)
    queue.stop()
    return jobs


def test_without_a_queue_it_says_what_to_type_and_nothing_else(view):
    it = view()
    text = it.panel._repr_mimebundle_()[0]["text/plain"]
    assert "%queue add QUEUE JSON" in text
    assert "%%queue task QUEUE" in text
    displays = [getattr(part, "widget", part).layout.display for part in it.body]
    assert displays == ["none"] * len(it.body)


def test_a_first_job_brings_everything_into_view(hub, view):
    it = view()
    hub.queue("mail").add(1)
    refreshed(it)
    displays = [getattr(part, "widget", part).layout.display for part in it.body]
    assert displays == [None] * len(it.body)


def test_queues_are_shown_with_their_jobs_by_state(hub, view):
    mail, embed = hub.queue("mail"), hub.queue("embed")
    for number in range(3):
        mail.add(number)
    mail.add(1, delay=60)
    mail.pause()
    failed(embed, 2)
    it = view()
    rows = cells(it.queues)
    assert rows["mail"] == {
        "queue": "mail",
        "state": "paused",
        "jobs": "4",
        "waiting": "3",
        "delayed": "1",
        "active": "0",
        "completed": "0",
        "failed": "0",
        "busy": "",
    }
    assert (rows["embed"]["state"], rows["embed"]["failed"]) == ("no worker", "2")
    assert it.queues.row("mail")[2].parts == ((0.75, "warn"), (0.25, "dim"))
    assert it.queues.row("mail")[2].about == "3 paused, 1 delayed"


def test_the_batches_of_the_chosen_queue_are_shown_as_bars(hub, view):
    batch = hub.queue("mail").map(None, range(4), key="monday")
    hub.queue("embed").map(None, [1])
    it = view()
    assert it.batches.widget.layout.display == "none"
    it.queues.on_select("mail")
    until(lambda: it.batches.widget.layout.display is None)
    shown = cells(it.batches)["monday"]
    assert (shown["progress"], shown["failed"], shown["left"]) == ("0 of 4", "0", "")
    batch.cancel()
    refreshed(it)
    shown = cells(it.batches)["monday"]
    assert (shown["progress"], shown["cancelled"]) == ("4 of 4", "4")
    assert "monday" in it.panel._repr_mimebundle_()[0]["text/plain"]
    it.queues.on_select("embed")
    until(lambda: "monday" not in cells(it.batches))


def test_jobs_that_wait_for_nobody_are_noticed(hub, view):
    for name in ("a", "b", "c", "d", "e"):
        hub.queue(name).add(1)
    it = view()
    assert it.notice.lines[0].startswith("Jobs wait: no worker is running for queue a on ")
    assert it.notice.lines[3:] == ["and 2 more queues whose jobs wait"]
    for name in ("a", "b", "c", "d"):
        hub.queue(name).work(lambda job: job.data).drain(120)
    refreshed(it)
    [line] = it.notice.lines
    assert line.startswith("Jobs wait: no worker is running for queue e on the embedded server")
    hub.queue("e").pause()
    refreshed(it)
    assert it.notice.lines == ["Jobs wait: e is paused: hub.queue('e').resume()"]


def test_a_job_is_shown_with_its_progress_its_data_and_its_worker(hub, view):
    go = threading.Event()

    def wait(job):
        job.progress(0.42)
        job.log("half <way>")
        go.wait(120)
        return {"sent": True}

    job = hub.queue("mail").add({"to": "ada", "token": "hunter2hunter2"})
    worker = hub.queue("mail").work(wait, concurrency=2)
    until(lambda: job.progress() == 0.42)
    it = view()
    row = cells(it.jobs)[job.id]
    assert (row["state"], row["progress"], row["attempt"]) == ("active", "42 %", "1 of 3")
    assert row["data or error"].startswith('{"to":"ada"')
    pick(it, job)
    assert "42 %" in it.detail.about.value
    assert f"worker {worker.name}" in it.detail.about.value
    assert "half &lt;way&gt;" in it.detail.log.widget.value
    assert it.detail.remove.disabled
    assert not it.detail.cancel.disabled
    [person] = cells(it.workers).values()
    assert (person["worker"], person["queue"]) == (worker.name, "mail")
    assert person["where"].startswith("kernel ")
    assert person["processor"] == "wait"
    assert person["busy"] == cells(it.queues)["mail"]["busy"] == "1 of 2"
    assert re.search(r"now|s ago", person["last heartbeat"])
    shown = it.panel._repr_mimebundle_()[0]["text/plain"] + it.detail.data.widget.value
    assert "hunter2" not in shown
    go.set()
    job.result(10)
    refreshed(it)
    assert "&quot;sent&quot;: true" in it.detail.result.widget.value
    assert "took" in it.detail.times.value
    assert not it.detail.remove.disabled


def test_the_run_time_of_a_job_is_a_duration_at_the_right(hub, view):
    [job] = failed(hub.queue("mail"), 1)
    it = view()
    assert re.fullmatch(r"[\d.]+ m?s", cells(it.jobs)[job.id]["took"])
    assert dict(zip(*names_of(JOB_COLUMNS), strict=True))["took"] == "duration"


def test_a_failed_job_shows_its_error_with_its_traceback(hub, view):
    [job] = failed(hub.queue("mail"), 1, correlation_id="order-17", key="once")
    it = view()
    assert cells(it.jobs)[job.id]["data or error"] == "ValueError: no <b>0</b>"
    pick(it, job)
    error = it.detail.error.widget.value
    assert "ValueError: no &lt;b&gt;0&lt;/b&gt; (attempt 1)" in error
    assert "in fail" in it.detail.traceback.widget.value
    assert "attempt 1 of 1 · key once · correlation order-17" in it.detail.about.value
    it.jobs.on_select(job.id)
    until(lambda: it.detail.widget.layout.display == "none")
    assert it.jobs.selected is None


def test_a_job_whose_result_was_not_kept_says_so(hub, view):
    job = hub.queue("mail").add(1)
    with hub.queue("mail").work(lambda _: threading.Lock()) as worker:
        worker.drain(10)
    it = view(queue="mail", state="completed")
    words = "done, not kept: value is of type lock, which JSON has not; it was <unlocked"
    assert words in cells(it.jobs)[job.id]["data or error"]
    pick(it, job)
    assert "done, not kept" in it.detail.about.value
    assert "value is of type lock" in it.detail.result.widget.value
    assert "&lt;unlocked" in it.detail.result.widget.value


def test_a_job_that_is_gone_or_unreadable_says_so(hub, view):
    queue = hub.queue("mail")
    gone, bad, large = queue.add(1), queue.add(2), queue.add({"text": "x" * 500_000})
    queue._store.redis.hset(f"{queue._store.jobs}{bad.id}", "message", b"<no> json")
    it = view()
    pick(it, gone)
    gone.remove()
    refreshed(it)
    assert "gone: removed, or no longer kept" in it.detail.about.value
    assert it.detail.buttons.layout.display == "none"
    pick(it, bad)
    assert "cannot be read" in it.detail.data.widget.value
    assert "&lt;no&gt; json" in it.detail.data.widget.value
    pick(it, large)
    assert len(it.detail.data.widget.value) < 21_000
    assert it.panel.state == "live"


def test_queue_state_and_text_are_combined_and_survive_a_refresh(hub, view, choose):
    mail, embed = hub.queue("mail"), hub.queue("embed")
    mine = [mail.add({"to": to}) for to in ("ada", "bob", "adam")]
    late = mail.add({"to": "ada"}, delay=60)
    other = embed.add({"to": "ada"})
    it = view(queue="mail", state="waiting", text="ADA")
    assert it.jobs.shown() == [mine[0].id, mine[2].id]
    assert "queue" not in it.jobs._rows.names
    new = mail.add({"to": "adam"})
    refreshed(it)
    assert it.jobs.shown() == [mine[0].id, mine[2].id, new.id]
    choose(it.state, "delayed")
    until(lambda: it.jobs.shown() == [late.id])
    choose(it.state, "any state")
    choose(it.which, "all queues")
    until(lambda: set(it.jobs.shown()) == {mine[0].id, mine[2].id, new.id, late.id, other.id})
    it.text.value = "nobody"
    until(lambda: it.jobs.state()["hint"] == "No job holds “nobody”.")
    it.queues.on_select("embed")
    it.text.value = ""
    until(lambda: it.jobs.shown() == [other.id] and it.which.value == "embed")
    it.queues.on_select("embed")
    until(lambda: it.which.value == "all queues" and len(it.jobs) == 6)


def test_a_wrong_state_is_an_error_that_names_the_right_one(hub):
    with pytest.raises(UsageError) as caught:
        QueuePanel(hub, state="fialed")
    assert "failed" in caught.value.hint


def test_what_passes_the_filter_is_retried_once_confirmed(hub, view):
    queue = hub.queue("mail")
    jobs = failed(queue, 12)
    failed(hub.queue("other"), 2)
    it = view(queue="mail", text='"n":1')
    it.bulk.retry.first.click()
    assert it.bulk.retry.second.description == 'Retry 3 failed jobs of mail with “"n":1”'
    assert queue.counts()["failed"] == 12
    jobs[1].remove()
    it.bulk.retry.second.click()
    assert message(it)["text"] == "2 jobs run again; 1 had gone on meanwhile"
    assert queue.counts()["waiting"] == 2
    assert hub.queue("other").counts()["failed"] == 2


def test_marked_jobs_come_before_the_filter(hub, view):
    queue = hub.queue("mail")
    jobs = [queue.add(number) for number in range(5)]
    it = view()
    it.jobs.mark([jobs[1].id, jobs[3].id])
    it.bulk.remove.first.click()
    assert it.bulk.remove.second.description == "Remove 2 marked jobs"
    it.bulk.remove.second.click()
    assert [job.id for job in queue.jobs()] == [jobs[number].id for number in (0, 2, 4)]
    until(lambda: len(it.jobs) == 3)
    it.bulk.retry.first.click()
    assert message(it) == {
        "text": "there is no job to retry (it has to be failed, cancelled, completed or delayed)",
        "error": True,
    }


def test_waiting_and_delayed_jobs_are_cancelled(hub, view):
    queue = hub.queue("mail")
    queue.add(1)
    queue.add(2, delay=60)
    it = view()
    it.bulk.cancel.first.click()
    assert it.bulk.cancel.second.description == "Cancel 2 jobs"
    it.bulk.cancel.second.click()
    assert queue.counts()["cancelled"] == 2
    assert message(it)["text"] == "2 jobs cancelled"


def test_another_filter_takes_the_question_back(hub, view, choose):
    hub.queue("mail").add(1)
    it = view()
    it.bulk.remove.first.click()
    assert it.bulk.remove.asking
    choose(it.state, "failed")
    assert not it.bulk.remove.asking
    assert hub.queue("mail").counts()["waiting"] == 1


def test_the_picked_job_is_retried_cancelled_and_removed(hub, view):
    [job] = failed(hub.queue("mail"), 1)
    it = view()
    pick(it, job)
    it.detail.retry.click()
    assert message(it) == {"text": f"{job.id}: run again", "error": False}
    until(lambda: not it.detail.cancel.disabled)
    it.detail.cancel.click()
    assert job.state == "cancelled"
    it.detail.remove.click()
    assert job.state == "gone"
    until(lambda: "gone" in it.detail.about.value)
    it.detail.remove.click()
    assert message(it)["error"]


def test_a_queue_is_paused_and_goes_on(hub, view):
    queue = hub.queue("mail")
    job = queue.add(1)
    it = view()
    assert it.pause.disabled
    it.queues.on_select("mail")
    until(lambda: not it.pause.disabled)
    it.pause.click()
    assert queue.paused
    until(lambda: it.pause.description == "Resume queue")
    until(lambda: cells(it.jobs)[job.id]["state"] == "paused")
    it.pause.click()
    assert not queue.paused
    until(lambda: it.pause.description == "Pause queue")


def test_throughput_and_latency_are_those_between_two_looks(hub, view):
    queue = hub.queue("mail")
    it = view()
    queue.work(lambda job: time.sleep(job.data))
    for _ in range(10):
        queue.add(0.3)
    queue.worker.drain(120)
    refreshed(it)
    refreshed(it)
    _, during, after = it.ended.values
    assert during > 0
    assert after == 0
    assert it.run.values[-2] >= 0.3
    assert it.wait.values[-2] > 0
    assert it.run.values[-1] is None
    queue.add(0)
    queue.worker.drain(120)
    assert refreshed(it).run.values[-1] < 0.3  # the slow ones were told of before
    it.queues.on_select("mail")
    until(lambda: len(it.ended.values) == 1)


def test_of_many_jobs_the_first_are_listed_and_a_limited_number_is_searched(
    hub, view, monkeypatch, choose
):
    queue = hub.queue("mail")
    jobs = [queue.add({"n": number}) for number in range(1300)]
    it = view()
    assert len(it.jobs) == 100
    assert it.jobs.state()["note"] == "the first 100 of each state, of 1,300"
    choose(it.state, "waiting")
    until(lambda: len(it.jobs) == 500)
    assert it.jobs.state()["note"] == "the first 500, of 1,300"
    monkeypatch.setattr(snapshot, "_SEARCHED", 1000)
    it.text.value = '"n":1299'
    until(lambda: it.jobs.state()["note"] == "found in 1,000 of 1,300")
    it.bulk.remove.first.click()  # looks through all of them
    assert it.bulk.remove.second.description == 'Remove 1 waiting job with “"n":1299”'
    it.text.value = ""
    it.bulk.remove.first.click()
    assert it.bulk.remove.second.description == "Remove 1,300 waiting jobs"
    it.bulk.remove.second.click()
    assert message(it)["text"] == "1,300 jobs removed"
    assert jobs[0].state == "gone"


def test_a_click_acts_on_a_limited_number_of_jobs(hub, view, monkeypatch):
    for name in ("a", "b"):
        for number in range(3):
            hub.queue(name).add(number)
    monkeypatch.setattr(bulk, "MOST", 4)
    it = view()
    it.bulk.remove.first.click()
    assert it.bulk.remove.second.description == "Remove 4 jobs, there may be more"


def test_the_saved_copy_has_queues_jobs_and_what_is_noticed(hub, view):
    [job] = failed(hub.queue("mail"), 1)
    hub.queue("embed").add({"page": 7})
    it = view()
    text = it.panel._repr_mimebundle_()[0]["text/plain"]
    for part in (
        "no worker is running for queue embed",
        job.id,
        '{"page":7}',
        "ValueError: no <b>0</b>",
    ):
        assert part in text
    html = it.panel._repr_mimebundle_()[0]["text/html"]
    assert "<b>0" not in html


def test_a_server_that_was_killed_and_is_back_is_shown_again(hub, view, home):
    hub.queue("mail").add({"to": "ada"})
    it = view()
    lines = (home / "redis" / "running").read_text().splitlines()
    os.kill(int(dict(line.split("=", 1) for line in lines)["server"]), signal.SIGKILL)
    hub.queue("mail").add({"to": "bob"})
    until(lambda: len(cells(refreshed(it).jobs)) == 2 and it.panel.state == "live")


def test_a_limit_is_one_line_and_a_job_says_that_it_waits_for_it(hub):
    queue = hub.queue("ask")
    queue.limit(1, per=3600, by="data.user")
    queue.limit(concurrency=3)
    first, second = queue.add({"user": 7}), queue.add({"user": 7})
    queue.work(lambda job: job.data)
    first.result(120)
    view = refreshed(QueuePanel(hub, every=None))
    limits = "concurrency 3, 1 per 3,600 s for each data.user"
    assert f"Limited: ask: {limits}" in view.notice.lines
    pick(view, second)
    assert "waits: rate of 1 per 3,600 s for data.user=7: from" in view.detail.about.value
