"""A fake of the chat API, workflows on SQLite, and what asks a model in a task."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from agentnb.core.db import Database
from agentnb.core.workflow import Orchestrator, Task, TaskFailed

SCRIPTS = Path(__file__).parents[2] / "notebooks" / "scripts"
KEY = "sk-canary-0123456789"


def load_chat_api():
    """Return the module of the fake, which the tutorial has, too."""
    if "chat_api" not in sys.modules:
        spec = importlib.util.spec_from_file_location("chat_api", SCRIPTS / "chat_api.py")
        module = sys.modules["chat_api"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["chat_api"]


@pytest.fixture(scope="session")
def chat_api():
    return load_chat_api()


@pytest.fixture
def serve(chat_api):
    """Return what starts a fake that answers by a function, or by a list of answers."""
    apis = []

    def start(answer):
        if not callable(answer):
            answers = iter(answer)
            apis.append(chat_api.ChatAPI(lambda _: next(answers)))
        else:
            apis.append(chat_api.ChatAPI(answer))
        return apis[-1]

    yield start
    for api in apis:
        api.close()


@pytest.fixture
def flows(tmp_path):
    with Orchestrator(Database(f"sqlite:///{tmp_path}/a.db"), owns_database=True) as made:
        yield made


def model_of(api, name="fake"):
    """Return a model that asks a fake."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return OpenAIChatModel(name, provider=OpenAIProvider(base_url=api.url, api_key=KEY))


def run(flows, agent, data="hi", **options):
    """Run a task by an agent to its end, and return its workflow."""
    flows.agent("one", **{"backoff": 0.01, **options})(agent)
    flows.work()
    made = flows.create("w", [Task("t", agent="one", data=data)])
    with suppress(TaskFailed):
        made.wait(30)
    return made


def steps(flows, made):
    """Return the names of the steps of a task, in the order in which they were kept."""
    return list(flows._reader.steps(made.task("t").id))
