"""What ``%files`` shows: sizes with their unit, long texts cut, pictures, progress."""

from __future__ import annotations

from html import escape
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.table import Table
from agentnb.magics.noun import Said
from agentnb.panels.base.units import Blank, Size

if TYPE_CHECKING:
    from agentnb.core.files import FileSystemManager, Usage

__all__ = ["Progress", "Text", "listed", "measured", "picture", "text"]

_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_LINES = 200
_CHARACTERS = 50_000
_SHOW_AFTER = 0.5
_EVERY = 0.1
_BAR = 24


def listed(found: Table) -> Table:
    """Return what is in a folder as a person reads it: a slash behind folders, sizes with units."""
    rows: list[tuple[Any, ...]] = [
        (
            f"{name}/" if kind == "folder" else name,
            "" if kind in {"file", "folder"} else kind,
            Blank() if size is None else Size(size),
            modified,
        )
        for name, kind, size, modified in found.rows
    ]
    columns = ["name", "kind", "size", "modified"]
    if not any(kind for _, kind, *_ in rows):
        del columns[1]
        rows = [(name, *rest) for name, _, *rest in rows]
    return Table(columns, rows, empty=found.empty)


def measured(found: Usage) -> Table:
    """Return what takes up the room, each with its share, drawn."""
    total = found.total.size
    rows = [
        (
            f"{name}/" if kind == "folder" else name,
            files,
            Size(size),
            "█" * round(_BAR * size / total) if total else "",
        )
        for name, kind, files, size in found.rows
    ]
    note = f"{found.total.files:,} files, {Size(total)}"
    return Table(
        ("name", "files", "size", "share"), rows, note=note if rows else "", empty=found.empty
    )


class Text(Said):
    """A text that is shown as it is, to so many lines."""

    __slots__ = ("lines",)

    lines: int

    def _cut(self) -> tuple[str, str]:
        lines = self.splitlines()
        shown = "\n".join(lines[: self.lines])[:_CHARACTERS]
        if len(lines) > self.lines:
            return shown, f"the first {self.lines:,} of {len(lines):,} lines"
        if len(self) > len(shown) + 1:
            return shown, f"the first {_CHARACTERS:,} of {len(self):,} characters"
        return shown, ""

    def __repr__(self) -> str:
        shown, note = self._cut()
        return f"{shown}\n… {note}" if note else shown

    def _repr_html_(self) -> str:
        shown, note = self._cut()
        more = f'<small style="opacity:.7">{escape(note)}</small>' if note else ""
        return f'<pre style="margin:0">{escape(shown)}</pre>{more}'


def text(content: str, lines: int | None) -> Text:
    """Return a text, of which so many lines are shown; by default 200."""
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


class Progress:
    """A bar that appears when something takes long, and is gone when it is done.

    Parameters
    ----------
    what
        What is being done.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = self._last = monotonic()
        self._handle: Any = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, total: int) -> None:
        """Show so many bytes of all as done."""
        now = monotonic()
        if now - self._begun < _SHOW_AFTER or now - self._last < _EVERY:
            return
        self._last = now
        from IPython.display import display

        show: Any = display
        shown = _Bar(self._what, done, total)
        if self._handle is None:
            self._handle = show(shown, display_id=True)
        else:
            self._handle.update(shown)

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.update(_Bar("", 0, 0))


class _Bar:
    def __init__(self, what: str, done: int, total: int) -> None:
        self._what, self._done, self._total = what, done, total

    def __repr__(self) -> str:
        return f"{self._what}: {Size(self._done)} of {Size(self._total)}" if self._what else ""

    def _repr_html_(self) -> str:
        if not self._what:
            return ""
        return (
            f'<progress max="{self._total}" value="{self._done}" '
            f'style="width:16em;vertical-align:middle"></progress> {escape(repr(self))}'
        )
