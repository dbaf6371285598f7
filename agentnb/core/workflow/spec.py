"""A task of a workflow as a caller writes it, and the checks of such values."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, InitVar, dataclass, fields
from typing import Any

from agentnb.core.deprecation import warn_deprecated
from agentnb.core.errors import UsageError, did_you_mean
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import flag, refused, seconds, whole

__all__ = [
    "MOST_ATTEMPTS",
    "Task",
    "attempts_of",
    "check_known",
    "check_name",
    "check_step",
    "check_words",
    "printable",
    "several",
    "shown",
    "task_of",
    "text",
]

MOST_ATTEMPTS = 1000
_LONGEST = 200
_LONGEST_TEXT = 10_000
_MOST_PRIORITY = 524_287
_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 80


@refuse_unknown("workflow")
@dataclass(frozen=True)
class Task:
    """A task that a workflow is made with.

    Parameters
    ----------
    name
        Its name within the workflow; also the name of its agent, unless another is given.
    agent
        The name of the agent that does it.
    data
        Any value with a JSON form, see `agentnb.core.codec.plain`; the agent finds it in
        ``task.data``.
    needs
        The names of tasks that have to be completed before.
    priority
        The lower number runs first: 0, then 1, 2, ... A task without a priority has 0, so that
        any other number lets it run later.
    delay
        Seconds that it waits once it could run.
    approval
        Whether a person has to approve it once its needs are completed.
    attempts
        How often it may run in total; default: as its agent says.
    timeout
        Seconds that an attempt may take; default: as its agent says. A task that was parked has
        them anew with each entry; ``deadline=`` of its workflow limits all of it.
    retries
        Deprecated: the attempts after the first one.

    Examples
    --------
    >>> Task("api", agent="scaffold", needs=["plan"]).needs
    ('plan',)
    """

    name: str
    _: KW_ONLY
    agent: str = ""
    data: Any = None
    needs: Sequence[str] = ()
    priority: int = 0
    delay: float = 0.0
    approval: bool = False
    attempts: int | None = None
    timeout: float | None = None
    retries: InitVar[int | None] = None

    def __post_init__(self, retries: int | None) -> None:
        name = check_name(self.name, "a task")
        agent = check_name(self.agent, "an agent") if self.agent else name
        needs = several("needs", self.needs, "the names of tasks")
        if not all(isinstance(one, str) for one in needs):
            raise refused("needs", "names of tasks", self.needs, "workflow", 'needs=["plan"]')
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "agent", agent)
        object.__setattr__(self, "needs", tuple(dict.fromkeys(map(str.__str__, needs))))
        checked: dict[str, Any] = {
            "priority": whole(
                "priority", self.priority, service="workflow", least=0, most=_MOST_PRIORITY
            ),
            "delay": seconds("delay", self.delay, service="workflow", zero=True),
            "approval": flag("approval", self.approval, service="workflow"),
        }
        attempts = attempts_of(self.attempts, retries)
        if attempts is not None:
            checked["attempts"] = whole(
                "attempts", attempts, service="workflow", most=MOST_ATTEMPTS
            )
        if self.timeout is not None:
            checked["timeout"] = seconds("timeout", self.timeout, service="workflow")
        for name, value in checked.items():
            object.__setattr__(self, name, value)


_FIELDS = {*(one.name for one in fields(Task)), "retries"}
# The words of the spec's tasks for ours.
_SYNONYMS = {"agent_id": "agent", "depends_on": "needs", "dependencies": "needs", "input": "data"}


def task_of(given: Task | Mapping[str, Any]) -> Task:
    """Return a task from one, or from a dict of its words.

    Raises
    ------
    UsageError
        It is neither, or one of the words is none of a task's.
    """
    if isinstance(given, Task):
        return given
    if not isinstance(given, Mapping):
        raise UsageError(
            f"a task is a Task or a dict, got {type(given).__name__}",
            service="workflow",
            hint='Task("api", agent="scaffold", needs=["plan"])',
        )
    words = {_SYNONYMS.get(word, word): value for word, value in given.items()}
    check_known(words, sorted(_FIELDS), "a task")
    if "name" not in words:
        raise UsageError("a task has no name", service="workflow", hint='{"name": "api", ...}')
    return Task(**words)


def attempts_of(attempts: int | None, retries: Any) -> int | None:
    """Return the attempts, also of the deprecated ``retries``, which are one fewer.

    Raises
    ------
    UsageError
        Both are given, or ``retries`` is not 0 to 999.
    """
    if retries is None:
        return attempts
    whole("retries", retries, service="workflow", least=0, most=MOST_ATTEMPTS - 1)
    if attempts is not None:
        raise UsageError(
            "attempts and retries are given both",
            service="workflow",
            hint=f"attempts={attempts} alone: retries is deprecated",
        )
    warn_deprecated(f"retries={retries} is deprecated: use attempts={int(retries) + 1}")
    return int(retries) + 1


def check_known(words: Iterable[Any], known: Sequence[str], what: str) -> None:
    """Refuse a word that a thing has not.

    Raises
    ------
    UsageError
        There is one; the nearest that there is, or all, are named.
    """
    for word in words:
        if word not in known:
            raise UsageError(
                f"{what} has no {shown(word)}",
                service="workflow",
                hint=did_you_mean(str(word), known) or f"it has: {', '.join(known)}",
            )


def check_name(name: Any, what: str) -> str:
    """Return a name that can be one.

    Raises
    ------
    UsageError
        It cannot.
    """
    good = isinstance(name, str) and name.isprintable() and not set(name) & set(" ,:<>\"'")
    if not good or not 0 < len(name) <= _LONGEST or name[0] in "-!#%":
        raise UsageError(
            f"{what} cannot be called {shown(name)}",
            service="workflow",
            hint="a name is a word, such as scaffold-api",
        )
    # The text alone, of numpy's and of an enumeration's as well.
    return str.__str__(name)


def check_words(name: Any, what: str, like: str) -> str:
    """Return a name of one word or several, in one line.

    Raises
    ------
    UsageError
        It is none.
    """
    if isinstance(name, str) and name.strip():
        with suppress(UsageError):
            check_name(name.replace(" ", "-"), what)
            return str.__str__(name)
    raise UsageError(
        f"{what} cannot be called {shown(name)}",
        service="workflow",
        hint=f"a name is a few words, such as {like}",
    )


def check_step(name: Any) -> str:
    """Return the name of a step: any text that can be printed, as frameworks make them.

    Raises
    ------
    UsageError
        It is none, or longer than 200 characters.
    """
    return printable(name, "a step", "call the API")


def printable(name: Any, what: str, example: str) -> str:
    """Return the name of a part of a task: any text that can be printed.

    Raises
    ------
    UsageError
        It is none, or longer than 200 characters.
    """
    if isinstance(name, str) and name.strip() and name.isprintable() and len(name) <= _LONGEST:
        return str.__str__(name)
    raise UsageError(
        f"{what} cannot be called {shown(name)}",
        service="workflow",
        hint=f"a name is printable text of at most {_LONGEST} characters, such as {example}",
    )


def text(name: str, value: Any) -> str:
    """Return words that somebody gives.

    Raises
    ------
    UsageError
        It is no text, or too long for a remark.
    """
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        allowed = f"text of {_LONGEST_TEXT:,} characters or fewer"
        raise refused(name, allowed, value, "workflow", f'{name}="text"')
    return str.__str__(value)


def several(name: str, value: Any, wanted: str) -> list[Any]:
    """Return the things of a list, or the one text that is given for a list of one.

    Raises
    ------
    UsageError
        It is none.
    """
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Iterable):
        raise refused(name, wanted, value, "workflow", f"{name}=[...]")
    return list(value)


def shown(value: Any) -> str:
    """Return how a value reads in an error: not the whole of what is long.

    >>> shown("x" * 1000)[:9], len(shown("x" * 1000))
    ("'xxxxxxxx", 80)
    """
    return _SHOWN.repr(value)
