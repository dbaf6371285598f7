"""Words as git's command line has them: revisions and ranges first, then paths."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from agentnb.core.errors import (
    AgentnbError,
    NotFoundError,
    RevisionNotFound,
    UsageError,
    did_you_mean,
)
from agentnb.core.git import arguments

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from agentnb.core.git.opened import Runner

__all__ = ["Interpreted", "Interpreter"]

_SUFFIX = re.compile(r"\^(?:!|@|-\d*)$")
_MOST_NAMES: Final = 20_000


class Interpreted(NamedTuple):
    """The revisions and the paths among words.

    Parameters
    ----------
    revisions
        Branches, tags, shas, ``HEAD~2``, and ranges of these.
    paths
        The paths, literally.
    """

    revisions: list[str]
    paths: list[str]


class Interpreter:
    """Tells revisions from paths in one repository.

    Parameters
    ----------
    run
        Runs git there.
    folder
        The folder that paths are relative to.
    prefix
        That folder as a path from the top of the repository.
    """

    def __init__(self, run: Runner, folder: Path, prefix: str) -> None:
        self._run, self._folder, self._prefix = run, folder, prefix

    def interpret(self, words: Sequence[str | os.PathLike[str]]) -> Interpreted:
        """Return which words are revisions, and which are paths.

        A word is a revision if git knows one by that name. The first one that is none, and all
        behind it, are paths: on disk, in what is staged, in the last commit or in a revision.

        Raises
        ------
        NotFoundError
            A word is neither.
        UsageError
            A word is both, or a revision stands behind a path.
        """
        texts = [word for word in words if isinstance(word, str)]
        known = self.known_revisions([arguments.plain(text, "revision or path") for text in texts])
        interpreted = Interpreted([], [])
        for word in words:
            if word not in known:
                interpreted.paths.extend(arguments.paths(word))
                continue
            if os.path.lexists(self._folder / word):
                raise UsageError(
                    f"{word!r} is a revision and a path",
                    service="git",
                    hint=f"a path is given by paths={word!r} (%git diff -- {word}); the "
                    f"branch is refs/heads/{word}",
                )
            if interpreted.paths:
                raise UsageError(
                    f"the revision {word!r} stands behind the path {interpreted.paths[0]!r}",
                    service="git",
                    hint="revisions come first, then paths= (%git diff REV REV -- PATH)",
                )
            interpreted.revisions.append(str(word))
        self.check_paths(interpreted.paths, interpreted.revisions, revisions_too=True)
        return interpreted

    def known_revisions(self, words: Iterable[str]) -> set[str]:
        """Return the words that are revisions or ranges of these."""
        ends = {word: list(_ends(word)) for word in words}
        asked = list(
            dict.fromkeys(end for several in ends.values() for way in several for end in way)
        )
        if not asked:
            return set()
        try:
            feed = "".join(f"{end}\n" for end in asked).encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise UsageError(
                f"a word cannot be passed to git: {error}",
                service="git",
                hint="write it without lone surrogates",
            ) from error
        output = self._run("cat-file", "--batch-check", feed=feed)
        found = {
            end
            for end, line in zip(asked, output.text.split("\n"), strict=False)
            if not line.endswith((" missing", " ambiguous"))
        }
        return {
            word for word, several in ends.items() if any(found.issuperset(way) for way in several)
        }

    def check_paths(
        self,
        paths: Sequence[str],
        revisions: Sequence[str] = (),
        *,
        revisions_too: bool = False,
        because: Exception | None = None,
    ) -> None:
        """Refuse a path that is neither on disk, nor staged, nor in the last commit or a revision.

        Parameters
        ----------
        paths
            Relative to the folder.
        revisions
            Further revisions in which one may be.
        revisions_too
            Whether the words could have been revisions.
        because
            The error of git that the refusal explains.

        Raises
        ------
        NotFoundError
            There is one.
        """
        for path in self.unknown_paths(paths, revisions):
            if revisions_too:
                message = f"{path!r:.200} is no revision, and no path here"
            else:
                message = f"there is no path {path!r:.200}: not on disk, not staged, not committed"
            raise self.no_path(path, message) from because

    def no_path(self, path: str, message: str) -> NotFoundError:
        """Return the error for an unknown path, with its likely meaning."""
        if (other := self._other_repository(path)) is None:
            return NotFoundError(message, service="git", hint=self.meaning(path))
        return NotFoundError(
            f"{path!r:.200} belongs to another repository: {other}",
            service="git",
            hint=f"hub.git.at({other!r})",
        )

    def unknown_paths(self, paths: Sequence[str], revisions: Sequence[str] = ()) -> list[str]:
        """Return the paths that are neither on disk, nor staged, nor in HEAD or a revision."""
        left = {
            path: os.path.normpath(os.path.join(self._prefix, path))  # noqa: PTH118 - in git's trees
            for path in paths
            if not os.path.lexists(self._folder / path) or self._other_repository(path)
        }
        if left:
            staged = self._run("ls-files", "-z", "--full-name", "--", *left).text.split("\0")
            left = _without(left, staged)
        trees = ["HEAD", *(end for word in revisions for way in _ends(word) for end in way)]
        for tree in dict.fromkeys(trees):
            if not left:
                break
            listed = self._run(
                *("ls-tree", "-z", "--name-only", "--full-tree", "--end-of-options", tree, "--"),
                *left.values(),
                fine=(0, 128),
            )
            left = _without(left, listed.text.split("\0"))
        return list(left)

    def _other_repository(self, path: str) -> str | None:
        """Return the submodule or nested repository that a path on disk is inside of."""
        up = os.path.relpath(".", self._prefix or ".")
        root = Path(os.path.normpath(self._folder / up))
        whole = Path(os.path.normpath(self._folder / path))
        for folder in whole.parents:
            if folder == root:
                break
            if root in folder.parents and os.path.lexists(folder / ".git"):
                return os.path.relpath(folder, self._folder)
        return None

    def meaning(self, path: str) -> str:
        """Return the likely meaning of a word that is no path, as a hint."""
        with suppress(AgentnbError):  # such as: several revisions have this name
            if not path.startswith("-") and self.known_revisions([path]):
                return f"{path} is a revision: hub.git.diff({path!r}) (%git diff {path})"
        return self._near(path)

    def no_revision(self, words: Iterable[str]) -> NotFoundError | None:
        """Return the error for the first word that is no revision, None where all are."""
        words = list(words)
        known = self.known_revisions(words)
        unknown = next((word for word in words if word not in known), None)
        if unknown is None:
            return None
        hint = self._near(unknown)
        if os.path.lexists(self._folder / unknown):
            hint = f"it is a path: hub.git.log(paths={unknown!r}) (%git log --path {unknown})"
        return RevisionNotFound(f"there is no revision {unknown!r}", service="git", hint=hint)

    def _near(self, word: str) -> str:
        if word == "HEAD":
            return (
                "there is no commit yet: hub.git.add_files([...]) (%git add), "
                "then hub.git.commit(TEXT) (%git commit -m TEXT)"
            )
        listed = self._run("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        files = listed.text.split("\0")[:_MOST_NAMES]
        refs = self._run(
            "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads", "refs/tags"
        ).text.split()
        return did_you_mean(word, [*refs, *files]) or (
            "hub.git.branches() and hub.git.log() (%git branch, %git log) list what there is, "
            "hub.git.status() (%git status) what has changed"
        )


def _ends(word: str) -> Iterator[tuple[str, ...]]:
    """Yield the ways to read a word as a revision, each as the revisions that it names.

    >>> list(_ends("main...topic"))
    [('main...topic',), ('main', 'topic'), ('main', '.topic')]
    """
    yield (word,)
    plain = _SUFFIX.sub("", word.removeprefix("^"))
    if plain and plain != word:
        yield (plain,)
    for dots in ("...", ".."):
        before, found, after = word.partition(dots)
        if found and (before or after):
            yield before or "HEAD", after or "HEAD"


def _without(left: dict[str, str], listed: Collection[str]) -> dict[str, str]:
    """Return the paths without those that are listed or contain a listed one."""
    return {
        path: inner
        for path, inner in left.items()
        if not any(each == inner or each.startswith(f"{inner}/") for each in listed)
    }
