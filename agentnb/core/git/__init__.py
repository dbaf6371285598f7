"""Git, by the installed git: hardened against repositories, and bounded in time."""

from __future__ import annotations

from agentnb.core.git.diff import Diff
from agentnb.core.git.log import Log
from agentnb.core.git.manager import GitManager
from agentnb.core.git.status import Status

__all__ = ["Diff", "GitManager", "Log", "Status"]
