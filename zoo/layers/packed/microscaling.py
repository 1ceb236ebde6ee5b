"""Floats of 4 and 6 bits with a scale a block along the inputs: MXFP4, MXFP6 (e2m3), NVFP4.

Two 4-bit codes a byte, the low one first; four 6-bit ones in three bytes. MXFP: W = code 2^(s - 127), blocks of 32:
X_blocks (..., G, 16) and X_scales (..., G) in GPT-OSS, whose values are turned to (E, in, out) as transformers does;
weight_packed and weight_scale in uint8 in compressed-tensors; uint32 words and scales in uint8 in MLX. NVFP4:
W = code s8 g, blocks of 16, s8 in float8_e4m3, g one number: weight, weight_scale, weight_scale_2 (ModelOpt);
weight_packed, weight_scale, weight_global_scale (compressed-tensors, whose g divides).
Sources: OCP microscaling specification 1.0; transformers/integrations/mxfp4.py, convert_moe_packed_tensors;
compressed_tensors/compressors (nvfp4, mxfp4, mxfp6). Legend: G blocks a row, E experts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.scaled import EXPONENTS, powers
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs

E2M1 = (0, 0.5, 1, 1.5, 2, 3, 4, 6)
E2M3 = (*(m / 8 for m in range(8)), *((1 + m / 8) * 2**e for e in range(3) for m in range(8)))
TABLES = {
    bits: np.array([*table, *(-value for value in table)], dtype=np.float32) for bits, table in ((4, E2M1), (6, E2M3))
}
"""Bits -> value of every code; the highest bit is the sign."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight packed so."""
    for name, codes in refs.items():
        if name.endswith("_blocks") and codes.dtype == "uint8" and len(codes.shape) >= 3:
            yield from _gpt_oss(name, codes, refs)
            continue
        module, dot, last = name.rpartition(".")
        width = {"uint8": 1, "int8": 1, "uint32": 4}.get(codes.dtype)
        beside = (refs.get(f"{module}{dot}{own}") for own in ("weight_scale", "scales", "scale"))
        scale = next((ref for ref in beside if ref is not None), None)
        if last not in ("weight", "weight_packed") or width is None or scale is None or len(codes.shape) < 2:
            continue
        if scale.shape[:-1] != codes.shape[:-1] or f"{module}{dot}biases" in refs:
            continue
        held, plain = 8 * width * codes.shape[-1], f"{module}{dot}weight"
        for bits, size, kind in ((4, 32, "mxfp4"), (6, 32, "mxfp6"), (4, 16, "nvfp4")):
            inputs = held // bits
            if held % bits or scale.shape[-1] * size != inputs or (scale.dtype in EXPONENTS) != (size == 32):
                continue
            factor = next((refs[f"{module}{dot}{own}"] for own in FACTORS if f"{module}{dot}{own}" in refs), None)
            if (kind == "nvfp4") == (factor is not None and prod(factor.shape) == 1):
                parts = (codes, scale, *([factor] if factor else []))
                options = (("bits", bits), ("divides", int(bool(factor) and "global" in parts[-1].name)), ("turned", 0))
                companions = tuple(part.name for part in parts[1:])
                assembly = Assembly("microscaling", parts, options, (*codes.shape[:-1], inputs), kind)
                yield PackedWeight(name, plain, assembly, companions)


FACTORS = ("weight_scale_2", "weight_global_scale")
"""Names of NVFP4's factor for the whole weight."""


def _gpt_oss(name: str, blocks: TensorRef, refs: Refs) -> Iterator[PackedWeight]:
    """Blocks (E, out, G, 16) and scales (E, out, G)."""
    plain = name.removesuffix("_blocks")
    scales = refs.get(f"{plain}_scales")
    if scales is not None and scales.dtype in EXPONENTS and blocks.shape == (*scales.shape, 16):
        *rest, out, groups = scales.shape
        options = (("bits", 4), ("divides", 0), ("turned", 1))
        assembly = Assembly("microscaling", (blocks, scales), options, (*rest, groups * 32, out), "mxfp4")
        yield PackedWeight(name, plain, assembly, (scales.name,))


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights float32; exact but for NVFP4's product of three numbers, which is rounded."""
    codes, scale, *factors = parts
    scale = powers(scale)
    if factors:
        factor = np.float32(factors[0].reshape(-1)[0])
        scale = scale / factor if options["divides"] else scale * factor
    stored = np.ascontiguousarray(codes).view(np.uint8).reshape(*scale.shape, -1)
    if options["bits"] == 4:
        numbers = np.stack([stored & 0x0F, stored >> 4], axis=-1)
    else:
        a, b, c = np.moveaxis(stored.reshape(*scale.shape, -1, 3).astype(np.uint32), -1, 0)
        numbers = np.stack([((a | b << 8 | c << 16) >> shift) & 0x3F for shift in (0, 6, 12, 18)], axis=-1)
    blocks = TABLES[int(options["bits"])][numbers].reshape(*scale.shape, -1) * scale[..., None]
    flat = blocks.reshape(*scale.shape[:-1], -1)
    return np.asarray(np.swapaxes(flat, -1, -2) if options["turned"] else flat)
