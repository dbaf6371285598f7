"""The operations of an agent as steps of its task: their names, digests, spans and usage."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_ai.durable_exec import (
    JSON_CODEC,
    CallableOperationBackend,
    CapabilityOperationId,
    JournalOperationNamer,
    ModelCancelSuspendedResponseId,
    ModelCompactMessagesId,
    ModelRequestId,
    RoleBasedOperationConfig,
    ToolsetCallToolId,
    ToolsetGetInstructionsId,
    ToolsetGetToolsId,
    ToolsetValidateToolArgumentsId,
)
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.tools import RunContext

from agentnb.ai.reserving import Request
from agentnb.ai.runs import Run, Runs
from agentnb.core.errors import Final, UnavailableError
from agentnb.core.trace import Span, current
from agentnb.core.workflow.context import current_context, steps_of
from agentnb.core.workflow.step_options import StepOptions
from agentnb.core.workflow.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic_ai.durable_exec import DurableOperationId

    from agentnb.ai.durability import Options
    from agentnb.core.workflow import Context

__all__ = ["Backend", "digest", "run_of"]

_VOLATILE = frozenset({
    *("timestamp", "run_id", "conversation_id", "provider_response_id", "provider_details"),
    *("usage", "id", "provider_url", "max_retries", "metadata"),
})  # fmt: skip
"""Fields that differ between two equal conversations."""


class Operation(NamedTuple):
    """An operation of a run, as a step."""

    name: str
    given: str
    """A digest of what it was given."""
    attributes: dict[str, Any]
    """Of its span."""


class Backend(CallableOperationBackend[dict[str, Any]]):
    """Runs each operation of an agent as a step of the current task.

    Parameters
    ----------
    agent
        The name of the agent.
    options
        Those of its `Durability`.
    """

    def __init__(self, agent: str, options: Options) -> None:
        def tool(operation_id: DurableOperationId, tool: object | None, name: str) -> Any:
            del tool, name
            inline = isinstance(
                operation_id, ToolsetCallToolId | ToolsetValidateToolArgumentsId
            ) and (operation_id.toolset_kind == "function" and not options.tools)
            return False if inline else {}

        super().__init__(
            namer=JournalOperationNamer(agent),
            config=RoleBasedOperationConfig(
                model={}, event={}, capability={}, tool={}, resolve_tool=tool
            ),
        )
        self._agent = agent
        self._options = options

    async def execute(
        self,
        *,
        operation_id: DurableOperationId,
        name: str,
        body: Callable[[], Awaitable[object]],
        cache_key: tuple[object, ...],
        config: dict[str, Any],
    ) -> object:
        """Run an operation as a step, or return what it has given in an earlier attempt."""
        del config
        ctx = current_context()
        if ctx is None:  # the run outlived its task
            return await body()
        options = self._options
        is_model = isinstance(operation_id, ModelRequestId)
        one = _operation(Runs.of(ctx), self._agent, operation_id, name, cache_key)
        if is_model and options.prompts:
            messages = next(x for x in cache_key if isinstance(x, list))
            one.attributes["gen_ai.input.messages"] = _text(list[ModelMessage], messages)

        request = Request(ctx, options.budget if is_model else ())
        limits = StepOptions(timeout=options.timeout)
        step = StepOptions(on_change=options.on_change, usage=_usage_of if is_model else None)

        async def call(given: str) -> object:
            del given  # the digest that a later attempt compares
            span = current()
            if isinstance(span, Span):
                span.note(**one.attributes)
            await request.begin()
            # Waiting for other requests takes nothing of its time.
            payload = await (limits.limited(one.name, body()) if is_model else body())
            _check_size(payload, one.name, options.max_bytes)
            if isinstance(operation_id, ModelRequestId) and operation_id.streaming:
                _check_end(payload, cache_key)
            if is_model:
                request.usage = _usage_of(payload)
                if isinstance(span, Span):
                    span.note(**_answered(payload, prompts=options.prompts))
            return payload

        try:
            return await steps_of(ctx, step).astep(one.name, call, one.given)
        finally:
            request.end()


def run_of(ctx: Context, agent: str, run: RunContext[Any]) -> Run:
    """Return the run of an agent that a context of pydantic-ai belongs to."""
    return Runs.of(ctx).find(agent, run.run_id)


def _operation(
    runs: Runs, agent: str, operation: DurableOperationId, name: str, given: tuple[object, ...]
) -> Operation:
    """Return the name, the digest and the attributes of an operation."""
    context = next((one for one in given if isinstance(one, RunContext)), None)
    run = runs.find(agent, context.run_id if context is not None else None)
    attributes: dict[str, Any] = {"gen_ai.agent.name": agent, "gen_ai.conversation.id": run.run_id}
    if isinstance(operation, ModelRequestId):
        attributes |= {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": operation.model_name,
        }
        return Operation(run.next("model"), _digest_of_request(operation, given), attributes)
    if isinstance(operation, ToolsetCallToolId | ToolsetValidateToolArgumentsId):
        tool, arguments = str(given[0]), given[1]
        call_id = (context.tool_call_id if context is not None else None) or "call"
        turn = context.run_step if context is not None else 0
        is_call = isinstance(operation, ToolsetCallToolId)
        kind = "tool"
        if operation.toolset_kind != "function":
            kind = f"{operation.toolset_kind}.{operation.toolset_id}"
        if is_call:
            attributes |= {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": tool,
                "gen_ai.tool.call.id": call_id,
            }
        word = kind if is_call else f"check.{kind}"
        named = run.named(f"{word}.{turn}.{tool}.{call_id}")
        return Operation(named, digest(tool, arguments), attributes)
    return Operation(run.next(_kind_of(operation, name)), "", attributes)


def _kind_of(operation: DurableOperationId, name: str) -> str:
    match operation:
        case ToolsetGetToolsId():
            return f"{operation.toolset_kind}.{operation.toolset_id}.tools"
        case ToolsetGetInstructionsId():
            return f"mcp.{operation.toolset_id}.instructions"
        case ModelCompactMessagesId():
            return "compact"
        case ModelCancelSuspendedResponseId():
            return "cancel"
        case CapabilityOperationId():
            return f"{operation.capability_id}.{operation.operation}"
        case _:
            return name


def digest(*given: object) -> str:
    """Return a digest of values, the same for equal ones in any process.

    >>> digest("pay", {"n": 1}) == digest("pay", {"n": 1}) != digest("pay", {"n": 2})
    True
    """
    text = json.dumps(given, sort_keys=True, default=lambda one: type(one).__qualname__)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def _digest_of_request(operation: ModelRequestId, given: tuple[object, ...]) -> str:
    """Return a digest of a request: the model, its settings, the tools and the messages."""
    _, messages, settings, parameters, *_ = given
    plain = JSON_CODEC.dump(list[ModelMessage], messages)
    tools = JSON_CODEC.dump(ModelRequestParameters, parameters)
    return digest(operation.model_name, _stable(settings), _stable(plain), _stable(tools))


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _stable(one) for name, one in value.items() if name not in _VOLATILE}
    if isinstance(value, list):
        return [_stable(one) for one in value]
    return value


def _check_size(payload: object, name: str, most: int) -> None:
    """Refuse an answer that is too long."""
    size = len(json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > most:
        raise Final(
            f"step {name} has given {size:,} bytes; {most:,} are allowed",
            service="workflow",
            hint="Durability(max_bytes=) allows more; a tool can return a path or a key",
        )


def _check_end(payload: object, given: tuple[object, ...]) -> None:
    """Refuse a stream of words without an end: a connection that was closed looks like one.

    The last piece of an answer of OpenAI's form always says why it ends.
    """
    context = next((one for one in given if isinstance(one, RunContext)), None)
    model = None if context is None else context.model
    while isinstance(model, WrapperModel):
        model = model.wrapped
    details = _response(payload).provider_details or {}
    if type(model).__name__ == "OpenAIChatModel" and not details.get("finish_reason"):
        raise UnavailableError(
            "the answer of the model broke off",
            service="workflow",
            hint="the next attempt asks again",
        )


def _response(payload: object) -> ModelResponse:
    found: ModelResponse = JSON_CODEC.load(ModelResponse, payload)
    return found


def _usage_of(payload: object) -> Usage:
    """Return what a model's answer says that it took."""
    response = _response(payload)
    cost = None
    with suppress(Exception):  # a model without a known price
        cost = float(response.cost().total_price)
    return Usage(1, response.usage.input_tokens, response.usage.output_tokens, cost)


def _answered(payload: object, *, prompts: bool) -> dict[str, Any]:
    """Return the attributes of an answer."""
    response = _response(payload)
    found: dict[str, Any] = {
        "gen_ai.usage.input_tokens": response.usage.input_tokens,
        "gen_ai.usage.output_tokens": response.usage.output_tokens,
    }
    if response.model_name:
        found["gen_ai.response.model"] = response.model_name
    if response.provider_name:
        found["gen_ai.provider.name"] = response.provider_name
    if response.finish_reason:
        found["gen_ai.response.finish_reasons"] = [response.finish_reason]
    if prompts:
        found["gen_ai.output.messages"] = _text(list[ModelMessage], [response])
    return found


def _text(kind: Any, value: object) -> str:
    return json.dumps(JSON_CODEC.dump(kind, value), ensure_ascii=False)
