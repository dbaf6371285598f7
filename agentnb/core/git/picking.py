"""A commit of some paths, made beside the index, so that nothing that is staged there is touched.

``git commit -- paths`` reads the index before it takes its lock: what somebody stages in between
is lost. Here the tree is put together in an index of its own, the branch is moved only if it is
still where it was, and then the entries of these paths alone are set in the user's index.
"""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from agentnb.core.errors import RejectedError, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentnb.core.git.executor import Output
    from agentnb.core.git.place import Place

__all__ = ["Runner", "commit_paths"]

_AUTHOR = re.compile(r"\s*(?P<name>[^<>\n]+?)\s*<(?P<email>[^<>\n]+)>\s*")
_MOVED = re.compile(r"but expected|cannot lock ref|reference already exists")
_ATTEMPTS: Final = 20
_UNDER_WAY: Final = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")


class Runner(Protocol):
    """Runs git in the repository, as `Base` does."""

    def __call__(
        self,
        *words: str,
        feed: bytes | None = None,
        variables: Mapping[str, str] | None = None,
        fine: Sequence[int] = (0,),
    ) -> Output:
        """Run it and return what it said."""


def commit_paths(
    run: Runner,
    found: Place,
    paths: Sequence[str],
    message: str,
    *,
    author: str | None = None,
    allow_empty: bool = False,
) -> str:
    """Commit these paths as they are in the work tree, and return the sha.

    Raises
    ------
    RejectedError
        Nothing in them has changed, or a merge waits to be committed as a whole.
    UnavailableError
        The branch kept moving; or it was committed, but the index stayed locked.
    """
    for name in _UNDER_WAY:
        if (found.git_dir / name).exists():
            raise RejectedError(
                "a merge is committed as a whole, not by paths",
                service="git",
                hint="solve and stage what hub.git.status() lists, then commit without paths",
            )
    own = found.git_dir / f"agentnb-index-{secrets.token_hex(6)}"
    beside = {"GIT_INDEX_FILE": str(own)}
    try:
        for _ in range(_ATTEMPTS):
            head = run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", fine=(0, 1, 128))
            parent = head.text.strip() if head.code == 0 else ""
            tree = _tree(run, beside, parent, paths)
            if not allow_empty:
                _changed_or_error(run, parent, tree)
            sha = _committed(run, tree, parent, message, author)
            if _moved(run, sha, parent, message):
                _set_entries(run, sha, parent)
                return sha
    finally:
        for file in (own, own.with_name(f"{own.name}.lock")):
            with suppress(OSError):
                file.unlink()
    raise UnavailableError("the branch kept moving", service="git", hint="try again")


def _tree(run: Runner, beside: Mapping[str, str], parent: str, paths: Sequence[str]) -> str:
    """Return the tree of the last commit with these paths as they are now."""
    run("read-tree", *([parent] if parent else ["--empty"]), variables=beside)
    run("add", "--all", "--", *paths, variables=beside)
    return run("write-tree", variables=beside).text.strip()


def _changed_or_error(run: Runner, parent: str, tree: str) -> None:
    if parent:
        changed = run("rev-parse", f"{parent}^{{tree}}").text.strip() != tree
    else:
        changed = bool(run("ls-tree", tree).out)
    if not changed:
        raise RejectedError(
            "there is nothing to commit in these paths",
            service="git",
            hint="hub.git.status() lists what has changed",
        )


def _committed(run: Runner, tree: str, parent: str, message: str, author: str | None) -> str:
    variables = {}
    if author is not None:
        who = _AUTHOR.fullmatch(author)
        if who is None:
            raise UsageError(f"{author!r} is no author", service="git", hint='"Name <email>"')
        variables = {"GIT_AUTHOR_NAME": who["name"], "GIT_AUTHOR_EMAIL": who["email"]}
    lines = "\n".join(line.rstrip() for line in message.strip("\n").splitlines())
    feed = f"{lines}\n".encode("utf-8", "surrogateescape")
    parents = ["-p", parent] if parent else []
    words = ("commit-tree", "--no-gpg-sign", tree, *parents)
    return run(*words, feed=feed, variables=variables).text.strip()


def _moved(run: Runner, sha: str, parent: str, message: str) -> bool:
    """Move the branch, if it is still where it was; return whether it was."""
    subject = message.strip().splitlines()[0][:200]
    about = f"commit: {subject}" if parent else f"commit (initial): {subject}"
    output = run("update-ref", "-m", about, "HEAD", sha, parent, fine=(0, 1, 128))
    if output.code == 0:
        return True
    if _MOVED.search(output.err):
        return False
    run("update-ref", "-m", about, "HEAD", sha, parent)  # and raise what it says
    return True


def _set_entries(run: Runner, sha: str, parent: str) -> None:
    """Set what was committed in the user's index, and nothing else there."""
    options = ("-r", "--raw", "--no-renames", "--no-abbrev", "--no-commit-id", "-z")
    between = [parent, sha] if parent else ["--root", sha]
    fields = run("diff-tree", *options, *between).out.split(b"\0")
    entries = []
    for about, path in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, content, _ = about.split(b" ")
        entries.append(b"%s %s\t%s\0" % (mode, content, path))
    try:
        run("update-index", "-z", "--index-info", feed=b"".join(entries))
    except UnavailableError as error:
        raise UnavailableError(
            f"committed as {sha}, but the index could not be brought up to it: {error.message}",
            service="git",
            hint="once that lock is gone, stage those paths: hub.git.add_files([...])",
        ) from error
    # Without it every status would read these files again, to see that they are the same. Not
    # with -q: where git finds the index locked, that leaves without the word that is waited upon.
    with suppress(UnavailableError):  # that status is slower is no reason to call this a failure
        run("update-index", "--refresh", fine=(0, 1))
