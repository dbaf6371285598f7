"""``%cache``: values by key; ``%%cache``: a cell that runs once."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext, suppress
from time import perf_counter, time
from types import ModuleType
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_cell_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import (
    AgentnbError,
    NotFoundError,
    UnavailableError,
    UsageError,
    did_you_mean,
)
from agentnb.magics.base import Magic, Message
from agentnb.magics.cache.grammar import CELL, GRAMMAR
from agentnb.magics.grammar import is_word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.cache import Cache
    from agentnb.core.cache.outcome import CellOutcome
    from agentnb.core.table import Table
    from agentnb.magics.cache.cell import Body
    from agentnb.magics.grammar import Call

__all__ = ["CacheMagic"]

_LISTED = 100
_MANY = 10
_OFFERED = 200
# Seconds that Tab waits for a server that hangs.
_TAB_SECONDS = 1.0
_AUTO = "auto"


@magics_class
class CacheMagic(Magic):
    """The magic ``%cache`` and ``%%cache``."""

    grammar = GRAMMAR
    cell_grammar = CELL
    body_is_python = True

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def cache(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Values by key; `%%cache KEY` runs a cell once. See `%cache help`."""
        __tracebackhide__ = True
        return self.call(line, cell, local_ns)

    def reset(self) -> None:
        """Do nothing: this magic has no state."""

    @property
    def _cache(self) -> Cache:
        return self.hub.cache

    def status(self, call: Call) -> Table:
        """Return hits, misses and the number of keys."""
        return self.do_stats(call)

    def live(self, kind: str, start: str = "") -> Iterable[str]:
        """Return keys, or the notebook's variables, for Tab."""
        if kind != "key":
            hidden = self.extension.shell.user_ns_hidden
            names = self.extension.shell.user_ns
            shown = [n for n in names if n[:1] != "_" and n not in hidden]
            return {"bound": [f":{n}" for n in shown], "variable": [*shown, _AUTO]}.get(kind, ())
        try:
            keys = self._cache.inspect.complete(start, limit=_OFFERED, timeout=_TAB_SECONDS)
        except AgentnbError:
            return ()  # an error would interrupt typing
        return [key for key in keys if is_word(key)]

    def do_get(self, call: Call) -> Any:
        """Return the value of a key."""
        key = _text(call, 0)
        missing = object()
        value = self._cache.get(key, missing)
        if value is missing:
            raise self._unreadable(key) or self._no_such(key)
        return value

    def do_set(self, call: Call) -> None:
        """Store a value."""
        value = call.arguments[1]
        if call.words[1].kind == "plain":  # in quotes it is text
            with suppress(ValueError):  # what is no JSON is the text itself
                value = json.loads(value, parse_constant=_no_constant)
        self._cache.set(
            _text(call, 0), value, call.options.get("ttl"), tags=call.options.get("tag", [])
        )

    def do_ttl(self, call: Call) -> float:
        """Return a value's remaining seconds."""
        key = _text(call, 0)
        left = self._cache.ttl(key)
        if left is None:
            raise self._no_such(key)
        return left

    def _unreadable(self, key: str) -> NotFoundError | None:
        """Return the error of a value whose class is missing, None if there is no value."""
        preview = self._cache.inspect.preview(key)
        return preview and NotFoundError(
            f"{key!r} holds a {preview.kind} that cannot be read here: {preview.text}",
            service="cache",
            hint="import its module, or run the cell that defines it",
        )

    def _no_such(self, key: str) -> NotFoundError:
        known = self._cache.keys(limit=_OFFERED)
        return NotFoundError(
            f"there is no key {key!r}",
            service="cache",
            hint=did_you_mean(key, known)
            or f"%cache set {key} VALUE, or %%cache {key} over a cell",
        )

    def do_list(self, call: Call) -> Table:
        """Return the keys that match a pattern."""
        from agentnb.core.table import cut_note

        pattern = _text(call, 0) if call.arguments else "*"
        limit = call.options.get("count", _LISTED)
        table = self._cache.inspect.table(pattern, limit=limit)
        if len(table) == limit and table.note:
            table.note = cut_note(limit)
        return table

    def do_rm(self, call: Call) -> str:
        """Remove a key."""
        key = _text(call, 0)
        if not self._cache.delete(key):
            raise self._no_such(key)
        return Message(f"{key}: removed")

    def do_invalidate(self, call: Call) -> str:
        """Remove the keys that match a pattern, or have a tag."""
        tag = call.options.get("tag")
        if bool(call.arguments) == bool(tag):
            raise UsageError(
                "invalidate takes a PATTERN or --tag TAG, one of them",
                service="cache",
                hint="%cache invalidate user:*, or %cache invalidate --tag users",
            )
        if tag:
            return _removed(self._cache.invalidate_tags(*tag))
        pattern = _text(call, 0)
        if "yes" not in call.options:
            count = len(self._cache.keys(pattern, limit=_MANY + 1))
            if count > _MANY or (count and not pattern.strip("*")):
                many = f"more than {_MANY} keys" if count > _MANY else f"{count} keys"
                many = "1 key" if count == 1 else many
                raise UsageError(
                    f"{pattern!r} matches {many}; nothing was removed",
                    service="cache",
                    hint=f"%cache invalidate {pattern} --yes",
                )
        return _removed(self._cache.invalidate(pattern))

    def do_stats(self, call: Call) -> Table:  # noqa: ARG002 - verbs share a signature
        """Return hits, misses and the number of keys."""
        return self._cache.stats()

    def do_panel(self, call: Call) -> Any:  # noqa: ARG002 - as above
        """Open the panel."""
        return self.hub.panel("cache")

    def do_cell(self, call: Call) -> Any:
        """Serve the cell's stored outcome, or run the cell and store it."""
        __tracebackhide__ = True
        names: dict[str, Any] = self.extension.shell.user_ns
        key, ttl, tags = _text(call, 0), call.options.get("ttl"), tuple(call.options.get("tag", ()))
        source, body = self._body(call.line, call.body or "")
        cells = self._cache.cells
        print_of = self._fingerprint(source, body, call)
        rerun, reachable, served = "rerun" in call.options, True, None
        try:
            cells.check(key, ttl, tags)
            served = None if rerun else cells.get(key, print_of)
        except UnavailableError as error:
            reachable = _warn_not_stored(error)
        alone = rerun or not reachable or served is not None
        turn = (
            nullcontext(served)
            if alone
            else cells.turn(key, print_of, waiting=lambda: _say_waiting(key))
        )
        with turn as served:
            if served is None or not body.restore(names, served.names):
                outcome = self._run(body, names, keep_output="no_output" not in call.options)
                if not reachable:
                    return outcome.value
                return self._keep(key, print_of, outcome, ttl, tags)
        unnamed = [] if "on" in call.options else self._unnamed(source)
        return self._serve(key, served, unnamed, quiet="quiet" in call.options)

    def _keep(
        self,
        key: str,
        print_of: str,
        outcome: CellOutcome,
        ttl: float | None,
        tags: tuple[str, ...],
    ) -> Any:
        """Keep an outcome, and say what cannot be; the cell's result matters more."""
        from agentnb.magics.cache.note import is_drawing, unkept_note
        from agentnb.magics.cache.recording import display_of

        shell = self.extension.shell
        try:
            kept = self._cache.cells.set(
                key,
                print_of,
                outcome,
                ttl=ttl,
                tags=tags,
                display=lambda: display_of(shell, outcome.value),
                droppable=is_drawing,
            )
        except AgentnbError as error:
            _warn_not_stored(error)
            return outcome.value
        note = unkept_note(kept)
        if note:
            print(f"%%cache: {note}", file=sys.stderr)  # noqa: T201 - a note of this cell
        shell.user_ns.update(kept.names)
        return kept.value

    def _unnamed(self, source: str) -> list[str]:
        """Return the values that a cell reads and does not name: their changes are not seen."""
        names = self.extension.shell.user_ns
        return [
            name
            for name in self._read(source)
            if not (callable(names[name]) or isinstance(names[name], ModuleType))
        ]

    def _serve(self, key: str, served: CellOutcome, unnamed: list[str], *, quiet: bool) -> Any:
        """Show a stored outcome again, and return its value."""
        from agentnb.magics.cache.note import bind_missing, show_note
        from agentnb.magics.cache.recording import replay

        shell = self.extension.shell
        bind_missing(shell.user_ns, key, served.missing)
        if not quiet:
            show_note(shell, key, served, unnamed)
        replay(shell, served.shown if served.valued or not quiet else served.shown[:-1])
        return served.value

    def _body(self, line: str, cell: str) -> tuple[str, Body]:
        """Return the cell's Python source, and the compiled body."""
        from IPython.core.displayhook import DisplayHook

        from agentnb.magics.body import no_python
        from agentnb.magics.cache.cell import Body

        shell: Any = self.extension.shell  # IPython leaves its methods untyped
        source = shell.transform_cell(cell)
        # The line of the magic is counted, so that a traceback's lines are the notebook's.
        filename = shell.compile.cache(
            f"%%cache {line}\n{source}", shell.execution_count, raw_code=f"%%cache {line}\n{cell}"
        )
        hook: Any = DisplayHook
        quiet = hook.semicolon_at_end_of_expression(source)
        flags = shell.compile.flags
        try:
            body = Body(f"\n{source}", quiet=quiet, filename=filename, flags=flags)
        except SyntaxError as error:
            raise no_python(error, "cache", f"%%cache {line}\n{cell}") from error
        return source, body

    def _run(self, body: Body, names: dict[str, Any], *, keep_output: bool) -> CellOutcome:
        """Run a cell and return its value, the names that it has assigned, and its output."""
        from agentnb.core.cache.outcome import CellOutcome
        from agentnb.core.loop import LoopThread
        from agentnb.magics.cache.recording import Recorder

        __tracebackhide__ = True
        shell = self.extension.shell
        loop = LoopThread()
        recorder = Recorder(shell)
        self.extension.assigned.clear()
        began = perf_counter()
        try:
            with recorder if keep_output else nullcontext():
                value = body.run(names, loop)
        finally:
            loop.close()
        took = perf_counter() - began
        # An option of a module's, such as pandas', is not a name's new value.
        modules = {name for name in body.changed if isinstance(names.get(name), ModuleType)}
        by_magics = {name for name in self.extension.assigned if not name.startswith("_")}
        stored = sorted((body.names | body.changed | by_magics) - modules)
        return CellOutcome(
            value,
            {name: names[name] for name in stored if name in names},
            recorder.shown,
            time(),
            took,
            shell.execution_count,
        )

    def _fingerprint(self, source: str, body: Body, call: Call) -> str:
        """Return the digest of the cell and of the inputs that ``--on`` names, or all of them."""
        names = self.extension.shell.user_ns
        requested = call.options.get("on", [])
        left_out = {name[1:] for name in requested if name.startswith("-")}
        named = [name for name in requested if not name.startswith("-")]
        automatic = _AUTO in named
        if left_out and not automatic:
            raise UsageError(
                f"--on {','.join(requested)} leaves out names, but of none",
                service="cache",
                hint=f"--on auto,-{min(left_out)} names all that the cell reads but that one",
            )
        for name in {*named, *left_out} - {_AUTO}:
            if name not in names:
                raise NotFoundError(
                    f"there is no variable {name!r} for --on",
                    service="cache",
                    hint=did_you_mean(name, self.variables(), "variables"),
                )
        if automatic:
            named = [*self._read(source), *named]
        inputs = {name: names[name] for name in named if name not in left_out and name != _AUTO}
        hint = "--on auto,-{} leaves it out" if automatic else None
        return self._cache.cells.fingerprint(body.text, inputs, hint=hint)

    def _read(self, source: str) -> list[str]:
        """Return the names of the notebook that a cell reads."""
        from agentnb.magics.cache.reads import inputs_of

        shell = self.extension.shell
        return sorted(inputs_of(source, shell.user_ns, shell.user_ns_hidden))


def _text(call: Call, at: int) -> str:
    """Return an argument that is a text, such as a key."""
    value = call.arguments[at]
    if call.words[at].kind == "json":
        return call.words[at].text  # `{a}` and `[ab]` are as good as any other text here
    if not isinstance(value, str):
        raise UsageError(
            f"a key must be text, {call.words[at].text} is of type {type(value).__name__}",
            service="cache",
            hint="put the key into quotes, or bind a str",
        )
    return value


def _warn_not_stored(error: AgentnbError) -> bool:
    hint = f"\nhint: {error.hint}" if error.hint else ""
    print(f"%%cache: nothing is stored: {error.message}{hint}", file=sys.stderr)  # noqa: T201 - a warning of this cell
    return False


def _say_waiting(key: str) -> None:
    print(  # noqa: T201 - a note of this cell
        f"%%cache {key}: another kernel runs this cell; its outcome is awaited (--rerun runs it "
        "here, too)",
        file=sys.stderr,
    )


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and the like are Python's, not JSON's


def _removed(count: int) -> Message:
    return Message(f"{count:,} {'key' if count == 1 else 'keys'} removed")
