"""The end of a ``with`` block never replaces an error of the block."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil

import pytest

import agentnb
import agentnb.core
from agentnb.core.api import APIClient
from agentnb.core.api.stream import AsyncStreamReply, StreamReply
from agentnb.core.closing import close_all
from agentnb.core.db import Database
from agentnb.core.errors import UnavailableError

from .api_server import says

# Spans and contexts, locks, folders, files that go when they are not kept; and those that raise
# another error for the block's.
_OTHERS = {
    *("_Use.__exit__", "Span.__exit__", "_Guard.__exit__", "OpeningLock.__exit__"),
    *("Entry.__exit__", "Watchdog.__exit__", "_Watching.__exit__", "_Loan.__exit__"),
    *("OpenSpan.__exit__", "Streaming.__exit__", "_Set.__exit__", "insert.__exit__"),
    *("FrozenClock.__exit__", "Unit.__exit__", "Target.__exit__"),
    *("Call.__exit__", "Explained.__exit__", "Translated.__exit__"),
    *("AwaitedTransaction.__aexit__", "InlineWorker.__exit__", "Signals.__exit__"),
}
_CLOSERS = {
    "SpanExport": "stop",
    "Worker": "stop",
    "Service": "stop",
    "WebSocketClient": "disconnect",
}


def contexts():
    """Return each class of the core that is a context manager of its own, and what it calls."""
    found = {}
    for info in pkgutil.walk_packages(agentnb.core.__path__, "agentnb.core."):
        if "migrations" in info.name:
            continue
        module = importlib.import_module(info.name)
        for cls in vars(module).values():
            if inspect.isclass(cls) and cls.__module__ == module.__name__:
                for name in ("__exit__", "__aexit__"):
                    if name in vars(cls):
                        found[f"{cls.__qualname__}.{name}"] = cls
    return found


CONTEXTS = contexts()


def test_each_context_manager_is_known():
    assert CONTEXTS.keys() >= _OTHERS


@pytest.fixture(params=sorted(CONTEXTS.keys() - _OTHERS))
def leaving(request, monkeypatch):
    """Return a function that leaves a block of one class, whose closing fails, with an error."""
    cls = CONTEXTS[request.param]
    made = object.__new__(cls)
    awaits = request.param.endswith("__aexit__")
    name = ("a" if awaits else "") + _CLOSERS.get(cls.__name__, "close")

    def fail(*_, **__):
        raise OSError("password=hunter22")

    async def afail(*_, **__):
        fail()

    monkeypatch.setattr(cls, name, afail if awaits else fail)

    def leave(error):
        kind = type(error) if error else None
        if awaits:
            return asyncio.run(made.__aexit__(kind, error, None))
        return made.__exit__(kind, error, None)

    return leave


def test_an_error_of_the_block_stays_and_has_a_note_of_the_one_of_closing(leaving):
    error = KeyError("the real error")
    assert not leaving(error)
    (note,) = error.__notes__
    assert note.startswith("closing failed as well: OSError: password=")
    assert "hunter22" not in note


def test_an_error_of_closing_is_raised_after_a_block_without_one(leaving):
    with pytest.raises(OSError, match="hunter22"):
        leaving(None)


def away(**more):
    return agentnb.connect(redis_url="redis://127.0.0.1:1/0", database_url="sqlite://", **more)


def test_a_hub_with_events_that_were_never_sent_raises_the_error_of_its_block(tmp_path, caplog):
    with pytest.raises(KeyError, match="the real error") as caught, away(home=tmp_path) as hub:
        hub.events.publish("a", 1)
        raise KeyError("the real error")
    assert "never sent" in caught.value.__notes__[0]
    assert any(
        (one.name, one.levelname) == ("agentnb.events", "WARNING") and "never sent" in one.message
        for one in caplog.records
    )


def test_a_close_in_finally_keeps_the_error_before_it_as_its_context(tmp_path):
    hub = away(home=tmp_path)
    with pytest.raises(UnavailableError, match="never sent") as caught:
        try:
            hub.events.publish("a", 1)
            raise KeyError("the real error")
        finally:
            hub.close()
    assert isinstance(caught.value.__context__, KeyError)


def test_all_services_are_closed_and_the_first_error_has_the_others_as_notes(tmp_path):
    hub = agentnb.connect(home=tmp_path, database_url="sqlite://")
    closed = []

    def fail(text):
        closed.append(text)
        raise OSError(text)

    for service, text in ((hub.db, "third"), (hub.files, "second"), (hub.apis, "first")):
        owner = hub.databases if service is hub.db else service
        owner.close = lambda text=text: fail(text)
    with pytest.raises(OSError, match="first") as caught:
        hub.close()
    assert closed == ["first", "second", "third"]
    assert [note.rpartition(" ")[2] for note in caught.value.__notes__] == ["second", "third"]
    assert hub.stop() == []


def test_a_ctrl_c_while_closing_comes_before_an_error_of_closing():
    def fail():
        raise OSError("full")

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        close_all([fail, interrupted])
    assert caught.value.__notes__ == ["closing failed as well: OSError: full"]


@pytest.mark.parametrize("session", [False, True], ids=["pool", "session"])
def test_a_transaction_whose_rollback_fails_raises_the_error_of_its_block(tmp_path, session):
    with Database(f"sqlite:///{tmp_path}/a.db") as db:
        owner = db.session() if session else db
        with pytest.raises(KeyError, match="the real error"), owner.transaction() as tx:
            tx.execute("create table t (a)")
            tx.access._connection.connection.driver_connection.close()
            raise KeyError("the real error")
        assert db.query("select 1").scalar() == 1


@pytest.mark.parametrize("session", [False, True], ids=["pool", "session"])
def test_an_awaited_transaction_whose_rollback_fails_raises_the_error_of_its_block(
    tmp_path, session
):
    async def spoil(owner):
        async with owner.atransaction() as tx:
            await tx.aexecute("create table t (a)")
            tx.access._connection.connection.driver_connection.close()
            raise KeyError("the real error")

    with Database(f"sqlite:///{tmp_path}/a.db") as db:
        with pytest.raises(KeyError, match="the real error"):
            asyncio.run(spoil(db.session() if session else db))
        assert db.query("select 1").scalar() == 1


def test_an_awaited_hub_with_events_that_were_never_sent_raises_the_error_of_its_block(tmp_path):
    async def lose():
        async with away(home=tmp_path) as hub:
            await hub.events.apublish("a", 1)
            raise KeyError("the real error")

    with pytest.raises(KeyError, match="the real error") as caught:
        asyncio.run(lose())
    assert "never sent" in caught.value.__notes__[0]


def test_a_reply_that_cannot_be_closed_raises_the_error_of_its_block(web, monkeypatch):
    web.on("/x", says(200, {}), says(200, {}))
    close, aclose = StreamReply.close, AsyncStreamReply.aclose

    def fail(reply):
        close(reply)
        raise OSError("gone")

    async def afail(reply):
        await aclose(reply)
        raise OSError("gone")

    async def read():
        async with APIClient(web.url) as api, api.astream("GET", "/x"):
            raise KeyError("the real error")

    monkeypatch.setattr(StreamReply, "close", fail)
    monkeypatch.setattr(AsyncStreamReply, "aclose", afail)
    with (
        APIClient(web.url) as api,
        pytest.raises(KeyError, match="the real error"),
        api.stream("GET", "/x"),
    ):
        raise KeyError("the real error")
    with pytest.raises(KeyError, match="the real error"):
        asyncio.run(read())
