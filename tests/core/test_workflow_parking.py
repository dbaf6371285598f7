"""Tasks that wait for answers and times are parked: they hold no worker, and lose nothing."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from typing import Literal

import msgspec
import pydantic
import pytest

from agentnb.core.clock import Clock
from agentnb.core.runtime import Runtime
from agentnb.core.work.attempt import Suspended, is_suspended
from agentnb.core.workflow import Parked, Task, TaskFailed
from agentnb.errors import (
    DeadlineExceeded,
    NotFoundError,
    RejectedError,
    UsageError,
)
from tests.waiting import until

on_sqlite = pytest.mark.parametrize("workflow_url", ["sqlite"], indirect=True)
"""For tests that no statement of the database decides."""


class Budget(pydantic.BaseModel):
    eur: int = pydantic.Field(ge=1)


class Verdict(msgspec.Struct):
    good: bool
    why: str = ""


def park(workflows, agent, *, name="bot", waits=1, **options):
    """Start a task of an agent, and return its workflow once it is parked by some waits."""
    workflows.agent(name, **options)(agent)
    workflows.work(concurrency=2)
    made = workflows.create("w", [Task("t", agent=name)])
    parked(made, waits)
    return made


def parked(made, waits=1):
    until(lambda: made.task("t").state == "parked" and len(made.waits()) == waits)


def failure(made):
    with pytest.raises(TaskFailed):
        made.wait(20)
    return made.task("t").error


def test_a_question_is_answered_as_its_form_and_steps_are_done_once(workflows):
    calls, entries = [], []

    def bot(_, ctx):
        entries.append((ctx.entry, ctx.attempt))
        ctx.step("pay", lambda: calls.append(1))
        first = ctx.ask("budget", "How much?", form=Budget, to="ada")
        second = ctx.ask("good?", form=Verdict)
        assert isinstance(first, Budget)
        assert isinstance(second, Verdict)
        return [first.eur, second.why, ctx.ask("colour", form=Literal["red", "blue"])]

    made = park(workflows, bot)
    assert workflows.worker.busy == 0
    assert (workflows.worker.left(), workflows.worker.parked()) == (0, 1)
    workflows.worker.wait_until_empty(10)
    assert [tuple(row)[:3] for row in made.waits()] == [("t", "budget", "ask")]
    assert made.task("t").attempt == 0
    made.answer("t", "budget", Budget(eur=5), by="ada")
    until(lambda: [row[1] for row in made.waits()] == ["good?"])
    made.answer("t", "good?", {"good": True, "why": "yes"})
    until(lambda: [row[1] for row in made.waits()] == ["colour"])
    made.answer("t", "colour", "red")
    assert made.wait(20).result == {"t": [5, "yes", "red"]}
    assert calls == [1]
    assert entries == [(1, 1), (2, 1), (3, 1), (4, 1)]
    assert made.task("t").attempt == 1


def test_a_parked_task_is_told_of_as_such(workflows):
    made = park(workflows, lambda _, ctx: ctx.ask("budget", "How much?", form=Budget, to="ada"))
    assert "task t waits for ada: How much?" in made.why_waiting()
    assert "workflow.answer('t', 'budget', VALUE)" in made.why_waiting()
    assert workflows.counts([made])[made.id] == {"parked": 1}
    row = made.waits().dicts()[0]
    assert row["question"] == "How much?"
    assert row["to"] == "ada"
    assert row["form"]["properties"]["eur"]["minimum"] == 1
    assert workflows.waits().dicts()[0]["workflow"] == made.id
    made.answer("t", "budget", {"eur": 1})
    made.wait(20)
    kinds = [row["event"] for row in made.events().dicts()]
    assert kinds[2:5] == ["TASK_PARKED", "TASK_RESUMED", "TASK_STARTED"]
    assert not made.waits()
    assert made.waited() > 0


def test_an_answer_that_does_not_fit_the_form_is_refused_where_it_is_given(workflows):
    made = park(workflows, lambda _, ctx: ctx.ask("budget", form=Budget).eur)
    for value, reason in (
        ({"eur": 0}, "eur must be at least 1, got 0"),
        ({"eur": "5"}, "eur must be a whole number, got '5'"),
        ({}, "eur is missing"),
        (7, "it must be an object, got 7"),
    ):
        with pytest.raises(UsageError, match=reason):
            made.answer("t", "budget", value)
    with pytest.raises(UsageError, match="JSON"):
        made.answer("t", "budget", object())
    made.answer("t", "budget", {"eur": 3})
    assert made.wait(20).result == {"t": 3}


def test_an_answer_that_does_not_fit_the_type_is_asked_for_again_with_the_reason(workflows):
    class Even(pydantic.BaseModel):
        n: int

        @pydantic.field_validator("n")
        @classmethod
        def is_even(cls, n: int) -> int:
            if n % 2:
                raise ValueError("it is odd")
            return n

    made = park(workflows, lambda _, ctx: ctx.ask("n", "Which?", form=Even).n, attempts=1)
    made.answer("t", "n", {"n": 3})
    until(lambda: "it is odd" in (made.waits().dicts() or [{"question": ""}])[0]["question"])
    parked(made)
    made.answer("t", "n", {"n": 4})
    assert made.wait(20).result == {"t": 4}


def test_only_one_answer_counts_and_the_others_are_told_whose(workflows):
    made = park(workflows, lambda _, ctx: [ctx.ask("a"), ctx.ask("b")])
    made.answer("t", "a", 1, by="ada")
    with pytest.raises(RejectedError, match=r"'a' of task t was answered by ada at 20"):
        made.answer("t", "a", 2)
    with pytest.raises(NotFoundError, match="no question 'c'") as caught:
        made.answer("t", "c", 2)
    assert caught.value.hint
    with pytest.raises(NotFoundError):
        made.answer("nobody", "a", 2)
    until(lambda: [row[1] for row in made.waits()] == ["b"])
    made.answer("t", "b", 2)
    assert made.wait(20).result == {"t": [1, 2]}
    with pytest.raises(RejectedError, match="takes no answer: it is completed"):
        made.answer("t", "b", 3)


def test_a_cancelled_task_takes_no_answer_and_asks_again_after_a_retry(workflows):
    made = park(workflows, lambda _, ctx: ctx.ask("a"))
    made.cancel()
    assert made.task("t").state == "cancelled"
    assert not made.waits()
    with pytest.raises(RejectedError, match="takes no answer: it is cancelled"):
        made.answer("t", "a", 1)
    made.retry()
    parked(made)
    made.answer("t", "a", 1)
    assert made.wait(20).result == {"t": 1}


def test_a_sleep_and_a_time_out_hold_no_worker_and_end_by_the_clock(make_workflows):
    clock = Clock()
    workflows = make_workflows(runtime=Runtime(clock=clock))
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)

    def bot(_, ctx):
        ctx.sleep(3600)
        ctx.sleep_until(tomorrow)
        ctx.sleep(0, "no time at all")
        return ctx.ask("a", timeout=100_000, default="nobody"), ctx.entry

    made = park(workflows, bot, waits=1)
    assert made.waits()[0][1] == "sleep"
    assert made.task("t").due is not None
    clock.advance(3600)
    until(lambda: [row[1] for row in made.waits()] == ["sleep until"])
    clock.advance(86_400)
    until(lambda: [row[1] for row in made.waits()] == ["a"])
    clock.advance(100_000)
    assert made.wait(20).result == {"t": ["nobody", 4]}


def test_a_question_without_a_default_raises_at_its_time_out(workflows):
    def bot(_, ctx):
        try:
            ctx.ask("a", timeout=0.05)
        except DeadlineExceeded as error:
            return error.message

    made = park(workflows, bot)
    assert made.wait(20).result["t"] == "wait 'a' of task t has not ended within 50 ms"
    with pytest.raises(RejectedError):
        made.answer("t", "a", 1)


def test_waits_of_a_task_group_are_asked_together(workflows):
    entries = []

    async def bot(_, ctx):
        entries.append(ctx.entry)
        async with asyncio.TaskGroup() as group:
            found = [group.create_task(ctx.aask(name)) for name in "abc"]
        await ctx.asleep(0)
        return [one.result() for one in found]

    made = park(workflows, bot, waits=3)
    for name in "abc":
        made.answer("t", name, name)
    assert made.wait(20).result == {"t": ["a", "b", "c"]}
    assert len(entries) <= 4


@on_sqlite
def test_a_parked_task_that_no_worker_would_enter_again_is_told_of(workflows):
    made = park(workflows, lambda _, ctx: ctx.sleep(3600))
    assert "task t waits for a time until 20" in made.why_waiting()
    workflows.stop()
    assert made.why_waiting().startswith("no worker serves agent bot on ")


@on_sqlite
def test_waits_that_asyncio_gathers_lose_nothing(workflows):
    async def bot(_, ctx):
        return list(await asyncio.gather(ctx.aask("a"), ctx.aask("b")))

    workflows.agent("bot", attempts=1)(bot)
    workflows.work()
    made = workflows.create("w", [Task("t", agent="bot")])
    for value in (1, 2):  # the second is asked with the first, or once that is answered
        names = until(lambda: [row[1] for row in made.waits()])
        made.answer("t", names[0], value)
    assert sorted(made.wait(20).result["t"]) == [1, 2]


@on_sqlite
def test_a_swallowed_wait_fails_the_task_for_good(workflows):
    def bot(_, ctx):
        try:
            ctx.ask("a")
        except:  # noqa: E722 - the mistake
            return "swallowed"

    workflows.agent("bot", attempts=3)(bot)
    workflows.work()
    made = workflows.create("w", [Task("t", agent="bot")])
    assert "a wait was swallowed: 'a'" in failure(made)
    assert made.task("t").attempt == 1


@on_sqlite
def test_exceptions_are_caught_and_a_wait_is_none(workflows):
    def bot(_, ctx):
        try:
            return ctx.ask("a")
        except Exception:  # noqa: BLE001 - the case
            return "caught"

    made = park(workflows, bot)
    made.answer("t", "a", "answered")
    assert made.wait(20).result == {"t": "answered"}


@on_sqlite
def test_an_entry_that_parks_does_nothing_else(workflows):
    told = []

    def bot(_, ctx):
        try:
            ctx.ask("a")
        finally:
            told.append("finally")
            if ctx.entry == 1:
                ctx.step("b", lambda: told.append("step"))
        return told

    made = park(workflows, bot)
    assert told == ["finally"]
    made.answer("t", "a", 1)
    made.wait(20)
    assert told == ["finally", "finally"]


@on_sqlite
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_wait_inside_a_step_is_refused(workflows, kind):
    def plain(_, ctx):
        return ctx.step("call", lambda: ctx.ask("a"))

    async def awaited(_, ctx):
        return await ctx.astep("call", ctx.aask, "a")

    workflows.agent("bot", attempts=3)(plain if kind == "def" else awaited)
    workflows.work()
    made = workflows.create("w", [Task("t", agent="bot")])
    assert "a wait inside step 'call': 'a'" in failure(made)
    assert made.task("t").attempt == 1


@on_sqlite
@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        (lambda _, ctx: [ctx.sleep(0), ctx.sleep(0)], "two waits of task t are called 'sleep'"),
        (lambda _, ctx: ctx.ask(""), "a wait cannot be called ''"),
        (lambda _, ctx: ctx.ask("a", form=object()), "is not a form"),
        (lambda _, ctx: ctx.ask("a", timeout=-1), "timeout must be greater than 0 s, got -1"),
        (lambda _, ctx: ctx.ask("a", default=1), "default= is returned at the time-out"),
        (lambda _, ctx: ctx.ask("a", to=5), "to must be text"),
        (lambda _, ctx: ctx.sleep(-1), "seconds must be 0 s or more, got -1"),
        (lambda _, ctx: ctx.sleep(float("nan")), "seconds must be 0 s or more, got nan"),
        (
            lambda _, ctx: ctx.sleep_until(dt.datetime(2026, 1, 1)),
            "when must be an aware datetime",
        ),
        (lambda _, ctx: ctx.sleep_until(1e300), "when must be an aware datetime"),
    ],
    ids=[
        "twice",
        "no name",
        "no form",
        "timeout",
        "default",
        "to",
        "seconds",
        "nan",
        "naive",
        "never",
    ],
)
def test_a_wait_that_cannot_be_is_refused(workflows, agent, reason):
    workflows.agent("bot", attempts=2)(agent)
    workflows.work()
    made = workflows.create("w", [Task("t", agent="bot")])
    assert reason in failure(made)
    assert made.task("t").attempt == 1


@on_sqlite
def test_a_name_that_was_another_kind_of_wait_is_refused(workflows):
    made = park(workflows, lambda _, ctx: ctx.ask("a"), attempts=1)
    workflows.agent("bot", attempts=1)(lambda _, ctx: ctx.sleep(0, "a"))
    made.answer("t", "a", 1)
    assert "'a' of task t was of kind ask, and is of kind sleep now" in failure(made)


def test_an_answer_at_the_moment_of_parking_is_not_lost(workflows):
    workflows.agent("bot")(lambda _, ctx: ctx.ask("a"))
    workflows.work(concurrency=4)
    made = [workflows.create("w", [Task("t", agent="bot")]) for _ in range(30)]

    def answer_all():
        for one in made:
            until(lambda one=one: one.waits())
            one.answer("t", "a", one.id)

    thread = threading.Thread(target=answer_all)
    thread.start()
    for one in made:
        assert one.wait(30).result == {"t": one.id}
    thread.join()


@on_sqlite
def test_the_time_out_of_a_task_does_not_count_while_it_is_parked(workflows):
    made = park(workflows, lambda _, ctx: [ctx.sleep(1.2), ctx.ask("a")][1], timeout=1, attempts=1)
    until(lambda: [row[1] for row in made.waits()] == ["a"])
    made.answer("t", "a", 1)
    assert made.wait(20).result == {"t": 1}


def test_what_parks_is_no_exception_and_a_group_of_it_parks():
    group = BaseExceptionGroup("", [Parked("a"), BaseExceptionGroup("", [Suspended()])])
    assert is_suspended(group)
    assert not is_suspended(BaseExceptionGroup("", [Parked("a"), ValueError()]))
    assert not issubclass(Parked, Exception)


def test_an_answer_that_comes_while_the_agent_is_unwound_is_not_lost(workflows):
    made = []

    def bot(_, ctx):
        try:
            return ctx.ask("a")
        finally:
            if ctx.entry == 1:
                until(lambda: made)
                made[0].answer("t", "a", "in time")

    workflows.agent("bot")(bot)
    made.append(workflows.create("w", [Task("t", agent="bot")]))
    workflows.work()
    assert made[0].wait(20).result == {"t": "in time"}


@on_sqlite
def test_a_wait_is_a_span_of_its_own_and_a_parked_entry_is_no_error(workflows):
    made = park(workflows, lambda _, ctx: ctx.ask("budget"))
    made.answer("t", "budget", 5)
    made.wait(20)
    tracer = workflows._runtime.tracer
    until(lambda: sum(one.kind == "work" for one in tracer.recent(100)) == 2)
    spans = sorted(tracer.recent(100), key=lambda one: one.began)
    waits = [one for one in spans if one.kind == "wait" and one.name == "ask"]
    entries = [one for one in spans if one.kind == "work"]
    assert [one.outcome for one in (*waits, *entries)] == ["ok"] * 4
    assert [one.attributes.get("parked") for one in entries] == [["budget"], None]
    assert waits[0].attributes["wait"] == "budget"
    assert waits[0].attributes["parked"] is True
    assert waits[1].attributes["waited_s"] >= 0


@on_sqlite
def test_the_span_of_a_wait_has_the_time_for_which_its_task_was_parked(make_workflows):
    clock = Clock()
    workflows = make_workflows(runtime=Runtime(clock=clock))
    workflows.agent("part")(lambda _, ctx: ctx.sleep(3600))

    def bot(_, ctx):
        ctx.gather([ctx.spawn(Task("p", agent="part"))])

    made = park(workflows, bot, waits=2)
    until(lambda: made.task("p").state == "parked")
    assert [one.tasks["parked"] for one in workflows._depths(["part", "bot"])] == [1, 1]
    clock.advance(3600)
    made.wait(20)
    spans = workflows._runtime.tracer.recent(100)
    waited = {one.name: one.attributes["waited_s"] for one in spans if "waited_s" in one.attributes}
    assert {*waited} == {"sleep", "tasks"}
    assert all(3600 <= length < 7200 for length in waited.values()), waited
    assert [one.tasks["parked"] for one in workflows._depths(["part", "bot"])] == [0, 0]


@on_sqlite
def test_another_question_under_an_old_name_is_noticed(workflows, caplog):
    made = park(workflows, lambda _, ctx: ctx.ask("a", "How much?"))
    workflows.agent("bot")(lambda _, ctx: ctx.ask("a", "How many?"))
    made.answer("t", "a", 1)
    assert made.wait(20).result == {"t": 1}
    assert "wait 'a' was answered as 'How much?'" in caplog.text


@on_sqlite
def test_a_question_that_timed_out_is_asked_again_by_a_retry(workflows):
    made = park(workflows, lambda _, ctx: ctx.ask("a", timeout=0.05), attempts=1)
    assert "has not ended within" in failure(made)
    workflows.agent("bot", attempts=1)(lambda _, ctx: ctx.ask("a", timeout=60))
    made.retry()
    parked(made)
    made.answer("t", "a", 1)
    assert made.wait(20).result == {"t": 1}


@on_sqlite
def test_a_paused_workflow_lets_no_answered_task_run(workflows):
    made = park(workflows, lambda _, ctx: ctx.ask("a"))
    made.pause()
    made.answer("t", "a", 1)
    until(lambda: made.task("t").state == "waiting")
    workflows.worker.look()
    assert made.task("t").state == "waiting"
    made.resume()
    assert made.wait(20).result == {"t": 1}


@on_sqlite
def test_a_retry_from_a_step_forgets_the_answers_after_it(workflows):
    def bot(_, ctx):
        ctx.step("plan", int)
        return [ctx.ask("a"), ctx.ask("b")]

    made = park(workflows, bot)
    made.answer("t", "a", 1)
    until(lambda: [row[1] for row in made.waits()] == ["b"])
    parked(made)
    made.retry("t", from_step="plan")
    until(lambda: [row[1] for row in made.waits()] == ["a"])
