"""Kinship from a warehouse: its sketches as records of the analysis, and the verdicts as rows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from zoospectra.analysis.integrity import Rounded
from zoospectra.analysis.kinship.candidates import Index
from zoospectra.analysis.kinship.null import Law
from zoospectra.analysis.kinship.pair import COARSER, Kin, SpectrumOf, compare
from zoospectra.analysis.kinship.records import SMALLEST, Size, SketchedLayer, SketchedModel
from zoospectra.analysis.kinship.relatives import DERIVED, Relative, families
from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.unfold import unfold_rule
from zoospectra.jobs.work.index import sketched
from zoospectra.warehouse import build, parts
from zoospectra.warehouse.query import query
from zoospectra.warehouse.schema import PARTS
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import layer_hash, read_layer

LAYERS = f"""
    SELECT model_id, revision, longname, coalesce("group", layer_type) AS role, elements, N, M, dtype, content_hash,
        sketch, sketch_columns, sketch_rows,
        coalesce(mean, 0) AS mean, coalesce(std, 0) AS std, repeats, zeros,
        greatest(abs(coalesce(min, 0)), abs(coalesce(max, 0))) AS top
    FROM layer_sketches
    WHERE sketch IS NOT NULL AND elements >= {SMALLEST}
    ORDER BY model_id, layer_id"""
COPIES = "SELECT model_id, revision, count(*) AS n FROM skipped WHERE reason = 'copy' GROUP BY ALL"
CLOSEST = 0.8
"""Median cosine of a model and the one that it was rounded from."""

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
        numbers = (row[name] for name in ("mean", "std", "repeats", "top", "zeros"))
        layer = SketchedLayer(*identity, whole, columns, rows, *numbers)
        layers.setdefault((row["model_id"], row["revision"]), []).append(layer)
    copies = {(row["model_id"], row["revision"]): row["n"] for row in query(directory, COPIES).to_pylist()}
    return [SketchedModel(*model, tuple(held), copies.get(model, 0)) for model, held in layers.items()]


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


class Source(NamedTuple):
    """What a model was rounded from."""

    name: str
    """model_id."""
    layers: list[Rounded]
    """Its layers beside those of the source."""


def source_of(directory: Path, name: str, chosen: Sequence[Layer]) -> Source | None:
    """The model of a warehouse that these layers were rounded from: the most alike of those on a finer grid.

    None where nothing in the warehouse is so much alike (a median cosine of CLOSEST), or its values repeat as often.
    """
    try:
        models = [model for model in sketched_models(directory) if model.model_id != name]
    except ValueError:  # a warehouse without sketches knows no source
        return None
    model = sketched_now(name, chosen)
    laws: dict[Size, Law] = {}
    pairs = [compare(model, models[number], laws, lambda _: None) for number in Index(models).candidates(model)]
    alike = [pair for pair in pairs if (pair.cosine or 0.0) > CLOSEST and _finer(pair)]
    if not alike:
        return None
    best = max(alike, key=lambda pair: pair.cosine or 0.0)
    rows = [
        Rounded(a.longname, a.dtype, layer.distance, b.top / b.std if b.std else 0.0)
        for layer in best.layers
        for a, b in [layer.pair[:2]]
        if layer.same != "bytes"
    ]
    return Source(best.relative.model_id, rows)


def _finer(pair: Kin) -> bool:
    """Whether the relative's values repeat less often."""
    rises = [layer.pair.layer.repeats - layer.pair.relative.repeats for layer in pair.layers]
    return float(np.median(rises)) > COARSER


def sketched_now(name: str, layers: Sequence[Layer]) -> SketchedModel:
    """A model whose layers are read for their sketches; CheckpointError for one that cannot be read."""
    return SketchedModel(name, "", tuple(layer for layer in map(_sketched, layers) if layer.size.elements >= SMALLEST))


def _sketched(layer: Layer) -> SketchedLayer:
    """A layer that is read now."""
    kept = sketched(layer_hash(layer), read_layer(layer))
    shape = unfold_rule("slices").shape_of(layer.shape, layer.layer_type)
    size = Size(kept.elements, shape.N, shape.M)
    three = (kept.sketch.whole, kept.sketch.columns, kept.sketch.rows)
    whole, columns, rows = (None if held is None else held.astype(np.float64) for held in three)
    assert whole is not None
    plain, identity = kept.reductions, (layer.longname, layer.group or layer.layer_type, size, layer.dtype)
    top = max(abs(plain.min or 0.0), abs(plain.max or 0.0))
    numbers = (plain.mean or 0.0, plain.std or 0.0, plain.repeats, top, plain.zeros)
    return SketchedLayer(*identity, kept.content_hash, whole, columns, rows, *numbers)


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
