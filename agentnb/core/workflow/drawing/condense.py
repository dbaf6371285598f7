"""Many tasks that stand alike in a graph, as one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Group", "condense", "depths"]

ALIKE: Final = 6
"""Tasks with the same needs and the same dependents that are still drawn one by one."""
RUN: Final = 4
"""Tasks of a chain that are still drawn one by one, where there are many layers."""
DEEP: Final = 8
"""Layers beyond which chains are drawn as one."""


class Group(NamedTuple):
    """One task, or several that are drawn as one.

    Attributes
    ----------
    tasks
        Their names, in the order in which they were given.
    needs
        Places of the groups, in the list of all, that come before.
    chain
        Whether each of the tasks needs the one before.
    """

    tasks: tuple[str, ...]
    needs: tuple[int, ...]
    chain: bool = False


def condense(tasks: Sequence[tuple[str, Sequence[str]]]) -> list[Group]:
    """Return the groups that are drawn, in the order of their first tasks.

    Parameters
    ----------
    tasks
        Each with its needs. An unknown need is left out.

    Examples
    --------
    >>> shards = [(f"s{n}", ["plan"]) for n in range(9)]
    >>> found = condense([("plan", []), *shards, ("join", [name for name, _ in shards])])
    >>> [(len(group.tasks), group.needs) for group in found]
    [(1, ()), (9, (0,)), (1, (1,))]
    """
    known = {name for name, _ in tasks}
    needs = {name: [one for one in dict.fromkeys(given) if one in known] for name, given in tasks}
    groups = _chains(_alike([([name], False) for name in needs], needs), needs)
    place = {name: at for at, (names, _) in enumerate(groups) for name in names}
    found = []
    for at, (names, chain) in enumerate(groups):
        before = {place[need] for name in names for need in needs[name]} - {at}
        found.append(Group(tuple(names), tuple(sorted(before)), chain))
    return found


def _alike(
    groups: list[tuple[list[str], bool]], needs: dict[str, list[str]]
) -> list[tuple[list[str], bool]]:
    """Put together those that need the same and are needed by the same."""
    dependents = _dependents(needs)
    by_place: dict[tuple[frozenset[str], frozenset[str]], list[str]] = defaultdict(list)
    for (name,), _ in groups:
        by_place[frozenset(needs[name]), frozenset(dependents[name])].append(name)
    found = []
    for (name,), _ in groups:
        same = by_place[frozenset(needs[name]), frozenset(dependents[name])]
        if len(same) <= ALIKE:
            found.append(([name], False))
        elif same[0] == name:
            found.append((same, False))
    return found


def _chains(
    groups: list[tuple[list[str], bool]], needs: dict[str, list[str]]
) -> list[tuple[list[str], bool]]:
    """Put together the links of long chains, in a graph of many layers."""
    if max(depths(needs).values(), default=0) < DEEP:
        return groups
    dependents = _dependents(needs)
    alone = {names[0] for names, _ in groups if len(names) == 1}
    after = {
        name: dependents[name][0]
        for name in alone
        if len(dependents[name]) == 1
        and dependents[name][0] in alone
        and len(needs[dependents[name][0]]) == 1
    }
    heads = alone - set(after.values())
    runs = {}
    for head in heads:
        run = [head]
        while run[-1] in after:
            run.append(after[run[-1]])
        if len(run) > RUN:
            runs[head] = run
    inner = {name for run in runs.values() for name in run[1:]}
    return [
        (runs[names[0]], True) if names[0] in runs else (names, chain)
        for names, chain in groups
        if len(names) > 1 or names[0] not in inner
    ]


def _dependents(needs: dict[str, list[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in needs}
    for name, given in needs.items():
        for need in given:
            found[need].append(name)
    return found


def depths(needs: dict[str, list[str]]) -> dict[str, int]:
    """Return how many tasks come before each at least, along its longest way.

    Tasks of a cycle, which no workflow has, are placed first.

    >>> sorted(depths({"c": ["a", "b"], "b": ["a"], "a": []}).items())
    [('a', 0), ('b', 1), ('c', 2)]
    """
    dependents = _dependents(needs)
    open_ = {name: len(given) for name, given in needs.items()}
    found = {name: 0 for name, count in open_.items() if not count}
    ready = list(found)
    for name in ready:
        for later in dependents[name]:
            found[later] = max(found.get(later, 0), found[name] + 1)
            open_[later] -= 1
            if not open_[later]:
                ready.append(later)
    return found if len(ready) == len(needs) else {name: found.get(name, 0) for name in needs}
