"""A workflow as an SVG that needs no style sheet and no script; colours follow the page's theme."""

from __future__ import annotations

import unicodedata
from html import escape
from typing import TYPE_CHECKING, Final, Protocol

from agentnb.core.table import text_of
from agentnb.core.workflow.drawing.layout import CELL, PER_ROW, Box, Line, lay_out
from agentnb.core.workflow.drawing.states import COLOURS, TONES, tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Drawable", "svg"]

_PAPER: Final = "var(--jp-layout-color1,#fff)"
_TEXT: Final = "var(--jp-content-font-color1,#212121)"
_FAINT: Final = "var(--jp-ui-font-color2,#666)"
_EDGE: Final = "var(--jp-border-color1,#bdbdbd)"
_FONT: Final = "var(--jp-ui-font-family,system-ui,sans-serif)"
_LETTER, _SMALL_LETTER = 6.5, 5.7  # pixels of a letter, on the safe side
_SHRINK: Final = 0.8
"""How small it may become before it has to be scrolled."""
_WORDS: Final = {"approval": "needs approval", "blocked": "blocked"}
# Signs, drawn in 14 by 14 pixels: fonts differ in what they have.
_MARKS: Final = {
    "completed": '<path d="M2.5 7.5l3 3 6-7"/>',
    "failed": '<path d="M3 3l8 8M11 3l-8 8"/>',
    "active": '<path d="M4 2.5v9l7.5-4.5z" fill="{}"/>',
    "waiting": '<circle cx="7" cy="7" r="5"/>',
    "blocked": '<circle cx="7" cy="7" r="5" stroke-dasharray="2 2.5"/>',
    "delayed": '<circle cx="7" cy="7" r="5.2"/><path d="M7 4v3l2.2 1.6"/>',
    "parked": '<path d="M4.5 3v8M9.5 3v8"/>',
    "approval": '<circle cx="7" cy="7" r="6"/><path d="M5.2 5.6a1.9 1.9 0 1 1 2.7 1.6c-.6.3-.9.6'
    '-.9 1.2M7 10.3v.1"/>',
    "skipped": '<path d="M2.5 3.5l4 3.5-4 3.5M7.5 3.5l4 3.5-4 3.5"/>',
    "cancelled": '<circle cx="7" cy="7" r="5.2"/><path d="M3.4 10.6l7.2-7.2"/>',
}
# The same within a cell of 8 by 8.
_SPECKS: Final = {
    "failed": '<path d="M2 2l4 4M6 2l-4 4" style="stroke:{0}"/>',
    "active": '<path d="M2.5 1.5v5l4-2.5z" style="fill:{0};stroke:none"/>',
    "approval": '<path d="M4 1.5v3M4 6.3v.2" style="stroke:{0}"/>',
    "parked": '<path d="M2.8 2v4M5.2 2v4" style="stroke:{0}"/>',
    "skipped": '<path d="M1.5 4h5"/>',
    "cancelled": '<path d="M1.5 6.5l5-5"/>',
}
_SOLID: Final = {"completed", "failed", "active", "approval"}


class Drawable(Protocol):
    """The drawing of a task."""

    @property
    def name(self) -> str:
        """Return its name."""

    @property
    def state(self) -> str:
        """Return its state, one of `SIGNS`."""

    @property
    def needs(self) -> Sequence[str]:
        """Return the names of the tasks before it."""

    @property
    def agent(self) -> str:
        """Return who does it."""

    @property
    def progress(self) -> float | None:
        """Return how much of it is done, as a share of 1."""

    @property
    def message(self) -> str:
        """Return its last message."""

    @property
    def error(self) -> str | None:
        """Return why it failed."""

    @property
    def attempt(self) -> int:
        """Return how many times it was begun."""

    @property
    def attempts(self) -> int:
        """Return how many times it may be."""


def svg(tasks: Iterable[Drawable], label: str = "Workflow", *, selected: str | None = None) -> str:
    """Return the graph of a workflow's tasks.

    Each task bears its name as ``data-pick``, and says more to a pointer that rests on it.

    Parameters
    ----------
    tasks
        The tasks, in the order in which they were given.
    label
        What it is, for those who hear it.
    selected
        The name of the task with a thick edge.
    """
    known = {task.name: task for task in tasks}
    layout = lay_out(tuple((task.name, tuple(task.needs)) for task in known.values()))
    said = f"{text_of(label)}: {tally(task.state for task in known.values()) or 'no tasks'}"
    lines = [_line(line, layout.boxes, known) for line in layout.lines]
    boxes = [_box(box, known, selected, small=layout.small) for box in layout.boxes]
    return (
        f'<svg role="img" aria-label="{escape(said)}" width="{layout.width:g}" '
        f'height="{layout.height:g}" viewBox="0 0 {layout.width:g} {layout.height:g}" '
        f'style="display:block;flex:none;min-width:{layout.width * _SHRINK:.0f}px;max-width:100%;'
        f'height:auto;font-family:{_FONT}">'
        f'<g fill="none" stroke-width="1.5">{"".join(lines)}</g>{"".join(boxes)}</svg>'
    )


def _line(line: Line, boxes: Sequence[Box], known: dict[str, Drawable]) -> str:
    (x, y), *rest = line.points
    path = [f"M{x:g} {y:g}"]
    for number, (to_x, to_y) in enumerate(rest):
        if number % 2:  # the straight part that passes a layer
            path.append(f"H{to_x:g}")
        else:
            middle = (x + to_x) / 2
            path.append(f"C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}")
        x, y = to_x, to_y
    done = all(known[name].state == "completed" for name in boxes[line.start].tasks)
    colour = COLOURS["good"] if done else _EDGE
    return f'<path d="{"".join(path)}" style="stroke:{colour}"/>'


def _box(box: Box, known: dict[str, Drawable], selected: str | None, *, small: bool) -> str:
    if len(box.tasks) > 1:
        return _group(box, [known[name] for name in box.tasks], selected)
    task = known[box.tasks[0]]
    colour = COLOURS[TONES.get(task.state, "")]
    inner = [_frame(box, task.state, thick=task.name == selected), _mark(task.state, colour, box)]
    room = box.width - 38
    y = box.height / 2 + 4 if small else 18
    inner.append(_text(30, y, task.name, room, bold=not small, faint=_passed(task.state)))
    if not small:
        inner.append(_text(30, 33, _second(task), room, faint=True))
    if task.state == "active" and task.progress is not None:
        inner.append(_bar(box, task.progress, colour))
    return (
        f'<g data-pick="{escape(task.name)}" transform="translate({box.x:g} {box.y:g})">'
        f"<title>{escape(_about(task))}</title>{''.join(inner)}</g>"
    )


def _passed(state: str) -> bool:
    return state in {"skipped", "cancelled"}


def _frame(box: Box, state: str, *, thick: bool = False) -> str:
    colour = COLOURS[TONES.get(state, "")]
    strength = 12 if state in _SOLID else 0
    dash = ' stroke-dasharray="4 3"' if state in {"blocked", "skipped", "cancelled"} else ""
    width = 2.5 if thick else 1.2
    return (
        f'<rect x=".5" y=".5" width="{box.width - 1:g}" height="{box.height - 1:g}" rx="6"{dash} '
        f'style="fill:color-mix(in srgb,{colour} {strength}%,{_PAPER});stroke:{colour};'
        f'stroke-width:{width}"/>'
    )


def _mark(state: str, colour: str, box: Box) -> str:
    y = min(box.height, 44) / 2 - 7
    drawn = _MARKS.get(state, "").replace("{}", "currentColor")
    return (
        f'<g transform="translate(9 {y:g})" fill="none" stroke="currentColor" stroke-width="1.7" '
        f'stroke-linecap="round" stroke-linejoin="round" style="color:{colour}">{drawn}</g>'
    )


def _bar(box: Box, share: float, colour: str) -> str:
    full = box.width - 16
    done = full * min(1.0, max(0.0, share))
    y = box.height - 6
    return (
        f'<rect x="8" y="{y:g}" width="{full:g}" height="3" rx="1.5" '
        f'style="fill:{colour};opacity:.25"/>'
        f'<rect x="8" y="{y:g}" width="{done:g}" height="3" rx="1.5" style="fill:{colour}"/>'
    )


def _second(task: Drawable) -> str:
    words = [_WORDS.get(task.state, task.state)]
    if task.state == "active" and task.progress is not None:
        words[0] = f"{task.progress:.0%}"
        if task.message:
            words.append(task.message)
    elif task.state == "failed" and task.error:
        words.append(task.error)
    elif task.agent and task.agent != task.name and task.state != "approval":
        words.append(task.agent)
    if task.state == "active" and task.attempt > 1:
        words.insert(1, f"attempt {task.attempt}")
    return " · ".join(words)


def _about(task: Drawable) -> str:
    lines = [f"{task.name}: {_WORDS.get(task.state, task.state)}", f"agent {task.agent}"]
    if task.attempt:
        lines.append(f"attempt {task.attempt} of {task.attempts}")
    if task.needs:
        lines.append(f"needs {', '.join(task.needs)}")
    lines += [line for line in (task.message, task.error) if line]
    return "\n".join(text_of(line) for line in lines)


def _group(box: Box, tasks: list[Drawable], selected: str | None) -> str:
    states = [task.state for task in tasks]
    leading = next((state for state in _LEADING if state in states), states[0])
    colour = COLOURS[TONES.get(leading, "")]
    done = states.count("completed")
    words = f"{done:,} of {len(tasks):,}"
    if "failed" in states:
        words += f" · {states.count('failed'):,} failed"
    elif states.count("active") == 1:
        words += f" · {tasks[states.index('active')].name}"
    cells = [
        _cell(task, 9 + at % PER_ROW * CELL, 42 + at // PER_ROW * CELL, task.name == selected)
        for at, task in enumerate(tasks)
    ]
    room = box.width - 38
    return (
        f'<g transform="translate({box.x:g} {box.y:g})"><g>'
        f"<title>{escape(tally(states))}</title>{_frame(box, leading)}"
        f"{_mark(leading, colour, box)}{_text(30, 18, _called(box), room, bold=True)}"
        f"{_text(30, 33, words, room, faint=True)}</g>{''.join(cells)}</g>"
    )


# The state that a group shows is that of the one which matters most.
_LEADING: Final = (
    "failed",
    "approval",
    "parked",
    "active",
    "waiting",
    "delayed",
    "blocked",
    "completed",
)


def _called(box: Box) -> str:
    first, last = box.tasks[0], box.tasks[-1]
    if box.chain:
        return f"{first} → {last}"
    start = 0
    while start < min(len(first), len(last)) and first[start] == last[start]:
        start += 1
    count = f"({len(box.tasks):,})"
    return f"{first[:start]}… {count}" if start > 1 else f"{first} … {count}"


def _cell(task: Drawable, x: float, y: float, thick: bool) -> str:  # noqa: FBT001 - one of two looks
    colour = COLOURS[TONES.get(task.state, "")]
    fill = colour if task.state in _SOLID else "transparent"
    speck = _SPECKS.get(task.state, "").format(_PAPER)
    edge, width = (_TEXT, 2) if thick else (colour, 1)
    return (
        f'<g data-pick="{escape(task.name)}" transform="translate({x:g} {y:g})" fill="none" '
        f'style="stroke:{colour}"><title>{escape(_about(task))}</title>'
        f'<rect x=".5" y=".5" width="7" height="7" rx="1.5" '
        f'style="fill:{fill};stroke:{edge};stroke-width:{width}"/>{speck}</g>'
    )


def _text(
    x: float, y: float, text: str, room: float, *, bold: bool = False, faint: bool = False
) -> str:
    letter = _LETTER if bold else _SMALL_LETTER
    style = f"fill:{_FAINT if faint else _TEXT};font-size:{12 if bold else 11}px"
    weight = ";font-weight:600" if bold else ""
    return f'<text x="{x:g}" y="{y:g}" style="{style}{weight}">{_fit(text, room / letter)}</text>'


def _fit(text: str, letters: float) -> str:
    """Return what of a text has room, escaped; wide letters take the room of two."""
    shown: list[str] = []
    used = 0
    text = text_of(text)
    for sign in text:
        used += 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        if used > letters:
            return escape("".join(shown[:-1]).rstrip() + "…")
        shown.append(sign)
    return escape("".join(shown))
