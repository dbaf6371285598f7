"""What a call may ask of a container: a list of what is allowed, checked value by value."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.policy import NOBODY, Policy, chosen
from agentnb.core.errors import OptionRefused, UsageError, did_you_mean
from agentnb.core.settings.fields import size_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["WORK", "Wanted", "checked", "image_name", "refuse", "user_of", "words_of"]

# Source: https://docs.docker.com/reference/api/engine/ and the distribution reference grammar.
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?/)?[a-z0-9][a-z0-9._/-]*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?|(?:sha256:)?[0-9a-f]{12,64}"
)
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
_USER = re.compile(r"(\d{1,9})(?::(\d{1,9}))?")
WORK = "/mnt/work"
"""The folder of a container's own, unless it is told another."""

_LONGEST_NAME = 255
_PORTS = range(1, 65536)
# Folders of an image's that mean something to the system inside.
_NOT_FOR_WORK = ("/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/sbin", "/sys", "/tmp", "/usr")  # noqa: S108 - inside

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
    **dict.fromkeys(("network", "network_mode", "net", "networking_config", "dns"), _NETWORK),
    **dict.fromkeys(("extra_hosts", "mac_address", "publish_all_ports", "hostname"), _NETWORK),
    **dict.fromkeys(("mem_limit", "memswap_limit", "mem_swappiness", "nano_cpus"), _LIMIT),
    **dict.fromkeys(("pids_limit", "cpu_shares", "cpuset_cpus", "shm_size", "ulimits"), _LIMIT),
    **dict.fromkeys(("oom_kill_disable", "oom_score_adj", "log_config", "cpu_quota"), _LIMIT),
    "restart_policy": "a container that is swept must not come back",
    "auto_remove": "its logs would go with it; stop_container and prune remove it",
    "host_config": "it holds whatever else is refused",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a call asks of a container; `DockerManager.run_container` says what each is."""

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
    tty: bool = False
    keep: bool = False


def checked(options: Mapping[str, Any], allowed: Iterable[Policy]) -> Wanted:
    """Return the options of a call, every one of them known and harmless.

    Raises
    ------
    OptionRefused
        One that would reach the host, or go beyond the policy; it is named.
    UsageError
        One that does not exist, or a value that is malformed.
    """
    known = [one.name for one in fields(Wanted)]
    for name in options:
        if name not in known:
            refuse(name, known)
    given = {name: value for name, value in options.items() if value is not None}
    policy = chosen(given.pop("policy", None), allowed)
    checks = {
        "name": _name,
        "env": _env,
        "user": user_of,
        "workdir": _folder,
        "work": _work,
        "memory": _memory,
        "cpus": _cpus,
        "pids": _pids,
        "ports": _ports,
        "labels": _labels,
        "entrypoint": _entrypoint,
    }
    for name, value in given.items():
        given[name] = checks[name](value, policy) if name in checks else bool(value)
    limits = {"memory": policy.memory, "cpus": policy.cpus, "pids": policy.pids}
    return Wanted(policy=policy, **(limits | given))


def refuse(name: str, known: Iterable[str]) -> None:
    """Raise for an option that is not on the list, saying why where it is one of docker's."""
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("-", "_")
    reason = _REASONS.get(plain)
    if reason is not None:
        raise OptionRefused(f"the option {name!r} is refused: {reason}", service="docker")
    raise UsageError(
        f"there is no option {name!r}",
        service="docker",
        hint=did_you_mean(plain, known) or f"options: {', '.join(known)}",
    )


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


def words_of(command: str | Sequence[str] | None, what: str = "command") -> list[str] | None:
    """Return a command as words; a text is split as a shell would.

    >>> words_of("sh -c 'echo hi'")
    ['sh', '-c', 'echo hi']
    """
    if command is None:
        return None
    try:
        words = shlex.split(command) if isinstance(command, str) else [str(one) for one in command]
    except ValueError as error:
        raise _malformed(
            what, command, "a list of words, or text with its quotes closed"
        ) from error
    if any("\0" in word for word in words):
        raise _malformed(what, "a word with a NUL byte", "words are text")
    return words


def user_of(value: Any, policy: Policy) -> str:
    """Return who a program is to run as: numbers, since a name could be root's in the image."""
    text = str(value)
    found = _USER.fullmatch(text)
    if policy.root and (found or _NAME.fullmatch(text)):
        return text
    if found is None or not int(found[1]) or (found[2] is not None and not int(found[2])):
        raise OptionRefused(
            f"the option 'user' is refused as {text[:40]!r}: it may be root in the image",
            service="docker",
            hint=f"a number that is not 0, such as {NOBODY}, or policy='service'",
        )
    return text


def _malformed(name: str, value: object, wanted: str) -> UsageError:
    return UsageError(f"{name} cannot be {str(value)[:80]!r}", service="docker", hint=wanted)


def _beyond(name: str, value: object, policy: Policy, most: object) -> OptionRefused:
    return OptionRefused(
        f"the option {name!r} is refused as {value!r}: the policy {policy.name!r} allows {most}",
        service="docker",
        hint=f"ask for less, or raise AGENTNB_DOCKER_{name.upper()}",
    )


def _name(value: Any, _: Policy) -> str:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise _malformed("name", value, "letters, digits and _ . -, at most 63")
    return value


def _env(value: Any, _: Policy) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _malformed("env", type(value).__name__, 'a dictionary: {"NAME": "value"}')
    made = {str(name): str(text) for name, text in value.items()}
    for name, text in made.items():
        if not name or "=" in name or "\0" in name + text:
            # Never the value, which may be secret.
            raise _malformed("env", name, "names without =, and text without NUL bytes")
    return made


def _folder(value: Any, _: Policy) -> str:
    text = str(value)
    if not text.startswith("/") or "\0" in text or ".." in text.split("/"):
        raise _malformed("workdir", text, "an absolute path inside of the container")
    return posixpath.normpath(text)


def _work(value: Any, policy: Policy) -> str:
    path = _folder(WORK if value is True else value, policy)
    if path.count("/") < 2 or any(  # noqa: PLR2004 - its parent is the volume
        path == no or path.startswith(no + "/") for no in _NOT_FOR_WORK
    ):
        raise OptionRefused(
            f"the option 'work' is refused as {path!r}: the system inside needs it as it is",
            service="docker",
            hint=f"a folder of its own in one of its own, such as {WORK}",
        )
    return path


def _memory(value: Any, policy: Policy) -> int:
    try:
        size = size_of(value)
    except ValueError as error:
        raise _malformed("memory", value, str(error)) from error
    if size > policy.memory:
        raise _beyond("memory", value, policy, f"{policy.memory:,} bytes")
    return size


def _cpus(value: Any, policy: Policy) -> float:
    try:
        count = float(value)
    except (TypeError, ValueError) as error:
        raise _malformed("cpus", value, "a number of processors, such as 0.5") from error
    if not count > 0:
        raise _malformed("cpus", value, "a number of processors, such as 0.5")
    if count > policy.cpus:
        raise _beyond("cpus", value, policy, f"{policy.cpus:g}")
    return count


def _pids(value: Any, policy: Policy) -> int:
    if not isinstance(value, int) or value < 1:
        raise _malformed("pids", value, "a whole number above 0")
    if value > policy.pids:
        raise _beyond("pids", value, policy, policy.pids)
    return value


def _ports(value: Any, policy: Policy) -> dict[int, int | None]:
    if not policy.network:
        raise OptionRefused(
            f"the option 'ports' is refused: the policy {policy.name!r} has no network",
            service="docker",
            hint="policy='network', if it is allowed here",
        )
    wanted = "ports inside, each with one of 127.0.0.1 or None for a free one: {8000: None}"
    pairs = value if isinstance(value, Mapping) else dict.fromkeys(value)
    for inside, outside in pairs.items():
        if inside not in _PORTS or not (outside is None or outside in _PORTS):
            raise _malformed("ports", value, wanted)
    return dict(pairs)


def _labels(value: Any, _: Policy) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _malformed("labels", type(value).__name__, 'a dictionary: {"name": "value"}')
    for name in value:
        if str(name).startswith("agentnb."):
            raise OptionRefused(
                f"the option 'labels' is refused with {name!r}: agentnb.* tells whose it is",
                service="docker",
            )
    return {str(name): str(text) for name, text in value.items()}


def _entrypoint(value: Any, _: Policy) -> list[str] | None:
    return words_of(value, "entrypoint")
