"""The settings and limits that the checks of the doctor are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentnb.core.runtime import Runtime

if TYPE_CHECKING:
    from pathlib import Path

    from agentnb.core.settings import Settings

__all__ = ["ASK_SECONDS", "Surroundings"]

ASK_SECONDS = 1.0
"""Seconds that a server has for an answer."""


@dataclass(frozen=True)
class Surroundings:
    """The settings and the installation that are examined.

    Parameters
    ----------
    settings
        The settings; None where they cannot be read.
    folder
        The folder in which the project's root is looked for.
    pip
        The command that installs packages here.
    runtime
        Masks secrets; it keeps no file.
    """

    settings: Settings | None
    folder: Path
    pip: str
    runtime: Runtime = field(default_factory=Runtime)
