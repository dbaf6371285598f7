"""Results of ``%files``: folders, long texts that are cut, pictures."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from agentnb.core.format import size as format_size
from agentnb.core.table import Column, Table
from agentnb.magics.base import Message

if TYPE_CHECKING:
    from agentnb.core.files import FileSystemManager, Usage

__all__ = ["Text", "listed", "measured", "picture", "text"]

_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_LINES = 200
_CHARACTERS = 50_000


def listed(found: Table) -> Table:
    """Return the contents of a folder, with a slash after folders."""
    rows: list[tuple[Any, ...]] = [
        (
            f"{name}/" if kind == "folder" else name,
            "" if kind in {"file", "folder"} else kind,
            size,
            modified,
        )
        for name, kind, size, modified in found.rows
    ]
    columns = list(found.header)
    if not any(kind for _, kind, *_ in rows):
        del columns[1]
        rows = [(name, *rest) for name, _, *rest in rows]
    return Table(columns, rows, empty=found.empty)


def measured(found: Usage) -> Table:
    """Return the parts of a folder, each with its share of the size as a bar."""
    total = found.total.size
    rows = [
        (
            f"{name}/" if kind == "folder" else name,
            files,
            size,
            size / total if total else None,
        )
        for name, kind, files, size in found.rows
    ]
    note = f"{found.total.files:,} files, {format_size(total)}"
    columns = (
        "name",
        Column("files", "count"),
        Column("size", "size"),
        Column("share", "share"),
    )
    return Table(columns, rows, note=note if rows else "", empty=found.empty)


class Text(Message):
    """A text that is displayed unchanged, up to a number of lines."""

    __slots__ = ("lines",)

    lines: int

    def _cut(self) -> tuple[str, str]:
        lines = self.splitlines()
        shown = "\n".join(lines[: self.lines])
        notes = []
        if len(lines) > self.lines:
            notes.append(f"the first {self.lines:,} of {len(lines):,} lines")
        if len(shown) > _CHARACTERS:
            notes.append(f"the first {_CHARACTERS:,} of {len(shown):,} characters")
        return shown[:_CHARACTERS], ", of them ".join(notes)

    def __repr__(self) -> str:
        shown, note = self._cut()
        return f"{shown}\n… {note}" if note else shown

    def _repr_html_(self) -> str:
        shown, note = self._cut()
        more = f'<small style="opacity:.7">{escape(note)}</small>' if note else ""
        return f'<pre style="margin:0">{escape(shown)}</pre>{more}'


def text(content: str, lines: int | None) -> Text:
    """Return a text, of which a number of lines are displayed; by default 200."""
    made = Text(content)
    made.lines = _LINES if lines is None else lines
    return made


def picture(files: FileSystemManager, path: str) -> Any:
    """Return a picture to be displayed, or None where the name is not one of a picture."""
    if not path.lower().endswith(_PICTURES):
        return None
    from IPython.display import Image

    show: Any = Image
    return show(data=files.read_file(path, encoding=None))
