"""A PostgreSQL that accepts connections and never answers."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from agentnb.core.db import Database
from agentnb.core.errors import DeadlineExceeded, UsageError
from tests.listening import Listener, Relay

SILENT = r"(did not answer within|connect took longer than) 0\.3 s"


@pytest.fixture
def silent():
    """Return a database whose server accepts and never answers."""
    with Listener() as server, Database(f"postgresql://u@127.0.0.1:{server.port}/x") as db:
        yield db


def seconds_of(call):
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=SILENT):
        call()
    return time.monotonic() - began


def test_the_first_connection_is_given_up_at_the_time_out_of_the_call(silent):
    assert seconds_of(lambda: silent.query("select 1", timeout=0.3)) < 4


def test_so_it_is_where_the_call_is_awaited(silent):
    assert seconds_of(lambda: asyncio.run(silent.aquery("select 1", timeout=0.3))) < 4


def test_so_it_is_while_another_thread_connects(silent, until):
    def connect():
        with pytest.raises(DeadlineExceeded):
            silent.query("select 1", timeout=3)

    other = threading.Thread(target=connect)
    other.start()
    until(lambda: silent.access.pool._turn is not None)
    assert seconds_of(lambda: silent.query("select 1", timeout=0.3)) < 4
    other.join()


def test_an_awaited_call_that_is_cancelled_does_not_wait_for_the_connection(silent):
    async def call():
        async with asyncio.timeout(0.3):
            await silent.aquery("select 1")

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(call())
    assert time.monotonic() - began < 4


def test_a_connection_that_comes_too_late_is_closed(fresh_url, until):
    path = Path(parse_qs(urlsplit(fresh_url).query)["host"][0]) / ".s.PGSQL.5432"
    held = threading.Event()

    def passes(*_):
        held.wait(20)
        return True

    with Relay(path, passes) as relay:
        name = urlsplit(fresh_url).path
        with Database(f"postgresql://postgres@127.0.0.1:{relay.port}{name}") as db:
            assert seconds_of(lambda: db.query("select 1", timeout=0.3)) < 4
            held.set()
            with Database(fresh_url) as other:
                sql = "select count(*) from pg_stat_activity where datname = :name"
                count = lambda: other.query(sql, {"name": name[1:]}).scalar()  # noqa: E731
                until(lambda: count() == 1)
            assert db.query("select 1", timeout=20).scalar() == 1


def test_a_time_out_of_0_is_refused(silent):
    with pytest.raises(UsageError, match="timeout must be greater than 0 s, got 0"):
        silent.query("select 1", timeout=0)


def test_a_server_that_hangs_up_is_unavailable_at_once():
    with Listener(lambda link: link.shutdown(socket.SHUT_RDWR)) as server:
        url = f"postgresql://u@127.0.0.1:{server.port}/x"
        with Database(url) as db, pytest.raises(Exception, match="cannot be reached"):
            db.query("select 1")
