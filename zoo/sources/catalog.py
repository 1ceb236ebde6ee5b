"""catalog.csv of a zoo folder: what is known about its files, and what was reported about them.

One row a file and reported metric; several rows for one file give several metrics. Columns: file (required), series,
dataset, metric, value, higher_is_better, source, source_date, licence, note, and task; any other column describes the
model (depth, width, batch_size, ...) and is kept under its own name, as a number where it is one.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from zoospectra.zoo.checkpoint.plain import plain_file
from zoospectra.zoo.model import Model, ReportedMetric

COLUMNS = (
    "file",
    "series",
    "dataset",
    "metric",
    "value",
    "higher_is_better",
    "source",
    "source_date",
    "licence",
    "note",
    "task",
)
"""Columns with a meaning of their own."""

TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
"""How higher_is_better may be written, in any case."""

UNKNOWN_SOURCE = "catalog.csv"
"""Source of a metric whose row names none."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """Everything the catalog says about one file."""

    file: str
    """Path relative to the zoo's folder, with forward slashes."""
    series: str | None = None
    """Architecture family."""
    dataset: str | None = None
    """Data set the model was trained on."""
    task: str | None = None
    """Task."""
    licence: str | None = None
    """Licence, in the catalog's words."""
    note: str | None = None
    """Free text."""
    metrics: tuple[ReportedMetric, ...] = ()
    """Reported numbers, in row order."""
    extra: Mapping[str, int | float | str] = field(default_factory=dict)
    """Columns without a meaning of their own."""


def read_catalog(path: Path) -> dict[str, CatalogEntry]:
    """Entries by file, in the catalog's order; ValueError names the line, what was expected and what was found."""
    try:
        plain_file(path)
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read as UTF-8 text: {error}"
        raise ValueError(msg) from error
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    entries: dict[str, CatalogEntry] = {}
    try:
        header = _header(path, next(rows, []))
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            line = f"{path} line {rows.line_num}"
            if len(row) != len(header):
                msg = f"{line}: expected {len(header)} columns, got {len(row)}; quote cells that hold a comma"
                raise ValueError(msg)
            entry = _entry(line, dict(zip(header, (cell.strip() for cell in row), strict=True)))
            known = entries.get(entry.file)
            entries[entry.file] = entry if known is None else _merged(line, known, entry)
    except csv.Error as error:
        msg = f"{path} line {rows.line_num}: not well-formed CSV: {error}"
        raise ValueError(msg) from error
    return entries


def _header(path: Path, row: list[str]) -> list[str]:
    """Column names, checked."""
    header = [cell.strip() for cell in row]
    if "file" not in header:
        msg = f"{path} line 1: expected a header with the column file, got {', '.join(header)[:200] or 'nothing'}"
        raise ValueError(msg)
    fixed = set(Model.__slots__) - set(COLUMNS)
    wrong = [name for name in header if not name or name in fixed or header.count(name) > 1]
    if wrong:
        msg = f"{path} line 1: column names must be unique, not empty, and not {', '.join(sorted(fixed))}; got {wrong}"
        raise ValueError(msg)
    return header


def _entry(line: str, cells: dict[str, str]) -> CatalogEntry:
    """One row as an entry with at most one metric."""
    file = PurePosixPath(cells["file"])
    if not cells["file"] or file.is_absolute() or ".." in file.parts:
        msg = f"{line}: expected the path of a file inside this folder, got {cells['file']!r}"
        raise ValueError(msg)
    return CatalogEntry(
        file=str(file),
        series=cells.get("series") or None,
        dataset=cells.get("dataset") or None,
        task=cells.get("task") or None,
        licence=cells.get("licence") or None,
        note=cells.get("note") or None,
        metrics=_metric(line, cells),
        extra={name: _number_or_text(text) for name, text in cells.items() if name not in COLUMNS and text},
    )


def _metric(line: str, cells: dict[str, str]) -> tuple[ReportedMetric, ...]:
    """The metric of a row; none when its name or its value is empty."""
    name, text = cells.get("metric", ""), cells.get("value", "")
    if not name or not text:
        return ()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        msg = f"{line}: expected a finite number as value of {name}, got {text!r}; leave it empty when it is not known"
        raise ValueError(msg)
    direction = TRUTH.get(cells.get("higher_is_better", "").lower())
    if direction is None:
        msg = f"{line}: higher_is_better must be true or false, got {cells.get('higher_is_better', '')!r}"
        raise ValueError(msg)
    dataset = cells.get("dataset", "")
    if not dataset:
        msg = f"{line}: {name} has a value but no dataset; say on which data it was measured"
        raise ValueError(msg)
    source, date = cells.get("source") or UNKNOWN_SOURCE, cells.get("source_date") or None
    return (ReportedMetric(dataset.lower(), name, value, direction, source, date),)


def _merged(line: str, known: CatalogEntry, entry: CatalogEntry) -> CatalogEntry:
    """Two rows of one file: metrics add up; what both say about the model itself must be the same."""
    # A model has one training set, the first row's; later rows may report on other data.
    for name in ("series", "task", "licence"):
        before, now = getattr(known, name), getattr(entry, name)
        if before is not None and now is not None and before != now:
            msg = f"{line}: {name} of {known.file} is {now!r} here and {before!r} above"
            raise ValueError(msg)
    clash = [name for name, value in entry.extra.items() if known.extra.get(name, value) != value]
    if clash:
        msg = f"{line}: columns {clash} of {known.file} differ from a row above"
        raise ValueError(msg)
    return CatalogEntry(
        file=known.file,
        series=known.series or entry.series,
        dataset=known.dataset or entry.dataset,
        task=known.task or entry.task,
        licence=known.licence or entry.licence,
        note=known.note or entry.note,
        metrics=known.metrics + entry.metrics,
        extra={**known.extra, **entry.extra},
    )


def _number_or_text(text: str) -> int | float | str:
    """A cell as int or float where it is a finite number, else as text."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if math.isfinite(value):
            return value
    return text
