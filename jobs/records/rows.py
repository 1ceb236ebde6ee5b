"""Records of the zoo and the analysis as Arrow tables of the warehouse: the only place where the rooms' words meet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa

from zoospectra.analysis.layer import LayerAnalysis
from zoospectra.analysis.profile import FIT_VERSION, SPECTRUM_VERSION, Profile
from zoospectra.analysis.records import Column, Outcome, Spectrum
from zoospectra.analysis.unfold import unfold_rule
from zoospectra.jobs.work.plan import KnownLayer
from zoospectra.warehouse.schema import PARTS, field
from zoospectra.zoo.checkpoint.tensor import Layer, Skip
from zoospectra.zoo.model import Model, catalogue_columns

ARROW_TYPES = {"double": pa.float64(), "bigint": pa.int64(), "varchar": pa.string(), "boolean": pa.bool_()}


def snapshot(models: Sequence[Model]) -> str:
    """Digest of everything a catalogue says: the same catalogue has the same snapshot on every night."""
    text = json.dumps([_plain(model) for model in models], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def _plain(model: Model) -> dict[str, Any]:
    return {name: getattr(model, name) for name in Model.__slots__ if name not in ("metrics", "extra")} | {
        "metrics": [[getattr(metric, name) for name in metric.__slots__] for metric in model.metrics],
        "extra": dict(model.extra),
    }


def models(found: Sequence[Model], digest: str) -> pa.Table:
    """Catalogue rows; extra columns are typed by their values and carry a comment."""
    base = [name for name in PARTS["models"].names if name != "snapshot"]
    data = [
        {"snapshot": digest} | {name: getattr(model, name) for name in base} | catalogue_columns(model)
        for model in found
    ]
    extra = sorted({name for model in found for name in model.extra})
    fields = [
        field(name, _type([row.get(name) for row in data]), "as catalogued", f"{name} of the catalogue")
        for name in extra
    ]
    columns = {one.name: pa.array([_cast(row.get(one.name), one.type) for row in data], one.type) for one in fields}
    table = pa.Table.from_pylist(data, schema=PARTS["models"])
    for one in fields:
        table = table.append_column(one, columns[one.name])
    return table


def _type(values: Sequence[Any]) -> pa.DataType:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.bool_()
    if kinds <= {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else pa.string()


def _cast(value: Any, type_: pa.DataType) -> Any:  # noqa: ANN401 - catalogue values of any plain type
    if value is None:
        return None
    return str(value) if pa.types.is_string(type_) else float(value) if pa.types.is_floating(type_) else value


def reported_metrics(found: Sequence[Model], digest: str) -> pa.Table:
    """One row a model, data set and metric."""
    names = [name for name in PARTS["reported_metrics"].names if name not in ("snapshot", "model_id", "revision")]
    data = [
        {"snapshot": digest, "model_id": model.model_id, "revision": model.revision}
        | {name: getattr(metric, name) for name in names}
        for model in found
        for metric in model.metrics
    ]
    return pa.Table.from_pylist(data, schema=PARTS["reported_metrics"])


def layers(model: Model, found: Iterable[tuple[Layer, str]]) -> pa.Table:
    """One row a layer, with the matrices of the default unfold rule."""
    data = []
    for layer, content_hash in found:
        shape = unfold_rule("slices").shape_of(layer.shape, layer.layer_type)
        data.append(
            {
                "model_id": model.model_id,
                "revision": model.revision,
                "layer_id": layer.layer_id,
                "longname": layer.longname,
                "tensor": layer.ref.name,
                "layer_type": layer.layer_type,
                "group": layer.group,
                "N": shape.N,
                "M": shape.M,
                "Q": shape.N / shape.M,
                "rf": shape.rf,
                "shape": list(layer.ref.shape),
                "dtype": layer.dtype,
                "params": prod(layer.ref.shape),
                "content_hash": content_hash,
            }
        )
    return pa.Table.from_pylist(data, schema=PARTS["layers"])


def kept_layers(table: pa.Table) -> list[KnownLayer]:
    """Layers of a kept index."""
    names = ("content_hash", "tensor", "layer_type", "shape")
    return [
        KnownLayer(content_hash, tensor, layer_type, tuple(shape), None)
        for content_hash, tensor, layer_type, shape in zip(*(table[name].to_pylist() for name in names), strict=True)
    ]


def skipped(model: Model, skips: Iterable[Skip]) -> pa.Table:
    """One row a tensor (or model) that is not analysed."""
    data: list[dict[str, Any]] = [
        {"model_id": model.model_id, "revision": model.revision}
        | {"tensor": skip.tensor, "reason": skip.reason, "detail": skip.detail, "failed": skip.failed}
        for skip in skips
    ]
    return pa.Table.from_pylist(data, schema=PARTS["skipped"])


def kept_skips(table: pa.Table) -> list[Skip]:
    """Skips of a kept index."""
    names = ("tensor", "reason", "detail", "failed")
    return [Skip(*row) for row in zip(*(table[name].to_pylist() for name in names), strict=True)]


def results(
    spectra: Sequence[tuple[str, str, Spectrum]], metrics: Sequence[tuple[str, Profile, LayerAnalysis]]
) -> dict[str, pa.Table]:
    """Tables of a shard, one a kind of part that has rows."""
    tables = {"spectra": _spectra(spectra), "layer_metrics": _metrics(metrics, "layer_metrics")}
    tables["slice_metrics"] = _metrics(metrics, "slice_metrics")
    return {kind: table for kind, table in tables.items() if len(table)}


def _spectra(found: Sequence[tuple[str, str, Spectrum]]) -> pa.Table:
    data: dict[str, list[Any]] = {name: [] for name in PARTS["spectra"].names}
    for content_hash, rule, spectrum in found:
        for slice_id, evals in enumerate(spectrum.evals):
            row = (
                content_hash,
                rule,
                slice_id,
                spectrum.N,
                spectrum.M,
                evals,
                spectrum.method,
                spectrum.device,
                SPECTRUM_VERSION,
            )
            for name, value in zip(data, row, strict=True):
                data[name].append(value)
    return pa.table([pa.array(data[one.name], one.type) for one in PARTS["spectra"]], schema=PARTS["spectra"])


def spectra_records(table: pa.Table) -> dict[str, list[tuple[str, Spectrum]]]:
    """Stored spectra as analysis records: content hash -> (unfold rule, Spectrum)."""
    slices: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        slices.setdefault((row["content_hash"], row["unfold"]), []).append(row)
    found: dict[str, list[tuple[str, Spectrum]]] = {}
    for (content_hash, rule), group in slices.items():
        first = group[0]
        evals = np.array(
            [row["evals"] for row in sorted(group, key=lambda row: int(row["slice_id"]))], dtype=np.float64
        )
        spectrum = Spectrum(evals, first["N"], first["M"], first["method"], first["device"])
        found.setdefault(content_hash, []).append((rule, spectrum))
    return found


def filtered(metrics: Sequence[tuple[str, Profile, LayerAnalysis]]) -> frozenset[tuple[str, str]]:
    """(content_hash, profile_key) of what a profile's filters left without a fit."""
    rows = ((content_hash, profile.key, analysis.layer["outcome"]) for content_hash, profile, analysis in metrics)
    return frozenset((content_hash, key) for content_hash, key, outcome in rows if outcome == Outcome.FILTERED)


def _metrics(found: Sequence[tuple[str, Profile, LayerAnalysis]], kind: str) -> pa.Table:
    """Metric rows of every profile; columns beyond the contract come with the analysis room's units and words."""
    data: list[Mapping[str, Any]] = []
    extra: dict[str, Column] = {}
    for content_hash, profile, analysis in found:
        identity = {
            "content_hash": content_hash,
            "unfold": profile.unfold,
            "profile": profile.name,
            "profile_key": profile.key,
            "code_version": FIT_VERSION,
        }
        mine = [analysis.layer] if kind == "layer_metrics" else analysis.slices
        data += [identity | dict(row) for row in mine]
        extra |= {column.name: column for column in analysis.columns if column.name not in PARTS[kind].names}
    fields = [field(one.name, ARROW_TYPES[one.type], one.unit, one.doc) for one in extra.values()]
    return pa.Table.from_pylist(data, schema=pa.schema([*PARTS[kind], *fields]))
