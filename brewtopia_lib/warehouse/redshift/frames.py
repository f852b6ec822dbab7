"""Rows of Redshift as the frames that DuckDB gives."""

from typing import Any

import numpy as np
import pandas as pd

from brewtopia_lib.warehouse.redshift.session import Column, Result

_BOOL, _INT8, _INT2, _INT4, _OID, _FLOAT4, _FLOAT8, _NUMERIC = 16, 20, 21, 23, 26, 700, 701, 1700
_DATE, _TIMESTAMP, _TIMESTAMPTZ = 1082, 1114, 1184
_TEXTS = (18, 19, 25, 705, 1042, 1043)

# the type without and with nulls
_NULLABLE = {
    _BOOL: ("bool", "boolean"),
    _INT2: ("int16", "Int16"),
    _INT4: ("int32", "Int32"),
    _INT8: ("int64", "Int64"),
    _OID: ("int64", "Int64"),
    _FLOAT4: ("float32", "float32"),
    _FLOAT8: ("float64", "float64"),
}


def to_frame(result: Result) -> pd.DataFrame:
    """The result with DuckDB's types: decimals are float64, days and times datetime64[us]."""
    values = list(zip(*result.rows, strict=True)) or [()] * len(result.columns)
    frame = pd.concat(
        [_series(column, list(cells)) for column, cells in zip(result.columns, values, strict=True)]
        or [pd.Series(dtype="object")],
        axis=1,
    )
    frame.columns = pd.Index([column.name for column in result.columns])
    return frame


def _series(column: Column, cells: list[Any]) -> "pd.Series[Any]":
    oid = column.type_oid
    if oid in _NULLABLE:
        return pd.Series(cells, dtype=_NULLABLE[oid][any(cell is None for cell in cells)])
    if oid == _NUMERIC:
        return pd.Series(
            [np.nan if cell is None else float(cell) for cell in cells], dtype="float64"
        )
    if oid in (_DATE, _TIMESTAMP, _TIMESTAMPTZ):
        return pd.Series(np.array(cells, dtype="datetime64[us]"))
    has_text = any(cell is not None for cell in cells)
    return pd.Series(cells, dtype="str" if oid in _TEXTS and has_text else "object")
