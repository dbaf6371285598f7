"""The plugin of pytest's: the fixtures ``hub``, ``clock``, ``recorded_events``, ``agentnb_tape``.

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
    from agentnb.testing.tapes import TapeReplay

__all__ = ["agentnb_tape", "clock", "hub", "recorded_events"]

_MARK = "agentnb"
_TAPE_MARK = "agentnb_tape"
_ERROR: pytest.StashKey[BaseException] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that records tapes."""
    parser.getgroup("agentnb").addoption(
        "--agentnb-record",
        choices=("none", "new", "all"),
        default="none",
        help="record the tapes of agentnb_tape: those that are missing, or all (default: none)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark that gives settings to the hub of a test."""
    config.addinivalue_line(
        "markers", f"{_MARK}(**settings): settings of the test's hub, as agentnb.connect takes them"
    )
    config.addinivalue_line(
        "markers", f"{_TAPE_MARK}(path=..., **options): the tape of agentnb_tape, options of replay"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Keep the error of a test, for the fixture that replays its tape."""
    if call.when == "call" and call.excinfo is not None:
        item.stash[_ERROR] = call.excinfo.value
    return (yield)


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


@pytest.fixture
def agentnb_tape(request: pytest.FixtureRequest, hub: Hub) -> Iterator[TapeReplay]:
    """Replay the tape of the test: ``tapes/FILE.TEST.tape.json`` beside its file.

    ``pytest --agentnb-record=new`` records the tapes that are missing, ``all`` every one.
    ``@pytest.mark.agentnb_tape(path=..., ignore={...})`` names another file, and has the options of
    `agentnb.testing.replay`.
    """
    from agentnb.testing.fixtures import tape_of

    mark = request.node.get_closest_marker(_TAPE_MARK)
    options = dict(mark.kwargs) if mark is not None else {}
    block = tape_of(request, hub, options, request.config.getoption("--agentnb-record"))
    tape = block.__enter__()
    yield tape
    error = request.node.stash.get(_ERROR, None)
    if error is None:
        block.__exit__(None, None, None)
    else:
        block.__exit__(type(error), error, error.__traceback__)
