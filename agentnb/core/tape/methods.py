"""Whole methods of a service on a tape, by a decorator of their class."""

from __future__ import annotations

import inspect
from functools import wraps
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.tape.hook import Operation, active
from agentnb.core.tape.values import digested, dump, masked_again, raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.tape.hook import Form

__all__ = ["on_tapes"]

C = TypeVar("C", bound=type)
F = TypeVar("F", bound="Callable[..., Any]")


def on_tapes(
    service: str,
    redactor: str,
    forms: dict[str, Callable[[Any], Form]],
    *,
    names: Callable[[Any], dict[str, Any]] = lambda _: {},
    refused: dict[str, str] | None = None,
) -> Callable[[C], C]:
    """Record methods of a class as one call each, and answer them from a tape that replays.

    What a method calls within it is not recorded. A coroutine function with an ``a`` in front of
    its name is the same call as the method without it; awaited twins need nothing.

    Parameters
    ----------
    service
        The service.
    redactor
        The attribute that has the redactor, such as ``"_redactor"``.
    forms
        The methods: each returns the form of its answers for an object.
    names
        Returns arguments that an object adds to those of its methods, such as its name.
    refused
        Methods that cannot be replayed, with the reason.
    """
    mask = attrgetter(redactor)

    def decorated(cls: C) -> C:
        for name, form in forms.items():
            setattr(cls, name, _taped(vars(cls)[name], service, name, mask, form, names, ""))
        for name, reason in (refused or {}).items():
            function = vars(cls)[name]
            setattr(cls, name, _taped(function, service, name, mask, None, names, reason))
        return cls

    return decorated


def _has(parameter: inspect.Parameter) -> bool:
    return parameter.default is not inspect.Parameter.empty


def _taped(
    function: F,
    service: str,
    name: str,
    redactor: Callable[[Any], Callable[[str], str]],
    form: Callable[[Any], Form] | None,
    names: Callable[[Any], dict[str, Any]],
    reason: str,
) -> F:
    parameters = inspect.signature(function).parameters
    positions = [one for one in parameters if one != "self"]
    defaults = {one.name: dump(one.default, raw) for one in parameters.values() if _has(one)}
    awaited = inspect.iscoroutinefunction(function)
    operation = name.removeprefix("a") if awaited else name

    def prepared(given: Any, mask: Callable[[str], str]) -> dict[str, Any]:
        own, args, options = given
        found = {**own, **dict(zip(positions, args, strict=False)), **options}
        if len(args) > len(positions):
            found["more"] = list(args[len(positions) :])
        return {
            key: masked_again(value, mask)
            for key, value in found.items()
            # One that is given as its default is the same call as without it.
            if key not in defaults or defaults[key] != value
        }

    def described(self: Any, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any]:
        given = (
            names(self),
            [dump(digested(one), raw) for one in args],  # now: the caller may change it
            {key: dump(digested(one), raw) for key, one in options.items()},
        )
        made = None if form is None else form(self)
        return Operation(service, operation, made, reason, prepared), given

    if awaited:

        @wraps(function)
        async def acall(self: Any, /, *args: Any, **options: Any) -> Any:
            tape = active()
            if tape is None:
                return await function(self, *args, **options)
            found, given = described(self, args, options)
            return await tape.acall(
                found, given, lambda: function(self, *args, **options), redactor(self)
            )

        return acall  # type: ignore[return-value]  # of the same signature

    @wraps(function)
    def call(self: Any, /, *args: Any, **options: Any) -> Any:
        tape = active()
        if tape is None:
            return function(self, *args, **options)
        found, given = described(self, args, options)
        return tape.call(found, given, lambda: function(self, *args, **options), redactor(self))

    return call  # type: ignore[return-value]  # as above
