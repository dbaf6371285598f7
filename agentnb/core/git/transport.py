"""The programs at the other end of a transfer, which for a folder is this machine.

There it is the other repository's settings that count, and ours are taken out of its
environment. So its own hooks are named away on the command line, it may not fetch what it lacks
from yet another place by a program of its choice, as a partial clone would, and a push does not
change its files, which would run its filters.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from agentnb.core.git.credentials import is_local

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["receive_pack", "upload_pack"]

# Git hands it to a shell.
_GUARDED: Final = (
    "GIT_ALLOW_PROTOCOL=none GIT_NO_LAZY_FETCH=1 "
    f"git -c core.hooksPath={os.devnull} -c core.fsmonitor=false "
    "-c core.alternateRefsCommand=true -c receive.autogc=false -c receive.denyCurrentBranch=refuse"
)


def upload_pack(url: str) -> str:
    """Return the option that sets the program which answers a fetch from a URL."""
    return f"--upload-pack={_GUARDED} upload-pack" if is_local(url) else _PLAIN_UPLOAD


def receive_pack(urls: Iterable[str]) -> str:
    """Return the option that sets the program which answers a push to these URLs."""
    return f"--receive-pack={_GUARDED} receive-pack" if any(map(is_local, urls)) else _PLAIN_RECEIVE


_PLAIN_UPLOAD: Final = "--upload-pack=git-upload-pack"
_PLAIN_RECEIVE: Final = "--receive-pack=git-receive-pack"
