"""Results in a notebook: as a grid where a person has it open, as a table elsewhere."""

from __future__ import annotations

import sys
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.db import Result
    from agentnb.core.db.gridded import Gridded
    from agentnb.magics.extension import Extension

__all__ = ["forget_origin", "mark", "refuse_unfit_grid", "show"]

_GRIDS = ("grid", "no_grid")
_OTHERS = ("plot", "kind", "explain")


def refuse_unfit_grid(options: Mapping[str, Any], shell: object) -> None:
    """Refuse options that exclude ``--grid``, and ``--grid`` where nothing can show one.

    Raises
    ------
    UsageError
        There are such options, or there is no notebook.
    """
    asked = [f"--{name.replace('_', '-')}" for name in _GRIDS if name in options]
    others = [f"--{name}" for name in _OTHERS if name in options]
    if options.get("as", "rows") != "rows":
        others.append(f"--as {options['as']}")
    if len(asked + others) > 1 and asked:
        raise UsageError(
            f"{asked[0]} and {(asked[1:] + others)[0]} exclude each other",
            service="db",
            hint="give one of them",
        )
    if "grid" in options and not _has_kernel(shell):
        raise UsageError(
            "a grid needs a notebook",
            service="db",
            hint="leave --grid away: the rows are shown as a table",
        )


def mark(result: Any, options: Mapping[str, Any]) -> None:
    """Have a result, or each of a script, shown as ``--grid`` or ``--no-grid`` says."""
    if any(name in options for name in _GRIDS):
        for one in result if isinstance(result, list) else [result]:
            one.as_grid = "grid" in options


def forget_origin(result: Any) -> None:
    """Have a result that was cut asked for no more rows: other connections may see others."""
    for one in result if isinstance(result, list) else [result]:
        if getattr(one, "origin", None) is not None:
            one.origin = None


def show(value: Any, extension: Extension) -> None:
    """Show a result, those of a script, or a `Gridded`, as grids.

    Raises
    ------
    NotImplementedError
        It is shown as a table, which IPython then does.
    """
    from agentnb.core.db.gridded import Gridded
    from agentnb.core.db.result import Script

    if isinstance(value, Script):
        _show_script(value, extension)
        return
    asked = value if isinstance(value, Gridded) else None
    result: Result = value.result if asked else value
    if not (_has_kernel(extension.shell) if asked else _is_grid(result, extension)):
        raise NotImplementedError
    try:
        panel = extension.open_panel("grid", result=result, **_options(result, asked, extension))
    except AgentnbError as error:  # the rows are there all the same
        line = f"no grid: {error.message}" + (f" ({error.hint})" if error.hint else "")
        print(extension.hub.settings.redactor(line), file=sys.stderr)  # noqa: T201 - of this output
        raise NotImplementedError from error
    panel._ipython_display_()


def _show_script(script: Any, extension: Extension) -> None:
    """Show each result in its own way, below the line that it comes from."""
    from IPython.display import display

    if not any(_is_grid(result, extension) for result in script):
        raise NotImplementedError
    publish: Any = extension.shell.display_pub.publish
    show_one: Any = display
    for result, (text, html) in zip(script, script.headings, strict=True):
        publish({"text/plain": text, "text/html": html})
        show_one(result)


def _options(result: Result, asked: Gridded | None, extension: Extension) -> dict[str, Any]:
    """Return the page of a `Gridded`, and the database of a result that was cut."""
    options: dict[str, Any] = {}
    if asked is not None:
        options |= {"page": asked.page, "height": asked.height}
    origin = getattr(result, "origin", None)
    if origin is not None and origin.connection in extension.hub.databases.names():
        options["database"] = extension.hub.databases[origin.connection]
    return options


def _is_grid(result: Result, extension: Extension) -> bool:
    """Return whether a result is shown as a grid, by what was asked for and by the setting."""
    from agentnb.core.db.result import Preview
    from agentnb.core.table import SHOWN_ROWS

    shell = extension.shell
    if result.as_grid is False or not (result.returns_rows and result.columns):
        return False
    if result.as_grid:
        return _has_kernel(shell)
    mode = extension.hub.settings.grid
    rows = result.shown_rows if isinstance(result, Preview) else result
    if mode == "never" or len(rows) <= SHOWN_ROWS:
        return False
    return _has_kernel(shell) if mode == "always" else _is_seen(shell)


def _has_kernel(shell: object) -> bool:
    return getattr(shell, "kernel", None) is not None


def _is_seen(shell: object) -> bool:
    """Return whether a person has the notebook open, in a page that can show widgets.

    A program that runs notebooks, such as nbclient, nbval or papermill, sends no id of the cell.
    A thread other than the cells' is that of a job.
    """
    from agentnb.core.extras import PANELS
    from agentnb.panels.base.registry import cell_id

    return (
        _has_kernel(shell)
        and cell_id(shell) is not None
        and threading.current_thread() is threading.main_thread()
        and all(map(find_spec, PANELS))
    )
