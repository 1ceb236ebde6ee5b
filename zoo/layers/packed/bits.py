"""Integers of a few bits in 32-bit words, the lowest bits first: what GPTQ, AWQ and others are made of. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoospectra.zoo.checkpoint.tensor import AnyArray


def unpack(words: AnyArray, bits: int, count: int | None = None) -> NDArray[np.uint8]:
    """Integers (rows, count) of the 32-bit words (rows, n), a row being one stream of bits, lowest first.

    Values may cross words, as 3-bit ones do. `count` None means all, 32 n / bits of them. ValueError unless
    1 <= bits <= 8 and the rows are whole values, or hold `count` of them.
    """
    rows, length = words.shape
    if not 1 <= bits <= 8 or ((32 * length) % bits if count is None else count * bits > 32 * length):
        msg = f"rows of {length} words are no whole number of {bits}-bit values"
        raise ValueError(msg)
    count = 32 * length // bits if count is None else count
    if 32 % bits == 0:
        shifts = np.arange(0, 32, bits, dtype=np.uint32)
        values = (words.view(np.uint32)[:, :, None] >> shifts) & np.uint32((1 << bits) - 1)
        return values.astype(np.uint8).reshape(rows, -1)[:, :count]
    stream = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little")
    powers = np.left_shift(1, np.arange(bits)).astype(np.uint8)
    return np.asarray((stream[:, : count * bits].reshape(rows, -1, bits) * powers).sum(axis=2, dtype=np.uint8))
