"""One question to an agent, outside of tasks: its words as they come, its tools, its errors."""

from __future__ import annotations

import asyncio
import queue
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError, ModelAPIError, ModelHTTPError
from pydantic_ai.messages import FunctionToolCallEvent

from agentnb.ai.errors import final_of
from agentnb.ai.toolsets import model_tool
from agentnb.ai.words import words_of_event
from agentnb.core.background import run_in_thread
from agentnb.core.errors import ConfigError, DeadlineExceeded, UnavailableError
from agentnb.core.failure import words_of
from agentnb.core.redact import Redactor
from agentnb.core.workflow.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Generator, Sequence

    from pydantic_ai.messages import AgentStreamEvent
    from pydantic_ai.models import Model

    from agentnb.core.tools import Tool

__all__ = ["Question"]

_EVERY = 0.1
_MOST_BYTES = 8_000_000
_TRIES = 5
"""Calls of a tool in a row that may fail: a model mends its SQL by what the error says."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Signs that clear a terminal, or write over the lines above."""


@dataclass
class Question:
    """A question to an agent that runs in a thread of its own.

    Parameters
    ----------
    model
        The model of pydantic-ai.
    prompt
        The question.
    tools
        Tools of the hub.
    system
        Instructions; None for none.
    timeout
        Seconds that it may take; None for no limit.
    redactor
        Masks secrets in the words and in errors: a server that was sent the key can say it.

    Attributes
    ----------
    output
        The answer, once it has ended.
    called
        The names of the tools that were called.
    usage
        The use of the model.
    """

    model: Model
    prompt: str
    tools: Sequence[Tool] = ()
    system: str | None = None
    timeout: float | None = None
    redactor: Redactor = field(default_factory=Redactor)
    output: str | None = None
    called: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        self._coming: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def words(self) -> Generator[str, None, None]:
        """Yield the words of the answer as they come, and an empty text while there are none.

        Raises
        ------
        ConfigError
            The model refused the request, or its key.
        UnavailableError
            It could not be asked, or broke off; `DeadlineExceeded` after the time-out.
        """
        ended = run_in_thread(self._run, name="ai-question")
        held = ""
        try:
            while True:
                found: str | BaseException | None = ""
                with suppress(queue.Empty):
                    found = self._coming.get(timeout=_EVERY)
                if not isinstance(found, str) and held:
                    yield self.redactor(held)
                if found is None:
                    return
                if isinstance(found, BaseException):
                    raise self._explained(found) from found
                held += _CONTROL.sub("", found)
                size = len(held) - self.redactor.begun(held)
                words, held = held[:size], held[size:]
                yield self.redactor(words)
        finally:
            self._cancel()
            with suppress(Exception):
                ended.result(5)

    def _cancel(self) -> None:
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(task.cancel)

    def _run(self) -> None:
        try:
            asyncio.run(self._ask())
        except BaseException as error:  # noqa: BLE001 - raised by the one who reads
            self._coming.put(error)
        else:
            self._coming.put(None)

    async def _ask(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        tools = [model_tool(one) for one in self.tools]
        bot = Agent(
            self.model,
            instructions=self.system,
            tools=tools,
            retries=_TRIES,
            # A busy model may want minutes: the error says for how long, and a person decides.
            model_settings={"max_retries": 0},
        )

        async def hear(_: Any, events: AsyncIterable[AgentStreamEvent]) -> None:
            size = 0
            async for event in events:
                text, more = words_of_event(event)
                size += len(text) + more
                if size > _MOST_BYTES:
                    raise UnavailableError(
                        f"the answer is longer than {_MOST_BYTES:,} bytes",
                        service="llm",
                        hint="ask for less at once",
                    )
                if isinstance(event, FunctionToolCallEvent):
                    self.called.append(event.part.tool_name)
                if text:
                    self._coming.put(text)

        async with asyncio.timeout(self.timeout):
            done = await bot.run(self.prompt, event_stream_handler=hear)
        used = done.usage
        self.usage = Usage(used.requests, used.input_tokens, used.output_tokens)
        self.output = self.redactor(str(done.output))

    def _explained(self, error: BaseException) -> BaseException:
        """Return the error of agentnb for one of a model."""
        if isinstance(error, TimeoutError) and self.timeout is not None:
            return DeadlineExceeded(
                f"the answer took longer than {self.timeout:g} s",
                service="llm",
                hint="--timeout SECONDS gives it more",
            )
        if not isinstance(error, Exception):
            return error
        final = final_of(error, self.redactor)
        if final is not None:
            hint = (final.hint or "").partition("; then workflow")[0]
            return ConfigError(final.message, service="llm", hint=hint)
        if isinstance(error, ModelHTTPError | ModelAPIError | AgentRunError):
            busy = getattr(error, "retry_after", None)
            hint = "run the cell again" if busy is None else f"run the cell again in {busy:g} s"
            if isinstance(error, ModelAPIError) and not isinstance(error, ModelHTTPError):
                hint = "check the address, AGENTNB_LLM_URL or --url; then run the cell again"
            return UnavailableError(self.redactor(words_of(error)), service="llm", hint=hint)
        return error
