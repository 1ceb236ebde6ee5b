"""A generation as Parquet files for readers who are elsewhere: no path and no machine of this one is in them.

The same rows give the same bytes, so that a file that did not change need not be sent again. Columns keep their unit
and meaning as metadata. Not covered: where the files go.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from zoospectra.warehouse.dictionary import DictionaryRow, dictionary
from zoospectra.warehouse.disk import written
from zoospectra.warehouse.parts import live_parts
from zoospectra.warehouse.query import open_newest

TABLES = {
    "model_metrics": "SELECT * FROM model_metrics ORDER BY model_id, profile",
    "layer_metrics": "SELECT * FROM layer_metrics ORDER BY model_id, revision, layer_id, unfold, profile",
    "models": "SELECT * EXCLUDE (path) FROM models ORDER BY model_id, revision",
    "reported_metrics": "SELECT * FROM reported_metrics ORDER BY ALL",
    "layers": "SELECT * FROM layers ORDER BY model_id, revision, layer_id",
    "skipped": "SELECT * FROM skipped ORDER BY ALL",
    "study_results": "SELECT * FROM study_results ORDER BY ALL",
    "runs": """SELECT run_id, started, finished, verb, zoo, snapshot, git_commit, models, layers, skipped, failed,
        exit_status FROM runs ORDER BY started, run_id""",
}
"""Table -> what of it is published: paths, configurations and machines are not."""


def export(directory: Path, folder: Path) -> dict[str, int]:
    """Write every table of the newest generation to folder/<table>.parquet; rows by table, those without are left out.

    Raises ValueError when there is no warehouse.
    """
    meanings = {(row.table, row.column): row for row in dictionary(directory)}
    counts: dict[str, int] = {}
    with open_newest(directory) as connection:
        for name, sql in TABLES.items():
            table = connection.sql(sql).to_arrow_table()
            if len(table):
                counts[name] = len(table)
                folder.mkdir(parents=True, exist_ok=True)
                explained = _explained(name, table, meanings)
                with written(folder):
                    pq.write_table(explained, folder / f"{name}.parquet", compression="zstd")
    return counts


def spectra_parts(directory: Path) -> dict[str, Path]:
    """Parts that hold eigenvalues, by their path in the warehouse's folder."""
    return {part.name(directory): part.path for part in live_parts(directory) if part.kind == "spectra"}


def _explained(name: str, table: pa.Table, meanings: Mapping[tuple[str, str], DictionaryRow]) -> pa.Table:
    """The table with unit and meaning of every column."""
    fields = []
    for field in table.schema:
        row = meanings.get((name, field.name))
        fields.append(field.with_metadata({"unit": row.unit, "comment": row.comment}) if row else field)
    return table.cast(pa.schema(fields))
