"""From recorded attempts to tests and notebooks that replay them."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.errors import AgentnbError, ConfigError, NotFoundError, UsageError, did_you_mean
from agentnb.core.tape.cells import definition
from agentnb.core.tape.document import SUFFIX, read_document, write_document
from agentnb.core.tape.flight import FOLDER
from agentnb.core.tape.matching import label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.trace.tree import Trace

__all__ = ["Captured", "capture", "home_of", "trace_of"]

_WORD = re.compile(r"\W+")
_LEAST_DIGITS = 6
_LONGEST = 200


class Captured(NamedTuple):
    """The files that `capture` has written.

    Attributes
    ----------
    tapes
        The tapes.
    test
        The file of the tests; None for none.
    notebook
        The notebook; None for none.
    """

    tapes: tuple[Path, ...]
    test: Path | None = None
    notebook: Path | None = None

    def __str__(self) -> str:
        made = [path for path in (self.test, self.notebook) if path is not None]
        count = len(self.tapes)
        noun = "tape" if count == 1 else "tapes"
        text = f"{' and '.join(map(str, made))} and {count} {noun} beside it"
        if self.test is None or _is_collected(self.test):
            return text
        return f"{text}; pytest collects test_*.py and *_test.py: pytest {self.test} runs this one"


def capture(
    home: Path,
    target: object,
    *,
    test: str | os.PathLike[str] | None = None,
    to: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    about: Trace | None = None,
) -> Captured:
    """Write a test or a notebook that replays recorded attempts; see `Traces.capture`.

    Parameters
    ----------
    home
        The home, which holds the tapes of its workers.
    target, test, to, overwrite
        As `Traces.capture` takes them.
    about
        The trace, for the notebook; None where its spans are gone.
    """
    if test is None and to is None:
        raise UsageError(
            "capture writes a test or a notebook: neither was named",
            service="trace",
            hint='hub.trace.capture("job:ID", test="tests/test_night.py")',
        )
    test_path = _checked_path(test, "test", ".py", overwrite=overwrite)
    notebook = _checked_path(to, "to", ".ipynb", overwrite=overwrite)
    beside = test_path or notebook or Path()
    found = _newest(_recorded(home, target))
    for document in found:
        _check_function(document)
    tapes = []
    for document in found:
        path = beside.with_name(f"{beside.stem}.{_name(document)}{SUFFIX}")
        content = {key: value for key, value in document.items() if key != "agentnb_tape"}
        write_document(path, content)
        tapes.append(path)
    pairs = list(zip(found, tapes, strict=True))
    if test_path is not None:
        _write(test_path, _test_of(pairs))
    if notebook is not None:
        _write(notebook, _notebook_of(pairs, notebook.parent, about))
    return Captured(tuple(tapes), test_path, notebook)


def _is_collected(path: Path) -> bool:
    """Return whether pytest finds a test by its name, as long as nothing else is set."""
    return path.name.startswith("test_") or path.stem.endswith("_test")


def home_of(logs: Path | None) -> Path:
    """Return the home of the folder of its logs."""
    if logs is None:
        raise UsageError(
            "there is no home here: the tracer keeps spans in memory only",
            service="trace",
            hint="hub = agentnb.connect(); hub.trace.capture(...)",
        )
    return logs.parent


def _checked_path(
    given: str | os.PathLike[str] | None, argument: str, ending: str, *, overwrite: bool
) -> Path | None:
    if given is None:
        return None
    path = Path(given)
    if path.suffix != ending:
        raise UsageError(
            f"{argument} must be the path of a {ending} file, got {str(given)!r:.80}",
            service="trace",
            hint=f'{argument}="tests/test_night.py"'
            if ending == ".py"
            else f'{argument}="x.ipynb"',
        )
    if path.exists() and not overwrite:
        raise UsageError(
            f"{path} exists",
            service="trace",
            hint="overwrite=True (--yes) replaces it, or name another file",
        )
    return path


def _documents(home: Path) -> Iterable[dict[str, Any]]:
    """Yield the tapes of a home, the newest first."""
    for path in sorted((home / FOLDER).glob(f"*{SUFFIX}"), reverse=True):
        try:
            yield read_document(path)
        except AgentnbError:
            continue  # removed meanwhile, of another version, or damaged


def _recorded(home: Path, target: object) -> list[dict[str, Any]]:
    """Return the tapes of a job, a workflow or a trace, the newest first."""
    if not isinstance(target, str) or not target.strip():
        raise UsageError(
            f"capture takes a text such as job:ID, got {target!r:.60}",
            service="trace",
            hint="job:ID, workflow:NAME, cell:NUMBER, or the first six digits of a trace's id",
        )
    kind, colon, name = target.strip().partition(":")
    known: dict[str, None] = {}
    found = []
    for document in _documents(home):
        unit = document["unit"]
        names = _names(unit)
        known.update(dict.fromkeys(names))
        trace = str(unit.get("trace_id"))
        wanted = f"{kind}:{name}" in names if colon else len(kind) >= _LEAST_DIGITS
        if wanted and (colon or trace.startswith(kind)):
            found.append(document)
    if found:
        return found
    hint = "agentnb worker --record failed, or AGENTNB_RECORD=failed, records the next failure"
    if kind == "cell":
        hint = 'hub.record("failed") (%agentnb record failed) records the next failure'
    near = did_you_mean(target, known, "recorded")
    raise NotFoundError(
        f"no attempt of {target} was recorded in this home",
        service="trace",
        hint=f"{near}; {hint}" if near else hint,
    )


def trace_of(home: Path, target: object) -> str:
    """Return the id of the trace of what is captured, or what was given where it has none."""
    if not isinstance(target, str) or not target.startswith("cell:"):
        return target  # type: ignore[return-value]  # refused by its taker
    return str(_recorded(home, target)[0]["unit"].get("trace_id"))


def _names(unit: dict[str, Any]) -> list[str]:
    if unit.get("kind") in {"job", "cell"}:
        return [f"{unit['kind']}:{unit['id']}"]
    return [f"workflow:{unit.get('workflow_name')}", f"workflow:{unit.get('workflow')}"]


def _newest(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest tape of each job and task, in the order of their ids."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for document in found:
        unit = document["unit"]
        newest.setdefault((str(unit.get("kind")), str(unit.get("id"))), document)
    return [newest[key] for key in sorted(newest)]


def _check_function(document: dict[str, Any]) -> None:
    """Refuse a function that a test cannot import, and a cell that it cannot run."""
    unit = document["unit"]
    if unit.get("kind") == "cell":
        _check_cell(unit)
        return
    module, _, name = str(unit.get("function", "")).partition(":")
    try:
        known = bool(module) and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        known = False
    if not known or not all(part.isidentifier() for part in name.split(".")):
        shown = f"the function {module}:{name} cannot be imported" if module else "it has none"
        raise UsageError(
            f"{unit.get('kind')} {unit.get('id')} cannot be captured: {shown}",
            service="trace",
            hint="a test imports the processor or the agent: keep it in a module that is found "
            "here, not in a cell",
        )


def _check_cell(unit: dict[str, Any]) -> None:
    missing = [str(one) for one in unit.get("missing", ())]
    if "magics" in missing:
        reason = "it uses magics"
        hint = "a test has no notebook: the Python twin of a magic is in %MAGIC help"
    elif missing:
        names = ", ".join(missing)
        reason = f"it uses names that are neither plain values nor imported: {names}"
        hint = "import functions from a module, and make what is no JSON in the cell itself"
    else:
        try:
            definition("cell", str(unit["source"]), list(unit["names"]))
        except SyntaxError as error:
            reason, hint = f"its code cannot be that of a function: {error.msg}", "import names"
        else:
            return
    raise UsageError(
        f"cell {unit.get('id')} cannot be captured: {reason}", service="trace", hint=hint
    )


def _name(document: dict[str, Any]) -> str:
    unit = document["unit"]
    words = unit.get("task") or unit["kind"]
    return _WORD.sub("_", f"{words}_{unit['id']}").strip("_").lower()


def _imports(pairs: list[tuple[dict[str, Any], Path]]) -> str:
    found = set()
    for document, _ in pairs:
        unit = document["unit"]
        if unit["kind"] == "cell":
            found |= set(unit["imports"])
            continue
        module, _, name = unit["function"].partition(":")
        found.add(f"from {module} import {name.partition('.')[0]}")
    return "\n".join(sorted(found))


def _function(document: dict[str, Any]) -> str:
    return str(document["unit"]["function"].partition(":")[2])


def _cell(document: dict[str, Any]) -> tuple[str, bool]:
    """Return a cell as a function, and whether it is awaited."""
    unit = document["unit"]
    return definition(_name(document), str(unit["source"]), list(unit["names"]))


def _call(document: dict[str, Any], *, awaited: str) -> str:
    """Return the Python that does again what was recorded.

    Parameters
    ----------
    document
        The tape.
    awaited
        How a coroutine is awaited, such as ``"asyncio.run({})"``.
    """
    if document["unit"]["kind"] != "cell":
        return f"tape.run({_function(document)})"
    call = f"{_name(document)}(tape.hub, **tape.names)"
    return awaited.format(call) if _cell(document)[1] else call


def _source(document: dict[str, Any]) -> str:
    """Return the source of what was recorded; empty where there is none."""
    unit = document["unit"]
    if unit["kind"] == "cell":
        return _cell(document)[0]
    module, _, name = unit["function"].partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return inspect.getsource(inspect.unwrap(found))
    except (ImportError, AttributeError, OSError, TypeError):
        return ""


def _outcome(document: dict[str, Any]) -> tuple[str, str] | None:
    """Return the class and the message of the recorded error; None where it completed."""
    error = (document.get("outcome") or {}).get("error")
    return None if error is None else (error["class"], _line(error["message"]))


def _line(text: object) -> str:
    """Return a text as a part of a comment: of one line, without what could end it."""
    line = " ".join(str(text).split())
    line = "".join(one if one.isprintable() else "?" for one in line)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _test_of(pairs: list[tuple[dict[str, Any], Path]]) -> str:
    cells = [_cell(one) for one, _ in pairs if one["unit"]["kind"] == "cell"]
    awaits = "import asyncio\n" if any(awaited for _, awaited in cells) else ""
    parts = [
        '"""Recorded attempts, replayed without a network."""',
        f"{awaits}from pathlib import Path\n\nfrom agentnb.testing import replay",
        f"{_imports(pairs)}\n\nHERE = Path(__file__).parent".lstrip(),
        *(f"\n{text}" for text, _ in cells),
    ]
    for document, path in pairs:
        failure, call = _outcome(document), _call(document, awaited="asyncio.run({})")
        note = "# It completed; the result has to be the same."
        does = f"tape.check({call})"
        if document["unit"]["kind"] == "cell":
            note, does = "# It completed; its calls have to be the same.", call
        if failure is not None:
            note = f"# It failed: {': '.join(failure)}"
            does = f"{call}  # assert here what the mended code returns"
        parts.append(
            f"\ndef test_{_name(document)}():\n"
            f"    {note}\n"
            f"    with replay(HERE / {json.dumps(path.name)}) as tape:\n"
            f"        {does}"
        )
    return "\n\n".join(parts) + "\n"


def _notebook_of(
    pairs: list[tuple[dict[str, Any], Path]], folder: Path, about: Trace | None
) -> str:
    """Return a notebook of the replays, as JSON of the format 4."""
    cells = [_markdown("# Recorded attempts\n\nThis notebook replays them without a network.")]
    if about is not None:
        # On one line: a blank one would end the HTML of a markdown cell.
        drawn = " ".join(about._repr_html_().split("\n"))
        text = textwrap.indent(about.plain(), "    ")
        cells += [_markdown(f"## What it caused\n\n{text}"), _markdown(f"<div>{drawn}</div>")]
    imports = f"\n\n{_imports(pairs)}".rstrip()
    cells.append(_code(f"from agentnb.testing import replay{imports}"))
    for document, path in pairs:
        unit, failure = document["unit"], _outcome(document)
        ended = "It completed." if failure is None else f"It failed: `{': '.join(failure)}`"
        ended = ended.replace("<", "&lt;")
        steps = "\n".join(
            f"    {number:>3}  "
            f"{_line(label(step['service'], step['operation'], step['arguments']))}"
            for number, step in enumerate(document["steps"], start=1)
        )
        title = (
            f"## {unit['kind']} {_line(unit['id'])}\n\n{ended} Its calls:\n\n{steps or '    none'}"
        )
        source, is_cell = _source(document).rstrip(), unit["kind"] == "cell"
        if source and not is_cell:
            title += f"\n\nIts code:\n\n{textwrap.indent(source, '    ')}"
        cells.append(_markdown(title))
        if is_cell:
            cells.append(_code(source))
        source = (
            f"with replay({json.dumps(os.path.relpath(path, folder))}) as tape:\n"
            f"    result = {_call(document, awaited='await {}')}"
        )
        if failure is not None:
            cells.append(_code(f"# NBVAL_IGNORE_OUTPUT\n{source}", "raises-exception"))
        elif is_cell:
            cells.append(_code(source))
        else:
            cells.append(_code(f"{source}\n    tape.check(result)"))
    notebook = {
        "cells": [{**cell, "id": f"cell-{n:02}"} for n, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(text: str, *tags: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": list(tags)} if tags else {},
        "outputs": [],
        "source": text,
    }


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error}",
            service="trace",
            hint="name a file in a folder that you may write to",
        ) from error
