"""A worker of a hub works until nothing is due."""

from __future__ import annotations

from agentnb.core.workflow import Task


def test_a_worker_of_a_queue_is_idle_with_a_delayed_job_left(hub):
    queue = hub.queue("q")
    with queue.work(lambda job: job.data) as worker:
        done, later = queue.add(1), queue.add(2, delay=600)
        pending = worker.run_until_idle(30)
        assert (pending.left, pending.delayed) == (1, 1)
        assert (done.state, later.state) == ("completed", "delayed")


def test_a_worker_of_agents_is_idle_with_a_delayed_task_left(hub):
    hub.workflows.agent("echo")(lambda task: task.data)
    with hub.workflows.work() as worker:
        workflow = hub.workflows.create(
            "x", [Task("now", agent="echo"), Task("later", agent="echo", delay=600)]
        )
        pending = worker.run_until_idle(30)
        assert (pending.left, pending.delayed) == (1, 1)
        assert [workflow.task(name).state for name in ("now", "later")] == ["completed", "delayed"]
