"""Writes tables to a file, in the format that its name ends in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from agentnb.core.errors import AgentnbError, UsageError
from agentnb.core.export.target import Target
from agentnb.core.format import rows as rows_text
from agentnb.core.format import size as size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from agentnb.core.table import Table

__all__ = ["Exported", "Form", "export", "form_of", "save"]


class _Writer(Protocol):
    def write(self, table: Table) -> None: ...

    def finish(self) -> list[str]: ...

    def close(self) -> None: ...


class Form(NamedTuple):
    """The format of a file.

    Attributes
    ----------
    name
        ``"csv"``, ``"json"`` or ``"parquet"``.
    separator
        The character between two values of CSV.
    packed
        Whether the file is compressed by gzip.
    lines
        Whether each JSON object is a line of its own.
    spreadsheet
        Whether CSV is made for a spreadsheet.
    """

    name: str
    separator: str = ","
    packed: bool = False
    lines: bool = False
    spreadsheet: bool = False

    def writer(self, target: Target) -> _Writer:
        """Return the writer of a file."""
        file = target.file
        if self.name == "parquet":
            from agentnb.core.export.parquet import ParquetWriter

            return ParquetWriter(file, target.folder)
        from agentnb.core.export.lines import CSVWriter, JSONWriter

        if self.name == "json":
            return JSONWriter(file, lines=self.lines)
        return CSVWriter(
            file,
            separator=self.separator,
            packed=self.packed,
            spreadsheet=self.spreadsheet,
            mark=self.spreadsheet,
        )


_FORMS = {
    ".csv": Form("csv"),
    ".tsv": Form("csv", "\t"),
    ".csv.gz": Form("csv", packed=True),
    ".tsv.gz": Form("csv", "\t", packed=True),
    ".json": Form("json"),
    ".jsonl": Form("json", lines=True),
    ".ndjson": Form("json", lines=True),
    ".parquet": Form("parquet"),
}


def form_of(
    path: object, *names: str, separator: str | None = None, spreadsheet: bool = False
) -> Form:
    r"""Return the format of a file, by the end of its name.

    Parameters
    ----------
    path
        The path.
    *names
        The formats that are possible; default: all.
    separator
        The character between two values, in place of the one that the name says.
    spreadsheet
        Whether CSV is made for a spreadsheet.

    Raises
    ------
    UsageError
        There is no such format, or an option has no effect on it.

    Examples
    --------
    >>> form_of("a.csv.gz").packed, form_of("a.NDJSON").lines, form_of("a.tsv").separator
    (True, True, '\t')
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
    ends = sorted(_FORMS, key=len, reverse=True)
    suffix = next((one for one in ends if str(text).lower().endswith(one)), None)
    form = _FORMS[suffix] if suffix else None
    if form is None or (names and form.name not in names):
        known = [end for end, one in _FORMS.items() if not names or one.name in names]
        raise UsageError(
            f"{str(path)!r:.120}: the name must end in {', '.join(known[:-1])}"
            f"{' or ' if known[:-1] else ''}{known[-1]}",
            service="export",
            hint=f"such as rows{known[0]}",
        )
    if (spreadsheet or separator is not None) and form.name != "csv":
        option = "spreadsheet=True (--spreadsheet)" if spreadsheet else "separator="
        raise UsageError(
            f"{option} has no effect on {suffix}", service="export", hint="name a .csv file"
        )
    if separator is not None:
        if not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n':
            raise UsageError(
                f"separator must be one character other than a quote, got {separator!r:.20}",
                service="export",
                hint='separator=";"',
            )
        form = form._replace(separator=separator)
    return form._replace(spreadsheet=spreadsheet)


@dataclass(frozen=True, slots=True)
class Exported(os.PathLike[str]):
    """A file that was written.

    Attributes
    ----------
    path
        The file.
    rows
        The number of rows in it.
    size
        Bytes.
    notes
        Lines that its reader should know.

    Examples
    --------
    >>> from pathlib import Path
    >>> Exported(Path("rows.csv"), 1200, 34_000)
    1,200 rows in rows.csv, 34 kB
    """

    path: Path
    rows: int
    size: int
    notes: tuple[str, ...] = ()

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __repr__(self) -> str:
        rows = f"{rows_text(self.rows)} in {self.path}, {size_text(self.size)}"
        return "\n".join((rows, *self.notes))


def export(
    parts: Iterable[Table],
    target: Target,
    form: Form,
    *,
    notes: Sequence[str] = (),
) -> Exported:
    """Write tables of the same columns below each other, all or nothing.

    Parameters
    ----------
    parts
        The tables, one or more.
    target
        The file, judged before.
    form
        Its format.
    notes
        Lines for the reader of the file that are known before.

    Raises
    ------
    UsageError
        The format does not hold a value.
    UnavailableError
        The disk is full.
    """
    rows = 0
    try:
        with target:
            writer = form.writer(target)
            try:
                for part in parts:
                    writer.write(part)
                    rows += len(part)
                found = writer.finish()
            finally:
                writer.close()
            size = target.keep()
    except AgentnbError:  # some of which are an OSError, too
        raise
    except OSError as error:
        raise target.error_of(error) from error
    return Exported(target.path, rows, size, (*notes, *found))


def save(
    table: Table,
    path: str | os.PathLike[str],
    *kinds: str,
    overwrite: bool,
    separator: str | None = None,
    spreadsheet: bool = False,
    private: Path | None = None,
) -> Exported:
    """Write a table to a file of one of some kinds; see `Table.to_csv`."""
    form = form_of(path, *kinds, separator=separator, spreadsheet=spreadsheet)
    target = Target(path, overwrite=overwrite, private=private)
    if not table.columns:
        raise UsageError(
            "there are no columns to write",
            service="export",
            hint="export the result of a query: select ... (insert ... returning *)",
        )
    cut = [table.note] if getattr(table, "truncated", False) else []
    return export(table._parts(), target, form, notes=cut)  # noqa: SLF001 - the two are one
