"""Integers with a scale and a zero point that the file's graph or header names: (q - zero point) scale.

ONNX (DequantizeLinear, QLinearConv, ...) and TensorFlow Lite; q scale + min in TensorFlow.js. Readers say so in the
configuration under 'affine': name of the codes -> 'scale', 'zero_point' or 'min' (names of tensors, or numbers) and
the 'axis' along which they differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every tensor of codes whose scale is known."""
    stated = config.get("affine")
    for name, ref in refs.items():
        entry = stated.get(name) if isinstance(stated, Mapping) else None
        if not isinstance(entry, Mapping) or len(ref.shape) < 2:
            continue
        plain = name.removesuffix("_quantized")
        second = "min" if "min" in entry else "zero_point"
        axis = entry.get("axis", 0)
        options: list[tuple[str, int | float | str]] = [("axis", axis if type(axis) is int else 0)]
        parts = [ref]
        for key, value in (("scale", entry.get("scale")), (second, entry.get(second, 0))):
            if isinstance(value, str) and value in refs:
                parts.append(refs[value])
            elif isinstance(value, (int, float)):
                options.append((key, float(value)))
            elif isinstance(value, tuple):
                options.append((key, ",".join(map(str, value))))
        companions = tuple(part.name for part in parts[1:])
        if len(parts) + len(options) != 4:
            yield PackedWeight(
                name, name, None, companions, refusal=f"{ref.dtype} codes whose scale is not in the file"
            )
            continue
        assembly = Assembly("affine", tuple(parts), tuple(options), ref.shape, f"{ref.dtype}+scale")
        yield PackedWeight(name, plain, assembly, companions)


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """(q - zero point) scale in float32; scale and zero point are one number, or one an index of the axis."""
    codes, *rest = parts
    axis = int(options["axis"])
    if "min" in options:
        return np.asarray(codes * np.float64(options["scale"]) + np.float64(options["min"]), np.float32)
    numbers = [_numbers(options[key]) if key in options else rest.pop(0) for key in ("scale", "zero_point")]
    scale, zero = (_along(number, axis, shape) for number in numbers)
    if codes.dtype.kind == "f":
        return np.asarray(codes.astype(np.float32) * scale.astype(np.float32))
    shifted = codes.astype(np.int32) - zero.astype(np.int32)
    return np.asarray(shifted.astype(np.float32) * scale.astype(np.float32))


def _numbers(option: float | str) -> AnyArray:
    """A number, or several behind commas."""
    return np.array(option.split(","), np.int64) if isinstance(option, str) else np.asarray(option)


def _along(number: AnyArray, axis: int, shape: tuple[int, ...]) -> AnyArray:
    """Numbers laid along an axis of a shape."""
    if number.size == 1:
        return number.reshape((1,) * len(shape))
    return number.reshape(tuple(-1 if place == axis else 1 for place in range(len(shape))))
