"""Two checkpoints layer by layer: how far each layer moved, and the spectrum of the difference.

What a fine-tune changed. Not covered: what a word means that names a checkpoint (jobs/checks/subject.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from zoospectra.analysis.allocation import signal_to_noise
from zoospectra.analysis.cost import pair_bytes
from zoospectra.analysis.distance import difference, layer_distance, moments
from zoospectra.analysis.layer import analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import Spectrum, Value
from zoospectra.analysis.spectrum import is_finite, spectrum
from zoospectra.analysis.unfold import unfold, unfold_rule
from zoospectra.analysis.unfold.shape import AnyArray
from zoospectra.warehouse.schema import PARTS
from zoospectra.zoo.checkpoint.dtype import itemsize
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import layer_hash, read_layer

SHOWN = ("alpha", "log_spectral_norm", "stable_rank")
"""Columns of a profile that are given for the base, the other and the difference."""

MOVED = ("log_norm", "entropy")
"""Columns that are given for the difference alone."""

TOP = 8
"""Largest eigenvalues of a difference whose share of its energy is given."""


def layers_by_name(path: str | Path) -> dict[str, Layer]:
    """Layers of a checkpoint; CheckpointError (a ValueError) when it cannot be read."""
    checkpoint = open_checkpoint(str(path))
    return {layer.longname: layer for layer in layers(checkpoint.tensors, checkpoint.config)[0]}


def deltas(
    base: Mapping[str, Layer], other: Mapping[str, Layer], profile: Profile, names: tuple[str, str], memory: int
) -> tuple[pa.Table, pa.Table]:
    """One row a layer of either checkpoint, and the same as rows of delta_metrics; names: of the base, of the other.

    A layer that cannot be compared has a status that says why. `distance` is ||W - W_base||_F / ||W_base||_F, `cka`
    linear centred kernel alignment (mean over slices). Columns end in _base, nothing, and _difference for the base, the
    other checkpoint and W - W_base. Layers are read one by one, each within `planned_bytes`; one that needs more than
    `memory` bytes is not read.
    """
    rows = [_row(name, base.get(name), other.get(name), profile, memory) for name in dict.fromkeys([*base, *other])]
    shown = pa.Table.from_pylist([_shown(row) for row in rows], schema=_schema())
    whose = {"base_id": names[0], "model_id": names[1], "profile": profile.name}
    kept = [whose | {column: row.get(f"{column}_difference", row.get(column)) for column in KEPT} for row in rows]
    return shown, pa.Table.from_pylist(kept, schema=PARTS["delta_metrics"])


def planned_bytes(old: Layer, new: Layer) -> int:
    """Memory that comparing two layers of one shape takes at most, bytes beyond their mapped files.

    That of plain tensors; unpacking a quantised one may take more for a moment.
    """
    shape = unfold_rule("slices").shape_of(old.shape, old.layer_type)
    return pair_bytes(shape.N, shape.M, shape.rf, _copied(old) + _copied(new))


def _copied(layer: Layer) -> int:
    """Bytes an element of a layer's values where they are no view of its file."""
    computed = layer.factor != 1.0 or layer.change is not None or layer.assembly is not None
    return max(4, itemsize(layer.ref.dtype)) if computed or itemsize(layer.ref.dtype) < 4 else 0


KEPT = [name for name in PARTS["delta_metrics"].names if name not in ("base_id", "model_id", "profile")]


def _schema() -> pa.Schema:
    text = {"longname", "layer_type", "shape", "status"}
    names = ["longname", "layer_type", "shape", "distance", "cosine", "cka"]
    names += [f"{name}{end}" for name in SHOWN for end in ("_base", "", "_difference")]
    names += [*(f"{name}_difference" for name in MOVED), "snr", f"energy_{TOP}", "status"]
    return pa.schema([(name, pa.string() if name in text else pa.float64()) for name in names])


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in _schema().names}


def _row(name: str, old: Layer | None, new: Layer | None, profile: Profile, memory: int) -> dict[str, Any]:
    either = old or new
    assert either is not None
    row: dict[str, Any] = {"longname": name, "layer_type": either.layer_type}
    row["shape"] = "x".join(map(str, either.shape))
    row |= {"base_hash": old and layer_hash(old), "content_hash": new and layer_hash(new)}
    if old is None or new is None:
        return row | {"status": "only in the base" if new is None else "not in the base"}
    if old.shape != new.shape:
        return row | {"status": f"shapes differ: {'x'.join(map(str, new.shape))} in the other"}
    if (planned := planned_bytes(old, new)) > memory:
        sizes = f"{planned / 2**30:.1f} GiB of memory, {memory / 2**30:.1f} GiB may be used"
        return row | {"status": f"needs {sizes}: compare on a larger machine"}
    try:
        before, after = read_layer(old), read_layer(new)
    except CheckpointError as error:
        return row | {"status": " ".join(str(error).split())}
    if not (is_finite(before) and is_finite(after)):
        return row | {"status": "holds NaN or infinity"}
    sums = moments(after, before)
    row |= {"distance": sums.distance, "cosine": sums.cosine}
    row["cka"] = layer_distance(unfold(after, old.layer_type), unfold(before, old.layer_type), "cka")
    row |= _profiled(_spectrum(before, old), old, profile, "_base") | _profiled(_spectrum(after, old), old, profile, "")
    moved = difference(after, before)
    del before, after  # the difference and its spectrum are as large as both
    raw = _spectrum(moved, old)
    row |= _profiled(raw, old, profile, "_difference") | _signal(raw)
    return row | {"status": "compared" if np.any(moved) else "identical"}


def _spectrum(array: AnyArray, layer: Layer) -> Spectrum:
    return spectrum(unfold(array, layer.layer_type))


def _profiled(raw: Spectrum, layer: Layer, profile: Profile, end: str) -> dict[str, Any]:
    metrics = analyse_layer(raw, layer.layer_type, profile, dtype=layer.dtype).layer
    return {f"{name}{end}": _number(metrics.get(name)) for name in (*SHOWN, *MOVED)}


def _signal(moved: Spectrum) -> dict[str, Any]:
    """Signal, energy and eigenvalues of a difference; without signal where it has no noise."""
    snr, evals = signal_to_noise(moved.evals[0], moved.N, moved.M), np.sort(moved.evals, axis=None)
    energy = float(evals.sum())
    share = float(evals[-TOP:].sum()) / energy if energy > 0.0 else None
    return {"snr": snr if math.isfinite(snr) else None, f"energy_{TOP}": share, "evals": evals}


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) else None
