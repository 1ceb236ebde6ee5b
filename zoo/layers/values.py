"""From a layer to its values: a tensor, a part of one, or what several tensors make together.

Not covered: where the bytes lie (zoo.checkpoint.read), which tensors make which layers (zoo.layers.choose).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.mapped import reach
from zoospectra.zoo.checkpoint.read import content_hash, digest_of, read, stored
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.checkpoint.view import Take, View, apply
from zoospectra.zoo.layers.change import changed
from zoospectra.zoo.layers.layer import Assembly, Layer
from zoospectra.zoo.layers.packed import SCHEMES, STACKED
from zoospectra.zoo.layers.packed.adapters import FACTORS


class Hashed(NamedTuple):
    """A layer that was read."""

    values: AnyArray
    """As read_layer gives them."""
    content_hash: str
    """Their layer_hash."""


def read_layer(layer: Layer) -> AnyArray:
    """Values of a layer, of shape layer.shape: a view of the mapped file where possible, else a copy of that part.

    Raises CheckpointError as `read` does, and 'missing_reader' where a package is needed that is not installed.
    """
    if layer.factor != 1.0:
        plain = read_layer(replace(layer, factor=1.0))
        return np.asarray(plain * plain.dtype.type(layer.factor))
    if layer.change is not None:
        return apply(_changed(layer), layer.view)
    if layer.assembly is not None:
        return _assembled(layer.assembly, layer.view)
    ref, view = layer.ref, layer.view
    first = _leading(ref, view)
    # The part is cut out before it is decoded: one expert of 128 costs what one expert holds.
    values = types.decode(reach(apply(stored(ref), view[:first])), ref.dtype)
    return apply(values, view[first:])


def read_factors(layer: Layer) -> tuple[AnyArray, AnyArray] | None:
    """Factors (out, r) and (r, in), scaled, of a low-rank update that is thinner than its product; else None."""
    assembly = layer.assembly
    if assembly is None or layer.factor != 1.0 or layer.change is not None:
        return None
    two = _factors(assembly)
    cut = _cut(layer.view)
    if two is None or cut is None:
        return two
    return two[0][cut.start], two[1][cut.start]


def _factors(assembly: Assembly) -> tuple[AnyArray, AnyArray] | None:
    """Factors of a low-rank product, all of a stack; None where they are not thin, or it is none."""
    if assembly.scheme not in FACTORS:
        return None
    arrays = [read(part) for part in assembly.parts]
    return FACTORS[assembly.scheme](arrays, dict(assembly.options), assembly.shape)


def _changed(layer: Layer) -> AnyArray:
    """The whole weight after its change."""
    assert layer.change is not None
    weight = read_layer(replace(layer, view=(), change=None))
    update = layer.change.update
    product = None if update is None else _factors(update) or (_assembled(update, ()),)
    return changed(layer.change, weight, product, [read(part) for part in layer.change.parts])


def layer_hash(layer: Layer) -> str:
    """sha256 (hex) that names the values of a layer.

    The content hash of the tensor, or what it would be if the layer's part were a tensor of its own, so that a split
    matrix and the same one stored alone are one. An assembly: of its scheme, options, parts and the view. A changed
    weight: of the weight, the change and the view. A layer that a user scales: of that and the factor.
    """
    if layer.factor != 1.0:
        scaled = f"{layer_hash(replace(layer, factor=1.0))} times {layer.factor!r}"
        return hashlib.sha256(scaled.encode()).hexdigest()
    if layer.change is not None:
        change = layer.change
        update = replace(layer, view=(), assembly=change.update, change=None)
        hashes = [layer_hash(replace(layer, view=(), change=None)), layer_hash(update) if change.update else ""]
        hashes += map(content_hash, change.parts)
        known = ["changed", change.scheme, change.options, hashes, [repr(step) for step in layer.view]]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()
    if layer.assembly is not None:
        assembly = layer.assembly
        cut = _stacked(assembly, layer.view)
        parts = [digest_of(p.dtype, *_piece(p, cut)) if cut else content_hash(p) for p in assembly.parts]
        words = [assembly.scheme, assembly.options, assembly.shape, parts, [repr(step) for step in layer.view]]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()
    ref, view = layer.ref, layer.view
    if _leading(ref, view) == len(view):
        return digest_of(ref.dtype, layer.shape, apply(stored(ref), view))
    return digest_of(f"{ref.dtype} view", layer.shape, np.ascontiguousarray(read_layer(layer)))


def read_hashed(layer: Layer) -> Hashed:
    """Values and hash of a layer, both of the same bytes where they are stored as they are; errors as read_layer's."""
    ref, view = layer.ref, layer.view
    made = layer.factor != 1.0 or layer.change is not None or layer.assembly is not None
    if made or _leading(ref, view) < len(view):
        return Hashed(read_layer(layer), layer_hash(layer))
    elements = reach(apply(stored(ref), view))
    return Hashed(types.decode(elements, ref.dtype), digest_of(ref.dtype, layer.shape, elements))


def _leading(ref: TensorRef, view: View) -> int:
    """How many steps of a view mean the same for the stored carriers: all, but for block types only cuts of rows."""
    if ref.dtype not in types.BLOCKS:
        return len(view)
    last = len(ref.shape) - 1
    rows = [isinstance(step, Take) and step.axis < last for step in view]
    return rows.index(False) if False in rows else len(rows)


def _assembled(assembly: Assembly, view: View) -> AnyArray:
    """The view of an assembly's values; where it takes one expert of a stack, only that one is computed."""
    cut, shape, options = _stacked(assembly, view), assembly.shape, dict(assembly.options)
    if cut:
        shape, view = (cut.stop - cut.start, *shape[1:]), view[1:]
        arrays = [types.decode(reach(_piece(part, cut)[1]), part.dtype) for part in assembly.parts]
    else:
        arrays = [read(part) for part in assembly.parts]
    if assembly.scheme == "lora" and (expert := _cut(view)) is not None:
        two = FACTORS["lora"](arrays, options, shape)
        if two is not None:
            return np.asarray(two[0][expert.start] @ two[1][expert.start])
    values = SCHEMES[assembly.scheme](arrays, options, shape)
    if values.shape != shape:
        detail = f"{assembly.parts[0].name}: {assembly.scheme} gives {values.shape}, not {shape}"
        raise CheckpointError(Reason.UNREADABLE, detail)
    return apply(values, view)


def _cut(view: View) -> Take | None:
    """The step that takes one of a stack of matrices; None when the view starts otherwise."""
    first = view[0] if view else None
    return first if isinstance(first, Take) and first.axis == 0 and first.stop == first.start + 1 else None


def _stacked(assembly: Assembly, view: View) -> Take | None:
    """The cut of a view that can be made in the parts before anything is decoded."""
    cut = _cut(view)
    same = all(part.shape[:1] == assembly.shape[:1] or prod(part.shape) == 1 for part in assembly.parts)
    return cut if assembly.scheme in STACKED and len(assembly.shape) == 3 and same else None


def _piece(ref: TensorRef, cut: Take) -> tuple[tuple[int, ...], AnyArray]:
    """Shape and stored elements of a part after a cut; those of a single number as they are."""
    if prod(ref.shape) == 1:
        return ref.shape, stored(ref)
    return (cut.stop - cut.start, *ref.shape[1:]), stored(ref)[cut.start : cut.stop]
