"""Notebooks compared by their cells, by nbdime."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

__all__ = ["Cell", "CellChange", "cells_of", "compare"]

_NEWEST: Final = 4


@dataclass(frozen=True, slots=True)
class CellChange:
    """A cell that differs.

    Parameters
    ----------
    kind
        ``"added"``, ``"removed"``, ``"changed"``, or ``"outputs"`` where nothing but these differ.
    number
        Its number in the notebook, from 1: in the later one, but for a cell that was removed.
    type
        ``"code"``, ``"markdown"`` or ``"raw"``.
    before, after
        Its source on both sides.
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
    """Return the cells that differ; None where one of the two is no notebook of format 4.

    Outputs are compared as a whole, execution counts not at all.

    Examples
    --------
    >>> def notebook(*sources):
    ...     cells = [{"cell_type": "code", "source": s, "outputs": []} for s in sources]
    ...     return json.dumps({"nbformat": 4, "cells": cells}).encode()
    >>> [(c.kind, c.number, c.after) for c in compare(notebook("a = 1"), notebook("a = 1", "b"))]
    [('added', 2, 'b')]
    """
    old, new = _cells(before), _cells(after)
    if old is None or new is None:
        return None
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


def _cells(data: bytes) -> list[dict[str, Any]] | None:
    if not data:
        return []
    try:
        notebook = json.loads(data)
    except ValueError:
        return None
    if not isinstance(notebook, dict) or notebook.get("nbformat") != _NEWEST:
        return None
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        return None
    return [_plain(cell) for cell in cells]


def _plain(cell: dict[str, Any]) -> dict[str, Any]:
    """Return what of a cell is compared: its outputs only by a digest, since they may be large."""
    source = cell.get("source", "")
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    outputs = cell.get("outputs") or []
    counted = [{**one, "execution_count": None} for one in outputs if isinstance(one, dict)]
    found = {"cell_type": str(cell.get("cell_type", "code")), "source": text, "metadata": {}}
    found["digest"] = hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()
    if "id" in cell:
        found["id"] = str(cell["id"])
    return found


def _runs(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[tuple[int, int, int]]:
    """Return where cells were removed and added: position in the old ones, and how many."""
    from nbdime.diffing.notebooks import diff_notebooks

    def notebook(cells: list[dict[str, Any]]) -> dict[str, Any]:
        shown = [{k: v for k, v in cell.items() if k != "digest"} for cell in cells]
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
        return []
    return [CellChange(kind, number, new["cell_type"], old["source"], new["source"], outputs)]


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
    """Return the cells of a notebook; None of what is no notebook of format 4.

    >>> cells_of(b'{"nbformat": 4, "cells": [{"cell_type": "raw", "source": ["a", "b"]}]}')
    [Cell(id='', type='raw', source='ab')]
    """
    found = _cells(data)
    if found is None:
        return None
    return [Cell(str(cell.get("id", "")), cell["cell_type"], cell["source"]) for cell in found]
