"""The images and addresses that a build would fetch, known before it begins."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from agentnb.core.docker.dockerfile import Instruction, Reading, readings
from agentnb.core.errors import NotFoundError, OptionRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agentnb.core.docker.policy import Policy

__all__ = ["PLATFORM_ARGS", "Fetch", "fetches", "refuse_fetching", "refuse_reaching"]

PLATFORM_ARGS = frozenset(
    f"{of}{what}" for of in ("BUILD", "TARGET") for what in ("PLATFORM", "OS", "ARCH", "VARIANT")
)
"""Variables that BuildKit sets by itself."""

# An address has a colon; the others are how one could be written so that it shows none.
_NOT_PLAIN = re.compile(r"[:$\\`'\"]")
_VARIABLE = re.compile(
    r"\$(?:(?P<bare>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?P<test>:?[-+])?(?P<other>[^{}$]*)\})"
)


_STEP_OPTIONS = re.compile(r"--mount=.*|--network=(?:default|none)|--security=sandbox")


class Fetch(NamedTuple):
    """An image or an address that a build would fetch.

    Parameters
    ----------
    by
        The instruction that does.
    kind
        An image, unless the engine has it; or an address.
    name
        Of what; None where the engine alone finds out.
    platform
        Of an image, as it is asked for; None for that of the engine.
    """

    by: Instruction
    kind: Literal["image", "address"]
    name: str | None
    platform: str | None = None


class _Stages:
    """Follows the stages of a Dockerfile and the variables before the first of them."""

    def __init__(self, args: Mapping[str, str]) -> None:
        self._args = args
        self._values: dict[str, str | None] = {}
        self._names: set[str] = set()
        self.count = 0

    def declare(self, instruction: Instruction) -> None:
        """Take the ``ARG`` before the first stage."""
        for word in instruction.words:
            name, equals, value = word.partition("=")
            if name in self._args:
                self._values[name] = self._args[name]
            elif equals:
                bare = value[1:-1] if re.fullmatch(r"\"[^\"]*\"|'[^'$]*'", value) else value
                self._values[name] = self.expand(bare)

    def expand(self, word: str) -> str | None:
        """Return a word with its variables replaced; None where a value is unknown."""

        def value(found: re.Match[str]) -> str:
            name = found["bare"] or found["name"]
            if name in PLATFORM_ARGS and name not in self._values:
                return "$"
            known = self._values.get(name, "")
            if known is None or (found["other"] and not found["test"]):
                return "$"
            empty = not known if (found["test"] or "").startswith(":") else name not in self._values
            if (found["test"] or "").endswith("-"):
                return str(found["other"]) if empty else known
            if (found["test"] or "").endswith("+"):
                return "" if empty else str(found["other"])
            return known

        expanded = _VARIABLE.sub(value, word)
        return None if re.search(r"[$\\`'\"]", expanded) else expanded

    def begin(self, instruction: Instruction) -> str:
        """Begin a stage; return the word of its image, or nothing where it is another stage."""
        words = instruction.words
        image = words[0] if words else ""
        known = self.is_stage(image, by_number=False) or image == "scratch"
        if len(words) == 3 and words[1].upper() == "AS":  # noqa: PLR2004 - FROM x AS y
            self._names.add(words[2].lower())
        self.count += 1
        return "" if known else image

    def is_stage(self, name: str, *, by_number: bool = True) -> bool:
        """Return whether a name is that of a stage before."""
        number = by_number and name.isascii() and name.isdigit() and int(name) < self.count
        return number or name.lower() in self._names


def fetches(reading: Reading, args: Mapping[str, str]) -> Iterator[Fetch]:
    """Yield the images and addresses that a build would fetch.

    Parameters
    ----------
    reading
        The Dockerfile.
    args
        The build's arguments.
    """
    stages = _Stages(args)
    syntax = args.get("BUILDKIT_SYNTAX", reading.syntax)
    if syntax is not None:
        yield Fetch(Instruction(1, "#", (), f"syntax={syntax}"), "address", syntax)
    for one in reading.instructions:
        if one.name == "ARG" and not stages.count:
            stages.declare(one)
        elif one.name == "FROM":
            if word := stages.begin(one):
                yield Fetch(one, "image", stages.expand(word), one.flag("platform"))
        elif one.name == "ADD":
            yield from (
                Fetch(one, "address", word)
                for word in one.words[:-1]
                if _NOT_PLAIN.search(word) and not word.startswith("<<")
            )
        yield from _from_images(one, stages)


def _from_images(one: Instruction, stages: _Stages) -> Iterator[Fetch]:
    for flag in one.flags:
        name, _, value = flag.partition("=")
        if name not in {"--from", "--mount"}:
            continue
        if re.search(r"[$\\`'\"]", value):
            yield Fetch(one, "image", None)
            continue
        parts = [value] if name == "--from" else re.findall(r"(?i)(?:^|,)from=([^,]*)", value)
        yield from (Fetch(one, "image", part) for part in parts if not stages.is_stage(part))


def refuse_fetching(
    text: str,
    args: Mapping[str, str],
    policy: Policy,
    image_of: Callable[[str], Mapping[str, Any] | None],
    *,
    images: bool,
) -> None:
    """Refuse a build that would fetch although its policy has no network.

    Parameters
    ----------
    text
        The Dockerfile.
    args
        The build's arguments.
    policy
        Without a network nothing is fetched.
    image_of
        Returns an image as the engine describes it, or None where it has none of that name.
    images
        Whether images may be fetched.

    Raises
    ------
    OptionRefused
        The policy has no network.
    NotFoundError
        It has one, but images are not to be fetched.
    """
    if policy.network and images:
        return
    for reading in readings(text):
        for fetch in fetches(reading, args):
            if fetch.kind == "address":
                if not policy.network:
                    raise _refused(fetch, policy)
                continue
            image = image_of(fetch.name) if fetch.name else None
            if image is None or not _is_for(image, fetch.platform):
                raise _refused(fetch, policy)
            for found in _of_triggers(fetch, image, args):
                if found.kind == "image" and found.name and image_of(found.name):
                    continue
                if found.kind == "image" or not policy.network:
                    raise _refused(found, policy)


def refuse_reaching(reading: Reading) -> None:
    """Raise for a step that would have more of the host than others.

    Raises
    ------
    OptionRefused
        It asks for the host's network, devices or privileges.
    """
    for one in reading.instructions:
        for flag in one.flags if one.name == "RUN" else ():
            if _STEP_OPTIONS.fullmatch(flag) is None:
                raise OptionRefused(
                    f"Dockerfile line {one.line}: {str(one)[:200]}\nthe option {flag[:80]!r} is "
                    "refused: it may give the step more of the host than others have",
                    service="docker",
                    hint="RUN takes --mount=..., --network=none or default, --security=sandbox",
                )


def _of_triggers(
    fetch: Fetch, image: Mapping[str, Any], args: Mapping[str, str]
) -> Iterator[Fetch]:
    """Yield the images and addresses that ``ONBUILD`` of an image would fetch."""
    for trigger in (image.get("Config") or {}).get("OnBuild") or ():
        by = Instruction(fetch.by.line, "FROM", (), f"{fetch.name}, with ONBUILD {trigger}")
        for reading in readings(trigger):
            yield from (one._replace(by=by) for one in fetches(reading, args))


def _is_for(image: Mapping[str, Any], platform: str | None) -> bool:
    """Return whether an image is for a platform, such as ``linux/amd64``."""
    if platform is None or re.fullmatch(r"\$\{?(BUILD|TARGET)PLATFORM\}?", platform):
        return True
    system, slash, machine = platform.lower().partition("/")
    if not slash:
        system, machine = "linux", system
    machine = machine.partition("/")[0]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return (system, machine) == (image.get("Os"), image.get("Architecture"))


def _refused(fetch: Fetch, policy: Policy) -> OptionRefused | NotFoundError:
    line = f"Dockerfile line {fetch.by.line}: {str(fetch.by)[:200]}"
    if fetch.kind == "address":
        hint = "COPY takes files of the context, and fetches nothing"
        if fetch.by.name == "#":
            hint = "leave the line out: the engine then uses what it comes with"
        return OptionRefused(
            f"{line}\nmay fetch from an address, and the policy {policy.name!r} has no network",
            service="docker",
            hint=f"{hint}; or policy='network' (--policy network), if it is allowed here",
        )
    if fetch.name is None:
        what, hint = "may fetch an image", "write the name of the image without variables or quotes"
    else:
        name = fetch.name if fetch.platform is None else f"{fetch.name} for {fetch.platform}"
        what = f"needs the image {name}, which the engine does not have"
        pull = f"hub.docker.pull({fetch.name!r}) (%docker pull {fetch.name})"
        hint = f"fetch it first: {pull}; or build it"
    if policy.network:
        return NotFoundError(f"{line}\n{what}", service="docker", hint=hint)
    reason = f"and the policy {policy.name!r} has no network to fetch it"
    return OptionRefused(f"{line}\n{what}, {reason}", service="docker", hint=hint)
