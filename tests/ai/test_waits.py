"""What a run of an agent waits for: a busy model, and a person who approves tools."""

from __future__ import annotations

from contextlib import suppress

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from agentnb.ai import Durability
from agentnb.core.workflow import Task, TaskFailed
from tests.ai.conftest import model_of, run, steps
from tests.waiting import until


@pytest.mark.parametrize("status", [429, 529])
def test_a_busy_model_parks_the_task_and_takes_no_attempt(flows, serve, chat_api, status):
    busy = chat_api.Answer("busy", status=status, headers={"Retry-After": "1"})
    api = serve([chat_api.Answer(calls=[chat_api.call("tell", {})]), busy, busy, "well"])
    bot = Agent(model_of(api), name="bot", capabilities=[Durability()])
    told = []

    @bot.tool_plain
    def tell() -> str:
        told.append(1)
        return "told"

    entries = []

    async def agent(task, ctx):
        entries.append(ctx.attempt)
        return (await bot.run("hi")).output

    made = run(flows, agent, attempts=1)
    assert made.result["t"] == "well"
    assert entries == [1, 1, 1]
    assert api.turns == [0, 1, 1, 1]
    assert told == [1]


def test_a_busy_model_that_says_no_time_takes_an_attempt(flows, serve, chat_api):
    api = serve([chat_api.Answer("busy", status=429), "well"])
    bot = Agent(model_of(api), name="bot", capabilities=[Durability()])

    async def agent(task, ctx):
        return (await bot.run("hi")).output

    made = run(flows, agent)
    assert (made.result["t"], made.task("t").attempt) == ("well", 2)


def parked(flows, bot, **options):
    """Start a task that runs a bot, and return its workflow once it waits."""

    async def agent(task, ctx):
        return (await bot.run("hi")).output

    flows.agent("one", attempts=1, **options)(agent)
    flows.work()
    made = flows.create("w", [Task("t", agent="one")])
    until(lambda: made.task("t").state in {"parked", "failed", "completed"})
    return made


def test_tools_are_called_once_a_person_has_approved_them_with_these_arguments(
    flows, serve, chat_api
):
    def answer(request):
        if chat_api.turn_of(request) == 0:
            calls = [chat_api.call("pay", {"eur": n}, f"c{n}") for n in (5, 7)]
            return chat_api.Answer(calls=[*calls, chat_api.call("look", {})])
        return " | ".join(one["content"] for one in request["messages"] if one["role"] == "tool")

    api = serve(answer)
    bot = Agent(model_of(api), name="bot", capabilities=[Durability(approve=["pa*"])])
    paid = []

    @bot.tool_plain
    def pay(eur: int) -> str:
        paid.append(eur)
        return f"paid {eur}"

    @bot.tool_plain
    def look() -> str:
        return "seen"

    made = parked(flows, bot)
    waits = made.waits().dicts()
    assert len(waits) == 2
    assert [one["question"] for one in waits] == [
        f'May bot.1 call pay with {{"eur": {n}}}?' for n in (5, 7)
    ]
    assert paid == []
    first, second = (one["name"] for one in waits)
    assert first.startswith("bot.1/approve.1.pay.c5.")
    made.answer("t", first, {"approve": True})
    made.answer("t", second, {"approve": False, "reason": "too much"})
    made.wait(30)
    assert sorted(made.result["t"].split(" | ")) == ["paid 5", "seen", "too much"]
    assert paid == [5]
    assert api.turns == [0, 1]
    assert "bot.1/tool.1.pay.c5" in steps(flows, made)
    assert "bot.1/tool.1.pay.c7" not in steps(flows, made)


def test_other_arguments_want_another_approval(flows):
    from agentnb.ai.operations import digest

    assert digest("pay", {"eur": 5}) != digest("pay", {"eur": 6})
    bot = Agent(TestModel(), name="bot", capabilities=[Durability()])

    @bot.tool_plain(requires_approval=True)
    def pay(eur: int) -> str:
        return f"paid {eur}"

    made = parked(flows, bot)
    ((name, question),) = [(one["name"], one["question"]) for one in made.waits().dicts()]
    assert name.endswith(digest("pay", {"eur": 0})[:12])
    assert question == 'May bot.1 call pay with {"eur": 0}?'
    made.answer("t", name, {"approve": True})
    assert "paid 0" in made.wait(30).result["t"]


def test_a_tool_that_wants_an_approval_within_a_step_ends_the_task(flows):
    bot = Agent(TestModel(), name="bot", capabilities=[Durability()])

    @bot.tool_plain(requires_approval=True)
    def pay() -> str:
        return "paid"

    async def ask():
        return (await bot.run("hi")).output

    async def agent(task, ctx):
        return await ctx.step("ask", ask)

    made = run(flows, agent)
    with suppress(TaskFailed):
        made.wait(10)
    assert "within step 'ask'" in made.task("t").error
    assert made.task("t").attempt == 1
