"""Records of the zoo and the analysis as Arrow tables of the warehouse: the only place where the rooms' words meet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from math import prod
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from zoospectra.analysis.layer import LayerAnalysis
from zoospectra.analysis.profile import FIT_VERSION, SPECTRUM_VERSION, Profile
from zoospectra.analysis.records import Outcome, Spectrum
from zoospectra.analysis.unfold import unfold_rule
from zoospectra.warehouse.identity import ModelId, ResultId
from zoospectra.warehouse.schema import PARTS, field
from zoospectra.zoo.checkpoint.trouble import Skip
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.model import Model, as_text, catalog_columns

ARROW_TYPES = {"double": pa.float64(), "bigint": pa.int64(), "varchar": pa.string(), "boolean": pa.bool_()}


class SpectrumOf(NamedTuple):
    """The raw spectrum of a tensor by one unfold rule."""

    content_hash: str
    """Whose."""
    unfold: str
    """Rule that made its matrices."""
    spectrum: Spectrum
    """Eigenvalues of every slice."""


class MetricsOf(NamedTuple):
    """The metrics of a tensor under one profile."""

    content_hash: str
    """Whose."""
    profile: Profile
    """By which convention."""
    analysis: LayerAnalysis
    """Rows of the layer and its slices."""

    @property
    def identity(self) -> ResultId:
        """What determines the numbers."""
        return ResultId(self.content_hash, self.profile.unfold, self.profile.key, FIT_VERSION)


def snapshot(models: Iterable[Model]) -> str:
    """Digest of everything a catalog says: the same catalog has the same snapshot on every night."""
    digest = hashlib.blake2b(b"[", digest_size=10)
    for n, model in enumerate(models):  # as one JSON list of all, which would take as much memory again
        text = json.dumps(_plain(model), sort_keys=True, default=str)
        digest.update(f"{', ' if n else ''}{text}".encode())
    digest.update(b"]")
    return digest.hexdigest()


def _plain(model: Model) -> dict[str, Any]:
    return {name: getattr(model, name) for name in Model.__slots__ if name not in ("metrics", "extra", "published")} | {
        "metrics": [[getattr(metric, name) for name in metric.__slots__] for metric in model.metrics],
        "extra": dict(model.extra),
    }


def extra_columns(catalog: Iterable[Model]) -> list[pa.Field]:
    """The columns that a catalog has beyond the contract, typed by their values, with a comment."""
    kinds: dict[str, set[type]] = {}
    for model in catalog:
        for name, value in catalog_columns(model).items():
            kinds.setdefault(name, set()).update([type(value)] if value is not None else [])
    return [field(name, _type(kinds[name]), "as in the catalog", f"{name} of the catalog") for name in sorted(kinds)]


def models(catalog: Sequence[Model], digest: str, extra: Sequence[pa.Field]) -> pa.Table:
    """Catalog rows, with the extra columns."""
    schema = PARTS["models"]
    columns = {"snapshot": pa.repeat(digest, len(catalog))}
    for name in set(schema.names) - columns.keys():
        columns[name] = pa.array((_text(getattr(model, name)) for model in catalog), schema.field(name).type)
    table = pa.table(columns, schema=schema)
    for column in extra:
        values = (_cast(_text(model.extra.get(column.name)), column.type) for model in catalog)
        table = table.append_column(column, pa.array(values, column.type))
    return table


def _text(value: Any) -> Any:  # noqa: ANN401 - catalog values of any plain type
    return as_text(value) if isinstance(value, str) else value


def _type(kinds: Set[type]) -> pa.DataType:
    if kinds == {bool}:
        return pa.bool_()
    if kinds <= {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else pa.string()


def _cast(value: Any, type_: pa.DataType) -> Any:  # noqa: ANN401 - catalog values of any plain type
    if value is None:
        return None
    return str(value) if pa.types.is_string(type_) else float(value) if pa.types.is_floating(type_) else value


def reported_metrics(catalog: Sequence[Model], digest: str) -> pa.Table:
    """One row a model, data set and metric."""
    schema = PARTS["reported_metrics"]
    pairs = [(model, metric) for model in catalog for metric in model.metrics]
    columns = {"snapshot": pa.repeat(digest, len(pairs))}
    columns |= {name: pa.array((getattr(m, name) for m, _ in pairs), pa.string()) for name in ("model_id", "revision")}
    for name in set(schema.names) - columns.keys():
        columns[name] = pa.array((getattr(metric, name) for _, metric in pairs), schema.field(name).type)
    return pa.table(columns, schema=schema)


def layers(hashed: Iterable[tuple[ModelId, tuple[Layer, str]]]) -> pa.Table:
    """One row a layer of a model, with its content hash and the matrices of the default unfold rule."""
    listed = list(hashed)
    models, chosen = [model for model, _ in listed], [layer for _, (layer, _) in listed]
    shapes = [unfold_rule("slices").shape_of(layer.shape, layer.layer_type) for layer in chosen]
    columns: dict[str, list[Any]] = {name: [getattr(model, name) for model in models] for name in ModelId._fields}
    for name in ("layer_id", "longname", "layer_type", "group", "dtype", "note"):
        columns[name] = [getattr(layer, name) for layer in chosen]
    for name in ("N", "M", "rf"):
        columns[name] = [getattr(shape, name) for shape in shapes]
    columns["tensor"] = [layer.ref.name for layer in chosen]
    columns["shape"] = [layer.ref.shape for layer in chosen]
    columns["params"] = [prod(layer.ref.shape) for layer in chosen]
    columns["Q"] = [shape.N / shape.M for shape in shapes]
    columns["content_hash"] = [content_hash for _, (_, content_hash) in listed]
    schema = PARTS["layers"]
    return pa.table([pa.array(columns[column.name], column.type) for column in schema], schema=schema)


def skipped(skips: Iterable[tuple[ModelId, Skip]], *, added: bool = False) -> pa.Table:
    """One row a tensor of a model (or a model) that is not analysed; `added`: beside what its listing left out."""
    data: list[dict[str, Any]] = [
        {"model_id": model.model_id, "revision": model.revision, "added": added or None}
        | {
            "tensor": _text(skip.tensor),
            "reason": str(skip.reason),
            "detail": _text(skip.detail),
            "failed": skip.failed,
        }
        for model, skip in skips
    ]
    return pa.Table.from_pylist(data, schema=PARTS["skipped"])


class Listing(NamedTuple):
    """What a reader has listed of a model."""

    model: ModelId
    """Which."""
    layers: int | None
    """How many; None while it reads them."""
    skips: int | None
    """The same."""


def indexed(reader: str, listings: Iterable[Listing]) -> pa.Table:
    """One row a model: what this reader has listed of it."""
    data = [
        {**model._asdict(), "reader": reader, "listed_layers": layers, "listed_skips": skips}
        for model, layers, skips in listings
    ]
    return pa.Table.from_pylist(data, schema=PARTS["indexed"])


def results(spectra: Sequence[SpectrumOf], metrics: Sequence[MetricsOf]) -> dict[str, pa.Table]:
    """Tables of a shard, one a kind of part that has rows."""
    tables = {"spectra": _spectra(spectra), "layer_metrics": _metrics(metrics, "layer_metrics")}
    tables["slice_metrics"] = _metrics(metrics, "slice_metrics")
    return {kind: table for kind, table in tables.items() if len(table)}


def _spectra(computed: Sequence[SpectrumOf]) -> pa.Table:
    """Spectra, one row a slice: what is the same for all slices of a spectrum becomes Arrow's once."""
    schema = PARTS["spectra"]
    if not computed:
        return schema.empty_table()
    shapes = [spectrum.evals.shape for _, _, spectrum in computed]  # (S, M)
    of = np.repeat(np.arange(len(computed)), [S for S, _ in shapes])
    ends = np.cumsum([0, *(M for S, M in shapes for _ in range(S))])
    values = np.concatenate([spectrum.evals.ravel() for _, _, spectrum in computed])
    whole: dict[str, list[Any]] = {
        "content_hash": [content_hash for content_hash, _, _ in computed],
        "unfold": [unfold for _, unfold, _ in computed],
        "code_version": [SPECTRUM_VERSION] * len(computed),
    }
    whole |= {name: [getattr(spectrum, name) for _, _, spectrum in computed] for name in ("N", "M", "method", "device")}
    columns = {name: pa.array(each, schema.field(name).type).take(pa.array(of)) for name, each in whole.items()}
    columns["slice_id"] = pa.array(np.concatenate([np.arange(S) for S, _ in shapes]))
    columns["evals"] = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values)
    return pa.table(columns, schema=schema)


def spectra_records(table: pa.Table) -> dict[str, list[tuple[str, Spectrum]]]:
    """Stored spectra as analysis records: content hash -> (unfold rule, Spectrum)."""
    slices: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        slices.setdefault((row["content_hash"], row["unfold"]), []).append(row)
    records: dict[str, list[tuple[str, Spectrum]]] = {}
    for (content_hash, unfold), group in slices.items():
        first = group[0]
        evals = np.array(
            [row["evals"] for row in sorted(group, key=lambda row: int(row["slice_id"]))], dtype=np.float64
        )
        spectrum = Spectrum(evals, first["N"], first["M"], first["method"], first["device"])
        records.setdefault(content_hash, []).append((unfold, spectrum))
    return records


def filtered(metrics: Sequence[MetricsOf]) -> frozenset[ResultId]:
    """What a profile's filters left without a fit."""
    return frozenset(result.identity for result in metrics if result.analysis.layer["outcome"] == Outcome.FILTERED)


def _metrics(computed: Sequence[MetricsOf], kind: str) -> pa.Table:
    """Metric rows of every profile; columns beyond the contract come with the analysis room's units and words."""
    rows: list[Mapping[str, Any]] = []
    of: list[tuple[ResultId, str]] = []
    for result in computed:
        made = (result.analysis.layer,) if kind == "layer_metrics" else result.analysis.slices
        if made:
            rows += made
            of += [(result.identity, result.profile.name)] * len(made)
    schema = PARTS[kind]
    if not rows:
        return schema.empty_table()
    sets = {id(result.analysis.columns): result.analysis.columns for result in computed}  # one a profile
    extra = {column.name: column for each in sets.values() for column in each if column.name not in schema.names}
    fields = [field(column.name, ARROW_TYPES[column.type], column.unit, column.doc) for column in extra.values()]
    schema = pa.schema([*schema, *fields])
    columns: dict[str, list[Any]] = {name: [getattr(each, name) for each, _ in of] for name in ResultId._fields}
    columns["profile"] = [profile for _, profile in of]
    columns |= {name: [row.get(name) for row in rows] for name in schema.names if name not in columns}
    return pa.table([pa.array(columns[column.name], column.type) for column in schema], schema=schema)
