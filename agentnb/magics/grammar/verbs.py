"""Verbs and options of a magic as data, and a line once it is parsed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentnb.magics.grammar.words import Word

__all__ = ["HELP", "QUIET", "Call", "Option", "Verb"]


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a magic or of one verb.

    Parameters
    ----------
    names
        As typed, such as ``("-n", "--rows")``; the last one names it in `Call.options`.
    about
        One line for the help.
    value
        The name of its value in the help; ``""`` for a flag.
    convert
        Turns the value's text into the value; raises ValueError.
    choices
        The only values there are.
    live
        The kind of names that Tab offers for the value, such as ``"connection"``.
    json
        Whether the value is JSON; that of a ``:name`` is then taken as it is, text too.
    adds
        Whether the option may be repeated: `convert` returns a list or a dictionary, and the
        values add up. An option that takes one value is refused when it is repeated.
    whole
        Converts a value that was in quotes, whose commas separate nothing; None for `convert`.
    verbs
        Of an option of the whole magic: the verbs that take it, beside free text; None for all.
    needs, apart
        The options of which one has to be there, and those that exclude this one, by key.
    """

    names: tuple[str, ...]
    about: str
    value: str = ""
    convert: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    live: str = ""
    json: bool = False
    adds: bool = False
    whole: Callable[[str], Any] | None = None
    verbs: tuple[str, ...] | None = None
    needs: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key of the option in `Call.options`."""
        return self.names[-1].lstrip("-").replace("-", "_")

    def idle(self, options: Mapping[str, Any]) -> str:
        """Return why it would have no effect among other options; empty if it has one."""
        beside = [key for key in self.apart if key in options]
        if beside:
            return f"{self.names[-1]} has no effect beside --{beside[0]}"
        if self.needs and options.keys().isdisjoint(self.needs):
            return f"{self.names[-1]} has no effect without --{' or --'.join(self.needs)}"
        return ""

    @property
    def value_form(self) -> str:
        """The form of its value in words, for errors."""
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}".removeprefix(" or ")
        if self.json:
            return "JSON"
        if self.convert is int:
            return "a whole number"
        return "a number" if self.convert is float else f"of the form {self.value}"

    @property
    def usage(self) -> str:
        """The usage, as the help shows it."""
        value = "|".join(self.choices) or self.value
        more = " ..." if self.adds else ""
        return ", ".join(self.names) + (f" {value}" if value else "") + more


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb of a magic.

    Parameters
    ----------
    name
        As typed.
    about
        One line for the help.
    arguments
        Names in their order; one in brackets may be left away, and a last one such as
        ``"[PATH...]"`` may come any number of times.
    options
        Those that only this verb has.
    live
        The kind of names that Tab offers for each argument; ``""`` for none.
    cell
        True if the verb takes the body of a cell.
    twin
        The same in Python.
    rest
        The words after ``--`` as the help shows them, such as ``"[-- COMMAND]"``.
    free
        The text behind arguments and options as the help shows it, such as ``"SQL"``: it is kept
        verbatim as `Call.text`.
    """

    name: str
    about: str
    arguments: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    live: tuple[str, ...] = ()
    cell: bool = False
    twin: str = ""
    rest: str = ""
    free: str = ""

    @property
    def usage(self) -> str:
        """The usage, as the help shows it."""
        more = [text for text in (self.free, self.rest) if text]
        return " ".join((self.name, *self.arguments, *more))

    def takes(self, count: int) -> bool:
        """Return whether it takes this number of arguments."""
        needed = sum(not name.startswith("[") for name in self.arguments)
        return needed <= count and (self.repeats or count <= len(self.arguments))

    @property
    def repeats(self) -> bool:
        """Whether the last argument may be repeated."""
        return bool(self.arguments) and self.arguments[-1].rstrip("]").endswith("...")


@dataclass(slots=True)
class Call:
    """A parsed line: verb and arguments, or the free text in their place.

    Parameters
    ----------
    verb
        None where the line is free text, or bare.
    arguments
        Text, or the value of a JSON word or of a ``:name``.
    words
        The arguments as they were written.
    options
        By key; flags are True, what was not given is absent.
    text
        The free text, verbatim.
    rest
        The text after ``--``, verbatim; None without it.
    namespace
        The variables for ``:name``.
    line
        The line as it was written.
    body
        The cell below the line; None where there is none.
    """

    verb: str | None = None
    arguments: list[Any] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    rest: str | None = None
    namespace: Mapping[str, Any] = field(default_factory=dict)
    line: str = ""
    body: str | None = None


HELP = Option(("--help",), "print this")
QUIET = Option(("--quiet",), "show nothing; errors still show")
