"""What figures of models are made of, read from the newest warehouse: averages, reported numbers, catalog, layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from zoospectra.warehouse.studies import designs, selects

SHARED = ("averages", "reported", "catalog")
"""SELECTs behind the points."""


def read_designs(directory: Path, source_date: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """Rows of averages, reported numbers and catalog; ValueError when there is no warehouse."""
    tables = designs(directory, selects("points", SHARED), {"source_date": source_date})
    return {name: table.to_pylist() for name, table in tables.items()}


def read_layers(directory: Path) -> pa.Table:
    """Layers that count, in the order of depth; ValueError when there is no warehouse."""
    return designs(directory, selects("figures"))["layers"]
