"""The verbs and options of ``%git``."""

from __future__ import annotations

from agentnb.magics.grammar import Grammar, Option, Verb

__all__ = ["GRAMMAR"]

_FORCE = Option(("-f", "--force"), "even where something would be lost")
_TIMEOUT = Option(("--timeout",), "seconds that it may take", "SECONDS", float)
_DRY = Option(("--dry-run",), "change nothing, and tell what would happen")

GRAMMAR = Grammar(
    "git",
    "the repository of the working directory",
    (
        Verb("init", "make a folder a repository: by default this one", ("[FOLDER]",)),
        Verb(
            "clone",
            "copy a repository",
            ("URL", "[FOLDER]"),
            (
                Option(("-b", "--branch"), "the branch to check out", "BRANCH"),
                Option(("--depth",), "only so many commits", "N", int),
                _TIMEOUT,
            ),
        ),
        Verb("status", "what has changed"),
        Verb(
            "diff",
            "what differs: from what is staged, or with --staged from the last commit",
            ("[PATH...]",),
            (
                Option(("--cached", "--staged"), "what a commit would take"),
                Option(("--with",), "compare with a revision, or a range a..b", "REV", live="ref"),
            ),
            live=("changed",),
        ),
        Verb(
            "log",
            "the history and its graph",
            ("[REV]",),
            (
                Option(("-n", "--rows"), "how many commits (default 20)", "N", int),
                Option(("--all",), "of every branch"),
                Option(("--path",), "only commits that changed it", "PATH", live="path"),
            ),
            live=("ref",),
        ),
        Verb("show", "a commit: by default the last", ("[REV]",), live=("ref",)),
        Verb("add", "stage files: by default all", ("[PATH...]",), live=("unstaged",)),
        Verb("unstage", "take files out of the stage", ("[PATH...]",), live=("staged",)),
        Verb(
            "commit",
            "commit what is staged, or exactly these paths",
            ("[PATH...]",),
            (
                Option(("-m", "--message"), "what was done and why", "TEXT"),
                Option(("-a", "--all"), "stage everything here first"),
                Option(("--author",), "if somebody else made it", "'NAME <EMAIL>'"),
                _DRY,
            ),
            live=("changed",),
        ),
        Verb(
            "push",
            "send a branch: by default the current one to origin",
            ("[REMOTE]", "[BRANCH]"),
            (_FORCE, _DRY, _TIMEOUT),
            live=("remote", "branch"),
        ),
        Verb(
            "pull",
            "fetch, and bring the current branch up to it",
            ("[REMOTE]", "[BRANCH]"),
            (Option(("--rebase",), "put one's own commits on top"), _TIMEOUT),
            live=("remote", "branch"),
        ),
        Verb(
            "fetch",
            "fetch, and change no branch",
            ("[REMOTE]",),
            (Option(("--prune",), "forget branches that are gone there"), _TIMEOUT),
            live=("remote",),
        ),
        Verb(
            "branch",
            "list the branches, or make one",
            ("[NAME]", "[START]"),
            (Option(("-d", "--delete"), "delete it"), _FORCE),
            live=("branch", "ref"),
        ),
        Verb(
            "switch",
            "change to a branch",
            ("BRANCH",),
            (Option(("-c", "--create"), "make it first"),),
            live=("branch",),
        ),
        Verb(
            "stash",
            "put changes aside; `list` them, `pop` them back",
            ("[list|pop]",),
            (Option(("-m", "--message"), "what they are", "TEXT"),),
            live=("stash",),
        ),
        Verb(
            "worktree",
            "list further work trees; `add FOLDER BRANCH`, `rm FOLDER`",
            ("[add|rm]", "[FOLDER]", "[BRANCH]"),
            (_FORCE,),
            live=("worktree", "", "branch"),
        ),
        Verb(
            "remote",
            "list the remotes; `add NAME URL`, `rm NAME`",
            ("[add|rm]", "[NAME]", "[URL]"),
            live=("add or rm", "remote"),
        ),
        Verb("panel", "changes, stage, commit, branches and graph"),
    ),
    options=(
        Option(
            ("-C", "--repo"), "a repository of the workspace: its folder", "FOLDER", live="repo"
        ),
    ),
    elsewhere={"checkout": "switch", "restore": "unstage", "reset": "unstage", "stage": "add"},
    examples=(
        '%git commit -m "Fix the parser" parser.py    (this path; what is staged stays staged)',
        "%git diff --staged",
        "%git log --all -n 50",
        "%git switch -c agent/fix",
        "%git --repo app status",
    ),
)
