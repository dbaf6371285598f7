"""Containers of one owner: found, read, stopped and removed."""

from __future__ import annotations

import json
from contextlib import closing, suppress
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.copying import archive_of, files_in
from agentnb.core.docker.logs import collect
from agentnb.core.docker.owner import POLICY, is_ours
from agentnb.core.docker.results import Container
from agentnb.core.docker.running import follow, start
from agentnb.core.docker.session import listed, remove
from agentnb.core.docker.stats import Meter
from agentnb.core.docker.waiting import Waiting
from agentnb.core.errors import (
    ContainerNotFound,
    DeadlineExceeded,
    NotFoundError,
    RejectedError,
    did_you_mean,
)
from agentnb.core.redact import redact
from agentnb.core.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from agentnb.core.docker.engine import Engine
    from agentnb.core.docker.logs import LogLine, Logs
    from agentnb.core.docker.owner import Owner
    from agentnb.core.docker.results import Stats

__all__ = ["Containers", "container_of"]

_START_ONE = "hub.docker.run_container(IMAGE, COMMAND) (%docker run IMAGE -- COMMAND) starts one"
_LOG_SECONDS = 60.0
_ARCHIVE_SECONDS = 60.0


class Containers:
    """An owner's containers; the calls are those of `DockerManager`.

    Parameters
    ----------
    engine, owner
        Where they are, and whose.
    roots
        The folders that files of the host's must be in.
    """

    def __init__(self, engine: Engine, owner: Owner, roots: Sequence[Path]) -> None:
        self._engine, self._owner, self._roots = engine, owner, roots
        self._meter = Meter(engine)

    def described(self, name: str) -> dict[str, Any]:
        """Return one as the engine describes it.

        Raises
        ------
        NotFoundError
            There is none of that name, or it is somebody else's.
        """
        found: dict[str, Any] = {}
        # Behind a slash a name would be another of the engine's addresses.
        if name.isascii() and name.isprintable() and name and "/" not in name:
            with suppress(NotFoundError, RejectedError):
                found = self._engine.call(
                    "inspect", lambda api: api.inspect_container(name), idempotent=True
                )
        if not found or not is_ours(found["Config"]["Labels"], found["Name"], self._owner.id):
            names = [row[0] for row in self.table().rows]
            raise ContainerNotFound(
                f"this home has no container {name!r}",
                service="docker",
                hint=did_you_mean(name, names)
                or (f"there are: {', '.join(names)}" if names else _START_ONE),
            )
        return found

    def find(self, name: str) -> Container:
        """Return one by its name."""
        return container_of(self.described(name))

    def start(self, name: str) -> Container:
        """Start one that has ended."""
        found = self.described(name)
        start(self._engine, found["Id"], found["Config"]["Image"])
        return self.find(found["Id"])

    def inspected(self, name: str) -> dict[str, Any]:
        """Return one as the engine describes it, its variables without secrets."""
        found = self.described(name)
        variables = [redact(one) for one in found["Config"].get("Env") or ()]
        return {**found, "Config": {**found["Config"], "Env": variables}}

    def stop(self, name: str, grace: float) -> None:
        """Stop one and remove it."""
        engine = self._engine
        with engine.logs_failure("container failed to stop", container=name):
            container = self.described(name)["Id"]
            engine.call(
                "stop",
                lambda api: api.stop(container, timeout=max(0, round(grace))),
                container=name,
            )
            remove(engine, container)
        data = {"container": name, "id": container}
        engine.log.info("container stopped: %s", name, extra={"data": data})

    def logs(
        self,
        name: str,
        *,
        follow_: bool,
        since: float | None,
        tail: int | None,
        streams: tuple[bool, bool],
        limit: int,
        timeout: float | None,
    ) -> Logs | Iterator[LogLine]:
        """Return the output of a container, or yield it as it is printed."""
        found = self.described(name)
        params: dict[str, object] = {
            "stdout": int(streams[0]),
            "stderr": int(streams[1]),
            "tail": "all" if tail is None else int(tail),
        }
        if since is not None:
            params["since"] = f"{time() - since:.6f}"
        if follow_:
            params["follow"] = 1
        lines = follow(
            self._engine,
            found["Id"],
            tty=found["Config"]["Tty"],
            timeout=timeout if follow_ else _LOG_SECONDS,
            **params,
        )
        return lines if follow_ else collect(lines, limit)

    def put(self, name: str, files: Mapping[str, Any], to: str) -> None:
        """Copy files into one."""
        archive = archive_of(files, self._roots)
        container = self.described(name)["Id"]
        try:
            self._engine.call(
                "put", lambda api: api.put_archive(container, to, archive), container=name
            )
        except RejectedError as error:
            if "read-only" not in error.message:
                raise
            raise RejectedError(
                f"{to} in {name} may not be written to",
                service="docker",
                hint="start it with work='/work', or under a policy that is writable",
            ) from error

    def get(self, name: str, path: str, limit: int) -> dict[str, bytes]:
        """Return files out of one."""
        container = self.described(name)["Id"]

        where = f"/containers/{container}/archive"
        chunks = self._engine.stream(where, {"path": path}, timeout=_ARCHIVE_SECONDS, live=False)
        with closing(chunks):
            return files_in(chunks, limit)

    def stats(self, name: str) -> Stats:
        """Return the usage of a container."""
        return self._meter.read(self.described(name)["Id"])

    def usage(self) -> Table:
        """Return the usage of the running containers."""
        rows = []
        for one in listed(self._engine, self._owner):
            if one["State"] != "running":
                continue
            with suppress(NotFoundError, RejectedError):  # it has ended in the meantime
                found = self._meter.read(one["Id"])
                name = one["Names"][0].lstrip("/")
                rows.append((name, found.cpu, found.memory, found.memory_limit, found.pids))
        return Table(
            (
                "name",
                Column("cpu", "number"),
                Column("memory", "size"),
                Column("limit", "size"),
                "pids",
            ),
            sorted(rows),
            note="cpu: percent of one processor since the previous reading" if rows else "",
            empty="no container of this home is running: hub.docker.service(IMAGE) "
            "(%docker service IMAGE) starts one",
        )

    def table(self) -> Table:
        """Return name, image, state, status, ports, policy and id of each."""
        rows = [
            (
                one["Names"][0].lstrip("/"),
                one["Image"],
                one["State"],
                one["Status"],
                ", ".join(
                    f"{port['PublicPort']}→{port['PrivatePort']}"
                    for port in one.get("Ports") or ()
                    if port.get("PublicPort")
                ),
                one["Labels"].get(POLICY, ""),
                one["Id"][:12],
            )
            for one in listed(self._engine, self._owner)
        ]
        return Table(
            ("name", "image", Column("state", "state"), "status", "ports", "policy", "id"),
            sorted(rows),
            empty=f"no containers: {_START_ONE}",
        )

    def prune(self, *, dry_run: bool) -> list[str]:
        """Remove those that have ended; return their names."""
        ended = [
            one
            for one in listed(self._engine, self._owner)
            if one["State"] in {"exited", "dead", "created"}
        ]
        names = {one["Id"]: one["Names"][0].lstrip("/") for one in ended}
        return [names[id_] for id_ in names if dry_run or remove(self._engine, id_)]

    def events(
        self, *, since: float, follow_: bool, timeout: float | None
    ) -> Iterator[dict[str, Any]]:
        """Yield the events of the containers."""
        now = time()
        params: dict[str, object] = {
            "since": f"{now - since:.6f}",
            "filters": json.dumps({"type": ["container"], **self._owner.filters}),
        }
        if not follow_:
            params["until"] = f"{now:.6f}"
        pending = b""
        try:
            for data in self._engine.stream("/events", params, timeout=timeout):
                *lines, pending = (pending + data).split(b"\n")
                for line in filter(None, lines):
                    event = json.loads(line)
                    about = event["Actor"]["Attributes"]
                    if is_ours(about, about.get("name", ""), self._owner.id):
                        yield _event(event, about)
        except DeadlineExceeded:
            return

    def waiting(self, name: str, timeout: float, *, until: float | None = None) -> Waiting:
        """Return the wait for a container; `until` is the end of a time that has begun already."""
        found = self.described(name)
        tty = bool(found["Config"]["Tty"])
        return Waiting(self._engine, found["Id"], tty=tty, timeout=timeout, until=until)

    def discard(self, name: str) -> None:
        """Kill one and remove it."""
        remove(self._engine, self.described(name)["Id"])


def _event(event: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    code = about.get("exitCode")
    return {
        "time": datetime.fromtimestamp(event["timeNano"] / 1e9, UTC),
        "action": event["Action"],
        "container": about.get("name", ""),
        "exit_code": None if code is None else int(code),
    }


def container_of(found: dict[str, Any]) -> Container:
    """Return a container from the engine's description of it."""
    ports = (found.get("NetworkSettings") or {}).get("Ports") or {}
    return Container(
        id=found["Id"],
        name=found["Name"].lstrip("/"),
        image=found["Config"]["Image"],
        policy=found["Config"]["Labels"].get(POLICY, ""),
        ports={
            int(inside.partition("/")[0]): int(bound[0]["HostPort"])
            for inside, bound in ports.items()
            if bound
        },
    )
