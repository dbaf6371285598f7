"""The tools that change something: each call is a task that waits for a person's approval."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.forking import new_lock
from agentnb.core.tools.database import refuse_internal
from agentnb.core.tools.policy import WRITE
from agentnb.core.tools.tool import tool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.tools.box import Access

__all__ = ["WriteTools"]

_AGENT = "tool."
"""In front of the names of the agents that perform the calls."""
_TITLE = 60
_UNFIT = re.compile(r"[^\w./=()*-]+")
"""Signs that the name of a workflow cannot have."""


class WriteTools:
    """Tools that change something once a person has approved the call.

    A call makes a workflow of one task with ``approval``, of one attempt, and returns at once. The
    agent of the task is registered by the process that offers the tool, and performs the call with
    the very arguments that were approved.

    Parameters
    ----------
    access
        What the tools may use.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = new_lock()
        self._registered = False

    @tool(writes=True)
    def db_execute(self, sql: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask a person to run one SQL statement that changes the database.

        It returns at once. workflow_show(workflow) says whether it was approved and performed.

        Parameters
        ----------
        sql
            One statement. Values are bound by name: where id = :id
        params
            The values of the names in sql.
        """
        refuse_internal(self._access.hub.db, sql)
        return self._ask("db_execute", sql, sql=sql, params=params or {})

    @tool(writes=True)
    def file_write(self, path: str, text: str) -> dict[str, Any]:
        """Ask a person to write a text file, in the place of one that is there.

        It returns at once. workflow_show(workflow) says whether it was approved and performed.

        Parameters
        ----------
        path
            The file, relative to the root.
        text
            All of its text.
        """
        self._access.files.resolve_path(path)  # what leads out of the root is refused now
        return self._ask("file_write", path, path=path, text=text)

    @tool(writes=True)
    def git_commit(self, message: str, paths: list[str] | None = None) -> dict[str, Any]:
        """Ask a person to commit files.

        It returns at once. workflow_show(workflow) says whether it was approved and performed.

        Parameters
        ----------
        message
            The message of the commit.
        paths
            The files; without them, what is staged.
        """
        return self._ask("git_commit", message, message=message, paths=paths)

    @tool(writes=True)
    def queue_add(self, queue: str, data: Any = None) -> dict[str, Any]:
        """Ask a person to add a job to a queue.

        It returns at once. workflow_show(workflow) says whether it was approved and performed.

        Parameters
        ----------
        queue
            The queue, as queue_list names it.
        data
            The data of the job.
        """
        self._access.queue(queue)
        return self._ask("queue_add", queue, queue=queue, data=data)

    @tool(writes=True)
    def workflow_create(self, name: str, tasks: list[dict[str, Any]]) -> dict[str, Any]:
        """Ask a person to start a workflow.

        It returns at once. workflow_show(workflow) says whether it was approved and performed;
        the result of its task is the id of the workflow that was started.

        Parameters
        ----------
        name
            The name of the workflow.
        tasks
            Its tasks: name, agent, data, and the names of the tasks that each needs.
        """
        from agentnb.core.workflow.spec import task_of

        for one in map(task_of, tasks):
            if one.agent.startswith(_AGENT):
                raise UsageError(
                    f"agent {one.agent} performs tools, and takes no tasks of a tool",
                    service="tools",
                    hint="call the tool itself",
                )
        return self._ask("workflow_create", name, name=name, tasks=tasks)

    def _ask(self, name: str, about: str, /, **data: Any) -> dict[str, Any]:
        from agentnb.core.format import cut
        from agentnb.core.workflow import Task

        self.register()
        redactor = self._access.redactor
        words = _UNFIT.sub(" ", redactor(about)).split()
        title = cut(" ".join([name, *words]), _TITLE)
        task = Task(name, agent=self._agent(name), data=data, approval=True, attempts=1)
        made = self._access.hub.workflows.create(title, [task])
        return {"state": "waits for approval", "workflow": made.id}

    def _agent(self, name: str) -> str:
        """Return the name of the agent that performs a tool.

        That of files and git has the root in it: another process may offer them for another.
        """
        if name not in {"file_write", "git_commit"}:
            return f"{_AGENT}{name}"
        return f"{_AGENT}{name}.{sha256(str(self._access.root).encode()).hexdigest()[:8]}"

    def register(self) -> Sequence[str]:
        """Register the agents that perform the calls in this process, and return their names."""
        performers: dict[str, Callable[[Any], Any]] = {
            "db_execute": self._db_execute,
            "file_write": self._file_write,
            "git_commit": self._git_commit,
            "queue_add": self._queue_add,
            "workflow_create": self._workflow_create,
        }
        assert set(performers) == set(WRITE)  # noqa: S101 - of this package
        chosen = self._access.policy.write
        with self._lock:  # the first use of workflows takes a while
            if not self._registered:
                for name in chosen:
                    made = self._access.hub.workflows.agent(self._agent(name), attempts=1)
                    made(performers[name])
                self._registered = True
        return [self._agent(name) for name in chosen]

    def _db_execute(self, task: Any) -> Any:
        found = self._access.hub.db.execute(task.data["sql"], task.data["params"])
        return {"rows": found.rowcount}

    def _file_write(self, task: Any) -> Any:
        self._access.files.write_file(task.data["path"], task.data["text"])
        return {"written": task.data["path"]}

    def _git_commit(self, task: Any) -> Any:
        made = self._access.git.commit(task.data["message"], paths=task.data["paths"])
        return {"commit": str(made)}

    def _queue_add(self, task: Any) -> Any:
        return {"job": self._access.hub.queue(task.data["queue"]).add(task.data["data"]).id}

    def _workflow_create(self, task: Any) -> Any:
        made = self._access.hub.workflows.create(task.data["name"], task.data["tasks"])
        return {"workflow": made.id}
