"""What keeps a repository's own settings from running anything, and git from asking anybody.

A repository that was copied here brings its ``.git`` along, and with it hooks, filters, monitors,
differs and remotes of somebody else's choice. Git's command-line settings win over those: what
can run a program is overridden by name, what has a name of the repository's choice (a filter, a
merge driver) is looked up first. What the *user* has configured stays as it is.
"""

from __future__ import annotations

import os
import shlex
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from agentnb.core.git.credentials import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from agentnb.core.git.config import Config
    from agentnb.core.git.credentials import Login

__all__ = ["blocked_filters", "environment"]

Pairs = list[tuple[str, str]]

_FIXED: Final = {
    # Programs
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.pager": "cat",
    "gpg.program": "false",
    "gpg.openpgp.program": "false",
    "gpg.x509.program": "false",
    "gpg.ssh.program": "false",
    "gpg.ssh.defaultKeyCommand": "",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "push.gpgSign": "false",
    "log.showSignature": "false",
    "merge.verifySignatures": "false",
    # What goes on behind the caller's back
    "gc.auto": "0",
    "gc.autoDetach": "false",
    "maintenance.auto": "false",
    # A submodule is a repository of its own, whose settings are not overridden
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "push.recurseSubmodules": "no",
    "diff.ignoreSubmodules": "dirty",
    "diff.submodule": "short",
    "status.submoduleSummary": "false",
    # Names that mean .git on other systems
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    # An identity is given, never made up of the machine's name
    "user.useConfigOnly": "true",
    # How it speaks
    "color.ui": "false",
    "core.quotePath": "false",
    "core.abbrev": "no",
}
_SPEAKING: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_PAGER": "cat",
    "GIT_MERGE_AUTOEDIT": "no",
    "GIT_LITERAL_PATHSPECS": "1",
    # A look at a repository takes no lock that somebody's `git add` would trip over.
    "GIT_OPTIONAL_LOCKS": "0",
}
_LFS: Final = {
    "clean": "git-lfs clean -- %f",
    "smudge": "git-lfs smudge -- %f",
    "process": "git-lfs filter-process",
    "required": "true",
}
_RUNS: Final = ("clean", "smudge", "process")


def environment(
    config: Config, *, filters: Collection[str], logins: Sequence[Login], writes: bool
) -> dict[str, str]:
    """Return the variables that git is run with.

    Parameters
    ----------
    config
        What is configured.
    filters
        Names of the filters that a repository may ask for.
    logins
        Those of agentnb; the user's own credential helpers are asked for other servers.
    writes
        Whether the command changes the repository. Then a filter that may not run is an
        error, since content would be stored without it; else it is left out.
    """
    logins = _safe(config, logins)
    pairs: Pairs = [*_FIXED.items()]
    pairs += _helpers(config, logins)
    pairs += _filters(config, filters, writes=writes)
    pairs += _drivers(config)
    pairs += _http(config)
    found = dict(_SPEAKING)
    start = _inherited()
    for number, (key, value) in enumerate(pairs, start=start):
        found[f"GIT_CONFIG_KEY_{number}"] = key
        found[f"GIT_CONFIG_VALUE_{number}"] = value
    found["GIT_CONFIG_COUNT"] = str(start + len(pairs))
    found["GIT_SSH_COMMAND"] = _ssh(config)
    found["GIT_ALLOW_PROTOCOL"] = _protocols(config)
    for number, login in enumerate(logins):
        found |= login.environment(number)
    return found


def _inherited() -> int:
    """Return how many settings the user's own environment has, which stay."""
    text = os.environ.get("GIT_CONFIG_COUNT", "0")
    return int(text) if text.isdecimal() else 0


def _ssh(config: Config) -> str:
    """Return the user's ssh, made to fail where it would ask."""
    command = os.environ.get("GIT_SSH_COMMAND") or config.value_of_user("core.sshcommand")
    if not command:
        program = os.environ.get("GIT_SSH")
        command = shlex.quote(program) if program else "ssh"
    program = command.split(maxsplit=1)[0].strip("'\"")
    if os.path.basename(program) != "ssh":  # noqa: PTH119 - of a command, not of a path here
        return command
    return f"{command} -oBatchMode=yes -oConnectTimeout=20"


def _safe(config: Config, logins: Sequence[Login]) -> Sequence[Login]:
    """Return the logins that the repository's own settings would not hand to somebody else."""
    named = {entry.name for entry in config.repository if entry.section in {"http", "remote"}}
    if named & {"sslcainfo", "sslcapath"}:
        return ()  # whoever has chosen the certificates can be any server
    if named & {"proxy", "curloptresolve"}:
        return [login for login in logins if login.url.startswith("https:")]
    return logins


def _helpers(config: Config, logins: Sequence[Login]) -> Pairs:
    pairs: Pairs = [("credential.helper", "")]  # forgets all that were named before
    pairs += [
        (entry.key, entry.value)
        for entry in config.user
        if entry.section == "credential" and entry.name == "helper"
    ]
    for number, login in enumerate(logins):
        pairs += login.settings(number)
    return pairs


def _named(config: Config, section: str, names: Collection[str]) -> list[str]:
    """Return the subsections in which the repository sets one of these names."""
    found = [
        entry.subsection
        for entry in config.repository
        if entry.section == section and entry.name in names
    ]
    return list(dict.fromkeys(found))


def blocked_filters(config: Config, allowed: Collection[str]) -> list[str]:
    """Return the filters that the repository asks for and that may not run."""
    return [name for name in _named(config, "filter", _RUNS) if name not in allowed]


def _filters(config: Config, allowed: Collection[str], *, writes: bool) -> Pairs:
    pairs: Pairs = []
    for name in _named(config, "filter", _RUNS):
        commands = _commands(config, name) if name in allowed else {}
        if commands is None:
            continue  # another one that the user has allowed, with the repository's command
        named = config.has("filter", name, "process")
        if not commands or (named and "process" not in commands):
            # Not even an empty `process` lets git fall back on the other two.
            commands = dict.fromkeys(_RUNS, "") | {"required": "true" if writes else "false"}
        pairs += [(f"filter.{name}.{part}", command) for part, command in commands.items()]
    return pairs


def _commands(config: Config, name: str) -> dict[str, str] | None:
    """Return what an allowed filter runs: what the user says, else what it is known to run.

    Allowed is the program by that name, not whatever a repository calls by it.
    """
    of_user = {
        entry.name: entry.value
        for entry in config.user
        if entry.section == "filter" and entry.subsection == name
    }
    if name == "lfs":
        # Those would have git-lfs run programs of the repository's choice.
        for entry in config.repository:
            if entry.section == "lfs" and (
                entry.subsection.startswith(("extension", "customtransfer"))
                or entry.name in {"standalonetransferagent", "path"}
            ):
                return {}
        return of_user or _LFS
    if name == "nbstripout":
        own = f"{shlex.quote(sys.executable)} -m nbstripout"
        clean = own if find_spec("nbstripout") else "nbstripout"
        return of_user or {"clean": clean, "smudge": "cat", "required": "true"}
    return of_user or None


def _drivers(config: Config) -> Pairs:
    """Return what stops merge drivers, differs and hooks that are configured by a name."""
    # One that fails leaves a conflict; one of no command would silently drop their side.
    pairs = [(f"merge.{name}.driver", "false") for name in _named(config, "merge", {"driver"})]
    for name in _named(config, "hook", {"command", "event"}):
        if name:
            pairs += [(f"hook.{name}.enabled", "false"), (f"hook.{name}.command", ":")]
    if config.has("core", "", "alternaterefscommand"):
        pairs.append(("core.alternateRefsCommand", "true"))
    return pairs


def _protocols(config: Config) -> str:
    """Return what may be transferred by.

    Nothing, where a partial clone says by which program it fetches what it lacks, since any look
    at it could run that. Of two such settings git takes the first, so that it cannot be overridden.
    """
    partial = any(
        (entry.section, entry.name) in {("remote", "promisor"), ("extensions", "partialclone")}
        for entry in config.repository
    )
    if partial and _named(config, "remote", {"uploadpack"}):
        return "none"
    return ":".join(PROTOCOLS)


def _http(config: Config) -> Iterator[tuple[str, str]]:
    """Yield what keeps the check of certificates on, and cookies out of files."""
    harmless = {"sslverify": "true", "savecookies": "false", "cookiefile": ""}
    for entry in config.repository:
        if entry.section == "http" and entry.name in harmless:
            yield entry.key, harmless[entry.name]
