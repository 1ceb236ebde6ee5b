"""8-bit weights with scales: W = (q - zero) scale, one scale for all, for each row, or for each block.

weight (float8 or int8) with weight_scale (compressed-tensors, ModelOpt, FBGEMM, Quark), scale (DeepSeek's own files),
weight_scale_inv (DeepSeek on the hub: blocks of 128 x 128; in spite of its name it is multiplied) or scale_weight;
quanto's weight._data and weight._scale; torchao's _weight_qdata and _weight_scale. Zero points where there are some.
Keras' kernel and kernel_scale: W = q / scale. An axis of the scales that is shorter than the weights' has one scale a
block: the size is quantization_config's weight_block_size, else 128, else what divides. A float tensor beside a
weight_scale holds codes when all its values are integers, else the weight itself, whose scale is only a calibration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs, part_of

CODES = (("weight._data", "weight"), ("_weight_qdata", "weight"))
"""Last parts of the names of codes that are not called as the weight is -> how the weight is called."""

SCALES = ("weight_scale_inv", "weight_scale", "scale_weight", "w_scale", "scale_inv", "scales", "scale")
"""Last parts of the scales' names in a module, the most specific first."""

ENDINGS = ("_scale_inv", "_scale", "._scale")
"""What follows the weight's own name otherwise."""

EXPONENTS = ("uint8", "float8_e8m0fnu")
"""Types of microscaling's scales: exponents biased by 127, as integers or as the float type of the same bits."""

BLOCK = 128
"""Rows and columns that share a scale where nothing else is said."""

PLAIN = frozenset({"float64", "float32", "float16", "bfloat16"})
"""Types that hold codes only where all values are integers."""

KERAS = frozenset({"kernel", "embeddings"})
"""Own names of Keras' weights, whose codes are divided by their scale: q = round(scale W)."""

PERMUTED = frozenset({"eetq", "marlin", "tpu_int8"})
"""quantization_config.quant_method of kernels that shuffle the codes: not these."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight with codes and scales."""
    section = part_of(config, "quantization_config")
    for name, codes in refs.items():
        if len(codes.shape) < 2 or section.get("quant_method") in PERMUTED:
            continue
        if codes.dtype in ("int8", "uint8") and _narrow(section):
            continue
        plain = next((name.removesuffix(end) + own for end, own in CODES if name.endswith(end)), name)
        eight = codes.dtype in ("int8", "uint8") or codes.dtype in types.FLOAT8_FIELDS
        if not eight and codes.dtype not in PLAIN:
            continue
        module = plain.rpartition(".")[0]
        scales = _siblings(refs, plain, module, ENDINGS if not eight else (), SCALES[:3] if not eight else SCALES)
        scale = next((ref for ref in scales if ref.dtype in types.FLOATING or ref.dtype in EXPONENTS), None)
        if scale is None or scale is codes:
            continue
        zero = next(iter(_siblings(refs, plain, module, ("_zero_point",), ("weight_zero_point", "zero_point"))), None)
        companions = tuple(ref.name for ref in (*scales, *([zero] if zero else [])))
        blocks = blocks_of(codes.shape, scale.shape, config)
        if codes.dtype == "uint8" and (zero is None or f"{module}.weight_scale_2" in refs):
            continue  # two 4-bit codes a byte, or no scheme of this file
        if blocks is None or (zero is not None and zero.shape not in (scale.shape, ())):
            if eight:
                detail = f"scales {scale.shape} for weights {codes.shape}"
                yield PackedWeight(name, plain, None, companions, refusal=detail)
            continue
        parts = (codes, scale, *([zero] if zero else []))
        options = (*((f"block{axis}", size) for axis, size in enumerate(blocks)), ("exact", int(eight)))
        if scale.name == f"{plain}_scale" and plain.rpartition(".")[2] in KERAS:
            options += (("divided", 1),)
        stored = f"{codes.dtype}+scale" if eight else codes.dtype
        yield PackedWeight(name, plain, Assembly("scaled", parts, options, codes.shape, stored), companions)


def _narrow(section: Mapping[str, Any]) -> bool:
    """Whether the configuration says that codes have fewer than 8 bits: several share a byte, and not as here."""
    stated = {section.get(key) for key in ("bits", "w_bit", "wbits", "num_bits", "weight_bits")}
    return any(type(bits) is int and bits < 8 for bits in stated)


def _siblings(refs: Refs, plain: str, module: str, endings: tuple[str, ...], lasts: tuple[str, ...]) -> list[TensorRef]:
    """Tensors of these names beside a weight, in the order of the names."""
    own = plain.rpartition(".")[2]
    names = [f"{module}.{last}" if module else last for last in lasts] if own == "weight" else []
    names += [f"{plain}{ending}" for ending in endings or ENDINGS]
    names += [f"{module}._{own}{ending}".removeprefix(".") for ending in endings or ENDINGS]
    return [refs[name] for name in dict.fromkeys(names) if name in refs]


def blocks_of(shape: tuple[int, ...], scale: tuple[int, ...], config: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Elements along each axis that share a scale; None when the scales do not fit."""
    if all(size == 1 for size in scale):
        return shape
    if len(scale) == 1:
        scale = (scale[0], *([1] * (len(shape) - 1)))
    if len(scale) != len(shape) or 0 in scale:
        return None
    given = part_of(config, "quantization_config").get("weight_block_size")
    pair = given if isinstance(given, list) and len(given) == 2 and all(type(x) is int and x > 0 for x in given) else ()
    sizes = (*([BLOCK] * (len(shape) - 2)), *(pair or (BLOCK, BLOCK)))
    blocks = []
    for length, count, size in zip(shape, scale, sizes, strict=True):
        block = 1 if count == length else length if count == 1 else size
        if -(-length // block) != count and length % count == 0:
            block = length // count
        if -(-length // block) != count:
            return None
        blocks.append(block)
    return tuple(blocks)


def spread(scale: AnyArray, shape: tuple[int, ...], blocks: tuple[int, ...]) -> AnyArray:
    """Scales (or zero points) of blocks as an array that broadcasts with the codes."""
    scale = scale.reshape(tuple(-(-n // block) for n, block in zip(shape, blocks, strict=True)))
    for axis, (length, block) in enumerate(zip(shape, blocks, strict=True)):
        if 1 < block < length:
            scale = np.repeat(scale, block, axis=axis)[(slice(None),) * axis + (slice(0, length),)]
    return scale


def powers(scale: AnyArray) -> AnyArray:
    """Scales in float32; exponents in uint8 as powers of two (a float8_e8m0 tensor comes as its values)."""
    exponents = scale.dtype == np.uint8
    return np.ldexp(np.float32(1), scale.astype(np.int32) - 127) if exponents else scale.astype(np.float32)


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights float32: the product in float32, as every library computes it."""
    codes, scale, *zeros = parts
    if not options["exact"] and not (codes == np.trunc(codes)).all():
        return codes
    blocks = tuple(int(options[f"block{axis}"]) for axis in range(len(shape)))
    wide = codes.astype(np.float32)
    if zeros:
        zero = np.broadcast_to(zeros[0], scale.shape) if zeros[0].ndim == 0 else zeros[0]
        wide = wide - spread(zero.astype(np.float32), shape, blocks)
    factor = spread(powers(scale), shape, blocks)
    return np.asarray(wide / factor if "divided" in options else wide * factor)
