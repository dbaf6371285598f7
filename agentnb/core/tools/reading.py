"""The tools that only read; their docstrings are what a model is told."""

from __future__ import annotations

import codecs
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from agentnb.core.errors import UsageError
from agentnb.core.tools.database import LARGEST, refuse_internal
from agentnb.core.tools.fitting import (
    AROUND,
    CHARACTERS,
    ROWS,
    fit_rows,
    fit_text,
    mask_part,
)
from agentnb.core.tools.tool import tool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentnb.core.tools.box import Access

__all__ = ["DbTools", "EventTools", "FileTools", "GitTools", "QueueTools", "WorkflowTools"]

Few = Annotated[int, msgspec.Meta(ge=1, le=ROWS)]
# A character of UTF-8 fits in four bytes: with less, a part might have none, and never go on.
Length = Annotated[int, msgspec.Meta(ge=4, le=CHARACTERS)]
Offset = Annotated[int, msgspec.Meta(ge=0)]
JobState = Literal["waiting", "paused", "delayed", "active", "completed", "failed", "cancelled"]
FlowState = Literal["active", "completed", "failed", "cancelled"]


class _Part:
    """Tools of one group."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def _rows(
        self, name: str, rows: Iterable[Mapping[str, Any]], ask: str, *, more: bool = False
    ) -> dict[str, Any]:
        return fit_rows(name, rows, ask, redactor=self._access.redactor, more=more)

    def _text(self, text: str, ask: str) -> str:
        return fit_text(text, ask, redactor=self._access.redactor)


class DbTools(_Part):
    """The database, read-only."""

    @tool()
    def db_schema(self, table: str | None = None) -> dict[str, Any]:
        """List the tables of the database, or the columns of one of them.

        Parameters
        ----------
        table
            The table to describe; without it, all tables are listed.
        """
        database = self._access.database
        if table is None:
            found = database.tables()
            return self._rows("tables", found.dicts(), "db_schema(table)")
        refuse_internal(database, f"{table}.")
        return self._rows("columns", database.describe(table).dicts(), "db_query")

    @tool()
    def db_query(
        self, sql: str, params: dict[str, Any] | None = None, limit: Few = 100
    ) -> dict[str, Any]:
        """Run one SQL statement that only reads, and return its rows.

        Anything that changes the database is refused.

        Parameters
        ----------
        sql
            One statement. Values are bound by name: where id = :id
        params
            The values of the names in sql.
        limit
            Rows at most.
        """
        database = self._access.database
        refuse_internal(database, sql)
        found = database.query(
            sql,
            params,
            limit=limit,
            timeout=self._access.timeout,
            max_bytes=LARGEST,
        )
        return self._rows(
            "rows",
            found.dicts(),
            "ask for fewer columns, add conditions, or order by a key and continue behind the "
            "last (a higher limit gives up to 1,000 rows)",
            more=found.truncated,
        )


class FileTools(_Part):
    """The files below the root."""

    @tool()
    def file_list(self, path: str = ".", pattern: str | None = None) -> dict[str, Any]:
        """List a folder: name, kind, size and time of each entry.

        Parameters
        ----------
        path
            The folder, relative to the root.
        pattern
            Names to look for below all folders instead, such as src/**/*.py
        """
        files = self._access.files
        if pattern is None:
            return self._rows("files", files.list(path).dicts(), "file_list(path=SUBFOLDER)")
        names = list(files.glob(pattern if path in {"", "."} else f"{path.rstrip('/')}/{pattern}"))
        rows = [{"name": name} for name in names]
        return self._rows("files", rows, "a narrower pattern")

    @tool()
    def file_read(self, path: str, offset: Offset = 0, limit: Length = CHARACTERS) -> str:
        """Read a text file, or a part of it; a line at the end says where it goes on.

        Parameters
        ----------
        path
            The file, relative to the root.
        offset
            The first byte to read.
        limit
            Bytes at most.
        """
        files = self._access.files
        # With what is around it: that the file goes on, and a secret that an edge would cut.
        lead = min(offset, AROUND)
        length = lead + limit + AROUND
        data = files.read_file(path, encoding=None, offset=offset - lead, length=length)
        before, kept, rest = data[:lead], data[lead:][:limit], data[lead:][limit:]
        skipped = 0
        while offset and skipped < min(3, len(kept)) and kept[skipped] & 0xC0 == 0x80:  # noqa: PLR2004 - UTF-8
            skipped += 1
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            text = decoder.decode(kept[skipped:], final=not rest)
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{path} is no text in UTF-8", service="files", hint="file_list shows its size"
            ) from error
        if "\0" in text:
            raise UsageError(
                f"{path} is a binary file", service="files", hint="file_list shows its size"
            )
        cut = decoder.getstate()[0]
        around = [one.decode("utf-8", "ignore") for one in (before + kept[:skipped], cut + rest)]
        masked = mask_part(around[0], text, around[1], self._access.redactor)
        shown = self._text(masked, "a smaller limit")
        if not rest:
            return shown
        following = offset + limit - len(cut)
        return f"{shown}\n[the file goes on: file_read({path!r}, offset={following})]"


class GitTools(_Part):
    """The repository at the root."""

    @tool()
    def git_status(self) -> dict[str, Any]:
        """Show the branch, and the files that have changed since the last commit."""
        status = self._access.git.status()
        about = {
            "branch": status.branch,
            "commit": status.sha,
            "upstream": status.upstream,
            "ahead": status.ahead,
            "behind": status.behind,
            "operation": status.doing,
        }
        return about | self._rows("files", status.dicts(), "git_diff(path)")

    @tool()
    def git_diff(self, staged: bool = False, path: str | None = None) -> str:  # noqa: FBT001, FBT002 - a model names it
        """Show what has changed as a patch.

        Parameters
        ----------
        staged
            Whether to show what is staged; without it, what is not staged yet.
        path
            Only this file or folder.
        """
        paths = None if path is None else [path]
        found = self._access.git.get_diff(cached=staged, paths=paths)
        return self._text(found or "nothing has changed", "git_diff(path=...)")

    @tool()
    def git_log(self, limit: Few = 20, path: str | None = None) -> dict[str, Any]:
        """List the last commits, newest first.

        Parameters
        ----------
        limit
            How many at most.
        path
            Only those that changed this file or folder.
        """
        log = self._access.git.log(limit, paths=None if path is None else [path])
        return self._rows("commits", log.dicts(), "a higher limit", more=log.more)

    @tool()
    def git_show(self, revision: str = "HEAD", path: str | None = None) -> str:
        """Show one commit: author, time, message and patch.

        Parameters
        ----------
        revision
            The commit, such as HEAD~1 or 1a2b3c4
        path
            Only its changes of this file or folder.
        """
        found = self._access.git.show(revision, paths=None if path is None else [path])
        head = f"commit {found.sha}\n{found.author} <{found.email}>, {found.when}\n"
        text = f"{head}\n{found.message}\n\n{found.diff}"
        return self._text(text, "git_show(revision, path=...)")


class EventTools(_Part):
    """The event log."""

    @tool()
    def events_history(self, pattern: str = "*", limit: Few = 20) -> dict[str, Any]:
        """List the last events, oldest first.

        Parameters
        ----------
        pattern
            Channels, such as agent.* or orders
        limit
            How many at most.
        """
        found = self._access.hub.events.history(pattern, limit)
        rows = [
            {"id": one.id, "channel": one.channel, "time": one.time, "data": one.data}
            for one in found
        ]
        return self._rows("events", rows, "a narrower pattern, or a smaller limit")


class QueueTools(_Part):
    """The queues and their jobs."""

    @tool()
    def queue_list(self) -> dict[str, Any]:
        """List the queues: how many jobs wait, run, failed and ended."""
        return self._rows("queues", self._access.queues.table().dicts(), "queue_jobs(queue)")

    @tool()
    def queue_jobs(
        self, queue: str, state: JobState = "waiting", limit: Few = 20
    ) -> dict[str, Any]:
        """List jobs of a queue: data, error, attempts and times of each.

        Parameters
        ----------
        queue
            The queue, as queue_list names it.
        state
            The state of the jobs.
        limit
            How many at most.
        """
        found = self._access.queue(queue).search(state, n=limit)
        rows = [asdict(one) for one in found.jobs]
        ask = "a higher limit, or another state"
        return self._rows("jobs", rows, ask, more=not found.complete)

    @tool()
    def queue_logs(self, job: str, limit: Few = 100) -> str:
        """Show the last lines that a job has logged.

        Parameters
        ----------
        job
            The id of the job, as queue_jobs lists it.
        limit
            Lines at most.
        """
        lines = self._access.queues.find(job).logs(limit)
        return self._text("\n".join(lines) or "the job has logged nothing", "a smaller limit")


class WorkflowTools(_Part):
    """The workflows and their tasks."""

    @tool()
    def workflow_list(self, state: FlowState | None = None, limit: Few = 20) -> dict[str, Any]:
        """List the workflows, newest first.

        Parameters
        ----------
        state
            Only those in this state.
        limit
            How many at most.
        """
        found = self._access.hub.workflows.list(state, limit)
        rows = [
            {
                "id": one.id,
                "name": one.name,
                "state": one.state,
                "created": one.created,
                "finished": one.finished,
                "error": one.error,
            }
            for one in found
        ]
        return self._rows("workflows", rows, "a higher limit", more=len(rows) == limit)

    @tool()
    def workflow_show(self, workflow: str) -> dict[str, Any]:
        """Show a workflow: its state, and state, data, result and error of each task.

        Parameters
        ----------
        workflow
            Its id or name, as workflow_list has it.
        """
        found = self._access.hub.workflows.get(workflow)
        rows = [
            {
                "name": one.name,
                "agent": one.agent,
                "state": one.state,
                "needs": list(one.needs),
                "data": one.data,
                "result": one.result,
                "error": one.error,
                "attempt": one.attempt,
                "message": one.message,
                "started": one.started,
                "finished": one.finished,
                "approved_by": one.approved_by,
            }
            for one in found.tasks
        ]
        about = {"id": found.id, "name": found.name, "state": found.state, "error": found.error}
        return about | self._rows("tasks", rows, "queue_logs and db_query show details")
