"""The graph of a history: the lane of each commit, and the lines between commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Row", "lay_out", "svg", "text"]

ROW: Final = 24
"""Height of a row, in pixels."""

_LANE, _MARGIN, _DOT = 14, 9, 4
_MOST_LANES: Final = 24
_COLOURS: Final = (
    "var(--jp-brand-color1,#1976d2)",
    "var(--jp-success-color1,#388e3c)",
    "var(--jp-warn-color1,#f57c00)",
    "var(--jp-error-color1,#d32f2f)",
    "var(--jp-info-color1,#0097a7)",
    "var(--jp-mirror-editor-keyword-color,#7b1fa2)",
)


class Row(NamedTuple):
    """A commit's position: its lane, and the lines that lead from here to the next row.

    A line is a pair of lanes: where it is beside this commit, and beside the next.
    """

    lane: int
    lines: tuple[tuple[int, int], ...]
    merge: bool


def lay_out(commits: Sequence[tuple[str, Sequence[str]]]) -> list[Row]:
    """Return the position of each commit.

    Parameters
    ----------
    commits
        Each with its parents, none before its children.

    Examples
    --------
    >>> lay_out([("c", ["a", "b"]), ("b", ["a"]), ("a", [])])
    [Row(lane=0, lines=((0, 0), (0, 1)), merge=True), Row(lane=1, lines=((0, 0), (1, 0)), \
merge=False), Row(lane=0, lines=(), merge=False)]
    """
    lanes: list[str | None] = []  # the commit that each lane leads to
    rows: list[Row] = []
    for sha, parents in commits:
        lane = _lane_of(lanes, sha)
        lanes[lane] = None
        before = list(lanes)
        targets = [_lane_of(lanes, parent, prefer=lane) for parent in parents]
        lines = [(at, at) for at, sha in enumerate(before) if sha is not None]
        lines += [(lane, target) for target in dict.fromkeys(targets)]
        rows.append(Row(lane, tuple(sorted(lines)), len(parents) > 1))
        while lanes and lanes[-1] is None:
            lanes.pop()
    return rows


def _lane_of(lanes: list[str | None], sha: str, prefer: int | None = None) -> int:
    """Return the lane that leads to a commit; a free one is given to it."""
    if sha in lanes:
        return lanes.index(sha)
    if prefer is not None and lanes[prefer] is None:
        lanes[prefer] = sha
        return prefer
    if None in lanes:
        at = lanes.index(None)
        lanes[at] = sha
        return at
    lanes.append(sha)
    return len(lanes) - 1


def svg(rows: Sequence[Row], label: str) -> str:
    """Return the graph as an SVG, a row every `ROW` pixels; colours follow the page's theme.

    Parameters
    ----------
    rows
        As `lay_out` gives them.
    label
        The text for screen readers, escaped.
    """
    lanes = 1 + max(
        (max(row.lane, *(max(line) for line in row.lines), 0) for row in rows), default=0
    )
    width = _MARGIN * 2 + _LANE * (min(lanes, _MOST_LANES) - 1)
    height = ROW * len(rows)
    lines, dots = [], []
    for number, row in enumerate(rows):
        y = number * ROW + ROW // 2
        for start, end in row.lines:
            colour = _COLOURS[max(start, end) % len(_COLOURS)]
            lines.append(f'<path d="{_path(start, end, y)}" stroke="{colour}"/>')
        colour = _COLOURS[row.lane % len(_COLOURS)]
        fill = "var(--jp-layout-color0,#fff)" if row.merge else colour
        dots.append(
            f'<circle cx="{_x(row.lane)}" cy="{y}" r="{_DOT}" fill="{fill}" stroke="{colour}"/>'
        )
    return (
        f'<svg role="img" aria-label="{label}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" fill="none" stroke-width="2" '
        f'style="display:block;flex:none">{"".join(lines)}{"".join(dots)}</svg>'
    )


def _x(lane: int) -> int:
    return _MARGIN + _LANE * min(lane, _MOST_LANES - 1)


def _path(start: int, end: int, y: int) -> str:
    x, to, below = _x(start), _x(end), y + ROW
    if x == to:
        return f"M{x} {y}V{below}"
    middle = y + ROW // 2
    return f"M{x} {y}C{x} {middle} {to} {middle} {to} {below}"


def text(rows: Sequence[Row]) -> list[str]:
    """Return the graph as text, a line for each commit.

    >>> text(lay_out([("c", ["a", "b"]), ("b", ["a"]), ("a", [])]))
    ['◯  ', '│ ●', '●  ']
    """
    width = 1 + max((max(row.lane, *(line[0] for line in row.lines), 0) for row in rows), default=0)
    shown = []
    for row in rows:
        through = {start for start, _ in row.lines}
        cells = ["│" if lane in through else " " for lane in range(width)]
        cells[row.lane] = "◯" if row.merge else "●"
        shown.append(" ".join(cells))
    return shown
