"""The states of a task as people see them: a sign, a colour by what it means, an order."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from agentnb.core.format import COLOURS, TONES
from agentnb.core.workflow.info import NOT_KEPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["COLOURS", "SIGNS", "TONES", "signed", "tally"]

SIGNS: Final = {
    "completed": "✓",
    "active": "▶",
    "approval": "?",
    "parked": "◔",
    "waiting": "○",
    "delayed": "◷",
    "blocked": "◌",
    "failed": "✗",
    "skipped": "»",
    "cancelled": "⊘",
}
"""The sign of each state, in the order in which counts are told."""

_PAUSED: Final = "‖"
_COUNTED: Final = {"approval": "awaiting approval"}


def signed(state: str) -> str:
    """Return a state with its sign.

    >>> signed("completed"), signed("paused"), signed("new")
    ('✓ completed', '‖ paused', 'new')
    """
    of = {NOT_KEPT: SIGNS["completed"], "paused": _PAUSED}
    sign = of.get(state) or SIGNS.get(state)
    return f"{sign} {state}" if sign else state


def tally(states: Iterable[str] | Mapping[str, int]) -> str:
    """Return how many are in each state, of states or of counts.

    >>> tally(["blocked", "completed", "completed"]), tally({"failed": 1})
    ('2 completed, 1 blocked', '1 failed')
    """
    found = Counter(states)
    known = [state for state in SIGNS if state in found]
    other = [state for state in found if state not in SIGNS]
    return ", ".join(f"{found[state]:,} {_COUNTED.get(state, state)}" for state in [*known, *other])
