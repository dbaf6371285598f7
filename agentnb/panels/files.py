"""The files panel: the workspace as a tree, a look into a file, the room it takes, live changes."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.format import size as format_size
from agentnb.core.format import time_of_day
from agentnb.core.table import Column
from agentnb.panels.base import (
    Confirm,
    Indicator,
    Instruction,
    Paced,
    Panel,
    TableView,
    TextBlock,
    label,
    row,
    split,
    stack,
)
from agentnb.panels.base.cells import plain
from agentnb.panels.base.saved import absolute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentnb.core.files import Change, FileSystemManager, Usage, Watcher
    from agentnb.core.hub import Hub

__all__ = ["FilesPanel", "make"]

LISTED = 2000
PREVIEW_CHARACTERS = 20_000
PICTURE_BYTES = 2_000_000
CHANGES = 200
_PICTURES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp"}
_EMPTY = "The workspace is empty. Type in a cell:  %%files write PATH"
_PICK = Instruction("Select a file to preview it, or a folder to open it.")
_NO_CHANGES = Instruction("Changes are listed here as they happen.")
_BARS = 6
# Measuring may take this share of the time: with millions of files it is slow.
_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Node:
    """A line of the tree; it is the same one however it is drawn."""

    path: str
    depth: int = field(compare=False)
    kind: str = field(compare=False)
    unfolded: bool = field(compare=False, default=False)

    def __str__(self) -> str:
        mark = ("▾ " if self.unfolded else "▸ ") if self.kind == "folder" else "\u2003"
        name = self.path.rpartition("/")[2]
        other = "" if self.kind in {"file", "folder"} else f" ({self.kind})"
        return "\u2003" * self.depth + mark + name + other


class Preview(NamedTuple):
    """The preview of the selected file or folder."""

    path: str
    about: str
    text: str = ""
    picture: tuple[str, bytes] | None = None
    gone: bool = False


class FilesPanel:
    """The state and the actions of the panel; `panel` composes the widgets.

    Parameters
    ----------
    hub
        The hub.
    path
        The folder that it shows.
    every
        Seconds between two looks, for what the watch may have missed.
    """

    def __init__(self, hub: Hub, *, path: str = ".", every: float | None = 5.0) -> None:
        self._hub = hub
        self._path = path
        self._files.list(path)  # an unknown folder is an error here, not in an empty panel
        self._unfolded: set[str] = set()
        self._picked: Node | None = None
        self._watcher: Watcher | None = None
        self._changes: deque[tuple[Indicator, str, str]] = deque(maxlen=CHANGES)
        self._usage: Paced[Usage] = Paced(_SHARE)
        self.panel = Panel("Files", every=every, redactor=hub.settings.redactor)
        self.tree = TableView(
            ("name", Column("size", "size"), Column("modified", "time")),
            key="name",
            page_size=200,
            label="Files",
            hint=_EMPTY,
            on_select=self.panel.action(self._pick),
            height="520px",
            quiet=("name", "modified"),
            noun=("entry", "entries"),
        )
        self.usage = label("")
        self.about = label(_PICK, dim=True)
        self.text = TextBlock("Content")
        self.picture = ipywidgets.Image()
        self.picture.layout.display = "none"
        self.picture.add_class("agentnb-picture")
        self.remove = Confirm(
            self.panel, "Remove", self._ask, self._remove, tooltip="Remove the selection"
        )
        self.remove.first.disabled = True
        self.changes = TableView(
            ("time", "change", "path"),
            label="Changes",
            hint=_NO_CHANGES,
            noun=("change", "changes"),
            height="200px",
            filterable=False,
        )
        self.panel.compose(
            split(
                stack(self.tree),
                stack(
                    self.usage, row(self.about, self.remove), self.text, self.picture, self.changes
                ),
            )
        ).keep_fresh(self._load, self._show).on_close(self._end)

    @property
    def _files(self) -> FileSystemManager:
        return self._hub.files

    def _noticed(self, changes: list[Change]) -> None:
        at = time.time()
        now = Indicator(time_of_day(at), order=at, saved=absolute(at))
        self._changes.extendleft((now, change.kind, change.path) for change in changes)
        self._usage.reset()
        self.panel.refresh()

    def _end(self) -> None:
        if self._watcher is not None:
            self._watcher.close()

    def _load(self) -> tuple[list[tuple[Any, ...]], Usage, Preview | None]:
        if self._watcher is None or self._watcher.closed:
            self._watcher = self._files.watch(self._path, on_change=self._noticed)
        rows = list(self._rows(self._path, 0))
        usage = self._usage.get(lambda: self._files.usage(self._path))
        picked = self._picked
        return rows, usage, None if picked is None else self._preview(picked)

    def _rows(self, folder: str, depth: int) -> Iterator[tuple[Any, ...]]:
        """Yield the lines of a folder, and below each that is unfolded its own."""
        for name, kind, size, modified in self._files.list(folder).rows[:LISTED]:
            path = name if folder == "." else f"{folder}/{name}"
            unfolded = kind == "folder" and path in self._unfolded
            yield (
                Node(path, depth, kind, unfolded),
                size,
                modified,
            )
            if unfolded:
                try:
                    yield from self._rows(path, depth + 1)
                except (NotFoundError, UsageError):  # gone, or another thing, since it was listed
                    self._unfolded.discard(path)

    def _preview(self, node: Node) -> Preview:
        path = node.path
        try:
            if node.kind == "folder":
                total = self._files.usage(path).total
                return Preview(path, f"folder · {_many(total.files)} · {format_size(total.size)}")
            suffix = path[path.rfind(".") :].lower()
            if suffix in _PICTURES:
                data = self._files.head(path, PICTURE_BYTES + 1)
                if len(data) <= PICTURE_BYTES:
                    return Preview(path, format_size(len(data)), picture=(_PICTURES[suffix], data))
            return _text_of(path, self._files.head(path, 4 * PREVIEW_CHARACTERS + 1))
        except NotFoundError:
            return Preview(path, "gone", gone=True)
        except UsageError as error:  # of this file, not of the workspace
            return Preview(path, error.message)

    def _show(self, loaded: tuple[list[tuple[Any, ...]], Usage, Preview | None]) -> None:
        rows, usage, preview = loaded
        self.tree.update(rows)
        self.usage.value = _bars(usage, self._files.quota)
        changes = list(self._changes)
        self.changes.update(changes)
        if preview is not None and self._picked is not None and preview.path == self._picked.path:
            self._show_preview(preview)

    def _show_preview(self, preview: Preview) -> None:
        name = f"<strong>{escape(plain(preview.path))}</strong>"
        self.about.value = f"{name} · {escape(preview.about)}"
        self.text.show(preview.text)
        if preview.picture is not None:
            self.picture.format, self.picture.value = preview.picture
        self.picture.layout.display = None if preview.picture else "none"
        self.remove.first.disabled = preview.gone

    def _pick(self, node: Node) -> None:
        with self.panel.lock:
            if node.kind == "folder":
                self._unfolded ^= {node.path}
            self._picked = node
            self.remove.reset()

    def _ask(self) -> tuple[str, str]:
        node = self._picked
        if node is None:
            raise UsageError(
                "nothing is selected", service="files", hint="click a file in the list"
            )
        inside = ""
        if node.kind == "folder":
            inside = f" and {_many(self._files.usage(node.path).total.files)} in it"
        return f"Remove {plain(node.path)}{inside}", node.path

    def _remove(self, path: str) -> str:
        self._files.delete(path, recursive=True)
        return f"{plain(path)}: removed"


def make(hub: Hub, **options: Any) -> Panel:
    """Return the files panel of a hub.

    Parameters
    ----------
    hub
        The hub.
    **options
        As `FilesPanel` takes them.
    """
    return FilesPanel(hub, **options).panel


def _many(files: int) -> str:
    return f"{files:,} {'file' if files == 1 else 'files'}"


def _text_of(path: str, data: bytes) -> Preview:
    """Return the beginning of a text, or of other bytes in hexadecimal digits."""
    more = len(data) > 4 * PREVIEW_CHARACTERS
    if b"\0" in data[:8000]:
        lines = [data[at : at + 16].hex(" ") for at in range(0, min(len(data), 256), 16)]
        return Preview(path, "not text; its first bytes", "\n".join(lines))
    text = data.decode("utf-8", "replace")
    if more or len(text) > PREVIEW_CHARACTERS:
        return Preview(
            path, f"the first {PREVIEW_CHARACTERS:,} characters", text[:PREVIEW_CHARACTERS]
        )
    count = len(text.splitlines())
    words = f"{count:,} {'line' if count == 1 else 'lines'} · {format_size(len(data))}"
    return Preview(path, words if data else "empty", text)


def _bars(usage: Usage, quota: int) -> str:
    """Return the disk usage as bars, with a text form."""
    total = usage.total
    head = f"{_many(total.files)} · {format_size(total.size)}"
    if quota:
        head += f" of {format_size(quota)}"
    rows = [(name, size) for name, _, _, size in usage.rows if size]
    shown, rest = rows[:_BARS], rows[_BARS:]
    if rest:
        shown.append((f"{len(rest):,} others", sum(size for _, size in rest)))
    top = max((size for _, size in shown), default=1)
    lines = [
        f'<span class="agentnb-room-name">{escape(plain(name))}</span> '
        f'<span class="agentnb-room"><span style="width:{100 * size / top:.1f}%"></span></span> '
        f'<span class="agentnb-room-size">{format_size(size)}</span>'
        for name, size in shown
    ]
    return f'{escape(head)}\n<div class="agentnb-rooms">' + "<br>\n".join(lines) + "</div>"
