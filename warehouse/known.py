"""What the parts already hold, to plan only what is missing, and the stored spectra, for new fits without weights.

Reads two to five columns of every part through DuckDB, about a second for thousands of parts.
Not covered: the warehouse itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from zoospectra.warehouse.connect import connect
from zoospectra.warehouse.identity import ModelId, ResultId, SketchId, SpectrumId
from zoospectra.warehouse.intact import read_intact
from zoospectra.warehouse.parts import contract_part, list_parts
from zoospectra.warehouse.schema import PARTS


class LayerKind(NamedTuple):
    """A layer that holds some content."""

    model_id: str
    """A model that has it."""
    layer_type: str
    """'dense', 'conv2d', ..."""
    dtype: str
    """Stored element type."""


class SkipRow(NamedTuple):
    """One thing that was not analysed."""

    tensor: str | None
    """Tensor; None when the whole model was not."""
    reason: str
    """Short stable code."""
    failed: bool
    """True when something is wrong, false when a rule says so."""


@dataclass(frozen=True, slots=True)
class Known:
    """Finished work, by identity."""

    spectra: dict[SpectrumId, Path]
    """Every stored spectrum -> a part that holds it."""
    metrics: frozenset[ResultId]
    """Results with layer metrics."""
    filtered: frozenset[ResultId]
    """Those of them that the profile's filters left without a fit: too few eigenvalues, say."""
    layers: dict[ModelId, tuple[str, ...]]
    """Model -> content hash of every listed layer, one a layer, sorted."""
    kinds: dict[str, LayerKind]
    """content_hash -> a layer that holds it."""
    sketched: frozenset[SketchId]
    """Contents that have a sketch."""
    skipped: dict[ModelId, frozenset[SkipRow]]
    """Model -> everything not analysed."""
    broken: tuple[Path, ...]
    """Damaged parts that were moved aside while looking; what they held counts as missing."""


def known_results(directory: Path) -> Known:
    """Identities of everything in the parts of DIR; empty sets when there are none."""
    paths: dict[str, list[Path]] = {}
    for part in list_parts(directory):
        paths.setdefault(part.kind, []).append(part.path)
    broken: list[Path] = []

    def rows(kind: str, columns: str, condition: str = "") -> list[tuple[Any, ...]]:
        if not (files := paths.get(kind, [])):
            return []
        union = kind == "layer_metrics"  # parts of older versions lack the outcome; looking at every schema takes time
        seed = [contract_part(directory, kind)] if union else []
        sql = f"SELECT {columns} FROM read_parquet($1, filename = true, union_by_name = {union}) {condition}"
        result, damaged = read_intact(files, lambda left: _fetch(sql, [*seed, *left]))
        broken.extend(damaged)
        return result

    newest = "QUALIFY rank() OVER (PARTITION BY model_id, revision ORDER BY written DESC, filename) = 1"
    layers: dict[ModelId, list[str]] = {}
    for *model, content_hash in rows("layers", "model_id, revision, content_hash", newest):
        layers.setdefault(ModelId(*model), []).append(content_hash)
    skipped: dict[ModelId, set[SkipRow]] = {}
    for model_id, revision, *skip in rows("skipped", "DISTINCT model_id, revision, tensor, reason, failed", newest):
        skipped.setdefault(ModelId(model_id, revision), set()).add(SkipRow(*skip))
    identity = "content_hash, unfold, profile_key, code_version"
    metrics = rows("layer_metrics", f"{identity}, bool_or(outcome = 'filtered')", f"GROUP BY {identity}")
    spectra = rows("spectra", "DISTINCT content_hash, unfold, code_version, filename")
    kinds = rows("layers", "content_hash, min(model_id), min(layer_type), min(dtype)", "GROUP BY content_hash")
    return Known(
        spectra={SpectrumId(*row[:3]): Path(row[3]) for row in spectra},
        metrics=frozenset(ResultId(*row[:4]) for row in metrics),
        filtered=frozenset(ResultId(*row[:4]) for row in metrics if row[4]),
        layers={model: tuple(sorted(hashes)) for model, hashes in layers.items()},
        sketched=frozenset(SketchId(*row) for row in rows("sketches", "DISTINCT content_hash, code_version")),
        kinds={row[0]: LayerKind(*row[1:]) for row in kinds},
        skipped={model: frozenset(skips) for model, skips in skipped.items()},
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
    hashes = pa.table({"content_hash": pa.array(sorted(set(content_hashes)), pa.string())})
    sql = f"""
        SELECT {", ".join(names)} FROM read_parquet($files, filename = true)
        WHERE content_hash IN (SELECT content_hash FROM hashes) AND ($unfold IS NULL OR unfold = $unfold)
        QUALIFY rank() OVER (PARTITION BY content_hash, unfold ORDER BY written DESC, filename) = 1
        ORDER BY content_hash, unfold, slice_id"""

    def read(files: list[Path]) -> pa.Table:
        if not files:
            return PARTS["spectra"].empty_table()
        with connect() as connection:
            connection.register("hashes", hashes)
            texts = [str(file) for file in files]
            return connection.sql(sql, params={"files": texts, "unfold": unfold}).to_arrow_table()

    table, _ = read_intact(paths, read)
    return table.cast(PARTS["spectra"])
