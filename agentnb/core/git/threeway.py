"""Three versions of a sequence, laid beside each other as git's own merge does it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.git.opened import Runner

__all__ = ["Region", "regions", "segments"]

_SIDES: Final = {"<": 0, "|": 1, "=": 2}


class Region(NamedTuple):
    """A run of items that conflicts, as each version has it."""

    ours: list[str]
    base: list[str]
    theirs: list[str]


def regions(
    run: Runner, base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> list[Region]:
    """Return the runs of items that conflict, in their order; see `segments`."""
    return [each for each in segments(run, base, ours, theirs) if isinstance(each, Region)]


def segments(
    run: Runner, base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> list[str | Region]:
    """Return the merged items, and among them the runs that conflict.

    Parameters
    ----------
    run
        Runs git.
    base, ours, theirs
        The versions: lines of a text, or other texts that stand for one item each.

    Notes
    -----
    Git merges files by lines, so each distinct item becomes a line that holds a number. Such a
    line is never taken for a marker or for binary content, whatever the item holds.
    """
    numbers: dict[str, int] = {}
    versions = {"ours": ours, "base": base, "theirs": theirs}
    with tempfile.TemporaryDirectory(prefix="agentnb-merge-") as folder:
        files = [Path(folder, name) for name in versions]
        for file, version in zip(files, versions.values(), strict=True):
            lines = [f"{numbers.setdefault(item, len(numbers))}\n" for item in version]
            file.write_text("".join(lines))
        output = run(
            *("merge-file", "-p", "--diff3", "--quiet", "--marker-size=7"),
            *map(str, files),
            fine=range(128),  # the number of conflicts, at most 127
            doing="conflicts",
        )
    return _parsed(output.text.splitlines(), list(numbers))


def _parsed(lines: Sequence[str], items: Sequence[str]) -> list[str | Region]:
    """Return the items and conflicts in a file that git has merged.

    >>> merged = ["0", "<<<<<<< a", "1", "||||||| b", "=======", "2", ">>>>>>> c"]
    >>> _parsed(merged, ["same", "mine", "yours"])
    ['same', Region(ours=['mine'], base=[], theirs=['yours'])]
    """
    found: list[str | Region] = []
    region = Region([], [], [])
    side: list[str] | None = None
    for line in lines:
        if line[0] == "<":
            region = Region([], [], [])
            found.append(region)
        if line[0] in _SIDES:
            side = region[_SIDES[line[0]]]
        elif line[0] == ">":
            side = None
        elif side is not None:
            side.append(items[int(line)])
        else:
            found.append(items[int(line)])
    return found
