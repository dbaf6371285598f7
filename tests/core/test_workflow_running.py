"""The workflows that run and the tasks that have failed, on both databases."""

from __future__ import annotations

import pytest

from agentnb.core.workflow import Task
from tests.waiting import until


@pytest.fixture
def working(workflows):
    def fail(task):
        raise ValueError(f"no {task.name}")

    workflows.agent("good")(lambda _task: 1)
    workflows.agent("bad")(fail)
    workflows.work()
    return workflows


def test_a_workflow_that_runs_has_its_tasks_by_state_and_who_waits_for_a_person(working):
    done = working.create("done", [Task("one", agent="good")])
    working.wait(done, timeout=30)
    for number in range(3):
        working.create(
            f"flow {number}",
            [
                Task("one", agent="good"),
                Task("two", agent="good", needs=["one"], approval=True),
                Task("three", agent="good", needs=["two"]),
            ],
        )
    until(lambda: all(one.approvals for one in working._running(9)))
    found = working._running(9)
    assert [one.name for one in found] == ["flow 2", "flow 1", "flow 0"]
    assert [one.name for one in working._running(2)] == ["flow 2", "flow 1"]
    for one in found:
        assert (one.tasks, one.completed, one.active, one.failed) == (3, 1, 0, 0)
        assert (one.approvals, one.approval) == (1, "two")
        assert 0 <= one.waited <= one.age
    working.cancel(found[0].id)
    assert len(working._running(9)) == 2


def test_failed_tasks_come_newest_first_with_their_traces(working):
    for name in ("first", "second"):
        flow = working.create(f"flow {name}", [Task(name, agent="bad", attempts=1)])
        until(lambda flow=flow: flow.refresh().state == "failed")
    newest, older = working._failed(9)
    assert (newest.workflow, newest.name, newest.agent) == ("flow second", "second", "bad")
    assert newest.error == "ValueError: no second"
    assert newest.when >= older.when > 1e9
    assert newest.trace_id != older.trace_id
    assert len(newest.trace_id) == 32
    assert working._failed(1) == [newest]


def test_a_workflow_whose_tasks_ask_has_the_oldest_question_and_their_number(working):
    working.agent("asks")(lambda task, ctx: ctx.ask("eur", f"{task.name}?", form=int, to="ada"))
    working.create("quiet", [Task("one", agent="good", approval=True)])
    working.create("flow", [Task(name, agent="asks") for name in ("one", "two", "three")])
    until(lambda: working._running(1)[0].questions == 3)
    asking, quiet = working._running(9)
    assert (asking.question.question, asking.question.to) == (f"{asking.question.task}?", "ada")
    assert asking.question.form == {"type": "integer"}
    assert (quiet.questions, quiet.question) == (0, None)
    for name in ("one", "two", "three"):
        working.answer("flow", name, "eur", 1)
    until(lambda: len(working._running(9)) == 1)
