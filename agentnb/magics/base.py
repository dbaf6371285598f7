"""The base of every magic: parse the line, call the verb, return a result."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics

from agentnb.core.errors import NotFoundError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentnb.core.hub import Hub
    from agentnb.magics.extension import Extension
    from agentnb.magics.grammar import Call, Grammar

__all__ = ["Magic", "Message"]

_HELP = (["help"], ["--help"])
_MOST_DISPLAYED = 1000  # rows


class Message(str):
    """A line of text that shows without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _display_requested(result: Any, call: Call) -> Any:
    """Return the result; after ``-n`` it displays all its rows, up to a thousand."""
    options = call.options
    if ("count" in options or "rows" in options) and getattr(result, "display", None):
        result.display = _MOST_DISPLAYED
    return result


class Magic(Magics):
    """A magic: one class, one grammar, a method ``do_<verb>(call)`` for each verb.

    A cell has the same verbs, or a grammar of its own with one verb that is not written.

    Parameters
    ----------
    extension
        The shell and the hub that ``%load_ext`` made.
    """

    grammar: Grammar
    cell_grammar: Grammar | None = None
    """The line of ``%%noun``, behind its one verb, where it is another than that of ``%noun``."""
    body_is_python = False
    """Whether the body of its cells is Python, which IPython completes by itself."""

    def __init__(self, extension: Extension) -> None:
        super().__init__(shell=extension.shell)
        self.extension = extension

    @property
    def hub(self) -> Hub:
        """Return the hub of this notebook."""
        return self.extension.hub

    def call(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Run a line, or a line and its body, and return the result to show."""
        __tracebackhide__ = True  # of a failing cell its own lines are of interest
        namespace = self.namespace(local_ns)
        if cell is not None and self.cell_grammar is not None and line.split()[:1] not in _HELP:
            call = self._cell_call(self.cell_grammar, line, namespace)
            verbs = self.cell_grammar.verbs
        else:
            call, verbs = self._parsed(line, cell, namespace), self.grammar.verbs
        call.line, call.body = line, cell
        if call.verb == "help" or "help" in call.options:
            # Of the whole magic, where the verb is not written.
            about = call.arguments[0] if call.arguments and call.verb == "help" else call.verb
            # A pager's output cannot be saved, nor seen by a test.
            print(self.grammar.help(about if verbs is self.grammar.verbs else None))  # noqa: T201
            return None
        if call.verb is None:
            bare = not call.text and cell is None
            if bare and self.grammar.bare:
                self.grammar.refuse_ignored(self.grammar.verbs[self.grammar.bare], call.options)
            result = self.status(call) if bare else self.free(call, cell, namespace)
        else:
            verb = verbs[call.verb]
            if cell is not None and cell.strip() and not verb.cell:
                raise UsageError(
                    f"%%{self.grammar.noun} {call.verb} takes no body",
                    service=self.grammar.service,
                    hint=f"as a line of its own: %{self.grammar.noun} {verb.usage}",
                )
            result = getattr(self, f"do_{call.verb}")(call)
        return None if "quiet" in call.options else _display_requested(result, call)

    def _parsed(self, line: str, cell: str | None, namespace: Mapping[str, Any]) -> Call:
        """Parse a line; above a body the errors of a verb that takes one are those of a cell."""
        try:
            return self.grammar.parse(line, namespace)
        except UsageError as error:
            verb = self.grammar.verbs.get("".join(line.split()[:1]))
            written = f"%{self.grammar.noun} "
            if cell is None or verb is None or not verb.cell or "%%" in (error.hint or ""):
                raise
            message, hint = (
                f"%{text}" if text.startswith(written) else text
                for text in (error.message, error.hint or "")
            )
            raise UsageError(message, service=self.grammar.service, hint=hint) from error

    def _cell_call(self, grammar: Grammar, line: str, namespace: Mapping[str, Any]) -> Call:
        """Parse the line of a cell whose verb is not written, also in errors."""
        noun, verb = grammar.noun, next(iter(grammar.verbs))
        try:
            return grammar.parse(f"{verb} {line}", namespace)
        except UsageError as error:
            # There is no verb to see on this line.
            written = f"%{noun} {verb}", f"%%{noun}"
            first = line.split()[:1]
            hint = (error.hint or "").replace(*written)
            if first and first[0] in self.grammar.verbs:
                hint = f"in a cell of its own: %{noun} {self.grammar.verbs[first[0]].usage}"
            message = error.message.replace(*written)
            raise UsageError(message, service=grammar.service, hint=hint) from error

    def reset(self) -> None:
        """Restore the state after ``%load_ext``."""
        raise NotImplementedError

    def status(self, call: Call) -> Any:
        """Return the result of the magic without arguments."""
        raise NotImplementedError

    def free(self, call: Call, cell: str | None, namespace: Mapping[str, Any]) -> Any:
        """Run a line that is free text, or a cell."""
        raise NotImplementedError

    def live(self, kind: str, start: str = "") -> Iterable[str]:  # noqa: ARG002 - for magics that have such names
        """Return the names of a kind that Tab offers, such as the connections.

        Parameters
        ----------
        kind
            As a verb or an option says.
        start
            The beginning of the names, where there are too many.
        """
        return ()

    def live_after(self, kind: str, start: str, before: str) -> Iterable[str]:  # noqa: ARG002 - for options that choose
        """Return the names of `live` for a line, of which some is written.

        Parameters
        ----------
        kind, start
            As in `live`.
        before
            The line in front of the name, with its options.
        """
        return self.live(kind, start)

    def in_scope(self) -> Mapping[str, type]:
        """Return the names in scope of a cell that is a function's body, for Tab."""
        return {}

    def free_names(self, before: str, word: str, text: str) -> list[tuple[str, str]]:  # noqa: ARG002 - as above
        """Return the names, each with its kind, that Tab offers in free text.

        Parameters
        ----------
        before
            The text in front of the word that is being typed.
        word
            The word, as far as it has been typed.
        text
            The whole cell.
        """
        return []

    def variables(self) -> dict[str, Any]:
        """Return the variables of the notebook, for Tab."""
        shell = self.extension.shell
        hidden = shell.user_ns_hidden
        names = shell.user_ns
        return {n: names[n] for n in list(names) if n[:1] != "_" and n not in hidden}

    def classes(self) -> list[str]:
        """Return the names of the classes that the notebook has, for Tab."""
        return [name for name, value in self.variables().items() if isinstance(value, type)]

    def schema(self, call: Call, option: str = "schema") -> Any:
        """Return the class that ``--schema``, or another option, names; or None.

        Raises
        ------
        NotFoundError
            The notebook has no such class.
        """
        name = call.options.get(option)
        if not isinstance(name, str):
            return name
        names = self.extension.shell.user_ns
        if name not in names:
            raise NotFoundError(
                f"there is no class {name!r} for --{option}",
                service=self.grammar.service,
                hint=did_you_mean(name, self.classes(), "classes of this notebook"),
            )
        return names[name]

    def types(self, call: Call) -> dict[str, Any]:
        """Return the classes that the given ones of ``--schema`` and ``--returns`` name."""
        return {
            name: self.schema(call, name) for name in ("schema", "returns") if name in call.options
        }

    def namespace(self, local_ns: dict[str, Any] | None) -> Mapping[str, Any]:
        """Return the names that ``:name`` sees: a function's own before the notebook's."""
        user: dict[str, Any] = self.extension.shell.user_ns
        if local_ns is None or local_ns is user:
            return user
        return ChainMap(local_ns, user)
