"""The extension that ``%load_ext agentnb`` adds to a shell."""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython.core.completer import CompletionContext, SimpleMatcherResult, context_matcher
from IPython.core.magic import needs_local_scope, no_var_expand

from agentnb.core.errors import AgentnbError
from agentnb.core.forking import new_rlock
from agentnb.core.hub import Hub
from agentnb.core.services import TRACER
from agentnb.magics.hints import ShortErrors, TraceHint, keep_question

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

    from agentnb.core.trace import Tracer
    from agentnb.core.trace.cell import Cell
    from agentnb.magics.base import Magic
    from agentnb.panels import PanelRegistry

__all__ = ["MAGICS", "Extension", "MagicEntry"]


class MagicEntry(NamedTuple):
    """A magic that is imported when it is first used."""

    name: str
    module: str
    class_name: str
    about: str
    """The docstring, which ``%name?`` shows."""
    kinds: tuple[str, ...] = ("line", "cell")


MAGICS = (
    MagicEntry(
        "agent",
        "agentnb.magics.workflow.agent",
        "AgentMagic",
        "Do tasks of workflows: `%%agent NAME` makes a cell an agent. See `%agent help`.",
    ),
    MagicEntry(
        "agentnb",
        "agentnb.magics.agentnb",
        "AgentnbMagic",
        "Show the state of every service. See `%agentnb help`.",
        ("line",),
    ),
    MagicEntry(
        "ai",
        "agentnb.magics.ai",
        "AiMagic",
        "Ask a language model the question in the cell: `%%ai`. See `%ai help`.",
    ),
    MagicEntry(
        "api",
        "agentnb.magics.api.magic",
        "ApiMagic",
        "Call an API; `%%api post URL` sends the cell as JSON. See `%api help`.",
    ),
    MagicEntry(
        "cache",
        "agentnb.magics.cache.magic",
        "CacheMagic",
        "Values by key; `%%cache KEY` runs a cell once. See `%cache help`.",
    ),
    MagicEntry(
        "db",
        "agentnb.magics.db.magic",
        "DbMagic",
        "Run SQL: `%db select 1`, `%%db` for several statements. `%db help` tells the rest.",
    ),
    MagicEntry(
        "docker",
        "agentnb.magics.docker.magic",
        "DockerMagic",
        "Containers and images; `%%docker run IMAGE` runs the cell. `%docker help` tells all.",
    ),
    MagicEntry(
        "events",
        "agentnb.magics.events.magic",
        "EventsMagic",
        "Publish and handle events; `%%events on CHANNEL` is a handler. See `%events help`.",
    ),
    MagicEntry(
        "files",
        "agentnb.magics.files.magic",
        "FilesMagic",
        "Files of the workspace; `%%files write PATH` makes one. `%files help` tells the rest.",
    ),
    MagicEntry(
        "git",
        "agentnb.magics.git.magic",
        "GitMagic",
        "Status, diff, log, commit and the like. `%git help` tells the rest.",
        ("line",),
    ),
    MagicEntry(
        "mcp",
        "agentnb.magics.mcp.magic",
        "McpMagic",
        "Tools of other programs' servers: `%mcp tools SERVER`, `%mcp call`. See `%mcp help`.",
        ("line",),
    ),
    MagicEntry(
        "queue",
        "agentnb.magics.queue.magic",
        "QueueMagic",
        "Add and process jobs; `%%queue task QUEUE` is a processor. See `%queue help`.",
    ),
    MagicEntry(
        "trace",
        "agentnb.magics.trace.magic",
        "TraceMagic",
        "Show what a cell caused, in every process. See `%trace help`.",
        ("line",),
    ),
    MagicEntry(
        "workflow",
        "agentnb.magics.workflow.magic",
        "WorkflowMagic",
        "Tasks that need one another; `%%workflow NAME` makes some. See `%workflow help`.",
    ),
    MagicEntry(
        "ws",
        "agentnb.magics.ws.magic",
        "WsMagic",
        "Connect, send and receive over WebSockets. See `%ws help`.",
    ),
)


# Classes whose values may be shown as a grid, by name: to import them takes long.
_SHOWN = (
    ("agentnb.core.db.result", "Result"),
    ("agentnb.core.db.result", "Script"),
    ("agentnb.core.db.gridded", "Gridded"),
)


class Extension:
    """The magics, the hub and the hooks of one shell.

    Parameters
    ----------
    shell
        The IPython shell to extend.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.hub = Hub(notebook=self)
        self.debug = False
        self.assigned: set[str] = set()
        self._panels: PanelRegistry | None = None
        self._loading = new_rlock()
        self._loaded: dict[str, Magic] = {}
        self._entries = {magic.name: magic for magic in MAGICS}
        for magic in MAGICS:
            stub = MethodType(_stub(magic), self)
            for kind in magic.kinds:
                shell.magics_manager.magics[kind][magic.name] = stub
        self._running = threading.local()
        shell.events.register("pre_run_cell", self._before_cell)
        shell.events.register("post_run_cell", self._after_cell)
        self.shell.input_transformers_cleanup.append(keep_question)
        self.trace_hint = TraceHint(shell, self._cell_caused)
        self._short_errors = ShortErrors(shell)
        self._matcher = _matcher(self)
        shell.Completer.custom_matchers.append(self._matcher)
        for name in _SHOWN:
            self._displays.for_type_by_name(*name, self._show)
        if not self._place_hub():
            print(  # noqa: T201 - said once, in the cell that loads
                "agentnb: `hub` is a name of yours and was left alone; "
                "agentnb's own is `get_ipython().find_magic('db').__self__.hub`",
                file=sys.stderr,
            )

    @property
    def loaded(self) -> list[Magic]:
        """Return the magics that have been used."""
        return list(self._loaded.values())

    def magic(self, name: str) -> Magic | None:
        """Return a magic by its name, imported and registered on first use; None for others'."""
        found = self._loaded.get(name)
        if found is not None or name not in self._entries:
            return found
        with self._loading:
            if name not in self._loaded:
                entry = self._entries[name]
                magic: Magic = getattr(import_module(entry.module), entry.class_name)(self)
                self.shell.register_magics(magic)
                self._loaded[name] = magic
            return self._loaded[name]

    def _place_hub(self) -> bool:
        """Put ``hub`` into the namespace, unless the user has something by that name."""
        present = self.shell.user_ns.get("hub")
        if present is None or present is self.hub or getattr(present, "closed", False):
            # Hidden from %who, which lists what the user has made.
            for namespace in (self.shell.user_ns, self.shell.user_ns_hidden):
                namespace["hub"] = self.hub
            return True
        return False

    @property
    def _cells(self) -> list[Cell]:
        """Return the cells that run in this thread, the outermost first."""
        cells: list[Cell] | None = getattr(self._running, "cells", None)
        if cells is None:
            cells = self._running.cells = []
        return cells

    def _before_cell(self, info: ExecutionInfo) -> None:
        """Begin the span of a cell: a new trace, or a child of the cell that runs it."""
        from agentnb.core.trace.cell import Cell
        from agentnb.core.trace.process import NOTEBOOK, set_role

        set_role(NOTEBOOK)  # whichever hub of this process is the first to write
        cells, source = self._cells, info.raw_cell or ""
        self.assigned.clear()
        outer = cells[-1] if cells else None
        # IPython has counted the cell already; nbval, for one, runs cells that have no number.
        numbered = info.store_history and outer is None
        number = self.shell.execution_count - 1 if numbered else None
        cell = Cell(source, number, outer, self._open_tracer)
        cells.append(cell)
        if self._panels is not None:
            from agentnb.panels import cell_id, run_id

            self._panels.begin(cell_id(self.shell), run_id(self.shell))
        cell.begin()
        may_record = self.hub._flight is not None or "AGENTNB_RECORD" in os.environ  # noqa: SLF001 - as above
        if outer is None and may_record:
            from agentnb.magics.recording import record_cell

            record_cell(cell, source, number, self)

    def _after_cell(self, result: ExecutionResult | None) -> None:
        """End the span of a cell; without a result where an awaited cell was interrupted."""
        if result is None:
            self._end_cell(sys.exc_info()[1])
        elif result.info is not None and (result.info.raw_cell or "").strip():  # else none began
            self._end_cell(result.error_in_exec or result.error_before_exec)

    def _end_cell(self, error: BaseException | None) -> None:
        cells = self._cells
        cell = cells.pop() if cells else None  # none in the cell that loads the extension
        if cell is not None:
            cell.end(error)

    def _leave(self) -> None:
        """Be no notebook from now on: what runs later is no part of the last cell."""
        from agentnb.core.trace.context import context_var
        from agentnb.core.trace.process import SCRIPT, set_role

        context_var.set(None)
        set_role(SCRIPT)

    def _cell_caused(self) -> bool:
        """Return whether the running cell has called a service."""
        return bool(self._cells) and self._cells[-1].caused

    def _open_tracer(self) -> Tracer | None:
        """Return the tracer of the hub, if a service has been opened."""
        tracer: Tracer | None = self.hub._opened.get(TRACER.name)  # noqa: SLF001 - the notebook's own
        return tracer

    def assign(self, name: str, value: object) -> None:
        """Assign to a name of the notebook, and record that the cell did so."""
        self.shell.user_ns[name] = value
        self.assigned.add(name)

    @property
    def panels(self) -> PanelRegistry:
        """Return the registry of open panels; ipywidgets is imported with the first.

        Raises
        ------
        ConfigError
            A package of the panels is not installed.
        """
        if self._panels is None:
            from agentnb.core.extras import PANELS, require
            from agentnb.panels import PanelRegistry

            require(PANELS, "a panel", service="panel")

            self._panels = PanelRegistry()
        return self._panels

    def open_panel(self, name: str, **options: Any) -> Any:
        """Open a live panel; ipywidgets is imported with the first."""
        from agentnb.panels import open_panel

        return open_panel(self.panels, self.hub, name, shell=self.shell, **options)

    @property
    def _displays(self) -> Any:
        """Return the shell's table of how values of some classes are displayed."""
        shell: Any = self.shell  # IPython leaves it untyped
        return shell.display_formatter.ipython_display_formatter

    def close_panels(self) -> None:
        """Close every open panel."""
        if self._panels is not None:
            self._panels.close_all()

    def _show(self, value: Any) -> None:
        """Show a result of `%db` or `hub.db` as a grid, where that is what is asked for.

        Raises
        ------
        NotImplementedError
            It is not: IPython shows it as a table.
        """
        from agentnb.magics.gridding import show

        show(value, self)

    def wrap_processor(self, processor: Any) -> Any:
        """Return a queue's processor that keeps what it prints in the log of its job."""
        from agentnb.magics.output import diverted
        from agentnb.magics.queue.log import job_log

        return diverted(processor, job_log, self.shell)

    def display_batch(self, batch: Any) -> None:
        """Display a batch: in a kernel a bar that goes on below its cell."""
        from agentnb.magics.queue.live import display_batch

        display_batch(batch, self.shell)

    def watch_batch(self, batch: Any) -> AbstractContextManager[object]:
        """Show how far a batch is while a cell waits for its results, longer than a moment."""
        from agentnb.magics.queue.live import watching

        return watching(batch, self.shell)

    def set_debug(self, on: bool) -> None:  # noqa: FBT001 - a switch
        """Show the whole traceback of agentnb's errors, or only message and hint."""
        shell: Any = self.shell  # IPython leaves these untyped
        if on and not self.debug:
            self._former_handler = (shell.custom_exceptions, shell.CustomTB)
            # The short form is the error's own; a custom handler goes before it.
            shell.set_custom_exc((AgentnbError,), self._show_traceback)
        elif self.debug and not on:
            shell.custom_exceptions, shell.CustomTB = self._former_handler
        self.debug = on

    def reset(self) -> None:
        """Restore the state after ``%load_ext`` and read the settings again."""
        self.close_panels()
        self.set_debug(on=False)
        self.trace_hint.on = True
        for magic in self.loaded:
            magic.reset()
        if self.hub.closed:
            self.hub = Hub(notebook=self)
        self.hub.reset()
        self._place_hub()

    def unload(self) -> None:
        """Remove everything from the shell and close every open service."""
        self.close_panels()
        self.set_debug(on=False)
        self.shell.events.unregister("pre_run_cell", self._before_cell)
        self.shell.events.unregister("post_run_cell", self._after_cell)
        self.shell.input_transformers_cleanup.remove(keep_question)
        self._short_errors.remove()
        self.trace_hint.remove()
        while self._cells:
            self._end_cell(None)
        self._leave()
        for name in _SHOWN:
            self._displays.pop(".".join(name), None)
        matchers = self.shell.Completer.custom_matchers
        if self._matcher in matchers:
            matchers.remove(self._matcher)
        for magic in self.loaded:
            magic.reset()
            self.shell.magics_manager.registry.pop(type(magic).__name__, None)
        for entry in MAGICS:
            for kind in entry.kinds:
                self.shell.magics_manager.magics[kind].pop(entry.name, None)
        for namespace in (self.shell.user_ns, self.shell.user_ns_hidden):
            if namespace.get("hub") is self.hub:
                del namespace["hub"]
        self.hub.close()

    def _show_traceback(
        self,
        shell: Any,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType,
        tb_offset: int | None = None,
    ) -> list[str]:
        """Show an error whole, as IPython asks a custom handler to."""
        from agentnb.core.redact import redact

        lines: list[str] = shell.InteractiveTB.structured_traceback(
            kind, error, trace, tb_offset=tb_offset
        )
        shown = [redact(line) for line in lines]
        shell._showtraceback(kind, error, shown)  # noqa: SLF001 - the one way to show anything
        return shown


def _stub(magic: MagicEntry) -> Callable[..., Any]:
    """Return the method of an `Extension` that imports a magic and calls it."""

    @needs_local_scope
    @no_var_expand
    def run(
        self: Extension,
        line: str,
        cell: str | None = None,
        local_ns: dict[str, Any] | None = None,
    ) -> Any:
        __tracebackhide__ = True
        method = getattr(self.magic(magic.name), magic.name)
        if cell is None:
            return method(line, local_ns=local_ns)
        return method(line, cell, local_ns=local_ns)

    run.__name__, run.__doc__ = magic.name, magic.about
    run.__qualname__ = f"{magic.class_name}.{magic.name}"
    return run


def _matcher(extension: Extension) -> Callable[[CompletionContext], SimpleMatcherResult]:
    """Return the function that IPython asks for completions; its imports follow on Tab."""

    @context_matcher(identifier="agentnb")  # type: ignore[untyped-decorator]  # IPython's
    def agentnb_matcher(context: CompletionContext) -> SimpleMatcherResult:
        if "%" not in context.full_text:
            return SimpleMatcherResult(completions=[], suppress=False)
        from agentnb.magics.complete import complete

        return complete(context, extension.magic)

    return agentnb_matcher  # type: ignore[no-any-return]  # as above
