"""distances: how far two models are apart, layer by layer, of whatever kind they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from zoospectra._analyze import listed
from zoospectra._layers import Identity, Wanted, check_layers, means
from zoospectra._path import installed_first
from zoospectra.analysis.distance import frobenius, layer_distance
from zoospectra.analysis.unfold import unfold
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import read_layer

METHODS = {"raw": "", "euclidean": "frobenius", "cka": "cka", "overlap": "overlap"}
"""Method -> measure of analysis.distance, the mean over slices; '' for the tensors as they are."""

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("method", "longname", "layer_type")),
        *((name, pa.int64()) for name in ("layer_id", "N", "M", "rf")),
        ("distance", pa.float64()),
        ("status", pa.string()),
    ]
)


@installed_first()
def distances(
    base: object, other: object, method: str = "euclidean", *, layers: Wanted | Sequence[Wanted] | None = None
) -> pa.Table:
    """How far every layer of two models is apart; one row a layer of either, matched by name.

    base, other, layers: as `analyze` takes them. method: 'raw', ||W - W'||_F of the tensors; 'euclidean', the mean of
    the same over the slices of a convolution; 'cka', linear centred kernel alignment (Kornblith and others 2019), 1 for
    equal layers; 'overlap', ||W^T W'||_F / sqrt(||W^T W||_F ||W'^T W'||_F). WeightWatcher calls the last one 'cka',
    there with the stored side first. A layer that cannot be compared has a status that says why and a distance of NULL.
    Raises ValueError for an unknown method or layer, and as `analyze` does.
    """
    if method not in METHODS:
        msg = f"unknown method {method!r}: expected one of {', '.join(METHODS)}"
        raise ValueError(msg)
    with listed(base) as first, listed(other) as second:
        old = {row["longname"]: (layer, row) for layer, row in first}
        new = {row["longname"]: (layer, row) for layer, row in second}
        either = {**new, **old}
        names = list(dict.fromkeys([*old, *new]))
        if layers is not None:
            known = [Identity(either[n][1]["layer_id"], n, either[n][1]["layer_type"]) for n in names]
            asked = check_layers(layers, known)
            names = [
                name for name, layer in zip(names, known, strict=True) if any(means(item, layer) for item in asked)
            ]
        data = [{"method": method, **_row(old.get(name), new.get(name), method)} for name in names]
    return pa.Table.from_pylist(data, schema=SCHEMA)


_Listed = tuple[Layer, Mapping[str, Any]]


def _row(old: _Listed | None, new: _Listed | None, method: str) -> dict[str, Any]:
    """One layer of either model."""
    either = old or new
    assert either is not None
    row = {name: either[1][name] for name in ("longname", "layer_type", "layer_id", "N", "M", "rf")}
    if old is None or new is None:
        return row | {"status": "only in the first" if new is None else "only in the second"}
    if old[0].shape != new[0].shape:
        shapes = " and ".join("x".join(map(str, layer.shape)) for layer, _ in (old, new))
        return row | {"status": f"shapes differ: {shapes}"}
    W1, W2 = read_layer(old[0]), read_layer(new[0])
    if method == "raw":
        value: float | None = frobenius(W2, W1)
    else:
        kind = old[0].layer_type
        value = layer_distance(unfold(W2, kind), unfold(W1, kind), METHODS[method])
    same = np.array_equal(W1, W2)
    return row | {"distance": value, "status": "undefined" if value is None else "identical" if same else "compared"}
