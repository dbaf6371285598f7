"""Budgets of agents: no request begins once one is used up, also of requests at once."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.test import TestModel

from agentnb.ai import Budget, Durability
from agentnb.core.workflow import Task
from agentnb.core.workflow.usage import Usage
from agentnb.errors import Final, UsageError
from tests.ai.conftest import model_of, run


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(requests=2), "2 of 2 requests"),
        (Budget(tokens=25), "30 of 25 tokens"),
        ([Budget(requests=9), Budget(tokens=1)], "15 of 1 tokens"),
        (Budget(requests=0, of="workflow"), "0 of 0 requests"),
    ],
)
def test_a_budget_refuses_the_request_after_it_is_used_up(flows, serve, budget, words):
    api = serve(lambda _: "word")
    bot = Agent(model_of(api), name="bot", capabilities=[Durability(budget=budget)])

    async def agent(task, ctx):
        while True:
            await bot.run("hi")

    made = run(flows, agent)
    assert words in made.task("t").error
    assert made.task("t").attempt == 1
    asked = made.task("t").usage.requests if made.task("t").usage else 0
    assert len(api.requests) == asked


def test_a_budget_of_a_workflow_counts_its_other_tasks_and_known_prices(flows):
    bot = Agent(
        TestModel(model_name="gpt-4o"),
        name="bot",
        capabilities=[Durability(budget=Budget(requests=2, of="workflow"))],
    )

    @flows.agent("ask")
    async def ask(task, ctx):
        await bot.run("hi")

    flows.work()
    made = flows.create(
        "w", [Task(f"t{n}", agent="ask", needs=[f"t{n - 1}"] * (n > 0)) for n in range(3)]
    )
    with pytest.raises(Exception, match="2 of 2 requests"):
        made.wait(30)
    with pytest.raises(Final, match=r"\$0.6 of \$0.5"):
        Budget(cost=0.5).check(Usage(1, 1, 1, 0.6), "t")
    Budget(cost=0.5).check(Usage(), "t")
    with pytest.raises(Final, match="price of its model is not known"):
        Budget(cost=0.5).check(Usage(1, 1, 1), "t")
    with pytest.raises(Final, match=r"\$0 of \$0"):
        Budget(cost=0.0).check(Usage(), "t")


def test_requests_at_once_do_not_exceed_their_budget(flows, serve):
    api = serve(lambda _: "word")
    bot = Agent(model_of(api), name="bot", capabilities=[Durability(budget=[Budget(requests=2)])])
    found = []

    async def agent(task, ctx):
        several = [bot.run("hi") for _ in range(6)]
        found.extend(await asyncio.gather(*several, return_exceptions=True))

    made = run(flows, agent)
    refused = [one for one in found if isinstance(one, Final)]
    assert (len(api.requests), len(refused)) == (2, 4)
    assert made.task("t").usage.requests == 2


@pytest.mark.parametrize("of", ["task", "workflow"])
def test_tokens_of_requests_at_once_are_reserved_and_exceeded_by_one_answer_at_most(
    flows, serve, of
):
    busy, most = [], []
    both = threading.Event()

    def answer(_):
        busy.append(1)
        most.append(len(busy))
        if len(busy) == 2:
            both.set()
        if len(most) in {2, 3}:  # there is room for two: they meet
            both.wait(20)
        busy.pop()
        return "word"

    api = serve(answer)  # each answer takes 15 tokens
    bot = Agent(
        model_of(api), name="bot", capabilities=[Durability(budget=Budget(tokens=50, of=of))]
    )
    found = []

    @flows.agent("ask", attempts=1)
    async def ask(task, ctx):
        several = [bot.run("hi") for _ in range(6 if of == "task" else 2)]
        found.extend(await asyncio.gather(*several, return_exceptions=True))

    flows.work(concurrency=3)
    names = ["t"] if of == "task" else ["t0", "t1", "t2"]
    made = flows.create("w", [Task(name, agent="ask") for name in names]).wait(60)
    refused = [one for one in found if isinstance(one, Final)]
    assert (len(api.requests), len(refused)) == (4, 2), found
    assert "60 of 50 tokens" in str(refused[0])
    assert sum(made.task(name).usage.requests for name in names if made.task(name).usage) == 4
    assert max(most) == 2
    assert most[0] == 1  # nobody knew how large an answer is


def test_a_request_that_waits_for_the_budget_takes_the_place_of_one_that_failed(
    flows, serve, chat_api
):
    answers = iter([chat_api.Answer(status=500), "word"])
    api = serve(lambda _: next(answers))
    budget = [Budget(requests=1), Budget(tokens=10_000, of="workflow")]
    bot = Agent(model_of(api), name="bot", capabilities=[Durability(budget=budget)])

    async def agent(task, ctx):
        done = await asyncio.gather(bot.run("hi"), bot.run("hi"), return_exceptions=True)
        return sorted(type(one).__name__ for one in done)

    assert run(flows, agent).result == {"t": ["AgentRunResult", "ModelServerError"]}


def test_the_time_in_which_a_request_waits_for_others_is_none_of_its_own(flows):
    begun = asyncio.Event()

    async def slow(messages, info):
        begun.set()
        await asyncio.sleep(1.2)
        return ModelResponse([TextPart("slow")])

    def bot(model, timeout):
        durability = Durability(budget=Budget(tokens=5000), timeout=timeout, stream=None)
        return Agent(model, name=f"bot{timeout}", capabilities=[durability])

    first, second = bot(FunctionModel(slow), 60), bot(TestModel(custom_output_text="word"), 0.9)

    async def agent(task, ctx):
        one = asyncio.ensure_future(first.run("hi"))
        await begun.wait()
        other = await second.run("hi")
        return [(await one).output, other.output]

    assert run(flows, agent).result == {"t": ["slow", "word"]}


@pytest.mark.parametrize(
    ("budget", "words"),
    [(Budget(tokens=9000), "word"), (Budget(requests=2), "word"), (Budget(requests=1), "1 of 1")],
)
def test_a_request_within_another_one_does_not_wait_for_it(flows, budget, words):
    def bot(model, name):
        return Agent(
            model, name=name, capabilities=[Durability(budget=[budget], timeout=20, stream=None)]
        )

    inner = bot(TestModel(custom_output_text="word"), "inner")

    async def ask_inner(messages, info):
        first = (await inner.run("hi")).output
        return ModelResponse([TextPart(first)])

    outer = bot(FunctionModel(ask_inner), "outer")

    async def agent(task, ctx):
        return (await outer.run("hi")).output

    made = run(flows, agent, attempts=1)
    assert words in str(made.result if words == "word" else made.task("t").error)


def test_requests_that_cost_nothing_run_at_once():
    """One waits for the first answer; then it is known that each takes nothing."""
    budget = Budget(cost=0.5)
    assert not budget.fits(Usage(), 1, Usage(1))
    assert budget.fits(Usage(1, 9, cost=0.0), 1, Usage(1, 9, cost=0.0))
    assert not budget.fits(Usage(1, 9, cost=0.2), 1, Usage(1, 9, cost=0.2))


def test_a_request_that_failed_takes_nothing_of_the_budget(flows, serve, chat_api):
    answers = iter([chat_api.Answer(status=500), "word"])
    api = serve(lambda _: next(answers))
    bot = Agent(model_of(api), name="bot", capabilities=[Durability(budget=Budget(requests=1))])

    async def agent(task, ctx):
        with suppress(Exception):
            await bot.run("hi")
        return (await bot.run("hi")).output

    assert run(flows, agent).result == {"t": "word"}


def test_an_answer_that_is_kept_is_given_though_the_budget_is_used_up(flows, serve):
    api = serve(lambda _: "word")
    bot = Agent(model_of(api), name="bot", capabilities=[Durability(budget=Budget(requests=1))])

    async def agent(task, ctx):
        done = await bot.run("hi")
        if ctx.attempt == 1:
            raise OSError("after the end")
        return done.output

    assert run(flows, agent, attempts=2).result == {"t": "word"}
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tokens": -1}, "tokens must be 0 to"),
        ({"cost": "much"}, "cost must be"),
        ({"of": "world"}, "of must be task or workflow"),
    ],
)
def test_budgets_that_are_wrong_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        Budget(**options)
