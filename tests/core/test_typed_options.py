"""The keyword options of public functions are typed, and equal to those that they reach."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import fields

import pytest

from agentnb.core.api import APIClient
from agentnb.core.api.arguments import ClientOptions
from agentnb.core.cache import Cache
from agentnb.core.cache.decorating import LoadOptions
from agentnb.core.docker import DockerManager
from agentnb.core.docker.arguments import (
    ContainerArguments,
    ExecArguments,
    LogArguments,
    ServiceArguments,
)
from agentnb.core.docker.options import ContainerOptions
from agentnb.core.events import EventBus
from agentnb.core.events.arguments import StreamOptions, SubscribeOptions
from agentnb.core.queue import Queue
from agentnb.core.queue.arguments import AddOptions, MapOptions, ScheduleOptions, WorkOptions
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
    (MapOptions, Queue.map, set()),
    (MapOptions, Queue.amap, set()),
    (ScheduleOptions, Queue.add, {"delay", "key"}),
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


def test_the_typed_options_of_a_container_are_its_options():
    known = {one.name for one in fields(ContainerOptions)}
    assert ContainerArguments.__annotations__.keys() == known | {"env_file"}
    assert typed(ServiceArguments).keys() == known | {"env_file", "pull"}


@pytest.mark.parametrize(
    ("options", "function"),
    [(LogArguments, DockerManager.get_container_logs), (ExecArguments, DockerManager.exec)],
    ids=["logs", "exec"],
)
def test_the_typed_options_of_a_service_are_those_of_its_container(options, function):
    taken = parameters(function)
    assert typed(options) == {name: taken[name] for name in typed(options)}
    assert taken.keys() - typed(options).keys() <= {"follow", "timeout"}


# Functions whose keywords may have any name, and the reason.
FREE = {
    "Worker.__init__": "it is made by Queue.work and Orchestrator.work",
    "ServiceLog.__init__": "they are the data of log records, which are the caller's",
    "Hub.panel": "each panel has options of its own, and a panel is no part of the core",
    "GitHub.paginate": "they are the parameters of a query, which are GitHub's",
    "GitHub.apaginate": "as paginate",
    "Span.note": "they are the attributes of a span, which are the caller's",
    "Tracer.span": "as Span.note",
    "RedisClient.execute_command": "they are redis-py's",
    "RedisClient.pubsub": "they are redis-py's",
}
PACKAGES = [
    *("agentnb", "agentnb.testing", "agentnb.core.settings", "agentnb.core.table"),
    *(f"agentnb.core.{name}" for name in ("api", "cache", "db", "docker", "events", "files")),
    *(f"agentnb.core.{name}" for name in ("git", "queue", "redis", "trace", "websocket")),
    "agentnb.core.workflow",
]


def public_functions():
    """Yield the public functions and methods of agentnb, by their names."""
    for package in map(importlib.import_module, PACKAGES):
        for name in package.__all__:
            found = getattr(package, name)
            if inspect.isfunction(found):
                yield name, found
            if not inspect.isclass(found):
                continue
            for method in dir(found):
                function = getattr(found, method, None)
                of_agentnb = getattr(function, "__module__", "") or ""
                if (
                    (not method.startswith("_") or method == "__init__")
                    and inspect.isroutine(function)
                    and callable(function)  # a cached property is a routine on Python 3.13
                    and of_agentnb.startswith("agentnb")
                ):
                    yield f"{name}.{method}", function


def untyped(function):
    """Return whether a function takes keywords of any name or type."""
    kinds = [
        one.annotation
        for one in inspect.signature(function).parameters.values()
        if one.kind is one.VAR_KEYWORD
    ]
    return any(kind in {"Any", "object", inspect.Parameter.empty} for kind in kinds)


def test_every_option_of_a_public_function_is_typed():
    functions = dict(public_functions())
    assert {"connect", "Hub.api", "Queue.add", "Context.step", "DockerManager.arun"} <= {*functions}
    assert {name for name, function in functions.items() if untyped(function)} == {*FREE}
