"""The approval of tools by a person, bound to their arguments."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_ai.tools import DeferredToolResults, ToolApproved, ToolDenied

from agentnb.ai.operations import digest
from agentnb.ai.runs import short
from agentnb.core.errors import Final
from agentnb.core.format import visible
from agentnb.core.workflow.context import execution_of
from agentnb.core.workflow.stepping import current_step

if TYPE_CHECKING:
    from pydantic_ai.messages import ToolCallPart
    from pydantic_ai.tools import DeferredToolRequests, RunContext

    from agentnb.ai.runs import Run
    from agentnb.core.workflow import Context

__all__ = ["Decision", "decide"]

_LONGEST = 2000


@dataclass(frozen=True)
class Decision:
    """The decision of a person about the call of a tool.

    Attributes
    ----------
    approve
        Whether the tool may be called with these arguments.
    reason
        The reason, which the model is told where it may not.
    """

    approve: bool
    reason: str = ""


async def decide(
    task: Context, run: Run, ctx: RunContext[Any], requests: DeferredToolRequests
) -> DeferredToolResults:
    """Ask a person about each call, and return the decisions.

    A question has the digest of the tool's name and arguments in its name: an answer counts for
    this call alone.
    """
    step = current_step()
    if step is not None:
        raise Final(
            f"tool {requests.approvals[0].tool_name} wants to be approved within step {step!r}, "
            "where a task cannot wait",
            service="workflow",
            hint="run the agent in the task itself, or with a task of its own (ctx.spawn)",
        )
    calls = requests.approvals
    found = await task.agather([_ask(task, run, ctx, one) for one in calls])  # asked together
    return DeferredToolResults(
        approvals={one.tool_call_id: said for one, said in zip(calls, found, strict=True)}
    )


async def _ask(
    task: Context, run: Run, ctx: RunContext[Any], call: ToolCallPart
) -> ToolApproved | ToolDenied:
    arguments = call.args_as_dict()
    mark = digest(call.tool_name, arguments)[:12]
    name = f"{run.prefix}/approve.{ctx.run_step}.{call.tool_name}.{call.tool_call_id}.{mark}"
    redactor = execution_of(task).around.runtime.redactor
    question = redactor(_question(run, call, arguments))
    found = await task.aask(short(name), question, form=Decision)
    return ToolApproved() if found.approve else ToolDenied(found.reason or "A person refused it.")


def _question(run: Run, call: ToolCallPart, arguments: dict[str, Any]) -> str:
    shown = visible(json.dumps(arguments, ensure_ascii=False, default=str))
    if len(shown) > _LONGEST:
        shown = f"{shown[:_LONGEST]}… ({len(shown):,} characters)"
    return f"May {run.prefix} call {call.tool_name} with {shown}?"
