"""``%trace``: what a cell, a job or a workflow caused."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.magics.base import Magic, Message
from agentnb.magics.trace.grammar import GRAMMAR, with_verb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentnb.core.table import Table
    from agentnb.core.trace.tree import Trace
    from agentnb.magics.grammar import Call

__all__ = ["TraceMagic"]

_VALUE = re.compile(r"(?:(?:job|workflow|event):)?(?:\$|\{|:)")
_BEFORE = re.compile(r"-[1-9]\d{0,5}")
_COMPLETED = 8
_SLOWEST_OF = 200
_MOST_SHOWN = 250_000  # characters


class _Json(Message):
    """A text of JSON; of a long one the beginning is displayed."""

    __slots__ = ()

    def __repr__(self) -> str:
        text = str(self)
        if len(text) <= _MOST_SHOWN:
            return text
        left_out = len(text) - _MOST_SHOWN
        return f"{text[:_MOST_SHOWN]}\n… {left_out:,} characters more: name = %trace ID --json"


@magics_class
class TraceMagic(Magic):
    """The magic ``%trace``."""

    grammar = GRAMMAR

    @line_magic
    @needs_local_scope
    @no_var_expand
    def trace(self, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        """Show what a cell caused, in every process. See `%trace help`."""
        return self.call(line, None, local_ns)

    def reset(self) -> None:
        """Do nothing: the magic has no state."""

    def status(self, call: Call) -> Any:
        """Return the trace of the last cell that called a service."""
        return self.do_show(call)

    def free(self, call: Call, cell: str | None, namespace: Mapping[str, Any]) -> Any:  # noqa: ARG002 - a line magic has no cell
        """Return the trace of an id; options may stand before and behind it."""
        grammar = with_verb()
        if call.line.split()[0] in {"list", "capture"}:  # with arguments that the verb refuses
            grammar.parse(call.line, namespace)
        again = grammar.parse(f"show {call.line}", namespace)
        call.options.update(again.options)
        if "help" in call.options:
            print(self.grammar.help("show"))  # noqa: T201 - as the help of every magic
            return None
        return self.do_show(again)

    def do_show(self, call: Call) -> Any:
        """Return a trace, or write it to a file."""
        options = call.options
        self._refuse_idle(call)
        try:
            trace = self._trace(call)
        except NotFoundError as error:
            if call.arguments or "failed" in options:
                raise
            return Message(f"{error.message}: {error.hint}" if error.hint else error.message)
        if "live" in options:
            from agentnb.magics.trace.live import follow

            trace = follow(
                self.hub.trace,
                trace.id,
                self.extension,
                timeout=options.get("timeout", 60.0),
                quiet="quiet" in options,
            )
        if "export" in options:
            from agentnb.magics.trace.export import export

            return Message(export(trace, options["export"]))
        if "json" in options:
            return _Json(json.dumps(trace.to_dict(), ensure_ascii=False, indent=1))
        if "plain" in options:
            return Message(trace.plain())
        trace.depth = options.get("depth")
        trace.merge = "all" not in options
        return trace

    def do_list(self, call: Call) -> Table:
        """Return the last traces."""
        from agentnb.core.trace.view.listing import table_of

        limit = call.options.get("count", 20)
        failed = True if "failed" in call.options else None
        slow = "slow" in call.options
        traces = self.hub.trace.list(max(limit, _SLOWEST_OF) if slow else limit, failed=failed)
        if slow:
            traces = sorted(traces, key=lambda trace: -trace.ms)[:limit]
        return table_of(traces, failed="failed" in call.options)

    def do_capture(self, call: Call) -> Message:
        """Write a test or a notebook that replays recorded attempts."""
        options = call.options
        text = str(call.arguments[0])
        if _BEFORE.fullmatch(text):
            text = self.hub.trace.last(-int(text)).id
        made = self.hub.trace.capture(
            text,
            test=options.get("test"),
            to=options.get("to"),
            overwrite="yes" in options,
        )
        return Message(f"written: {made}")

    def live(self, kind: str, start: str = "") -> Iterable[str]:  # noqa: ARG002 - few enough
        """Return the ids of the last traces for Tab."""
        return [trace.id[:8] for trace in self.hub.trace.list(_COMPLETED)]

    def free_names(self, before: str, word: str, text: str) -> list[tuple[str, str]]:  # noqa: ARG002 - as above
        """Return the ids of the last traces, and other ways to name one, for Tab."""
        ways = ("job:", "workflow:", "event:")
        return [(name, "value") for name in (*self.live("trace"), *ways)]

    def _refuse_idle(self, call: Call) -> None:
        """Refuse an option that has no effect beside the others."""
        for option in self.grammar.options:
            if option.key in call.options and (why := option.idle(call.options)):
                raise UsageError(why, service="trace", hint="%trace help show")
        if "failed" in call.options and call.arguments:
            raise UsageError(
                "--failed has no effect beside an ID",
                service="trace",
                hint="%trace --failed, or %trace list --failed",
            )

    def _trace(self, call: Call) -> Trace:
        traces = self.hub.trace
        if "failed" in call.options:
            found = traces.list(1, failed=True)
            if not found:
                raise NotFoundError(
                    "no trace of this home has a failure",
                    service="trace",
                    hint="hub.trace.list() (%trace list) lists the traces",
                )
            return found[0]
        if not call.arguments:
            return traces.last()
        text = str(call.arguments[0])
        if _VALUE.match(text):
            raise UsageError(
                f"a value of the notebook is a word of its own, got {text[:80]!a}",
                service="trace",
                hint="trace_id = job.trace_id, then %trace :trace_id",
            )
        if not _BEFORE.fullmatch(text):
            return traces.get(text)
        return traces.last(-int(text))
