"""The eight practices of an integration, on every service that there is.

The table in README.md beside this file says which test holds which practice for which service,
and why one has no meaning somewhere; a service that is added to SERVICES is held to all of them.
"""

from __future__ import annotations

import json
import re
import socket
import tempfile
import threading
import traceback
from pathlib import Path

import pytest

import agentnb
from agentnb.core.errors import (
    AgentnbError,
    CircuitOpen,
    ConfigError,
    DeadlineExceeded,
    UnavailableError,
    UsageError,
)
from agentnb.core.trace import start_trace
from tests.waiting import until

from .services import AWAY, Cache, Events, Postgresql, Queue, Redis, Sqlite, Workflows
from .services_outside import Api, Docker, Files, Git, WebSocket

SERVICES = {
    "sqlite": Sqlite,
    "postgresql": Postgresql,
    "redis": Redis,
    "cache": Cache,
    "queue": Queue,
    "workflows": Workflows,
    "events": Events,
    "api": Api,
    "websocket": WebSocket,
    "docker": Docker,
    "git": Git,
    "files": Files,
}


def held_by_all_with(method):
    """Run a test for each service that has the method."""
    names = [name for name, kind in SERVICES.items() if getattr(kind, method) is not None]
    return pytest.mark.parametrize("case", names, indirect=True)


@pytest.fixture
def case(request):
    return SERVICES[request.param](request)


@pytest.fixture(scope="module")
def warm_hub():
    """Return a hub whose server stays up for these tests, though some kill it."""
    with tempfile.TemporaryDirectory(prefix="agentnb-practices-", dir="/tmp") as folder:
        home = Path(folder) / "home"
        with agentnb.connect(home=home) as hub:
            hub.redis.ping()
            yield hub
        until(lambda: not (home / "redis" / "running").exists())


@pytest.fixture(scope="module")
def warm_home(warm_hub):
    return warm_hub.settings.home


@pytest.fixture
def connect(case, tmp_path):  # noqa: ARG001 - what it has started ends after the hubs
    """Return what makes hubs whose services are real; they are closed at the end."""
    made = []
    workspace = tmp_path / "workspace"
    workspace.mkdir()

    def make(home, **settings):
        made.append(agentnb.connect(home=home, workspace=workspace, **settings))
        return made[-1]

    yield make
    for hub in made:
        hub.close()


@pytest.fixture
def hub(case, connect, warm_home):
    return connect(warm_home, **case.settings())


@pytest.fixture
def own_hub(case, connect, redis_home):
    """Return a hub on a home of its own."""
    return connect(redis_home, log_level="DEBUG", **case.settings())


@held_by_all_with("connection")
def test_connections_are_pooled(case, hub):
    case.use(hub)
    found = {case.connection(hub) for _ in range(20)}
    assert len(found) == 1
    assert all(found)


@held_by_all_with("lose")
def test_a_lost_connection_is_made_again(case, hub):
    case.use(hub)
    case.lose(hub)
    assert case.use(hub) is not None


@held_by_all_with("knock")
def test_a_service_that_is_away_is_not_asked_for_ever(case, connect, warm_home):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        hub = connect(warm_home, **case.far(unused.getsockname()[1]))
        seen = [_error(lambda: case.knock(hub)) for _ in range(8)]
    assert all(isinstance(error, UnavailableError) for error in seen)
    assert isinstance(seen[-1], CircuitOpen)


@held_by_all_with("misuse")
def test_what_crosses_the_boundary_is_checked(case, hub):
    assert isinstance(_error(lambda: case.misuse(hub)), UsageError)


@held_by_all_with("elsewhere")
def test_connection_strings_come_from_the_settings_and_keep_their_password(
    case, connect, warm_home, caplog
):
    settings = case.elsewhere()
    hub = connect(warm_home, **settings)
    assert {hub.settings.source(name) for name in settings} <= {"argument"}
    assert "hunter22" not in repr(hub.settings.table())
    error = _error(lambda: case.reach(hub))
    told = "".join(traceback.format_exception(error)) + str(getattr(error, "hint", ""))
    if isinstance(case, Cache):  # it loads the value all the same, and says why in the log
        assert error is None
        told = caplog.text
        assert "the cache is away" in told
    else:
        assert isinstance(error, UnavailableError)
    assert re.search(AWAY.replace(":", "(:| port )"), told)
    assert "hunter22" not in told + caplog.text


@held_by_all_with("hang")
def test_every_call_has_its_time(case, hub):
    case.use(hub)
    assert isinstance(_error(lambda: case.hang(hub)), DeadlineExceeded)
    assert case.use(hub) is not None


@held_by_all_with("logged")
def test_calls_are_logged_with_the_ids_of_their_trace(case, own_hub):
    trace = start_trace(correlation_id="order-7")
    case.leave(own_hub)
    _error(lambda: case.refuse(own_hub))
    spans = own_hub.tracer.trace(trace.trace_id)
    assert case.spans in {span.service for span in spans}
    assert {span.correlation_id for span in spans} == {"order-7"}
    assert any(span.outcome != "ok" for span in spans)
    own_hub.logs.flush()
    lines = [
        json.loads(line)
        for path in (own_hub.settings.home / "logs").glob("agentnb-*.jsonl")
        for line in path.read_text("utf-8").splitlines()
    ]
    assert any(case.logged in line["message"] for line in lines)


@held_by_all_with("fail")
def test_no_error_is_swallowed(case, hub):
    case.use(hub)
    error = _error(lambda: case.fail(hub))
    assert isinstance(error, AgentnbError)
    assert not isinstance(error, (UnavailableError, ConfigError))
    assert error.__cause__ is not None


@held_by_all_with("left")
def test_nothing_is_left_behind(case, connect, request):
    home, settings = request.getfixturevalue(case.home), case.settings()
    threads = set(threading.enumerate())
    hub = connect(home, **settings)
    case.leave(hub)
    assert bool(case.left(hub)) == case.keeps
    hub.close()
    until(lambda: not case.left(hub))
    until(lambda: not [t for t in _started_since(threads) if t.name.startswith("agentnb")])


def test_the_table_says_of_each_service_what_is_tested_or_why_not():
    """A gap without a reason fails, as does a reason for what is tested."""
    tested = {
        (name, service)
        for name, test in globals().items()
        for mark in getattr(test, "pytestmark", ())
        for service in mark.args[1]
    }
    text = Path(__file__).with_name("README.md").read_text()
    head, *rows = re.findall(r"^\| \S.*\|$", text.partition("\n# ")[0], re.MULTILINE)
    columns = _cells(head)[3:]
    assert columns == list(SERVICES)
    reasons = dict(re.findall(r"^- \*([a-z])\*: (\S.+)", text, re.MULTILINE))
    said, asked = set(), set()
    for _, _, test, *cells in map(_cells, rows[1:]):
        for service, cell in zip(columns, cells, strict=True):
            if cell == "✓":
                said.add((test.strip("`"), service))
            else:
                asked.add(cell.strip("*"))
    assert said == tested
    assert asked == set(reasons)


def _started_since(before):
    return [thread for thread in threading.enumerate() if thread not in before]


def _cells(row):
    return [cell.strip() for cell in row.strip("|").split("|")]


def _error(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001 - which one it is is what the tests ask
        return error
    return None
