"""Design tables of the studies: each a SELECT in sql/studies/<study>/<name>.sql, read from the newest generation.

Those that several studies use are in sql/studies/any.

Not covered: the statistics on them (another room's), keeping the results (parts.py, kind study_results).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import duckdb
import pyarrow as pa

from zoospectra.warehouse.query import one_line, open_newest


def design_names(study: str) -> tuple[str, ...]:
    """Names of a study's SELECTs, sorted; () for a study without any."""
    folder = resources.files("zoospectra.warehouse") / "sql" / "studies" / study
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql")))


def designs(
    directory: Path,
    study: str,
    shared: Sequence[str] = (),
    values: Mapping[str, str | int | float | None] | None = None,
) -> dict[str, pa.Table]:
    """Every design table of a study, and the `shared` ones, by name; `values` fill the $parameters of a SELECT.

    Raises ValueError when there is no warehouse or a SELECT fails, in one line.
    """
    found = {}
    with open_newest(directory) as connection:
        folders = dict.fromkeys(shared, "any") | dict.fromkeys(design_names(study), study)
        for name, folder in folders.items():
            text = (resources.files("zoospectra.warehouse") / "sql" / "studies" / folder / f"{name}.sql").read_text()
            params = {key: value for key, value in (values or {}).items() if f"${key}" in text}
            try:
                found[name] = connection.sql(text, params=params or None).to_arrow_table()
            except duckdb.Error as error:
                msg = f"study {study}, design {name}: {one_line(error)}"
                raise ValueError(msg) from error
    return found
