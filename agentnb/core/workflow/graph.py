"""The graph of a workflow's tasks: refused when it cannot be worked through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.errors import did_you_mean
from agentnb.core.workflow.errors import UnfitTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.workflow.spec import Task

__all__ = ["dependents", "frees_of"]


def frees_of(tasks: Sequence[Task]) -> list[list[int]]:
    """Return for each task the places of those that need it.

    >>> from agentnb.core.workflow.spec import Task
    >>> frees_of([Task("plan"), Task("api", needs=["plan"]), Task("test", needs=["plan", "api"])])
    [[1, 2], [2], []]

    Raises
    ------
    UnfitTask
        Two tasks have the same name, one needs what is not there, or they wait for each other.
    """
    places: dict[str, int] = {}
    for place, task in enumerate(tasks):
        if task.name in places:
            raise UnfitTask(
                f"two tasks are called {task.name}",
                hint=f"give each a name of its own, such as {task.name}-2, and say whose it is: "
                f"{task.agent}",
                place=place,
            )
        places[task.name] = place
    frees: list[list[int]] = [[] for _ in tasks]
    for place, task in enumerate(tasks):
        for need in task.needs:
            if need not in places:
                raise UnfitTask(
                    f"task {task.name} needs {need!r}, which is not a task of this workflow",
                    hint=did_you_mean(str(need), places) or f"tasks: {', '.join(places)}",
                    place=place,
                )
            frees[places[need]].append(place)
    _refuse_cycle(tasks, places, frees)
    return frees


def _refuse_cycle(
    tasks: Sequence[Task], places: dict[str, int], frees: Sequence[Sequence[int]]
) -> None:
    missing = [len(task.needs) for task in tasks]
    free = [place for place, count in enumerate(missing) if not count]
    for place in free:  # it grows meanwhile
        for other in frees[place]:
            missing[other] -= 1
            if not missing[other]:
                free.append(other)
    if len(free) == len(tasks):
        return
    # From any task that is left, one of those that it needs is left as well: walk until one is
    # met again.
    stuck = {place for place, count in enumerate(missing) if count}
    path = [min(stuck)]
    while True:
        needs = (places[need] for need in tasks[path[-1]].needs)
        following = next(place for place in needs if place in stuck)
        if following in path:
            cycle = [*path[path.index(following) :], following]
            break
        path.append(following)
    names = [tasks[place].name for place in cycle]
    raise UnfitTask(
        f"these tasks wait for each other: {' needs '.join(names)}",
        hint=f"leave one of these needs away, such as {names[1]} from {names[0]}",
        place=cycle[0],
    )


def dependents(frees: dict[int, list[int]], start: int) -> set[int]:
    """Return the places of all that need a task, or need what needs it.

    >>> sorted(dependents({0: [1], 1: [2], 2: [], 3: []}, 0))
    [1, 2]
    """
    found: set[int] = set()
    left = list(frees.get(start, ()))
    while left:
        place = left.pop()
        if place not in found:
            found.add(place)
            left += frees.get(place, ())
    return found
