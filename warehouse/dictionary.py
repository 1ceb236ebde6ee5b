"""The data dictionary: every table and column with its unit, kept as comments inside the warehouse itself.

`describe` writes the comments of a new generation, `dictionary` reads them back from any.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from zoospectra.warehouse.connect import connect, newest
from zoospectra.warehouse.schema import PARTS, WRITTEN, unit_and_comment

Words = tuple[str, str]  # unit, comment

TABLES: dict[str, str] = {
    "runs": "One row per run of a job",
    "snapshots": "One row per state of a zoo's catalogue",
    "models": "One row per model revision; latest marks the one that the plain tables show",
    "reported_metrics": "What was reported about a model, in the newest snapshot of its catalogue",
    "reported_metrics_history": "What was ever reported about a model, one row per snapshot of its catalogue",
    "layers": "One row per layer of the latest revision of a model",
    "layers_history": "One row per layer of every revision of a model",
    "spectra": "One row per content hash and slice: raw eigenvalues, read from the Parquet parts",
    "spectra_index": "One row per stored spectrum, without its eigenvalues",
    "layer_metrics": "One row per layer and profile, for the latest revision of a model",
    "layer_metrics_history": "One row per layer and profile, for every revision of a model",
    "slice_metrics": "One row per slice and profile, for the latest revision of a model",
    "slice_metrics_history": "One row per slice and profile, for every revision of a model",
    "model_metrics": "One row per model and profile: means over the layers of the latest revision, see rule",
    "model_averages": "One row per model and profile whose averages somebody published, and per rule of averaging",
    "model_slice_metrics": "One row per model and profile that works per slice: means over slices, see rule",
    "doubles": "One row per model that is another one under a second name: which one, and what tells so",
    "skipped": "One row per tensor or model not analysed, for the latest revision of a model",
    "skipped_history": "One row per tensor or model not analysed, for every revision of a model",
    "study_results": "One row per cell of a study's table",
}
MACROS: dict[str, str] = {
    "kendall_tau_b": "Kendall's tau-b of two lists, as scipy.stats.kendalltau; NULL pairs dropped",
    "reported_newest": "Table: what was reported: one number per model, data set and metric, the newest",
    "regress": "Table: a reported metric regressed on any average, by data set and any column of models, "
    "with reasons for gaps",
    "layer_profile": "Table: layers of models that match a glob, in order of depth",
    "compare_models": "Table: two models layer by layer, with changes",
    "changed_since": "Table: models that are new, retrained or gone since a run",
    "spearman": "Spearman's rank correlation of two lists, as scipy.stats.spearmanr; NULL pairs dropped",
}
BUILT: dict[str, Words] = {
    "params": ("count", "Elements of the tensors that have layers, each tensor once"),
    "first_seen": ("UTC", "Start of the first run that saw it in a catalogue"),
    "last_seen": ("UTC", "End of the last run that saw it in a catalogue"),
    "latest": ("boolean", "Whether this is what the catalogue last showed of the model"),
    "runs": ("count", "Runs that saw it"),
    "double_of": ("text", "Model that stands for it in lines through models"),
    "num_slices": ("count", "Slices of the spectrum"),
    "file": ("path", "Part that holds the eigenvalues"),
    "num_layers": ("count", "Layers behind the means"),
    "num_embeddings": ("count", "Embeddings, left out of the means"),
    "num_fits": ("count", "Slices with a fit behind the means"),
    "num_failed": ("count", "Layers without a fit, left out of the means"),
    "rule": ("text", "Which layers the means are over"),
}
UNKNOWN: Words = ("unknown", "Not described by the part that holds it: another tool wrote it")
BASES: dict[str, tuple[str, ...]] = {  # which kinds of part explain a table's columns, the first one first
    "models": ("models",),
    "snapshots": ("models", "runs"),
    "spectra_index": ("spectra",),
    "model_metrics": ("models", "layer_metrics", "model_averages"),
    "model_slice_metrics": ("models", "slice_metrics"),
    "doubles": ("models",),
    "layer_metrics": ("layer_metrics", "layers"),
    "slice_metrics": ("slice_metrics", "layers"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One column of the dictionary."""

    table: str
    """Table or view."""
    column: str
    """Column."""
    type: str
    """DuckDB type."""
    unit: str
    """Unit or scale."""
    comment: str
    """What it is."""


def extra_columns(connection: duckdb.DuckDBPyConnection, files: list[str]) -> dict[str, Words]:
    """Unit and comment of every column of these parts, from the Arrow schemas in their footers."""
    sql = "SELECT DISTINCT value FROM parquet_kv_metadata($1) WHERE decode(key) = 'ARROW:schema' ORDER BY value"
    words: dict[str, Words] = {}
    for (value,) in connection.execute(sql, [files]).fetchall():
        try:
            schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(value, validate=True)))
        except (ValueError, OSError, pa.ArrowException):  # words that cannot be read cost no numbers
            continue
        words |= {column.name: unit_and_comment(column) for column in schema if column.metadata}
    return words


def describe(
    connection: duckdb.DuckDBPyConnection, extra: dict[str, dict[str, Words]], only: Collection[str] | None = None
) -> None:
    """Comment every table, view, macro and column.

    extra: kind of part -> column -> (unit, comment), for columns beyond the contract; `only` these tables, when given.
    """
    views = {
        name for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    }
    sql = (
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND database_name = current_database()"
    )
    for table, column in connection.execute(sql).fetchall():
        if only is not None and table not in only:
            continue
        unit, comment = explain(table, column, extra)
        _comment(connection, f'COLUMN "{table}".{_quoted(column)}', f"{comment} [{unit}]")
    for table, comment in TABLES.items():
        if only is not None and table not in only:
            continue
        _comment(connection, f'{"VIEW" if table in views else "TABLE"} "{table}"', comment)
    for macro, comment in MACROS.items() if only is None else ():
        kind = "MACRO TABLE" if comment.startswith("Table:") else "MACRO"
        _comment(connection, f'{kind} "{macro}"', comment)


def explain(table: str, column: str, extra: dict[str, dict[str, Words]]) -> Words:
    """Unit and comment of one column of a table of the warehouse."""
    kind = table.removesuffix("_history")
    kinds = BASES.get(kind, (kind,))
    words: dict[str, Words] = {}
    for base in reversed(kinds):
        words |= extra.get(base, {})
        words |= {entry.name: unit_and_comment(entry) for entry in PARTS[base]}
    words |= {"written": unit_and_comment(WRITTEN), **BUILT}
    if table == "snapshots":
        words["models"] = ("count", "Models it lists")
    lower = {name.lower(): value for name, value in words.items()}
    unit, comment = words.get(column) or lower.get(column.lower()) or UNKNOWN
    averaged = (
        table in ("model_metrics", "model_slice_metrics")
        and column not in PARTS["models"].names
        and column not in BUILT
    )
    return (unit, f"Mean, see rule: {comment}") if averaged and column != "profile" else (unit, comment)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _comment(connection: duckdb.DuckDBPyConnection, what: str, text: str) -> None:
    escaped = text.replace("'", "''")
    connection.execute(f"COMMENT ON {what} IS '{escaped}'").fetchall()


def dictionary(directory: Path) -> list[Entry]:
    """Every column of the newest warehouse, in table and column order; raises ValueError when there is no warehouse."""
    sql = """SELECT table_name, column_name, data_type, comment FROM duckdb_columns()
             WHERE NOT internal AND database_name = current_database() ORDER BY table_name, column_index"""
    with connect(newest(directory), read_only=True) as connection:
        rows = connection.execute(sql).fetchall()
    entries = []
    for table, column, type_, comment in rows:
        match = re.fullmatch(r"(.*) \[(.*)\]", comment or "", re.DOTALL)
        text, unit = (match.group(1), match.group(2)) if match else (comment or "", "")
        entries.append(Entry(table, column, type_, unit, text))
    return entries
