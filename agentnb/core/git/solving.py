"""Files in conflict: list them, take a side of them, and keep their markers out of commits."""

from __future__ import annotations

import re
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING, Final, Literal

from agentnb.core.errors import NotFoundError, RejectedError, UsageError, did_you_mean
from agentnb.core.git import arguments, operations
from agentnb.core.git.conflicts import SIDES, Conflict, Conflicts
from agentnb.core.git.markers import marked_lines
from agentnb.core.git.opened import listed
from agentnb.core.keywords import refuse_unknown

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Sequence

    from agentnb.core.git.opened import OpenRepository, Stages
    from agentnb.core.git.repository import Repository

__all__ = ["Side", "Solver", "branch_at", "check_markers", "check_staged_markers", "files"]

Side = Literal["ours", "theirs"]
_MARKER: Final = re.compile(r"^(?P<path>.*):\d+: leftover conflict marker$", re.MULTILINE)


@refuse_unknown("git")
class Solver:
    """Lists files in conflict and resolves them.

    Parameters
    ----------
    repository
        The repository.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def conflicts(
        self,
        paths: str | os.PathLike[str] | list[str] | None = None,
        *,
        base: bool = False,
    ) -> Conflicts:
        """Return the files in conflict; shown, both sides are beside each other.

        Of a notebook the cells are compared, of any other text the lines.

        Parameters
        ----------
        paths
            Only these, or those below these folders.
        base
            Show the version from which both sides began, too.

        Returns
        -------
        Conflicts
            One `Conflict` for each file: ``path``, ``kind``, ``content(side)``, ``blocks()``.
            There are none where nothing is in conflict.

        Raises
        ------
        NotFoundError
            There is no such path.
        """
        given = None if paths is None else arguments.paths(paths)
        repo = self._repository.open()
        doing = operations.current(repo.folders)
        ours, theirs = _side_names(repo, doing)
        found = files(repo, repo.unmerged(given))
        if given and not found:
            repo.interpreter().check_paths(given)
            doing = ""  # of these is nothing left to do, but perhaps of others
        return Conflicts(found, doing=doing, ours=ours, theirs=theirs, base=base)

    def resolve(
        self,
        paths: str | os.PathLike[str] | list[str] | None = None,
        take: Side | None = None,
        *,
        parts: bool = False,
        force: bool = False,
    ) -> list[str]:
        """Take one side of files in conflict, or mark them as solved as they are, and stage them.

        Parameters
        ----------
        paths
            The files, or folders with all that are in conflict below them; by default all of the
            repository.
        take
            ``"ours"``, the current branch's version, or ``"theirs"``, the one that is merged;
            the other one is discarded, with all its changes. By default the files stay as you
            have edited them. (In a rebase *ours* is the branch that it goes onto, and *theirs*
            your commit.)
        parts
            Take the side only of what both have changed (lines, or the cells of a notebook), and
            keep all other changes of both. Your edits of the file are lost.
        force
            Mark files as solved even where conflict markers are left in them.

        Returns
        -------
        list of str
            The files that were in conflict.

        Raises
        ------
        NotFoundError
            None of them is in conflict.
        RejectedError
            Conflict markers are left in one; or one has no parts, such as a binary file.
        """
        given = None if paths is None else arguments.paths(paths)
        if take not in {"ours", "theirs", None}:
            raise UsageError(
                f"take must be 'ours' or 'theirs', got {take!r}", service="git", hint='take="ours"'
            )
        repo = self._repository.open()
        found = repo.unmerged(given)
        if not found:
            known = [repo.shown(path) for path in repo.unmerged()]
            named = ", ".join(given or ())
            raise NotFoundError(
                f"no conflict in {named}" if named else "no file is in conflict",
                service="git",
                hint=did_you_mean(named, known)
                or (f"in conflict: {listed(known)}" if known else "hub.git.status() (%git status)"),
            )
        if parts and take is None:
            raise UsageError("parts needs a side", service="git", hint='take="ours", or "theirs"')
        if take is None:
            if not force:
                _refuse_marked(repo, found)
            repo.run_on(("add", "--all", "--force"), found, doing="resolve")
        elif parts:
            _take_parts(repo, found, take)
        else:
            _take(repo, found, take)
        return [repo.shown(path) for path in found]


def files(repo: OpenRepository, unmerged: dict[str, Stages]) -> list[Conflict]:
    """Return the conflicts of the files of which git has several versions."""
    return [
        Conflict.of(repo.shown(path), stages, repo.run, partial(_current, repo, path))
        for path, stages in unmerged.items()
    ]


def _current(repo: OpenRepository, path: str) -> bytes:
    """Return the content of a file of the work tree; nothing unless it is a regular file."""
    file = repo.folders.root / path
    return b"" if file.is_symlink() or not file.is_file() else file.read_bytes()


def _side_names(repo: OpenRepository, doing: str) -> tuple[str, str]:
    here = repo.branch() or repo.head()[:10]
    if doing == "merge":
        return here, branch_at(repo, "MERGE_HEAD")
    if doing == "rebase":
        return "the branch that the rebase goes onto", "your commit"
    if doing in {"cherry-pick", "revert"}:
        return here, f"the {doing}"
    return here, "the stash or patch"


def branch_at(repo: OpenRepository, revision: str) -> str:
    """Return the name of a branch that ends at a commit, else the short name of the commit."""
    options = ("--format=%(refname:lstrip=2)", "--count=1", f"--points-at={revision}")
    output = repo.run("for-each-ref", *options, "refs/heads", "refs/remotes", "refs/tags")
    return output.text.strip() or repo.sha(revision)[:10]


def _take(repo: OpenRepository, found: dict[str, Stages], take: Side) -> None:
    """Put one side of each file into the work tree and the index."""
    chosen = {path: stages.get(SIDES[take]) for path, stages in found.items()}
    gone = [path for path, stage in chosen.items() if stage is None]
    modules = {path: stage for path, stage in chosen.items() if stage and stage.is_submodule}
    files = [path for path, stage in chosen.items() if stage and path not in modules]
    repo.run_on(("checkout", "--quiet", f"--{take}"), files, doing="resolve")
    repo.run_on(("add", "--all", "--force"), files, doing="resolve")
    repo.run_on(("rm", "--quiet", "--force"), gone, doing="resolve")
    for path, stage in modules.items():
        repo.run("update-index", "--cacheinfo", f"{stage.mode},{stage.name},{path}")


def _take_parts(repo: OpenRepository, found: dict[str, Stages], take: Side) -> None:
    """Keep the changes of both sides; where both changed, take one side."""
    contents = {each.path: each.merged(take) for each in files(repo, found)}
    without = [path for path, content in contents.items() if content is None]
    if without:
        raise RejectedError(
            f"no parts, but no text or one side only: {listed(without)}",
            service="git",
            hint=f"take one side of it as a whole: hub.git.resolve({without[0]!r}, {take!r}) "
            f"(%git resolve --{take} {quote(without[0])})",
        )
    for (path, stages), content in zip(found.items(), contents.values(), strict=True):
        modes = {name: stages[stage].mode for name, stage in SIDES.items() if stage in stages}
        mode = modes["theirs"] if modes["ours"] == modes.get("base") else modes["ours"]
        sha = repo.run("hash-object", "-w", "--stdin", "--no-filters", feed=content).text.strip()
        repo.run("update-index", "--add", "--cacheinfo", f"{mode},{sha},{path}", doing="resolve")
    options = ("--quiet", "--worktree", "--no-recurse-submodules")
    repo.run_on(("restore", *options), found, doing="resolve")


def check_markers(repo: OpenRepository, paths: Sequence[str]) -> None:
    """Refuse to stage files in conflict that still have the markers of it.

    Parameters
    ----------
    repo
        The repository.
    paths
        The paths that are to be staged, as the manager has them.

    Raises
    ------
    RejectedError
        There is one.
    """
    if _may_conflict(repo):
        _refuse_marked(repo, repo.unmerged(paths))


def _may_conflict(repo: OpenRepository) -> bool:
    """Return whether a file may be in conflict: an operation waits, or a stash exists.

    It spares the question to git where nothing can be in conflict.
    """
    stashed = repo.folders.common_dir / "logs" / "refs" / "stash"
    return bool(operations.current(repo.folders)) or stashed.exists()


def _refuse_marked(repo: OpenRepository, found: Collection[str]) -> None:
    lines = {path: marked_lines(_current(repo, path)) for path in found}
    marked = {repo.shown(path): numbers[0] for path, numbers in lines.items() if numbers}
    if marked:
        _refuse_markers(marked, f"hub.git.resolve({next(iter(marked))!r}, force=True)")


def _refuse_markers(marked: dict[str, int], anyway: str) -> None:
    where = listed([f"{path} line {line:,}" for path, line in marked.items()])
    path = next(iter(marked))
    raise RejectedError(
        f"conflict markers are left in {where}",
        service="git",
        hint="hub.git.conflicts() (%git conflicts) shows both sides; edit the file, or take one: "
        f"hub.git.resolve({path!r}, 'ours') (%git resolve --ours {quote(path)}, or --theirs). "
        f"If the markers belong there: {anyway}",
    )


def check_staged_markers(repo: OpenRepository) -> None:
    """Refuse a commit in the middle of an operation while markers are staged.

    Raises
    ------
    RejectedError
        Some are.
    """
    if not operations.current(repo.folders):
        return
    output = repo.run("diff", "--cached", "--check", "--no-ext-diff", "HEAD", "--", fine=(0, 2))
    marked: dict[str, int] = {}
    # It counts an underlined heading too.
    for path in dict.fromkeys(found["path"] for found in _MARKER.finditer(output.text)):
        lines = marked_lines(repo.run("cat-file", "blob", f":{path}").out)
        if lines:
            marked[repo.shown(path)] = lines[0]
    if marked:
        _refuse_markers(marked, "hub.git.merge_continue(force=True)")
