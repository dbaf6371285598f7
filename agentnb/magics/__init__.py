"""The magics: each parses a line, calls the core, and returns a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from agentnb.magics.extension import Extension

__all__ = ["find", "load", "unload"]


def find(shell: InteractiveShell) -> Extension | None:
    """Return the extension of a shell, if it is loaded there."""
    noun = shell.magics_manager.registry.get("AgentnbMagic")
    return getattr(noun, "extension", None)


def load(shell: InteractiveShell) -> None:
    """Register every magic with a shell; loading again does nothing."""
    from agentnb.magics.agentnb import AgentnbMagic
    from agentnb.magics.api import ApiMagic
    from agentnb.magics.cache import CacheMagic
    from agentnb.magics.db import DbMagic
    from agentnb.magics.docker import DockerMagic
    from agentnb.magics.events import EventsMagic
    from agentnb.magics.extension import Extension
    from agentnb.magics.files import FilesMagic
    from agentnb.magics.git import GitMagic
    from agentnb.magics.queue import QueueMagic
    from agentnb.magics.workflow import AgentMagic, WorkflowMagic
    from agentnb.magics.ws import WsMagic

    if find(shell) is None:
        Extension(
            shell,
            (
                AgentMagic,
                AgentnbMagic,
                ApiMagic,
                CacheMagic,
                DbMagic,
                DockerMagic,
                EventsMagic,
                FilesMagic,
                GitMagic,
                QueueMagic,
                WorkflowMagic,
                WsMagic,
            ),
        )


def unload(shell: InteractiveShell) -> None:
    """Take every magic out of a shell again."""
    extension = find(shell)
    if extension is not None:
        extension.unload()
