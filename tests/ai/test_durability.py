"""Agents of pydantic-ai in a task: what was asked once is not asked again."""

from __future__ import annotations

import asyncio
import threading

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.exceptions import UserError
from pydantic_ai.models.test import TestModel
from pydantic_ai.toolsets import FunctionToolset
from pydantic_ai.usage import UsageLimits

from agentnb.ai import Durability, durable
from agentnb.ai.runs import Run, short
from agentnb.core.workflow.usage import Usage
from agentnb.errors import Final, UsageError
from tests.ai.conftest import KEY, model_of, run, steps


class Report(BaseModel):
    """A typed output."""

    n: int


def test_each_turn_and_each_tool_is_kept_and_a_later_attempt_asks_nothing(flows, serve, chat_api):
    api = serve(
        [
            chat_api.Answer(calls=[chat_api.call("double", {"n": 4}), chat_api.call("fail", {})]),
            chat_api.Answer(calls=[chat_api.call("final_result", {"n": 8})]),
        ]
    )
    bot = Agent(model_of(api), name="bot", output_type=Report, capabilities=[Durability()])
    ran = []

    @bot.tool_plain
    def double(n: int) -> int:
        ran.append(n)
        return 2 * n

    @bot.tool_plain
    def fail() -> int:
        ran.append("fail")
        raise ModelRetry("not now")  # what the model is told, and kept as that

    async def agent(task, ctx) -> Report:
        done = await durable(bot, ctx).run(task.data)
        if ctx.attempt == 1:
            raise OSError("after the end")
        return done.output

    made = run(flows, agent)
    assert made.result["t"] == Report(n=8)
    assert sorted(map(str, ran)) == ["4", "fail"]
    assert api.turns == [0, 1]
    told = [one["content"] for one in api.requests[1]["messages"] if one["role"] == "tool"]
    assert told == ["8", '{"error":"not now"}']
    assert sorted(steps(flows, made)) == [
        *("bot.1/model.1", "bot.1/model.2"),
        *("bot.1/tool.1.double.call_double", "bot.1/tool.1.fail.call_fail"),
    ]
    assert made.task("t").usage == Usage(2, 20, 10)
    assert KEY not in str(made.logs("t"))


def test_two_runs_at_once_get_their_own_answers_in_every_attempt(flows, serve):
    meeting = threading.Event()

    def answer(request):
        word = request["messages"][-1]["content"]
        if word == "first":
            meeting.wait(10)  # the second run, which began later, ends before it
        else:
            meeting.set()
        return f"to {word}"

    api = serve(answer)
    bot = Agent(model_of(api), name="bot", capabilities=[Durability()])

    async def agent(task, ctx):
        done = await asyncio.gather(bot.run("first"), bot.run("second"), bot.run("third"))
        if ctx.attempt < 3:
            raise OSError("again")
        return [one.output for one in done]

    assert run(flows, agent).result["t"] == ["to first", "to second", "to third"]
    assert len(api.turns) == 3


def test_a_run_in_a_step_and_one_in_a_tool_have_names_of_their_own(flows, serve, chat_api):
    def answer(request):
        if "tools" in request and chat_api.turn_of(request) == 0:
            return chat_api.Answer(calls=[chat_api.call("ask", {"word": "x"}, "c1")])
        return request["messages"][-1]["content"]

    api = serve(answer)
    helper = Agent(model_of(api), name="helper", capabilities=[Durability()])
    bot = Agent(model_of(api), name="bot", capabilities=[Durability()])

    @bot.tool_plain
    async def ask(word: str) -> str:
        return (await helper.run(f"help {word}")).output

    async def asked(word):
        return (await helper.run(word)).output

    async def agent(task, ctx):
        if ctx.attempt == 1:
            await ctx.step("a", asked, "one")  # gone in the second attempt
            raise OSError("again")
        return [await ctx.step("b", asked, "two"), (await bot.run("go")).output]

    made = run(flows, agent)
    assert made.result["t"] == ["two", "help x"]
    assert "bot.1/tool.1.ask.c1/helper.1/model.1" in steps(flows, made)
    assert {"a/helper.1/model.1", "b/helper.1/model.1"} < set(steps(flows, made))


@pytest.mark.parametrize(("on_change", "expected"), [("warn", "1"), ("again", "2"), ("fail", None)])
def test_a_prompt_that_has_changed_is_noticed(flows, on_change, expected):
    calls = []
    bot = Agent(
        TestModel(custom_output_text="1"),
        name="bot",
        capabilities=[Durability(on_change=on_change)],
    )

    async def agent(task, ctx):
        calls.append(ctx.attempt)
        with bot.override(instructions=f"attempt {ctx.attempt}"):
            bot.model.custom_output_text = str(ctx.attempt)
            output = (await bot.run("hi")).output
        if ctx.attempt == 1:
            raise OSError("again")
        return output

    made = run(flows, agent)
    if expected is None:
        assert "bot.1/model.1" in made.task("t").error
        assert made.state == "failed"
        assert calls == [1, 2]
        return
    assert made.result["t"] == expected
    assert any("other arguments" in line for line in made.logs("t"))


def test_a_conversation_that_is_the_same_is_no_change(flows, serve, chat_api):
    api = serve([chat_api.Answer(calls=[chat_api.call("tell", {})]), "one", "two"])
    bot = Agent(model_of(api), name="bot", capabilities=[Durability(on_change="fail")])
    bot.tool_plain(tell)

    async def agent(task, ctx):
        first = await bot.run("hi")
        second = await bot.run("and", message_history=first.all_messages())
        if ctx.attempt == 1:
            raise OSError("again")
        return second.output

    assert run(flows, agent).result["t"] == "two"


def tell() -> str:
    return "told"


def test_a_synchronous_agent_runs_it_as_well(flows, serve, chat_api):
    api = serve([chat_api.Answer(calls=[chat_api.call("tell", {})]), "done"])
    bot = Agent(model_of(api), name="bot", capabilities=[Durability()])
    bot.tool_plain(tell)

    def agent(task, ctx):
        output = durable(bot, ctx).run_sync("hi").output
        if ctx.attempt == 1:
            raise OSError("again")
        return output

    assert run(flows, agent).result["t"] == "done"
    assert api.turns == [0, 1]


def test_outside_of_a_task_it_does_nothing(serve):
    api = serve(["plain"])
    bot = Agent(model_of(api), name="bot", capabilities=[Durability(approve=["*"])])
    assert asyncio.run(bot.run("hi")).output == "plain"
    assert not api.requests[0].get("stream")


def test_tools_that_are_not_steps_run_in_each_attempt(flows):
    ran = []
    bot = Agent(TestModel(), name="bot", capabilities=[Durability(tools=False)])

    @bot.tool_plain
    def note() -> str:
        ran.append(1)
        return "noted"

    async def agent(task, ctx):
        await bot.run("hi")
        if ctx.attempt == 1:
            raise OSError("again")

    assert steps(flows, run(flows, agent)) == ["bot.1/model.1", "bot.1/model.2"]
    assert len(ran) == 2


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (400, "refused the request"),
        (401, "AGENTNB_LLM_KEY"),
        (403, "choose another"),
        (404, "name"),
    ],
)
def test_an_error_that_no_other_attempt_mends_ends_the_task(flows, serve, chat_api, status, hint):
    api = serve(lambda _: chat_api.Answer(f"no: {KEY}", status=status))
    flows._runtime.redactor.add(KEY)
    bot = Agent(model_of(api), name="bot", capabilities=[Durability()])
    caught = []

    async def agent(task, ctx):
        try:
            return (await bot.run("hi")).output
        except Final as error:
            caught.append(error)
            raise

    made = run(flows, agent)
    assert len(api.requests) == 1
    assert made.task("t").attempt == 1
    assert hint in caught[0].hint
    assert f"status_code: {status}" in made.task("t").error
    assert KEY not in made.task("t").error + str(caught[0]) + made.task("t").traceback


def test_the_limits_of_a_run_and_misuse_end_the_task(flows):
    bot = Agent(TestModel(), name="bot", capabilities=[Durability()])
    bot.tool_plain(tell)

    async def limited(task, ctx):
        await bot.run("hi", usage_limits=UsageLimits(request_limit=1))

    made = run(flows, limited)
    assert "request_limit" in made.task("t").error
    assert made.task("t").attempt == 1


def test_a_failure_of_the_server_is_tried_again_by_the_task_alone(flows, serve, chat_api):
    api = serve([*[chat_api.Answer("ouch", status=500)] * 2, "well"])
    bot = Agent(model_of(api), name="bot", capabilities=[Durability()])

    async def agent(task, ctx):
        return (await bot.run("hi")).output

    made = run(flows, agent)
    assert made.result["t"] == "well"
    assert len(api.requests) == made.task("t").attempt == 3


@pytest.mark.parametrize("answer", ["breaks", "no JSON"])
def test_an_answer_that_is_cut_or_no_json_is_asked_for_again(flows, serve, chat_api, answer):
    bad = {
        "breaks": chat_api.Answer("one two three", breaks=2),
        "no JSON": chat_api.Answer(raw=b"<html>", headers={"X": "y"}),
    }[answer]
    api = serve([bad, "well"])
    stream = "model" if answer == "breaks" else None
    bot = Agent(model_of(api), name="bot", capabilities=[Durability(stream=stream)])

    async def agent(task, ctx):
        return (await bot.run("hi")).output

    made = run(flows, agent)
    assert made.result["t"] == "well"
    assert made.task("t").usage.requests == 1


def test_a_model_that_hangs_is_left_at_the_time_out_of_a_request(flows, serve, chat_api):
    api = serve([chat_api.Answer(hangs=True), "well"])
    bot = Agent(model_of(api), name="bot", capabilities=[Durability(timeout=0.5)])

    async def agent(task, ctx):
        return (await bot.run("hi")).output

    made = run(flows, agent)
    assert made.result["t"] == "well"
    assert made.task("t").attempt == 2


@pytest.mark.parametrize("stream", ["model", None])
def test_an_answer_that_is_too_long_ends_the_task(flows, serve, chat_api, stream):
    api = serve([chat_api.Answer("word " * 1000)])
    options = Durability(max_bytes=2000, stream=stream)
    bot = Agent(model_of(api), name="bot", capabilities=[options])

    async def agent(task, ctx):
        await bot.run("hi")

    made = run(flows, agent)
    assert "2,000 bytes" in made.task("t").error or "2,000 are allowed" in made.task("t").error
    assert made.task("t").attempt == 1
    assert steps(flows, made) == []


def test_a_tools_answer_that_is_too_long_ends_the_task(flows):
    bot = Agent(TestModel(), name="bot", capabilities=[Durability(max_bytes=2000)])

    @bot.tool_plain
    def flood() -> str:
        return "x" * 3000

    async def agent(task, ctx):
        await bot.run("hi")

    assert "2,000 are allowed" in run(flows, agent).task("t").error


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_bytes": 0}, "max_bytes must be 1 to 64,000,000, got 0"),
        ({"on_change": "never"}, "on_change must be warn, fail or again"),
        ({"budget": 7}, "budget must be a Budget or several, got 7"),
        ({"approve": 7}, "approve must be"),
        ({"timeout": 0}, "timeout must be greater than 0"),
        ({"bogus": 1}, "Durability has no option bogus"),
    ],
)
def test_options_that_are_wrong_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        Durability(**options)


def test_an_agent_that_would_forget_is_refused(flows):
    bot = Agent(TestModel(), name="bot")

    async def agent(task, ctx):
        await durable(bot, ctx).run("hi")

    made = run(flows, agent)
    assert "no Durability" in made.task("t").error
    assert made.task("t").attempt == 1


def test_a_toolset_at_run_time_is_refused_before_the_model_is_asked(flows, serve):
    api = serve(lambda _: "word")
    bot = Agent(model_of(api), name="bot", capabilities=[Durability()])

    async def agent(task, ctx):
        await bot.run("hi", toolsets=[FunctionToolset([tell])])

    made = run(flows, agent)
    assert made.task("t").attempt == 1
    assert "toolset" in made.task("t").error.lower()
    assert api.requests == []


def test_a_toolset_without_an_id_is_refused_when_the_agent_is_made():
    with pytest.raises(UserError, match="unique `id`"):
        Agent(
            TestModel(),
            name="bot",
            toolsets=[FunctionToolset([tell])],
            capabilities=[Durability()],
        )


def test_names_of_steps_stay_within_their_limit():
    run = Run("bot.1", "r")
    assert run.next("model") == "bot.1/model.1"
    assert run.named("tool.1.x.c") == "bot.1/tool.1.x.c"
    assert run.named("tool.1.x.c") == "bot.1/tool.1.x.c 2"
    long = [short("a" * 300 + end) for end in "xy"]
    assert len(set(long)) == 2
    assert max(map(len, long)) <= 200
    assert short("a\nb") == "a?b"


@pytest.mark.parametrize("prompts", [False, True])
def test_each_request_and_each_call_is_a_span_without_texts_unless_asked(
    flows, serve, chat_api, prompts
):
    api = serve([chat_api.Answer(calls=[chat_api.call("tell", {})]), "the secret answer"])
    bot = Agent(model_of(api), name="bot", capabilities=[Durability(prompts=prompts)])
    bot.tool_plain(tell)

    async def agent(task, ctx):
        return (await bot.run("the secret question")).output

    run(flows, agent)
    spans = [one for one in flows._runtime.tracer.recent() if one.name == "step"]
    found = {one.attributes["step"]: one.attributes for one in spans}
    model, tool = found["bot.1/model.2"], found["bot.1/tool.1.tell.call_tell"]
    assert model["gen_ai.operation.name"] == "chat"
    assert (model["gen_ai.request.model"], model["gen_ai.response.model"]) == ("fake", "fake")
    assert (model["gen_ai.usage.input_tokens"], model["gen_ai.usage.output_tokens"]) == (10, 5)
    assert (tool["gen_ai.operation.name"], tool["gen_ai.tool.name"]) == ("execute_tool", "tell")
    text = str([one.attributes for one in spans])
    assert ("secret question" in text, "secret answer" in text) == (prompts, prompts)
