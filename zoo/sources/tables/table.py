"""Tables as people publish them, CSV, Excel or Parquet, as plain rows; nothing in them is executed.

Numbers are numbers, empty cells and NaN and infinities are None, everything else is text. Excel needs openpyxl.
Not covered: several sheets (the first one is read), merged cells, formulas without stored values.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import math
import zipfile
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path

from zoospectra.zoo.model import Value

Row = dict[str, Value]

MOST_BYTES = 1 << 30
"""A file, or an archive once inflated, beyond this is refused: the largest published table takes 1 MB."""


def read(path: Path) -> tuple[list[Row], str]:
    """Rows of a table by column name, and the sha256 (hex) of the file.

    ValueError: no reader for its suffix, a missing package, a file that is too large, damaged or without a header.
    """
    suffix = ".csv" if path.name.endswith(".csv.gz") else path.suffix
    if suffix not in READERS:
        msg = f"{path}: no reader for tables that end in {suffix!r}; expected {', '.join(READERS)}"
        raise ValueError(msg)
    try:
        if path.stat().st_size > MOST_BYTES:
            msg = f"{path} holds more than {MOST_BYTES} bytes: not a table of metrics"
            raise ValueError(msg)
        raw = path.read_bytes()
        rows = READERS[suffix](raw)
    except (OSError, EOFError, KeyError, UnicodeDecodeError, csv.Error, zipfile.BadZipFile) as error:
        msg = f"{path} cannot be read as {suffix}: {error!r}"
        raise ValueError(msg) from error
    if not rows:
        msg = f"{path} holds no rows; expected a header and at least one row"
        raise ValueError(msg)
    return rows, hashlib.sha256(raw).hexdigest()


def plain(value: object) -> Value:
    """A cell as a plain value: numbers (text that is one, too), text, or None for empty, NaN and infinite cells."""
    if value is None or isinstance(value, bool):
        return None if value is None else int(value)
    if isinstance(value, int):
        return value
    if not isinstance(value, float):
        text = str(value).strip()
        if text in ("", "True", "False"):
            return {"": None, "True": 1, "False": 0}[text]
        try:
            value = float(text)
        except ValueError:
            return text
        if text.lstrip("+-").isdigit():
            return int(text)
    return value if math.isfinite(value) else None


def _rows(header: Sequence[object], cells: Iterable[Sequence[object]]) -> list[Row]:
    """Rows by name; a column without a name is the writer's index and is kept under ''."""
    names = ["" if name is None else str(name) for name in header]
    return [{name: plain(cell) for name, cell in zip(names, line, strict=False)} for line in cells]


def _csv(raw: bytes) -> list[Row]:
    if raw[:2] == b"\x1f\x8b":
        with gzip.open(io.BytesIO(raw)) as file:
            raw = file.read(MOST_BYTES)
    lines = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
    return _rows(next(lines, []), (line for line in lines if line))


def _excel(raw: bytes) -> list[Row]:
    try:
        openpyxl = import_module("openpyxl")
    except ImportError as error:
        msg = "Excel tables need openpyxl: pip install openpyxl, or save the table as CSV"
        raise ValueError(msg) from error
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
            msg = f"the Excel file inflates beyond {MOST_BYTES} bytes: not a table of metrics"
            raise ValueError(msg)
    book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
    lines = book.worksheets[0].iter_rows(values_only=True)
    rows = _rows(next(lines, ()), lines)
    book.close()
    return rows


def _parquet(raw: bytes) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(raw))
    except pa.ArrowException as error:
        msg = f"not a Parquet file: {error}"
        raise ValueError(msg) from error
    return _rows(table.column_names, zip(*(column.to_pylist() for column in table.columns), strict=True))


READERS: dict[str, Callable[[bytes], list[Row]]] = {".csv": _csv, ".xlsx": _excel, ".parquet": _parquet}
"""Suffix -> rows of the file's bytes."""
