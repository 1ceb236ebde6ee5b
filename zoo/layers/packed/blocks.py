"""Integers of 2 to 8 bits with a scale a block, as ONNX has them: W = (q - zero point) scale, by MatMulNBits and by
DequantizeLinear of int4 and of blocks.

The reader says so in the configuration under 'blocks': name of the codes -> zoo.checkpoint.blocks.Blocks. Codes are one
stream of bits, lowest first, in the order of the stored elements; those of MatMulNBits fill whole blocks along K.
Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md (com.microsoft.MatMulNBits),
https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint.blocks import Blocks
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every tensor of codes of which the reader knows bits, blocks and scales; a refusal where it does not."""
    stated = config.get("blocks")
    for name, entry in stated.items() if isinstance(stated, Mapping) else ():
        if not isinstance(entry, Blocks) or name not in refs:  # config.json may have a key of this name
            continue
        companions = tuple(other for other in entry.companions if other in refs)
        trouble = entry.trouble or _misfit(entry, refs[name], refs.get(entry.scale), refs.get(entry.zero))
        if trouble:
            yield PackedWeight(name, entry.plain or name, None, companions, refusal=trouble)
            continue
        parts = tuple(refs[part] for part in (name, entry.scale, entry.zero) if part)
        options = (
            ("bits", entry.bits),
            ("signed", int(entry.signed)),
            ("shape", _text(entry.shape)),
            ("padded", _text(entry.padded)),
            ("axis", entry.axis),
            ("block", entry.block),
            ("order", _text(entry.order)),
            ("row", entry.row),
            ("offset", entry.offset),
        )
        shape = tuple(entry.shape[axis] for axis in entry.order)
        kind = f"{'' if entry.signed else 'u'}int{entry.bits}+scale"
        yield PackedWeight(name, entry.plain, Assembly("blocks", parts, options, shape, kind), companions)


def _text(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))


def _misfit(entry: Blocks, codes: TensorRef, scale: TensorRef | None, zero: TensorRef | None) -> str:
    """Why codes and scales are not those of such a shape; '' when they are."""
    what = f"{entry.bits}-bit codes of shape {_text(entry.shape)} in blocks of {entry.block}: "
    if scale is None or (entry.zero and zero is None):
        return f"{what}their scale or zero points are not in the file"
    if prod(codes.shape) * 8 // entry.bits < prod(entry.padded):
        return f"{what}{prod(codes.shape)} bytes are too few"
    if prod(scale.shape) not in (1, prod(_scales(entry.padded, entry.axis, entry.block))):
        return f"{what}scales of shape {_text(scale.shape)} do not fit"
    return ""


def _scales(shape: tuple[int, ...], axis: int, block: int) -> tuple[int, ...]:
    """Shape of the scales: one a block of the axis; block 0 is one an index of the axis."""
    if not block:
        return tuple(size if place == axis else 1 for place, size in enumerate(shape))
    return tuple(-(-size // block) if place == axis else size for place, size in enumerate(shape))


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights in float32. CheckpointError 'unreadable' for zero points that are not one a scale."""
    padded, stored, order = (tuple(map(int, str(options[key]).split("x"))) for key in ("padded", "shape", "order"))
    axis, block, bits = (int(options[key]) for key in ("axis", "block", "bits"))
    signed = bool(options["signed"])
    codes = _unpacked(parts[0], bits, prod(padded), signed).reshape(padded)
    scale = _spread(parts[1].astype(np.float32), padded, axis, block)
    if len(parts) > 2:
        zero = _zeros(parts[2], options, _scales(padded, axis, block), parts[1].size)
        offset = _spread(zero.astype(np.float32), padded, axis, block)
    else:
        offset = np.float32(int(options["offset"]))  # type: ignore[assignment]
    with np.errstate(all="ignore"):  # scales of a damaged file may overflow; what is not finite is told later
        whole = (codes.astype(np.float32) - offset) * scale
    cut = tuple(slice(size) for size in stored)
    return np.asarray(whole[cut].transpose(order))


def _unpacked(raw: AnyArray, bits: int, count: int, signed: bool) -> AnyArray:
    """Integers of a stream of bytes, lowest bits first."""
    stream = np.ascontiguousarray(raw).reshape(-1).view(np.uint8)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes = ((stream[:, None] >> shifts) & np.uint8((1 << bits) - 1)).reshape(-1)[:count].astype(np.int16)
    return np.where(codes >= 1 << (bits - 1), codes - (1 << bits), codes) if signed else codes


def _zeros(raw: AnyArray, options: Options, shape: tuple[int, ...], scales: int) -> AnyArray:
    """Zero points, one a scale: floats as they are, codes in rows of whole bytes where the operator has rows."""
    if raw.dtype.kind == "f" or raw.size == scales == 1:
        zeros = raw.reshape(-1)
    else:
        bits, row = int(options["bits"]), int(options["row"])
        rows = np.ascontiguousarray(raw).reshape(scales // row if row else 1, -1)
        length = row or scales
        zeros = np.concatenate([_unpacked(one, bits, length, bool(options["signed"])) for one in rows])
    if zeros.size != scales:
        raise CheckpointError(Reason.UNREADABLE, f"{zeros.size} zero points for {scales} scales of shape {shape}")
    return zeros


def _spread(numbers: AnyArray, shape: tuple[int, ...], axis: int, block: int) -> AnyArray:
    """One number an element, along blocks of an axis."""
    if numbers.size == 1:
        return numbers.reshape((1,) * len(shape))
    laid = numbers.reshape(_scales(shape, axis, block))
    if not block:
        return laid
    wide = np.repeat(laid, min(block, shape[axis]), axis=axis)
    return wide[tuple(slice(shape[axis]) if place == axis else slice(None) for place in range(len(shape)))]
