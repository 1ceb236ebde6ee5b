"""Keras' and Flax' layouts, by names: kernels are (in, out) and (*k, in, out); the name says which tensor is a kernel.

Keras 3 writes numbers instead of names ('layers/dense/vars/0'). The order is that in which the layer makes its
variables: which layer it is is told by the name that its group carries, and where a user gave it one of his own, or a
model is written as a class, by the shapes. TensorFlow's names ('kernel:0', 'weights', 'depthwise_weights') are here
too. Legend: u units, g gates, h heads, d width of a head, m depth multiplier.
Not covered: grouped Keras convolutions, which have torch's shape (out, in / groups, *k) after the same exchange.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from zoospectra.zoo.checkpoint.layout import axes
from zoospectra.zoo.checkpoint.tensor import TensorRef

KERNELS = frozenset({"kernel", "pointwise_kernel", "recurrent_kernel", "weights", "pointwise_weights"})
"""Last parts of the names of tensors whose last axis is the output."""

DEPTHWISE = frozenset({"depthwise_kernel", "depthwise_weights"})
"""(kh, kw, in, m): every input channel has m kernels of its own."""

PROJECTIONS = frozenset({"query", "key", "value", "query_dense", "key_dense", "value_dense"})
"""Layers of an attention whose kernels are (in, h, d)."""

OUTPUTS = frozenset({"attention_output", "out", "output_dense"})
"""Layers of an attention whose kernels are (h, d, out)."""

CELL = ("kernel", "recurrent_kernel", "bias")

VARIABLES: dict[str, tuple[str, ...]] = {
    "embedding": ("embeddings",),
    "reversible_embedding": ("embeddings", "reverse_embeddings"),
    "position_embedding": ("embeddings",),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"),
    "group_normalization": ("gamma", "beta"),
    "rms_normalization": ("gamma",),
    "separable_conv": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "depthwise_conv": ("depthwise_kernel", "bias"),
    "lstm_cell": CELL,
    "gru_cell": CELL,
    "simple_rnn_cell": CELL,
    "conv_lstm_cell": CELL,
    "seed_generator": ("seed",),
}
"""Start of the snake-case name of a layer's class in Keras 3 -> names of its variables."""


def variables(kind: str, owner: str, shapes: Sequence[tuple[int, ...]]) -> tuple[str, ...]:
    """Names of a layer's variables in its own order.

    kind: name that the group carries ('lstm_cell_1', or a user's own); owner: the last part of its path.
    """
    for word in (kind, owner):
        names = next((names for start, names in VARIABLES.items() if word.startswith(start)), None)
        if names is not None:
            return names
    return _by_shapes(shapes)


def _by_shapes(shapes: Sequence[tuple[int, ...]]) -> tuple[str, ...]:
    """Names of the variables of a layer whose kind no name tells."""
    first = shapes[0] if shapes else ()
    second = shapes[1] if len(shapes) > 1 else ()
    if len(first) == len(second) >= 2 and first[-1] == second[-1] and second[-1] in [g * second[-2] for g in (1, 3, 4)]:
        return CELL
    if len(first) == len(second) >= 3 and set(second[:-2]) == {1} and second[-2] == first[-2] * first[-1]:
        return VARIABLES["separable_conv"]
    if len(first) >= 3 and second == (first[-2] * first[-1],) and second != (first[-1],) != (first[-2],):
        return VARIABLES["depthwise_conv"]
    if first and all(len(shape) == 1 for shape in shapes):
        return VARIABLES["batch_normalization"]
    return ("kernel", "bias")


def relaid(ref: TensorRef, bias: tuple[int, ...] | None = None, kind: str = "") -> TensorRef:
    """A reference to the same elements in torch's layout; as it is when its name is not that of a kernel.

    bias: shape of the layer's bias, where it has one; kind: the layer's own name where its path does not say it.
    """
    parts = re.split(r"[./]", ref.name)
    last, owners = parts[-1], {kind, parts[-2] if len(parts) > 1 else ""}
    dims, contiguous = len(ref.shape), ref.stride is None
    if last in DEPTHWISE or (last == "kernel" and any(owner.startswith("depthwise_conv") for owner in owners)):
        return axes.depthwise(ref) if contiguous and dims >= 3 else ref
    if last not in KERNELS or dims < 2:
        return ref
    if dims == 3 and contiguous and owners & PROJECTIONS:
        return axes.joined(ref, 1)
    if dims == 3 and contiguous and owners & OUTPUTS:
        return axes.joined(ref, 2)
    # A dense layer over several axes has a bias of as many: (in, h, d) with (h, d).
    if dims >= 3 and contiguous and bias is not None and len(bias) > 1 and ref.shape[dims - len(bias) :] == bias:
        return axes.joined(ref, dims - len(bias))
    return axes.outputs_last(ref)
