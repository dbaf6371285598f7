"""What is given to workflows: odd, huge, empty, and what only looks like what is wanted."""

from __future__ import annotations

import enum
import itertools
import threading

import pytest

from agentnb.core.db import Database
from agentnb.core.errors import NotFoundError, RejectedError, UsageError
from agentnb.core.failure import Failure
from agentnb.core.work.identity import new_owner
from agentnb.core.work.store import Outcome, OutcomeKind
from agentnb.core.workflow import Orchestrator, Task, agent


@pytest.fixture
def flows(tmp_path):
    """Return an orchestrator on SQLite with two agents."""
    database = Database(f"sqlite:///{tmp_path}/a.db")
    with Orchestrator(database, owns_database=True) as made:
        made.agent("echo", attempts=1)(lambda task: task.data)
        yield made


class Text(str):
    """A text as numpy's is."""

    __slots__ = ()


class Kind(str, enum.Enum):  # noqa: UP042 - as people wrote it before 3.11
    """An enumeration of texts."""

    plan = "plan"


HUGE = "x" * 3_000_000
ODD = (None, 1, float("nan"), True, b"x", [], {}, object(), "", "\x00", "a\nb", HUGE)


def refused(call, *words, error=UsageError):
    with pytest.raises(error) as raised:
        call()
    said = f"{raised.value} {raised.value.hint}"
    assert len(said) < 500
    for word in words:
        assert word in said


@pytest.mark.parametrize("given", ODD, ids=lambda given: repr(given)[:10])
def test_what_is_no_name_is_refused_in_few_words(flows, given):
    task = flows.create("app", [Task("held", agent="echo", approval=True)])
    refused(lambda: flows.create(given, [Task("echo")]), "a workflow cannot be called")
    refused(lambda: flows.agent(given), "an agent cannot be called")
    refused(lambda: Task(given), "a task cannot be called")
    for steer in (flows.approve, flows.reject, flows.retry):
        if given is not None:  # which is all of them
            refused(lambda s=steer: s(task, given), "it has: held", error=NotFoundError)
    refused(lambda: flows.get(given), "workflow", error=(UsageError, NotFoundError))
    refused(lambda: flows.wait(given, 1), "workflow", error=(UsageError, NotFoundError))
    assert flows.list() == [task]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda flows: flows.create("x", [Task("echo")], key=HUGE), "at most 500 characters"),
        (lambda flows: flows.create("x", [Task("echo")], correlation_id=[1]), "correlation_id"),
        (
            lambda flows: flows.create("x", [Task("echo")], correlation_id=HUGE),
            "10,000 characters or fewer",
        ),
        (lambda flows: flows.create("x", ({"name": f"t{n}"} for n in itertools.count())), "more"),
        (lambda flows: flows.create("x", [{"name": "a", HUGE: 1}]), "a task has no"),
        (
            lambda flows: flows.create_workflow_with_tasks([], []),
            "a workflow is a dict here, got list",
        ),
        (lambda flows: flows.agent("a", attemps=3), "did you mean attempts?"),
        (
            lambda flows: flows.agent("a", capabilities=5),
            "capabilities must be a list of words, got 5",
        ),
        (lambda _: agent("a", capabilities="plan"), "a list of words"),
        (lambda flows: flows.work(5), "agents must be the names of agents, got 5"),
        (lambda flows: flows.stop("soon"), "timeout must be 0 s or more, got 'soon'"),
        (lambda flows: flows.worker.drain("soon"), "timeout must be 0 s or more, got 'soon'"),
        (lambda flows: flows.pipeline("p", 5), "steps must be a list of functions, got 5"),
        (lambda flows: flows.pipeline("p", [("a", print, 3)]), "has no name"),
        (lambda flows: flows.pipeline(5, [print]), "a workflow cannot be called 5"),
    ],
)
def test_what_is_of_no_use_is_named_and_changes_nothing(flows, call, words):
    flows.work()
    refused(lambda: call(flows), words)
    assert flows.list() == []
    assert flows.worker is not None


def test_what_a_person_says_is_text(flows):
    made = flows.create("app", [Task("a", agent="echo", approval=True)])
    refused(lambda: made.approve("a", by=HUGE), "by must be text of")
    refused(lambda: made.reject("a", reason=b"no"), "reason must be text of")
    refused(lambda: flows.cancel(made, reason=5), "reason must be text of")
    assert made.refresh().state == "active"
    flows.reject(made, "a", "no \ud800", by="\x00Ada")
    assert made.task("a").error == "rejected by Ada: no ?"


def test_a_text_of_a_kind_of_its_own_is_a_text(flows):
    flows.agent(Text("plan"))(lambda task: task.name)
    tasks = [Task(Kind.plan), Task(Text("b"), agent=Kind.plan, needs=[Kind.plan])]
    made = flows.create(Text("new app"), tasks, key=Text("k"), correlation_id=Text("c"))
    flows.work(Text("plan"))
    assert made.wait(20).result == {"plan": "plan", "b": "b"}
    assert flows.wait("new app", 20).state == "completed"


def test_needs_that_are_made_one_by_one_are_needs(flows):
    assert Task("z", needs=(f"t{n}" for n in range(2))).needs == ("t0", "t1")


def test_many_tasks_are_made_ended_put_back_and_skipped_and_too_many_are_refused(flows):
    def chain(count):
        return [Task(f"t{n}", agent="echo", needs=[f"t{n - 1}"] if n else []) for n in range(count)]

    made = flows.create("chain", chain(10_000))
    assert made.cancel().state == "cancelled"
    assert made.retry().state == "active"
    assert [task.state for task in made.tasks[:2]] == ["waiting", "blocked"]
    store = flows._make_store(lambda: ("echo",))
    failed = Outcome(OutcomeKind.FAILED, failure=Failure("bad", 1))
    assert store.finish(store.claim(new_owner()), failed, then_claim=False).state == "failed"
    assert (made.refresh().state, made.tasks[-1].state) == ("failed", "skipped")
    refused(lambda: flows.create("x", chain(100_001)), "1 to 100,000 tasks")


def test_what_has_happened_already_does_not_happen_again(flows):
    began, go = threading.Event(), threading.Event()

    @flows.agent("long")
    def long(task):
        began.set()
        return go.wait(30)

    tasks = [Task("a", agent="echo", approval=True), Task("long"), Task("b", agent="long")]
    made = flows.create("app", tasks, max_parallel=1)
    made.approve("a")
    no = RejectedError
    refused(lambda: made.approve("a"), "waits for no approval: it is waiting", error=no)
    refused(lambda: made.reject("a"), "waits for no approval", error=no)
    flows.work(concurrency=1)
    assert began.wait(20)
    refused(lambda: made.retry("long"), "has not failed", error=no)
    refused(made.retry, "has not failed", error=no)
    refused(lambda: made.approve("long"), "waits for no approval: it is active", error=no)
    go.set()
    made.wait(20)
    refused(made.cancel, "cannot be cancelled: it is completed", error=no)
    assert made.events().column("event").count("TASK_APPROVED") == 1


class MuteError(Exception):
    """An error that says nothing."""

    def __str__(self):
        raise RuntimeError("no text")


def test_an_agent_that_fails_in_an_odd_way_fails_and_its_worker_goes_on(flows):
    errors = {
        "mute": MuteError(),
        "odd": ValueError("\ud800 \x00"),
        "exits": SystemExit(3),
        "stops": KeyboardInterrupt(),
    }

    @flows.agent("fails", attempts=1)
    def fails(task):
        raise errors[task.name]

    flows.work(concurrency=1)
    made = flows.create("app", [*(Task(name, agent="fails") for name in errors), Task("echo")])
    with pytest.raises(RejectedError):
        made.wait(20)
    assert {task.name: task.error for task in made.tasks} == {
        "mute": "MuteError: its text cannot be read (RuntimeError)",
        "odd": "ValueError: ? ",
        "exits": "SystemExit: 3",
        "stops": "KeyboardInterrupt",
        "echo": None,
    }


def test_what_is_no_name_of_a_step_is_refused(flows):
    @flows.agent("steps", attempts=1)
    def steps(task, ctx):
        said = []
        for name in (None, 5, "", "a\nb", HUGE):
            with pytest.raises(UsageError) as raised:
                ctx.step(name, lambda: 1)
            said.append(str(raised.value)[:14])
        return [*said, ctx.step(Text("call it"), lambda: 2)]

    flows.work(concurrency=1)
    made = flows.create("app", [Task("steps")]).wait(20)
    assert made.result["steps"] == ["a step cannot "] * 5 + [2]


@pytest.mark.parametrize(
    "name",
    ["bot__toolset__<agent>.call_tool:weather 2", " led", 'a "quoted" name, and more', "é" * 200],
)
def test_a_step_has_any_printable_name(flows, name):
    flows.agent("steps", attempts=1)(lambda _, ctx: ctx.step(name, lambda: 1))
    flows.work(concurrency=1)
    made = flows.create("app", [Task("steps")]).wait(20)
    assert made.result == {"steps": 1}
    assert list(flows._reader.steps(made.task("steps").id)) == [name]


def test_retries_is_deprecated_and_means_attempts_less_one(flows):
    with pytest.warns(DeprecationWarning, match="retries=2 is deprecated: use attempts=3"):
        assert Task("a", retries=2).attempts == 3
    with pytest.warns(DeprecationWarning, match="use attempts=1"):
        flows.agent("once", retries=0)(lambda task: 1)
    assert flows.agent_info("once").attempts == 1
    with pytest.warns(DeprecationWarning, match="use attempts=5"):
        marked = agent("marked", retries=4)(lambda task: 1)
    assert marked.__agentnb_agent__[1]["attempts"] == 5
    with pytest.warns(DeprecationWarning, match="use attempts=2"):
        made = flows.create("x", [{"name": "echo", "retries": 1}])
    assert made.task("echo").attempts == 2


def test_the_warning_of_retries_names_the_line_of_the_caller(flows):
    calls = [
        lambda: Task("a", retries=2),
        lambda: flows.agent("once", retries=0)(lambda task: 1),
        lambda: agent("marked", retries=4),
        lambda: flows.create("x", [{"name": "echo", "retries": 1}]),
    ]
    for call in calls:
        with pytest.warns(DeprecationWarning, match="retries=") as caught:
            call()
        assert [one.filename for one in caught] == [__file__]


@pytest.mark.parametrize("retries", [-1, 1.5, 1000, True])
def test_retries_out_of_their_range_are_refused(retries):
    with pytest.raises(UsageError, match="retries must be 0 to 999, got"):
        Task("a", retries=retries)


def test_attempts_and_retries_together_are_refused():
    with pytest.raises(UsageError, match="attempts and retries are given both"):
        Task("a", attempts=2, retries=1)


def test_an_agent_has_three_attempts_unless_it_is_told_otherwise(flows):
    flows.agent("plain")(lambda task: 1)
    assert flows.create("x", [Task("plain")]).task("plain").attempts == 3
