"""The magics: each parses a line, calls the core, and returns a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.hints import use_magics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from agentnb.magics.extension import Extension

__all__ = ["find", "load", "unload"]


def find(shell: InteractiveShell) -> Extension | None:
    """Return the extension of a shell, if it is loaded there."""
    found: Extension | None = shell.magics_manager.registry.get("agentnb")
    return found


def load(shell: InteractiveShell) -> None:
    """Register every magic with a shell; loading again does nothing."""
    from agentnb.magics.extension import Extension

    if find(shell) is None:
        use_magics(shell, on=True)
        shell.magics_manager.registry["agentnb"] = Extension(shell)


def unload(shell: InteractiveShell) -> None:
    """Remove every magic from a shell."""
    extension = find(shell)
    if extension is not None:
        use_magics(shell, on=False)
        del shell.magics_manager.registry["agentnb"]
        extension.unload()
