"""Waits on a condition, never for a fixed time."""

from __future__ import annotations

import time

__all__ = ["refresh", "until"]


def until(condition, seconds=120.0):
    """Return what a condition gives as soon as that is true; fail if it never is."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.005)
    return found


def refresh(panel):
    """Refresh a panel, and wait for the end of a run that began after this call."""
    begun = panel._refresher.begun
    panel.refresh()
    until(lambda: panel._refresher.runs > begun)
