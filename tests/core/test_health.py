"""The health of a hub: all services at once, within the time, whether opened or not."""

from __future__ import annotations

import socket
import subprocess
import threading
import time

import pytest

import agentnb
from agentnb.core import services
from agentnb.core.errors import UnavailableError, UsageError
from agentnb.core.redis.binary import find_binary
from agentnb.core.services.entry import Check

SOON = 4.0  # seconds; a time-out of 0.5 s is long over, the default one of a call is not


@pytest.fixture
def silent():
    """Return the port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def connect(home, port):
    return agentnb.connect(
        home=home,
        start=home,
        redis_url=f"redis://127.0.0.1:{port}/0",
        database_url=f"postgresql://ada:hunter22x@127.0.0.1:{port}/x",
    )


def test_servers_that_were_never_opened_are_asked_and_are_away(tmp_path, free_port):
    with connect(tmp_path, free_port) as hub:
        rows = {row.service: row for row in hub.health(timeout=30)}
        assert [(name, row.kind) for name, row in rows.items()] == [
            ("db default", "postgresql"),
            ("redis", "redis"),
        ]
        assert all("cannot be reached" in row.state for row in rows.values())
        found = hub.ready(timeout=30)
        assert not found
        assert not found.ok
        assert found.services.keys() == rows.keys()
        assert "hunter22x" not in repr(found)


def test_servers_that_never_answer_delay_nothing_beyond_the_time(tmp_path, silent):
    with connect(tmp_path, silent) as hub:
        for _ in range(3):
            started = time.monotonic()
            found = hub.ready(timeout=0.5)
            assert time.monotonic() - started < SOON
            assert found.services.keys() == {"db default", "redis"}
            assert all("DeadlineExceeded" in state for state in found.services.values())
        waiting = [one for one in threading.enumerate() if one.name == "agentnb-health"]
        assert len(waiting) <= 2


def test_services_are_asked_at_the_same_time(tmp_path, monkeypatch):
    both = threading.Barrier(2)
    checks = {
        services.FILES: lambda _: [Check("files", "x", lambda _: both.wait(20))],
        services.APIS: lambda _: [Check("api", "x", lambda _: both.wait(20))],
    }
    for service, rows in checks.items():
        monkeypatch.setattr(service, "checks", rows)
    with agentnb.connect(home=tmp_path, start=tmp_path) as hub:
        _ = hub.files, hub.apis
        assert hub.health(timeout=30).column("state") == ["ok", "ok"]


def test_a_service_that_hangs_has_one_thread_and_is_well_once_it_answers(tmp_path, monkeypatch):
    goes_on, calls = threading.Event(), []

    def ping(_seconds):
        calls.append(1)
        goes_on.wait(60)

    monkeypatch.setattr(services.FILES, "checks", lambda _: [Check("files", "x", ping)])
    with agentnb.connect(home=tmp_path, start=tmp_path) as hub:
        _ = hub.files
        states = [hub.health(timeout=0.05).column("state") for _ in range(5)]
        assert states == [["DeadlineExceeded: no answer within 0.05 s"]] * 5
        assert len(calls) == 1
        goes_on.set()
        assert hub.ready(timeout=30)


def test_an_unexpected_error_is_a_state_without_secrets(tmp_path, monkeypatch):
    def ping(_seconds):
        raise RuntimeError("no postgresql://ada:hunter22x@h/x")

    monkeypatch.setattr(services.FILES, "checks", lambda _: [Check("files", "x", ping)])
    with agentnb.connect(home=tmp_path, start=tmp_path) as hub:
        _ = hub.files
        [state] = hub.health(timeout=30).column("state")
    assert state.startswith("RuntimeError: no postgresql://ada:")
    assert "hunter22x" not in state


def test_a_hub_with_nothing_opened_is_ready_by_its_database_alone(tmp_path):
    with agentnb.connect(home=tmp_path / "home", start=tmp_path) as hub:
        assert [row[:3] for row in hub.health()] == [
            ("db default", "sqlite", "not opened"),
            ("redis", "embedded", "not opened"),
        ]
        assert not (tmp_path / "home").exists()
        assert hub.ready(timeout=30).services == {"db default": "ok"}
    assert not hub.ready()
    assert hub.ready().services == {}


def test_a_home_that_cannot_be_made_is_not_ready(tmp_path):
    (tmp_path / "file").touch()
    with agentnb.connect(home=tmp_path / "file" / "home", start=tmp_path) as hub:
        found = hub.ready(timeout=30)
    assert not found.ok
    assert "the home folder cannot be used" in found.services["db default"]


def test_a_redis_that_is_back_is_well_at_once_although_it_was_left_alone(tmp_path, free_port):
    with agentnb.connect(
        home=tmp_path, start=tmp_path, redis_url=f"redis://127.0.0.1:{free_port}/0"
    ) as hub:
        for _ in range(5):
            with pytest.raises(UnavailableError):
                hub.redis.within(0.05).get("k")
        assert hub.redis._manager.breaker.state == "open"
        assert not hub.ready(timeout=30)
        words = [str(find_binary()), "--port", str(free_port), "--dir", str(tmp_path), "--save", ""]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL) as server:
            end = time.monotonic() + 30
            while not hub.ready(timeout=5):
                assert time.monotonic() < end
                time.sleep(0.05)
            assert hub.redis.get("k") is None
            server.terminate()


def test_an_event_in_an_outage_is_kept_after_one_attempt(tmp_path, free_port):
    hub = agentnb.connect(
        home=tmp_path, start=tmp_path, redis_url=f"redis://127.0.0.1:{free_port}/0"
    )
    with pytest.raises(UnavailableError, match="never sent"), hub:
        assert hub.events.publish("a", 1).pending
        [span] = [one for one in hub.tracer.recent() if one.name == "publish"]
        assert span.attempt == 1


@pytest.mark.parametrize("timeout", [0, -1, "soon", float("nan")])
def test_a_time_out_is_greater_than_nothing(tmp_path, timeout):
    with agentnb.connect(home=tmp_path, start=tmp_path) as hub:
        for ask in (hub.health, hub.ready):
            with pytest.raises(UsageError, match="timeout must be"):
                ask(timeout)
