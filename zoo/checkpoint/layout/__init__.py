"""Layouts of other libraries as torch's, by strides: the bytes stay where they are.

What a file holds is told, in this order, by its header ('format' of safetensors), the configuration beside it, the
names of its tensors, and the shapes of its kernels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoospectra.zoo.checkpoint.layout import axes, keras, shapes
from zoospectra.zoo.checkpoint.tensor import TensorRef

FORMATS: dict[str, str] = {
    "pt": "torch",
    "torch": "torch",
    "pytorch": "torch",
    "flax": "keras",
    "jax": "keras",
    "tf": "tf",
    "tensorflow": "tf",
    "keras": "keras",
    "mlx": "mlx",
}
"""Value of 'format' or 'framework', in lower case -> library whose layout it is."""

WEIGHTS = frozenset({"weight", "weights", "kernel", "w", "filters"})
"""Last parts of names of tensors that may be kernels."""

COUNTER = "num_batches_tracked"
"""Last part of the name of a counter that only torch's batch normalisation keeps."""

CONVOLUTION = re.compile(r"conv|patch_embed|(?:^|\.)stem")
"""Names of modules whose weights of three axes are kernels and no stacks of experts."""


TABLE = re.compile(r"embed|pos|token|mask")
"""Names of tables, whose four axes are no kernel's."""


def torch_layout(refs: Sequence[TensorRef], config: Mapping[str, Any]) -> tuple[TensorRef, ...]:
    """References to the same elements in torch's layout; config: Checkpoint.config with the header as 'metadata'."""
    wrote = library_of(refs, config)
    if wrote == "mlx":
        return tuple(_mlx(ref) for ref in refs)
    if wrote in ("keras", "tf"):
        biases = {ref.name: ref.shape for ref in refs if _last(ref) == "bias"}
        return tuple(_channels_last(part, biases, wrote) for ref in refs for part in _unstacked(ref, biases))
    return tuple(refs)


def library_of(refs: Sequence[TensorRef], config: Mapping[str, Any]) -> str | None:
    """'torch', 'keras' (and Flax), 'tf' or 'mlx'; None when nothing tells."""
    for source in (config.get("metadata"), config):
        for key in ("format", "framework"):
            value = source.get(key) if isinstance(source, Mapping) else None
            if isinstance(value, str) and value.lower() in FORMATS:
                return FORMATS[value.lower()]
    if any(ref.name.endswith(":0") for ref in refs):
        return "tf"
    if any(_last(ref) == COUNTER for ref in refs):
        return "torch"
    lasts = {_last(ref) for ref in refs if len(ref.shape) > 1}
    if "kernel" in lasts and "weight" not in lasts:
        return "keras"
    return shapes.library(ref.shape for ref in refs if _last(ref) in WEIGHTS)


def _last(ref: TensorRef) -> str:
    """Last part of a tensor's name."""
    return re.split(r"[./]", ref.name.removesuffix(":0"))[-1]


def _bias(name: str) -> str:
    """Name of the bias of a layer, from that of its kernel."""
    return re.sub(r"(kernel|weights)(?=(:0)?$)", "bias", name)


def _unstacked(ref: TensorRef, biases: Mapping[str, tuple[int, ...]]) -> tuple[TensorRef, ...]:
    """The layers of a stack that Flax' scan made: a kernel (L, in, out) whose bias is (L, out), one reference each."""
    bias = biases.get(_bias(ref.name))
    if len(ref.shape) != 3 or ref.stride is not None or bias != ref.shape[::2] or bias == ref.shape[1:]:
        return (ref,)
    module, last = ref.name[: -len(_last(ref))], _last(ref)
    size = ref.nbytes // max(ref.shape[0], 1)
    return tuple(
        replace(ref, name=f"{module}{number}{module[-1:]}{last}", shape=ref.shape[1:], offset=at, nbytes=size)
        for number, at in enumerate(range(ref.offset, ref.offset + size * ref.shape[0], max(size, 1)))
    )


def _channels_last(ref: TensorRef, biases: Mapping[str, tuple[int, ...]], wrote: str) -> TensorRef:
    """A tensor of Keras, Flax or TensorFlow."""
    plain = renamed(ref) if wrote == "tf" else ref
    laid = keras.relaid(plain, biases.get(_bias(ref.name)))
    # Haiku's and Sonnet's kernels are called 'w': in these libraries four axes are always (kh, kw, in, out).
    dims = (2, 4, 5) if _last(ref) in WEIGHTS else (4, 5) if wrote == "tf" and not TABLE.search(ref.name) else ()
    unnamed = _last(ref) not in keras.KERNELS | keras.DEPTHWISE and len(ref.shape) in dims and ref.stride is None
    return axes.outputs_last(plain) if laid is plain and unnamed else laid


def renamed(ref: TensorRef) -> TensorRef:
    """'net/conv/kernel:0' as 'net.conv.kernel'."""
    return replace(ref, name=ref.name.removesuffix(":0").replace("/", "."))


def _mlx(ref: TensorRef) -> TensorRef:
    """A tensor of MLX, whose convolutions are (out, *k, in); its dense layers are torch's."""
    if _last(ref) not in WEIGHTS or ref.stride is not None or len(ref.shape) not in (3, 4, 5):
        return ref
    return axes.inputs_last(ref) if len(ref.shape) > 3 or CONVOLUTION.search(ref.name) else ref
