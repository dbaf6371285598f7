"""`run_until_idle` and the fixture `clock`: what is due runs, and what is not is skipped to."""

from __future__ import annotations

import threading
import types

import pytest

from agentnb.core.errors import DeadlineExceeded, RejectedError
from agentnb.core.queue import processor
from agentnb.core.workflow import Task, agent
from agentnb.testing import HubClock, idle, isolated_hub, run_agent, run_until_idle
from agentnb.testing.work import agents_worker


def module(**names):
    made = types.ModuleType("app")
    vars(made).update(names)
    return made


def test_jobs_and_the_jobs_that_they_add_are_run_in_the_thread_of_the_test(hub):
    seen = []

    def count(job):
        seen.append((job.data, threading.get_ident()))
        if job.data:
            job.queue.add(job.data - 1)

    hub.queue("count").process(count)
    hub.queue("count").add(3)
    report = run_until_idle(hub)
    here = threading.get_ident()
    assert seen == [(3, here), (2, here), (1, here), (0, here)]
    assert (report.jobs, report.tasks, report.errors) == (4, 0, [])


def test_processors_and_agents_of_a_module_are_run(hub):
    @processor("orders")
    def order(job):
        hub.workflows.create("ship", [Task("pack", data=job.data), Task("send", needs=["pack"])])

    @agent("pack")
    def pack(task):
        return task.data * 2

    @agent("send")
    def send(_task, ctx):
        ctx.queue("mail").add(ctx.inputs["pack"])

    sent = []
    hub.queue("mail").process(lambda job: sent.append(job.data))
    hub.queue("orders").add(21)
    hub.workflows.agent("other")(lambda _: None)
    report = run_until_idle(hub, module(order=order, pack=pack, send=send))
    assert sent == [42]
    assert (report.jobs, report.tasks) == (2, 2)
    assert hub.workflows.list()[0].state == "completed"


def test_delayed_work_is_left_until_the_clock_is_moved(hub, clock):
    done = []
    hub.queue("mail").process(lambda job: done.append(job.data))
    hub.queue("mail").add("reminder", delay=3600)
    hub.workflows.agent("plan")(lambda task: done.append(task.data))
    hub.workflows.create("later", [Task("plan", data="task", delay=7200)])
    assert run_until_idle(hub).delayed == 2
    assert done == []
    clock.advance(3600)
    assert run_until_idle(hub).delayed == 1
    assert done == ["reminder"]
    clock.advance(3600)
    assert run_until_idle(hub).delayed == 0
    assert done == ["reminder", "task"]


def test_back_offs_are_skipped_where_that_is_asked_for(hub, clock):
    def fail(job):
        raise ConnectionError(job.attempt)

    hub.queue("mail").process(fail)
    job = hub.queue("mail").add(attempts=5, backoff={"type": "exponential", "delay": 60})
    report = run_until_idle(hub, skip=True)
    assert job.state == "failed"
    assert [error.args for error in report.errors] == [(1,), (2,), (3,), (4,), (5,)]
    assert clock.offset > 60 + 120 + 200


def test_the_clock_skips_to_the_next_due_work(hub, clock):
    assert clock.skip() == 0
    hub.queue("mail").add(1, delay=300)
    hub.queue("mail").add(2, delay=60)
    hub.workflows.agent("plan")(lambda _: None)
    hub.workflows.create("later", [Task("plan", delay=120)])
    assert 0 < clock.skip() <= 60.01
    hub.queue("mail").process(lambda job: job.data)
    assert run_until_idle(hub).jobs == 1
    assert 0 < clock.skip() <= 60.01
    assert run_until_idle(hub).tasks == 1


def test_a_worker_of_the_test_runs_what_the_clock_made_due(hub, clock):
    worker = hub.queue("mail").work(lambda job: job.data + 1)
    job = hub.queue("mail").add(1, delay=3600)
    clock.skip()
    assert job.result(timeout=30) == 2
    assert run_until_idle(hub).jobs == 0
    assert worker.running


def test_what_a_worker_runs_is_waited_for(hub):
    begun, gate = threading.Event(), threading.Event()

    def wait(_):
        begun.set()
        assert gate.wait(30)
        hub.queue("next").add(1)

    hub.queue("slow").work(wait)
    hub.queue("next").process(lambda _: None)
    hub.queue("slow").add(1)
    assert begun.wait(30)
    threading.Timer(0.05, gate.set).start()
    assert run_until_idle(hub).jobs == 1
    assert hub.queue("slow").counts()["completed_total"] == 1


def test_handlers_of_events_are_waited_for(hub):
    hub.queue("mail").process(lambda _: None)
    hub.events.subscribe("order.*", lambda event: hub.queue("mail").add(event.data))
    for number in range(20):
        hub.events.publish("order.created", number)
    assert run_until_idle(hub).jobs == 20


@pytest.mark.parametrize("paused", [False, True])
def test_jobs_that_nobody_runs_are_an_error(hub, paused):
    hub.queue("mail").add(1)
    hub.queue("mail").add(2)
    if paused:
        hub.queue("mail").process(lambda _: None)
        hub.queue("mail").pause()
    why = "paused" if paused else "no worker"
    with pytest.raises(RejectedError, match=rf"2 jobs of queue mail cannot run: .*{why}"):
        run_until_idle(hub)
    assert run_until_idle(hub, queues=["other"]).jobs == 0


def test_a_task_that_nobody_does_is_an_error(hub):
    hub.workflows.agent("plan")(lambda _: None)
    hub.workflows.create("one", [Task("plan")])
    hub.workflows.registry.remove("plan")
    with pytest.raises(RejectedError, match=r"task plan of workflow .* cannot run: .*agent plan"):
        run_until_idle(hub)


def test_a_task_that_waits_for_a_person_is_reported_or_answered(hub):
    hub.workflows.agent("publish")(lambda task: task.name)
    tasks = [Task(name, agent="publish", approval=True) for name in ("a", "b")]
    workflow = hub.workflows.create("one", tasks)
    assert run_until_idle(hub).approvals == [(workflow.id, "a"), (workflow.id, "b")]
    report = run_until_idle(hub, approve=lambda task: task.name == "a")
    assert (report.tasks, report.approvals) == (1, [])
    assert [task.state for task in workflow.tasks] == ["completed", "cancelled"]
    other = hub.workflows.create("two", tasks)
    run_until_idle(hub, approve=True)
    assert other.refresh().state == "completed"


def test_work_without_an_end_is_an_error(hub):
    hub.queue("loop").process(lambda job: job.queue.add(job.data).id)
    hub.queue("loop").add(1)
    with pytest.raises(DeadlineExceeded, match="again and again"):
        run_until_idle(hub, timeout=0.3)


@pytest.mark.agentnb(database_url="sqlite://")
def test_workflows_in_memory_are_run(hub):
    hub.workflows.agent("double")(lambda task: task.data * 2)
    workflow = hub.workflows.create("one", [Task("double", data=4)])
    assert run_until_idle(hub).tasks == 1
    assert workflow.wait(timeout=60).result == {"double": 8}


def test_workflows_on_postgresql_are_run(fresh_url):
    with isolated_hub(database_url=fresh_url) as hub:
        hub.workflows.migrate()
        hub.workflows.agent("double")(lambda task: task.data * 2)
        workflow = hub.workflows.create("one", [Task("double", data=4, delay=3600)])
        assert run_until_idle(hub, skip=True).tasks == 1
        assert workflow.wait(timeout=60).result == {"double": 8}
        assert run_agent(lambda _, ctx: ctx.inputs["n"], inputs={"n": 5}, hub=hub).result == 5
        assert [one.name for one in hub.workflows.list()] == ["one"]


def test_what_expires_on_the_server_does_so_by_the_clock(hub, clock):
    hub.cache.set("rate", 1.2, ttl=60)
    assert hub.cache.get("rate") == 1.2
    assert hub.cache.get("rate", local=True) == 1.2
    first = hub.queue("mail").add({"n": 1}, key="once")
    hub.queue("mail").process(lambda _: None)
    run_until_idle(hub)
    clock.advance(59)
    assert hub.cache.get("rate", local=True) == 1.2
    clock.advance(2)
    assert hub.cache.get("rate") is None
    assert hub.cache.get("rate", local=True) is None
    assert hub.queue("mail").add({"n": 1}, key="once").id == first.id
    clock.advance(8 * 86400)
    assert hub.queue("mail").add({"n": 1}, key="once").id != first.id


def test_keys_and_the_age_of_workflows_go_by_the_clock(hub, clock):
    hub.workflows.agent("plan")(lambda _: None)
    first = hub.workflows.create("one", [Task("plan")], key="once")
    run_until_idle(hub)
    clock.advance(6 * 86400)
    assert hub.workflows.create("one", [Task("plan")], key="once").id == first.id
    assert hub.workflows.prune(7 * 86400) == 0
    clock.advance(2 * 86400)
    assert hub.workflows.create("one", [Task("plan")], key="once").id != first.id
    assert hub.workflows.prune(7 * 86400) == 1


def test_a_run_leaves_no_worker_behind(hub):
    hub.queue("mail").process(lambda _: None)
    hub.workflows.agent("plan")(lambda _: None)
    hub.workflows.create("one", [Task("plan")])
    hub.queue("mail").add(1)
    run_until_idle(hub)
    assert hub.queue("mail").workers() == []
    assert hub.workflows.agent_info("plan").state == "no worker"


@pytest.mark.parametrize("worker", [False, True])
def test_jobs_that_wait_for_a_rate_are_delayed_and_skipped_to(hub, clock, worker):
    asked = []
    queue = hub.queue("ask")
    queue.limit(2, per=3600, by="data.user")
    jobs = [queue.add({"user": 7}) for _ in range(5)]
    (queue.work if worker else queue.process)(lambda job: asked.append(job.id))
    report = run_until_idle(hub)
    assert (len(asked), report.delayed) == (2, 3)
    clock.advance(3600)
    assert run_until_idle(hub).delayed == 1
    assert run_until_idle(hub, skip=True).delayed == 0
    # The threads of a worker begin the jobs of one moment at once: their order is not promised.
    ids = [job.id for job in jobs]
    assert [set(asked[:2]), set(asked[2:4]), asked[4:]] == [set(ids[:2]), set(ids[2:4]), ids[4:]]


@pytest.mark.parametrize("worker", [False, True])
def test_tasks_that_wait_for_a_rate_are_delayed_and_skipped_to(hub, worker):
    asked = []
    hub.workflows.agent("ask")(lambda task: asked.append(task.name))
    hub.workflows.limit("ask", 2, per=3600)
    workflow = hub.workflows.create("w", [Task(name, agent="ask") for name in "abcde"])
    if worker:
        hub.workflows.work()
    assert run_until_idle(hub).delayed == 3
    assert run_until_idle(hub, skip=True).delayed == 0
    assert sorted(asked) == [*"abcde"]
    assert hub.workflows.get(workflow.id).state == "completed"


def test_a_task_whose_rate_gets_room_during_the_look_for_delayed_work_is_run(
    hub, clock, monkeypatch
):
    asked = []

    def ask(task):
        asked.append(task.name)
        if task.name == "a":
            clock.advance(2)

    hub.workflows.agent("ask")(ask)
    hub.workflows.limit("ask", 2, per=3600)
    hub.workflows.create("w", [Task(name, agent="ask") for name in "abcd"])
    assert run_until_idle(hub).delayed == 2
    clock.advance(3599)  # in the place of a there is room, in that of b a second later

    class LateClock(HubClock):
        def skip(self):
            self.advance(1)
            return super().skip()

    monkeypatch.setattr("agentnb.testing.idle.HubClock", LateClock)
    assert run_until_idle(hub, skip=True).delayed == 0
    assert asked == [*"abcd"]


def test_work_of_a_worker_is_not_refused_when_its_rate_gets_room_during_the_look(
    hub, clock, monkeypatch
):
    hub.workflows.agent("ask")(lambda task: task.name)
    hub.workflows.limit("ask", 1, per=3600)
    hub.workflows.create("w", [Task("a", agent="ask"), Task("b", agent="ask")])
    assert run_until_idle(hub).delayed == 1
    look = idle._Run.stuck

    def late(run):
        clock.advance(3600)
        return look(run)

    monkeypatch.setattr(idle._Run, "stuck", late)
    with agents_worker(hub.workflows, ["ask"]):  # it takes nothing yet
        assert run_until_idle(hub).delayed == 1


def test_a_rate_does_not_hide_that_a_queue_is_paused(hub):
    queue = hub.queue("ask")
    queue.limit(1, per=3600)
    queue.process(lambda job: job.data)
    queue.add(1)
    queue.add(2)
    run_until_idle(hub)
    queue.pause()
    with pytest.raises(RejectedError, match="ask is paused"):
        run_until_idle(hub)


def test_a_paused_workflow_is_named_and_a_deadline_passes_by_the_clock(hub, clock):
    hub.workflows.agent("one")(lambda task: task.name)
    workflow = hub.workflows.create("x", [Task("one")], deadline=3600).pause()
    with pytest.raises(RejectedError, match="cannot run: it is paused"):
        run_until_idle(hub)
    clock.advance(3601)
    assert run_until_idle(hub).tasks == 0
    state = hub.db.query("select state from agentnb_workflow").scalar()  # without a look at it
    assert (state, workflow.refresh().error) == ("cancelled", "deadline")


def test_parked_tasks_are_left_and_their_sleeps_and_events_are_not_waited_for(hub):
    @agent("nap")
    def nap(_, ctx):
        ctx.sleep(86_400)
        event = ctx.wait_event("order.*")
        return [event.data, ctx.ask("sure?")]

    made = module(nap=nap)
    run_until_idle(hub, made)
    workflow = hub.workflows.create("w", [Task("nap")])
    assert run_until_idle(hub).parked == [(workflow.id, "nap")]
    assert workflow.waits()[0][2] == "sleep"
    run_until_idle(hub, skip=True)
    assert workflow.waits()[0][2] == "event"
    hub.events.publish("order.paid", 7)
    run_until_idle(hub)
    workflow.answer("nap", "sure?", "yes")
    assert run_until_idle(hub).parked == []
    assert workflow.refresh().result == {"nap": [7, "yes"]}
