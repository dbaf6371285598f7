"""Whole methods of a service on a tape, by a decorator of their class."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial, wraps
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.delegate import delegate
from agentnb.core.tape.hook import Operation, active
from agentnb.core.tape.values import digested, dump, masked_again, raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.tape.hook import Form

__all__ = ["on_tapes"]

C = TypeVar("C", bound=type)


def on_tapes(
    service: str,
    redactor: str,
    forms: dict[str, Callable[[Any], Form]],
    *,
    names: Callable[[Any], dict[str, Any]] = lambda _: {},
    refused: dict[str, str] | None = None,
    items: str = "",
) -> Callable[[C], C]:
    """Record methods of a class as one call each, and answer them from a tape that replays.

    Calls that a method makes itself are not recorded. A coroutine function with an ``a`` before
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
    items
        An argument that may be read once, such as a generator: its items are what a tape keeps.
    """

    def decorated(cls: C) -> C:
        chosen: dict[str, tuple[Callable[[Any], Form] | None, str]] = {
            **{name: (form, "") for name, form in forms.items()},
            **{name: (None, reason) for name, reason in (refused or {}).items()},
        }
        for name, (form, reason) in chosen.items():
            method = vars(cls)[name]
            part = isinstance(method, delegate)
            taped = _Method(method.method if part else method, service, form, reason)
            taped.redactor, taped.names = attrgetter(redactor), names
            taped.items = items
            if part:
                method.around = taped.around
            else:
                setattr(cls, name, taped.wrapped())
        return cls

    return decorated


class _Method:
    """One method: its call on a tape."""

    redactor: Callable[[Any], Callable[[str], str]]
    names: Callable[[Any], dict[str, Any]]
    items: str

    def __init__(
        self,
        function: Callable[..., Any],
        service: str,
        form: Callable[[Any], Form] | None,
        reason: str,
    ) -> None:
        self._function = function
        self._service = service
        self._form = form
        self._reason = reason
        self._awaited = inspect.iscoroutinefunction(function)
        name = function.__name__
        self._name = name.removeprefix("a") if self._awaited else name
        parameters = inspect.signature(function).parameters
        self._positions = [one for one in parameters if one != "self"]
        self._defaults = {
            one.name: dump(one.default, raw)
            for one in parameters.values()
            if one.default is not inspect.Parameter.empty
        }

    def _read(self, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any]:
        """Return the arguments with the items of one that may be read once as a list."""
        if not self.items or self.items not in self._positions:
            return args, options
        at = self._positions.index(self.items)
        if self.items in options:
            return args, {**options, self.items: _listed(options[self.items])}
        if at < len(args):
            return (*args[:at], _listed(args[at]), *args[at + 1 :]), options
        return args, options

    def _described(self, instance: Any, args: Any, options: Any) -> tuple[Operation, Any]:
        """Return the operation of a call and its arguments, dumped: the caller may change them."""
        given = (
            self.names(instance),
            [dump(digested(one), raw) for one in args],
            {key: dump(digested(one), raw) for key, one in options.items()},
        )
        form = None if self._form is None else self._form(instance)
        return Operation(self._service, self._name, form, self._reason, self._prepared), given

    def _prepared(self, given: Any, mask: Callable[[str], str]) -> dict[str, Any]:
        """Return the arguments of a call by name."""
        own, args, options = given
        found = {**own, **dict(zip(self._positions, args, strict=False)), **options}
        if len(args) > len(self._positions):
            found["more"] = list(args[len(self._positions) :])
        return {
            key: masked_again(value, mask)
            for key, value in found.items()
            # One that is given as its default is the same call as without it.
            if key not in self._defaults or self._defaults[key] != value
        }

    def around(self, instance: Any, bound: Callable[..., Any]) -> Callable[..., Any]:
        """Return what is called for a part's method; see `delegate.around`."""
        tape = active()
        if tape is None:
            return bound

        def called(*args: Any, **options: Any) -> Any:
            operation, given = self._described(instance, args, options)
            mask = self.redactor(instance)
            return tape.call(operation, given, lambda: bound(*args, **options), mask)

        return called

    def wrapped(self) -> Callable[..., Any]:
        """Return the function in the place of the method."""
        function = self._function

        @wraps(function)
        async def acall(instance: Any, /, *args: Any, **options: Any) -> Any:
            tape = active()
            if tape is None:
                return await function(instance, *args, **options)
            args, options = self._read(args, options)
            operation, given = self._described(instance, args, options)
            mask = self.redactor(instance)
            do = partial(function, instance, *args, **options)
            return await tape.acall(operation, given, do, mask)

        @wraps(function)
        def call(instance: Any, /, *args: Any, **options: Any) -> Any:
            tape = active()
            if tape is None:
                return function(instance, *args, **options)
            args, options = self._read(args, options)
            operation, given = self._described(instance, args, options)
            mask = self.redactor(instance)
            return tape.call(operation, given, partial(function, instance, *args, **options), mask)

        return acall if self._awaited else call


def _listed(items: Any) -> Any:
    """Return items that are read once as a list; what is no iterable is refused by the method."""
    return list(items) if isinstance(items, Iterator) else items
