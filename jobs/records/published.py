"""Metrics that others published, as parts of the warehouse: rows beside our own, under profiles that name their origin.

`keep` writes layers, layer_metrics and slice_metrics of every model that is new, and one part of averages for all; the
same files always give the same rows. Not covered: reading the tables (zoo.sources.tables).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from zoospectra.analysis.records import Outcome
from zoospectra.jobs.records.rows import Listing, indexed
from zoospectra.warehouse import parts
from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.known import Knowledge
from zoospectra.warehouse.log import Log
from zoospectra.warehouse.schema import PARTS, field
from zoospectra.zoo.model import Model, Published, PublishedRow, Value, published_hash
from zoospectra.zoo.sources.tables.columns import INTEGERS

CODE = "published"
"""code_version of rows that no code of ours computed."""

UNITS: dict[str, tuple[str, str]] = {
    "norm": ("1", "Frobenius norm of W, not squared"),
    "normX": ("eigenvalue", "Frobenius norm of X = W^T W"),
    "log_normX": ("log10", "log10 of the Frobenius norm of X = W^T W"),
    "spectral_norm": ("eigenvalue", "Largest eigenvalue, the squared spectral norm of W"),
    "log_stable_rank": ("log10", "log10 of the stable rank"),
    "mp_softrank": ("1", "Edge of the fitted Marchenko-Pastur bulk / largest eigenvalue"),
    "sigma_mp": ("1", "Scale of the fitted Marchenko-Pastur bulk"),
    "num_mp_spikes": ("count", "Eigenvalues beyond the fitted Marchenko-Pastur bulk"),
    "num_slices": ("count", "Matrices behind the averages, where the source says so"),
}
"""Column -> (unit, meaning) of WeightWatcher's columns beyond the contract; others say only where they come from."""

SECONDS = 5.0
"""How long rows wait for others to share a part."""

SLICES, LAYERS = "mean over slices", "mean over layers of the means over their slices"
"""Rules of the averages: WeightWatcher 0.2 prints both, the second with the suffix _compound."""


def keep(root: Path, models: Sequence[Model], knowledge: Knowledge) -> int:
    """Write the rows of models whose source publishes their metrics, if they are new; returns their layers."""
    if not models:
        return 0
    ids = [ModelId(model.model_id, model.revision) for model in models]
    readers = knowledge.of_models(ids).readers
    log, layers = Log(root, SECONDS), 0
    for model, identity in zip(models, ids, strict=True):
        table, reader = layers_table(model), f"{CODE} {_published(model).sha256[:20]}"
        layers += len(table)
        if readers.get(identity) != reader:
            log.put(
                model.model_id, _tables(model, table) | {"indexed": indexed(reader, [Listing(identity, len(table), 0)])}
            )
    log.flush()
    digest = hashlib.sha256(json.dumps(sorted(_published(model).sha256 for model in models)).encode()).hexdigest()
    if not parts.part_path(root, "model_averages", digest[:20]).exists():
        parts.write(root, "model_averages", digest[:20], averages(models))
    return layers


def _published(model: Model) -> Published:
    assert model.published is not None, model.model_id
    return model.published


def _tables(model: Model, layers: pa.Table) -> dict[str, pa.Table]:
    """One model's rows by kind of part."""
    rows = _published(model)
    measured = {"layer_metrics": rows.layers, "slice_metrics": rows.slices}
    return {"layers": layers} | {kind: metrics_table(model, m, kind) for kind, m in measured.items() if m}


def layers_table(model: Model) -> pa.Table:
    """One row a layer that was published, whole or in slices; there is no tensor, so shape and dtype are NULL."""
    first: dict[int, PublishedRow] = {}
    for row in (*_published(model).layers, *_published(model).slices):
        first.setdefault(row.layer_id, row)
    data: list[dict[str, Any]] = [
        {"model_id": model.model_id, "revision": model.revision, "layer_id": row.layer_id}
        | {"longname": row.longname, "tensor": row.longname, "layer_type": row.layer_type, "N": row.N, "M": row.M}
        | {"Q": row.Q, "rf": row.rf, "params": row.N * row.M * row.rf}
        | {"content_hash": published_hash(model, row.layer_id)}
        for row in (first[layer_id] for layer_id in sorted(first))
    ]
    return pa.Table.from_pylist(data, schema=PARTS["layers"])


def metrics_table(model: Model, measured: Sequence[PublishedRow], kind: str) -> pa.Table:
    """Metric rows of layers or slices, the author's numbers as they stand."""
    profile = _published(model).profile
    data: list[dict[str, Any]] = []
    for row in measured:
        values: dict[str, Any] = {"content_hash": published_hash(model, row.layer_id), "unfold": "slices"}
        values |= {"profile": profile, "profile_key": profile, "code_version": CODE}
        values |= {"N": row.N, "M": row.M, "Q": row.Q, "rf": row.rf, **row.values}
        values["outcome"] = str(Outcome.FIT if row.values.get("alpha") is not None else Outcome.FAILED)
        if kind == "slice_metrics":
            values["slice_id"] = row.slice_id
        data.append(values)
    return _table(kind, data)


def averages(models: Iterable[Model]) -> pa.Table:
    """One row a model and rule of averaging."""
    data: list[dict[str, Value]] = []
    for model in models:
        rows = _published(model)
        base: dict[str, Value] = {"model_id": model.model_id, "revision": model.revision}
        base |= {"profile": rows.profile, "origin": rows.origin}
        compound = {name for name in rows.averages if name.endswith("_compound")}
        by_slice = {name: value for name, value in rows.averages.items() if name not in compound}
        by_layer = {name.removesuffix("_compound"): rows.averages[name] for name in compound}
        data += [base | {"rule": rule, **row} for rule, row in ((SLICES, by_slice), (LAYERS, by_layer)) if row]
    return _table("model_averages", data)


def _table(kind: str, data: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows in the contract's schema, further columns as numbers with their words."""
    known = PARTS[kind].names
    extra = sorted({name for row in data for name in row} - set(known))
    fields = []
    for name in extra:
        unit, comment = UNITS.get(name, ("as published", f"{name} as WeightWatcher printed it"))
        text = any(isinstance(row.get(name), str) for row in data)
        type_ = pa.string() if text else pa.int64() if name in INTEGERS else pa.float64()
        fields.append(field(name, type_, unit, comment))
    return pa.Table.from_pylist(list(data), schema=pa.schema([*PARTS[kind], *fields]))
