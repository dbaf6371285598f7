"""Idempotency keys of workflows: one workflow for each key, and never a silent other one."""

from __future__ import annotations

import pytest

from agentnb.core.errors import RejectedError, UsageError
from agentnb.core.workflow import Orchestrator, Task, TaskFailed


@pytest.fixture
def flows(workflows):
    workflows.agent("echo")(lambda task: task.data)
    workflows.agent("broken", backoff=0.0)(lambda task: 1 / 0)
    return workflows


def letter(flows, *tasks, name="letter", key="L1", **options):
    return flows.create(name, tasks or [Task("echo", data={"a": 1})], key=key, **options)


def age(flows, seconds):
    with flows._transactions.write() as tx:
        tx.run("update {workflow_key} set created = created - :s", s=seconds)


def test_the_same_key_and_input_is_the_same_workflow_and_nothing_is_said(flows, caplog):
    first = letter(flows, data={"for": "Ada"}, max_parallel=2)
    assert letter(flows, data={"for": "Ada"}, max_parallel=2) == first
    assert len(flows.list()) == 1
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("change", "there", "here"),
    [
        ({"name": "note"}, "its name is letter", "here note"),
        ({"data": 2}, "its data is 'null'", "here '2'"),
        ({"max_parallel": 3}, "its max_parallel is None", "here 3"),
        (
            {"tasks": [Task("echo", data={"a": 1}), Task("x", agent="echo", needs=["echo"])]},
            """it has 'echo: {"a":1}'""",
            "here 'x: echo <- echo'",
        ),
        ({"tasks": [Task("echo", data={"a": 2})]}, '{"a":1}', '{"a":2}'),
        ({"tasks": [Task("echo", data={"a": 1}, priority=3)]}, "{}", "!priority=3"),
        ({"tasks": [Task("echo", data={"a": 1}, delay=3)]}, "{}", "!delay=3"),
        ({"tasks": [Task("echo", data={"a": 1}, approval=True)]}, "{}", "!approval=1"),
        ({"tasks": [Task("echo", data={"a": 1}, timeout=7)]}, "{}", "!timeout=7"),
        ({"tasks": [Task("echo", data={"a": 1}, attempts=5)]}, "{}", "!attempts=5"),
    ],
)
def test_the_same_key_with_other_input_is_an_error_that_shows_both(flows, change, there, here):
    made = letter(flows)
    tasks, change = change.get("tasks", ()), {**change}
    change.pop("tasks", None)
    with pytest.raises(UsageError, match=f"key 'L1' was used for workflow .*{made.id}") as raised:
        letter(flows, *tasks, **change)
    assert there.replace("{}", '"a":1') in raised.value.message
    assert here in raised.value.message
    assert len(flows.list()) == 1


def test_a_key_whose_workflow_failed_says_so(flows, caplog):
    flows.work()
    made = letter(flows, Task("broken", attempts=1))
    with pytest.raises(TaskFailed):
        made.wait(20)
    assert letter(flows, Task("broken", attempts=1)) == made
    assert f"key L1 is workflow letter ({made.id}), which failed: nothing was made" in caplog.text


def test_a_key_is_kept_after_thousands_of_others_and_after_a_prune(flows):
    flows.work()
    made = letter(flows).wait(20)
    for number in range(20):
        letter(flows, key=f"other-{number}").wait(20)
    assert letter(flows) == made
    assert flows.prune(0) == 21
    with pytest.raises(RejectedError, match=f"used for workflow {made.id}, which was pruned"):
        letter(flows)
    with pytest.raises(UsageError, match="with other input: which was pruned"):
        letter(flows, Task("echo", data=2))


def test_a_key_expires_after_seven_days_but_not_before_its_workflow_ends(flows):
    held = letter(flows, Task("echo", approval=True))
    age(flows, 604_900)
    assert flows.prune(0) == 0
    assert letter(flows, Task("echo", approval=True)) == held
    held.cancel()
    again = letter(flows, Task("echo", data="new"))
    assert again != held
    age(flows, 604_700)
    assert letter(flows, Task("echo", data="new")) == again


def test_expired_keys_of_pruned_workflows_are_deleted(flows):
    flows.work()
    letter(flows).wait(20)
    letter(flows, key="L2").wait(20)
    with flows._transactions.write() as tx:
        tx.run("update {workflow_key} set created = 0 where key = 'L1'")
    flows.prune(0)
    with flows._transactions.read() as tx:
        assert tx.rows("select key from {workflow_key}") == [("L2",)]


def test_how_long_keys_are_kept_is_a_setting_within_its_range(flows):
    with pytest.raises(UsageError, match="key_ttl must be greater than 0 s, got 0"):
        Orchestrator(flows.database, key_ttl=0)
