"""The text of a path, taken apart; whether it stays inside is for the kernel to say."""

from __future__ import annotations

import os
import secrets
from typing import Final

from agentnb.core.errors import PathEscape, UsageError

__all__ = [
    "MAX_DEPTH",
    "is_temporary",
    "joined",
    "parts_of",
    "refuse_folder",
    "shown",
    "split_last",
    "temporary",
]

MAX_DEPTH: Final = 128
"""Folders within folders that a path may name."""

_START, _END = ".agentnb-", ".tmp"


def parts_of(path: str | os.PathLike[str], root: str) -> list[str]:
    """Return the names that a path goes through, without ``.``; the workspace itself has none.

    Parameters
    ----------
    path
        Relative to the workspace; an absolute one has to begin with the workspace's own.
    root
        The workspace's own path, absolute.

    Raises
    ------
    UsageError
        It is no path: empty, not text, with a NUL byte, of more than `MAX_DEPTH` names, or
        with one of those that `temporary` gives.
    PathEscape
        It is absolute and lies elsewhere.
    """
    text = path if type(path) is str else _text(path)
    if not text:
        raise _no_path("a path is empty", hint="the workspace itself is '.'")
    if "\0" in text:
        raise _no_path(f"a path holds a NUL byte: {shown(text)}")
    if text[0] == "/":
        text = _below(text, root)
    parts = [part for part in text.split("/") if part and part != "."]
    if len(parts) > MAX_DEPTH:
        raise _no_path(f"a path of {len(parts):,} names is too deep; {MAX_DEPTH} are allowed")
    if _START in text and any(map(is_temporary, parts)):
        raise _no_path(f"{shown(text)}: such names are for what is not finished, and are swept")
    if not text.isascii():
        try:
            os.fsencode(text)
        except UnicodeEncodeError as error:
            raise _no_path(f"a path that no file system can write: {shown(text)}") from error
    return parts


def _text(path: object) -> str:
    try:
        text: object = os.fspath(path)  # type: ignore[call-overload]  # it says whether it can
    except TypeError as error:
        raise _no_path(f"a path is text, not {type(path).__name__}") from error
    if not isinstance(text, str):
        raise _no_path("a path is text, not bytes")
    return text


def _below(text: str, root: str) -> str:
    """Return an absolute path, such as one of `resolve_path`, relative to the root."""
    start = root.rstrip("/")
    if text == start or text.startswith(start + "/"):
        return text[len(start) :] or "."
    raise PathEscape(
        f"{shown(text)} is outside the workspace",
        service="files",
        hint=f"paths are relative to {start}",
    )


def _no_path(message: str, hint: str | None = None) -> UsageError:
    return UsageError(message, service="files", hint=hint)


def split_last(parts: list[str], path: object) -> tuple[list[str], str]:
    """Return the names of the folder and the name in it.

    Raises
    ------
    UsageError
        The path ends in the workspace itself or in ``..``, which has no name to give or take.
    """
    if not parts or parts[-1] == "..":
        raise _no_path(
            f"{shown(str(path))} names a folder by the way to it",
            hint="name it as it is called in the folder that it lies in",
        )
    return parts[:-1], parts[-1]


def refuse_folder(path: str) -> None:
    """Refuse a path that ends in a slash, where a file's is wanted.

    Raises
    ------
    UsageError
        It does.
    """
    if path.endswith("/"):
        raise _no_path(f"{shown(path)} names a folder", hint="add the name of the file")


def joined(*parts: str) -> str:
    """Return the path of some names; of none, the workspace's.

    >>> joined("src", "main.py"), joined("", "a"), joined()
    ('src/main.py', 'a', '.')
    """
    return "/".join(part for part in parts if part not in {"", "."}) or "."


def shown(path: str) -> str:
    r"""Return a path for display: one line, quoted where it has invisible characters.

    >>> shown("a b.txt"), shown("a\nb")
    ('a b.txt', "'a\\nb'")
    """
    return path if path.isprintable() else ascii(path)


def temporary() -> str:
    """Return the name of an unfinished file: never listed, and removed if its owner dies."""
    return f"{_START}{secrets.token_hex(8)}{_END}"


def is_temporary(name: str) -> bool:
    """Return whether a name is one of `temporary`.

    >>> is_temporary(temporary()), is_temporary(".agentnb-notes")
    (True, False)
    """
    return (
        len(name) == len(_START) + 16 + len(_END)
        and name.startswith(_START)
        and name.endswith(_END)
    )
