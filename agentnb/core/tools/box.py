"""The tools of a hub, and what they use of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.closing import close_all
from agentnb.core.forking import new_lock
from agentnb.core.tools.tool import Tool, groups_of

if TYPE_CHECKING:
    from pathlib import Path

    from agentnb.core.db import Database
    from agentnb.core.files import FileSystemManager
    from agentnb.core.git import GitManager
    from agentnb.core.hub import Hub
    from agentnb.core.queue import Queue, Queues
    from agentnb.core.redact import Redactor
    from agentnb.core.tools.policy import Policy
    from agentnb.core.tools.writing import WriteTools
    from agentnb.core.trace import Span

__all__ = ["Access", "Offer", "Toolbox"]


class Toolbox:
    """Makes the tools of a hub, and keeps what they open.

    Parameters
    ----------
    hub
        The hub.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lock = new_lock()
        self._database: Database | None = None
        self._files: dict[Path, FileSystemManager] = {}

    @property
    def database(self) -> Database:
        """The default database, read-only."""
        with self._lock:
            if self._database is None:
                from agentnb.core.tools.database import open_database

                self._database = open_database(self._hub)
            return self._database

    def files(self, root: Path) -> FileSystemManager:
        """Return the files below a folder."""
        with self._lock:
            if root not in self._files:
                from agentnb.core.files import FileSystemManager

                settings = self._hub.settings
                self._files[root] = FileSystemManager(
                    root, max_size=settings.file_size, home=settings.home, runtime=self._hub.runtime
                )
            return self._files[root]

    def offer(self, policy: Policy, *, service: str = "tools") -> Offer:
        """Return the tools that a policy allows.

        Parameters
        ----------
        policy
            The policy.
        service
            The service of the spans of calls.
        """
        from agentnb.core.tools import reading
        from agentnb.core.tools.writing import WriteTools

        access = Access(self._hub, self, policy)
        kinds: dict[str, Any] = {
            "db": reading.DbTools,
            "files": reading.FileTools,
            "git": reading.GitTools,
            "events": reading.EventTools,
            "queue": reading.QueueTools,
            "workflow": reading.WorkflowTools,
        }
        tools = [
            one
            for group in policy.groups
            for one in self._made(kinds[group](access), group, service)
        ]
        writers = WriteTools(access)
        tools += [one for one in self._made(writers, "write", service) if one.name in policy.write]
        return Offer(tools, writers)

    def _made(self, part: object, group: str, service: str) -> list[Tool]:
        def span(name: str) -> Span:
            return self._hub.tracer.span("tool", service=service, tool=name)

        return [
            Tool(function, group=group, read_only=not writes, span=span)
            for function, writes in groups_of(part)
        ]

    def close(self) -> None:
        """Close what the tools have opened."""
        with self._lock:
            opened = [*self._files.values()]
            database, self._database = self._database, None
            self._files.clear()
        close_all(one.close for one in (*opened, *(() if database is None else (database,))))


class Offer(NamedTuple):
    """Tools, and what performs the calls of those that write."""

    tools: list[Tool]
    writers: WriteTools


class Access:
    """The services of a hub, as far as a policy lets tools use them."""

    def __init__(self, hub: Hub, box: Toolbox, policy: Policy) -> None:
        self.hub = hub
        self.policy = policy
        self._box = box

    @property
    def timeout(self) -> float:
        """Seconds for a call."""
        return self.policy.timeout

    @property
    def redactor(self) -> Redactor:
        """Masks secrets."""
        return self.hub.settings.redactor

    @property
    def database(self) -> Database:
        """The default database, read-only."""
        return self._box.database

    @property
    def root(self) -> Path:
        """The folder of the tools for files and git."""
        return (self.policy.root or self.hub.settings.workspace).resolve()

    @property
    def files(self) -> FileSystemManager:
        """The files below the root."""
        return self.hub.files if self.policy.root is None else self._box.files(self.root)

    @property
    def git(self) -> GitManager:
        """The repository at the root."""
        from agentnb.core.git import GitManager
        from agentnb.core.hidden import Hidden

        settings, root = self.hub.settings, self.root
        return GitManager(
            root,
            ceiling=root,
            timeout=self.timeout,
            protected=settings.git_protected or (),
            filters=settings.git_filters,
            runtime=self.hub.runtime,
            hidden=Hidden.below(root, settings.home),
        )

    @property
    def queues(self) -> Queues:
        """The queues, with the time-out of a call."""
        return self.hub.queues.within(self.timeout)

    def queue(self, name: str) -> Queue:
        """Return a queue that had a job or a worker.

        Raises
        ------
        NotFoundError
            There is none: a look must not make one.
        """
        from agentnb.core.errors import NotFoundError, did_you_mean

        queues = self.queues
        names = queues.names()
        if name not in names:
            raise NotFoundError(
                f"there is no queue {name!r:.80}",
                service="queue",
                hint=did_you_mean(name, names)
                or (f"there are: {', '.join(names)}" if names else "no queue has a job yet"),
            )
        return queues.get_queue(name)
