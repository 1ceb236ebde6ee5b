"""AWQ (gemm layout): W[o, i] = scales[i / s, o] (q[i, o] - z[i / s, o]), 4-bit q packed along the outputs.

Tensors: qweight int32 (in, out / 8), qzeros int32 (G, out / 8), scales (G, out). The eight values of a word belong to
the outputs 0, 2, 4, 6, 1, 3, 5, 7 of its group, from the lowest bits up.
Source: https://github.com/casper-hansen/AutoAWQ, awq/utils/packing_utils.py. Legend: G groups of s inputs.
Not covered: the gemv layout, where words run along the inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.bits import unpack
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs

ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Output of every value of a word."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight packed so."""
    for name, words in refs.items():
        module, _, last = name.rpartition(".")
        zeros, scales = (refs.get(f"{module}.{other}") for other in ("qzeros", "scales"))
        if last != "qweight" or zeros is None or scales is None or len(words.shape) != 2 or len(scales.shape) != 2:
            continue
        groups, out = scales.shape
        if words.shape[1] * 8 != out or out == words.shape[1] or words.dtype != "int32" or zeros.dtype != "int32":
            continue
        companions = (f"{module}.qzeros", f"{module}.scales")
        if not groups or words.shape[0] % groups or zeros.shape != (groups, words.shape[1]):
            detail = f"AWQ words {words.shape}, zeros {zeros.shape} and scales {scales.shape} do not fit together"
            yield PackedWeight(name, f"{module}.weight", None, companions, refusal=detail)
            continue
        assembly = Assembly("awq", (words, zeros, scales), (), (out, words.shape[0]), "awq-int4")
        yield PackedWeight(name, f"{module}.weight", assembly, companions)


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights (out, in) float32; exact as in GPTQ."""
    words, zeros, scales = parts
    size = shape[1] // len(scales)
    zero = np.repeat(_codes(zeros), size, axis=0)
    factor = np.repeat(scales.astype(np.float32), size, axis=0)
    return np.asarray(((_codes(words).astype(np.float32) - zero) * factor).T)


def _codes(words: AnyArray) -> NDArray[np.uint8]:
    """Values in the order of the outputs."""
    stored = unpack(np.ascontiguousarray(words), 4).reshape(len(words), -1, 8)
    codes = np.empty_like(stored)
    codes[:, :, list(ORDER)] = stored
    return codes.reshape(len(words), -1)
