"""Agents of language models, by pydantic-ai: durable in a task, with budgets and approvals.

It needs the extra ``ai``: ``pip install 'agentnb-toolkit[ai]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentnb.ai.budget import Budget
    from agentnb.ai.durability import Durability, durable
    from agentnb.ai.toolsets import toolset

__all__ = ["Budget", "Durability", "durable", "toolset"]

_MODULES = {
    "Budget": "budget",
    "Durability": "durability",
    "durable": "durability",
    "toolset": "toolsets",
}

if not TYPE_CHECKING:  # else a checker would find no name that is misspelt

    def __getattr__(name: str) -> Any:
        # Imported on first use: pydantic-ai takes a second or more.
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        from agentnb.core.llm import require_ai

        require_ai("agentnb.ai")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
