"""Durability of pydantic-ai's agents in a task: what was asked once is not asked again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_ai.durable_exec import (
    JSON_CODEC,
    BaseDurabilityCapability,
    DurabilityEngineSpec,
    conversation_id_from_run_id,
)
from pydantic_ai.exceptions import UserError

from agentnb.ai.approvals import decide
from agentnb.ai.budget import Budget
from agentnb.ai.errors import final_of, pause_of
from agentnb.ai.operations import Backend, run_of
from agentnb.ai.runs import Runs, short
from agentnb.ai.words import words_of_event
from agentnb.core.errors import Final, UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import choice, refused, seconds, texts, whole
from agentnb.core.workflow.context import current_context, execution_of, within
from agentnb.core.workflow.stepping import current_step

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

    from pydantic_ai import Agent, AgentRunResult
    from pydantic_ai.messages import AgentStreamEvent
    from pydantic_ai.models import Model
    from pydantic_ai.settings import ModelSettings
    from pydantic_ai.tools import (
        DeferredToolRequests,
        DeferredToolResults,
        RunContext,
        ToolDefinition,
    )
    from pydantic_ai.toolsets import AbstractToolset

    from agentnb.core.workflow import Context
    from agentnb.core.workflow.step_options import OnChange

__all__ = ["Durability", "DurableAgent", "Options", "durable"]

D = TypeVar("D")
R = TypeVar("R")
_MOST_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a `Durability`, checked; each as that takes it."""

    stream: str | None
    tools: bool
    approve: tuple[str, ...]
    max_bytes: int
    budget: tuple[Budget, ...]
    on_change: OnChange
    timeout: float | None
    prompts: bool


@refuse_unknown("workflow")
class Durability(BaseDurabilityCapability[Any]):
    """Makes an agent of pydantic-ai durable in a task; outside of tasks it does nothing.

    Each request to a model and each call of a tool is a step of the task: its answer is kept, and
    an attempt that begins again is given it, without asking once more. The requests that the
    models' libraries would repeat by themselves are left to the attempts of the task. An answer
    400, 401, 403 or 404 of a model ends the task at once; one that is busy (429, 529) and says for
    how long lets the task sleep, which takes no attempt and no worker.

    Parameters
    ----------
    stream
        The stream of the task that the words of the model go to while it answers; None asks for
        the answer in one piece.
    tools
        Whether the agent's own tools are steps, too; else each attempt calls them again.
    approve
        Patterns of the names of tools that a person has to approve, such as ``["pay_*"]``, beside
        those that ``requires_approval=True`` marks.
    max_bytes
        Bytes that an answer of the model or of a tool may take.
    budget
        The requests, tokens and money for the task or its workflow: a `Budget`, or several.
    on_change
        The treatment of a request that an earlier attempt has made with another prompt:
        ``"warn"`` uses the answer to that and logs a line, ``"fail"`` raises, ``"again"`` asks
        again.
    timeout
        Seconds that a request may take; None for the limit of the task alone.
    prompts
        Whether the spans of the requests have the texts of prompts and answers.
    models
        Other models by their names, for ``run(model=NAME)``.
    name
        The agent's name in its steps; default: the agent's own.

    Raises
    ------
    UsageError
        One of them is not what it may be.

    Examples
    --------
    >>> import asyncio
    >>> from pydantic_ai import Agent
    >>> from pydantic_ai.models.test import TestModel
    >>> bot = Agent(TestModel(custom_output_text="42"), name="bot", capabilities=[Durability()])
    >>> asyncio.run(bot.run("What is six times seven?")).output
    '42'
    """

    engine_spec = DurabilityEngineSpec(
        engine_name="agentnb",
        durable_unit_noun="step",
        durable_container_noun="task",
        codec=JSON_CODEC,
        toolset_lifecycles={
            "function": "enter-always",
            "mcp": "enter-in-durable-unit",
            "dynamic": "enter-never",
        },
        unsupported_runtime_toolset_kinds=frozenset({"function", "mcp", "dynamic"}),
    )

    def __init__(
        self,
        *,
        stream: str | None = "model",
        tools: bool = True,
        approve: Iterable[str] | None = None,
        max_bytes: int = 8_000_000,
        budget: Budget | Iterable[Budget] = (),
        on_change: OnChange = "warn",
        timeout: float | None = None,
        prompts: bool = False,
        models: Mapping[str, Model] | None = None,
        name: str | None = None,
    ) -> None:
        choice("on_change", on_change, ("warn", "fail", "again"), service="workflow")
        self.options = Options(
            stream,
            tools,
            () if approve is None else texts("approve", approve, service="workflow"),
            whole("max_bytes", max_bytes, service="workflow", most=_MOST_BYTES),
            _budgets(budget),
            on_change,
            None if timeout is None else seconds("timeout", timeout, service="workflow"),
            prompts,
        )
        options = self.options

        async def handler(_: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
            await _write(events, options)

        super().__init__(models=models, event_stream_handler=handler, name=name)

    @property
    def in_durable_context(self) -> bool:
        """Whether the calling code belongs to a task."""
        return current_context() is not None

    def get_durable_operation_backend(self) -> Backend:
        """Return what runs operations as steps."""
        return Backend(self.name, self.options)

    def get_default_run_id(self) -> str | None:
        """Return the id of a run that starts: the same in each attempt."""
        ctx = current_context()
        return None if ctx is None else Runs.of(ctx).start(self.name).run_id

    def get_default_conversation_id(self, run_id: str) -> str | None:
        """Return the id of the conversation of a run."""
        return conversation_id_from_run_id(run_id) if self.in_durable_context else None

    def get_model_settings(self) -> Any:
        """Return the settings of a task's requests: no library repeats them by itself."""

        def settings(_: RunContext[Any]) -> ModelSettings:
            return {"max_retries": 0} if self.in_durable_context else {}

        return settings

    async def on_run_error(
        self, ctx: RunContext[Any], *, error: BaseException
    ) -> AgentRunResult[Any]:
        """Raise the error of a run as that of the task; let one of a busy model wait."""
        task = current_context()
        if task is None or current_step() is not None or not isinstance(error, Exception):
            raise error
        final = final_of(error, execution_of(task).around.runtime.redactor)
        if final is not None:
            raise final from error
        pause = pause_of(error)
        if pause is not None:
            # Its name is used in this entry alone: the next one asks the model, and may come back.
            prefix = run_of(task, self.name, ctx).prefix
            await task.asleep(pause, name=short(f"{prefix}/busy.{task.entry}"))
        raise error

    def get_wrapper_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any] | None:
        """Return the toolset whose calls are steps; refuse one that the agent was not made with."""
        try:
            return super().get_wrapper_toolset(toolset)
        except UserError as error:
            task = current_context()
            redactor = str if task is None else execution_of(task).around.runtime.redactor
            raise final_of(error, redactor) or error from error

    @property
    def has_wrap_run_event_stream(self) -> bool:
        """Whether the model is asked for its answer word by word."""
        return self.in_durable_context and self.options.stream is not None

    async def wrap_run_event_stream(
        self, ctx: RunContext[Any], *, stream: AsyncIterable[AgentStreamEvent]
    ) -> AsyncIterable[AgentStreamEvent]:
        """Pass the events on: those of the model went to the task's stream when they came."""
        del ctx
        async for event in stream:
            yield event

    async def prepare_tools(
        self, ctx: RunContext[Any], tool_defs: list[ToolDefinition]
    ) -> list[ToolDefinition]:
        """Mark the tools that a person has to approve."""
        del ctx
        if not self.in_durable_context:
            return tool_defs
        return [replace(one, kind="unapproved") if self._asks(one) else one for one in tool_defs]

    def _asks(self, tool: ToolDefinition) -> bool:
        patterns = self.options.approve
        return tool.kind == "function" and any(fnmatchcase(tool.name, one) for one in patterns)

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Ask a person whether tools may be called."""
        task = current_context()
        if task is None or not requests.approvals:
            return None
        return await decide(task, run_of(task, self.name, ctx), ctx, requests)


def _budgets(given: Any) -> tuple[Budget, ...]:
    several = tuple(given) if isinstance(given, Iterable) else (given,)
    for one in several:
        if not isinstance(one, Budget):
            raise refused("budget", "a Budget or several", one, "workflow", "Budget(tokens=50_000)")
    return several


async def _write(events: AsyncIterable[AgentStreamEvent], options: Options) -> None:
    """Write the words of an answer to the stream of the task, as they come."""
    ctx, size = current_context(), 0
    async for event in events:
        text, more = words_of_event(event)
        size += len(text.encode("utf-8", "replace")) + more
        if size > options.max_bytes:
            raise Final(
                f"an answer of the model is longer than {options.max_bytes:,} bytes",
                service="workflow",
                hint="Durability(max_bytes=) allows more; max_tokens of the model's settings less",
            )
        if ctx is not None and options.stream is not None and text:
            await ctx.awrite(text, stream=options.stream)


class DurableAgent:
    """An agent of pydantic-ai whose runs belong to a task; made by `durable`.

    Parameters
    ----------
    agent
        The agent.
    ctx
        The context of the task.
    """

    def __init__(self, agent: Agent[D, R], ctx: Context) -> None:
        self.agent = agent
        self._ctx = ctx

    async def run(self, *args: Any, **options: Any) -> AgentRunResult[Any]:
        """Run the agent as ``agent.run`` does."""
        with within(self._ctx):
            done: AgentRunResult[Any] = await self.agent.run(*args, **options)
        return done

    def run_sync(self, *args: Any, **options: Any) -> AgentRunResult[Any]:
        """Run the agent and wait for its end, in a synchronous agent of agentnb.

        It runs on the loop of the worker, which keeps the connections of its model.
        """
        loop = execution_of(self._ctx).around.loop
        done: AgentRunResult[Any] = loop.call(lambda: self.run(*args, **options))
        return done


def durable(bot: Agent[D, R], ctx: Context) -> DurableAgent:
    """Return an agent whose runs are steps of a task.

    ``bot.run`` in a task does the same; this says so, and refuses an agent that cannot.

    Parameters
    ----------
    bot
        An agent that has a `Durability` among its capabilities.
    ctx
        The context of the task.

    Raises
    ------
    UsageError
        The agent has no `Durability`.

    Examples
    --------
    ``report = (await durable(bot, ctx).run(task.data["question"])).output``
    """
    check_durable(bot)
    return DurableAgent(bot, ctx)


def check_durable(bot: Agent[Any, Any]) -> None:
    """Refuse an agent whose answers would not be kept.

    Raises
    ------
    UsageError
        It has no `Durability`.
    """
    if Durability.from_agent(bot) is None:
        raise UsageError(
            f"agent {bot.name or ''} of pydantic-ai has no Durability: a later attempt would ask "
            "and pay its model again",
            service="workflow",
            hint="Agent(..., name='bot', capabilities=[Durability()])",
        )
