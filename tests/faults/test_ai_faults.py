"""A team of agents of language models whose workers are killed: nothing is asked or done twice."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter

import pytest

import agentnb
from agentnb.core.workflow import Task
from agentnb.panels.workflow.view import WorkflowPanel
from tests.ai.conftest import KEY, chat_api, serve  # noqa: F401 - fixtures

APP = """
import os, pathlib, signal
import agentnb
from agentnb.ai import Durability, durable
from agentnb.core.workflow import agent
from pydantic import BaseModel
from pydantic_ai import Agent

class Plan(BaseModel):
    parts: list[str]

class Part(BaseModel):
    title: str
    words: int

with agentnb.connect() as hub:
    model = hub.llm()

def note(word):
    with open("notes", "a") as file:
        file.write(word + chr(10))

planner = Agent(model, name="planner", output_type=Plan, capabilities=[Durability()])
writer = Agent(model, name="writer", output_type=Part, capabilities=[Durability()])

@planner.tool_plain
def outline(topic: str) -> str:
    note("outline " + topic)
    return "three parts"

@writer.tool_plain(requires_approval=True)
def publish(title: str) -> str:
    note("publish " + title)
    return "published"

@agent("plan", backoff=0.01)
async def plan(task, ctx) -> list[Part]:
    found = (await durable(planner, ctx).run(task.data)).output
    if not pathlib.Path("died").exists():
        pathlib.Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return await ctx.amap("write", [f"Write {part}." for part in found.parts])

agent("write", backoff=0.01)(writer)
"""


@pytest.fixture
def settings(serve, chat_api, steady_home, tmp_path):  # noqa: F811 - the fixtures
    """Return the variables of hub and workers, and the fake that they ask."""

    seen = threading.Event()

    def answer(request):
        turn = chat_api.turn_of(request)
        question = next(x["content"] for x in request["messages"] if x["role"] == "user")
        if question == "A paper on tea":
            if turn == 0:
                return chat_api.Answer(
                    "Let me see. ", calls=[chat_api.call("outline", {"topic": "tea"})]
                )
            seen.wait(60)  # the model thinks until somebody has read what it has said
            return chat_api.Answer(
                calls=[chat_api.call("final_result", {"parts": ["a", "b", "c"]})]
            )
        title = question[6:-1]
        if title == "b" and turn == 0:
            return chat_api.Answer(calls=[chat_api.call("publish", {"title": title})])
        return chat_api.Answer(calls=[chat_api.call("final_result", {"title": title, "words": 7})])

    api = serve(answer)
    api.seen = seen
    (tmp_path / "app.py").write_text(APP)
    return api, {
        "AGENTNB_HOME": str(steady_home),
        "AGENTNB_KEY_PREFIX": f"ai-{os.getpid()}",
        "DATABASE_URL": f"sqlite:///{tmp_path}/flows.db",
        "AGENTNB_WORKFLOW_LEASE": "1",
        "AGENTNB_LLM": "openai:fake",
        "AGENTNB_LLM_URL": api.url,
        "AGENTNB_LLM_KEY": KEY,
    }


def test_a_planner_and_its_writers_outlive_their_workers(
    settings, start_worker, until, steady_home, tmp_path
):
    api, variables = settings
    words = ("--agents", "--app", "app", "--concurrency", "1")

    def start():
        worker = start_worker(variables["AGENTNB_HOME"], *words, **variables)
        worker.hear("worker started|agent plan is")
        return worker

    with agentnb.connect(
        home=variables["AGENTNB_HOME"],
        workspace=tmp_path / "workspace",
        database_url=variables["DATABASE_URL"],
        key_prefix=variables["AGENTNB_KEY_PREFIX"],
        workflow_lease="1",
    ) as hub:
        tasks = [Task("plan", data="A paper on tea")]
        made = hub.workflows.create("paper", tasks, unknown="wait")
        first = start()
        assert "Let me see. " in read_in_the_panel(hub, "plan", until)
        assert made.task("plan").state == "active"
        api.seen.set()
        first.process.wait(60)  # killed when the second answer was kept
        second = start()
        still = ["completed", "completed", "parked", "parked"]
        until(lambda: sorted(one.state for one in made.refresh().tasks) == still)
        os.kill(second.process.pid, signal.SIGKILL)  # while all that is left waits
        second.process.wait(60)
        (wait,) = asks(made)
        assert wait["question"] == 'May writer.1 call publish with {"title": "b"}?'
        made.answer(wait["task"], wait["name"], {"approve": True}, by="ada")
        third = start()
        made.wait(60)
        assert made.result["plan"] == [{"title": t, "words": 7} for t in "abc"]
        assert made.task("plan").usage.requests == 2
        texts = [one.value for one in made.stream("plan", "model", follow=False)]
        assert "".join(texts) == "Let me see. "
        third.close()
        said = [line for worker in (first, second, third) for line in worker.lines]
        assert [line for line in said if KEY in line] == []
    assert set(Counter(api_turns(api)).values()) == {1}
    assert sorted(api_turns(api)) == [
        *[("A paper on tea", 0), ("A paper on tea", 1), ("Write a.", 0)],
        *[("Write b.", 0), ("Write b.", 1), ("Write c.", 0)],
    ]
    assert sorted((tmp_path / "notes").read_text().split("\n")) == [
        *("", "outline tea", "publish b"),
    ]
    assert set(api.keys) == {KEY}
    kept = [one for folder in (tmp_path, steady_home) for one in folder.rglob("*") if one.is_file()]
    assert [path for path in kept if KEY.encode() in path.read_bytes()] == []


def read_in_the_panel(hub, task, until):
    """Return what the panel shows of the words of a running task, once it shows some."""
    view = WorkflowPanel(hub)
    try:
        until(lambda: hub.workflows.list()[0].task(task).state == "active")
        view.panel.refresh()
        until(lambda: view.panel.state == "live")
        view._pick(task)
        shown = view.detail.stream.widget
        until(lambda: "see" in shown.value)
        return shown.value
    finally:
        view.panel.close()


def asks(workflow):
    """Return what a workflow asks people."""
    return [one for one in workflow.waits().dicts() if one["kind"] == "ask"]


def api_turns(api):
    """Return the question and the turn of each request."""
    return [
        (next(x["content"] for x in one["messages"] if x["role"] == "user"), turn)
        for one, turn in zip(api.requests, api.turns, strict=True)
    ]
