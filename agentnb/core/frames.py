"""Rows to pandas, polars and Arrow, each library imported only when it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["EXACT", "arrow_to_pandas", "need", "to_arrow", "to_pandas", "to_polars"]

EXACT = 2**53
"""Up to here a float holds every integer; pandas makes floats of integers beside NULLs."""


def need(module: str, extra: str = "frames") -> ModuleType:
    """Import an optional library.

    Raises
    ------
    UsageError
        It is not installed; the hint says how to get it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if error.name and error.name.split(".")[0] != module.split(".", maxsplit=1)[0]:
            raise
        raise UsageError(
            f"{module} is not installed in this environment",
            service="frames",
            hint=f"reinstall agentnb with its {extra!r} extra, or: %pip install {module}",
        ) from error


def to_pandas(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """Return the rows as a pandas DataFrame."""
    pandas = need("pandas")
    frame = pandas.DataFrame.from_records(
        rows if isinstance(rows, list) else list(rows), columns=list(columns), coerce_float=True
    )
    for index, name in enumerate(columns):
        if frame.dtypes.iloc[index] == "float64" and (frame[name].abs() >= EXACT).any():
            values = [row[index] for row in rows]
            if all(value is None or type(value) is int for value in values):
                frame[name] = pandas.array(values, dtype="Int64")
    return frame  # type: ignore[no-any-return]  # imported at run time


def arrow_to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as the DataFrame that its rows would give."""
    pandas = need("pandas")
    frame = table.to_pandas()
    for name, column in zip(table.column_names, table.columns, strict=True):
        if (
            str(column.type) == "int64"
            and 0 < column.null_count < len(column)
            and (frame[name].abs() >= EXACT).any()
        ):
            frame[name] = pandas.array(column.to_pylist(), dtype="Int64")
    return frame  # type: ignore[no-any-return]  # imported at run time


def to_polars(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Return the rows as a polars DataFrame.

    Raises
    ------
    UsageError
        A column mixes types that polars cannot hold.
    """
    polars = need("polars")
    try:
        return polars.DataFrame(  # type: ignore[no-any-return]  # imported at run time
            list(rows), schema=list(columns), orient="row", infer_schema_length=None, strict=False
        )
    except (polars.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"polars cannot hold these rows: {error}",
            service="frames",
            hint="cast the column in the SQL, or take .df() or .dicts()",
        ) from error


def to_arrow(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Return the rows as an Arrow table.

    Raises
    ------
    UsageError
        A column mixes types that one Arrow column cannot hold.
    """
    arrow = need("pyarrow")
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    arrays = []
    for name, column in zip(columns, values, strict=True):
        try:
            arrays.append(arrow.array(column))
        except (arrow.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise UsageError(
                f"column {name!r} mixes types that Arrow cannot hold in one column: {error}",
                service="frames",
                hint="cast it in the SQL, or take .df() or .dicts()",
            ) from error
    return arrow.Table.from_arrays(arrays, names=list(columns))
