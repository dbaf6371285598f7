"""The tutorials that come with the package, and the copy of them that a person works in."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from agentnb.core.errors import ConfigError, UsageError
from agentnb.core.expand import expand

__all__ = ["FIRST", "Copied", "copy_tutorials"]

FIRST = "00_start.ipynb"
_KINDS = ("*.ipynb", "data/*.*", "guide/*.md", "scripts/*.py", "scripts/service/*.py")


class Copied(NamedTuple):
    """The copied and the kept files of the tutorials, as paths below the folder.

    Parameters
    ----------
    folder
        Where they are, absolute.
    new
        Those that were copied.
    kept
        Those that were there already and were left as they are.
    """

    folder: Path
    new: list[str]
    kept: list[str]


def copy_tutorials(target: str | Path) -> Copied:
    """Copy the tutorials, guides, data and scripts to a folder; nothing that exists is overwritten.

    The folder also becomes a root of its own, by an empty ``.agentnb`` in it: what the
    tutorials create stays there.

    Parameters
    ----------
    target
        The folder; made if it is not there.

    Raises
    ------
    UsageError
        If the target is a file.
    ConfigError
        If the folder cannot be written to.
    """
    folder = expand(target, service="tutorials").absolute()
    source = _source()
    new: list[str] = []
    kept: list[str] = []
    try:
        (folder / ".agentnb").mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (path for kind in _KINDS for path in sorted(source.glob(kind))):
            name = path.relative_to(source).as_posix()
            (new if _copy(path, folder / name) else kept).append(name)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(
            f"{folder} is not a folder",
            service="tutorials",
            hint="name a folder, there already or not",
        ) from error
    except OSError as error:
        raise ConfigError(
            f"cannot write to {folder}: {error.strerror}",
            service="tutorials",
            hint="name a folder that you may write to",
        ) from error
    return Copied(folder, new, kept)


def _source() -> Path:
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "tutorials", package.parent / "notebooks"):  # a wheel; a checkout
        if folder.is_dir():
            return folder
    raise ConfigError(
        "the tutorials are not in this installation",
        service="tutorials",
        hint="install agentnb-toolkit again, from its wheel or its checkout",
    )


def _copy(source: Path, target: Path) -> bool:
    target.parent.mkdir(exist_ok=True)
    try:
        # "x" fails where anything exists, a dangling link too, without a race.
        with target.open("xb") as file:
            try:
                file.write(source.read_bytes())
            except OSError:
                target.unlink()  # half a notebook would be kept for good
                raise
    except FileExistsError:
        return False
    return True
