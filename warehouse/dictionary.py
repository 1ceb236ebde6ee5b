"""The data dictionary: every table and column with its unit, kept as comments inside the warehouse itself.

`describe` writes the comments of a new generation, `dictionary` reads them back from any.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from zoospectra.warehouse.connect import connect, newest, quoted
from zoospectra.warehouse.definitions import Definition, of_kind
from zoospectra.warehouse.schema import PARTS, WRITTEN, Meaning, unit_and_comment

Meanings = Mapping[str, Mapping[str, Meaning]]
"""Kind of part -> column -> its unit and comment."""

BUILT: dict[str, Meaning] = {
    "counted": Meaning("boolean", "Whether means use it, see the rule of model_metrics and model_slice_metrics"),
    "params": Meaning("count", "Elements of the tensors that have layers, each tensor once"),
    "first_seen": Meaning("UTC", "Start of the first run that saw it in a catalog"),
    "last_seen": Meaning("UTC", "End of the last run that saw it in a catalog"),
    "latest": Meaning("boolean", "Whether this is what the catalog last showed of the model"),
    "runs": Meaning("count", "Runs that saw it"),
    "double_of": Meaning("text", "Model that stands for it in lines through models"),
    "num_slices": Meaning("count", "Slices of the spectrum"),
    "file": Meaning("path", "Part that holds the eigenvalues, relative to the warehouse's folder"),
    "made_of": Meaning("hex", "Digest of the parts and definitions that this generation was made of"),
    "definitions": Meaning("hex", "Digest of the definitions alone: another one is of another version"),
    "filtered": Meaning("boolean", "Whether a filter of the profile left it without a fit"),
    "covered": Meaning("count", "Layers of the model whose metrics are kept"),
    "covered_filtered": Meaning("count", "Those of them that a filter of the profile left without a fit"),
    "num_layers": Meaning("count", "Layers behind the means"),
    "num_embeddings": Meaning("count", "Embeddings, left out of the means"),
    "num_fits": Meaning("count", "Slices with a fit behind the means"),
    "num_failed": Meaning("count", "Layers without a fit, left out of the means"),
    "num_left_out": Meaning("count", "Layers with a fit that the profile leaves out, see left_out of layer_metrics"),
    "share_warned": Meaning(
        "1", "Share of degenerate tails among the layers (or slices) with a tail, see degenerate_tail"
    ),
    "rule": Meaning("text", "Which layers the means and medians are over, and what their profile leaves out"),
}
MEDIAN = "_median"
"""What the name of a median ends in, behind that of its metric."""
UNKNOWN: Meaning = Meaning("unknown", "Not described by the part that holds it: another tool wrote it")


@dataclass(frozen=True, slots=True)
class DictionaryRow:
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


def meanings_of(connection: duckdb.DuckDBPyConnection, files: list[str]) -> dict[str, Meaning]:
    """Unit and comment of every column of these parts, from the Arrow schemas in their footers."""
    sql = "SELECT DISTINCT value FROM parquet_kv_metadata($1) WHERE decode(key) = 'ARROW:schema' ORDER BY value"
    meanings: dict[str, Meaning] = {}
    for (value,) in connection.execute(sql, [files]).fetchall():
        try:
            schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(value, validate=True)))
        except (ValueError, OSError, pa.ArrowException):  # comments that cannot be read cost no numbers
            continue
        meanings |= {column.name: unit_and_comment(column) for column in schema if column.metadata}
    return meanings


def describe(connection: duckdb.DuckDBPyConnection, meanings: Meanings, only: Collection[str] | None = None) -> None:
    """Comment every table, view, macro and column.

    meanings: for columns beyond the contract, as the parts say; `only` these tables, when given.
    """
    sql = """SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()
             WHERE NOT internal AND database_name = current_database() GROUP BY table_name"""
    columns = dict(connection.execute(sql).fetchall())
    comments: list[str] = []
    for definition in of_kind("TABLE", "VIEW", "MACRO"):
        if only is None or definition.name in only:
            comments.append(_comment(definition.commented, definition.comment))
            for column, (unit, comment) in explain(definition, columns.get(definition.name, []), meanings).items():
                comments.append(_comment(f"COLUMN {quoted(definition.name)}.{quoted(column)}", f"{comment} [{unit}]"))
    connection.execute(";".join(comments)).fetchall()  # hundreds: read together they take a third less


def explain(definition: Definition, columns: Iterable[str], meanings: Meanings) -> dict[str, Meaning]:
    """Unit and comment of these columns of a table or view."""
    known: dict[str, Meaning] = {}
    for kind in reversed(definition.columns):
        known |= meanings.get(kind, {})
        known |= {field.name: unit_and_comment(field) for field in PARTS.get(kind, ())}
    known |= {"written": unit_and_comment(WRITTEN), **BUILT}
    if definition.name == "snapshots":
        known["models"] = Meaning("count", "Models it lists")
    lower = {name.lower(): value for name, value in known.items()}
    averages = definition.name in ("model_metrics", "model_slice_metrics")
    explained: dict[str, Meaning] = {}
    for column in columns:
        metric = column if column in known else column.removesuffix(MEDIAN)
        unit, comment = known.get(metric) or lower.get(metric.lower()) or UNKNOWN
        of_the_model = column in PARTS["models"].names or column in BUILT or column == "profile"
        average = "Mean" if metric == column else "Median"
        averaged = averages and not of_the_model
        explained[column] = Meaning(unit, f"{average}, see rule: {comment}" if averaged else comment)
    return explained


def descriptions() -> dict[str, str]:
    """Every table, view and macro -> what it is, tables first, in order of need."""
    return {definition.name: definition.comment for definition in of_kind("TABLE", "VIEW", "MACRO")}


def _comment(what: str, text: str) -> str:
    escaped = text.replace("'", "''")
    return f"COMMENT ON {what} IS '{escaped}'"


def dictionary(directory: Path) -> list[DictionaryRow]:
    """Every column of the newest warehouse, in table and column order; raises ValueError when there is no warehouse."""
    sql = """SELECT table_name, column_name, data_type, comment FROM duckdb_columns()
             WHERE NOT internal AND database_name = current_database() ORDER BY table_name, column_index"""
    with connect(newest(directory), read_only=True) as connection:
        rows = connection.execute(sql).fetchall()
    entries = []
    for table, column, type_, comment in rows:
        match = re.fullmatch(r"(.*) \[(.*)\]", comment or "", re.DOTALL)
        text, unit = (match.group(1), match.group(2)) if match else (comment or "", "")
        entries.append(DictionaryRow(table, column, type_, unit, text))
    return entries
