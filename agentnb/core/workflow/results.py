"""The results of tasks, as the types that their agents declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.codec import Unkept, check_schema, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.codec import Json
    from agentnb.core.workflow.reading import Reader
    from agentnb.core.workflow.remote import Agents

__all__ = ["Results"]


class Results:
    """Reads the results of tasks.

    Parameters
    ----------
    reader
        Reads the rows.
    agents
        Knows the types that agents declare.
    json
        Decodes a result as a type.
    """

    def __init__(self, reader: Reader, agents: Agents, json: Json) -> None:
        self._reader = reader
        self._agents = agents
        self._json = json

    def all(self, number: str) -> dict[str, Any]:
        """Return the results of a workflow's completed tasks, by their names."""
        return {
            name: Unkept.read(unkept) if unkept else self._read(agent, result)
            for name, agent, result, unkept in self._reader.results(number)
        }

    def some(self, number: str, names: Sequence[str]) -> dict[str, Any]:
        """Return the results of some completed tasks; see `Context.inputs`."""
        rows = {row[0]: row[1:] for row in self._reader.results(number, names)}
        found = {}
        for name in names:
            agent, result, unkept = rows[name]
            _check_kept(number, name, agent, unkept)
            found[name] = self._read(agent, result)
        return found

    def one(self, number: str, task: str, kind: Any = None) -> Any:
        """Return the result of a completed task; see `Workflow.result_of`."""
        check_schema(kind, "workflow", "type")
        agent, result, unkept = self._reader.result(number, task)
        _check_kept(number, task, agent, unkept)
        if kind is None:
            return self._read(agent, result)
        return self._json.decode(result.encode(), kind)

    def _read(self, agent: str, result: str) -> Any:
        return read(result, self._agents.declared(agent))


def _check_kept(number: str, task: str, agent: str, unkept: str | None) -> None:
    if unkept is not None:
        raise Unkept.read(unkept).error(
            f"task {task}",
            "workflow",
            f"have agent {agent} return plain values or a model, then "
            f"workflow.retry({task!r}) (%workflow retry {number} {task}) runs the task again",
        )
