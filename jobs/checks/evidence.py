"""What is looked at in one layer for the check of quality: correlations, scale, a few values to tell copies by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from zoospectra.analysis.independence import drawn, independence, is_orthogonal
from zoospectra.analysis.kernels.cast import AnyArray
from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.spectrum import is_finite
from zoospectra.analysis.training import Evidence
from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.read import stored
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import read_factors, read_layer

BLOCK = 1024
"""Rows and columns of a layer that are tested at most, evenly spaced: more change no verdict."""
SAMPLE = 4096
"""Entries of a layer that are compared with those of its likes, evenly spaced."""
LEAST = 64
"""Entries below which equal values prove nothing."""
SAME = 0.999
"""Cosine of two layers' entries from which one is a copy, scaled or rounded; independent ones have 0.02."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One layer as it was looked at."""

    layer: Layer
    """Which."""
    values: AnyArray | None
    """As the kernels take them; None for a product of factors, and for what is not finite."""
    evidence: Evidence
    """What it says about training."""
    sample: FloatArray
    """A few of its entries, of norm 1; empty where there are too few or all are 0."""
    damage: str | None
    """'non_finite', 'zero', or None."""


def look(layer: Layer, vectors: Mapping[str, TensorRef]) -> Looked:
    """Look at one layer; `vectors` are its checkpoint's tensors of one dimension. CheckpointError when unreadable."""
    name = layer.longname
    nothing = Evidence(name, 0, None, orthogonal=False, bias=None, gain=None)
    if read_factors(layer) is not None:
        return Looked(layer, None, nothing, np.empty(0), None)
    values = read_layer(layer)
    matrix = values.reshape(len(values), -1)
    if np.iscomplexobj(matrix) or not is_finite(values):
        damage = None if np.iscomplexobj(matrix) else "non_finite"
        return Looked(layer, None, nothing, np.empty(0), damage)
    block = _thinned(matrix)
    test = independence(block, seed=prod(layer.shape)) if min(block.shape) > 1 else None
    gain = _gain(block, matrix.shape[1])
    orthogonal = test is not None and (test.orthogonal or (test.excess < 0.0 and _cut_from_orthogonal(layer)))
    scale = None if layer.layer_type == "embedding" else gain
    bias = _bias(layer, matrix, vectors.get(f"{name}.bias"))
    evidence = Evidence(name, min(matrix.shape), test, orthogonal, bias, scale)
    return Looked(layer, values, evidence, _sample(matrix), "zero" if gain is None else None)


def _gain(block: AnyArray, inputs: int) -> float | None:
    """log10 of the root mean square of the entries times sqrt(inputs); None where all are 0. No square overflows."""
    top = max(float(block.max()), -float(block.min()))
    if top == 0.0:
        return None
    mean_square = float(np.mean(np.square(np.divide(block, top, dtype=np.float64))))
    return float(np.log10(top)) + 0.5 * float(np.log10(mean_square * inputs))


def _bias(layer: Layer, matrix: AnyArray, ref: TensorRef | None) -> float | None:
    """Chance of such a bias where nothing was trained; None where it has none of its own."""
    if ref is None or ref.shape != (len(matrix),) or layer.view or not types.FLOATING.issuperset([ref.dtype]):
        return None
    bias = np.asarray(types.decode(stored(ref), ref.dtype), dtype=np.float64)
    flat = matrix.reshape(-1)
    entries = np.asarray(flat[:: max(1, flat.size // SAMPLE)], dtype=np.float64)
    return drawn(bias, entries, matrix.shape[1]) if is_finite(bias) else None


def _thinned(matrix: AnyArray) -> AnyArray:
    steps = [-(-size // BLOCK) for size in matrix.shape]
    return matrix[:: steps[0], :: steps[1]]


def _cut_from_orthogonal(layer: Layer) -> bool:
    """Whether a layer is a part of a tensor that is orthogonal as a whole, such as a gate of an LSTM."""
    if not layer.view or layer.assembly is not None or len(layer.ref.shape) < 2:
        return False
    whole = types.decode(stored(layer.ref), layer.ref.dtype)
    whole = whole.reshape(len(whole), -1)
    if max(whole.shape) > 8 * BLOCK:
        return False
    return is_orthogonal(np.asarray(whole, dtype=np.float32))


def _sample(matrix: AnyArray) -> FloatArray:
    flat = matrix.reshape(-1)
    if flat.size < LEAST:
        return np.empty(0)
    chosen = flat[:: max(1, flat.size // SAMPLE)].astype(np.float64)
    top = float(np.abs(chosen).max())
    if top == 0.0:
        return np.empty(0)
    scaled = chosen / top
    return scaled / np.linalg.norm(scaled)


def copies(layers: Sequence[Looked]) -> list[list[Layer]]:
    """Groups of layers of one shape whose values are the same up to a factor, those that share their bytes aside."""
    shapes: dict[tuple[int, ...], list[Looked]] = {}
    for looked in layers:
        if looked.sample.size and looked.evidence.independence is not None:
            shapes.setdefault(looked.layer.shape, []).append(looked)
    return [group for alike in shapes.values() for group in _same(alike) if len(group) > 1]


def _same(alike: Sequence[Looked]) -> Iterable[list[Layer]]:
    groups: list[tuple[FloatArray, list[Layer]]] = []
    for looked in alike:
        for sample, members in groups:
            if abs(float(sample @ looked.sample)) >= SAME:
                if all(_place(looked.layer) != _place(member) for member in members):
                    members.append(looked.layer)
                break
        else:
            groups.append((looked.sample, [looked.layer]))
    return (members for _, members in groups)


def _place(layer: Layer) -> object:
    """Where its bytes are: tied weights share them."""
    return layer.ref.path, layer.ref.member, layer.ref.offset, layer.view, layer.assembly
