"""Kinship from a warehouse: its sketches as records of the analysis, and the verdicts as rows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from zoospectra.analysis.kinship.pair import SpectrumOf
from zoospectra.analysis.kinship.records import SMALLEST, Size, SketchedLayer, SketchedModel
from zoospectra.analysis.kinship.relatives import DERIVED, Relative, families
from zoospectra.analysis.records import FloatArray
from zoospectra.warehouse import build, parts
from zoospectra.warehouse.query import query
from zoospectra.warehouse.schema import PARTS

LAYERS = f"""
    SELECT model_id, revision, longname, coalesce("group", layer_type) AS role, elements, N, M, dtype, content_hash,
        sketch, sketch_columns, sketch_rows,
        coalesce(mean, 0) AS mean, coalesce(std, 0) AS std, repeats
    FROM layer_sketches
    WHERE sketch IS NOT NULL AND elements >= {SMALLEST}
    ORDER BY model_id, layer_id"""
SKETCHES = ("sketch", "sketch_columns", "sketch_rows")


def sketched_models(directory: Path) -> list[SketchedModel]:
    """Every model of the newest warehouse that has sketches; ValueError where there is no warehouse, or no sketch."""
    table = query(directory, LAYERS)
    if not len(table):
        msg = f"no sketches in the warehouse at {directory}: scan its zoos once more, the weights are read for them"
        raise ValueError(msg)
    sketches = [_vectors(table[name].to_pylist()) for name in SKETCHES]
    layers: dict[tuple[str, str], list[SketchedLayer]] = {}
    for number, row in enumerate(table.drop_columns(list(SKETCHES)).to_pylist()):
        whole, columns, rows = (held[number] for held in sketches)
        assert whole is not None, "the SQL leaves out layers without a sketch"
        size = Size(row["elements"], row["N"], row["M"])
        identity = (row["longname"], row["role"], size, row["dtype"], row["content_hash"])
        layer = SketchedLayer(*identity, whole, columns, rows, row["mean"], row["std"], row["repeats"])
        layers.setdefault((row["model_id"], row["revision"]), []).append(layer)
    return [SketchedModel(*model, tuple(held)) for model, held in layers.items()]


def _vectors(rows: Sequence[Sequence[float] | None]) -> list[FloatArray | None]:
    return [None if row is None else np.asarray(row, dtype=np.float64) for row in rows]


def chosen(models: Sequence[SketchedModel], globs: Collection[str]) -> list[str]:
    """model_ids that match any of the globs; all without one. ValueError where a glob matches none."""
    names = [model.model_id for model in models]
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in names):
            msg = f"model={glob}: no model of that name has sketches; zoospectra sql 'FROM models' lists all"
            raise ValueError(msg)
    return [name for name in names if not globs or any(fnmatchcase(name, glob) for glob in globs)]


def spectra_of(directory: Path) -> SpectrumOf:
    """Reads the kept eigenvalues of a content, once."""

    @cache
    def spectrum(content_hash: str) -> FloatArray | None:
        sql = "SELECT evals FROM spectra WHERE content_hash = $hash AND unfold = 'slices' ORDER BY slice_id"
        evals = query(directory, sql, {"hash": content_hash})["evals"].to_pylist()
        return np.concatenate([np.asarray(row, dtype=np.float64) for row in evals]) if evals else None

    return spectrum


def table(rows: Sequence[Relative]) -> pa.Table:
    """One row a model and relative, as the table kinship has them."""
    return pa.Table.from_pylist([_row(row) for row in rows], schema=PARTS["kinship"])


def _row(relative: Relative) -> dict[str, Any]:
    kin = relative.kin
    return {
        "model_id": kin.model.model_id,
        "revision": kin.model.revision,
        "relative_id": kin.relative.model_id,
        "relative_revision": kin.relative.revision,
        "verdict": relative.verdict,
        "matched": len(kin.layers),
        "of_layers": len(kin.model.layers),
        "cosine": kin.cosine,
        "distance": kin.distance,
        "equal_bytes": kin.share("bytes"),
        "equal_spectra": kin.share("spectrum"),
        "p_value": kin.p_value,
        "p_adjusted": relative.adjusted,
        "evidence": relative.evidence,
    }


def layer_table(rows: Sequence[Relative]) -> pa.Table:
    """One row a matched layer of every pair."""
    data = [
        {
            "model_id": row.kin.model.model_id,
            "relative_id": row.kin.relative.model_id,
            "verdict": row.verdict,
            "longname": layer.pair.layer.longname,
            "relative_longname": layer.pair.relative.longname,
            "matched_by": layer.pair.by,
            "cosine": layer.cosine,
            "distance": layer.distance,
            "same": layer.same or None,
        }
        for row in rows
        for layer in row.kin.layers
    ]
    numbers = ("cosine", "distance")
    names = ("model_id", "relative_id", "verdict", "longname", "relative_longname", "matched_by", *numbers, "same")
    schema = pa.schema([(name, pa.float64() if name in numbers else pa.string()) for name in names])
    return pa.Table.from_pylist(data, schema=schema)


def keep(directory: Path, models: Sequence[SketchedModel], rows: Sequence[Relative], generations: int) -> None:
    """Keep the verdicts and families of a whole zoo, and publish them; they replace those of an earlier run."""
    names = [model.model_id for model in models]
    related = [(r.kin.model.model_id, r.kin.relative.model_id) for r in rows if r.verdict in DERIVED]
    numbers = families(related, names)
    data = [
        {"model_id": model.model_id, "revision": model.revision, "family": numbers[model.model_id]} for model in models
    ]
    key = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:20]
    parts.write(directory, "kinship", key, table(rows))
    parts.write(directory, "families", key, pa.Table.from_pylist(data, schema=PARTS["families"]))
    build.publish_results(directory, keep=generations)
