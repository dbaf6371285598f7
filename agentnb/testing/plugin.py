"""The plugin of pytest's: the fixtures ``hub``, ``clock`` and ``recorded_events``.

pytest imports this module at its start, with or without tests that use it: all else is imported
by the fixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentnb.core.hub import Hub
    from agentnb.testing.clocks import HubClock
    from agentnb.testing.events import RecordedEvents
    from agentnb.testing.hubs import SharedServer

__all__ = ["clock", "hub", "recorded_events"]

_MARK = "agentnb"


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark that gives settings to the hub of a test."""
    config.addinivalue_line(
        "markers", f"{_MARK}(**settings): settings of the test's hub, as agentnb.connect takes them"
    )


@pytest.fixture(scope="session")
def _agentnb_server() -> Iterator[SharedServer]:
    from agentnb.testing.hubs import SharedServer

    server = SharedServer()
    yield server
    server.close()


@pytest.fixture
def hub(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    _agentnb_server: SharedServer,
) -> Iterator[Hub]:
    """Return a hub of the test's own: see `agentnb.testing.isolated_hub`.

    ``@pytest.mark.agentnb(database_url=...)`` gives it settings; the nearest mark wins.
    """
    from agentnb.core.errors import UsageError
    from agentnb.testing.hubs import isolated_hub

    settings: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers(_MARK))):
        if mark.args:
            raise UsageError(
                f"the mark {_MARK} takes settings by name, got {mark.args[0]!r:.80}",
                service="testing",
                hint=f'@pytest.mark.{_MARK}(database_url="sqlite://")',
            )
        settings |= mark.kwargs
    folder = tmp_path_factory.mktemp("agentnb")
    with isolated_hub(folder, server=_agentnb_server, **settings) as made:
        yield made


@pytest.fixture
def clock(hub: Hub) -> HubClock:
    """Return the clock of the test's hub: ``clock.advance(60)``, ``clock.skip()``."""
    from agentnb.testing.clocks import HubClock

    return HubClock(hub)


@pytest.fixture
def recorded_events(hub: Hub) -> Iterator[RecordedEvents]:
    """Return the events that are published from here on, in order."""
    from agentnb.testing.events import RecordedEvents

    recorded = RecordedEvents(hub)
    yield recorded
    recorded.close()
