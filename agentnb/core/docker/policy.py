"""Policies: named lists of the rights of containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NOBODY", "POLICIES", "Policy", "chosen"]

NOBODY = "65534:65534"
"""The user of a program whose image names none in plain digits that are not 0."""

_MB = 1024**2
# What a database's or a web server's start script needs to hand over to a user of its own.
_SERVICE = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")


@dataclass(frozen=True, slots=True)
class Policy:
    """The rights of containers. No policy gives access to the host's files, devices or processes.

    Parameters
    ----------
    name, about
        The name, and a line about it.
    network
        Whether there is one; ports are published on 127.0.0.1 only.
    writable
        Whether the image's files may be changed, in the container's own copy.
    root
        Whether the program may be root inside.
    capabilities
        The kernel's privileges that root has inside; all others are dropped.
    memory
        Bytes at most, swap included.
    cpus
        Processors at most.
    pids
        Processes and threads at most.
    scratch
        Bytes of ``/tmp``, which is kept in memory and counts as such.

    Examples
    --------
    >>> POLICIES["isolated"].network, POLICIES["network"].network
    (False, True)
    """

    name: str
    about: str
    network: bool = False
    writable: bool = False
    root: bool = False
    capabilities: tuple[str, ...] = ()
    memory: int = 1024 * _MB
    cpus: float = 1.0
    pids: int = 256
    scratch: int = 64 * _MB

    def host_config(self) -> dict[str, Any]:
        """Return the engine's ``HostConfig``, complete: nothing else is ever added but limits."""
        return {
            "Memory": self.memory,
            "MemorySwap": self.memory,
            "NanoCpus": int(self.cpus * 1e9),
            "PidsLimit": self.pids,
            "NetworkMode": "bridge" if self.network else "none",
            "ReadonlyRootfs": not self.writable,
            "CapDrop": ["ALL"],
            "CapAdd": list(self.capabilities),
            "SecurityOpt": ["no-new-privileges"],
            "Privileged": False,
            "IpcMode": "private",
            "Tmpfs": {"/tmp": f"rw,nosuid,nodev,size={self.scratch},mode=1777"},  # noqa: S108 - inside
            # Hands on signals and buries the dead, so that `stop` need not kill.
            "Init": True,
            "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "50m", "max-file": "2"}},
        }


POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy("isolated", "no network, nothing writable but /tmp, nobody's rights"),
        Policy("network", "as isolated, with a network", network=True),
        Policy(
            "service",
            "a network, root inside, its files writable: for databases and the like",
            network=True,
            writable=True,
            root=True,
            capabilities=_SERVICE,
        ),
    )
}
"""The policies there are by themselves; a `DockerManager` takes others."""


def chosen(name: str | None, allowed: Iterable[Policy]) -> Policy:
    """Return the policy of a name; None is the first of those allowed.

    Raises
    ------
    UsageError
        There is no such policy, or it is not allowed here.
    """
    by_name = {policy.name: policy for policy in allowed}
    if name is None:
        return next(iter(by_name.values()))
    if not isinstance(name, str) or name not in by_name:
        known = f"allowed here: {', '.join(by_name)} (AGENTNB_DOCKER_POLICIES)"
        what = "is not allowed here" if str(name) in POLICIES else "does not exist"
        raise UsageError(
            f"the policy {name!r:.80} {what}",
            service="docker",
            hint=did_you_mean(str(name), by_name) or known,
        )
    return by_name[name]
