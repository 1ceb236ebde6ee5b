"""quanto's weights of 2 and 4 bits: W = (q - shift / scale) scale, in groups along the inputs of one output.

Tensors: weight._data._data uint8, whose byte i of a row holds codes of rows i, i + n, ..., the first in the lowest
bits; weight._scale and weight._shift (groups, 1). The shape is not in the file: the bias beside tells the outputs, and
a weight without one is refused. 8-bit weights are in zoo.layers.packed.scaled.
Source: https://github.com/huggingface/optimum-quanto, optimum/quanto/tensor/weights/qbits.py, packed.py, grouped.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight packed so, understood or refused."""
    for name, codes in refs.items():
        if not name.endswith("._data._data") or codes.dtype != "uint8" or len(codes.shape) != 2:
            continue
        plain = name.removesuffix("._data._data")
        scale, shift = refs.get(f"{plain}._scale"), refs.get(f"{plain}._shift")
        bias = refs.get(f"{plain.removesuffix('.weight')}.bias")
        companions = tuple(ref.name for ref in (scale, shift) if ref is not None)
        rows = scale.shape[0] if scale is not None and len(scale.shape) == 2 and scale.shape[1] == 1 else 0
        bits = 8 * codes.shape[0] // rows if rows else 0
        out = bias.shape[0] if bias is not None and len(bias.shape) == 1 else 0
        fits = bits in (2, 4) and rows * bits == 8 * codes.shape[0] and shift is not None and shift.shape == (rows, 1)
        if scale is None or shift is None or not fits or not out or rows % out:
            detail = "quanto: without a bias the shape of the weight is not in the file" if fits else "quanto: misfits"
            yield PackedWeight(name, plain, None, companions, refusal=detail)
            continue
        shape = (out, rows // out * codes.shape[1])
        assembly = Assembly("quanto", (codes, scale, shift), (("bits", bits),), shape, f"quanto-int{bits}")
        yield PackedWeight(name, plain, assembly, companions)


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights float32, as quanto computes them in float32."""
    codes, scale, shift = parts
    bits = int(options["bits"])
    rows = np.concatenate([(codes >> place) & ((1 << bits) - 1) for place in range(0, 8, bits)])
    assert rows.size == prod(shape)
    return np.asarray((rows.astype(np.float32) * scale.astype(np.float32) - shift.astype(np.float32)).reshape(shape))
