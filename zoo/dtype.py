"""Element types of stored tensors: their size, the numpy type that carries their bytes, and their exact values.

numpy has no bfloat16 and no 8-bit floats; their bytes travel in unsigned integers and become float32, which holds
every value of theirs exactly. Not covered: types of less than a byte (fp4, fp6, int4) and quantised torch types.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from zoo.tensor import AnyArray

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

FLOATING = frozenset(name for name in CARRIERS if name.startswith(("float", "bfloat")))
"""Types whose values are real numbers; only these are analysed."""

FLOAT8_FIELDS: dict[str, tuple[int, int, int]] = {
    "float8_e4m3fn": (4, 3, 7),
    "float8_e4m3fnuz": (4, 3, 8),
    "float8_e5m2": (5, 2, 15),
    "float8_e5m2fnuz": (5, 2, 16),
    "float8_e8m0fnu": (8, 0, 127),
}
"""8-bit float -> (exponent bits, mantissa bits, exponent bias). OCP 8-bit floating point specification 1.0;
the 'fnuz' variants after Noune et al., arXiv:2206.02915; e8m0 after the OCP microscaling specification 1.0."""


def carrier(dtype: str) -> np.dtype[np.generic]:
    """Numpy type that carries the stored bytes of `dtype`; ValueError lists the known types for an unknown one."""
    if dtype not in CARRIERS:
        msg = f"unknown element type {dtype!r}; known: {', '.join(CARRIERS)}"
        raise ValueError(msg)
    return np.dtype(CARRIERS[dtype])


def itemsize(dtype: str) -> int:
    """Bytes of one element of `dtype`."""
    return carrier(dtype).itemsize


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
    return stored


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
