"""One number over time, as a small plot."""

from __future__ import annotations

import math
from collections import deque
from html import escape
from typing import TYPE_CHECKING

import anywidget
import traitlets

from agentnb.core.forking import new_lock
from agentnb.core.format import duration
from agentnb.panels.base.static import read

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Plot"]

_STEPS = (1, 2, 5, 10)
_WIDTH, _HEIGHT = 600, 60
_DASH = 4


class _Line(anywidget.AnyWidget):
    """The wire to the page. As with the table, its state is computed when it is asked for."""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    series = traitlets.Dict().tag(sync=True, to_json=lambda _, line: line.series_now())

    def __init__(self, plot: Plot) -> None:
        self._plot = plot
        super().__init__(_esm=read("plot.js"), _css=read("plot.css"))

    def series_now(self) -> dict[str, object]:
        return self._plot.state()

    @property
    def static_label(self) -> str:
        return ""  # the text has it

    def static_html(self) -> str:
        return self._plot.static_html()

    def static_text(self) -> str:
        return self._plot.static_text()


class Plot:
    """The last values of one number as a line; each `add` sends one value.

    Parameters
    ----------
    label
        The name of the number.
    unit
        Behind each value, such as ``"%"``. Seconds, ``"s"``, are read as durations: 12 ms, 2 min.
    points
        How many values are kept; the newest is at the right.
    low, high
        The ends of the scale. Without `high` it fits the largest value.

    Examples
    --------
    >>> plot = Plot("Hit ratio", "%", points=3, high=100)
    >>> for value in (0, None, 50, 75):
    ...     plot.add(value)
    >>> plot.values
    [None, 50.0, 75.0]
    >>> plot.static_text()
    'Hit ratio: 75 %, between 50 % and 75 %'
    >>> plot.close()
    """

    def __init__(
        self,
        label: str,
        unit: str = "",
        points: int = 120,
        *,
        low: float = 0.0,
        high: float | None = None,
    ) -> None:
        self.label = label
        self._unit, self._low, self._high = unit, low, high
        self._lock = new_lock()
        self._values: deque[float | None] = deque(maxlen=points)
        self._version = 0
        self.widget = _Line(self)
        self.widget.on_msg(self._received)

    @property
    def values(self) -> list[float | None]:
        """The values that are shown, the newest last; None is a gap."""
        with self._lock:
            return list(self._values)

    def add(self, value: float | None) -> None:
        """Add the newest value. None, and what is no finite number, is a gap."""
        number = None if value is None or not math.isfinite(value) else float(f"{value:.4g}")
        with self._lock:
            self._values.append(number)
            self._version += 1
            if self.widget.comm is not None:
                self.widget.send({"v": self._version, "add": number})

    def clear(self) -> None:
        """Begin anew, without a value."""
        with self._lock:
            self._values.clear()
            self._version += 1
            if self.widget.comm is not None:
                self.widget.send({"v": self._version, "full": self._state()})

    def state(self) -> dict[str, object]:
        """Return all that a new view of this plot has to know."""
        with self._lock:
            return self._state()

    def _state(self) -> dict[str, object]:
        return {
            "v": self._version,
            "label": self.label,
            "unit": self._unit,
            "points": self._values.maxlen,
            "low": self._low,
            "high": self._high,
            "values": list(self._values),
        }

    def close(self) -> None:
        """Close the widget. The panel that it is in does so too."""
        self.widget.layout.close()
        self.widget.close()

    def static_text(self) -> str:
        """Return what the line says, in words."""
        known = [value for value in self.values if value is not None]
        if not known:
            return f"{self.label}: nothing yet"
        now, low, high = map(self._text, (known[-1], min(known), max(known)))
        between = f", between {low} and {high}" if low != high else ""
        return f"{self.label}: {now}{between}"

    def static_html(self) -> str:
        """Return the line as an SVG that needs no kernel, style or script."""
        values = self.values
        words = escape(self.static_text())
        path = self._path(values)
        if not path:
            return f"<p>{words}</p>"
        return (
            f"<p>{words}</p>\n"
            f'<svg role="img" aria-label="{words}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="currentColor" '
            f'stroke-width="1.5" stroke-linecap="round"><path d="{path}"/></svg>'
        )

    def _path(self, values: Iterable[float | None]) -> str:
        shown = list(values)
        top = self._top(shown)
        count = self._values.maxlen or 1
        step = _WIDTH / max(1, count - 1)
        runs: list[list[tuple[float, float]]] = [[]]
        for at, value in enumerate(shown, start=count - len(shown)):
            if value is None:
                runs.append([])
                continue
            share = (value - self._low) / (top - self._low)
            y = _HEIGHT - min(1.0, max(0.0, share)) * (_HEIGHT - 2) - 1
            runs[-1].append((at * step, y))
        return "".join(_line(run) for run in runs if run)

    def _top(self, values: Iterable[float | None]) -> float:
        """Return the upper end of the scale: 1, 2 or 5 times a power of ten."""
        if self._high is not None:
            return self._high
        largest = max((value for value in values if value is not None), default=0.0) - self._low
        if largest <= 0:
            return self._low + 1.0
        power = 10.0 ** math.floor(math.log10(largest))
        # A tenth power is rounded: 0.3 is no more than 3 times 0.1.
        fits = (step * power for step in _STEPS if step * power >= largest * (1 - 1e-9))
        return self._low + next(fits)

    def _text(self, value: float) -> str:
        if self._unit == "s" and value > 0:
            return duration(value)
        return f"{value:,g} {self._unit}".rstrip()

    def _received(self, _: object, content: dict[str, object], __: object) -> None:
        if content.get("do") == "full":  # a view that has missed a message
            self.widget.send({"v": self._version, "full": self.state()})


def _line(run: list[tuple[float, float]]) -> str:
    """Return the path of neighbouring values; one alone is a dash that can be seen."""
    if len(run) == 1:
        [(x, y)] = run
        return f"M{x - _DASH:.1f} {y:.1f}h{_DASH}"
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run)
