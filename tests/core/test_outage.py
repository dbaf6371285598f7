from __future__ import annotations

import logging

import pytest

from agentnb.core.outage import OutageTracker

LOG = logging.getLogger("agentnb.test")


@pytest.fixture
def lines(caplog):
    with caplog.at_level(logging.DEBUG, logger="agentnb.test"):
        yield lambda: [(record.levelname, record.message) for record in caplog.records]


def test_an_outage_is_logged_once_when_it_begins_and_once_when_it_is_over(lines):
    server = OutageTracker(LOG, "the server is away", "the server is back")
    assert [server.failed("refused"), server.failed("reset")] == [True, False]
    assert server.is_away
    assert [server.succeeded(), server.succeeded()] == [True, False]
    assert not server.is_away
    assert server.failed("again")
    assert lines() == [
        ("WARNING", "the server is away: refused"),
        ("INFO", "the server is back"),
        ("WARNING", "the server is away: again"),
    ]


def test_a_server_that_is_up_from_the_beginning_logs_nothing(lines):
    server = OutageTracker(LOG, "away", "back")
    assert not server.was_up
    assert server.succeeded() is False
    assert server.was_up
    assert lines() == []


def test_a_server_that_never_was_up_is_not_said_to_have_been(lines):
    server = OutageTracker(LOG, "away", None)
    server.failed("no")
    assert not server.was_up
    assert server.succeeded()
    assert lines() == [("WARNING", "away: no")]


@pytest.mark.parametrize(("cooldown", "expected"), [(60.0, True), (0.0, False)])
def test_a_failed_server_cools_down_until_its_time_is_over_or_it_succeeds(cooldown, expected):
    server = OutageTracker(LOG, "away", "back", cooldown=cooldown)
    assert not server.cooling_down
    server.failed("no")
    assert server.cooling_down is expected
    server.succeeded()
    assert not server.cooling_down
