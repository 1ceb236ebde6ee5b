"""8-bit weights with scales: W = q scale, one scale for all, for each row, or for each block of rows and columns.

weight (float8 or int8) with weight_scale (compressed-tensors, ModelOpt, FBGEMM), weight_scale_inv (DeepSeek: blocks of
128 x 128; in spite of its name it is multiplied) or scale_weight. An axis of the scales that is shorter than the
weights' has one scale a block: the size is quantization_config.weight_block_size, else 128.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs

SCALES = ("weight_scale_inv", "weight_scale", "scale_weight")
"""Last parts of the scales' names."""

BLOCK = 128
"""Rows and columns that share a scale where nothing else is said."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every float8 or int8 weight with a scale beside it."""
    for name, ref in refs.items():
        if not (ref.dtype == "int8" or ref.dtype in types.FLOAT8_FIELDS) or len(ref.shape) < 2:
            continue
        module = name.removesuffix(".weight")
        names = [f"{module}.{last}" for last in SCALES] + [f"{name}_{last}" for last in ("scale_inv", "scale")]
        scale_name = next((scale for scale in names if scale in refs), None)
        if scale_name is None:
            continue
        scale = refs[scale_name]
        blocks = _blocks(ref.shape, scale.shape, config)
        if blocks is None or f"{module}.weight_scale_2" in refs:
            yield PackedWeight(name, name, None, (scale_name,), refusal=f"scales {scale.shape} for weights {ref.shape}")
            continue
        options = tuple((f"block{axis}", size) for axis, size in enumerate(blocks))
        assembly = Assembly("scaled", (ref, scale), options, ref.shape, f"{ref.dtype}+scale")
        yield PackedWeight(name, name, assembly, (scale_name,))


def _blocks(shape: tuple[int, ...], scale: tuple[int, ...], config: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Elements along each axis that share a scale; None when the scales do not fit."""
    if all(size == 1 for size in scale):
        return shape
    if len(scale) == 1:
        scale = (scale[0], *([1] * (len(shape) - 1)))
    if len(scale) != len(shape):
        return None
    section = config.get("quantization_config")
    given = section.get("weight_block_size") if isinstance(section, Mapping) else None
    pair = given if isinstance(given, list) and len(given) == 2 and all(type(x) is int and x > 0 for x in given) else ()
    sizes = (*([BLOCK] * (len(shape) - 2)), *(pair or (BLOCK, BLOCK)))
    blocks = []
    for length, count, size in zip(shape, scale, sizes, strict=True):
        block = 1 if count == length else length if count == 1 else size
        if -(-length // block) != count:
            return None
        blocks.append(block)
    return tuple(blocks)


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights float32: the product in float32, as every library computes it."""
    codes, scale = parts
    blocks = tuple(int(options[f"block{axis}"]) for axis in range(len(shape)))
    scale = scale.astype(np.float32).reshape(tuple(-(-n // block) for n, block in zip(shape, blocks, strict=True)))
    for axis, (length, block) in enumerate(zip(shape, blocks, strict=True)):
        if 1 < block < length:
            scale = np.repeat(scale, block, axis=axis)[(slice(None),) * axis + (slice(0, length),)]
    return np.asarray(codes.astype(np.float32) * scale)
