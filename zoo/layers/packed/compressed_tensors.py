"""compressed-tensors' pack-quantized: integers of 1 to 8 bits in int32 words, W = (q - 2^(bits - 1) - zero) scale.

Tensors: weight_packed int32 (out, ceil(in bits / 32)), a row being one stream of bits, weight_scale (out, G),
weight_shape, weight_zero_point packed the same along the outputs where not symmetric, weight_g_idx the group of every
input. Bits are in quantization_config.config_groups; without it, and for the sparse and Marlin formats, the weight is
refused.
Source: compressed_tensors/compressors/pack_quantized. Legend: G groups of inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint.read import read
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.bits import unpack
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs, part_of

OTHERS = ("weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx")
"""Last parts of the names of what belongs to weight_packed."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight_packed in int32, understood or refused."""
    schemes = _schemes(config)
    for name, words in refs.items():
        if not name.endswith("weight_packed") or words.dtype != "int32":
            continue
        base = name.removesuffix("weight_packed")
        parts = {own: refs[base + own] for own in OTHERS if base + own in refs}
        companions = tuple(ref.name for ref in parts.values())
        try:
            assembly = _planned(words, parts, schemes)
        except ValueError as error:
            yield PackedWeight(name, f"{base}weight", None, companions, refusal=f"compressed-tensors: {error}")
            continue
        yield PackedWeight(name, f"{base}weight", assembly, companions)


def _schemes(config: Mapping[str, Any]) -> list[tuple[int, bool]]:
    """(bits, symmetric) of every group of the configuration."""
    groups = part_of(part_of(config, "quantization_config"), "config_groups")
    weights = [part_of(group, "weights") for group in groups.values() if isinstance(group, Mapping)]
    schemes = {(w.get("num_bits"), w.get("symmetric", True) is True) for w in weights if w.get("type", "int") == "int"}
    return [(bits, symmetric) for bits, symmetric in schemes if type(bits) is int and 1 <= bits <= 8]


def _planned(words: TensorRef, parts: Mapping[str, TensorRef], schemes: list[tuple[int, bool]]) -> Assembly:
    """The assembly; ValueError for what is not there or does not fit together."""
    if not schemes:
        msg = "quantization_config has no config_groups with the number of bits: packed integers are not unpacked"
        raise ValueError(msg)
    if len(words.shape) != 2 or "weight_scale" not in parts or "weight_shape" not in parts:
        msg = f"words {words.shape} beside {', '.join(parts) or 'nothing'}"
        raise ValueError(msg)
    given = parts["weight_shape"]
    if given.nbytes > 64 or given.dtype not in ("int64", "int32"):
        msg = f"weight_shape in {given.dtype}, of {given.nbytes} bytes"
        raise ValueError(msg)
    shape = tuple(int(size) for size in read(given).reshape(-1))
    out, inputs = shape if len(shape) == 2 else (0, 0)
    scale, zero, order = parts["weight_scale"], parts.get("weight_zero_point"), parts.get("weight_g_idx")
    fitting = [
        (b, s) for b, s in schemes if min(shape) > 0 and -(-inputs * b // 32) == words.shape[1] and s == (not zero)
    ]
    if out != words.shape[0] or len(fitting) != 1 or (order and order.shape != (inputs,)):
        msg = f"words {words.shape} for shape {shape} with {schemes} (bits, symmetric)"
        raise ValueError(msg)
    ((bits, _),) = fitting
    groups = scale.shape[1] if len(scale.shape) == 2 else 1
    if scale.shape not in ((out, groups), (1,), ()) or (groups > 1 and inputs % groups and not order):
        msg = f"scales {scale.shape} for shape {shape}"
        raise ValueError(msg)
    if zero and zero.shape != (-(-out * bits // 32), groups):
        msg = f"zero points {zero.shape} for scales {scale.shape}"
        raise ValueError(msg)
    options = (("bits", bits), ("zero", int(zero is not None)))
    used = (words, scale, *(part for part in (zero, order) if part is not None))
    return Assembly("pack-quantized", used, options, shape, f"compressed-tensors-int{bits}")


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights (out, in) float32; exact where the scales are float16 or bfloat16."""
    words, scale, *more = parts
    bits, (out, inputs) = int(options["bits"]), shape
    half = 1 << (bits - 1)
    codes = unpack(np.ascontiguousarray(words), bits, inputs).astype(np.float32) - half
    scale = scale.astype(np.float32).reshape(-1, scale.shape[1] if scale.ndim == 2 else 1)
    groups = scale.shape[1]
    zero = None
    if options["zero"]:
        zero = (unpack(np.ascontiguousarray(more.pop(0).T), bits, out).astype(np.float32) - half).T
    # Without an order the groups are equal runs of inputs.
    group = more[0].astype(np.int64) if more else np.arange(inputs) // -(-inputs // groups)
    if groups > 1:
        scale, zero = scale[:, group], zero[:, group] if zero is not None else None
    return np.asarray((codes - zero if zero is not None else codes) * scale)
