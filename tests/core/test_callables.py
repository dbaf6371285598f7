"""A function that needs what it is not given is refused when it is given."""

from __future__ import annotations

import functools

import pytest

import agentnb
from agentnb.core.callables import check_takes
from agentnb.core.errors import UsageError


class Wide:
    def execute(self, data, ctx):
        return data, ctx


class Narrow:
    @staticmethod
    def execute(data):
        return data


class Needy:
    def execute(self, data, ctx, database):
        return data, ctx, database


@pytest.fixture
def hub(tmp_path):
    with agentnb.connect(home=tmp_path / "home", start=tmp_path) as hub:
        yield hub


@pytest.mark.parametrize(
    "function",
    [
        lambda: 1,
        lambda job, database: (job, database),
        lambda job, *, database: (job, database),
    ],
    ids=["nothing", "two", "keyword"],
)
def test_a_processor_and_a_handler_are_given_one_thing(hub, function):
    with pytest.raises(UsageError, match="the processor is called with job alone") as caught:
        hub.queue("q").work(function)
    assert "job.hub" in caught.value.hint
    assert hub.queue("q").worker is None
    with pytest.raises(UsageError, match="the handler is called with event alone"):
        hub.events.subscribe("a", function)
    assert hub.events.subscriptions() == []


def three(task, ctx, database):
    return task, ctx, database


def keyword(task, *, database):
    return task, database


def one(task):
    return task


def any_number(*both):
    return both


def test_an_agent_is_given_a_task_and_its_context(hub):
    for target in (three, keyword, lambda: 1, Needy):
        with pytest.raises(UsageError, match="agent plan is called with"):
            hub.workflows.agent("plan")(target)
    assert hub.workflows.agents().rows == []
    for target in (one, any_number, Wide, Narrow, Wide()):
        hub.workflows.agent("plan")(target)
    assert len(hub.workflows.agents()) == 1


def more(job, size=1):
    return job, size


def test_what_can_be_called_is_taken():
    for function in (print, len, dict, functools.partial(max, 1), more, Wide):
        given = () if function is Wide else ("job",)
        check_takes(function, *given, name="it", service="queue", hint="")


def test_a_handler_of_a_websocket_is_given_what_its_kind_has(hub):
    client = hub.websocket("ws://127.0.0.1:1")
    for kind, wrong in (("message", lambda: 1), ("connected", print_one), ("error", lambda: 1)):
        with pytest.raises(UsageError, match=f"a handler of '{kind}' is called with") as caught:
            client.on(kind, wrong)
        assert caught.value.hint.startswith(f"client.on('{kind}', lambda")
    client.on("message", print_one)
    client.on("connected", lambda: 1)


def print_one(message):
    return message
