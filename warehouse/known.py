"""What the parts already hold, to plan only what is missing, and the stored spectra, for new fits without weights.

Reads two to four columns of every part through DuckDB, about a second for thousands of parts.
Not covered: the warehouse itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse.connect import connect
from warehouse.intact import reading
from warehouse.parts import list_parts
from warehouse.schema import PARTS


@dataclass(frozen=True, slots=True)
class Known:
    """Finished work, by identity."""

    spectra: frozenset[tuple[str, str, str]]
    """(content_hash, unfold, code_version) with a stored spectrum."""
    layer_metrics: frozenset[tuple[str, str, str, str]]
    """(content_hash, unfold, profile_key, code_version) with layer metrics."""
    slice_metrics: frozenset[tuple[str, str, str, str]]
    """(content_hash, unfold, profile_key, code_version) with slice metrics."""
    layers: dict[tuple[str, str], frozenset[str]]
    """(model_id, revision) -> content hashes of its listed layers."""
    skipped: dict[tuple[str, str], frozenset[tuple[str | None, str, bool]]]
    """(model_id, revision) -> (tensor, reason, failed) of everything not analysed."""
    broken: tuple[Path, ...]
    """Damaged parts that were moved aside while looking; what they held counts as missing."""

    def has_layers(self, model_id: str, revision: str) -> bool:
        """Whether the layers of this model revision are listed already."""
        return (model_id, revision) in self.layers


def known_results(directory: Path) -> Known:
    """Identities of everything in the parts of DIR; empty sets when there are none."""
    paths: dict[str, list[Path]] = {}
    for part in list_parts(directory):
        paths.setdefault(part.kind, []).append(part.path)
    broken: list[Path] = []

    def rows(kind: str, columns: str) -> list[tuple[Any, ...]]:
        if not (mine := paths.get(kind, [])):
            return []
        sql = f"SELECT DISTINCT {columns} FROM read_parquet($1)"
        found, aside = reading(mine, lambda files: _fetch(sql, files))
        broken.extend(aside)
        return found

    metrics = "content_hash, unfold, profile_key, code_version"
    layers: dict[tuple[str, str], set[str]] = {}
    for model_id, revision, content_hash in rows("layers", "model_id, revision, content_hash"):
        layers.setdefault((model_id, revision), set()).add(content_hash)
    skipped: dict[tuple[str, str], set[tuple[str | None, str, bool]]] = {}
    for model_id, revision, *rest in rows("skipped", "model_id, revision, tensor, reason, failed"):
        skipped.setdefault((model_id, revision), set()).add((rest[0], rest[1], rest[2]))
    return Known(
        spectra=frozenset(rows("spectra", "content_hash, unfold, code_version")),
        layer_metrics=frozenset(rows("layer_metrics", metrics)),
        slice_metrics=frozenset(rows("slice_metrics", metrics)),
        layers={key: frozenset(value) for key, value in layers.items()},
        skipped={key: frozenset(value) for key, value in skipped.items()},
        broken=tuple(broken),
    )


def _fetch(sql: str, files: list[Path]) -> list[tuple[Any, ...]]:
    if not files:
        return []
    with connect() as connection:
        return list(connection.execute(sql, [[str(file) for file in files]]).fetchall())


def read_spectra(directory: Path, content_hashes: Collection[str], unfold: str | None = None) -> pa.Table:
    """Stored spectra of these contents: the contract's columns, ordered by content_hash, unfold, slice_id.

    One row a slice; of several computations of one spectrum the newest wins. Contents without a spectrum are absent.
    Every call opens the footer of every spectra part: ask for many contents at once, bounded by memory.
    """
    paths = [part.path for part in list_parts(directory) if part.kind == "spectra"]
    names = PARTS["spectra"].names
    wanted = pa.table({"content_hash": pa.array(sorted(set(content_hashes)), pa.string())})
    sql = f"""
        SELECT {", ".join(names)} FROM read_parquet($files, filename = true)
        WHERE content_hash IN (SELECT content_hash FROM wanted) AND ($unfold IS NULL OR unfold = $unfold)
        QUALIFY rank() OVER (PARTITION BY content_hash, unfold ORDER BY written DESC, filename) = 1
        ORDER BY content_hash, unfold, slice_id"""

    def read(files: list[Path]) -> pa.Table:
        if not files:
            return PARTS["spectra"].empty_table()
        with connect() as connection:
            connection.register("wanted", wanted)
            texts = [str(file) for file in files]
            return connection.sql(sql, params={"files": texts, "unfold": unfold}).to_arrow_table()

    table, _ = reading(paths, read)
    return table.cast(PARTS["spectra"])
