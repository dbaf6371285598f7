"""Agents of pydantic-ai that are registered as they are."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from agentnb.ai import Durability
from agentnb.core.workflow import Task, TaskFailed, agent
from agentnb.core.workflow.agents import marked
from agentnb.errors import UsageError
from tests.ai.conftest import model_of


class Report(BaseModel):
    """A typed output."""

    n: int


def test_the_data_is_the_prompt_and_the_output_is_the_result(flows, serve):
    api = serve(lambda request: f"to {request['messages'][-1]['content']}")
    bot = Agent(model_of(api), name="bot", capabilities=[Durability()])
    assert flows.agent("ask", bot, attempts=2) is bot
    flows.work()
    made = flows.create("w", [
        Task("a", agent="ask", data="one"), Task("b", agent="ask", data={"prompt": "two"}),
    ])  # fmt: skip
    assert made.wait(30).result == {"a": "to one", "b": "to two"}
    assert made.task("a").attempts == 2
    assert "".join(chunk.value for chunk in made.stream("a", "model")) == "to one"


def test_a_typed_output_is_read_as_its_type(flows):
    bot = Agent(
        TestModel(custom_output_args={"n": 7}),
        name="bot",
        output_type=Report,
        capabilities=[Durability()],
    )
    flows.agent("ask", bot)
    flows.work()
    made = flows.create("w", [Task("t", agent="ask", data="hi")]).wait(30)
    assert made.result == {"t": Report(n=7)}


@pytest.mark.parametrize("data", [None, "", " ", 7, {"prompt": 7}, {"prompt": "x", "more": 1}])
def test_data_that_is_no_prompt_ends_the_task(flows, data):
    flows.agent("ask", Agent(TestModel(), name="bot", capabilities=[Durability()]))
    flows.work()
    made = flows.create("w", [Task("t", agent="ask", data=data)])
    with pytest.raises(TaskFailed, match="must be a prompt"):
        made.wait(30)
    assert made.task("t").attempt == 1


def test_one_that_would_forget_is_refused_when_it_is_registered(flows):
    with pytest.raises(UsageError, match="has no Durability"):
        flows.agent("ask", Agent(TestModel(), name="bot"))


def test_a_function_can_be_registered_without_a_decorator(flows):
    flows.agent("double", lambda task: task.data * 2)
    flows.work()
    assert flows.create("w", [Task("t", agent="double", data=4)]).wait(30).result == {"t": 8}


def test_one_is_marked_in_a_module_for_workers():
    class Module:
        __name__ = "app"

    Module.bot = agent("ask")(Agent(TestModel(), name="bot", capabilities=[Durability()]))
    found = marked(Module)["ask"]
    assert found.is_async
    assert asyncio.iscoroutinefunction(found.call)
