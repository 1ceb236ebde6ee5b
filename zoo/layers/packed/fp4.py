"""4-bit floats (e2m1) with a scale a block: MXFP4 and NVFP4, two codes a byte, the low one first.

MXFP4: W = code 2^(s - 127), blocks of 32 along the inputs: X_blocks (..., G, 16) and X_scales (..., G) in GPT-OSS, whose
values are turned to (E, in, out) as transformers does; weight_packed and weight_scale in uint8 in compressed-tensors;
uint32 words and scales in uint8 in MLX. NVFP4: W = code s8 g, blocks of 16, s8 in float8_e4m3, g one number:
weight, weight_scale, weight_scale_2 (ModelOpt); weight_packed, weight_scale, weight_global_scale (compressed-tensors, whose
g divides). Sources: OCP microscaling specification 1.0; transformers/integrations/mxfp4.py,
convert_moe_packed_tensors; compressed_tensors/compressors/nvfp4. Legend: G blocks a row, E experts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=np.float32)
"""Value of every code."""

BYTES = ("uint8", "int8")
EXPONENTS = ("uint8", "float8_e8m0fnu")
"""Types of MXFP4's scales: exponents biased by 127, as integers or as the float type of the same bits."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight packed so."""
    for name, codes in refs.items():
        if name.endswith("_blocks") and codes.dtype == "uint8" and len(codes.shape) >= 3:
            yield from _gpt_oss(name, codes, refs)
            continue
        module, dot, last = name.rpartition(".")
        if last not in ("weight", "weight_packed") or codes.dtype not in (*BYTES, "uint32") or len(codes.shape) < 2:
            continue
        beside = {own: refs.get(f"{module}{dot}{own}") for own in ("weight_scale", "scales", "scale")}
        scale = next((ref for ref in beside.values() if ref is not None), None)
        inputs = codes.shape[-1] * (8 if codes.dtype == "uint32" else 2)
        if scale is None or scale.shape[:-1] != codes.shape[:-1] or f"{module}{dot}biases" in refs:
            continue
        plain, shape = f"{module}{dot}weight", (*codes.shape[:-1], inputs)
        if scale.dtype in EXPONENTS and scale.shape[-1] * 32 == inputs:
            yield _weight(name, plain, (codes, scale), shape, "mxfp4", 0)
        elif scale.dtype == "float8_e4m3fn" and scale.shape[-1] * 16 == inputs:
            whole = [f"{module}{dot}{own}" for own in ("weight_scale_2", "weight_global_scale")]
            factor = next((refs[own] for own in whole if own in refs), None)
            if factor is not None and prod(factor.shape) == 1:
                divides = int(factor.name.endswith("global_scale"))
                yield _weight(name, plain, (codes, scale, factor), shape, "nvfp4", divides)


def _weight(
    name: str, plain: str, parts: tuple[TensorRef, ...], shape: tuple[int, ...], kind: str, divides: int
) -> PackedWeight:
    options = (("divides", divides), ("turned", 0))
    companions = tuple(part.name for part in parts if part.name != name)
    return PackedWeight(name, plain, Assembly("fp4", parts, options, shape, kind), companions)


def _gpt_oss(name: str, blocks: TensorRef, refs: Refs) -> Iterator[PackedWeight]:
    """Blocks (E, out, G, 16) and scales (E, out, G)."""
    plain = name.removesuffix("_blocks")
    scales = refs.get(f"{plain}_scales")
    if scales is not None and scales.dtype in EXPONENTS and blocks.shape == (*scales.shape, 16):
        *rest, out, groups = scales.shape
        assembly = Assembly(
            "fp4", (blocks, scales), (("divides", 0), ("turned", 1)), (*rest, groups * 32, out), "mxfp4"
        )
        yield PackedWeight(name, plain, assembly, (scales.name,))


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights float32; exact but for NVFP4's product of three numbers, rounded as the library rounds it."""
    codes, scale, *factors = parts
    if scale.dtype == np.uint8:  # a float8_e8m0 tensor comes as its values
        scale = np.ldexp(np.float32(1), scale.astype(np.int32) - 127)
    if factors:
        factor = np.float32(factors[0].reshape(-1)[0])
        scale = scale / factor if options["divides"] else scale * factor
    bytes_ = np.ascontiguousarray(codes).view(np.uint8).reshape(*scale.shape, -1)
    pairs = np.stack([E2M1[bytes_ & 0x0F], E2M1[bytes_ >> 4]], axis=-1).reshape(*scale.shape, -1)
    flat = (pairs * scale.astype(np.float32)[..., None]).reshape(*scale.shape[:-1], -1)
    return np.asarray(np.swapaxes(flat, -1, -2) if options["turned"] else flat)
