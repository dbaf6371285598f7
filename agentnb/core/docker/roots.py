"""The folders of this machine from which containers and builds may be given files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from agentnb.core.errors import OptionRefused, PathEscape
from agentnb.core.hidden import Hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["Roots", "refuse_outside"]


class Roots(tuple["Path", ...]):  # noqa: SLOT001 - a tuple has no room for slots
    """The folders, none for anywhere; and the home, which is hidden in them.

    Parameters
    ----------
    folders
        The folders.
    home
        The home of the hub.
    """

    home: Path | None

    def __new__(cls, folders: Iterable[Path] = (), home: Path | None = None) -> Self:
        """Return the folders as a tuple that knows the home."""
        made = super().__new__(cls, folders)
        made.home = home
        return made


def refuse_outside(option: str, given: object, real: Path, roots: Sequence[Path]) -> None:
    """Refuse a file or folder that is outside of the roots, or hidden in one.

    The home and the inside of ``.git`` are hidden, as they are from files of the workspace; so
    is ``.env``, but for the option that reads variables from it.

    Parameters
    ----------
    option
        The option that names it.
    given
        As it was given.
    real
        Its path, free of links.
    roots
        The folders, none for anywhere.

    Raises
    ------
    OptionRefused
        It is outside, or hidden.
    """
    if not roots:
        return
    inside = [root.resolve() for root in roots if real.is_relative_to(root.resolve())]
    if not inside:
        raise OptionRefused(
            f"the option {option!r} is refused with {str(given)!r}: it is outside of the project",
            service="docker",
            hint=f"copy it into {' or '.join(str(root) for root in roots)}",
        )
    home = getattr(roots, "home", None)
    for root in inside:
        parts = real.relative_to(root).parts
        if option == "env_file" and parts[-1:] == (".env",):
            parts = parts[:-1]
        try:
            Hidden.below(root, home).refuse(parts)
        except PathEscape as error:
            raise OptionRefused(
                f"the option {option!r} is refused with {str(given)!r}: it is hidden, as the home, "
                ".env and the inside of .git are",
                service="docker",
                hint="copy what the container is to have to another file",
            ) from error
