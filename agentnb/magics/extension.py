"""What ``%load_ext agentnb`` makes of a shell, and undoes again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError
from agentnb.core.hub import Hub
from agentnb.core.redact import redact
from agentnb.core.trace import start_trace

if TYPE_CHECKING:
    from types import TracebackType

    from IPython.core.interactiveshell import InteractiveShell

    from agentnb.magics.noun import Noun
    from agentnb.panels import PanelRegistry

__all__ = ["Extension"]


class Extension:
    """The magics, the hub and the hooks of one shell.

    Parameters
    ----------
    shell
        The IPython shell to extend.
    nouns
        The classes of the magics.
    """

    def __init__(self, shell: InteractiveShell, nouns: tuple[type[Noun], ...]) -> None:
        self.shell = shell
        self.hub = self._new_hub()
        self.debug = False
        self.assigned: set[str] = set()
        self._panels: PanelRegistry | None = None
        self.nouns = [noun(self) for noun in nouns]
        for noun in self.nouns:
            shell.register_magics(noun)
        shell.events.register("pre_run_cell", self._before_cell)
        self._matcher = _complete_with(shell, self.nouns)
        if not self._place_hub():
            print(  # noqa: T201 - said once, in the cell that loads
                "agentnb: `hub` is a name of yours and was left alone; "
                "agentnb's own is `get_ipython().find_magic('db').__self__.hub`",
                file=sys.stderr,
            )

    def _new_hub(self) -> Hub:
        hub = Hub()
        hub.panel_opener = self._open_panel
        hub.wrap_processor = self._keep_prints
        return hub

    def _place_hub(self) -> bool:
        """Put ``hub`` into the namespace, unless the user has something by that name."""
        present = self.shell.user_ns.get("hub")
        if present is None or present is self.hub or getattr(present, "closed", False):
            # Hidden from %who, which lists what the user has made.
            for namespace in (self.shell.user_ns, self.shell.user_ns_hidden):
                namespace["hub"] = self.hub
            return True
        return False

    def _before_cell(self, _info: object) -> None:
        start_trace()
        self.assigned.clear()

    def assign(self, name: str, value: object) -> None:
        """Assign to a name of the notebook, and note that the cell has done so."""
        self.shell.user_ns[name] = value
        self.assigned.add(name)

    @property
    def panels(self) -> PanelRegistry:
        """Return the registry of open panels; ipywidgets is imported with the first."""
        if self._panels is None:
            from agentnb.panels import PanelRegistry

            self._panels = PanelRegistry()
        return self._panels

    def _open_panel(self, name: str, **options: Any) -> Any:
        from agentnb.panels import open_panel

        return open_panel(self.panels, self.hub, name, shell=self.shell, **options)

    def _keep_prints(self, processor: Any) -> Any:
        """Return a queue's processor, which prints into the log of its job."""
        from agentnb.magics.output import diverted
        from agentnb.magics.queue.log import job_log

        return diverted(processor, job_log, self.shell)

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
        """Go back to the state after ``%load_ext``: settings are read again."""
        if self._panels is not None:
            self._panels.close_all()
        self.set_debug(on=False)
        for noun in self.nouns:
            noun.reset()
        if self.hub.closed:
            self.hub = self._new_hub()
        self.hub.reset()
        self._place_hub()

    def unload(self) -> None:
        """Take everything out of the shell again and close what was opened."""
        if self._panels is not None:
            self._panels.close_all()
        self.set_debug(on=False)
        self.shell.events.unregister("pre_run_cell", self._before_cell)
        matchers = self.shell.Completer.custom_matchers
        if self._matcher in matchers:
            matchers.remove(self._matcher)
        for noun in self.nouns:
            noun.reset()
            for kind, names in noun.magics.items():
                for name in names:
                    self.shell.magics_manager.magics[kind].pop(name, None)
            self.shell.magics_manager.registry.pop(type(noun).__name__, None)
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
        lines: list[str] = shell.InteractiveTB.structured_traceback(
            kind, error, trace, tb_offset=tb_offset
        )
        shown = [redact(line) for line in lines]
        shell._showtraceback(kind, error, shown)  # noqa: SLF001 - the one way to show anything
        return shown


def _complete_with(shell: InteractiveShell, nouns: list[Noun]) -> Any:
    from agentnb.magics.complete import matcher_for

    matcher = matcher_for(nouns)
    shell.Completer.custom_matchers.append(matcher)
    return matcher
