"""Files below one folder: read, written and watched without ever leaving it.

The kernel keeps paths inside (`beneath`), writes are whole or not at all (`writing`), and what
goes through a tree (`walking`) holds on to descriptors, so that no link and no race leads out.
"""

from __future__ import annotations

from agentnb.core.files.copying import Copied
from agentnb.core.files.editing import Edited
from agentnb.core.files.listing import Usage
from agentnb.core.files.manager import FileSystemManager
from agentnb.core.files.reading import hash_of
from agentnb.core.files.watching import Change, Watcher

__all__ = ["Change", "Copied", "Edited", "FileSystemManager", "Usage", "Watcher", "hash_of"]
