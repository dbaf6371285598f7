"""The containers of one process: removed when it closes, and when it is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.networks import allowed_networks, remove_network
from agentnb.core.docker.owner import NAME, OWNER, SESSION, Owner, is_ours
from agentnb.core.errors import AgentnbError
from agentnb.core.launch import python

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.docker.engine import Engine

__all__ = ["Session", "remove"]

_REAPER = Path(__file__).with_name("reaper.py")
_HELPER_SECONDS = 5.0


class Session:
    """Removes the objects of dead processes, and those of this one at its end.

    Parameters
    ----------
    engine
        Where the containers are.
    owner
        The owner.
    """

    def __init__(self, engine: Engine, owner: Owner) -> None:
        self._engine = engine
        self.owner = owner
        self._helper: subprocess.Popen[bytes] | None = None
        self.made = False
        """Whether this process has made a container or a network."""

    def sweep(self) -> list[str]:
        """Remove the containers and networks of processes that are gone.

        Returns
        -------
        list
            The names of the containers.
        """
        found, networks = self._leftovers()
        dead = {
            session: self.owner.is_dead(session)
            for session in {one["Labels"].get(SESSION, "") for one in (*found, *networks)}
            if session
        }
        names = self._remove(found, networks, lambda session: dead.get(session, False))
        if names:
            self._engine.log.info("containers of a process that is gone: %s", ", ".join(names))
        return names

    def _leftovers(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        networks = allowed_networks(self._engine, self.owner)
        return listed(self._engine, self.owner), networks

    def _remove(
        self,
        containers: list[dict[str, Any]],
        networks: list[dict[str, Any]],
        goes: Callable[[str], bool],
    ) -> list[str]:
        """Remove the objects of some sessions; a network that another process uses stays."""
        names = [
            _name(one)
            for one in containers
            if goes(one["Labels"].get(SESSION, "")) and remove(self._engine, one["Id"])
        ]
        for network in networks:
            if goes(network["Labels"].get(SESSION, "")):
                remove_network(self._engine, network["Id"])
        return names

    def watch(self) -> None:
        """Start the helper that removes this process's containers when it is killed."""
        self.made = True
        if self._helper is not None or not sys.executable:
            return
        endpoint = self._engine.endpoint
        request = {
            "url": endpoint.url,
            "tls": endpoint.tls,
            "labels": {OWNER: self.owner.id, SESSION: self.owner.session},
            "name": NAME,
        }
        try:
            helper = subprocess.Popen(  # noqa: S603 - our own program
                python(str(_REAPER)),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # the kernel's Ctrl-C is not meant for it
                cwd="/",
            )
            assert helper.stdin is not None  # noqa: S101 - it is a pipe
            helper.stdin.write(json.dumps(request).encode() + b"\n")
            helper.stdin.flush()
        except OSError as error:
            # The sweep at the next start does the same, later.
            self._engine.log.warning("no helper to remove containers at once: %s", error)
            return
        self._helper = helper

    def close(self) -> list[str]:
        """Remove the containers and networks of this process; return the containers' names."""
        if self.owner.fork.forked:
            return []  # a forked child's end is not its parent's
        names: list[str] = []
        removed = True
        if self.made:
            try:
                names = self._remove(*self._leftovers(), lambda one: one == self.owner.session)
            except AgentnbError as error:
                removed = False  # by the helper, then, or by the sweep at the next start
                self._engine.log.warning("containers are left for later: %s", error)
        self._dismiss(done=removed)
        self.owner.close()
        return names

    def _dismiss(self, *, done: bool) -> None:
        helper, self._helper = self._helper, None
        if helper is None or helper.stdin is None:
            return
        try:
            if done:
                helper.stdin.write(b"done\n")
            helper.stdin.close()
        except OSError:
            pass  # it is gone already
        try:
            helper.wait(_HELPER_SECONDS)
        except subprocess.TimeoutExpired:
            helper.kill()
            helper.wait()


def listed(engine: Engine, owner: Owner) -> list[dict[str, Any]]:
    """Return an owner's containers as the engine lists them."""
    found = engine.call(
        "list",
        lambda api: api.containers(all=True, filters=owner.filters),
        idempotent=True,
    )
    return [one for one in found if is_ours(one["Labels"], _name(one), owner.id)]


def remove(engine: Engine, container: str) -> bool:
    """Remove a container with its files; return whether it existed."""
    from docker.errors import APIError

    def work(api: Any) -> bool:
        try:
            api.remove_container(container, force=True, v=True)
        except APIError as error:
            # Not found, or being removed by somebody else: either way it goes.
            if error.status_code in {404, 409}:
                return False
            raise
        return True

    return engine.call("remove", work, idempotent=True, container=container)


def _name(listed_container: dict[str, Any]) -> str:
    names = listed_container.get("Names") or [""]
    return str(names[0]).lstrip("/")
