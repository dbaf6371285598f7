"""The body of ``%%workflow``: one task a line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from agentnb.core.bind import lookup
from agentnb.core.errors import UsageError, did_you_mean
from agentnb.core.ranges import OutsideError
from agentnb.magics.grammar import is_word, json_at
from agentnb.magics.workflow.marks import MARKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentnb.core.workflow import Task

__all__ = ["Line", "offered", "parse"]

_NAME = re.compile(r"""[^\s,:<>"'#!%{}\[\]-][^\s,:<>"'#!]*""")
_SPACE = re.compile(r"[ \t\r\f]*")
_BIND = re.compile(r":([^\W\d]\w*(?:\.[^\W\d]\w*)*)")
_MARK = re.compile(r"!([^\s=!<#]*)(?:=([^\s!<#]*))?")
_JSON: Final = tuple('{["-0123456789')
_WORDS: Final = ("true", "false", "null")
_LIKE: Final = 'api: scaffold {"name": "my-app"} <- plan, other !approve !priority=1'


@dataclass(slots=True)
class Line:
    """A task as it was written.

    Attributes
    ----------
    number
        The line on which it begins, from 1, the line of the magic not counted.
    name, agent, data, needs
        As in a `Task`; a task that names no agent is for the one of its own name.
    options
        What its marks say, by the names that a `Task` has for them.
    deprecated
        The replacement of a deprecated mark, for people; empty for none.
    """

    number: int
    name: str
    agent: str = ""
    data: Any = None
    needs: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    deprecated: str = ""

    def task(self) -> Task:
        """Return it as the core takes it.

        Raises
        ------
        UsageError
            It cannot be one.
        """
        from agentnb.core.workflow import Task

        try:
            return Task(
                self.name, agent=self.agent, data=self.data, needs=self.needs, **self.options
            )
        except UsageError as error:
            raise self.wrong(error) from error

    def wrong(self, error: UsageError) -> UsageError:
        """Return the error of the line that one of its task is."""
        return _at_line(self.number, error.message, error.hint)


def parse(body: str, namespace: Mapping[str, Any]) -> list[Line]:
    r"""Return the tasks of a body.

    A line is ``NAME: AGENT DATA <- NEED, NEED !MARK``; all but the name may be left away. The
    data is JSON, which may go on over several lines, or ``:name``. A ``#`` begins a comment.

    Parameters
    ----------
    body
        The text.
    namespace
        Where ``:name`` is looked up.

    Raises
    ------
    UsageError
        A line cannot be understood. The error names the line and what to write instead.

    Examples
    --------
    >>> plan, api = parse('plan\napi: scaffold {"app": "a"} <- plan !approve !delay=5', {})
    >>> api.agent, api.data, api.needs, api.options
    ('scaffold', {'app': 'a'}, ['plan'], {'approval': True, 'delay': 5.0})
    """
    found = _Reader(body, namespace).tasks()
    if not found:
        raise UsageError(
            "the cell names no task", service="workflow", hint=f"one a line, such as: {_LIKE}"
        )
    return found


class _Reader:
    """Reads a body from its beginning to its end."""

    def __init__(self, body: str, namespace: Mapping[str, Any]) -> None:
        self._text, self._at, self._names = body, 0, namespace

    def tasks(self) -> list[Line]:
        """Return all tasks."""
        found = []
        while self._at < len(self._text):
            self._skip()
            if self._sees("\n"):
                self._at += 1
            elif self._sees("#"):
                self._comment()
            elif self._at < len(self._text):
                found.append(self._task())
        return found

    def _task(self) -> Line:
        if self._sees("<-") or self._sees("!"):
            self._fail("a line begins with the name of a task", _LIKE)
        task = Line(self._line(), self._name("a name of a task"))
        self._skip()
        if self._sees(":"):
            self._at += 1
            self._skip()
            if not self._ends() and not self._sees("<-") and not self._sees("!"):
                self._agent(task)
        elif not self._ends() and not self._sees("<-") and not self._sees("!"):
            self._fail(
                f"behind the name {task.name} comes a colon", f"{task.name}: AGENT", word=True
            )
        task.agent = task.agent or task.name
        self._rest(task)
        return task

    def _agent(self, task: Line) -> None:
        if self._is_data():
            task.data = self._data(task)
            return
        task.agent = self._name("the name of an agent")
        self._skip()
        if self._is_data():
            task.data = self._data(task)

    def _rest(self, task: Line) -> None:
        self._skip()
        while not self._ends():
            if self._sees("<-"):
                self._at += 2
                self._needs(task)
            elif self._sees("!"):
                self._mark(task)
            else:
                self._fail(
                    f"task {task.name}: {self._word()} cannot be understood",
                    "data is JSON, with text in double quotes, or :name; needs come behind <- "
                    "and marks begin with !",
                )
            self._skip()
        if self._sees("#"):
            self._comment()

    def _needs(self, task: Line) -> None:
        while True:
            self._skip()
            task.needs.append(self._name(f"task {task.name}: behind <- the name of a task"))
            self._skip()
            if not self._sees(","):
                return
            self._at += 1

    def _mark(self, task: Line) -> None:
        match = _MARK.match(self._text, self._at)
        assert match is not None  # noqa: S101 - a mark begins here
        name, given = match.groups()
        if name == "retries" and (given or "").isdecimal():
            task.options["attempts"] = int(given) + 1
            task.deprecated = f"!retries={given} is deprecated: use !attempts={int(given) + 1}"
            self._at = match.end()
            return
        if name not in MARKS:
            usages = ", ".join(usage for _, _, usage in MARKS.values())
            self._fail(
                f"task {task.name}: there is no mark !{name}",
                did_you_mean(name, MARKS) or f"marks: {usages}",
            )
        key, convert, usage = MARKS[name]
        if convert is None and given is not None:
            self._fail(f"task {task.name}: !{name} takes no value", usage)
        try:
            task.options[key] = True if convert is None else convert(given or "")
        except OutsideError as error:
            self._fail(
                f"task {task.name}: !{name} must be {error}, got {given or 'nothing'}", usage
            )
        self._at = match.end()

    def _is_data(self) -> bool:
        if self._text.startswith(_JSON, self._at) or _BIND.match(self._text, self._at):
            # A name may begin with a digit, a number is followed by nothing of a name.
            return not (self._text[self._at].isdigit() and not self._is_number())
        word = self._word()
        return word in _WORDS

    def _is_number(self) -> bool:
        return re.fullmatch(r"\d+(\.\d+)?([eE][+-]?\d+)?", self._word()) is not None

    def _data(self, task: Line) -> Any:
        bind = _BIND.match(self._text, self._at)
        if bind:
            try:
                value = lookup(bind.group(1), self._names)
            except UsageError as error:
                said = f"task {task.name}: {error.message}"
                raise _at_line(self._line(), said, error.hint) from error
            self._at = bind.end()
            return value
        try:
            value, self._at = json_at(self._text, self._at)
        except json.JSONDecodeError as error:
            line = self._text.count("\n", 0, error.pos) + 1
            raise _at_line(
                line,
                f"task {task.name}: malformed JSON: {error.msg} at "
                f"{self._text[error.pos :].split(chr(10))[0][:30]!r}",
                'names and text are in double quotes: {"name": "value"}',
            ) from error
        return value

    def _name(self, what: str) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            self._fail(
                f"{what} is wanted, not {self._word() or 'nothing'}",
                f"a name is a word, as in: {_LIKE}",
            )
        self._at = match.end()
        return match.group()

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _comment(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _sees(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _ends(self) -> bool:
        return self._at >= len(self._text) or self._text[self._at] in "\n#"

    def _word(self) -> str:
        return re.match(r"[^\s,]*", self._text[self._at : self._at + 60]).group()  # type: ignore[union-attr]  # it matches anything

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _fail(self, what: str, hint: str, *, word: bool = False) -> NoReturn:
        said = f", not {self._word()}" if word else ""
        raise _at_line(self._line(), f"{what}{said}", hint)


def _at_line(number: int, what: str, hint: str | None) -> UsageError:
    return UsageError(f"line {number}: {what}", service="workflow", hint=hint)


def offered(line: str, text: str, agents: Callable[[], list[str]]) -> list[tuple[str, str]]:
    r"""Return what Tab offers at the end of a line, each with its kind.

    Parameters
    ----------
    line
        What stands before the word that is being typed.
    text
        The whole cell.
    agents
        Returns the names of the agents.

    Examples
    --------
    >>> offered("api: x <- ", "%%workflow w\nplan: x\napi: x <- ", list)
    [('plan', 'task')]
    """
    if line.endswith("!"):
        return [(name, "mark") for name in MARKS]
    if "<-" in line:
        heads = [re.split(r":|<-|!|#|\s", one.strip())[0] for one in text.split("\n")[1:]]
        here = line.split(":", maxsplit=1)[0].strip()
        return [(name, "task") for name in dict.fromkeys(heads) if name != here and is_word(name)]
    if not line.strip() or line.rstrip().endswith(":"):
        return [(name, "agent") for name in agents()]
    return []
