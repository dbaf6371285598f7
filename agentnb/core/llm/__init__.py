"""Language models from the settings, as models of pydantic-ai."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.llm.extra import require_ai

if TYPE_CHECKING:
    from agentnb.core.llm.model import make_model

__all__ = ["make_model", "require_ai"]

if not TYPE_CHECKING:  # else a checker would find no name that is misspelt

    def __getattr__(name: str) -> Any:
        if name != "make_model":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from agentnb.core.llm.model import make_model

        return make_model
