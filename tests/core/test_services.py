from __future__ import annotations

import subprocess
import sys

import pytest

import agentnb
from agentnb.core import services
from agentnb.core.errors import ConfigError
from agentnb.core.services import SERVICES
from agentnb.core.services.entry import Check, Service
from agentnb.core.settings import FIELDS

# Settings that are read when the service is used, not when it is made.
USES = {
    "databases": lambda made: made["default"],
    "apis": lambda made: made.get("http://127.0.0.1:1"),
}


class Recorder:
    """Settings, and which of them were read."""

    def __init__(self, settings):
        self._settings = settings
        self.read = set()

    def __getattr__(self, name):
        if name in {field.name for field in FIELDS}:
            self.read.add(name)
        return getattr(self._settings, name)


@pytest.fixture
def hub(tmp_path):
    with agentnb.connect(home=tmp_path / ".agentnb", start=tmp_path, redis_url=None) as made:
        yield made


def test_each_service_has_an_entry_and_a_name_of_its_own():
    entries = {one for one in vars(services).values() if isinstance(one, Service)}
    assert entries == set(SERVICES)
    assert len({one.name for one in SERVICES}) == len(SERVICES) == 17


@pytest.mark.parametrize("service", SERVICES, ids=[one.name for one in SERVICES])
def test_an_entry_names_the_settings_that_the_service_reads(hub, service):
    hub._open(service)  # with what it stands on
    recorder = hub._settings = Recorder(hub.settings)
    made = service.factory(hub)
    try:
        USES.get(service.name, lambda _: None)(made)
    finally:
        hub._settings = recorder._settings
        made.close()
    assert recorder.read == set(service.settings)


def test_every_service_is_opened_by_a_property_of_the_hub(hub):
    opened = {
        *(
            hub.logs,
            hub.tracer,
            hub.trace,
            hub.databases,
            hub.redis,
            hub.cache,
            hub.events,
            hub.queues,
        ),
        *(hub.workflows, hub.files, hub.docker, hub.apis, hub.github, hub.websockets),
        hub.mcp_servers,
    }
    hub.tools("files")
    assert hub.repo("x") is not None
    assert set(hub._opened) == {one.name for one in SERVICES}
    assert opened == set(hub._opened.values()) - {
        hub._opened["repositories"],
        hub._opened["tools"],
    }


def test_a_service_is_closed_before_those_that_it_stands_on(hub):
    _ = hub.workflows, hub.queues, hub.cache, hub.github
    closed = hub.stop()
    for above, below in (
        *(("workflows", "events"), ("events", "redis"), ("queues", "redis"), ("cache", "redis")),
        *(("github", "apis"), ("redis", "tracer"), ("tracer", "logs")),
    ):
        assert closed.index(above) < closed.index(below), (above, below)
    assert hub.stop() == []


def test_health_has_the_rows_of_opened_services_in_the_order_of_the_registry(hub, monkeypatch):
    _ = hub.websocket("ws://127.0.0.1:1/"), hub.files, hub.redis, hub.db
    names = hub.health().column("service")
    assert names == ["db default", "redis", "files", "websocket"]
    monkeypatch.setattr(services.FILES, "checks", lambda _: [Check("files", "mine", print)])
    assert hub.health().column("kind")[2] == "mine"


def test_a_service_that_cannot_be_made_is_not_kept_and_is_made_later(hub, monkeypatch):
    factory = services.CACHE.factory
    monkeypatch.setattr(services.CACHE, "factory", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _ = hub.cache
    monkeypatch.setattr(services.CACHE, "factory", factory)
    hub.cache.set("k", 1)
    assert hub.cache.get("k") == 1


def test_the_registry_imports_no_service(tmp_path):
    source = (
        "import sys; from agentnb.core.services import SERVICES; print(*(one for one in sys.modules"
        " if one.startswith('agentnb.core.') and one.count('.') == 2))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert sorted(done.stdout.split()) == [
        "agentnb.core.errors",
        "agentnb.core.hints",
        "agentnb.core.nearest",
        "agentnb.core.services",
    ]


def test_workflows_work_where_there_is_no_redis(tmp_path):
    with agentnb.connect(home=tmp_path / ".agentnb", start=tmp_path, redis_url="http://x") as hub:
        with pytest.raises(ConfigError):
            _ = hub.redis
        hub.workflows.agent("echo")(lambda task: task.data)
        hub.workflows.work()
        made = hub.workflows.create("w", [{"name": "t", "agent": "echo", "data": 7}])
        assert made.wait(timeout=30).result == {"t": 7}
        assert hub.health(timeout=30).column("service") == ["redis", "workflow"]
