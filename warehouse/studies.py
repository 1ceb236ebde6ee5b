"""Design tables of the studies: each a SELECT in sql/studies/<kind>/<name>.sql, read from the newest generation.

Those that several kinds use are in sql/studies/any; a kind from outside brings its own.

Not covered: the statistics on them (another room's), keeping the results (parts.py, kind study_results).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import duckdb
import pyarrow as pa

from zoospectra.warehouse.query import open_newest, refusal
from zoospectra.warehouse.verified import require_spectra

FOLDER = resources.files("zoospectra.warehouse") / "sql" / "studies"


def selects(kind: str, shared: Sequence[str] = (), queries: Mapping[str, str] | None = None) -> dict[str, str]:
    """Name -> SELECT of a kind of study: the `shared` ones, its own by name, and `queries` brought from outside."""
    texts = {name: (FOLDER / "any" / f"{name}.sql").read_text() for name in shared}
    own = FOLDER / kind
    if own.is_dir():
        files = sorted(entry.name for entry in own.iterdir() if entry.name.endswith(".sql"))
        texts |= {name.removesuffix(".sql"): (own / name).read_text() for name in files}
    return texts | dict(queries or {})


def designs(
    directory: Path, queries: Mapping[str, str], values: Mapping[str, str | int | float | None] | None = None
) -> dict[str, pa.Table]:
    """The rows of every SELECT, by name; `values` fill its $parameters.

    Raises ValueError when there is no warehouse or a SELECT fails, in one line.
    """
    tables = {}
    with open_newest(directory) as connection:
        for name, text in queries.items():
            params = {key: value for key, value in (values or {}).items() if f"${key}" in text}
            try:
                require_spectra(connection, text)
                tables[name] = connection.sql(text, params=params or None).to_arrow_table()
            except duckdb.Error as error:
                msg = f"design {name}: {refusal(connection, error)}"
                raise ValueError(msg) from error
    return tables
