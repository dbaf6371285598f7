"""The verbs and options of ``%api``."""

from __future__ import annotations

import json
from typing import Any

from agentnb.core.errors import UsageError
from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import seconds, times

__all__ = ["GRAMMAR", "saved"]


def saved(what: str) -> UsageError:
    """Return the error of a line that holds a secret."""
    return UsageError(
        f"{what} holds a secret, which the notebook would save",
        service="api",
        hint="--auth VARIABLE sends a token; --params :name and --headers :name the rest",
    )


def _mapping(value: Any) -> dict[str, Any]:
    from agentnb.core.redact import has_password

    if isinstance(value, str) and has_password(value):  # as written; what is bound is no text
        raise saved("the line")
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, dict):
        raise TypeError("a dictionary")
    return found


def _pair(value: Any) -> dict[str, str]:
    name, equals, path = str(value).partition("=")
    if not (name and equals and path):
        raise ValueError("NAME=PATH")
    return {name: path}


_OPTIONS = (
    Option(("--params",), "the query, as JSON or :name", "JSON", _mapping, adds=True),
    Option(("--headers",), "headers, as JSON or :name", "JSON", _mapping, adds=True),
    Option(("--auth",), "send the token of this variable, or of .env", "VARIABLE"),
    Option(("--schema",), "the class of the reply", "NAME", live="schema"),
    Option(("--timeout",), "seconds at most, in total", "SECONDS", seconds),
    Option(("--retries",), "how often a failed call is repeated", "N", times),
    Option(("--text",), "return the reply as text", apart=("schema",)),
    Option(("--follow",), "follow redirects, at most 5"),
)
_STREAM = (
    Option(
        ("--stream",),
        "show events or lines as they arrive; Ctrl-C ends it",
        apart=("schema", "text", "to"),
    ),
    Option(
        ("--idle",),
        "seconds without a byte before the call fails (default 60)",
        "SECONDS",
        seconds,
        needs=("stream", "to"),
    ),
)
_TO = Option(
    ("--to",), "save the reply as a file of the workspace", "PATH", apart=("schema", "text")
)
_FORM = (
    Option(
        ("--form",), "send these fields as a form, as JSON or :name", "JSON", _mapping, adds=True
    ),
    Option(("--file",), "upload a file of the workspace", "NAME=PATH", _pair, adds=True),
)


def _sending(name: str, about: str) -> Verb:
    return Verb(
        name,
        about,
        ("URL", "[DATA]"),
        (*_OPTIONS, *_STREAM, *_FORM),
        live=("url", "bound"),
        cell=True,
        twin=f"hub.api(URL).{name}(PATH, DATA)",
    )


GRAMMAR = Grammar(
    "api",
    "HTTP APIs; %%api post URL sends the cell as JSON",
    (
        Verb(
            "get",
            "make a GET of a URL, or of a path of the only API",
            ("URL",),
            (*_OPTIONS, *_STREAM, _TO),
            ("url",),
            twin="hub.api(URL).get(PATH, params=..., schema=...), .stream, .download",
        ),
        Verb(
            "head",
            "show the status and the headers of a GET",
            ("URL",),
            tuple(one for one in _OPTIONS if one.key not in {"schema", "text"}),
            ("url",),
            twin="hub.api(URL).head(PATH)",
        ),
        Verb(
            "delete",
            "make a DELETE of a URL",
            ("URL",),
            _OPTIONS,
            ("url",),
            twin="hub.api(URL).delete(PATH)",
        ),
        _sending("post", "make a POST of the JSON in the line or the cell, in which :name binds"),
        _sending("put", "make a PUT, as post"),
        _sending("patch", "make a PATCH, as post"),
        Verb(
            "list",
            "list the clients, their calls, and the breakers of their hosts",
            twin="hub.apis.table()",
        ),
    ),
    examples=(
        "%api get https://api.github.com/rate_limit",
        '%api get /users --params {"page": 2} --auth EXAMPLE_TOKEN',
        "%api get https://api.example/log --stream",
        "%api get https://api.example/data.zip --to in/data.zip",
        '%%api post https://api.example/users     (the cell: {"name": :name, "tags": ["a"]})',
    ),
)
