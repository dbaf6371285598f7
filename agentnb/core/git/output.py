"""Settings of git's output, which override those of users and repositories."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["SETTINGS"]

SETTINGS: Final = {
    # Text
    "core.abbrev": "no",
    "core.quotePath": "false",
    "i18n.commitEncoding": "UTF-8",
    "i18n.logOutputEncoding": "UTF-8",
    # Colours
    "color.advice": "false",
    "color.diff": "false",
    "color.remote": "false",
    "color.ui": "false",
    # Differences
    "diff.autoRefreshIndex": "true",
    "diff.context": "3",
    "diff.interHunkContext": "0",
    "diff.mnemonicPrefix": "false",
    "diff.noprefix": "false",
    "diff.orderFile": os.devnull,
    "diff.relative": "false",
    "diff.renames": "true",
    "diff.suppressBlankEmpty": "false",
    # Status and log
    "core.warnAmbiguousRefs": "true",
    "log.decorate": "short",
    "log.follow": "false",
    "log.showRoot": "true",
    "status.renames": "true",
}
"""Settings of git, and the value with which its output can be read."""
