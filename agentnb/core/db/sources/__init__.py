"""Sources that can be loaded into a table: typed columns, and rows in any number."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.db.result import ArrowResult
from agentnb.core.db.sources.delimited import read_csv
from agentnb.core.db.sources.frame import read_frame, read_parquet
from agentnb.core.db.sources.rows import read_dicts, read_json
from agentnb.core.db.sources.source import Source
from agentnb.core.errors import FileNotFound, UsageError
from agentnb.core.expand import expand
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SUFFIXES", "Source", "read"]

_READERS: dict[str, Callable[[Path], Source]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".json": read_json,
    ".jsonl": read_json,
    ".ndjson": read_json,
    ".parquet": read_parquet,
}
SUFFIXES = (*_READERS, *(f"{end}.gz" for end, one in _READERS.items() if one is read_csv))
"""The ends of the names of files that are read."""

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def read(source: Any) -> Source:
    """Return columns and rows of a frame, of rows or of a file.

    Raises
    ------
    UsageError
        It is none of these, such as a URL, or it has no columns.
    NotFoundError
        There is no such file.
    """
    if isinstance(source, str) and (url := _URL.match(source)):
        raise UsageError(
            f"source must be a file of this machine, got {url.group()}...",
            service="db",
            hint='a database of a hub loads http:// and https://: hub.db.load(URL, "TABLE") '
            "(%db load URL TABLE)",
        )
    if isinstance(source, (str, Path)):
        found = _file(expand(source, service="db"))
    elif isinstance(source, ArrowResult):
        found = read_frame(source)
    elif isinstance(source, Table):
        found = read_dicts(source.dicts(), source.columns, source.kinds)
    elif isinstance(source, (list, tuple)) and all(isinstance(row, dict) for row in source):
        found = read_dicts(source)
    elif hasattr(source, "__arrow_c_stream__") or hasattr(source, "to_arrow"):
        found = read_frame(source)
    else:
        raise UsageError(
            f"a {type(source).__name__} cannot be loaded",
            service="db",
            hint="a pandas, polars or Arrow frame, a list of dictionaries, or a "
            ".csv, .tsv, .json, .jsonl or .parquet file",
        )
    if not found.columns:
        raise UsageError(
            "there are no columns to load",
            service="db",
            hint="the source needs a header, or a dictionary with keys",
        )
    return found


def _file(path: Path) -> Source:
    packed = path.suffix.lower() == ".gz"
    suffix = Path(path.stem).suffix.lower() if packed else path.suffix.lower()
    reader = _READERS.get(suffix)
    if reader is None or (packed and reader is not read_csv):
        raise UsageError(
            f"{path.name}: a file of an unknown kind",
            service="db",
            hint=f"the name ends in one of {', '.join(SUFFIXES)}",
        )
    if not path.is_file():
        raise FileNotFound(
            f"there is no file {path}", service="db", hint=f"looked for it from {Path.cwd()}"
        )
    try:
        return reader(path)
    except (UnicodeError, csv.Error, json.JSONDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", service="db", hint=_repair(error, packed=packed)
        ) from error


def _repair(error: Exception, *, packed: bool) -> str:
    """Return how a file is made readable."""
    if isinstance(error, UnicodeError):
        return "make it UTF-8: iconv -f LATIN1 -t UTF-8 FILE"
    if isinstance(error, csv.Error):
        return 'close each value that begins with a double quote; a quote in a value is ""'
    if packed:
        return "it is cut off or damaged: fetch it again"
    return "check its format"
