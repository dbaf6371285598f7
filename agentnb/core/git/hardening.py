"""Hardening: a repository's settings run no code, and git never prompts.

A repository that was copied here brings its ``.git`` along, and with it hooks, filters, monitors,
differs and remotes of somebody else's choice. Git's command-line settings win over those: what
can run a program is overridden by name, what has a name of the repository's choice (a filter, a
merge driver) is looked up first. The *user's* settings stay as they are.
"""

from __future__ import annotations

import os
import shlex
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from agentnb.core import launch
from agentnb.core.errors import ConfigError
from agentnb.core.git import output
from agentnb.core.git.config import ELSEWHERE
from agentnb.core.git.credentials import PROTOCOLS
from agentnb.core.git.trees import in_work_tree

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from agentnb.core.git.config import Config
    from agentnb.core.git.credentials import Login

__all__ = [
    "blocked_filters",
    "environment",
    "hardened",
    "refuse_conditional_settings",
    "refuse_settings_in_work_tree",
]

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
    # A merge or a rebase gives the same result whatever the repository sets
    "rerere.enabled": "false",
    "merge.renames": "true",
    "merge.directoryRenames": "conflict",
    "merge.renormalize": "false",
    "merge.autoStash": "false",
    "rebase.autoStash": "false",
    "rebase.updateRefs": "false",
    "rebase.rebaseMerges": "false",
    # Names that mean .git on other systems
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    # An identity is given, never made up of the machine's name
    "user.useConfigOnly": "true",
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
_NO_PROGRAM: Final = ("--no-ext-diff", "--no-textconv")
_NO_SUBMODULE: Final = "--ignore-submodules=dirty"
# What has no setting that would win over a repository's.
_HARDENED: Final[dict[str, tuple[str, ...]]] = {
    "status": (_NO_SUBMODULE,),
    "blame": ("--no-textconv",),
    **dict.fromkeys(("diff", "log", "show", "diff-tree"), (*_NO_PROGRAM, _NO_SUBMODULE)),
}
# Settings of git-lfs that name no program, by the last part of their key.
_LFS_HARMLESS: Final = frozenset(
    {"access", "activitytimeout", "allowincompletepush", "basictransfersonly", "batch"}
    | {"cachecredentials", "concurrenttransfers", "contenttype", "dialtimeout", "fetchexclude"}
    | {"fetchinclude", "fetchrecentalways", "fetchrecentcommitsdays", "fetchrecentrefsdays"}
    | {"fetchrecentremoterefs", "keepalive", "lockignoredfiles", "locksverify", "pushurl"}
    | {"pruneoffsetdays", "pruneremotetocheck", "pruneverifyremotealways", "url"}
    | {"repositoryformatversion", "setlockablereadonly", "skipdownloaderrors", "tlstimeout"}
)
# Settings of a connection that leave it to the server that was meant.
_HTTP_HARMLESS: Final = frozenset(
    {"cookiefile", "extraheader", "lowspeedlimit", "lowspeedtime", "maxrequests", "minsessions"}
    | {"postbuffer", "savecookies", "sslverify", "useragent", "version"}
)
_HTTP_WAY: Final = frozenset({"proxy", "curloptresolve", "proxyauthmethod"})
_OF_REMOTE: Final = frozenset({"sslcainfo", "sslcapath"}) | _HTTP_WAY


def environment(
    config: Config, *, filters: Collection[str], logins: Sequence[Login], writes: bool
) -> dict[str, str]:
    """Return the variables that git is run with.

    Parameters
    ----------
    config
        The settings.
    filters
        Names of the filters that a repository may ask for.
    logins
        Agentnb's logins; the user's credential helpers serve other servers.
    writes
        Whether the command changes the repository. Then a filter that may not run is an
        error, since content would be stored without it; else it is left out.
    """
    logins = _safe(config, logins)
    pairs: Pairs = [*_FIXED.items(), *output.SETTINGS.items()]
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


def hardened(words: Sequence[str]) -> list[str]:
    """Return a command with the options that keep it from running a repository's programs.

    >>> hardened(["log", "--max-count=1"])[1:3]
    ['--no-ext-diff', '--no-textconv']
    """
    return [words[0], *_HARDENED.get(words[0], ()), *words[1:]]


def refuse_conditional_settings(config: Config) -> None:
    """Refuse settings of a repository that depend on a branch, a folder or a remote.

    The settings read before a command would not be those that it uses.

    Raises
    ------
    ConfigError
        There are some.
    """
    for entry in config.repository:
        if entry.section == "includeif":
            name = f"includeIf.{entry.subsection}"
            raise ConfigError(
                f"the repository has settings on a condition, which could run programs: {name} "
                f"in {entry.origin}",
                service="git",
                hint=f"if they are yours, move them to ~/.gitconfig; in any case: "
                f"git config --file {shlex.quote(entry.origin)} "
                f"--remove-section {shlex.quote(name)}",
            )


def refuse_settings_in_work_tree(config: Config, root: Path) -> None:
    """Refuse settings in files that the command itself could replace by others.

    Raises
    ------
    ConfigError
        There are some.
    """
    for file in sorted(config.files_of_repository):
        if in_work_tree(file, root):
            raise ConfigError(
                f"the repository's settings are in a file that this could change: {file}",
                service="git",
                hint="move them into .git/config, or to ~/.gitconfig",
            )


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
    of_http = {entry.name for entry in config.repository if entry.section == "http"}
    of_remote = {entry.name for entry in config.repository if entry.section == "remote"}
    named = (of_http - _HTTP_HARMLESS) | (of_remote & _OF_REMOTE)
    if named - _HTTP_WAY:
        return ()  # whoever has chosen the certificates can be any server
    if named:
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
            stored = writes and _asked_here(config, name)
            commands = dict.fromkeys(_RUNS, "") | {"required": "true" if stored else "false"}
        pairs += [(f"filter.{name}.{part}", command) for part, command in commands.items()]
    return pairs


def _asked_here(config: Config, name: str) -> bool:
    """Return whether a filter would change stored content, not only displayed content."""
    return any(
        entry.section == "filter" and entry.subsection == name and entry.scope != ELSEWHERE
        for entry in config.repository
    )


def _commands(config: Config, name: str) -> dict[str, str] | None:
    """Return the commands of an allowed filter: the user's, else the known ones.

    Allowed is the program by that name, not whatever a repository calls by it.
    """
    of_user = {
        entry.name: entry.value
        for entry in config.user
        if entry.section == "filter" and entry.subsection == name
    }
    if name == "lfs":
        # Others would have git-lfs run programs of the repository's choice.
        asked = {entry.name for entry in config.repository if entry.section == "lfs"}
        if asked - _LFS_HARMLESS:
            return {}
        return of_user or _LFS
    if name == "nbstripout":
        own = shlex.join(launch.python("-m", "nbstripout"))
        clean = own if find_spec("nbstripout") else "nbstripout"
        return of_user or {"clean": clean, "smudge": "cat", "required": "true"}
    return of_user or None


def _drivers(config: Config) -> Pairs:
    """Return the settings that stop merge drivers, diff drivers and hooks with names."""
    # One that fails leaves a conflict; one of no command would silently drop their side.
    pairs = [(f"merge.{name}.driver", "false") for name in _named(config, "merge", {"driver"})]
    pairs += [
        (f"branch.{name}.mergeOptions", "") for name in _named(config, "branch", {"mergeoptions"})
    ]
    for name in _named(config, "hook", {"command", "event"}):
        if name:
            pairs += [(f"hook.{name}.enabled", "false"), (f"hook.{name}.command", ":")]
    if config.has("core", "", "alternaterefscommand"):
        pairs.append(("core.alternateRefsCommand", "true"))
    return pairs


def _protocols(config: Config) -> str:
    """Return the allowed protocols.

    A partial clone fetches what it lacks whenever it is looked at. Nothing, where it says by which
    program: of two such settings git takes the first, so that it cannot be overridden. And not
    from a folder, whose own settings would count there.
    """
    partial = any(
        (entry.section, entry.name) in {("remote", "promisor"), ("extensions", "partialclone")}
        for entry in config.repository
    )
    if partial and _named(config, "remote", {"uploadpack"}):
        return "none"
    return ":".join(way for way in PROTOCOLS if not (partial and way == "file"))


def _http(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the settings that keep certificate checks on and cookies out of files."""
    harmless = {"sslverify": "true", "savecookies": "false", "cookiefile": ""}
    for entry in config.repository:
        if entry.section == "http" and entry.name in harmless:
            yield entry.key, harmless[entry.name]
