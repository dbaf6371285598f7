"""The arguments of the functions for tests, checked: a test says its mistake in its own words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from agentnb.core.hub import Hub

__all__ = ["check_hub", "check_modules", "mapping_of", "names_of"]


def check_hub(hub: Hub) -> None:
    """Raise an error for what is no hub."""
    from agentnb.core.hub import Hub

    if not isinstance(hub, Hub):
        raise UsageError(
            f"hub must be a Hub, got {hub!r:.80}",
            service="testing",
            hint="def test_it(hub): gives the fixture, with isolated_hub() as hub: a hub",
        )


def check_modules(modules: Iterable[ModuleType]) -> None:
    """Raise an error for what is no module."""
    for one in modules:
        if not isinstance(one, ModuleType):
            raise UsageError(
                f"a module is given as itself, got {one!r:.80}",
                service="testing",
                hint="import shop, then register(hub, shop)",
            )


def names_of(argument: str, names: Iterable[str] | None) -> set[str] | None:
    """Return names as a set, None for all; one text is refused: its letters are no names."""
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UsageError(
            f"{argument} must be a list of names, got {names!r:.80}",
            service="testing",
            hint=f"{argument}=[{names!r:.80}]",
        )
    return set(names)


def mapping_of(argument: str, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return a mapping by name; an empty one for None."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UsageError(
            f"{argument} must be a dict by name, got {given!r:.80}",
            service="testing",
            hint=f'{argument}={{"name": 1}}',
        )
    return given
