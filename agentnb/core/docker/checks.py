"""The values of a container's options, each checked against its policy."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.copying import encoded
from agentnb.core.docker.policy import NOBODY, Policy
from agentnb.core.errors import OptionRefused, UsageError
from agentnb.core.ranges import amount, flag, whole
from agentnb.core.redact import Secret
from agentnb.core.settings.fields import size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CHECKS", "NUMBERED", "WORK", "input_of", "user_of", "words_of"]

WORK = "/mnt/work"
"""The folder of a container's own, unless it is told another."""

NUMBERED = re.compile(r"[1-9][0-9]{0,8}(?::[1-9][0-9]{0,8})?")
"""A user that is not root whatever the image says: what a name stands for is the image's to say."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
_USER = re.compile(r"[0-9]{1,9}(?::[0-9]{1,9})?")
# Source: https://specs.opencontainers.org/image-spec/image-index (platform.os/architecture).
_PLATFORM = re.compile(r"[a-z0-9]{1,20}/[a-z0-9_]{1,20}(?:/v[0-9]{1,2})?")
_PORT = 65_535
_LONGEST_WORD = 131_000  # the kernel's 131,072 with its end, in bytes
_LONGEST_WORDS = 1_000_000
_LEAST_CPUS = 0.01  # below it the engine's own number, in billionths, may be 0: no limit
# Folders of an image's that mean something to the system inside.
_NOT_FOR_WORK = ("/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/sbin", "/sys", "/tmp", "/usr")  # noqa: S108 - inside
_NOT_OURS = {"host", "none", "bridge", "default", "ingress"}


def words_of(command: str | Sequence[str] | None, what: str = "command") -> list[str] | None:
    """Return a command as words; a text is split as a shell would.

    >>> words_of("sh -c 'echo hi'")
    ['sh', '-c', 'echo hi']
    """
    if command is None:
        return None
    if not isinstance(command, str) and not isinstance(command, Iterable):
        raise _malformed(what, command, "a list of words, or text that a shell would split")
    try:
        words = shlex.split(command) if isinstance(command, str) else [str(one) for one in command]
    except ValueError as error:
        raise _malformed(
            what, command, "a list of words, or text with its quotes closed"
        ) from error
    return _short(what, [_text(what, word, "words are text without NUL bytes") for word in words])


def input_of(value: str | bytes | None) -> bytes | None:
    """Return a program's input as bytes.

    >>> input_of("text"), input_of(None)
    (b'text', None)
    """
    if value is None or isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise UsageError(
            f"stdin must be text or bytes, got a value of type {type(value).__name__}",
            service="docker",
            hint="stdin=path.read_bytes() is that of a file",
        )
    return encoded("stdin", value)


def user_of(value: Any, policy: Policy) -> str:
    """Return the user that a program runs as: a number, since a name may be root's in the image."""
    text = str(value)
    if policy.root and (_USER.fullmatch(text) or _NAME.fullmatch(text)):
        return text
    if NUMBERED.fullmatch(text) is None:
        raise OptionRefused(
            f"the option 'user' is refused as {text[:40]!r}: it may be root in the image",
            service="docker",
            hint=f"a number that is not 0, such as {NOBODY}, or policy='service'",
        )
    return text


def _short(what: str, texts: list[str]) -> list[str]:
    """Return words or variables, if a kernel takes them: an engine may hang on longer ones.

    Source: https://man7.org/linux/man-pages/man2/execve.2.html (MAX_ARG_STRLEN).
    """
    sizes = [len(one.encode()) for one in texts]
    for size, most, which in (
        (max(sizes, default=0), _LONGEST_WORD, "one of"),
        (sum(sizes), _LONGEST_WORDS, "all of"),
    ):
        if size > most:
            raise UsageError(
                f"{which} {what} must be {most:,} bytes or less, got {size:,}",
                service="docker",
                hint="give it as input (stdin=), or as a file (files=, put_files)",
            )
    return texts


_EXAMPLES = {
    "command": "command=['python', '-c', 'print(1)']",
    "env": 'env={"NAME": "value"}',
    "the name of a variable in env": 'env={"NAME": "value"}',
    "labels": 'labels={"team": "data"}',
    "memory": "memory='256m'",
    "name": "name='app-1'",
    "alias": "alias='db'",
    "network": "network='app'",
    "platform": "platform='linux/amd64'",
    "ports": "ports={8000: None}, which publishes it on a free port",
    "work": "work='/mnt/work'",
    "workdir": "workdir='/mnt/work'",
}


def _malformed(name: str, value: object, expected: str) -> UsageError:
    return UsageError(
        f"{name} must be {expected}, got {str(value)[:80]!r}",
        service="docker",
        hint=_EXAMPLES.get(name, _EXAMPLES["command"]),
    )


def _beyond(name: str, value: object, policy: Policy, most: object) -> OptionRefused:
    return OptionRefused(
        f"the option {name!r} is refused as {value!r}: the policy {policy.name!r} allows {most}",
        service="docker",
        hint=f"ask for less, or raise AGENTNB_DOCKER_{name.upper()}",
    )


def _text(name: str, value: Any, hint: str) -> str:
    """Return a text that the engine takes as it is: no NUL byte, nothing that is no character."""
    text = value.reveal() if isinstance(value, Secret) else str(value)
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        # Never the value, which may be secret.
        raise UsageError(
            f"{name} holds a NUL byte or half a character", service="docker", hint=hint
        )
    return text


def _called(option: str) -> Callable[[Any, Policy], str]:
    def check(value: Any, _: Policy) -> str:
        if not isinstance(value, str) or _NAME.fullmatch(value) is None:
            raise _malformed(option, value, "letters, digits and _ . -, at most 63")
        return value

    return check


def _env(value: Any, _: Policy) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _malformed("env", type(value).__name__, "a dictionary of texts")
    made: dict[str, str] = {}
    for name, text in value.items():
        if not isinstance(name, str) or not name or "=" in name:
            raise _malformed("the name of a variable in env", name, "a text without =")
        if not isinstance(text, (str, int, float, Decimal, PurePath, Secret)):
            raise UsageError(
                f"env {name} must be text or a number, got a value of type {type(text).__name__}",
                service="docker",
                hint='{"NAME": "value"}; leave out a variable that has none',
            )
        hint = "names and values are text without NUL bytes"
        made[_text("env", name, hint)] = _text(f"env {name!r:.60}", text, hint)
    _short("env", [f"{name}={text}" for name, text in made.items()])
    return made


def _folder(value: Any, _: Policy, option: str = "workdir") -> str:
    text = str(value)
    if not text.startswith("/") or "\0" in text or ".." in text.split("/"):
        raise _malformed(option, text, "an absolute path inside of the container")
    return posixpath.normpath(text)


def _work(value: Any, policy: Policy) -> str:
    path = _folder(WORK if value is True else value, policy, "work")
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
        raise _malformed("memory", value, "bytes, or a text such as '256m'") from error
    if size > policy.memory:
        raise _beyond("memory", value, policy, f"{policy.memory:,} bytes")
    return size


def _cpus(value: Any, policy: Policy) -> float:
    count = amount("cpus", value, service="docker", least=_LEAST_CPUS, hint="cpus=0.5")
    if count > policy.cpus:
        raise _beyond("cpus", value, policy, f"{policy.cpus:g}")
    return count


def _pids(value: Any, policy: Policy) -> int:
    count = whole("pids", value, service="docker", hint="pids=64")
    if count > policy.pids:
        raise _beyond("pids", value, policy, policy.pids)
    return count


def _ports(value: Any, policy: Policy) -> dict[int, int | None]:
    if not policy.network:
        raise OptionRefused(
            f"the option 'ports' is refused: the policy {policy.name!r} has no network",
            service="docker",
            hint="policy='network', if it is allowed here",
        )
    hint = _EXAMPLES["ports"]
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise _malformed("ports", value, "a list of numbers")
    pairs = value if isinstance(value, Mapping) else dict.fromkeys(value)
    return {
        whole("ports", inside, service="docker", most=_PORT, hint=hint): None
        if outside is None
        else whole("ports", outside, service="docker", most=_PORT, hint=hint)
        for inside, outside in pairs.items()
    }


def _labels(value: Any, _: Policy) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _malformed("labels", type(value).__name__, "a dictionary of texts")
    for name in value:
        if str(name).startswith("agentnb."):
            raise OptionRefused(
                f"the option 'labels' is refused with {name!r}: agentnb.* identify the owner",
                service="docker",
                hint="choose a label that does not begin with agentnb.",
            )
    hint = "labels are text without NUL bytes"
    for name, text in value.items():
        if not isinstance(text, (str, int, float, Decimal, PurePath)):
            raise UsageError(
                f"label {name!r:.60} must be text or a number, got a value of type "
                f"{type(text).__name__}",
                service="docker",
                hint='{"name": "value"}',
            )
    return {_text("labels", k, hint): _text("labels", v, hint) for k, v in value.items()}


def _entrypoint(value: Any, _: Policy) -> list[str] | None:
    return words_of(value, "entrypoint")


def _network(value: Any, policy: Policy) -> str:
    text = str(value)
    if text in _NOT_OURS or _NAME.fullmatch(text) is None:
        raise OptionRefused(
            f"the option 'network' is refused: {text[:80]!r} is not a network of this home",
            service="docker",
            hint="network=hub.docker.network('NAME'); policy='network' has a way out",
        )
    if not policy.network:
        raise OptionRefused(
            f"the option 'network' is refused: the policy {policy.name!r} has no network",
            service="docker",
            hint="policy='network', if it is allowed here",
        )
    return text


def _platform(value: Any, _: Policy) -> str:
    if not isinstance(value, str) or _PLATFORM.fullmatch(value) is None:
        raise _malformed("platform", value, "OS/ARCHITECTURE")
    return value


def _flag(name: str) -> Callable[[Any, Policy], bool]:
    def check(value: Any, _: Policy) -> bool:
        return flag(name, value, service="docker")

    return check


CHECKS: dict[str, Callable[[Any, Policy], Any]] = {
    "name": _called("name"),
    "alias": _called("alias"),
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
    "network": _network,
    "platform": _platform,
    "tty": _flag("tty"),
    "keep": _flag("keep"),
}
"""By option, what returns its value as the engine takes it, or refuses it."""
