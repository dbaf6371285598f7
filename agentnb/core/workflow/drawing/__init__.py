"""The picture of a workflow: its tasks from left to right, each with what it needs before it."""

from __future__ import annotations

from agentnb.core.workflow.drawing.states import COLOURS, SIGNS, TONES, signed, tally
from agentnb.core.workflow.drawing.svg import Drawable, svg

__all__ = ["COLOURS", "SIGNS", "TONES", "Drawable", "signed", "svg", "tally"]
