"""Agents of pydantic-ai as agents of tasks: the data is the prompt, the output is the result.

Nothing of pydantic-ai is imported here: what is given has imported it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bot_call", "is_bot", "output_type_of"]


def is_bot(target: object) -> bool:
    """Return whether an object is an agent of pydantic-ai.

    >>> is_bot(print)
    False
    """
    library = sys.modules.get("pydantic_ai")
    return library is not None and isinstance(target, library.Agent)


def output_type_of(bot: Any) -> Any:
    """Return the type of an agent's output, None where it is text or not one type."""
    found = bot.output_type
    return found if isinstance(found, type) and found is not str else None


def bot_call(name: str, bot: Any) -> Callable[[Any, Any], Any]:
    """Return the function that does tasks by an agent of pydantic-ai.

    Raises
    ------
    UsageError
        The answers of its models would not be kept.
    """
    durability = sys.modules.get("agentnb.ai.durability")
    if durability is None or durability.Durability.from_agent(bot) is None:
        raise UsageError(
            f"agent {name} has no Durability: a later attempt would ask and pay its model again",
            service="workflow",
            hint="from agentnb.ai import Durability; Agent(..., capabilities=[Durability()])",
        )

    async def run(task: Any, ctx: Any) -> Any:
        del ctx
        return (await bot.run(_prompt(name, task.data))).output

    return run


def _prompt(name: str, data: Any) -> str:
    prompt = data.get("prompt") if isinstance(data, dict) and set(data) == {"prompt"} else data
    if not isinstance(prompt, str) or not prompt.strip():
        raise UsageError(
            f"the data of a task of agent {name} must be a prompt, got {data!r:.60}",
            service="workflow",
            hint='data="Why is the sky blue?", or data={"prompt": "Why ...?"}',
        )
    return prompt
