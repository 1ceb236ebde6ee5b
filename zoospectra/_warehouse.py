"""A warehouse as an object: read-only SQL, and the two tables that most questions start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from zoospectra._path import installed_first
from zoospectra.warehouse.query import fetch, open_newest

if TYPE_CHECKING:
    from os import PathLike


class Warehouse:
    """The generation of a warehouse that was the newest when it was opened; nothing in it can be changed.

    A context manager. Raises ValueError when there is no warehouse in the folder.
    """

    def __init__(self, directory: str | PathLike[str]) -> None:
        self.directory = Path(directory)
        self._connection = open_newest(self.directory)
        self._open = True

    def sql(self, text: str) -> pa.Table:
        """Result of one SQL statement that reads; ValueError, in one line, for any other and for what DuckDB refuses.

        Equivalent to `zoospectra sql "SELECT ..."` without its limits of memory and time: only a process of its own can
        be ended in the middle of a step. Tables, units and meanings: SELECT * FROM duckdb_columns().
        """
        if not self._open:
            msg = f"this warehouse is closed: open it again with zoospectra.open({str(self.directory)!r})"
            raise ValueError(msg)
        return fetch(self._connection, text)

    def models(self) -> pa.Table:
        """One row a model and profile: means over the layers that count, and where they come from."""
        return self.sql("SELECT * FROM model_metrics ORDER BY model_id, profile")

    def layers(self) -> pa.Table:
        """One row a layer and profile, with every metric."""
        return self.sql("SELECT * FROM layer_metrics ORDER BY model_id, layer_id, profile")

    def close(self) -> None:
        """Close the connection; tables that were fetched stay."""
        self._open = False
        self._connection.close()

    def __enter__(self) -> Warehouse:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def __repr__(self) -> str:
        """Where it is."""
        return f"zoospectra.open({str(self.directory)!r})" + ("" if self._open else "  # closed")


@installed_first()
def open(directory: str | PathLike[str] = "data") -> Warehouse:
    """Open the newest generation of a warehouse to read it; ValueError when there is none.

    with zoospectra.open("data") as warehouse: warehouse.sql("SELECT ...").to_pandas()
    """
    return Warehouse(directory)
