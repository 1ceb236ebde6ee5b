"""Keras' and Flax' layouts as torch's, by strides: the bytes stay where they are.

Kernels are (in, out), (kh, kw, in, out) there and (out, in), (out, in, kh, kw) here; the name says which tensor is a
kernel. Legend: u units, h heads, d width of a head, m depth multiplier.
Not covered: grouped Keras convolutions, which have torch's shape (out, in / groups, kh, kw) after the same exchange.
"""

from __future__ import annotations

import re
from dataclasses import replace

from zoospectra.zoo.checkpoint.tensor import TensorRef, contiguous_stride

KERNELS = frozenset({"kernel", "pointwise_kernel", "recurrent_kernel"})
"""Last parts of the names of tensors whose last axis is the output."""

DEPTHWISE = "depthwise_kernel"
"""(kh, kw, in, m): every input channel has m kernels of its own."""

PROJECTIONS = frozenset({"query", "key", "value", "query_dense", "key_dense", "value_dense"})
"""Layers of an attention whose kernels are (in, h, d)."""

OUTPUTS = frozenset({"attention_output", "out", "output_dense"})
"""Layers of an attention whose kernels are (h, d, out)."""


def relaid(ref: TensorRef) -> TensorRef:
    """A reference to the same elements in torch's layout; as it is when its name is not that of a kernel."""
    parts = re.split(r"[./]", ref.name)
    last, parent = parts[-1], parts[-2] if len(parts) > 1 else ""
    dims = len(ref.shape)
    step = ref.stride or contiguous_stride(ref.shape)
    if last == DEPTHWISE or (last == "kernel" and parent.startswith("depthwise_conv")):
        return _depthwise(ref, step) if ref.stride is None and dims >= 3 else ref
    if last not in KERNELS or dims < 2:
        return ref
    if dims == 3 and ref.stride is None and parent in PROJECTIONS | OUTPUTS:
        a, b, c = ref.shape
        if parent in PROJECTIONS:
            return replace(ref, shape=(b * c, a), stride=(1, b * c))
        return replace(ref, shape=(c, a * b), stride=(1, c))
    axes = (dims - 1, dims - 2, *range(dims - 2))
    return replace(ref, shape=tuple(ref.shape[a] for a in axes), stride=tuple(step[a] for a in axes))


def _depthwise(ref: TensorRef, step: tuple[int, ...]) -> TensorRef:
    """(*kernel, in, m) as torch's (in m, 1, *kernel): the last two axes are one, for they lie side by side."""
    *kernel, channels, multiplier = ref.shape
    shape = (channels * multiplier, 1, *kernel)
    return replace(ref, shape=shape, stride=(1, channels * multiplier, *step[:-2]))
