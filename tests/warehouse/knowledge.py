"""Everything that a warehouse knows, once its newest generation has everything that is in the parts."""

from __future__ import annotations

from pathlib import Path

from zoospectra.warehouse.build import refresh
from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.known import Knowledge, Known
from zoospectra.warehouse.query import query


def everything(directory: Path) -> Known:
    refresh(directory)
    knowledge = Knowledge(directory)
    listed = query(directory, "SELECT DISTINCT model_id, revision FROM layers_history ORDER BY ALL").to_pylist()
    models = knowledge.of_models([ModelId(**row) for row in listed])
    sql = "SELECT content_hash FROM spectra_index UNION SELECT content_hash FROM result_index"
    contents = knowledge.of_contents(query(directory, sql)["content_hash"].to_pylist())
    knowledge.close()
    return Known(contents.spectra, contents.metrics, contents.filtered, models.layers, models.readers, models.skipped)
