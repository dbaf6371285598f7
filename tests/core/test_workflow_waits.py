"""How long a workflow did nothing but wait for a person."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.workflow import Task
from agentnb.core.workflow.waits import waited
from tests.waiting import until

KINDS = ("TASK_APPROVAL", "TASK_APPROVED", "TASK_STARTED", "TASK_COMPLETED", "TASK_RETRIED")
STEPS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.sampled_from("ab"), st.integers(0, 9)), max_size=12
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(STEPS, st.integers(0, 9))
def test_a_wait_is_no_longer_than_from_the_first_question_to_the_end(steps, rest):
    events, now = [], 100.0
    for kind, task, passed in steps:
        now += passed
        events.append((kind, task, now))
    end = now + rest
    first = next((at for kind, _, at in events if kind == "TASK_APPROVAL"), end)
    assert 0 <= waited(events, end) <= end - first
    without = [event for event in events if event[0] != "TASK_APPROVAL"]
    assert waited(without, end) == 0


def test_a_wait_ends_with_the_answer_and_pauses_while_another_task_is_at_work():
    events = [
        ("WORKFLOW_CREATED", "", 0.0),
        ("TASK_STARTED", "a", 1.0),
        ("TASK_APPROVAL", "b", 2.0),
        ("TASK_RETRIED", "a", 3.0),
        ("TASK_STARTED", "a", 8.0),
        ("TASK_FAILED", "a", 10.0),
        ("TASK_APPROVED", "b", 70.0),
        ("TASK_STARTED", "b", 90.0),
    ]
    assert waited(events, 100.0) == 60.0
    rejected = [*events[:-2], ("TASK_REJECTED", "b", 40.0), ("WORKFLOW_FAILED", "", 40.0)]
    assert waited(rejected, 100.0) == 30.0
    assert waited(events[:-2], 100.0) == 90.0
    cancelled = [*events[:-2], ("WORKFLOW_CANCELLED", "", 15.0)]
    assert waited(cancelled, 100.0) == 5.0


def test_what_a_workflow_took_leaves_out_the_wait_for_a_person(workflows):
    workflows.agent("quick")(lambda task: task.name)
    asked = workflows.create("asked", [Task("a", agent="quick", approval=True)])
    plain = workflows.create("plain", [Task("a", agent="quick")])
    workflows.work()
    plain.wait(10)
    time.sleep(0.3)
    before = asked.waited()
    assert before >= 0.25
    asked.approve("a")
    asked.wait(10)
    until(lambda: asked.refresh().finished)
    after = asked.waited()
    assert before <= after < (asked.finished - asked.created).total_seconds()
    time.sleep(0.1)
    assert asked.waited() == after
    assert plain.waited() == 0
    found = workflows._reader.waited([asked, plain], time.time())
    assert found == {asked.id: after}


def test_what_a_task_came_to_is_the_name_of_its_event_on_one_channel(workflows):
    workflows.agent("good")(lambda task: task.name)
    workflows.agent("bad")(lambda task: task.name / 0)
    tasks = [
        Task("a", agent="good"),
        Task("b", agent="bad", attempts=1),
        Task("c", agent="good", approval=True),
    ]
    workflow = workflows.create("app", tasks)
    workflows.work()
    until(lambda: workflow.task("b").state == "failed")
    workflow.reject("c")
    until(lambda: workflow.refresh().state == "failed")
    kinds = {row.task: (row.event, row.status) for row in workflow.events() if row.task}
    assert kinds == {
        "a": ("TASK_COMPLETED", "success"),
        "b": ("TASK_FAILED", "failed"),
        "c": ("TASK_REJECTED", "rejected"),
    }
