"""The options of a container: a list of allowed ones, checked value by value."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.checks import CHECKS
from agentnb.core.docker.policy import chosen
from agentnb.core.errors import OptionRefused, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentnb.core.docker.policy import Policy

__all__ = ["ContainerOptions", "checked", "image_name", "image_tag", "refuse"]

# Source: https://docs.docker.com/reference/api/engine/ and the distribution reference grammar.
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?/)?[a-z0-9][a-z0-9._/-]*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?|(?:sha256:)?[0-9a-f]{12,64}"
)
_LONGEST_NAME = 255
# Keywords of the calls that take the options as well, for the nearest name.
_OF_CALLS = ("command", "files", "limit", "on_line", "pull", "script", "stdin", "timeout")

_FILES = "it would put files of the host into the container; files= and put_files copy them in"
_PRIVILEGE = "it would give the container privileges over the host"
_SHARES = "it would share the host's own with the container"
_NETWORK = "the network is the policy's: policy='network' has one"
_LIMIT = "limits are the policy's; memory=, cpus= and pids= may lower them"
_REASONS = {
    **dict.fromkeys(("binds", "bind", "volumes", "volume", "mounts", "mount", "tmpfs"), _FILES),
    **dict.fromkeys(("volumes_from", "volume_driver", "storage_opt"), _FILES),
    **dict.fromkeys(("privileged", "cap_add", "cap_drop", "security_opt", "group_add"), _PRIVILEGE),
    **dict.fromkeys(("devices", "device", "device_requests", "gpus", "runtime"), _PRIVILEGE),
    **dict.fromkeys(("device_cgroup_rules", "device_read_bps", "sysctls", "userns"), _PRIVILEGE),
    **dict.fromkeys(("read_only", "readonly_rootfs", "init", "init_path", "isolation"), _PRIVILEGE),
    **dict.fromkeys(("masked_paths", "readonly_paths", "userns_mode"), _PRIVILEGE),
    **dict.fromkeys(("pid", "pid_mode", "ipc", "ipc_mode", "uts", "uts_mode"), _SHARES),
    **dict.fromkeys(("cgroup", "cgroupns", "cgroup_parent", "cgroupns_mode", "links"), _SHARES),
    **dict.fromkeys(("network_mode", "net", "networking_config", "dns"), _NETWORK),
    **dict.fromkeys(("extra_hosts", "mac_address", "publish_all_ports", "hostname"), _NETWORK),
    **dict.fromkeys(("mem_limit", "memswap_limit", "mem_swappiness", "nano_cpus"), _LIMIT),
    **dict.fromkeys(("pids_limit", "cpu_shares", "cpuset_cpus", "shm_size", "ulimits"), _LIMIT),
    **dict.fromkeys(("oom_kill_disable", "oom_score_adj", "log_config", "cpu_quota"), _LIMIT),
    "restart_policy": "a container that is swept must not come back",
    "auto_remove": "its logs would go with it; stop_container and prune remove it",
    "host_config": "it holds whatever else is refused",
}


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """The options of a container; see `DockerManager.run_container`."""

    policy: Policy
    name: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    workdir: str | None = None
    work: str | None = None
    memory: int = 0
    cpus: float = 0.0
    pids: int = 0
    ports: Mapping[int, int | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] | None = None
    network: str | None = None
    alias: str | None = None
    platform: str | None = None
    tty: bool = False
    keep: bool = False


def checked(options: Mapping[str, Any], allowed: Iterable[Policy]) -> ContainerOptions:
    """Return the options of a call, every one of them known and harmless.

    Raises
    ------
    OptionRefused
        One that would reach the host, or go beyond the policy; it is named.
    UsageError
        One that does not exist, or a value that is malformed.
    """
    check_names(options)
    given = {name: value for name, value in options.items() if value is not None}
    policy = chosen(given.pop("policy", None), allowed)
    for name, value in given.items():
        given[name] = CHECKS[name](value, policy)
    if "alias" in given and "network" not in given:
        raise UsageError("alias= is a name on a network", service="docker", hint="network='NAME'")
    limits = {"memory": policy.memory, "cpus": policy.cpus, "pids": policy.pids}
    return ContainerOptions(policy=policy, **(limits | given))


def check_names(options: Iterable[str]) -> None:
    """Raise for a name that is none of an option."""
    known = [one.name for one in fields(ContainerOptions)]
    for name in options:
        if name not in known:
            refuse(name, known)


def refuse(name: str, known: Iterable[str]) -> None:
    """Raise for an option that is not on the list, saying why where it is one of docker's."""
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("-", "_")
    reason = _REASONS.get(plain)
    if reason is not None:
        raise OptionRefused(
            f"the option {name!r} is refused: {reason}",
            service="docker",
            hint="leave it out; help(hub.docker.run) (%docker run --help) lists the options "
            "that are allowed",
        )
    raise UsageError(
        f"there is no option {name!r}",
        service="docker",
        hint=did_you_mean(plain, [*known, *_OF_CALLS]) or f"options: {', '.join(known)}",
    )


def image_tag(value: str) -> str:
    """Return the name under which an image is built, its tag included.

    >>> image_tag("app")
    'app:latest'

    Raises
    ------
    UsageError
        It is none.
    """
    name = image_name(value)
    if "@" in name:
        raise UsageError(f"{name!r} is no tag", service="docker", hint="such as app:latest")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def image_name(value: str) -> str:
    r"""Return the name of an image, if it is one.

    >>> image_name("app:latest")
    'app:latest'
    >>> try:
    ...     image_name("app\nFROM other")
    ... except UsageError as error:
    ...     print(error)
    'app\nFROM other' is not the name of an image

    Raises
    ------
    UsageError
        It is none.
    """
    text = value if isinstance(value, str) else repr(value)
    if len(text) > _LONGEST_NAME or _IMAGE.fullmatch(text) is None:
        raise UsageError(
            f"{text[:80]!r} is not the name of an image",
            service="docker",
            hint="lower-case letters, digits and . _ - /, then perhaps a tag: app:latest",
        )
    return text
