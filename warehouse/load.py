"""Parts into DuckDB: temporary tables raw_<kind> with all rows of a kind, damaged parts moved aside.

A part without rows, made from the contract, leads every list of files: it gives the contract's columns when there are
no parts, or only older ones and those of other tools that lack a column.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from zoospectra.warehouse.dictionary import Meanings, meanings_of
from zoospectra.warehouse.intact import read_intact
from zoospectra.warehouse.parts import contract_part, list_parts
from zoospectra.warehouse.place import beside
from zoospectra.warehouse.schema import PARTS, Meaning


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came with the rows."""

    meanings: Meanings
    """Kind of part -> column -> its unit and comment, as the parts say."""
    broken: tuple[Path, ...]
    """Damaged parts that were moved aside."""


def load(connection: duckdb.DuckDBPyConnection, directory: Path, kinds: Iterable[str] = tuple(PARTS)) -> Loaded:
    """Make raw_<kind> for these kinds of part; raises duckdb.Error when a read fails without a damaged part.

    Their `filename` is relative to the folder, which may be moved.
    """
    inside = len(str(directory.resolve())) + 2  # the first character behind the folder and its slash, from 1
    kinds = tuple(kinds)
    parts = list_parts(directory, kinds)
    meanings: dict[str, dict[str, Meaning]] = {}
    broken: list[Path] = []
    for kind in kinds:
        first = contract_part(directory, kind)
        columns = f"* {'EXCLUDE (evals) ' if kind == 'spectra' else ''}REPLACE (substr(filename, {inside}) AS filename)"
        sql = f"SELECT {columns} FROM read_parquet($1, union_by_name = true, filename = true)"

        def read(paths: list[Path], kind: str = kind, sql: str = sql, first: Path = first) -> dict[str, Meaning]:
            files = [str(first), *map(str, paths)]
            connection.execute(f"CREATE OR REPLACE TEMP TABLE raw_{kind} AS {sql}", [files]).fetchall()
            return meanings_of(connection, files)

        meanings[kind], damaged = read_intact([part.path for part in parts if part.kind == kind], read)
        broken += damaged
    return Loaded(meanings, tuple(broken))


def spectra_files(directory: Path) -> str:
    """A list for the view of the spectra: the part without rows, and all others once there is one.

    A pattern that matches no file would be an error.
    """
    names = [contract_part(directory, "spectra").relative_to(directory.resolve()).as_posix()]
    if list_parts(directory, ["spectra"]):
        names.append("parts/models/*/spectra-*.parquet")
    return beside(names)
