"""Makes the files of a project, all or none of them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.errors import ConfigError, UsageError
from agentnb.core.expand import expand
from agentnb.core.project.naming import check_name

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Made", "init_project"]

_TEMPLATE = Path(__file__).parent / "template"
_NAME = "__NAME__"
_FILES = {
    "env.example": ".env.example",
    "gitignore": ".gitignore",
    "dockerignore": ".dockerignore",
    "README.md": "README.md",
    "pyproject.toml": "pyproject.toml",
    "requirements.txt": "requirements.txt",
    "Dockerfile": "Dockerfile",
    "wheels": "wheels/README.md",
    "init.py": f"{_NAME}/__init__.py",
    "agents.py": f"{_NAME}/agents.py",
    "notebook.ipynb": f"{_NAME}.ipynb",
    "test_agents.py": "tests/test_agents.py",
}
"""The files of the template, by the files of the project that they become."""
_HOME = ".agentnb"
_IGNORED = {".git"}
"""Names in a folder that counts as empty all the same."""


class Made(NamedTuple):
    """The files of a project, as paths below its folder.

    Attributes
    ----------
    folder
        The project's folder, absolute.
    new
        The files that were made.
    kept
        The files that were there already, and were left as they are.
    """

    folder: Path
    new: list[str]
    kept: list[str]


def init_project(target: str | Path, *, force: bool = False) -> Made:
    """Make a project in a folder: all of its files, or none where one cannot be made.

    Parameters
    ----------
    target
        The folder, which is made, or is empty. Its name becomes that of the package.
    force
        Whether the folder may hold files. None of them is overwritten.

    Returns
    -------
    Made
        The folder, and the files that were made and kept.

    Raises
    ------
    UsageError
        The name is no name of a package; the folder is a file or a link, or holds files.
    ConfigError
        The folder cannot be written to. Nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = init_project(f"{folder}/shop")
    >>> made.folder.name, made.new[-1], made.kept
    ('shop', 'tests/test_agents.py', [])
    """
    if not str(target).strip():
        raise UsageError(
            f"the folder of a project must have a name, got {str(target)!r}",
            service="project",
            hint="agentnb init my_shop",
        )
    # The links around it are resolved, those at its end and in it are refused.
    given = Path(os.path.abspath(expand(target, service="project")))  # noqa: PTH100 - no link is followed
    name = check_name(given)
    texts = {file.replace(_NAME, name): _text(one, name) for one, file in _FILES.items()}
    _check_folder(given, texts, force=force)
    undo: list[Path] = []
    try:
        new, kept = _make(given, texts, undo)
    except BaseException as error:
        _remove(undo)
        if isinstance(error, OSError):
            raise ConfigError(
                f"cannot write to {given}: {error.strerror}",
                service="project",
                hint="name a folder that you may write to; nothing was made",
            ) from error
        raise
    return Made(given, new, kept)


def _text(template: str, name: str) -> str:
    text = (_TEMPLATE / f"{template}.tmpl").read_text(encoding="utf-8")
    return text.replace(_NAME, name)


def _check_folder(folder: Path, texts: dict[str, str], *, force: bool) -> None:
    """Refuse what is no folder of its own, before anything is made."""
    for around in (folder, *folder.parents):
        if around.is_symlink() and around == folder:
            raise UsageError(
                f"{folder} is a link",
                service="project",
                hint=f"agentnb init {quote(str(folder.resolve()))}, where it leads",
            )
        if around.exists() and not around.is_dir():
            raise UsageError(
                f"{around} is a file", service="project", hint="name a folder, there already or not"
            )
    if not folder.exists():
        return
    there = sorted(one.name for one in folder.iterdir() if one.name not in _IGNORED)
    if there and not force:
        raise UsageError(
            f"{folder} holds files: {', '.join(there[:5])}{', ...' if there[5:] else ''}",
            service="project",
            hint=f"agentnb init --force {quote(str(folder))} makes what is missing, and "
            "overwrites nothing",
        )
    for one in _linked(folder, texts):
        raise UsageError(
            f"{one} is a link or no folder, and files would be made in it",
            service="project",
            hint=f"move it away: mv {one} {one}.old",
        )


def _linked(folder: Path, texts: dict[str, str]) -> Iterator[Path]:
    inner = dict.fromkeys([_HOME, *(str(Path(file).parent) for file in texts)])
    for one in (folder / name for name in inner if name != "."):
        if one.is_symlink() or (one.exists() and not one.is_dir()):
            yield one


def _make(folder: Path, texts: dict[str, str], undo: list[Path]) -> tuple[list[str], list[str]]:
    """Make the folders and the files that are missing; each is noted before it can be left."""
    new: list[str] = []
    kept: list[str] = []
    _make_folders(folder, undo)
    # It makes the folder a root of its own: what the project keeps stays in it.
    if not (folder / _HOME).exists():
        undo.append(folder / _HOME)
        (folder / _HOME).mkdir(mode=0o700)
    for file, text in texts.items():
        path = folder / file
        _make_folders(path.parent, undo)
        try:
            # "x" fails where anything exists, a dangling link too, without a race.
            with path.open("x", encoding="utf-8") as opened:
                undo.append(path)
                opened.write(text)
        except FileExistsError:
            kept.append(file)
        else:
            new.append(file)
    return new, kept


def _make_folders(folder: Path, undo: list[Path]) -> None:
    missing = []
    at = folder
    while not at.exists():
        missing.append(at)
        at = at.parent
    for one in reversed(missing):
        one.mkdir()
        undo.append(one)


def _remove(undo: list[Path]) -> None:
    for one in reversed(undo):
        with suppress(OSError):  # another program may have put something there meanwhile
            one.rmdir() if one.is_dir() else one.unlink()
