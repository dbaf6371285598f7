"""The keyword options of public functions are typed, and equal to those that they reach."""

from __future__ import annotations

import inspect

import pytest

from agentnb.core.api import APIClient
from agentnb.core.api.arguments import ClientOptions
from agentnb.core.cache import Cache
from agentnb.core.cache.decorating import LoadOptions
from agentnb.core.events import EventBus
from agentnb.core.events.arguments import StreamOptions, SubscribeOptions
from agentnb.core.queue import Queue
from agentnb.core.queue.arguments import AddOptions, WorkOptions
from agentnb.core.settings import FIELDS, Settings, SettingsArguments
from agentnb.core.websocket import WebSocketClient
from agentnb.core.websocket.arguments import WebSocketOptions
from agentnb.core.workflow.agents import AgentOptions, agent

# The type of a setting, and the types that its argument is given as.
GIVEN = {
    "Path": "str | os.PathLike[str] | None",
    "str": "str | None",
    "Secret": "str | None",
    "tuple[str, ...]": "str | None",
    "int": "int | str | None",
    "float": "float | str | None",
    "bool": "bool | str | None",
}


def test_the_typed_settings_are_the_fields():
    assert list(SettingsArguments.__annotations__) == [field.name for field in FIELDS]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_setting_is_given_as_the_type_that_it_has(field):
    kind = Settings.__annotations__[field.name].removesuffix(" | None")
    expected = "str | None" if field.name == "log_level" else GIVEN[kind]
    assert SettingsArguments.__annotations__[field.name].__forward_arg__ == expected


def parameters(function):
    """Return the names and types of a function's keyword-only parameters."""
    found = inspect.signature(function).parameters.values()
    return {one.name: one.annotation for one in found if one.kind is one.KEYWORD_ONLY}


def typed(options):
    """Return the names and types of a TypedDict."""
    return {name: kind.__forward_arg__ for name, kind in options.__annotations__.items()}


# A function's options, the function that takes them in the end, and those that it is given besides.
REACHED = [
    (AgentOptions, agent, set()),
    (ClientOptions, APIClient.__init__, {"breakers", "runtime"}),
    (LoadOptions, Cache.get_or_set, set()),
    (AddOptions, Queue.add, set()),
    (SubscribeOptions, EventBus.subscribe, {"schema"}),
    (StreamOptions, EventBus.stream, {"schema"}),
    (WebSocketOptions, WebSocketClient.__init__, {"runtime"}),
    (WorkOptions, Queue.work, {"concurrency", "schema"}),
]


@pytest.mark.parametrize(
    ("options", "function", "besides"), REACHED, ids=[one[0].__name__ for one in REACHED]
)
def test_typed_options_are_those_of_the_function_that_they_reach(options, function, besides):
    taken = parameters(function)
    assert besides <= taken.keys()
    assert typed(options) == {name: kind for name, kind in taken.items() if name not in besides}
