"""The errors of a workflow that cannot be made, and of one that did not come about."""

from agentnb.core.errors import TaskFailed, UnfitTask

__all__ = ["TaskFailed", "UnfitTask"]
