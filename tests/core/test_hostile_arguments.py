"""Every public method, with arguments that no caller should give: only errors that say so."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import tempfile
import traceback
from pathlib import Path

import pytest

import agentnb
from agentnb.core.errors import AgentnbError


class Odd:
    """A value of a class that nothing knows."""


HOSTILE = {
    "an object": Odd(),
    "none": None,
    "bytes": b"\x00\xff",
    "a list": ["\ud800"],
    "a dict": {1: 2},
    "a huge number": 10**30,
    "infinity": float("inf"),
    "no number": float("nan"),
    "a negative number": -1,
    "an empty text": "",
    "a NUL": "a\0b",
    "a lone surrogate": "a\ud800b",
    "a long text": "x" * 200_000,
    "another text": "abc",
}

# What the other arguments are, by their names, so that the hostile one is reached.
GOOD = {
    "agent": "a",
    "base_url": "http://127.0.0.1:1/v1",
    "body": "x",
    "branch": "main",
    "channel": "c",
    "columns": "a",
    "container": "c",
    "content": "x",
    "context": None,
    "data": None,
    "destination": "b.txt",
    "directory": "d",
    "event": "message",
    "files": "a.txt",
    "handler": print,
    "head": "h",
    "image": "i:1",
    "job_id": "q-1",
    "key": "k",
    "letter": "1-0",
    "loader": int,
    "message": "m",
    "method": "GET",
    "name": "n",
    "new": "y",
    "number": 1,
    "old": "x",
    "older_than": 1e9,
    "path": "a.txt",
    "pattern": "x*",
    "processor": print,
    "remote": "origin",
    "repository": "o/r",
    "revision": "HEAD",
    "source": "a.txt",
    "sql": "select 1",
    "step": "s",
    "steps": [],
    "table": "t",
    "tag": "t:1",
    "task": "t",
    "tasks": [],
    "text": "x",
    "title": "t",
    "timeout": 0.02,
    "url": "http://127.0.0.1:1/",
    "value": 1,
    "workflow": "1",
}

# Methods that end what the others need, and hooks that take objects of the core's own.
LEFT_OUT = {
    "hub": {"close", "stop", "reset", "panel"},
    "settings": {"load"},
    "db": {"arrow_result", "begun", "checkout", "error_of", "mark", "rendered", "run", "settle"}
    | {"arun", "translated"},
    "events": {"attachment", "failed"},
    "queue": {"forget_processor", "gone", "job_of", "note_result", "redact"},
    "websocket": {"secrets"},
    "workflows": {"counts", "relay_once", "waited"},
    "git": {"at"},
}

SERVICES = {
    "hub": lambda hub: hub,
    "settings": lambda hub: hub.settings,
    "db": lambda hub: hub.db,
    "databases": lambda hub: hub.databases,
    "cache": lambda hub: hub.cache,
    "events": lambda hub: hub.events,
    "queues": lambda hub: hub.queues,
    "queue": lambda hub: hub.queue("q"),
    "job": lambda hub: hub.queue("q").add(1),
    "batch": lambda hub: hub.queue("q").map(None, [1]),
    "files": lambda hub: hub.files,
    "git": lambda hub: hub.repo("."),
    "api": lambda hub: hub.api("http://127.0.0.1:1"),
    "apis": lambda hub: hub.apis,
    "github": lambda hub: hub.github,
    "websocket": lambda hub: hub.websocket("ws://127.0.0.1:1"),
    "websockets": lambda hub: hub.websockets,
    "docker": lambda hub: hub.docker,
    "workflows": lambda hub: hub.workflows,
}


@pytest.fixture(scope="module")
def hub(left_homes):
    # Not under pytest's folder, whose path is too long for a socket.
    folder = tempfile.TemporaryDirectory(
        prefix="agentnb-hostile-", dir="/tmp", ignore_cleanup_errors=True
    )
    place = Path(folder.name)
    (place / "workspace").mkdir()
    with agentnb.connect(
        home=place / "home",
        workspace=place / "workspace",
        docker_host=f"unix://{place}/no.sock",
        github_url="http://127.0.0.1:1",
    ) as hub:
        hub.files.write_file("a.txt", "x")
        hub.repo(".").initialize()
        yield hub
    left_homes(folder, __name__)


@pytest.mark.filterwarnings("ignore")  # of coroutines that were never awaited, and of the values
@pytest.mark.parametrize("service", SERVICES)
def test_hostile_arguments_raise_our_errors_or_type_errors(hub, service, monkeypatch):
    # The ``tables`` of another test's database may be hostile, too.
    monkeypatch.chdir(hub.settings.workspace)
    with contextlib.suppress(AgentnbError):
        hub.db.execute("create table t(a integer)")
    found = SERVICES[service](hub)
    faults = []
    with asyncio.Runner() as runner:
        for name, method in _methods(found, LEFT_OUT.get(service, set())):
            for parameter, label in itertools.product(_parameters(method), HOSTILE):
                if (parameter.name, label) == ("timeout", "none"):
                    continue  # which rightly waits for ever
                fault = _fault(runner, method, parameter, label)
                if fault is not None:
                    faults.append(f"{service}.{name}({parameter.name}={label}): {fault}")
    assert not faults, "\n".join(faults)
    assert not hub.closed


def _methods(found, left_out):
    for name in dir(type(found)):
        static = inspect.getattr_static(type(found), name)
        hidden = name.startswith("_") or name in {"close", "aclose", *left_out}
        # A twin calls the method that is tried itself.
        hidden |= name in {f"a{one}" for one in _wrapped_names(static)}
        if not hidden and not isinstance(static, property) and callable(getattr(found, name)):
            yield name, getattr(found, name)


def _wrapped_names(found):
    while (found := getattr(found, "__wrapped__", None)) is not None:
        yield getattr(found, "__name__", "")


def _parameters(method):
    return list(inspect.signature(method).parameters.values())


def _fault(runner, method, hostile, label):
    """Return what another error than ours and TypeError was, None if there was none."""
    args, options = [], {}
    positional = {hostile.POSITIONAL_ONLY, hostile.VAR_POSITIONAL}
    if hostile.kind is hostile.VAR_POSITIONAL:
        positional.add(hostile.POSITIONAL_OR_KEYWORD)
    for one in _parameters(method):
        value = HOSTILE[label]
        if one.name != hostile.name:
            optional = one.default is not one.empty and one.name != "timeout"
            if optional or one.kind in {one.VAR_KEYWORD, one.VAR_POSITIONAL}:
                continue
            value = GOOD.get(one.name, value)
        if one.kind is one.VAR_KEYWORD:
            options["unknown"] = value
        elif one.kind in positional:
            args.append(value)
        else:
            options[one.name] = value
    try:
        _consume(runner, method(*args, **options))
    except (AgentnbError, TypeError):
        return None
    except Exception as error:  # noqa: BLE001 - it is the fault that is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {last.filename}:{last.lineno}: {error!s:.80}"
    return None


def _consume(runner, result):
    """Use a result as a caller does, and end it."""
    if inspect.iscoroutine(result):
        result = runner.run(_awaited(result))
    if inspect.isgenerator(result):
        with contextlib.closing(result):
            list(itertools.islice(result, 2))
    elif isinstance(result, contextlib.AbstractContextManager):
        if type(result).__name__ not in {"Database", "EventBus", "Hub", "APIClient"}:
            with result:
                pass
    elif type(result).__name__ in {"Subscription", "Worker", "Watcher"}:
        result.stop() if hasattr(result, "stop") else result.close()


async def _awaited(coroutine):
    return await coroutine
