"""bitsandbytes: 4-bit weights in blocks (nf4, fp4), with their scales plain or quantised again, and int8 by rows.

4 bits: weight uint8 (n / 2, 1), two codes a byte, the high one first; W = quant_map[code] absmax[block]; the shape and
the block size are JSON in the tensor quant_state.bitsandbytes__nf4. absmax quantised again: absmax =
nested_quant_map[absmax] nested_absmax[block / nested_blocksize] + nested_offset.
int8: W[o, i] = q[o, i] SCB[o] / 127. Source: https://github.com/bitsandbytes-foundation/bitsandbytes,
bitsandbytes/functional.py (QuantState, dequantize_blockwise, int8_vectorwise_dequant).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.read import read
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs

STATES = (".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4")
"""Ends of the names of the JSON descriptions."""

MAX_STATE = 1 << 16
"""Largest description in bytes that is read."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight packed so; reads the small descriptions of the 4-bit ones."""
    for name, ref in refs.items():
        module = name.removesuffix(".weight")
        if ref.dtype == "int8" and f"{module}.SCB" in refs and name.endswith(".weight") and len(ref.shape) == 2:
            scale = refs[f"{module}.SCB"]
            if scale.shape != (ref.shape[0],):
                yield PackedWeight(
                    name, name, None, (scale.name,), refusal=f"SCB {scale.shape} for weights {ref.shape}"
                )
            else:
                yield PackedWeight(name, name, Assembly("int8", (ref, scale), (), ref.shape, "bnb-int8"), (scale.name,))
        for state in STATES:
            if name.endswith(state):
                yield _four_bits(refs, name.removesuffix(state), ref)


def _four_bits(refs: Refs, weight: str, state: TensorRef) -> PackedWeight:
    """One 4-bit weight, from its description."""
    companions = tuple(name for name in refs if name.startswith(f"{weight}."))
    main = weight if weight in refs else state.name
    try:
        assembly = _planned(refs, weight, _described(state))
    except (ValueError, KeyError, TypeError) as error:
        detail = f"its bitsandbytes description does not fit: {error}"
        return PackedWeight(main, weight, None, tuple(n for n in companions if n != main), refusal=detail)
    return PackedWeight(main, weight, assembly, companions)


def _described(tensor: TensorRef) -> Mapping[str, Any]:
    """The JSON description."""
    if tensor.dtype != "uint8" or tensor.nbytes > MAX_STATE:
        msg = f"{tensor.dtype} of {tensor.nbytes} bytes, expected JSON in uint8"
        raise ValueError(msg)
    state = json.loads(read(tensor).tobytes())
    if not isinstance(state, Mapping):
        msg = "no JSON object"
        raise TypeError(msg)
    return state


def _planned(refs: Refs, weight: str, state: Mapping[str, Any]) -> Assembly:
    """The assembly of a 4-bit weight; ValueError, KeyError or TypeError for what does not fit together."""
    codes, scales, table = (refs[name] for name in (weight, f"{weight}.absmax", f"{weight}.quant_map"))
    shape = tuple(int(size) for size in state["shape"])
    block, kind = int(state["blocksize"]), str(state["quant_type"])
    count = prod(shape)
    # Two codes a byte and one scale a block; the last of each may be half used.
    blocks = -(-count // block) if block > 0 else -1
    if min(shape, default=0) < 1 or codes.dtype != "uint8" or 2 * prod(codes.shape) not in (count, count + 1):
        msg = f"{prod(codes.shape)} bytes of {codes.dtype} for shape {shape}"
        raise ValueError(msg)
    if prod(scales.shape) != blocks or prod(table.shape) != 16:
        msg = f"{prod(scales.shape)} scales and {prod(table.shape)} codes for {blocks} blocks"
        raise ValueError(msg)
    options: tuple[tuple[str, int | float | str], ...] = (("blocksize", block),)
    parts: tuple[TensorRef, ...] = (codes, table, scales)
    if "nested_blocksize" in state:
        nested = tuple(refs[f"{weight}.nested_{part}"] for part in ("absmax", "quant_map"))
        inner = int(state["nested_blocksize"])
        if inner < 1 or prod(nested[0].shape) != -(-blocks // inner) or prod(nested[1].shape) != 256:
            msg = "scales of the scales in other numbers than there are blocks"
            raise ValueError(msg)
        parts += nested
        options += (("nested_blocksize", inner), ("nested_offset", float(state["nested_offset"])))
    elif scales.dtype not in types.FLOATING:
        msg = f"scales of {scales.dtype} that no description explains"
        raise ValueError(msg)
    return Assembly("bnb4", parts, options, shape, f"bnb-{kind}")


def values_4bit(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights float32, as bitsandbytes computes them in float32."""
    packed, table, scales = (part.reshape(-1) for part in parts[:3])
    count = prod(shape)
    codes = np.empty(2 * packed.size, dtype=np.uint8)
    codes[0::2], codes[1::2] = packed >> 4, packed & 0x0F
    absmax = scales
    if len(parts) > 3:
        nested, nested_table = (part.reshape(-1).astype(np.float32) for part in parts[3:])
        inner = int(options["nested_blocksize"])
        absmax = nested_table[scales] * np.repeat(nested, inner)[: scales.size]
        absmax = absmax + np.float32(options["nested_offset"])
    factor = np.repeat(absmax.astype(np.float32), int(options["blocksize"]))[:count]
    return np.asarray(table.astype(np.float32)[codes[:count]] * factor).reshape(shape)


def values_int8(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights float32, rounded once; CheckpointError 'non_finite' for a scale that is no number."""
    codes, scale = parts
    if not np.isfinite(scale).all():
        raise CheckpointError(Reason.NON_FINITE, "row scales that are NaN or infinite")
    return (codes.astype(np.float64) * (scale.astype(np.float64)[:, None] / 127.0)).astype(np.float32)
