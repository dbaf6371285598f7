"""The verbs and options of ``%git``."""

from __future__ import annotations

from dataclasses import replace

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import alone

__all__ = ["GRAMMAR"]

_FORCE = Option(("-f", "--force"), "do it even if changes or commits would be lost")
_TIMEOUT = Option(("--timeout",), "seconds at most", "SECONDS", float)
_DRY = Option(("--dry-run",), "change nothing, and show the result")

_MESSAGE = Option(("-m", "--message"), "the message of the commit", "TEXT")

GRAMMAR = Grammar(
    "git",
    "the repository of the working directory",
    (
        Verb(
            "init",
            "initialize a repository in a folder, by default this one",
            ("[FOLDER]",),
            twin="hub.git.initialize()",
        ),
        Verb(
            "clone",
            "clone a repository",
            ("URL", "[FOLDER]"),
            (
                Option(("-b", "--branch"), "the branch to check out", "BRANCH"),
                Option(("--depth",), "commits at most", "N", int),
                Option(("--recurse-submodules",), "fetch its submodules too"),
                _TIMEOUT,
            ),
            twin="hub.git.clone(URL, FOLDER, branch=..., depth=..., recurse_submodules=...)",
        ),
        Verb(
            "submodules",
            "list the submodules; `fetch` the missing ones",
            ("[fetch]",),
            (replace(_TIMEOUT, about="seconds at most for all of them"),),
            live=("fetch",),
            twin="hub.git.submodules(), .fetch_submodules()",
        ),
        Verb(
            "status",
            "list the changed files",
            twin="hub.git.status()",
        ),
        Verb(
            "diff",
            "show the changes that are not staged, the staged ones, or those between REVs",
            ("[REV|PATH...]",),
            (
                Option(("--cached", "--staged"), "compare what is staged with the last commit"),
                Option(("--with",), "compare with a revision, or a range a..b", "REV", live="ref"),
            ),
            live=("changed",),
            rest="[-- PATH...]",
            twin="hub.git.diff(REV, REV, cached=..., paths=...)",
        ),
        Verb(
            "log",
            "show the history and its graph",
            ("[REV|PATH...]",),
            (
                Option(("-n", "--rows"), "commits at most (default 20)", "N", int),
                Option(("--all",), "the commits of every branch"),
                Option(
                    ("--path",),
                    "only commits that changed this path",
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
            "show a commit, by default the last, or a file of a commit",
            ("[REV|REV:PATH]",),
            live=("ref",),
            rest="[-- PATH...]",
            twin="hub.git.show(REV, paths=...), .show_file(PATH, REV)",
        ),
        Verb(
            "add",
            "stage files, by default all",
            ("[PATH...]",),
            live=("unstaged",),
            rest="[-- PATH...]",
            twin="hub.git.add_files(PATHS)",
        ),
        Verb(
            "unstage",
            "unstage files",
            ("[PATH...]",),
            live=("staged",),
            rest="[-- PATH...]",
            twin="hub.git.unstage_files(PATHS)",
        ),
        Verb(
            "commit",
            "commit what is staged, or these paths only",
            ("[PATH...]",),
            (
                Option(("-m", "--message"), "the message", "TEXT"),
                Option(("-a", "--all"), "stage all changes first"),
                Option(("--author",), "the author, if it is another person", "'NAME <EMAIL>'"),
                Option(("--amend",), "replace the last commit; without -m its message stays"),
                replace(_FORCE, about="replace a commit that a remote has", needs=("amend",)),
                replace(_DRY, apart=("amend",)),
            ),
            live=("changed",),
            rest="[-- PATH...]",
            twin="hub.git.commit(TEXT, paths=..., author=...), .amend(TEXT)",
        ),
        Verb(
            "push",
            "push a branch, by default the current one to origin",
            ("[REMOTE]", "[BRANCH]"),
            (_FORCE, _DRY, _TIMEOUT),
            live=("remote", "branch"),
            twin="hub.git.push(REMOTE, BRANCH, force=...)",
        ),
        Verb(
            "pull",
            "fetch, and fast-forward the current branch",
            ("[REMOTE]", "[BRANCH]"),
            (Option(("--rebase",), "put the local commits on top"), _TIMEOUT),
            live=("remote", "branch"),
            twin="hub.git.pull(REMOTE, BRANCH, rebase=...)",
        ),
        Verb(
            "fetch",
            "fetch the commits of a remote",
            ("[REMOTE]",),
            (
                Option(
                    ("--prune",), "remove remote-tracking branches that the remote no longer has"
                ),
                _TIMEOUT,
            ),
            live=("remote",),
            twin="hub.git.fetch(REMOTE, prune=...)",
        ),
        Verb(
            "branch",
            "list the branches, or create one",
            ("[NAME]", "[START]"),
            (Option(("-d", "--delete"), "delete it"), replace(_FORCE, needs=("delete",))),
            live=("branch", "ref"),
            twin="hub.git.branches(), .create_branch(NAME, START), .delete_branch(NAME)",
        ),
        Verb(
            "switch",
            "switch to a branch",
            ("BRANCH",),
            (Option(("-c", "--create"), "create it first"),),
            live=("branch",),
            twin="hub.git.switch(BRANCH, create=...)",
        ),
        Verb(
            "merge",
            "merge a branch into the current one; continue or abort a merge",
            ("[REV]",),
            (
                _MESSAGE,
                Option(("--no-ff",), "always create a commit", apart=("continue", "abort")),
                Option(("--continue",), "commit the merge once no file is in conflict"),
                Option(
                    ("--abort",),
                    "restore the state before the merge",
                    apart=("continue", "message"),
                ),
            ),
            live=("ref",),
            twin="hub.git.merge(REV), .merge_continue(), .merge_abort()",
        ),
        Verb(
            "abort",
            "abort a merge, rebase, cherry-pick or revert",
            twin="hub.git.abort()",
        ),
        Verb(
            "conflicts",
            "show both sides of files in conflict, notebooks by cells",
            ("[PATH...]",),
            (Option(("--base",), "show the common ancestor too"),),
            live=("conflict",),
            rest="[-- PATH...]",
            twin="hub.git.conflicts(PATHS, base=...)",
        ),
        Verb(
            "resolve",
            "take one side of files in conflict, or mark edited files as resolved",
            ("[PATH...]",),
            (
                Option(("--ours",), "take the current branch's version"),
                Option(("--theirs",), "take the merged version", apart=("ours",)),
                Option(
                    ("--parts",),
                    "take the side only where both changed, and keep the other changes of both",
                    needs=("ours", "theirs"),
                ),
                Option(("--all",), "every file in conflict"),
                replace(_FORCE, about="resolve even if markers are left", apart=("ours", "theirs")),
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
                Option(
                    ("--from",), "restore from a commit instead of the index", "REV", live="ref"
                ),
                Option(("--yes",), "confirm for several files"),
                _DRY,
            ),
            live=("restorable",),
            rest="[-- PATH...]",
            twin="hub.git.restore(PATHS, source=...)",
        ),
        Verb(
            "stash",
            "stash changes; `list`, `show N`, `apply N`, `pop N`, `drop N`",
            ("[push|list|show|apply|pop|drop]", "[N]"),
            (replace(_MESSAGE, about="a description"),),
            live=("stash", "stash number"),
            twin="hub.git.stash(TEXT), .stashes(), .stash_show(N), .stash_apply(N), "
            ".stash_pop(N), .stash_drop(N)",
        ),
        Verb(
            "tag",
            "list the tags, create one, or delete one",
            ("[NAME]", "[REV]"),
            (
                replace(_MESSAGE, about="annotate the tag", apart=("delete",)),
                Option(("-d", "--delete"), "delete it"),
                replace(_FORCE, about="move an existing tag", apart=("delete",)),
            ),
            live=("tag", "ref"),
            twin="hub.git.tags(), .create_tag(NAME, REV, message=...), .delete_tag(NAME)",
        ),
        Verb(
            "worktree",
            "list the work trees; `add FOLDER BRANCH`, `rm FOLDER`",
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
            "open the panel: changes, staging, commits, branches and graph",
            twin='hub.panel("git")',
        ),
    ),
    options=(
        Option(
            ("-C", "--repo"), "the folder of a repository in the workspace", "FOLDER", live="repo"
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
