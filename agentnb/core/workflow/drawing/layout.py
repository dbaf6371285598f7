"""Where each task of a workflow stands: layers from left to right, few crossings, straight lines.

Only names and needs count, so that nothing moves while states change.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from agentnb.core.workflow.drawing.condense import Group, condense, depths

__all__ = ["CELL", "PER_ROW", "Box", "Layout", "Line", "lay_out"]

WIDTH, HEIGHT = 156, 44
SMALL_WIDTH, SMALL_HEIGHT = 132, 24
GAP_X, GAP_Y, SMALL_GAP_Y = 36, 12, 6
THROUGH: Final = 6
"""Height that a line takes which passes a layer."""
MARGIN: Final = 4
CELL: Final = 10
"""Width and height of a task that is drawn within a group, its gap included."""
PER_ROW: Final = 13
SMALL_FROM: Final = 36
"""Boxes from which on they are drawn small."""
_SWEEPS = 6


class Box(NamedTuple):
    """A box of the picture, in pixels, and the tasks that it stands for."""

    tasks: tuple[str, ...]
    chain: bool
    x: float
    y: float
    width: float
    height: float


class Line(NamedTuple):
    """A line from a box to one that needs it: their numbers, and the points that it passes."""

    start: int
    end: int
    points: tuple[tuple[float, float], ...]


class Layout(NamedTuple):
    """The picture's boxes and lines, its size in pixels, and whether the boxes are small ones."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float
    small: bool


class _Item:
    """An item of a layer: a box, or a line that passes."""

    __slots__ = ("after", "before", "height", "layer", "y")

    def __init__(self, layer: int, height: float) -> None:
        self.layer, self.height, self.y = layer, height, 0.0
        self.before: list[_Item] = []
        self.after: list[_Item] = []


@lru_cache(maxsize=64)
def lay_out(tasks: tuple[tuple[str, tuple[str, ...]], ...]) -> Layout:
    """Return the place of each task.

    Parameters
    ----------
    tasks
        Each with its needs.

    Examples
    --------
    >>> found = lay_out((("plan", ()), ("api", ("plan",)), ("web", ("plan",))))
    >>> [(box.tasks[0], box.x < 100) for box in found.boxes]
    [('plan', True), ('api', False), ('web', False)]
    >>> found.boxes[1].y < found.boxes[0].y < found.boxes[2].y
    True
    """
    groups = condense(tasks)
    small = len(groups) > SMALL_FROM
    names = {str(at): [str(need) for need in group.needs] for at, group in enumerate(groups)}
    deep = depths(names)
    items = [_Item(deep[str(at)], _height(group, small=small)) for at, group in enumerate(groups)]
    layers: list[list[_Item]] = [[] for _ in range(max(deep.values(), default=-1) + 1)]
    for item in items:
        layers[item.layer].append(item)
    ways = {
        (need, at): _join(items[need], items[at], layers)
        for at, group in enumerate(groups)
        for need in group.needs
    }
    _order(layers)
    _place(layers, SMALL_GAP_Y if small else GAP_Y)
    return _measured(groups, items, ways, layers, small=small)


def _height(group: Group, *, small: bool) -> float:
    if len(group.tasks) > 1:
        rows = -(-len(group.tasks) // PER_ROW)
        return HEIGHT + rows * CELL + 2
    return SMALL_HEIGHT if small else HEIGHT


def _join(start: _Item, end: _Item, layers: list[list[_Item]]) -> list[_Item]:
    """Join two boxes by way of the layers between them; return what stands there."""
    way = [_Item(layer, THROUGH) for layer in range(start.layer + 1, end.layer)]
    for item in way:
        layers[item.layer].append(item)
    for left, right in zip([start, *way], [*way, end], strict=True):
        left.after.append(right)
        right.before.append(left)
    return way


def _order(layers: list[list[_Item]]) -> None:
    """Order each layer by the middle of what it is joined to, so that few lines cross."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            at = {id(item): n for others in layers for n, item in enumerate(others)}
            keys = {}
            for n, item in enumerate(layer):
                joined = item.before if forward else item.after
                places = [at[id(one)] for one in joined]
                keys[id(item)] = (sum(places) / len(places) if places else n, n)
            layer.sort(key=lambda item: keys[id(item)])
        now = _crossings(layers)
        if now < fewest:
            best, fewest = [list(layer) for layer in layers], now
    for layer, order in zip(layers, best, strict=True):
        layer[:] = order


def _crossings(layers: list[list[_Item]]) -> int:
    total = 0
    for left, right in pairwise(layers):
        at = {id(item): n for n, item in enumerate(right)}
        ends = [at[id(to)] for item in left for to in sorted(item.after, key=lambda i: at[id(i)])]
        seen: list[int] = []
        for end in ends:
            total += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return total


def _place(layers: list[list[_Item]], gap: float) -> None:
    """Give each a height at which its lines are as straight as its neighbours let them be."""
    for layer in layers:
        _settle(layer, [0.0] * len(layer), gap)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            wanted = []
            for item in layer:
                joined = item.before if forward else item.after
                middle = sum(one.y for one in joined) / len(joined) if joined else item.y
                wanted.append(middle)
            _settle(layer, wanted, gap)


def _settle(layer: list[_Item], wanted: list[float], gap: float) -> None:
    """Put the middles of a layer as near to where they are wanted as their order lets them."""
    offsets = [0.0]
    for above, below in pairwise(layer):
        offsets.append(offsets[-1] + (above.height + below.height) / 2 + gap)
    blocks: list[tuple[float, int]] = []  # mean, and how many: those above are never lower
    for want, offset in zip(wanted, offsets, strict=False):
        mean, count = want - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, more = blocks.pop()
            mean, count = (mean * count + other * more) / (count + more), count + more
        blocks.append((mean, count))
    at = iter(layer)
    number = 0
    for mean, count in blocks:
        for _ in range(count):
            next(at).y = mean + offsets[number]
            number += 1


def _measured(
    groups: list[Group],
    items: list[_Item],
    ways: dict[tuple[int, int], list[_Item]],
    layers: list[list[_Item]],
    *,
    small: bool,
) -> Layout:
    widths = [
        WIDTH
        if not small or any(len(groups[at].tasks) > 1 for at, i in enumerate(items) if i in layer)
        else SMALL_WIDTH
        for layer in layers
    ]
    lefts = [float(MARGIN)]
    for width in widths:
        lefts.append(lefts[-1] + width + GAP_X)
    every = [item for layer in layers for item in layer]
    top = min((item.y - item.height / 2 for item in every), default=0) - MARGIN
    bottom = max((item.y + item.height / 2 for item in every), default=0) + MARGIN
    boxes = tuple(
        Box(
            group.tasks,
            group.chain,
            lefts[item.layer],
            round(item.y - item.height / 2 - top, 1),
            widths[item.layer],
            item.height,
        )
        for group, item in zip(groups, items, strict=True)
    )
    lines = []
    for (start, end), way in ways.items():
        left, right = boxes[start], boxes[end]
        points = [(left.x + left.width, left.y + left.height / 2)]
        for item in way:
            y = round(item.y - top, 1)
            points += [(lefts[item.layer], y), (lefts[item.layer] + widths[item.layer], y)]
        points.append((right.x, right.y + right.height / 2))
        lines.append(Line(start, end, tuple(points)))
    return Layout(boxes, tuple(lines), lefts[-1] - GAP_X + MARGIN, round(bottom - top, 1), small)
