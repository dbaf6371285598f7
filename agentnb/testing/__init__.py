"""Tests of a service that is built on agentnb: a hub of its own for each, and what runs its work.

The fixtures ``hub``, ``clock``, ``recorded_events`` and ``agentnb_tape`` come by a plugin of
pytest's, which is there once agentnb is installed; all else works with any other runner, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentnb.testing.agents import AgentRun, arun_agent, run_agent
    from agentnb.testing.clocks import HubClock
    from agentnb.testing.events import RecordedEvents, assert_events, record_events
    from agentnb.testing.hubs import isolated_hub
    from agentnb.testing.idle import IdleReport, run_until_idle
    from agentnb.testing.jobs import JobRun, arun_job, run_job
    from agentnb.testing.tapes import TapeReplay, record, replay
    from agentnb.testing.work import register

__all__ = [
    "AgentRun",
    "HubClock",
    "IdleReport",
    "JobRun",
    "RecordedEvents",
    "TapeReplay",
    "arun_agent",
    "arun_job",
    "assert_events",
    "isolated_hub",
    "record",
    "record_events",
    "register",
    "replay",
    "run_agent",
    "run_job",
    "run_until_idle",
]

_MODULES = {
    "AgentRun": "agents",
    "HubClock": "clocks",
    "IdleReport": "idle",
    "JobRun": "jobs",
    "RecordedEvents": "events",
    "TapeReplay": "tapes",
    "arun_agent": "agents",
    "arun_job": "jobs",
    "assert_events": "events",
    "isolated_hub": "hubs",
    "record": "tapes",
    "record_events": "events",
    "register": "work",
    "replay": "tapes",
    "run_agent": "agents",
    "run_job": "jobs",
    "run_until_idle": "idle",
}

if not TYPE_CHECKING:  # else a checker would find no name that is misspelt

    def __getattr__(name: str) -> Any:
        # Imported on first use: pytest imports this package at each of its starts.
        if name not in _MODULES:
            raise AttributeError(f"module 'agentnb.testing' has no attribute {name!r}")
        from importlib import import_module

        module = import_module(f"agentnb.testing.{_MODULES[name]}")
        value = globals()[name] = getattr(module, name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
