"""The walk through a notebook's file: plain JSON, so that nothing heavy is loaded."""

from __future__ import annotations

import base64
import html
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agentnb.core.check.hidden import hidden_texts
from agentnb.core.check.text import find_secrets
from agentnb.core.errors import FileNotFound, UsageError
from agentnb.core.redact import MASK

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

__all__ = ["Finding", "scan_notebook"]

Where = Literal["source", "output", "metadata"]

_WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
_CURRENT_FORMAT = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One secret in a notebook.

    Parameters
    ----------
    cell
        The cell's number from 1, or 0 for what belongs to the whole notebook,
        such as the saved state of its widgets.
    where
        ``"source"``, ``"output"`` or ``"metadata"``.
    line
        The line in that source or output, from 1.
    kind
        The kind of secret, such as ``"password in a URL"``.
    excerpt
        The line with every secret masked.
    """

    cell: int
    where: Where
    line: int
    kind: str
    excerpt: str

    def __str__(self) -> str:
        place = f"cell {self.cell}" if self.cell else "notebook"
        return f"{place}, {self.where} line {self.line}: {self.kind}: {self.excerpt}"


@dataclass(frozen=True, slots=True)
class _Part:
    cell: int
    where: Where
    text: str
    code: bool = False
    markup: bool = False


def scan_notebook(path: str | os.PathLike[str], *, secrets: Iterable[str] = ()) -> list[Finding]:
    """Find secrets in a saved notebook: sources, outputs, metadata, widget state.

    Parameters
    ----------
    path
        The notebook's file.
    secrets
        Values that are known to be secret, looked for as they are.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UsageError
        If the file is not a notebook of format 4, or cannot be read.
    """
    path = Path(path)
    notebook = _load(path)
    known = [value for value in secrets if value]
    found: dict[Finding, None] = {}  # a traceback says many things twice
    for part in _parts(notebook, path):
        for hit in find_secrets(part.text, code=part.code, secrets=known):
            found[Finding(part.cell, part.where, hit.line, hit.kind, hit.excerpt)] = None
        for text in hidden_texts(part.text, code=part.code, markup=part.markup):
            # In the text itself they have been found, and where they stand is known there.
            for hit in find_secrets(text, code=part.code and "\n" in text, secrets=known):
                if hit.value not in part.text and not hit.is_named:
                    found[Finding(part.cell, part.where, 1, f"{hit.kind}, hidden", MASK)] = None
    for finding in _password_widgets(notebook):
        found[finding] = None
    return list(found)


def _load(path: Path) -> dict[str, Any]:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise FileNotFound(
            f"no such notebook: {path}",
            service="check",
            hint="agentnb check NOTEBOOK.ipynb, relative to the working directory",
        ) from error
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}",
            service="check",
            hint="name notebook files, such as *.ipynb",
        ) from error
    except (ValueError, RecursionError) as error:
        raise _not_a_notebook(path, "it is not JSON") from error
    if not isinstance(notebook, dict) or not isinstance(notebook.get("nbformat"), int):
        raise _not_a_notebook(path, "it is JSON of another kind")
    if notebook["nbformat"] < _CURRENT_FORMAT:
        raise UsageError(
            f"{path} is a notebook of the old format {notebook['nbformat']}",
            service="check",
            hint="open it in JupyterLab and save it, then check it again",
        )
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise _not_a_notebook(path, "its cells are malformed")
    return notebook


def _not_a_notebook(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is not a notebook: {why}",
        service="check",
        hint="name a file that JupyterLab saved, or restore it from its last good version",
    )


def _parts(notebook: dict[str, Any], path: Path) -> Iterator[_Part]:
    language = _language(notebook)
    for number, cell in enumerate(notebook["cells"], 1):
        code = cell.get("cell_type") == "code" and language == "python"
        yield _Part(number, "source", _joined(cell.get("source", ""), path), code=code)
        yield _Part(number, "metadata", _as_text(cell.get("metadata")))
        outputs = cell.get("outputs") or []
        if not isinstance(outputs, list):
            raise _not_a_notebook(path, f"the outputs of cell {number} are malformed")
        for output in outputs:
            if not isinstance(output, dict):
                raise _not_a_notebook(path, f"an output of cell {number} is malformed")
        for stream in _streams(outputs, path):
            yield _Part(number, "output", stream)
        for output in outputs:
            yield from _output_parts(number, output, path)
        yield from _attachments(number, cell.get("attachments"))
    yield _Part(0, "metadata", _as_text(notebook.get("metadata")))


def _output_parts(number: int, output: dict[str, Any], path: Path) -> Iterator[_Part]:
    if output.get("output_type") == "error":
        yield _Part(number, "output", f"{output.get('ename')}: {output.get('evalue')}")
        traceback = output.get("traceback") or []
        lines = [str(line) for line in traceback] if isinstance(traceback, list) else []
        yield _Part(number, "output", "\n".join(lines), code=True)
    yield _Part(number, "metadata", _as_text(output.get("metadata")))
    data = output.get("data")
    for mime, value in data.items() if isinstance(data, dict) else ():
        if mime in ("text/html", "image/svg+xml"):
            yield _Part(number, "output", html.unescape(_joined(value, path)), markup=True)
        elif mime.startswith("text/") or mime == "application/javascript":
            yield _Part(number, "output", _joined(value, path))
        elif mime.endswith("json"):
            yield _Part(number, "output", _as_text(value))


def _streams(outputs: list[dict[str, Any]], path: Path) -> list[str]:
    """Return what a cell has written to each of its streams, as a reader sees it: in one piece."""
    found: dict[str, str] = {}
    for output in outputs:
        if "text" in output:
            name = str(output.get("name"))
            found[name] = found.get(name, "") + _joined(output["text"], path)
    return list(found.values())


def _attachments(number: int, attachments: object) -> Iterator[_Part]:
    """Yield the files that are attached to a cell, decoded where they are in Base64."""
    for kinds in attachments.values() if isinstance(attachments, dict) else ():
        for mime, value in kinds.items() if isinstance(kinds, dict) else ():
            text = "".join(value) if isinstance(value, list) else value
            if not isinstance(text, str):
                yield _Part(number, "source", _as_text(text))
                continue
            with suppress(ValueError):
                if not mime.startswith("text/"):
                    text = base64.b64decode(text).decode("latin-1")
            yield _Part(number, "source", text)


def _joined(text: object, path: Path) -> str:
    """Return a text that the format lets be a string or a list of lines."""
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        return "".join(text)
    if not isinstance(text, str):
        raise _not_a_notebook(path, "a text in it is malformed")
    return text


def _as_text(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) if value else ""


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    info = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    language = info.get("language") if isinstance(info, dict) else None
    return str(language or "python").lower()


def _password_widgets(notebook: dict[str, Any]) -> Iterator[Finding]:
    """Find the text typed into a password field, which a saved widget state holds in the open."""
    state: Any = notebook.get("metadata")
    for key in ("widgets", _WIDGET_STATE, "state"):
        state = state.get(key) if isinstance(state, dict) else None
    for model in state.values() if isinstance(state, dict) else ():
        if isinstance(model, dict) and model.get("model_name") == "PasswordModel":
            inner = model.get("state")
            if isinstance(inner, dict) and inner.get("value"):
                yield Finding(0, "metadata", 1, "password field", f"a Password widget: {MASK}")
