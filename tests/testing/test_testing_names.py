"""`agentnb.testing` has these names, each with its explanation, and imports nothing by itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

import agentnb.testing as package
from agentnb.testing import HubClock, IdleReport, RecordedEvents, record_events, run_agent, run_job

NAMES = """
    AgentRun HubClock IdleReport JobRun RecordedEvents TapeReplay arun_agent arun_job assert_events
    isolated_hub record record_events register replay run_agent run_job run_until_idle
"""
PUBLIC = {
    "AgentRun": "attempts errors logs message progress result steps",
    "HubClock": "advance offset skip time",
    "IdleReport": "approvals delayed errors jobs tasks parked",
    "JobRun": "attempts errors logs progress result",
    "TapeReplay": "check hub job next outcome run steps unit",
    "RecordedEvents": "assert_events channels close count index on settle",
}


def test_the_public_names_are_these():
    assert dir(package) == package.__all__ == NAMES.split()
    assert all(getattr(package, name).__doc__ for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'run_jobs'"):
        _ = package.run_jobs


def test_tab_shows_what_a_user_may_call(hub):
    with record_events(hub) as recorded:
        found = [recorded, HubClock(hub), IdleReport(), run_job(lambda _: 1, hub=hub)]
        found.append(run_agent(lambda _: 1, hub=hub))
        assert isinstance(recorded, RecordedEvents)
        for one in found:
            shown = {name for name in dir(one) if not name.startswith("_")}
            assert shown == set(PUBLIC[type(one).__name__].split())


def test_the_package_needs_no_pytest():
    program = "import sys, agentnb.testing as t\n"
    program += "with t.isolated_hub(database_url='sqlite://') as hub: pass\n"
    program += "print('pytest' in sys.modules)"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
