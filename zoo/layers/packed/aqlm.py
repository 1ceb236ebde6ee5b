"""AQLM: every group of weights is a sum of entries of codebooks, times the scale of its outputs.

Tensors: codes (out / o, in / i, C), int8 or int16 that count modulo the size of a codebook; codebooks
(C, size, o, i); scales (out / o, 1, 1, 1). Source: https://github.com/Vahe1994/AQLM, inference_lib, aqlm/utils.py,
_dequantize_weight. Legend: C codebooks, o and i the sides of a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight packed so."""
    for name, codes in refs.items():
        base = name.removesuffix("codes")
        books, scales = refs.get(f"{base}codebooks"), refs.get(f"{base}scales")
        if not name.endswith(".codes") or books is None or scales is None:
            continue
        companions = (books.name, scales.name)
        fits = len(codes.shape) == 3 and len(books.shape) == 4 and codes.shape[2] == books.shape[0]
        if not fits or codes.dtype not in ("int8", "int16", "int32") or scales.shape != (codes.shape[0], 1, 1, 1):
            detail = f"AQLM codes {codes.shape}, codebooks {books.shape} and scales {scales.shape} do not fit together"
            yield PackedWeight(name, f"{base}weight", None, companions, refusal=detail)
            continue
        shape = (codes.shape[0] * books.shape[2], codes.shape[1] * books.shape[3])
        assembly = Assembly("aqlm", (codes, books, scales), (), shape, "aqlm")
        yield PackedWeight(name, f"{base}weight", assembly, companions)


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights (out, in) float32, summed in float32."""
    codes, books, scales = parts
    rows = [
        book[codes[:, :, place].astype(np.int64) % len(book)] for place, book in enumerate(books.astype(np.float32))
    ]
    groups = np.sum(rows, axis=0) * scales.astype(np.float32)
    return np.asarray(groups.swapaxes(1, 2).reshape(shape))
