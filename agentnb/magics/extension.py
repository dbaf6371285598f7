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
        self.hub = Hub()
        self.hub.panel_opener = self._open_panel
        self.debug = False
        self._panels: PanelRegistry | None = None
        self.nouns = [noun(self) for noun in nouns]
        for noun in self.nouns:
            shell.register_magics(noun)
        shell.events.register("pre_run_cell", self._before_cell)
        self._matcher = _complete_with(shell, self.nouns)
        self._place_hub()

    def _place_hub(self) -> None:
        """Put ``hub`` into the namespace, unless the user has something by that name."""
        present = self.shell.user_ns.get("hub")
        if present is None or isinstance(present, Hub):
            self.shell.user_ns["hub"] = self.hub
        else:
            print(  # noqa: T201 - said once, in the cell that loads
                "agentnb: `hub` is a name of yours and was left alone; "
                "agentnb's own is `get_ipython().find_magic('db').__self__.hub`",
                file=sys.stderr,
            )

    def _before_cell(self, _info: object) -> None:
        start_trace()

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

    def set_debug(self, on: bool) -> None:  # noqa: FBT001 - a switch
        """Show the whole traceback of agentnb's errors, or only message and hint."""
        self.debug = on
        # The short form is the error's own; while a custom handler is set, it goes first.
        handler = _show_traceback if on else None
        shell: Any = self.shell  # IPython leaves this method untyped
        shell.set_custom_exc((AgentnbError,) if on else (), handler)

    def reset(self) -> None:
        """Go back to the state after ``%load_ext``: settings are read again."""
        if self._panels is not None:
            self._panels.close_all()
        self.set_debug(on=False)
        for noun in self.nouns:
            noun.reset()
        self.hub.reset()

    def unload(self) -> None:
        """Take everything out of the shell again and close what was opened."""
        if self._panels is not None:
            self._panels.close_all()
        if self.debug:
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
        if self.shell.user_ns.get("hub") is self.hub:
            del self.shell.user_ns["hub"]
        self.hub.close()


def _complete_with(shell: InteractiveShell, nouns: list[Noun]) -> Any:
    from agentnb.magics.complete import matcher_for

    matcher = matcher_for(nouns)
    shell.Completer.custom_matchers.append(matcher)
    return matcher


def _show_traceback(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType,
    tb_offset: int | None = None,
) -> list[str]:
    lines: list[str] = shell.InteractiveTB.structured_traceback(
        kind, error, trace, tb_offset=tb_offset
    )
    shown = [redact(line) for line in lines]
    shell._showtraceback(kind, error, shown)  # noqa: SLF001 - how a custom handler shows anything
    return shown
