"""Metrics that others published, as parts of the warehouse: rows beside our own, under profiles that name their origin.

`load` writes a part of layers, layer_metrics and slice_metrics for every model that has rows, one part of averages for
all, and the catalogue; the same files always give the same parts. Not covered: reading the tables (zoo.sources.tables).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from zoospectra.jobs.records import ledger
from zoospectra.jobs.words.command import named
from zoospectra.warehouse import build, parts
from zoospectra.warehouse.schema import PARTS, field
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.sources.tables import natcomm2021, published
from zoospectra.zoo.sources.tables.columns import INTEGERS
from zoospectra.zoo.sources.tables.record import Published, PublishedRow, Value, content_hash

SOURCE = "published"
"""Name of the source in conf/zoo."""

CODE = "published"
"""code_version of rows that no code of ours computed."""

WORDS: dict[str, tuple[str, str]] = {
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

SLICES, LAYERS = "mean over slices", "mean over layers of the means over their slices"
"""Rules of the averages: WeightWatcher 0.2 prints both, the second with the suffix _compound."""


def read(path: str | None, name: str, cache: Path) -> tuple[Published, ...]:
    """Published models of a folder or file; without a path the paper's data, downloaded and verified.

    ValueError: a missing folder or README, a table that cannot be read.
    """
    values = named("published", "ww-trends")
    if path is None:
        try:
            folder = natcomm2021.fetch(natcomm2021.pins(values["repositories"], values["files"]), cache / "published")
        except FetchError as error:
            msg = f"the paper's data cannot be downloaded ({error}); give zoo.path=DIR of a copy"
            raise ValueError(msg) from error
    else:
        folder = Path(path)
    if natcomm2021.is_paper(folder):
        return natcomm2021.read(folder, name, values["readmes"])
    layout = "ww-trends" if (folder / "osmr" / "df_all.csv").is_file() else "details"
    return published.read(str(folder), layout, name)


def scan(path: str | None, name: str, warehouse: Path, *, keep: int, config: str) -> int:
    """Load published metrics as `scan zoo=published` does: there are no weights to analyse; returns the exit status."""
    found = read(path, name, warehouse / "cache")
    run_id = load(found, warehouse, keep=keep, config=config)
    rows = sum(len(one.layers) + len(one.slices) for one in found)
    print(f"run {run_id}: {len(found)} published models, {rows} rows of layers and slices, under profiles of their own")
    print(f"warehouse: {warehouse / 'warehouse.duckdb'}")
    return 0


def load(found: Sequence[Published], warehouse: Path, *, keep: int = 3, config: str = "{}") -> str:
    """Keep published models and publish a new generation; returns the run's id."""
    entry = ledger.begin("published", [one.model for one in found], warehouse)
    rows = 0
    for one in found:
        rows += _keep_rows(one, warehouse)
    table = averages(found)
    parts.write(warehouse, "model_averages", _digest(one.sha256 for one in found), table)
    ledger.end(entry, warehouse, config=config, exit_status=0, counts={"models": len(found), "layers": rows})
    build.build(warehouse, keep=keep)
    return entry.run_id


def _keep_rows(one: Published, warehouse: Path) -> int:
    """Write one model's parts; returns its layers."""
    model_id, key = one.model.model_id, one.sha256[:20]
    table = layers(one)
    if len(table):
        parts.write(warehouse, "layers", key, table, model_id)
    for kind, found in (("layer_metrics", one.layers), ("slice_metrics", one.slices)):
        if found:
            parts.write(warehouse, kind, key, metrics(one, found, kind), model_id)
    return len(table)


def layers(one: Published) -> pa.Table:
    """One row a layer that the table has, whole or in slices; there is no tensor, so shape and dtype are NULL."""
    first: dict[int, PublishedRow] = {}
    for row in (*one.layers, *one.slices):
        first.setdefault(row.layer_id, row)
    data: list[dict[str, Any]] = [
        {"model_id": one.model.model_id, "revision": one.model.revision, "layer_id": row.layer_id}
        | {"longname": row.longname, "tensor": row.longname, "layer_type": row.layer_type, "N": row.N, "M": row.M}
        | {"Q": row.Q, "rf": row.rf, "params": row.N * row.M * row.rf, "content_hash": content_hash(one, row.layer_id)}
        for row in (first[layer_id] for layer_id in sorted(first))
    ]
    return pa.Table.from_pylist(data, schema=PARTS["layers"])


def metrics(one: Published, found: Sequence[PublishedRow], kind: str) -> pa.Table:
    """Metric rows of layers or slices, the author's numbers as they stand."""
    data: list[dict[str, Any]] = [
        {"content_hash": content_hash(one, row.layer_id), "unfold": "slices", "slice_id": row.slice_id}
        | {"profile": one.profile, "profile_key": one.profile, "code_version": CODE}
        | {"N": row.N, "M": row.M, "Q": row.Q, "rf": row.rf, **row.values}
        | {"outcome": "failed" if row.values.get("alpha") is None else "fit"}
        for row in found
    ]
    if kind == "layer_metrics":
        for values in data:
            del values["slice_id"]
    return _table(kind, data)


def averages(found: Iterable[Published]) -> pa.Table:
    """One row a model and rule of averaging."""
    data: list[dict[str, Value]] = []
    for one in found:
        base: dict[str, Value] = {"model_id": one.model.model_id, "revision": one.model.revision}
        base |= {"profile": one.profile, "origin": one.origin}
        plain = {name: value for name, value in one.averages.items() if not name.endswith("_compound")}
        compound = {name.removesuffix("_compound"): v for name, v in one.averages.items() if name.endswith("_compound")}
        data += [base | {"rule": rule, **row} for rule, row in ((SLICES, plain), (LAYERS, compound)) if row]
    return _table("model_averages", data)


def _table(kind: str, data: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows in the contract's schema, further columns as numbers with their words."""
    known = PARTS[kind].names
    extra = sorted({name for row in data for name in row} - set(known))
    fields = []
    for name in extra:
        unit, words = WORDS.get(name, ("as published", f"{name} as WeightWatcher printed it"))
        text = any(isinstance(row.get(name), str) for row in data)
        type_ = pa.string() if text else pa.int64() if name in INTEGERS else pa.float64()
        fields.append(field(name, type_, unit, words))
    return pa.Table.from_pylist(list(data), schema=pa.schema([*PARTS[kind], *fields]))


def _digest(words: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(sorted(words)).encode()).hexdigest()[:20]
