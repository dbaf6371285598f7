"""Git's failures as errors with hints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from agentnb.core.errors import (
    AgentnbError,
    ConfigError,
    NonFastForward,
    NotFoundError,
    RejectedError,
    RepositoryNotFound,
    RevisionNotFound,
    UnavailableError,
    UsageError,
)
from agentnb.core.git.credentials import clean

if TYPE_CHECKING:
    from agentnb.core.git.executor import Output

__all__ = ["IDENTITY", "refused"]

IDENTITY: Final = (
    'git config --global user.name "Your Name"\ngit config --global user.email you@example.com'
)
_LOGIN: Final = (
    "set AGENTNB_GIT_CREDENTIALS=https://USER:TOKEN@HOST in .env (GITHUB_TOKEN for github.com), "
    "or set up a credential helper of git's"
)
_KEY: Final = (
    "git never prompts for a passphrase here: ssh-add your key, or connect once in a terminal so "
    "that the server's key is known"
)
_MOST_LINES: Final = 12


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    kind: type[AgentnbError]
    hint: str


def _rule(pattern: str, kind: type[AgentnbError], hint: str = "") -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE), kind, hint)


# The first that is found counts.
_RULES: Final = (
    _rule(
        r"tell me who you are|unable to auto-detect email|auto-detection is disabled"
        r"|empty ident name|no (?:email|name) was given",
        ConfigError,
        f"say who you are, in a terminal:\n{IDENTITY}",
    ),
    _rule(
        r"dubious ownership",
        ConfigError,
        "if you trust it, in a terminal: git config --global --add safe.directory FOLDER",
    ),
    _rule(
        r"ambiguous object name",
        UsageError,
        "the branch is refs/heads/NAME, the tag refs/tags/NAME",
    ),
    _rule(
        r"git-lfs[^\n]*(?:command not found|: not found|no such file)|'lfs' is not a git command",
        ConfigError,
        "git-lfs is not installed: apt-get install git-lfs, brew install git-lfs, or "
        "conda install git-lfs",
    ),
    _rule(r"(?:clean|smudge) filter '?(?P<name>[^'\n]*?)'? failed", RejectedError, ""),
    _rule(
        r"authentication failed|could not read (?:username|password)|terminal prompts disabled"
        r"|returned error: 40[13]|access denied|invalid credentials",
        ConfigError,
        _LOGIN,
    ),
    _rule(r"permission denied \(|host key verification failed", ConfigError, _KEY),
    _rule(
        r"transport '[^']*' not allowed|remote helper|protocol '[^']*' is not supported",
        RejectedError,
        "https, http, ssh, and folders of this machine are allowed",
    ),
    _rule(
        r"repository '[^']*' (?:not found|does not exist)|does not appear to be a git repository"
        r"|returned error: 404|no such remote|repository not found",
        NotFoundError,
        "check the URL; hub.git.remotes() (%git remote) lists what is known here",
    ),
    _rule(
        r"could not resolve host|failed to connect|couldn't connect|connection refused"
        r"|connection timed out|connection reset|network is unreachable|unable to access"
        r"|remote end hung up|early eof|operation timed out|connection closed by",
        UnavailableError,
        "check the address and the network, then try again",
    ),
    _rule(
        r"not possible to fast-forward|diverging branches",
        NonFastForward,
        "both sides have commits: pull with rebase=True (%git pull --rebase), or merge: "
        "hub.git.merge('origin/BRANCH') (%git merge origin/BRANCH)",
    ),
    _rule(
        r"would be overwritten by|please commit your changes or stash them"
        r"|cannot pull with rebase|you have unstaged changes|index contains uncommitted",
        RejectedError,
        "commit them, or put them aside: hub.git.stash() (%git stash)",
    ),
    _rule(
        r"did not match any file|pathspec '[^']*' did not match",
        NotFoundError,
        "hub.git.status() (%git status) lists what there is",
    ),
    _rule(
        r"^usage: git (?:diff|log|show)",
        UsageError,
        "a file of a commit is shown by hub.git.show('REV:PATH') (%git show "
        "REV:PATH), and compared "
        "with another one by hub.git.diff('REV:PATH', 'REV:PATH') (%git diff REV:PATH REV:PATH)",
    ),
    _rule(r"is outside repository", UsageError, "name paths inside of the repository"),
    _rule(
        r"paths are ignored by one of your \.gitignore",
        RejectedError,
        "take it out of .gitignore first",
    ),
    _rule(
        r"unknown revision|bad revision|invalid reference|not a valid object name|needed a single"
        r"|ambiguous argument|couldn't find remote ref|not a commit|does not have any commits"
        r"|your current branch .* does not have|src refspec .* does not match|invalid object name"
        r"|bad object|no such ref",
        RevisionNotFound,
        "hub.git.branches() and hub.git.log() (%git branch, %git log) list what there is",
    ),
    _rule(
        r"needs merge|unmerged|conflict|unfinished|in progress",
        RejectedError,
        "hub.git.status() (%git status) says how to go on, hub.git.conflicts() (%git conflicts) "
        "shows both sides",
    ),
    _rule(
        r"refusing to merge unrelated histories",
        RejectedError,
        "they have no commit in common: is it another repository's branch?",
    ),
    _rule(r"already exists", RejectedError, "choose another name"),
    _rule(r"no space left on device", UnavailableError, "make room on the disk, then try again"),
    _rule(
        r"not a git repository", RepositoryNotFound, "hub.git.initialize() (%git init) makes one"
    ),
)
_NOISE = re.compile(
    r"^(?:hint:.*|usage: .*|Use '--' to separate.*|'git <command>.*|Run$"
    r"|\s*git config --global.*|Omit --global.*|\*\*\* Please tell me.*|to set your .*"
    r"|\s+or: git .*|Cloning into '.*'\.\.\."
    r"|Please make sure you have the correct.*|and the repository exists\.)?$"
)


def refused(output: Output, doing: str, *, blocked: list[str] | None = None) -> AgentnbError:
    """Return the error for a command that failed.

    Parameters
    ----------
    output
        The output of the command.
    doing
        The action, such as ``"commit"``.
    blocked
        The filters that the repository asks for and that may not run.
    """
    message = clean(output.err.strip() or output.text.strip())
    for rule in _RULES:
        found = rule.pattern.search(message)
        if found is None:
            continue
        hint = rule.hint
        if "name" in found.groupdict():
            hint = _filter_hint(found["name"], blocked or [])
        return rule.kind(_message(message, doing), service="git", hint=hint or None)
    return RejectedError(
        _message(message, doing),
        service="git",
        hint="hub.git.status() (%git status) shows the state of the repository",
    )


def _filter_hint(name: str, blocked: list[str]) -> str:
    if name in blocked:
        return (
            f"the repository's own filter {name!r} may run programs and is not allowed; if you "
            f"trust it, add {name} to AGENTNB_GIT_FILTERS"
        )
    return f"the program of the filter {name!r} failed: is it installed?"


def _message(message: str, doing: str) -> str:
    lines = [line.rstrip() for line in message.splitlines()]
    lines = [line for line in lines if line.strip() and not _NOISE.match(line)]
    shown = [re.sub(r"^(?:fatal|error): ", "", line) for line in lines[:_MOST_LINES]]
    if len(lines) > _MOST_LINES:
        shown.append(f"... {len(lines) - _MOST_LINES:,} more lines")
    if message.startswith("usage: "):
        return f"git {doing}: it does not take these words"
    return f"git {doing}: " + ("\n".join(shown) or "failed, and said nothing")
