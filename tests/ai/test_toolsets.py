"""Tools of other programs' servers, and of the hub, in an agent of a task."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic_ai import Agent

import agentnb
from agentnb.ai import Durability, toolset
from agentnb.core.workflow import Task, TaskFailed
from agentnb.errors import UnavailableError, UsageError
from tests.ai.conftest import model_of
from tests.waiting import until

PEER = f"stdio: {sys.executable} {Path(__file__).parents[1] / 'core' / 'mcp_peer.py'}"


@pytest.fixture
def hub(tmp_path):
    with agentnb.connect(home=tmp_path / "home") as hub:
        yield hub


def started(hub, bot):
    """Start a task that runs a bot, and return its workflow once it waits or has ended."""

    @hub.workflows.agent("one", attempts=1)
    async def agent(task, ctx):
        return (await bot.run("hi")).output

    hub.workflows.work()
    made = hub.workflows.create("w", [Task("t", agent="one")])
    until(lambda: made.task("t").state in {"parked", "failed", "completed"})
    return made


def answers(request):
    return [one["content"] for one in request["messages"] if one["role"] == "tool"]


def test_a_tool_of_a_server_is_called_once_a_person_has_approved_it(hub, serve, chat_api):
    def answer(request):
        if chat_api.turn_of(request) == 0:
            calls = [chat_api.call("pay", {"n": 4}, "c1"), chat_api.call("balance", {}, "c2")]
            return chat_api.Answer(calls=calls)
        return " | ".join(answers(request))

    api = serve(answer)
    bank = hub.mcp(PEER, timeout=20)
    bot = Agent(
        model_of(api),
        name="bot",
        toolsets=[toolset(bank, id="bank")],
        capabilities=[Durability()],
    )
    made = started(hub, bot)
    ((name, question),) = [(one["name"], one["question"]) for one in made.waits().dicts()]
    assert question == 'May bot.1 call pay with {"n": 4}?'
    made.answer("t", name, {"approve": True})
    assert made.wait(30).result["t"] == "pay 4 | balance None"
    assert api.turns == [0, 1]


def test_a_tool_that_has_changed_ends_the_run_and_names_itself(hub, serve, chat_api):
    bank = hub.mcp(PEER, timeout=20, ask=())
    tools = toolset(bank, id="bank")
    assert bank.call("pay", way="change") == "changed"
    api = serve([chat_api.Answer(calls=[chat_api.call("pay", {"n": 1})]), "never"])
    bot = Agent(model_of(api), name="bot", toolsets=[tools], capabilities=[Durability()])
    made = started(hub, bot)
    assert made.task("t").state == "failed"
    assert "pay of" in made.task("t").error
    assert "another tool than at its first use" in made.task("t").error
    assert api.turns == [0]


def test_an_error_that_a_model_can_mend_is_its_answer(hub, serve, chat_api):
    def answer(request):
        turn = chat_api.turn_of(request)
        sql = "select nothing" if turn == 0 else "select 42 as n"
        if turn < 2:
            return chat_api.Answer(calls=[chat_api.call("db_query", {"sql": sql}, f"c{turn}")])
        return " | ".join(map(str, answers(request)))

    hub.db.execute("create table task (n integer)")
    api = serve(answer)
    tools = toolset(hub.tools("db"), id="hub")
    bot = Agent(model_of(api), name="bot", toolsets=[tools], capabilities=[Durability()])
    made = started(hub, bot)
    with suppress(TaskFailed):
        made.wait(30)
    assert "syntax error" in made.result["t"]
    assert "42" in made.result["t"]


def test_what_is_no_source_of_tools_and_a_server_that_is_away_are_refused(hub):
    for source in (5, [print], "stdio: x"):
        with pytest.raises(UsageError, match="no source of tools"):
            toolset(source, id="x")
    with pytest.raises(UnavailableError):
        toolset(hub.mcp("stdio: no-such-program-here", timeout=10), id="x")


def test_the_toolset_of_pydantic_ai_itself_is_durable_but_has_no_approvals(hub, serve, chat_api):
    from fastmcp.client.transports import StdioTransport
    from pydantic_ai.mcp import MCPToolset

    def answer(request):
        if chat_api.turn_of(request) == 0:
            return chat_api.Answer(calls=[chat_api.call("pay", {"way": "pid"}, "c1")])
        return " | ".join(answers(request))

    api = serve(answer)
    words = PEER.removeprefix("stdio: ").split()
    bot = Agent(
        model_of(api),
        name="bot",
        toolsets=[MCPToolset(StdioTransport(words[0], words[1:]), id="bank")],
        capabilities=[Durability()],
    )
    found = []

    @hub.workflows.agent("one", attempts=2, backoff=0.01)
    async def agent(task, ctx):
        found.append((await bot.run("hi")).output)
        if ctx.attempt == 1:
            raise OSError("again")
        return found

    hub.workflows.work()
    made = hub.workflows.create("w", [Task("t", agent="one")]).wait(60)
    assert len({*made.result["t"]}) == 1  # the second attempt has called nothing again
    assert len(api.requests) == 2
    names = list(hub.workflows._reader.steps(made.task("t").id))
    assert names[:3] == ["bot.1/mcp.bank.tools.1", "bot.1/model.1", "bot.1/mcp.bank.1.pay.c1"]
