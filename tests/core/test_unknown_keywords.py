"""A keyword that a call does not have is a UsageError with the nearest that it has."""

from __future__ import annotations

import asyncio
import inspect
import re
from contextlib import contextmanager

import numpy as np
import pytest

import agentnb
from agentnb.core.errors import UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.queue import processor
from agentnb.core.workflow import Task, agent
from agentnb.testing import assert_events, run_until_idle
from tests.core.test_public_dir import PUBLIC, objects  # noqa: F401 - a fixture

WORD = "bogus_option"


# They take any keyword.
KEEPING = {
    *(("Tracer", "span"), ("Traces", "span"), ("Runtime", "log")),
    *(("GitHub", "paginate"), ("GitHub", "apaginate")),
}

# Their options are those of another call, which has to be given its arguments.
ARGUMENTS = {
    "Hub.api": ("http://127.0.0.1:1",),
    **dict.fromkeys(("Hub.websocket", "WebSockets.client"), ("ws://127.0.0.1:2",)),
    **dict.fromkeys(("Queues.add_task", "Queues.aadd_task"), ("q",)),
    "Queues.process_queue": ("q", print),
    "Orchestrator.agent": ("plan",),
}
ELSEWHERE = {
    "Hub.panel",  # the options are those of each panel
    # And those of each tool:
    *("MCPClient.call", "MCPClient.acall", "MCPClient.step", "MCPClient.astep"),
}


def arguments_of(kind, name, method):
    if f"{kind}.{name}" in ARGUMENTS:
        return ARGUMENTS[f"{kind}.{name}"]
    parameters = inspect.signature(method).parameters.values()
    if not any(one.kind is one.VAR_KEYWORD for one in parameters):
        return ()
    needed = [one for one in parameters if one.default is one.empty]
    return tuple("x" for one in needed if one.kind not in {one.VAR_KEYWORD, one.VAR_POSITIONAL})


async def called(method, *arguments):
    """Call a method with an unknown keyword, as far as it goes."""
    made = method(*arguments, **{WORD: 1})
    if inspect.isawaitable(made):
        made = await made
    if hasattr(made, "__anext__"):
        await anext(made)
    if hasattr(made, "__next__"):
        next(made)
    if hasattr(made, "__aenter__"):
        async with made:
            pass
    if hasattr(made, "__enter__"):
        with made:
            pass


@pytest.mark.parametrize("kind", [kind for kind in PUBLIC if kind != "RedisClient"])
def test_every_public_call_refuses_a_keyword_that_it_does_not_have(objects, kind):  # noqa: F811
    async def wrong(name):
        method = getattr(type(objects[kind]), name, None)
        if isinstance(method, property) or not callable(method):
            return None
        if f"{kind}.{name}" in ELSEWHERE or (kind, name) in KEEPING:
            return None
        bound = getattr(objects[kind], name)
        try:
            await called(bound, *arguments_of(kind, name, bound))
        except UsageError as error:
            return None if WORD in error.message and error.hint else f"{name}: {error!r}"
        except Exception as error:  # noqa: BLE001 - it is told
            return f"{name}: {error!r}"
        return f"{name}: taken"

    async def all_wrong():
        return [said for name in PUBLIC[kind].split() if (said := await wrong(name))]

    assert asyncio.run(all_wrong()) == []


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda _: agentnb.connect(databse_url="sqlite://"), "database_url"),
        (lambda _: agentnb.Hub(databse_url="sqlite://"), "database_url"),
        (lambda hub: hub.api("http://127.0.0.1:1", tiemout=1), "timeout"),
        (lambda hub: hub.api("http://127.0.0.1:1").get("/x", tiemout=1), "timeout"),
        (lambda hub: hub.queue("q").add(1, prioritty=1), "priority"),
        (lambda hub: hub.queues.add_task("q", 1, prioritty=1), "priority"),
        (lambda hub: hub.queue("q").work(concurency=1), "concurrency"),
        (lambda hub: hub.websocket("ws://127.0.0.1:2", heders={}), "headers"),
        (lambda hub: hub.docker.run("x", tiemout=1), "timeout"),
        (lambda hub: hub.docker.run_container("x", neetwork="y"), "network"),
        (lambda hub: hub.workflows.agent("x", atempts=1), "attempts"),
        (lambda hub: hub.workflows.create("x", taks=[]), "tasks"),
        (lambda hub: hub.cache.cached(tll=1), "ttl"),
        (lambda hub: hub.cache.get_or_set("k", dict, tll=1), "ttl"),
        (lambda hub: hub.files.write_file("a", "b", if_hsh="x"), "if_hash"),
        (lambda hub: hub.git.commit("x", dryrun=True), "dry_run"),
        (lambda hub: hub.db.transaction(tiemout=1), "timeout"),
        (lambda hub: hub.db.query("select 1", tiemout=1), "timeout"),
        (lambda hub: hub.db.session().transaction(tiemout=1), "timeout"),
        (lambda hub: hub.db.session().atransaction(tiemout=1), "timeout"),
        (lambda hub: hub.cache.inspect.table(lmit=1), "limit"),
        (lambda hub: hub.files.watch().wait(tiemout=1), "timeout"),
        (lambda hub: run_until_idle(hub, qeues=["q"]), "queues"),
        (lambda hub: assert_events(hub, [], onn="x"), "on"),
        (lambda _: Task("a", "b", ned=1), "needs"),
        (lambda _: agent("x", atempts=1), "attempts"),
        (lambda _: processor("q", shema=int), "schema"),
    ],
)
def test_the_hint_has_the_name_that_was_meant(objects, call, near):  # noqa: F811
    with pytest.raises(UsageError) as caught:
        call(objects["Hub"])
    assert f"did you mean {near}?" in caught.value.hint


@refuse_unknown("test")
class Sample:
    def run(self, *, size=1):
        return self.inner(siize=size)

    def inner(self, *, other=1):
        return other

    def fail(self, *, size=1):
        raise TypeError(f"{size} is wrong")

    def other(self):
        return plain(siize=1)

    @contextmanager
    def entered(self, *, size=1):
        yield size

    @staticmethod
    def alone(*, size=1):
        return size

    async def arun(self, *, size=1):
        return size


def plain(size=1):
    return size


def test_an_error_within_the_call_is_left_as_it_is():
    with pytest.raises(UsageError, match="inner has no option siize"):
        Sample().run()
    with pytest.raises(TypeError, match="1 is wrong"):
        Sample().fail()
    with pytest.raises(TypeError, match=r"plain\(\) got an unexpected keyword argument 'siize'"):
        Sample().other()
    with pytest.raises(TypeError, match="positional"):
        Sample().inner(1)


def test_methods_of_each_kind_are_checked_and_keep_what_they_are():
    sample = Sample()
    for call in (sample.entered, sample.alone, sample.run):
        with pytest.raises(UsageError, match="has no option siize") as caught:
            call(siize=1)
        assert caught.value.hint == "did you mean size?"
    with pytest.raises(UsageError, match="arun has no option siize"):
        asyncio.run(sample.arun(siize=1))
    with sample.entered(size=3) as size:
        assert size == 3
    assert (sample.alone(size=2), asyncio.run(sample.arun(size=4))) == (2, 4)
    assert inspect.iscoroutinefunction(Sample.arun)
    assert str(inspect.signature(Sample.run)) == "(self, *, size=1)"


def flags_of(one, names):
    """Yield the flags of the public methods of an object, with the arguments that each needs."""
    for name in names.split():
        method = getattr(type(one), name, None)
        if isinstance(method, property) or not callable(method):
            continue
        parameters = inspect.signature(method).parameters.values()
        by_place = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
        needed = [one for one in parameters if one.default is one.empty and one.kind in by_place]
        flags = [one.name for one in parameters if one.annotation in {"bool", "bool | None"}]
        yield from ((name, flag, ["x"] * (len(needed) - 1)) for flag in flags)


@pytest.mark.parametrize("kind", [kind for kind in PUBLIC if kind != "RedisClient"])
def test_every_flag_of_a_public_call_is_true_or_false(objects, kind):  # noqa: F811
    async def wrong(name, flag, arguments, value):
        try:
            made = getattr(objects[kind], name)(*arguments, **{flag: value})
            if inspect.isawaitable(made):
                await made
            elif hasattr(made, "__anext__"):
                await anext(made)
        except UsageError as error:
            allowed = rf"{flag} must be True(,| or) False( or None)?, got {re.escape(repr(value))}"
            if re.search(allowed, error.message) and error.hint:
                return None
            return f"{name}({flag}=): {error!r}"
        except Exception as error:  # noqa: BLE001 - it is told
            return f"{name}({flag}=): {error!r}"
        return f"{name}({flag}=): taken"

    async def all_wrong():
        found = [
            await wrong(name, flag, arguments, value)
            for name, flag, arguments in flags_of(objects[kind], PUBLIC[kind])
            for value in ("no", 1)
        ]
        return [said for said in found if said is not None]

    assert asyncio.run(all_wrong()) == []


@pytest.mark.parametrize(
    ("call", "flag"),
    [
        (lambda hub: hub.cache.cached(local="no")(len), "local"),
        (lambda hub: hub.queue("q").schedule("s", every=5, lifo="no"), "lifo"),
        (lambda hub: hub.api("http://127.0.0.1:1", follow_redirects="no"), "follow_redirects"),
        (lambda hub: hub.api("http://127.0.0.1:1", cookies="no"), "cookies"),
        (
            lambda hub: hub.api("http://127.0.0.1:1").get("/", follow_redirects="no"),
            "follow_redirects",
        ),
        (lambda hub: hub.websocket("ws://127.0.0.1:2", json="no"), "json"),
        (lambda hub: hub.docker.run("x", "true", tty="no"), "tty"),
        (lambda hub: hub.workflows.get("w").stream("a", follow="no"), "follow"),
        (lambda hub: hub.workflows.get("w").stream("a", follow=None), "follow"),
        (lambda hub: anext(hub.workflows.get("w").astream("a", follow="no")), "follow"),
        (lambda hub: hub.workflows.create("x", tasks=[Task("a", approval="no")]), "approval"),
        (lambda hub: run_until_idle(hub, skip="no"), "skip"),
    ],
)
def test_a_flag_within_the_options_of_a_call_is_true_or_false(objects, call, flag):  # noqa: F811
    hub = objects["Hub"]
    if not hub.workflows.list():
        hub.workflows.agent("a", print)
        hub.workflows.create("w", tasks=[Task("a")])

    async def called():
        made = call(hub)
        if inspect.isawaitable(made):
            await made

    allowed = rf"{flag} must be True(,| or) False( or None)?, got ('no'|None)"
    with pytest.raises(UsageError, match=allowed):
        asyncio.run(called())


def test_a_flag_is_taken_by_position_from_numpy_and_as_none_where_it_may_be():
    @refuse_unknown("test")
    def call(first: int, flag: bool = False, *, other: bool | None = None) -> tuple:  # noqa: FBT001, FBT002
        return first, flag, other

    assert call(1, True, other=None) == (1, True, None)  # noqa: FBT003
    assert call(1, flag=np.bool_(1)) == (1, True, None)
    for refused in ({"args": (1, "no")}, {"args": (1, None)}, {"args": (1,), "other": 0}):
        with pytest.raises(UsageError, match=r"must be True(,| or) False"):
            call(*refused.pop("args"), **refused)
