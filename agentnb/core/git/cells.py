"""Notebooks compared by their cells, by nbdime."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

__all__ = ["Cell", "CellChange", "cells_of", "compare"]

_NEWEST: Final = 4
_OWN: Final = frozenset({"digest", "about"})  # of a plain cell, unknown to a notebook
LARGEST: Final = 64 * 2**20
"""Bytes of a notebook that is compared by cells; a larger one is compared as text."""
_CELL: Final = 20
_MOST_WORK: Final = 10_000_000
"""Pairs of characters, and pairs of cells 400 times, that nbdime compares: about a second."""


@dataclass(frozen=True, slots=True)
class CellChange:
    """A cell that differs.

    Parameters
    ----------
    kind
        ``"added"``, ``"removed"``, ``"changed"``, ``"outputs"`` where nothing but these differ, or
        ``"metadata"``: tags, attachments and the like, or the notebook's own.
    number
        Its number in the notebook, from 1: in the later one, but for a cell that was removed.
        0 for the notebook.
    type
        ``"code"``, ``"markdown"`` or ``"raw"``; ``"notebook"`` for the notebook.
    before, after
        Its source on both sides; its metadata as JSON, where it is these.
    outputs
        Whether what it put out differs too.
    """

    kind: str
    number: int
    type: str
    before: str
    after: str
    outputs: bool = False


def compare(before: bytes, after: bytes) -> list[CellChange] | None:
    """Return the cells that differ; None where they cannot be compared.

    That is where one of the two is no notebook of format 4, is nested too deeply, or is too large.
    Outputs are compared as a whole, execution counts not at all.

    Examples
    --------
    >>> def notebook(*sources):
    ...     cells = [{"cell_type": "code", "source": s, "outputs": []} for s in sources]
    ...     return json.dumps({"nbformat": 4, "cells": cells}).encode()
    >>> [(c.kind, c.number, c.after) for c in compare(notebook("a = 1"), notebook("a = 1", "b"))]
    [('added', 2, 'b')]
    """
    try:
        old, new = _notebook(before), _notebook(after)
        if old is None or new is None:
            return None
        return [*_metadata(old, new), *_compared(old.cells, new.cells)]
    except RecursionError:
        return None


class _Notebook(NamedTuple):
    cells: list[dict[str, Any]]
    metadata: dict[str, Any]


def _metadata(old: _Notebook, new: _Notebook) -> list[CellChange]:
    if not (old.metadata and new.metadata) or old.metadata == new.metadata:
        return []
    return [CellChange("metadata", 0, "notebook", _json(old.metadata), _json(new.metadata))]


def _compared(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[CellChange]:
    changes: list[CellChange] = []
    at = to = 0
    for start, removed, added in _runs(old, new):
        while at < start:
            changes += _same_place(old[at], new[to], to + 1)
            at, to = at + 1, to + 1
        changes += [_gone(old[n], n + 1) for n in range(at, at + removed)]
        changes += [_come(new[n], n + 1) for n in range(to, to + added)]
        at, to = at + removed, to + added
    while at < len(old) and to < len(new):
        changes += _same_place(old[at], new[to], to + 1)
        at, to = at + 1, to + 1
    return changes


def _notebook(data: bytes) -> _Notebook | None:
    if not data:
        return _Notebook([], {})
    if len(data) > LARGEST:
        return None
    try:
        notebook = json.loads(data)
    except ValueError:
        return None
    if not isinstance(notebook, dict) or notebook.get("nbformat") != _NEWEST:
        return None
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        return None
    about = {key: value for key, value in notebook.items() if key != "cells"}
    return _Notebook([_plain(cell) for cell in cells], about)


def _plain(cell: dict[str, Any]) -> dict[str, Any]:
    """Return a cell's comparable form: its outputs are a digest, since they may be large."""
    source = cell.get("source", "")
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    outputs = cell.get("outputs") or []
    counted = [{**one, "execution_count": None} for one in outputs if isinstance(one, dict)]
    found = {"cell_type": str(cell.get("cell_type", "code")), "source": text, "metadata": {}}
    found["digest"] = _digest(counted)
    if "id" in cell:
        found["id"] = str(cell["id"])
    about = {key: cell[key] for key in ("metadata", "attachments", "id") if cell.get(key)}
    if isinstance(about.get("attachments"), dict):
        about["attachments"] = {name: _digest(it)[:12] for name, it in about["attachments"].items()}
    found["about"] = _json(about)
    return found


def _digest(value: object) -> str:
    return hashlib.sha256(_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)


def _runs(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[tuple[int, int, int]]:
    """Return where cells were removed and added: position in the old ones, and how many.

    Cells of the same source are matched first, and what is between them by nbdime, which tells a
    changed cell from a new one. Where that would take long, or nbdime is not installed (it comes
    with the extra ``lab``), the cells in one place are taken as changed.
    """
    before = [(cell["cell_type"], cell["source"]) for cell in old]
    after = [(cell["cell_type"], cell["source"]) for cell in new]
    runs: list[tuple[int, int, int]] = []
    left = _MOST_WORK if find_spec("nbdime") is not None else -1
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after).get_opcodes():
        if kind == "equal":
            continue
        work = (_CELL * (b - a) + _length(old[a:b])) * (_CELL * (d - c) + _length(new[c:d]))
        left -= work
        if kind == "replace" and left >= 0:
            between = _runs_by_nbdime(old[a:b], new[c:d])
            runs += [(a + at, removed, added) for at, removed, added in between]
        elif b - a != d - c:
            both = min(b - a, d - c)
            runs.append((a + both, b - a - both, d - c - both))
    return runs


def _length(cells: list[dict[str, Any]]) -> int:
    return sum(len(cell["source"]) for cell in cells)


def _runs_by_nbdime(
    old: list[dict[str, Any]], new: list[dict[str, Any]]
) -> list[tuple[int, int, int]]:
    from nbdime.diffing.notebooks import diff_notebooks

    def notebook(cells: list[dict[str, Any]]) -> dict[str, Any]:
        shown = [{k: v for k, v in cell.items() if k not in _OWN} for cell in cells]
        for cell in shown:
            if cell["cell_type"] == "code":
                cell |= {"outputs": [], "execution_count": None}
        return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": shown}

    runs: dict[int, list[int]] = {}
    for entry in diff_notebooks(notebook(old), notebook(new)):
        if entry.key != "cells":
            continue
        for step in entry.diff:
            if step.op == "addrange":
                runs.setdefault(step.key, [0, 0])[1] += len(step.valuelist)
            elif step.op == "removerange":
                runs.setdefault(step.key, [0, 0])[0] += step.length
    return [(at, removed, added) for at, (removed, added) in sorted(runs.items())]


def _same_place(old: dict[str, Any], new: dict[str, Any], number: int) -> list[CellChange]:
    outputs = old["digest"] != new["digest"]
    if old["source"] != new["source"] or old["cell_type"] != new["cell_type"]:
        kind = "changed"
    elif outputs:
        kind = "outputs"
    else:
        kind = ""
    changes = []
    if kind:
        sources = old["source"], new["source"]
        changes.append(CellChange(kind, number, new["cell_type"], *sources, outputs))
    if old["about"] != new["about"]:
        about = old["about"], new["about"]
        changes.append(CellChange("metadata", number, new["cell_type"], *about))
    return changes


def _gone(cell: dict[str, Any], number: int) -> CellChange:
    return CellChange("removed", number, cell["cell_type"], cell["source"], "")


def _come(cell: dict[str, Any], number: int) -> CellChange:
    return CellChange("added", number, cell["cell_type"], "", cell["source"])


class Cell(NamedTuple):
    """A cell as it is compared: its id, ``""`` in an older notebook, its type and its source."""

    id: str
    type: str
    source: str


def cells_of(data: bytes) -> list[Cell] | None:
    """Return the cells of a notebook; None if the text is no notebook of format 4.

    >>> cells_of(b'{"nbformat": 4, "cells": [{"cell_type": "raw", "source": ["a", "b"]}]}')
    [Cell(id='', type='raw', source='ab')]
    """
    try:
        found = _notebook(data)
    except RecursionError:
        return None
    if found is None:
        return None
    cells = found.cells
    return [Cell(str(cell.get("id", "")), cell["cell_type"], cell["source"]) for cell in cells]
