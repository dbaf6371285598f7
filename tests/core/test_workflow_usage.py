"""The use of language models that is kept with a task."""

from __future__ import annotations

import pytest

from agentnb.core.db import Database
from agentnb.core.workflow import Orchestrator, Task, TaskFailed
from agentnb.core.workflow.context import execution_of, steps_of
from agentnb.core.workflow.step_options import StepOptions
from agentnb.core.workflow.usage import Usage
from agentnb.magics.workflow.render import TaskView


@pytest.fixture
def flows(tmp_path):
    with Orchestrator(Database(f"sqlite:///{tmp_path}/a.db"), owns_database=True) as made:
        yield made


def asked(ctx, name, *, tokens=1):
    """Call a step that used a model once."""
    steps = steps_of(ctx, StepOptions(usage=lambda _: Usage(1, tokens, 2, 0.5)))
    return steps.step(name, lambda: name)


def test_what_steps_used_is_added_up_over_attempts_and_counted_once(flows):
    @flows.agent("ask", backoff=0.01)
    def ask(task, ctx):
        for n in range(ctx.attempt):
            asked(ctx, f"step {n}", tokens=100)
        if ctx.attempt < 3:
            raise OSError("again")
        return str(execution_of(ctx).usage("task"))

    flows.work()
    done = flows.create("w", [Task("t", agent="ask")]).wait(20)
    assert done.task("t").usage == Usage(3, 300, 6, 1.5)
    assert done.result == {"t": "3 requests, 300 tokens in, 6 out, $1.5"}


def test_the_use_of_a_workflow_is_that_of_all_its_tasks(flows):
    @flows.agent("ask")
    def ask(task, ctx):
        asked(ctx, "one")
        return execution_of(ctx).usage("workflow").requests

    flows.agent("idle")(lambda task: None)
    flows.work()
    tasks = [Task("a", agent="ask"), Task("b", agent="ask", needs=["a"]), Task("idle")]
    done = flows.create("w", tasks).wait(20)
    assert done.result["b"] == 2
    assert done.task("idle").usage is None
    assert flows.create("w", [Task("a", agent="ask")]).wait(20).result == {"a": 1}


def test_a_write_that_is_made_again_counts_once(flows):
    @flows.agent("ask")
    def ask(task, ctx):
        journal = execution_of(ctx)._journal
        for _ in range(2):  # as after an outage that hid whether the first one came about
            assert journal.keep_step("one", "1", None, "", Usage(1, 10, 2))
        return journal.usage("task").tokens

    flows.work()
    assert flows.create("w", [Task("t", agent="ask")]).wait(20).result == {"t": 12}


def test_the_use_is_shown_with_the_task_and_stays_over_a_retry(flows):
    @flows.agent("ask", attempts=1)
    def ask(task, ctx):
        asked(ctx, "one", tokens=1200)
        if not task.data:
            ctx.fail("no")

    flows.work()
    made = flows.create("w", [Task("t", agent="ask")])
    with pytest.raises(TaskFailed):
        made.wait(20)
    (shown,) = [text for name, text in TaskView(made, made.task("t"), []).rows if name == "models"]
    assert shown == "1 request, 1,200 tokens in, 2 out, $0.5"
    made.retry()
    with pytest.raises(TaskFailed):
        made.wait(20)
    assert made.task("t").usage == Usage(1, 1200, 2, 0.5)


def test_a_person_sees_all_of_the_call_that_waits_for_an_approval(tmp_path):
    with Orchestrator(Database(f"sqlite:///{tmp_path}/a.db"), owns_database=True) as flows:
        flows.agent("pay")(lambda task: task.data)
        data = {"note": "x" * 5000, "to": "eve\u202e\u200b", "sum": "the end"}
        made = flows.create("w", [Task("t", agent="pay", data=data, approval=True)])
        shown = dict(TaskView(made, made.task("t"), []).rows)["data"]
        assert shown.endswith('"to": "eve\\u202e\\u200b", "sum": "the end"}')
        assert "workflow.task('t').data" in flows._reader.why_waiting(made.id, "active")
