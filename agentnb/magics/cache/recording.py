"""The output of a cell, recorded while it is shown, and shown again."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Literal, Self

from agentnb.core.cache.outcome import Display, Stream
from agentnb.core.format import size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Recorder", "display_of", "replay"]

MOST_TEXT = 2_000_000
"""Bytes of text that are kept of a cell."""
MOST_BYTES = 20_000_000
"""Bytes that are kept of a cell, images included."""
_WIDGET = "application/vnd.jupyter.widget-view+json"
_PLOTS = "matplotlib_inline.backend_inline"
_NAMES: tuple[Literal["stdout", "stderr"], ...] = ("stdout", "stderr")


class Recorder:
    """Records what a cell shows while it runs; everything is shown as ever.

    What is written to `sys.stdout` and `sys.stderr`, by whoever has them, and what is displayed,
    updated and cleared. The output of child processes does not pass there, but for ``!command``.

    Parameters
    ----------
    shell
        The IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._parts: list[_Text | _Shown] = []
        self._undo: list[Callable[[], object]] = []
        self._text = self._images = self._left_out = 0
        self._clearing = False

    def __enter__(self) -> Self:
        for name in _NAMES:
            stream: Any = getattr(sys, name)
            self._wrap(stream, "write", self._writer(name, stream))
        publisher = self._shell.display_pub
        self._wrap(publisher, "publish", self._publisher(publisher.publish))
        self._wrap(publisher, "clear_output", self._clearer(publisher.clear_output))
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                self._flush_plots()
        finally:
            for undo in reversed(self._undo):
                undo()

    def _wrap(self, owner: Any, name: str, instead: Callable[..., Any]) -> None:
        before = vars(owner).get(name) if hasattr(owner, "__dict__") else None

        def undo() -> None:
            if before is None:
                with contextlib.suppress(AttributeError):
                    delattr(owner, name)
            else:
                setattr(owner, name, before)

        with contextlib.suppress(AttributeError):  # a stream that lets nobody listen
            setattr(owner, name, instead)
            self._undo.append(undo)

    def _flush_plots(self) -> None:
        """Display the figures that are left open, as the end of a cell does."""
        plots = sys.modules.get(_PLOTS)
        if plots is not None:
            plots.flush_figures()  # none, where another backend draws

    def _writer(self, name: Literal["stdout", "stderr"], stream: Any) -> Callable[[str], Any]:
        write = stream.write

        def recorded(text: str) -> Any:
            written = write(text)
            self._add_text(name, text)
            return written

        return recorded

    def _publisher(self, publish: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(data: Any, metadata: Any = None, *args: Any, **options: Any) -> Any:
            transient = options.get("transient") or {}
            self._add_display(
                dict(data), metadata or {}, transient.get("display_id"), options.get("update")
            )
            return publish(data, metadata, *args, **options)

        return recorded

    def _clearer(self, clear: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(wait: bool = False) -> Any:  # noqa: FBT001, FBT002 - as IPython has it
            if wait:
                self._clearing = True
            else:
                self._clear()
            return clear(wait)

        return recorded

    def _clear(self) -> None:
        self._parts.clear()
        self._text = self._images = self._left_out = 0
        self._clearing = False

    def _room(self, text: int, images: int = 0) -> bool:
        """Return whether something is kept, and count it or what is left out."""
        if self._clearing:
            self._clear()
        total = self._text + self._images + text + images
        if self._left_out or self._text + text > MOST_TEXT or total > MOST_BYTES:
            self._left_out += text + images
            return False
        self._text += text
        self._images += images
        return True

    def _add_text(self, name: Literal["stdout", "stderr"], text: str) -> None:
        if not text or not self._room(len(text)):
            return
        last = self._parts[-1] if self._parts else None
        if isinstance(last, _Text) and last.name == name:
            last.texts.append(text)
        else:
            self._parts.append(_Text(name, text))

    def _add_display(
        self, data: dict[str, Any], metadata: dict[str, Any], id_: str | None, update: Any
    ) -> None:
        display = _without_widget(Display(data, dict(metadata)))
        if not display.data or not self._room(*_weight(display)):
            return
        if not update:
            self._parts.append(_Shown(id_, display))
            return
        for part in self._parts:  # an update of an earlier cell's display is its own
            if isinstance(part, _Shown) and part.id == id_:
                part.display = display

    @property
    def shown(self) -> tuple[Stream | Display, ...]:
        """The output so far, in order, each display in its last state."""
        parts: list[Stream | Display] = [part.made for part in self._parts]
        if self._left_out:
            parts.append(Stream("stderr", f"\n… {size(self._left_out)} of output not kept\n"))
        return tuple(parts)


class _Text:
    def __init__(self, name: Literal["stdout", "stderr"], text: str) -> None:
        self.name = name
        self.texts = [text]

    @property
    def made(self) -> Stream:
        return Stream(self.name, "".join(self.texts))


class _Shown:
    def __init__(self, id_: str | None, display: Display) -> None:
        self.id = id_
        self.display = display

    @property
    def made(self) -> Display:
        return self.display


def replay(shell: Any, shown: Sequence[Stream | Display]) -> None:
    """Show again what a cell has shown."""
    for one in shown:
        if isinstance(one, Stream):
            stream = sys.stdout if one.name == "stdout" else sys.stderr
            stream.write(one.text)
            stream.flush()  # in the order in which it was written
        else:
            shell.display_pub.publish(one.data, one.metadata)


def display_of(shell: Any, value: Any) -> Display | None:
    """Return the display of a value; None of one that displays itself."""
    if callable(getattr(type(value), "_ipython_display_", None)):
        return None
    data, metadata = shell.display_formatter.format(value)
    display = _without_widget(Display(data, metadata))
    text, images = _weight(display)
    return display if display.data and text <= MOST_TEXT and images <= MOST_BYTES else None


def _without_widget(display: Display) -> Display:
    """Return a display without the live view of a widget, which ends with its kernel.

    A view with an empty text is all of an output: a copy in the next one has what it shows.
    """
    data = {kind: one for kind, one in display.data.items() if kind != _WIDGET}
    if len(data) < len(display.data) and not any(data.values()):
        data = {}
    return Display(data, display.metadata)


def _weight(display: Display) -> tuple[int, int]:
    """Return the bytes of text and of images."""
    text = images = 0
    for kind, one in display.data.items():
        length = len(one) if isinstance(one, (str, bytes)) else len(repr(one))
        if kind.startswith("image/"):
            images += length
        else:
            text += length
    return text, images
