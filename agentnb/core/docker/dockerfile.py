r"""Dockerfiles, read as the engine's parsers read them, each instruction with its line.

Source: https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.docker.ignore import SPACE
from agentnb.core.errors import BuildFailed, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["KNOWN", "Instruction", "Reading", "need_base", "read", "readings"]

KNOWN = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
    "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
_BLANK = re.compile(r"[\t\v\f\r ]+")
_HEREDOC = re.compile(r"\d*<<(?P<tabs>-?)(?P<quote>[\"']?)(?P<name>[A-Za-z_][\w.-]*)(?P=quote)")
_WITH_HEREDOC = ("ADD", "COPY", "RUN")
_ESCAPES = "\\`"


class Instruction:
    """An instruction of a Dockerfile.

    Parameters
    ----------
    line
        The number of its first line.
    name
        In upper case.
    flags
        Its options, such as ``--from=build``, as they are written.
    rest
        The rest of the line.
    heredoc
        Whether lines of text follow it.
    trigger
        Whether the instruction waits for a build from the image (``ONBUILD``).
    """

    __slots__ = ("flags", "heredoc", "line", "name", "rest", "trigger")

    def __init__(
        self,
        line: int,
        name: str,
        flags: tuple[str, ...],
        rest: str,
        *,
        heredoc: bool = False,
        trigger: bool = False,
    ) -> None:
        self.line, self.name, self.flags, self.rest = line, name, flags, rest
        self.heredoc, self.trigger = heredoc, trigger

    def flag(self, name: str) -> str | None:
        """Return the value of an option, or None."""
        start = f"--{name}="
        return next((one[len(start) :] for one in self.flags if one.startswith(start)), None)

    @property
    def words(self) -> list[str]:
        """The words of the rest, or those of its JSON list."""
        if self.rest.startswith("["):
            try:
                found, _ = json.JSONDecoder().raw_decode(self.rest)
            except ValueError:
                found = None
            if isinstance(found, list) and all(isinstance(one, str) for one in found):
                return found
        return [word for word in _BLANK.split(self.rest) if word]

    def __str__(self) -> str:
        begin = ["ONBUILD"] if self.trigger else []
        return " ".join([*begin, self.name, *self.flags, self.rest]).strip()


class Reading(NamedTuple):
    """A Dockerfile as one of the parsers reads it.

    Parameters
    ----------
    instructions
        In their order; those of ``ONBUILD`` stand for themselves.
    syntax
        The image that the build is to be read by (``# syntax=``), or None.
    """

    instructions: tuple[Instruction, ...]
    syntax: str | None

    @property
    def unknown(self) -> Instruction | None:
        """The first instruction that does not exist."""
        return next((one for one in self.instructions if one.name not in KNOWN), None)


def read(text: str) -> Reading:
    r"""Return a Dockerfile as today's parser reads it.

    >>> found = read("FROM a AS b\n# note\nRUN echo \\\n  hi <<EOF\nADD x y\nEOF\nCOPY c d")
    >>> [(one.line, one.name) for one in found.instructions]
    [(1, 'FROM'), (3, 'RUN'), (7, 'COPY')]
    """
    parser = _Parser(text)
    return Reading(tuple(parser.instructions(heredocs=True, doubled=False)), parser.syntax)


def need_base(reading: Reading) -> None:
    """Raise for a Dockerfile without a first image: some engines break off without an answer.

    Raises
    ------
    BuildFailed
        It has no ``FROM``.
    """
    if not any(one.name == "FROM" and not one.trigger for one in reading.instructions):
        raise BuildFailed(
            "the Dockerfile has no FROM, with which a build begins",
            service="docker",
            hint="FROM IMAGE, or FROM scratch, is its first line",
        )


def readings(text: str) -> list[Reading]:
    """Return a Dockerfile in each way that a parser reads it which may be that of the engine.

    They differ in heredocs, in a line that ends with two escape characters, and in a directive
    that is not the first. Those in which an instruction does not exist are left out, since such
    a build fails before its first step.

    Raises
    ------
    BuildFailed
        No parser would read it; the error has the line.
    """
    parser = _Parser(text)
    found = [
        Reading(tuple(parser.instructions(heredocs=heredocs, doubled=doubled, escape=escape)), None)
        for heredocs, doubled, escape in product(
            (True, False), (False, True), sorted({parser.escape, "\\"}, reverse=True)
        )
    ]
    good = [one._replace(syntax=parser.syntax) for one in found if one.unknown is None]
    if not good:
        unknown = found[0].unknown or found[-1].unknown
        assert unknown is not None  # noqa: S101 - each reading has one
        raise BuildFailed(
            f"Dockerfile line {unknown.line}: unknown instruction: {unknown.name[:80]}",
            service="docker",
            hint=did_you_mean(unknown.name, KNOWN) or f"instructions: {', '.join(KNOWN)}",
        )
    return good


class _Parser:
    """Takes a Dockerfile apart."""

    def __init__(self, text: str) -> None:
        lines = text.removeprefix("\ufeff").split("\n")
        self._lines = [line.removesuffix("\r") for line in lines]
        self.escape = "\\"
        self.syntax: str | None = None
        for number, line in enumerate(self._lines, 1):
            found = _DIRECTIVE.fullmatch(line.strip(SPACE))
            if found is None:
                break
            name, value = found[1].lower(), found[2]
            if name == "syntax" and self.syntax is None:
                self.syntax = value
            elif name == "escape":
                if value not in _ESCAPES:
                    raise BuildFailed(
                        f"Dockerfile line {number}: escape must be \\ or `, got {value[:20]}",
                        service="docker",
                        hint="write # escape=` or leave the line out",
                    )
                self.escape = value

    @cached_property
    def _word(self) -> re.Pattern[str]:
        escape = re.escape(self.escape)
        return re.compile(
            rf"(?:[^\s\"'{escape}]|{escape}.|\"(?:{escape}.|[^\"{escape}])*\"|'[^']*')+"
        )

    def instructions(
        self, *, heredocs: bool, doubled: bool, escape: str | None = None
    ) -> Iterator[Instruction]:
        """Yield the instructions; `doubled` reads two escape characters at an end as one."""
        at, mark = 0, re.escape(escape or self.escape)
        before = "" if doubled else f"(?<!{mark})"
        goes_on = re.compile(rf"{before}{mark}[ \t]*$")
        while at < len(self._lines):
            line, number = self._lines[at].lstrip(SPACE), at + 1
            at += 1
            if line.startswith("#"):
                continue
            text, more = goes_on.subn("", line)
            while more and at < len(self._lines):
                line, at = self._lines[at], at + 1
                bare = line.lstrip(SPACE)
                if not bare or bare.startswith("#"):
                    continue
                line, more = goes_on.subn("", line)
                text += line
            if not text.strip(SPACE):
                continue
            instruction = _instruction(number, text)
            if heredocs:
                end = self._behind_heredocs(instruction, at)
                instruction.heredoc, at = end is not None, at if end is None else end
            yield instruction

    def _behind_heredocs(self, instruction: Instruction, at: int) -> int | None:
        """Return the line behind the texts that follow an instruction; None where there is none."""
        if instruction.name not in _WITH_HEREDOC:
            return None
        found = [_HEREDOC.fullmatch(word) for word in self._word.findall(instruction.rest)]
        start = at
        for one in filter(None, found):
            while at < len(self._lines):
                line = self._lines[at].lstrip("\t") if one["tabs"] else self._lines[at]
                at += 1
                if line == one["name"]:
                    break
            else:
                return None  # without its end it is the shell's
        return at if at > start else None


def _instruction(number: int, text: str) -> Instruction:
    name, *rest = _BLANK.split(text.strip(SPACE), maxsplit=1)
    name = name.upper() if name.isascii() else name
    behind = rest[0] if rest else ""
    if name == "ONBUILD" and behind:
        found = _instruction(number, behind)
        found.trigger = True
        return found
    flags = []
    while (behind := behind.lstrip(SPACE)).startswith("--"):
        flag = re.match(f"[^{SPACE}]*", behind)[0]  # type: ignore[index]  # at worst it is empty
        behind = behind[len(flag) :]
        if flag == "--":
            break
        flags.append(flag)
    return Instruction(number, name, tuple(flags), behind.strip(SPACE))
