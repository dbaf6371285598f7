"""Variables from files, as ``docker run --env-file`` reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.copying import host_file
from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["variables_in", "with_files"]

# Source: https://pkg.go.dev/strings#Fields for what is white space, docker/cli opts/file.go.
_SPACE = " \t\n\v\f\r\u0085\u00a0"
_BLANK = re.compile(r"\s")


def variables_in(text: str, name: str, environment: Mapping[str, str]) -> dict[str, str]:
    r"""Return the variables of a file: one a line, with a value that is taken as it is.

    Parameters
    ----------
    text
        What is in the file. Empty lines and those that begin with ``#`` say nothing; quotes and
        spaces are part of a value.
    name
        The file's, for errors.
    environment
        Where a line that is a name alone finds its value.

    Examples
    --------
    >>> variables_in("# db\nA=1\nB='x, y'\nHOME\n", ".env", {"HOME": "/root"})
    {'A': '1', 'B': "'x, y'", 'HOME': '/root'}

    Raises
    ------
    UsageError
        A line has no name, or its name has white space or no value.
    """
    found: dict[str, str] = {}
    for number, whole in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = whole.removesuffix("\r").lstrip(_SPACE)
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not key or _BLANK.search(key):
            raise _malformed(name, number, "has no name" if not key else "has a space in its name")
        if not equals:
            if key not in environment:
                raise _malformed(name, number, f"names {key}, which has no value here")
            value = environment[key]
        found[key] = value
    return found


def _malformed(name: str, number: int, what: str) -> UsageError:
    # Never the line, which may be secret.
    return UsageError(
        f"line {number} of {name} {what}", service="docker", hint="each line is NAME=VALUE"
    )


def _no_path(value: object) -> UsageError:
    return UsageError(
        f"env_file must be a path, or a list of paths, got {value!r:.80}",
        service="docker",
        hint="env_file='.env'",
    )


def with_files(paths: Any, env: Any, roots: Sequence[Path]) -> Any:
    """Return variables with those of files beneath them; a later file wins over an earlier one.

    Parameters
    ----------
    paths
        A file, or several.
    env
        The variables that a call gives, which win; None for none.
    roots
        The folders that the files must be in; none for anywhere.

    Raises
    ------
    NotFoundError
        There is no such file.
    UsageError
        It is not one, or a line of it is malformed; or `paths` are none.
    """
    several = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    if not isinstance(several, Iterable) or isinstance(several, (bytes, Mapping)):
        raise _no_path(several)
    if not (env is None or isinstance(env, Mapping)):
        return env  # said where the variables are checked
    found: dict[Any, Any] = {}
    for path in several:
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
            raise _no_path(path)
        data, _ = host_file("env_file", Path(path), roots)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{str(path)!r} is not UTF-8 at byte {error.start}",
                service="docker",
                hint="save it as UTF-8",
            ) from error
        found |= variables_in(text, str(path), os.environ)
    return {**found, **(env or {})}
