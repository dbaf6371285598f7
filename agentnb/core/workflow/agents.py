"""Agents: functions and classes that do tasks, under a name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar, Unpack, overload

from agentnb.core.callables import check_takes
from agentnb.core.codec import check_schema, declared
from agentnb.core.errors import UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds, whole
from agentnb.core.workflow.bots import bot_call, is_bot, output_type_of
from agentnb.core.workflow.spec import (
    MOST_ATTEMPTS,
    attempts_of,
    check_known,
    check_name,
    several,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from typing_extensions import TypeForm

    from agentnb.core.codec import TypeCodec
    from agentnb.core.workflow.context import Context
    from agentnb.core.workflow.info import TaskInfo

__all__ = [
    "Agent",
    "AgentOptions",
    "RunOptions",
    "SchemaDecorator",
    "SchemalessOptions",
    "agent",
    "current_options",
    "made",
    "mark_of",
    "marked",
]

C = TypeVar("C")
E = TypeVar("E", bound="_Executes")
F = TypeVar("F")
R = TypeVar("R")
S = TypeVar("S")
_MARK = "__agentnb_agent__"
_ATTEMPTS, _TIMEOUT, _BACKOFF = 3, 600.0, 2.0
_OPTIONS = ("capabilities", "attempts", "timeout", "backoff", "schema", "returns")


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent of this process.

    Parameters
    ----------
    name
        Its name.
    call
        Given a `TaskInfo` and a `Context`; may return an awaitable.
    is_async
        Whether it does.
    capabilities, attempts, timeout, backoff, schema
        As `agent` takes them.
    module
        Where it comes from, for people.
    declared
        The codec of the type of its result; None where none is declared.
    target
        The function, class or object that it was made of.
    returns
        The type of its result, as `agent` takes it.
    cell
        Whether the home keeps it as a cell, so that other processes of it find it.
    """

    name: str
    call: Callable[[Any, Any], Any]
    is_async: bool
    capabilities: tuple[str, ...] = ()
    attempts: int = _ATTEMPTS
    timeout: float | None = _TIMEOUT
    backoff: float = _BACKOFF
    schema: Any = None
    module: str = ""
    declared: TypeCodec | None = None
    target: Any = None
    returns: Any = None
    cell: bool = False


class _AttemptOptions(TypedDict, total=False):
    timeout: float | None
    backoff: float
    returns: Any


class RunOptions(_AttemptOptions, total=False):
    """The keyword arguments of an agent that hold for each attempt at a task; see `agent`."""

    schema: Any


class SchemalessOptions(_AttemptOptions, total=False):
    """The keyword arguments of `Orchestrator.agent` but for its ``schema``; see `agent`."""

    capabilities: Iterable[str]
    attempts: int
    retries: int | None


class AgentOptions(SchemalessOptions, total=False):
    """The keyword arguments of `Orchestrator.agent`, each as `agent` takes it."""

    schema: Any


class SchemaDecorator(Protocol[S]):
    """The decorator of an agent whose task has data of a type."""

    @overload
    def __call__(self, target: type[C], /) -> type[C]: ...
    @overload
    def __call__(
        self, target: Callable[[TaskInfo[S], Context], R], /
    ) -> Callable[[TaskInfo[S], Context], R]: ...
    @overload
    def __call__(self, target: Callable[[TaskInfo[S]], R], /) -> Callable[[TaskInfo[S]], R]: ...
    @overload
    def __call__(self, target: E, /) -> E: ...


class _Executes(Protocol):
    """An object that does the tasks of an agent."""

    @property
    def execute(self) -> Callable[..., Any]:
        """Return the function that is given the data of a task, and its context."""


@overload
def agent(
    name: str, *, schema: TypeForm[S], **options: Unpack[SchemalessOptions]
) -> SchemaDecorator[S]: ...
@overload
def agent(
    name: str, *, schema: None = ..., **options: Unpack[SchemalessOptions]
) -> Callable[[F], F]: ...
@refuse_unknown("workflow")
def agent(
    name: str,
    *,
    capabilities: Iterable[str] = (),
    attempts: int = _ATTEMPTS,
    timeout: float | None = _TIMEOUT,
    backoff: float = _BACKOFF,
    schema: Any = None,
    returns: Any = None,
    retries: int | None = None,
) -> Any:
    """Mark a function or a class as an agent, for ``agentnb worker --agents --app MODULE``.

    The target is returned unchanged. `Orchestrator.agent` takes the same.

    Parameters
    ----------
    name
        Its name.
    capabilities
        What it can do, for those who look for an agent.
    attempts
        How often a task may run in total, a worker's death counted.
    timeout
        Seconds that an attempt may take; None for no limit. A coroutine is cancelled after that;
        a function's thread is left behind, and what comes of it does not count. The time starts
        anew with each entry of a task that was parked; ``deadline=`` of its workflow limits all.
    backoff
        Seconds before the second attempt, which double from one to the next, up to five minutes.
    schema
        The type that the data of its tasks is checked by and read as: a msgspec Struct, a
        dataclass, a TypedDict, a pydantic model, or lists and dicts of those.
    returns
        The type of its result; default: its return annotation. See `agentnb.core.codec.plain`
        for the JSON that is kept.
    retries
        Deprecated: the attempts after the first one.

    Examples
    --------
    >>> @agent("greet", attempts=2)
    ... def greet(task, ctx):
    ...     return f"Hello, {task.data}!"
    """
    options = {
        "capabilities": capabilities,
        "attempts": attempts if retries is None else attempts_of(None, retries),
        "timeout": timeout,
        "backoff": backoff,
        "schema": schema,
        "returns": returns,
    }
    # Wrong options are an error here, not in the worker.
    options["capabilities"] = made(name, _nothing, **options).capabilities

    def mark(target: F) -> F:
        setattr(target, _MARK, (name, options))
        return target

    return mark


def current_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an agent, ``attempts`` in the place of a deprecated ``retries``."""
    if "retries" not in options:
        return {**options}
    rest = {name: value for name, value in options.items() if name != "retries"}
    return {**rest, "attempts": attempts_of(options.get("attempts"), options["retries"])}


def mark_of(target: Any) -> tuple[str, dict[str, Any]] | None:
    """Return the name and the options that `agent` has marked a target with, None for none."""
    mark = vars(target).get(_MARK) if hasattr(target, "__dict__") else None
    return mark if isinstance(mark, tuple) else None


def marked(module: ModuleType) -> dict[str, Agent]:
    """Return the agents that a module has marked, by their names.

    Raises
    ------
    UsageError
        Two have the same name, or one cannot be called.
    """
    found: dict[str, Agent] = {}
    targets: dict[str, Any] = {}
    for value in list(vars(module).values()):
        mark = mark_of(value)
        if mark is None:
            continue
        name, options = mark
        if name in targets and targets[name] is not value:
            raise UsageError(
                f"{module.__name__} has two agents called {name!r}",
                service="workflow",
                hint="give each a name of its own",
            )
        targets[name] = value
        source = f"{module.__name__}:{getattr(value, '__name__', type(value).__name__)}"
        found[name] = made(name, value, module=source, **options)
    return found


def made(name: str, target: Any, *, module: str = "", **options: Any) -> Agent:
    """Return the agent that a function, a class or an object with ``execute`` is.

    Raises
    ------
    UsageError
        The target is none of these, or an option is out of its range.
    """
    check_name(name, "an agent")
    given: dict[str, Any] = {
        "capabilities": (),
        "attempts": _ATTEMPTS,
        "timeout": _TIMEOUT,
        "backoff": _BACKOFF,
    }
    check_known(options, _OPTIONS, "an agent")
    given |= options
    if isinstance(given["capabilities"], str):
        raise UsageError(
            f"capabilities must be a list of words, got {shown(given['capabilities'])}",
            service="workflow",
            hint='capabilities=["files", "code"]',
        )
    capabilities = several("capabilities", given["capabilities"], "a list of words")
    attempts = whole("attempts", given["attempts"], service="workflow", most=MOST_ATTEMPTS)
    backoff = seconds("backoff", given["backoff"], service="workflow", zero=True)
    timeout = given["timeout"]
    if timeout is not None:
        timeout = seconds("timeout", timeout, service="workflow")
    check_schema(given.get("schema"), "workflow")
    bot = is_bot(target)
    if bot and given.get("returns") is None:
        given["returns"] = output_type_of(target)
    call, is_async = (bot_call(name, target), True) if bot else _callable(name, target)
    return Agent(
        name,
        call,
        is_async,
        tuple(map(str, capabilities)),
        attempts,
        timeout,
        backoff,
        given.get("schema"),
        module or _source(target),
        declared(
            call if bot else getattr(target, "execute", target),
            given.get("returns"),
            "workflow",
            f"agent {name}",
        ),
        target,
        given.get("returns"),
    )


def _callable(name: str, target: Any) -> tuple[Callable[[Any, Any], Any], bool]:
    if inspect.isclass(target):
        execute: Any = getattr(target, "execute", None)
        if not callable(execute):
            raise _no_agent(name, target)
        # Made for each task, so that nothing of one is left in the next.
        make: Any = target
        wide = _words(execute) > 2  # noqa: PLR2004 - self and data
        own = isinstance(inspect.getattr_static(target, "execute"), staticmethod | classmethod)
        _check(name, execute, *(() if own else ("self",)), "data", *(("ctx",) if wide else ()))
        if wide:
            return (lambda task, ctx: make().execute(task.data, ctx)), _is_async(execute)
        return (lambda task, ctx: make().execute(task.data)), _is_async(execute)  # noqa: ARG005 - called with both
    execute = getattr(target, "execute", None)
    if not inspect.isroutine(target) and callable(execute):
        wide = _words(execute) > 1
        _check(name, execute, *(("data", "ctx") if wide else ("data",)))
        if wide:
            return (lambda task, ctx: execute(task.data, ctx)), _is_async(execute)
        return (lambda task, ctx: execute(task.data)), _is_async(execute)  # noqa: ARG005 - as above
    if not callable(target):
        raise _no_agent(name, target)
    if _words(target) < 2:  # noqa: PLR2004 - the task and its context
        _check(name, target, "task")
        return (lambda task, ctx: target(task)), _is_async(target)  # noqa: ARG005 - as above
    _check(name, target, "task", "ctx")
    return target, _is_async(target)


def _check(name: str, function: Callable[..., Any], *given: str) -> None:
    hint = "def run(task, ctx), async or not, or a class with execute(data)"
    check_takes(function, *given, name=f"agent {name}", service="workflow", hint=hint)


def _is_async(target: Any) -> bool:
    call = target if inspect.isroutine(target) else getattr(target, "__call__", target)  # noqa: B004 - an object's own
    return inspect.iscoroutinefunction(inspect.unwrap(call))


def _words(function: Any) -> int:
    """Return the number of positional arguments that a function takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 2
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return 9
    return sum(one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD} for one in parameters)


def _source(target: Any) -> str:
    module = getattr(target, "__module__", "") or ""
    if module == "__main__":
        return "this process"
    return f"{module}:{getattr(target, '__qualname__', type(target).__name__)}"


def _no_agent(name: str, target: Any) -> UsageError:
    return UsageError(
        f"agent {name} is a {type(target).__name__} that cannot do a task",
        service="workflow",
        hint="def run(task, ctx), async or not, or a class with execute(data)",
    )


def _nothing(task: Any, ctx: Any) -> None:
    """Stand for the target while its options are checked."""
