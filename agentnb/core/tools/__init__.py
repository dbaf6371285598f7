"""Tools for agents: typed functions over the services of a hub, bounded and read-only by default.

`Hub.tools` gives them to an agent in process, ``agentnb mcp`` to programs that speak the Model
Context Protocol.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from agentnb.core.tools.policy import GROUPS, READ, WRITE, Policy, chosen
from agentnb.core.tools.tool import Tool

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GROUPS", "READ", "WRITE", "Policy", "Tool", "policy_of"]

_TOOLS = 'hub.tools("db,files")'
_WRITE = 'hub.tools("db", write=("db_execute",))'
_LONGEST = 600.0


def policy_of(
    tools: Any = None, write: Any = (), root: Path | None = None, timeout: Any = 20.0
) -> Policy:
    """Return the policy of tools that are given as words.

    Parameters
    ----------
    tools
        Groups of read tools; None for all.
    write
        Names of write tools.
    root
        The folder of the tools for files and git; None for the workspace.
    timeout
        Seconds that a call may take.

    Raises
    ------
    UsageError
        There is no such group or tool, the root is no folder, or the time-out is out of its range.
    """
    from agentnb.core.errors import UsageError
    from agentnb.core.ranges import amount

    groups = GROUPS if tools is None else chosen("tools", tools, GROUPS, _TOOLS)
    if root is not None and not os.path.isdir(root):  # noqa: PTH112 - False for a name too long
        raise UsageError(
            f"root must be a folder, got {str(root)!r:.200}", service="tools", hint="--root ."
        )
    seconds = amount("timeout", timeout, service="tools", least=0.1, most=_LONGEST)
    return Policy(groups, chosen("write", write, WRITE, _WRITE), root, seconds)
