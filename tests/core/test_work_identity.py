"""The identity of a worker, and the pause between attempts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agentnb.core.work import identity
from agentnb.core.work.backoff import Backoff
from agentnb.core.work.identity import is_alive, is_dead, new_owner


@pytest.fixture
def hidden(monkeypatch):
    """Hide every process of /proc, as ``hidepid=2`` does with those of other users."""
    read = identity.Path.read_text

    def read_text(path, *args, **options):
        if path.name == "stat":
            raise PermissionError(path)
        return read(path, *args, **options)

    def hide():
        monkeypatch.setattr(identity.Path, "read_text", read_text)

    return hide


def test_a_process_that_proc_hides_is_not_dead(hidden):
    owner = new_owner()
    hidden()
    assert not is_dead(owner)
    assert is_alive(owner)


def test_a_process_of_another_user_that_proc_hides_is_not_dead(hidden, monkeypatch):
    owner = new_owner()
    hidden()

    def kill(*_):
        raise PermissionError

    monkeypatch.setattr(identity.os, "kill", kill)
    assert not is_dead(owner)


def test_a_process_that_has_ended_is_dead_where_proc_hides_others(hidden):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        host, space, _, started, nonce = new_owner().split("|")
    hidden()
    assert is_dead("|".join([host, space, str(process.pid), started, nonce]))


def test_a_process_that_was_not_waited_for_is_dead_once_it_has_ended(until):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        host, space, _, _, nonce = new_owner().split("|")
        owner = "|".join([host, space, str(process.pid), identity._started(process.pid), nonce])
        until(lambda: is_dead(owner))


def test_no_pause_is_longer_than_five_minutes():
    pauses = [Backoff(2.0).after(30) for _ in range(200)]
    assert max(pauses) <= 300.0
    assert len(set(pauses)) > 1, "workers that failed together do not come back together"


def test_a_first_pause_of_more_than_five_minutes_is_kept_without_growing():
    assert all(720.0 <= Backoff(900.0).after(9) <= 900.0 for _ in range(50))


def test_a_fixed_pause_does_not_grow():
    assert all(0.8 <= Backoff(1.0, growing=False).after(9) <= 1.2 for _ in range(50))


def test_the_first_pause_is_two_seconds_and_then_doubles():
    assert Backoff() == Backoff(2.0, growing=True)
    for attempt, pause in [(1, 2.0), (2, 4.0), (3, 8.0), (4, 16.0)]:
        pauses = [Backoff().after(attempt) for _ in range(50)]
        assert 0.8 * pause <= min(pauses) <= max(pauses) <= 1.2 * pause
