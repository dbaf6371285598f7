"""The verbs and options of ``%git``."""

from __future__ import annotations

from dataclasses import replace

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import alone

__all__ = ["GRAMMAR"]

_FORCE = Option(("-f", "--force"), "even where something would be lost")
_TIMEOUT = Option(("--timeout",), "seconds that it may take", "SECONDS", float)
_DRY = Option(("--dry-run",), "change nothing, and tell what would happen")

_MESSAGE = Option(("-m", "--message"), "the message of the commit", "TEXT")

GRAMMAR = Grammar(
    "git",
    "the repository of the working directory",
    (
        Verb(
            "init",
            "make a folder a repository: by default this one",
            ("[FOLDER]",),
            twin="hub.git.initialize()",
        ),
        Verb(
            "clone",
            "copy a repository",
            ("URL", "[FOLDER]"),
            (
                Option(("-b", "--branch"), "the branch to check out", "BRANCH"),
                Option(("--depth",), "only so many commits", "N", int),
                Option(("--recurse-submodules",), "fetch its submodules too"),
                _TIMEOUT,
            ),
            twin="hub.git.clone(URL, FOLDER, branch=..., depth=..., recurse_submodules=...)",
        ),
        Verb(
            "submodules",
            "list the submodules; `fetch` those that are missing",
            ("[fetch]",),
            (replace(_TIMEOUT, about="seconds that all may take"),),
            live=("fetch",),
            twin="hub.git.submodules(), .fetch_submodules()",
        ),
        Verb(
            "status",
            "what has changed",
            twin="hub.git.status()",
        ),
        Verb(
            "diff",
            "what differs: from the stage, with --staged from the last commit, or of REVs",
            ("[REV|PATH...]",),
            (
                Option(("--cached", "--staged"), "what a commit would take"),
                Option(("--with",), "compare with a revision, or a range a..b", "REV", live="ref"),
            ),
            live=("changed",),
            rest="[-- PATH...]",
            twin="hub.git.diff(REV, REV, cached=..., paths=...)",
        ),
        Verb(
            "log",
            "the history and its graph",
            ("[REV|PATH...]",),
            (
                Option(("-n", "--rows"), "how many commits (default 20)", "N", int),
                Option(("--all",), "of every branch"),
                Option(
                    ("--path",),
                    "only commits that changed it",
                    "PATH",
                    alone,
                    adds=True,
                    live="path",
                ),
            ),
            live=("ref",),
            rest="[-- PATH...]",
            twin="hub.git.log(N, revision=..., paths=..., every=...)",
        ),
        Verb(
            "show",
            "a commit, by default the last; or a file as a commit has it",
            ("[REV|REV:PATH]",),
            live=("ref",),
            rest="[-- PATH...]",
            twin="hub.git.show(REV, paths=...), .show_file(PATH, REV)",
        ),
        Verb(
            "add",
            "stage files: by default all",
            ("[PATH...]",),
            live=("unstaged",),
            rest="[-- PATH...]",
            twin="hub.git.add_files(PATHS)",
        ),
        Verb(
            "unstage",
            "take files out of the stage",
            ("[PATH...]",),
            live=("staged",),
            rest="[-- PATH...]",
            twin="hub.git.unstage_files(PATHS)",
        ),
        Verb(
            "commit",
            "commit what is staged, or exactly these paths",
            ("[PATH...]",),
            (
                Option(("-m", "--message"), "what was done and why", "TEXT"),
                Option(("-a", "--all"), "stage everything here first"),
                Option(("--author",), "if somebody else made it", "'NAME <EMAIL>'"),
                Option(("--amend",), "replace the last commit; its message stays without -m"),
                replace(_FORCE, about="even one that a remote has", needs=("amend",)),
                replace(_DRY, apart=("amend",)),
            ),
            live=("changed",),
            rest="[-- PATH...]",
            twin="hub.git.commit(TEXT, paths=..., author=...), .amend(TEXT)",
        ),
        Verb(
            "push",
            "send a branch: by default the current one to origin",
            ("[REMOTE]", "[BRANCH]"),
            (_FORCE, _DRY, _TIMEOUT),
            live=("remote", "branch"),
            twin="hub.git.push(REMOTE, BRANCH, force=...)",
        ),
        Verb(
            "pull",
            "fetch, and bring the current branch up to it",
            ("[REMOTE]", "[BRANCH]"),
            (Option(("--rebase",), "put one's own commits on top"), _TIMEOUT),
            live=("remote", "branch"),
            twin="hub.git.pull(REMOTE, BRANCH, rebase=...)",
        ),
        Verb(
            "fetch",
            "fetch, and change no branch",
            ("[REMOTE]",),
            (Option(("--prune",), "forget branches that are gone there"), _TIMEOUT),
            live=("remote",),
            twin="hub.git.fetch(REMOTE, prune=...)",
        ),
        Verb(
            "branch",
            "list the branches, or make one",
            ("[NAME]", "[START]"),
            (Option(("-d", "--delete"), "delete it"), replace(_FORCE, needs=("delete",))),
            live=("branch", "ref"),
            twin="hub.git.branches(), .create_branch(NAME, START), .delete_branch(NAME)",
        ),
        Verb(
            "switch",
            "change to a branch",
            ("BRANCH",),
            (Option(("-c", "--create"), "make it first"),),
            live=("branch",),
            twin="hub.git.switch(BRANCH, create=...)",
        ),
        Verb(
            "merge",
            "merge a branch into the current one; end the merge that waits, or give it up",
            ("[REV]",),
            (
                _MESSAGE,
                Option(("--no-ff",), "always make a commit", apart=("continue", "abort")),
                Option(("--continue",), "commit the merge, once no file is in conflict"),
                Option(("--abort",), "go back to before the merge", apart=("continue", "message")),
            ),
            live=("ref",),
            twin="hub.git.merge(REV), .merge_continue(), .merge_abort()",
        ),
        Verb(
            "abort",
            "give up the merge, rebase, cherry-pick or revert that waits",
            twin="hub.git.abort()",
        ),
        Verb(
            "conflicts",
            "the files in conflict, both sides beside each other; of notebooks the cells",
            ("[PATH...]",),
            (Option(("--base",), "show the version from which both began, too"),),
            live=("conflict",),
            rest="[-- PATH...]",
            twin="hub.git.conflicts(PATHS, base=...)",
        ),
        Verb(
            "resolve",
            "take one side of files in conflict, or mark them as solved as you edited them",
            ("[PATH...]",),
            (
                Option(("--ours",), "take the current branch's version"),
                Option(("--theirs",), "take the merged version", apart=("ours",)),
                Option(
                    ("--parts",),
                    "take the side only of what both changed, and keep the other changes of both",
                    needs=("ours", "theirs"),
                ),
                Option(("--all",), "every file in conflict"),
                replace(_FORCE, about="even where markers are left", apart=("ours", "theirs")),
            ),
            live=("conflict",),
            rest="[-- PATH...]",
            twin="hub.git.resolve(PATHS, 'ours' or 'theirs' or None, parts=...)",
        ),
        Verb(
            "restore",
            "discard the changes of files that are not staged",
            ("[PATH...]",),
            (
                Option(("--from",), "take them from a commit instead", "REV", live="ref"),
                Option(("--yes",), "however many they are"),
                _DRY,
            ),
            live=("restorable",),
            rest="[-- PATH...]",
            twin="hub.git.restore(PATHS, source=...)",
        ),
        Verb(
            "stash",
            "put changes aside; `list` them, `show N`, `apply N`, `pop N`, `drop N`",
            ("[push|list|show|apply|pop|drop]", "[N]"),
            (replace(_MESSAGE, about="what they are"),),
            live=("stash", "stash number"),
            twin="hub.git.stash(TEXT), .stashes(), .stash_show(N), .stash_apply(N), "
            ".stash_pop(N), .stash_drop(N)",
        ),
        Verb(
            "tag",
            "list the tags, make one, or delete one",
            ("[NAME]", "[REV]"),
            (
                replace(_MESSAGE, about="annotate it", apart=("delete",)),
                Option(("-d", "--delete"), "delete it"),
                replace(_FORCE, about="move one that is there", apart=("delete",)),
            ),
            live=("tag", "ref"),
            twin="hub.git.tags(), .create_tag(NAME, REV, message=...), .delete_tag(NAME)",
        ),
        Verb(
            "worktree",
            "list further work trees; `add FOLDER BRANCH`, `rm FOLDER`",
            ("[add|rm]", "[FOLDER]", "[BRANCH]"),
            (_FORCE,),
            live=("worktree", "", "branch"),
            twin="hub.git.worktree(FOLDER, BRANCH), .worktrees(), .remove_worktree(FOLDER)",
        ),
        Verb(
            "remote",
            "list the remotes; `add NAME URL`, `rm NAME`",
            ("[add|rm]", "[NAME]", "[URL]"),
            live=("add or rm", "remote"),
            twin="hub.git.remotes(), .add_remote(NAME, URL), .remove_remote(NAME)",
        ),
        Verb(
            "panel",
            "changes, stage, commit, branches and graph",
            twin='hub.panel("git")',
        ),
    ),
    options=(
        Option(
            ("-C", "--repo"), "a repository of the workspace: its folder", "FOLDER", live="repo"
        ),
    ),
    elsewhere={"checkout": "switch", "reset": "unstage", "stage": "add"},
    examples=(
        '%git commit -m "Fix the parser" parser.py    (this path; what is staged stays staged)',
        "%git diff --staged",
        "%git diff main topic -- src    (two revisions, and only what is below src)",
        "%git log --all -n 50",
        "%git switch -c agent/fix",
        "%git merge agent/fix    (then %git conflicts, resolve --ours PATH, merge --continue)",
        "%git restore parser.py",
        "%git --repo app status",
    ),
)
