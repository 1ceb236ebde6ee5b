"""MLX's affine quantisation: W = scales q + biases, q of 2 to 8 bits in uint32 words along the inputs.

Tensors: weight uint32 (..., in bits / 32), scales and biases (..., G). Bits and group size are in the configuration's
'quantization', for all modules or for one by its name. Source: mlx/backend/cpu/quantized.cpp. Legend: G groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.bits import unpack
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs, part_of

BITS = (2, 3, 4, 5, 6, 8)
"""Widths that MLX has."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight packed so, understood or refused."""
    settings = part_of(config, "quantization") or part_of(config, "quantization_config")
    for name, words in refs.items():
        module = name.removesuffix(".weight")
        scales, biases = refs.get(f"{module}.scales"), refs.get(f"{module}.biases")
        if words.dtype != "uint32" or scales is None or biases is None or len(words.shape) < 2:
            continue
        own = {**settings, **part_of(settings, module)}
        bits, size = (value if type(value) is int else 0 for value in (own.get("bits"), own.get("group_size")))
        companions = (scales.name, biases.name)
        shape = (*words.shape[:-1], 32 * words.shape[-1] // bits) if bits in BITS else ()
        grouped = (*shape[:-1], shape[-1] // size) if shape and size > 0 and shape[-1] % size == 0 else None
        if scales.shape != grouped or biases.shape != grouped:
            detail = (
                f"MLX words {words.shape}, scales {scales.shape}: 'quantization' says {bits} bits, groups of {size}"
            )
            yield PackedWeight(name, name, None, companions, refusal=detail)
            continue
        assembly = Assembly("mlx", (words, scales, biases), (("bits", bits),), shape, f"mlx-int{bits}")
        yield PackedWeight(name, name, assembly, companions)


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights float32; exact where the scales are float16 or bfloat16, but for the last addition."""
    words, scales, biases = parts
    codes = unpack(np.ascontiguousarray(words).reshape(-1, words.shape[-1]), int(options["bits"]))
    grouped = codes.reshape(*scales.shape, -1).astype(np.float32)
    values = grouped * scales.astype(np.float32)[..., None] + biases.astype(np.float32)[..., None]
    return np.asarray(values.reshape(shape))
