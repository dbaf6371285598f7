"""Tools of the hub, and of other programs' servers, as a toolset of an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_ai import ModelRetry
from pydantic_ai import Tool as ModelTool
from pydantic_ai.toolsets import FunctionToolset

from agentnb.core.errors import (
    AgentnbError,
    NotFoundError,
    QueryRejected,
    RejectedError,
    UsageError,
)
from agentnb.core.mcp.client import MCPClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.mcp.client import RemoteTool
    from agentnb.core.tools import Tool

__all__ = ["model_tool", "toolset"]

# A model can do something about these: it is told, and may call the tool in another way.
_ITS_OWN = (NotFoundError, QueryRejected, RejectedError, UsageError)


def toolset(source: MCPClient | Sequence[Tool], *, id: str) -> FunctionToolset[Any]:  # noqa: A002 - pydantic-ai's own name
    """Return tools as a toolset of an agent of pydantic-ai, whose calls are steps of its task.

    The tools of another program's server are read now. Their calls have the deadline and the bound
    of bytes of the client, a tool that has changed since its first use ends the run until it is
    accepted, and a tool that asks (by default each that is not marked as reading only) is called
    once a person has approved it with these arguments: the task is parked meanwhile. Outside of a
    task nobody can be asked, and the run ends there.

    An error that a model can do something about, such as a wrong statement of SQL, is its answer.

    Parameters
    ----------
    source
        A client, from ``hub.mcp(...)``, or tools, from ``hub.tools(...)``.
    id
        The toolset's name in the agent, the same in each process.

    Raises
    ------
    UnavailableError
        The server cannot be started or reached.
    UsageError
        It is neither.

    Examples
    --------
    ::

        bank = hub.mcp("stdio: python bank.py")
        bot = Agent(MODEL, toolsets=[toolset(bank, id="bank")], capabilities=[Durability()])
    """
    if isinstance(source, MCPClient):
        made = [_remote(source, one) for one in source.describe()]
    elif isinstance(source, (list, tuple)) and all(hasattr(one, "schema") for one in source):
        made = [model_tool(one) for one in source]
    else:
        raise UsageError(
            f"{type(source).__name__} is no source of tools",
            service="workflow",
            hint='toolset(hub.mcp("stdio: python server.py"), id="bank"), '
            'or toolset(hub.tools("db,files"), id="hub")',
        )
    return FunctionToolset(made, id=id)


def model_tool(tool: Tool) -> ModelTool[Any]:
    """Return a tool of the hub as one of pydantic-ai; each of its errors is told to the model."""

    def call(**arguments: Any) -> Any:
        try:
            return tool.call(arguments)
        except AgentnbError as error:
            raise retry_of(error) from error

    return _made(call, tool.name, tool.description, tool.schema)


def retry_of(error: AgentnbError) -> ModelRetry:
    """Return an error as the answer to a model, with its hint."""
    hint = f" ({error.hint})" if error.hint else ""
    return ModelRetry(f"{error.message}{hint}")


def _remote(client: MCPClient, tool: RemoteTool) -> ModelTool[Any]:
    async def call(**arguments: Any) -> Any:
        try:
            return await client.acall(tool.name, **arguments)
        except _ITS_OWN as error:
            if client.changed(tool.name):
                raise
            raise retry_of(error) from error

    made = _made(call, tool.name, tool.description, tool.schema)
    made.requires_approval = tool.asks
    return made


def _made(
    call: Callable[..., Any], name: str, description: str, schema: dict[str, Any]
) -> ModelTool[Any]:
    return ModelTool.from_schema(call, name=name, description=description, json_schema=schema)
