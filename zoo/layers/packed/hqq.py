"""HQQ: W = (q - zero) scale, q of 1 to 8 bits packed along the rows of the grouped matrix.

Tensors: W_q uint8 (int32 for 3 bits), scale and zero, (rows, 1) or (1, columns), shape of the weight. Row i of the
packed codes holds rows i, i + n, i + 2 n, ... of the grouped ones, the first in the highest bits.
Source: https://github.com/mobiusml/hqq, hqq/core/quantize.py (dequantize), hqq/core/bitpack.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.read import read
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs

PACKED = {"uint8": (1, 2, 4, 8), "int32": (3,)}
"""Type of the codes -> widths in bits."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight packed so, understood or refused; reads the shapes."""
    for name, codes in refs.items():
        if not name.endswith("W_q") or codes.dtype not in PACKED or len(codes.shape) != 2:
            continue
        base = name.removesuffix("W_q")
        companions = tuple(other for other in refs if other.startswith(base) and other not in (name, f"{base}bias"))
        try:
            assembly = _planned(codes, {own: refs.get(base + own) for own in ("scale", "zero", "shape")})
        except ValueError as error:
            yield PackedWeight(name, f"{base}weight", None, companions, refusal=f"HQQ: {error}")
            continue
        yield PackedWeight(name, f"{base}weight", assembly, companions)


def _planned(codes: TensorRef, parts: Mapping[str, TensorRef | None]) -> Assembly:
    """The assembly; ValueError for what is not there or does not fit together."""
    scale, zero, given = parts["scale"], parts["zero"], parts["shape"]
    if scale is None or zero is None or given is None:
        msg = "its scale, zero or shape is no tensor of the file"
        raise ValueError(msg)
    if given.nbytes > 64 or given.dtype not in ("int64", "int32"):
        msg = f"a shape in {given.dtype}, of {given.nbytes} bytes"
        raise ValueError(msg)
    shape = tuple(int(size) for size in read(given).reshape(-1))
    rows, left = divmod(prod(shape), codes.shape[1]) if min(shape, default=0) > 0 else (0, 1)
    held = {bits: codes.shape[0] * (10 if bits == 3 else 8 // bits) for bits in PACKED[codes.dtype]}
    fitting = [bits for bits, count in held.items() if (0 <= count - rows < 10 if bits == 3 else count == rows)]
    wanted = ((rows, 1), (1, codes.shape[1]))
    if left or len(fitting) != 1 or scale.shape not in wanted or zero.shape not in (scale.shape, (), (1,)):
        msg = f"codes {codes.shape}, scale {scale.shape} and zero {zero.shape} for shape {shape}"
        raise ValueError(msg)
    if not {scale.dtype, zero.dtype} <= types.FLOATING:
        msg = f"scales in {scale.dtype}, quantised again"
        raise ValueError(msg)
    return Assembly("hqq", (codes, scale, zero), (("bits", fitting[0]),), shape, f"hqq-int{fitting[0]}")


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights float32, as HQQ computes them in float32."""
    codes, scale, zero = parts
    bits = int(options["bits"])
    count = 10 if bits == 3 else 8 // bits
    shifts = [bits * (count - 1 - place) for place in range(count)]
    words = codes.astype(np.int64)
    rows = np.concatenate([(words >> shift) & ((1 << bits) - 1) for shift in shifts])[: prod(shape) // codes.shape[1]]
    return np.asarray(((rows.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)).reshape(shape))
