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

from zoospectra.warehouse.connect import connect
from zoospectra.warehouse.intact import reading
from zoospectra.warehouse.parts import list_parts
from zoospectra.warehouse.schema import PARTS


@dataclass(frozen=True, slots=True)
class Known:
    """Finished work, by identity."""

    spectra: dict[tuple[str, str, str], Path]
    """(content_hash, unfold, code_version) of every stored spectrum -> a part that holds it."""
    layer_metrics: frozenset[tuple[str, str, str, str]]
    """(content_hash, unfold, profile_key, code_version) with layer metrics."""
    slice_metrics: frozenset[tuple[str, str, str, str]]
    """(content_hash, unfold, profile_key, code_version) with slice metrics."""
    filtered: frozenset[tuple[str, str]]
    """(content_hash, profile_key) that the profile's filters left without a fit: too few eigenvalues, say."""
    layers: dict[tuple[str, str], tuple[str, ...]]
    """(model_id, revision) -> content hash of every listed layer, one a layer, sorted."""
    kinds: dict[str, tuple[str, str]]
    """content_hash -> (a model that holds it, layer_type)."""
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

    def rows(kind: str, columns: str, which: str = "") -> list[tuple[Any, ...]]:
        if not (mine := paths.get(kind, [])):
            return []
        sql = f"SELECT {columns} FROM read_parquet($1, filename = true) {which}"
        found, aside = reading(mine, lambda files: _fetch(sql, files))
        broken.extend(aside)
        return found

    metrics = "content_hash, unfold, profile_key, code_version"
    layers: dict[tuple[str, str], list[str]] = {}
    newest = "rank() OVER (PARTITION BY model_id, revision ORDER BY written DESC, filename) = 1"
    for model_id, revision, content_hash in rows("layers", "model_id, revision, content_hash", f"QUALIFY {newest}"):
        layers.setdefault((model_id, revision), []).append(content_hash)
    kinds = "content_hash, min(model_id), min(layer_type)"
    skipped: dict[tuple[str, str], set[tuple[str | None, str, bool]]] = {}
    for model_id, revision, *rest in rows(
        "skipped", "DISTINCT model_id, revision, tensor, reason, failed", f"QUALIFY {newest}"
    ):
        skipped.setdefault((model_id, revision), set()).add((rest[0], rest[1], rest[2]))
    return Known(
        spectra={
            (row[0], row[1], row[2]): Path(row[3])
            for row in rows("spectra", "DISTINCT content_hash, unfold, code_version, filename")
        },
        layer_metrics=frozenset(rows("layer_metrics", f"DISTINCT {metrics}")),
        slice_metrics=frozenset(rows("slice_metrics", f"DISTINCT {metrics}")),
        filtered=frozenset(
            rows("layer_metrics", "DISTINCT content_hash, profile_key", "WHERE status LIKE 'skipped:%'")
        ),
        layers={key: tuple(sorted(value)) for key, value in layers.items()},
        kinds={row[0]: (row[1], row[2]) for row in rows("layers", kinds, "GROUP BY content_hash")},
        skipped={key: frozenset(value) for key, value in skipped.items()},
        broken=tuple(broken),
    )


def _fetch(sql: str, files: list[Path]) -> list[tuple[Any, ...]]:
    if not files:
        return []
    with connect() as connection:
        return list(connection.execute(sql, [[str(file) for file in files]]).fetchall())


def read_spectra(files: Collection[Path], content_hashes: Collection[str], unfold: str | None = None) -> pa.Table:
    """Stored spectra of these contents in these parts (see Known.spectra), ordered by content_hash, unfold, slice_id.

    One row a slice; of several computations of one spectrum the newest wins. Contents without a spectrum are absent.
    """
    paths = sorted(set(files))
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
