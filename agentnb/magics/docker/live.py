"""Live output of a running container or a build."""

from __future__ import annotations

import sys
from html import escape
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.format import size

if TYPE_CHECKING:
    from agentnb.core.docker.building import Step
    from agentnb.core.docker.logs import LogLine
    from agentnb.core.docker.pulling import PullProgress

__all__ = ["BuildBar", "Printer", "PullBar"]

SHOWN = 100_000
"""Characters of output that a cell shows; the result has the end of what there was."""

_CELLS = 20


class Printer:
    """Prints lines as they come, each on its own stream, up to a limit.

    Lines beyond the limit are not printed, so that a notebook is not flooded.
    """

    def __init__(self) -> None:
        self._room = SHOWN
        self._left_out = 0

    def __call__(self, line: LogLine) -> None:
        """Print a line."""
        self._room -= len(line.text) + 1
        if self._room < 0:
            self._left_out += 1
            return
        print(line.text, file=sys.stderr if line.stream == "stderr" else sys.stdout)

    def end(self) -> None:
        """Print the number of lines that were left out."""
        if self._left_out:
            print(f"… {self._left_out:,} lines more; the result has the last of them")  # noqa: T201 - as above


class BuildBar:
    """A bar that grows with the steps of a build, in one output.

    Parameters
    ----------
    tag
        The tag of the image.
    """

    def __init__(self, tag: str) -> None:
        self._tag, self._done, self._total = tag, 0, 1
        self._text = "sending the context"
        self._handle: Any = None

    def __enter__(self) -> Self:
        from IPython.display import display

        show: Any = display
        self._handle = show(self, display_id=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._done, self._text = self._total, "done"
        else:
            self._text = f"failed: {self._text}"
        self._show()

    def __call__(self, step: Step) -> None:
        """Show that a step begins."""
        self._done, self._total, self._text = step.number - 1, step.total, step.text
        self._show()

    def sent(self, done: int, total: int) -> None:
        """Show how much of the context has been sent."""
        self._text = f"sending the context, {size(done)} of {size(total)}"
        self._show()

    def _show(self) -> None:
        if self._handle is not None:
            self._handle.update(self)

    def __repr__(self) -> str:
        full = round(_CELLS * self._done / self._total)
        bar = "█" * full + "░" * (_CELLS - full)
        return f"{bar} {self._count} {self._tag}: {self._text}"

    @property
    def _count(self) -> str:
        return f"{self._done}/{self._total}"

    def _repr_html_(self) -> str:
        label = escape(f"{self._tag}: {self._text}")
        return (
            f'<progress aria-label="{label}" value="{self._done}" max="{self._total}" '
            f'style="width:16em;vertical-align:middle"></progress> '
            f"<small>{escape(self._count)}</small> <code>{label}</code>"
        )


class PullBar(BuildBar):
    """A bar that grows with the bytes of an image that is fetched.

    Parameters
    ----------
    image
        Its name.
    """

    def __init__(self, image: str) -> None:
        super().__init__(image)
        self._text = "asking the registry"

    def progress(self, progress: PullProgress) -> None:
        """Show how far it is."""
        self._done, self._total = progress.done, max(progress.total, 1)
        self._text = progress.text
        self._show()

    @property
    def _count(self) -> str:
        return f"{size(self._done)} of {size(self._total)}"
