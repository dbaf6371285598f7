"""``%agentnb``: the state of every service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.ranges import choice
from agentnb.core.services import HIDDEN
from agentnb.magics.base import Magic, Message
from agentnb.magics.grammar import Call, Grammar, Option, Verb
from agentnb.magics.grammar.values import rows

if TYPE_CHECKING:
    from agentnb.core.table import Table

__all__ = ["AgentnbMagic"]

_HEALTH_SECONDS = 5.0  # the embedded server may have to start

_RECORDED = {
    "off": "none; %agentnb record failed",
    "failed": "those that fail; %agentnb record off",
    "all": "all; %agentnb record off",
}

GRAMMAR = Grammar(
    "agentnb",
    "the state of every service that this notebook has opened",
    (
        Verb("status", "the health of each open service, and the calls to it", twin="hub.status()"),
        Verb("metrics", "the calls to each operation of each service", twin="hub.metrics()"),
        Verb(
            "errors",
            "the last errors with their traces",
            options=(Option(("-n", "--count"), "maximum number (default 20)", "N", rows),),
            twin="hub.errors(limit=20)",
        ),
        Verb(
            "panel",
            "a live view of all services: what needs you, calls, queues, errors",
            options=(Option(("--side",), "in a tab beside the notebook, by the package sidecar"),),
            twin='hub.panel("agentnb")',
        ),
        Verb("config", "every setting with the source of its value; no secrets"),
        Verb(
            "debug",
            "show whole tracebacks of agentnb's errors or not",
            ("on|off",),
        ),
        Verb("hints", "name %trace below the traceback of a failed cell or not", ("on|off",)),
        Verb(
            "doctor",
            "what works here, what is missing, and the line that mends it",
            options=(
                Option(("--start",), "open the database and Redis first; else nothing is started"),
                Option(("--timeout",), "seconds for all checks (default: 3)", "S", float),
            ),
            twin="hub.doctor()",
        ),
        Verb(
            "record",
            "keep the calls of jobs, tasks and cells that fail, or of all, for replays in tests",
            ("[failed|all|off]",),
            twin='hub.record("failed")',
        ),
        Verb("check", "look for secrets in a notebook's cells and outputs", ("NOTEBOOK",)),
        Verb("stop", "close every service; the next use opens it again"),
        Verb("reset", "stop, forget named connections, and read the settings again"),
    ),
    examples=(
        "%agentnb panel --side",
        "%agentnb errors -n 5",
        "%agentnb metrics",
        "%agentnb config",
        "%agentnb check analysis.ipynb",
    ),
)


@magics_class
class AgentnbMagic(Magic):
    """The magic ``%agentnb``."""

    grammar = GRAMMAR

    @line_magic
    @needs_local_scope
    @no_var_expand
    def agentnb(self, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        """Show the state of every service. See `%agentnb help`."""
        return self.call(line, None, local_ns)

    def reset(self) -> None:
        """Do nothing: the magic has no state."""

    def status(self, call: Call) -> Table:
        """Return the health of every open service, and the calls to it."""
        return self.do_status(call)

    def do_status(self, call: Call) -> Table:  # noqa: ARG002 - verbs share a signature
        """Return the health of every open service, and the calls to it."""
        return self.hub.status(_HEALTH_SECONDS)

    def do_metrics(self, call: Call) -> Table:  # noqa: ARG002 - as above
        """Return the calls to each operation."""
        return self.hub.metrics()

    def do_errors(self, call: Call) -> Table:
        """Return the last errors."""
        return self.hub.errors(call.options.get("count", 20))

    def do_panel(self, call: Call) -> Any:
        """Open the panel."""
        panel = self.hub.panel("agentnb")
        if "side" not in call.options:
            return panel
        from agentnb.magics.beside import show_beside

        return show_beside(panel)

    def do_config(self, call: Call) -> Table:  # noqa: ARG002 - as above
        """Return every setting with its source."""
        return self.hub.settings.table()

    def do_debug(self, call: Call) -> None:
        """Switch whole tracebacks on or off."""
        hint = "%agentnb debug on"
        word = choice("debug", call.arguments[0], ("on", "off"), service="agentnb", hint=hint)
        self.extension.set_debug(word == "on")
        print(f"whole tracebacks are {word}")  # noqa: T201 - the answer to a command

    def do_doctor(self, call: Call) -> Table:
        """Return the findings of the doctor."""
        options = {
            name: call.options[name] for name in ("start", "timeout") if name in call.options
        }
        return self.hub.doctor(**options)

    def do_hints(self, call: Call) -> None:
        """Switch the hint of a failed cell on or off."""
        hint = "%agentnb hints off"
        word = choice("hints", call.arguments[0], ("on", "off"), service="agentnb", hint=hint)
        self.extension.trace_hint.on = word == "on"
        print(f"hints are {word}")  # noqa: T201 - the answer to a command

    def do_record(self, call: Call) -> Message:
        """Record jobs, tasks and cells, or say which are recorded."""
        mode = self.hub.record(*call.arguments)
        return Message(f"jobs, tasks and cells that are recorded: {_RECORDED[mode]}")

    def do_check(self, call: Call) -> Table:
        """Return the secrets found in a notebook, masked."""
        from agentnb.core.check import scan_notebook
        from agentnb.core.table import Table

        path = Path(call.arguments[0])
        found = scan_notebook(path)
        rows = [(f.cell, f.where, f.line, f.kind, f.excerpt) for f in found]
        return Table(
            ("cell", "where", "line", "kind", "excerpt"), rows, empty=f"no secrets in {path.name}"
        )

    def do_stop(self, call: Call) -> None:  # noqa: ARG002 - as above
        """Close every open service."""
        for magic in self.extension.loaded:
            magic.reset()
        closed = [name for name in self.hub.stop() if name not in HIDDEN]
        print(f"closed: {', '.join(closed)}" if closed else "nothing was open")  # noqa: T201

    def do_reset(self, call: Call) -> None:  # noqa: ARG002 - as above
        """Restore the state after %load_ext."""
        self.extension.reset()
        print("reset: settings are read again on next use")  # noqa: T201
