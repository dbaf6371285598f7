"""One tool: a typed function, and what a model is told about it."""

from __future__ import annotations

import functools
import inspect
import re
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import msgspec

from agentnb.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentnb.core.trace import Span

    F = TypeVar("F", bound="Callable[..., Any]")

__all__ = ["Tool", "groups_of", "tool"]

_MARK = "__agentnb_tool__"
_SECTION = re.compile(r"\n(?P<name>[A-Z][a-z]+)\n-{3,}\n")


class Tool:
    """A tool: called as the function that it is made of, with its name, docstring and types.

    Agents of any framework that take functions take it, too.

    Attributes
    ----------
    name
        Its name.
    group
        The service that it belongs to: ``"db"``.
    read_only
        Whether it changes nothing.
    description
        The text of its docstring above the parameters, for a model.
    schema
        The JSON Schema of its arguments.

    Examples
    --------
    >>> from agentnb.core.hub import Hub
    >>> with Hub(database_url="sqlite://") as hub:
    ...     read = hub.tools("files")[1]
    >>> read.name, read.read_only, list(read.schema["properties"])
    ('file_read', True, ['path', 'offset', 'limit'])
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        group: str,
        read_only: bool,
        span: Callable[[str], Span],
    ) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._span = span
        self.name: str = function.__name__
        self.group = group
        self.read_only = read_only
        text = inspect.getdoc(function) or ""
        self.description, about = _parts(text)
        self._arguments = _struct(function)
        self.schema = _schema(self._arguments, about)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it as the function that it is made of; see `call`."""
        if args:
            kwargs |= inspect.signature(self._function).bind_partial(*args).arguments
        return self.call(kwargs)

    def call(self, arguments: Mapping[str, Any]) -> Any:
        """Call it with the arguments that a model gives.

        Parameters
        ----------
        arguments
            By their names.

        Raises
        ------
        UsageError
            One is missing, unknown or of another type than the schema says.
        AgentnbError
            As the services raise them.
        """
        known = self._arguments.__struct_fields__
        for name in arguments:
            if name not in known:
                raise UsageError(
                    f"{self.name} has no argument {name!r:.80}",
                    service="tools",
                    hint=did_you_mean(str(name), known) or f"it has: {', '.join(known)}",
                )
        try:
            given = msgspec.convert(dict(arguments), self._arguments)
        except msgspec.ValidationError as error:
            raise UsageError(
                f"{self.name}: {error}".replace("$.", ""),
                service="tools",
                hint=f"its arguments: {', '.join(known)}",
            ) from error
        with self._span(self.name):
            return self._function(**msgspec.structs.asdict(given))

    def __repr__(self) -> str:
        return f"Tool({self.name}{'' if self.read_only else ', asks a person'})"


def tool(*, writes: bool = False) -> Callable[[F], F]:
    """Mark a method as a tool.

    Parameters
    ----------
    writes
        Whether it changes something.
    """

    def mark(function: F) -> F:
        setattr(function, _MARK, writes)
        return function

    return mark


def groups_of(part: object) -> list[tuple[Callable[..., Any], bool]]:
    """Return the tools of an object, in the order of its class, and whether each writes."""
    return [
        (getattr(part, name), getattr(value, _MARK))
        for name, value in vars(type(part)).items()
        if hasattr(value, _MARK)
    ]


def _struct(function: Callable[..., Any]) -> Any:
    """Return the type of the arguments of a function."""
    hints = get_type_hints(function, include_extras=True)
    fields = [
        (one.name, hints[one.name])
        if one.default is one.empty
        else (one.name, hints[one.name], one.default)
        for one in inspect.signature(function).parameters.values()
    ]
    return msgspec.defstruct(function.__name__, fields, kw_only=True)


def _schema(struct: Any, about: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON Schema of arguments, with what the docstring says about each."""
    (found,), components = msgspec.json.schema_components([struct], ref_template="{name}")
    schema: dict[str, Any] = dict(components[found["$ref"]])
    schema.pop("title", None)
    if not schema["required"]:
        del schema["required"]
    schema["additionalProperties"] = False
    for name, text in about.items():
        if name in schema["properties"]:
            schema["properties"][name]["description"] = text
    return schema


def _parts(text: str) -> tuple[str, dict[str, str]]:
    r"""Return what a docstring says about a function, and about each of its parameters.

    >>> text = "Read.\n\nParameters\n----------\npath\n    The\n    file.\nlimit, n\n    How many."
    >>> _parts(text)
    ('Read.', {'path': 'The file.', 'limit': 'How many.', 'n': 'How many.'})
    """
    pieces = _SECTION.split(text)
    sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    found: dict[str, str] = {}
    names: list[str] = []
    for line in sections.get("Parameters", "").splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
        else:
            found |= {name: f"{found.get(name, '')} {line.strip()}".strip() for name in names}
    return pieces[0].strip(), found
