"""Element types of stored tensors: their size, the numpy type that carries their bytes, and their exact values.

numpy has no bfloat16 and no 8-bit floats; their bytes travel in unsigned integers and become float32, which holds
every value of theirs exactly. GGUF's block types travel as rows of bytes and are dequantised by the gguf package.
Not covered: types of less than a byte outside of GGUF (fp4, fp6, int4) and quantised torch types.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

CARRIERS: dict[str, str] = {
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "bfloat16": "<u2",
    "float8_e4m3fn": "u1",
    "float8_e4m3fnuz": "u1",
    "float8_e5m2": "u1",
    "float8_e5m2fnuz": "u1",
    "float8_e8m0fnu": "u1",
    "complex64": "<c8",
    "complex128": "<c16",
    "int8": "i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "uint8": "u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "bool": "?",
}
"""Element type in torch's words -> numpy type of the same size that carries the stored bytes."""

BLOCKS: dict[str, tuple[int, int]] = {
    "q4_0": (32, 18),
    "q4_1": (32, 20),
    "q5_0": (32, 22),
    "q5_1": (32, 24),
    "q8_0": (32, 34),
    "q2_k": (256, 84),
    "q3_k": (256, 110),
    "q4_k": (256, 144),
    "q5_k": (256, 176),
    "q6_k": (256, 210),
    "iq1_s": (256, 50),
    "iq1_m": (256, 56),
    "iq2_xxs": (256, 66),
    "iq2_xs": (256, 74),
    "iq2_s": (256, 82),
    "iq3_xxs": (256, 98),
    "iq3_s": (256, 110),
    "iq4_nl": (32, 18),
    "iq4_xs": (256, 136),
    "tq1_0": (256, 54),
    "tq2_0": (256, 66),
    "mxfp4": (32, 17),
    "nvfp4": (64, 36),
}
"""GGUF's block types -> (elements, bytes) of a block; the same as gguf.GGML_QUANT_SIZES."""

FLOATING = frozenset({*BLOCKS, *(name for name in CARRIERS if name.startswith(("float", "bfloat", "complex")))})
"""Types whose values are real or complex numbers; only these are analysed."""


class Float8(NamedTuple):
    """How an 8-bit float is laid out."""

    exponent_bits: int
    """Bits of the exponent."""
    mantissa_bits: int
    """Bits of the mantissa."""
    bias: int
    """What is subtracted from the exponent."""


FLOAT8_FIELDS: dict[str, Float8] = {
    "float8_e4m3fn": Float8(4, 3, 7),
    "float8_e4m3fnuz": Float8(4, 3, 8),
    "float8_e5m2": Float8(5, 2, 15),
    "float8_e5m2fnuz": Float8(5, 2, 16),
    "float8_e8m0fnu": Float8(8, 0, 127),
}
"""8-bit float -> its layout. OCP 8-bit floating point specification 1.0;
the 'fnuz' variants after Noune et al., arXiv:2206.02915; e8m0 after the OCP microscaling specification 1.0."""


def carrier(dtype: str) -> np.dtype[np.generic]:
    """Numpy type that carries the stored bytes of `dtype`; ValueError lists the known types for an unknown one."""
    if dtype in BLOCKS:
        return np.dtype(np.uint8)
    if dtype not in CARRIERS:
        msg = f"unknown element type {dtype!r}; known: {', '.join(CARRIERS)}"
        raise ValueError(msg)
    return np.dtype(CARRIERS[dtype])


def itemsize(dtype: str) -> int:
    """Bytes of one element of `dtype`."""
    return carrier(dtype).itemsize


def carried(shape: tuple[int, ...], dtype: str) -> tuple[int, ...]:
    """Shape of the carriers of a tensor of `shape`: the same, but rows of bytes for block types.

    Raises ValueError when the rows of a block type are no whole number of blocks.
    """
    if dtype not in BLOCKS:
        return shape
    elements, size = BLOCKS[dtype]
    if not shape or shape[-1] % elements:
        msg = f"rows of shape {shape} are no whole number of {dtype} blocks of {elements}"
        raise ValueError(msg)
    return (*shape[:-1], shape[-1] // elements * size)


def nbytes(shape: tuple[int, ...], dtype: str) -> int:
    """Bytes of a contiguous tensor; ValueError as `carried` and `carrier`."""
    return math.prod(carried(shape, dtype)) * itemsize(dtype)


def decode(stored: AnyArray, dtype: str) -> AnyArray:
    """Values of an array of carriers: the array itself where numpy has the type, else an exact float32 copy.

    Equivalent to torch's `tensor.view(dtype).float()` for bfloat16 and the 8-bit floats, bit for bit but for NaN
    payloads of the 8-bit types.
    """
    if dtype == "bfloat16":
        # bfloat16 is the upper half of a float32, so a shift is the whole conversion.
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype in FLOAT8_FIELDS:
        return np.asarray(_float8_values(dtype)[stored])
    if dtype in BLOCKS:
        return _dequantised(stored, dtype)
    return stored


def _dequantised(stored: AnyArray, dtype: str) -> NDArray[np.float32]:
    """Values of rows of blocks; CheckpointError when the package that knows the block types is missing."""
    try:
        from gguf.constants import GGMLQuantizationType
        from gguf.quants import dequantize
    except ImportError as error:
        detail = f"{dtype} blocks need the package gguf: pip install 'zoospectra[formats]'"
        raise CheckpointError(Reason.MISSING_READER, detail) from error
    rows = np.ascontiguousarray(stored).reshape(-1, stored.shape[-1])
    with np.errstate(all="ignore"):  # scales of damaged blocks may overflow; what is not finite is told later
        values = dequantize(rows, GGMLQuantizationType[dtype.upper()])
    return np.asarray(values, dtype=np.float32).reshape(*stored.shape[:-1], -1)


@cache
def _float8_values(dtype: str) -> NDArray[np.float32]:
    """The 256 values of an 8-bit float, by code."""
    exponent_bits, mantissa_bits, bias = FLOAT8_FIELDS[dtype]
    values = np.empty(256, dtype=np.float32)
    for code in range(256):
        values[code] = _float8_value(code, dtype, exponent_bits, mantissa_bits, bias)
    values.flags.writeable = False
    return values


def _float8_value(code: int, dtype: str, exponent_bits: int, mantissa_bits: int, bias: int) -> float:
    """Value of one code; the specials differ from type to type, the rest is sign, exponent, mantissa."""
    if dtype == "float8_e8m0fnu":  # an unsigned power of two; all ones is NaN, and there is no zero
        return float("nan") if code == 0xFF else 2.0 ** (code - bias)
    if dtype.endswith("uz") and code == 0x80:  # no negative zero: its code is the only NaN
        return float("nan")
    if dtype == "float8_e4m3fn" and code & 0x7F == 0x7F:
        return float("nan")
    sign = -1.0 if code & 0x80 else 1.0
    exponent = (code >> mantissa_bits) & ((1 << exponent_bits) - 1)
    mantissa = code & ((1 << mantissa_bits) - 1)
    if dtype == "float8_e5m2" and exponent == 31:  # IEEE: infinity and NaN
        return sign * float("inf") if mantissa == 0 else float("nan")
    if exponent == 0:
        return float(sign * mantissa * 2.0 ** (1 - bias - mantissa_bits))
    return float(sign * (1.0 + mantissa / (1 << mantissa_bits)) * 2.0 ** (exponent - bias))
