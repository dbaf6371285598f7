"""The tape of a test, by the name of the test."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.tape.document import SUFFIX
from agentnb.testing.tapes import recording_for_tests, replay

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pytest

    from agentnb.core.hub import Hub

__all__ = ["tape_of"]

_NO_NAME = re.compile(r"[^\w.-]+")
_LONGEST = 120
_OPTIONS = {"clock", "ignore", "strict"}


def tape_of(
    request: pytest.FixtureRequest, hub: Hub, options: dict[str, Any], mode: str
) -> AbstractContextManager[Any]:
    """Return the block of a test's tape, recorded or replayed.

    Parameters
    ----------
    request
        That of the fixture.
    hub
        The test's.
    options
        Those of the mark: ``path``, and the options of `replay`.
    mode
        ``none``, ``new`` or ``all``: the tapes that are recorded.

    Raises
    ------
    NotFoundError
        There is no tape, and none is to be recorded.
    UsageError
        The mark has an option that is none.
    """
    path = Path("tapes") / f"{request.path.stem}.{_name(request)}{SUFFIX}"
    path = request.path.parent / options.pop("path", path)
    for option in options.keys() - _OPTIONS:
        raise UsageError(
            f"the mark agentnb_tape has no option {option}",
            service="tape",
            hint=f"options: path, {', '.join(sorted(_OPTIONS))}",
        )
    if mode == "all" or (mode == "new" and not path.exists()):
        return recording_for_tests(path, hub)
    if not path.exists():
        raise NotFoundError(
            f"the test has no tape {path}",
            service="tape",
            hint=f"record it: pytest --agentnb-record=new {request.node.nodeid}",
        )
    return replay(path, hub=hub, **options)


def _name(request: pytest.FixtureRequest) -> str:
    """Return the name of a test in that of its file: two tests never have the same."""
    whole = request.node.name
    if request.cls is not None:
        whole = f"{request.cls.__qualname__}.{whole}"
    test, _, parameters = whole.partition("[")
    parameters = parameters.removesuffix("]")
    whole = f"{test}-{parameters}" if parameters else test
    name = _NO_NAME.sub("-", whole).strip("-")
    if name == whole and len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{name.encode()[:_LONGEST].decode(errors='ignore')}-{digest}"
