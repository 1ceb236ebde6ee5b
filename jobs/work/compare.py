"""Two checkpoints layer by layer: how far each layer moved, and the spectrum of the difference.

What a fine-tune changed. Not covered: models that are in a warehouse already (its SQL has compare_models).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from zoospectra.analysis.distance import difference, layer_distance
from zoospectra.analysis.layer import analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import Value
from zoospectra.analysis.spectrum import is_finite, spectrum
from zoospectra.analysis.unfold import unfold
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import read_layer

SHOWN = ("alpha", "log_spectral_norm", "stable_rank")
"""Columns of a profile that are given for the base, the other and the difference."""


def layers_by_name(path: str | Path) -> dict[str, Layer]:
    """Layers of a checkpoint; CheckpointError (a ValueError) when it cannot be read."""
    checkpoint = open_checkpoint(str(path))
    return {layer.longname: layer for layer in layers(checkpoint.tensors, checkpoint.config)[0]}


def compare_layers(base: Mapping[str, Layer], other: Mapping[str, Layer], profile: Profile) -> pa.Table:
    """One row a layer of either checkpoint; one that cannot be compared has a status that says why.

    `distance` is ||W - W_base||_F / ||W_base||_F, `cka` linear centred kernel alignment (mean over slices). Columns end
    in _base, nothing, and _difference for the base, the other checkpoint and W - W_base.
    """
    rows = [_row(name, base.get(name), other.get(name), profile) for name in dict.fromkeys([*base, *other])]
    text = {"longname", "layer_type", "shape", "status"}
    names = ["longname", "layer_type", "shape", "distance", "cka"]
    names += [f"{name}{end}" for name in SHOWN for end in ("_base", "", "_difference")] + ["status"]
    schema = pa.schema([(name, pa.string() if name in text else pa.float64()) for name in names])
    return pa.Table.from_pylist(rows, schema=schema)


def _row(name: str, old: Layer | None, new: Layer | None, profile: Profile) -> dict[str, str | float | None]:
    either = old or new
    assert either is not None
    row: dict[str, str | float | None] = {"longname": name, "layer_type": either.layer_type}
    row["shape"] = "x".join(map(str, either.shape))
    if old is None or new is None:
        return row | {"status": "only in the base" if new is None else "not in the base"}
    if old.shape != new.shape:
        return row | {"status": f"shapes differ: {'x'.join(map(str, new.shape))} in the other"}
    try:
        before, after = read_layer(old), read_layer(new)
    except CheckpointError as error:
        return row | {"status": " ".join(str(error).split())}
    if not (is_finite(before) and is_finite(after)):
        return row | {"status": "holds NaN or infinity"}
    moved = difference(after, before)
    size = float(np.linalg.norm(np.asarray(before, dtype=np.float64)))
    row["distance"] = float(np.linalg.norm(moved)) / size if size else None
    row["cka"] = layer_distance(unfold(after, old.layer_type), unfold(before, old.layer_type), "cka")
    for end, array in (("_base", before), ("", after), ("_difference", moved)):
        raw = spectrum(unfold(array, old.layer_type))
        metrics = analyse_layer(raw, old.layer_type, profile, dtype=old.dtype).layer
        row |= {f"{name}{end}": _number(metrics.get(name)) for name in SHOWN}
    return row | {"status": "compared" if np.any(moved) else "identical"}


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) else None
