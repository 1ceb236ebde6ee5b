"""Layers that are there twice: the same bytes, or their transpose, under another name of the same model.

Scripts save a net beside its wrapper ('net.fc' and 'ddp.module.fc'), converters keep an initializer beside the layer
that was made of it. One of them is the layer: the one that is called a weight, else the shorter name. What is tied
(one storage, two names) stays two layers, and so do embeddings, whose twin is the head, and constants, which are alike
without being copies. Not covered: copies of another shape or element type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from zoospectra.zoo.checkpoint.dtype import BLOCKS, decode
from zoospectra.zoo.checkpoint.mapped import reach
from zoospectra.zoo.checkpoint.read import stored
from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import Reason, Skip
from zoospectra.zoo.fetch.locator import is_remote
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import read_layer


@dataclass(frozen=True, slots=True)
class HashedLayer:
    """A layer, and what tells it apart from others."""

    layer: Layer
    """Which."""
    content_hash: str
    """Of its values."""
    corners: bytes | None
    """The values in its corners, the same for its transpose; None where it was not read, or cannot be a transpose."""
    constant: bool | None = None
    """Whether all its values are equal; None where that was not looked at."""


def corners(layer: Layer, values: AnyArray) -> bytes | None:
    """First and last value, then the other two in the order of their bytes; None for what is no plain matrix."""
    if layer.assembly is not None or values.ndim != 2 or layer.layer_type == "embedding":
        return None
    sides = sorted((values[0, -1].tobytes(), values[-1, 0].tobytes()))
    return b"".join([values[0, 0].tobytes(), values[-1, -1].tobytes(), *sides])


def stored_corners(layer: Layer) -> bytes | None:
    """The same without reading more than the corners; None also where they are not plain elements of a local file."""
    ref = layer.ref
    plain = not (layer.assembly or layer.change or layer.view or ref.parts or ref.member or ref.codec)
    if not plain or layer.factor != 1.0 or len(ref.shape) != 2 or ref.dtype in BLOCKS or is_remote(ref.path):
        return None
    rows = [reach(stored(ref)[side : side + 1, :: max(1, ref.shape[1] - 1)]) for side in (0, ref.shape[0] - 1)]
    return corners(layer, decode(np.ascontiguousarray(np.concatenate(rows)[:, [0, -1]]), ref.dtype))


def without_copies(layers: Sequence[HashedLayer]) -> tuple[list[HashedLayer], list[Skip]]:
    """The layers in their order, each once, and a Skip for every copy; reads values only to confirm.

    Raises CheckpointError as `read_layer` does.
    """
    kept: list[HashedLayer] = []
    skips: dict[str, Skip] = {}
    equal: dict[str, list[HashedLayer]] = {}
    turned: dict[bytes, list[HashedLayer]] = {}
    constant = {held.content_hash: held.constant for held in layers if held.constant is not None}

    def varies(held: HashedLayer) -> bool:
        if held.content_hash not in constant:
            constant[held.content_hash] = is_constant(read_layer(held.layer))
        return not constant[held.content_hash]

    for held in sorted(layers, key=_rank):
        same = (other for other in equal.get(held.content_hash, ()) if _is_copy(held, other, varies))
        original, how = next(same, None), "the same values as"
        if original is None and held.corners is not None:
            turns = (other for other in turned.get(held.corners, ()) if _is_transpose(held, other, varies))
            original, how = next(turns, None), "the transpose of"
        if original is None:
            kept.append(held)
            equal.setdefault(held.content_hash, []).append(held)
            if held.corners is not None:
                turned.setdefault(held.corners, []).append(held)
        else:
            detail = f"{held.layer.longname} has {how} {original.layer.longname}"
            skips.setdefault(held.layer.ref.name, Skip(held.layer.ref.name, Reason.COPY, detail, False))
    return sorted(kept, key=lambda held: held.layer.layer_id), list(skips.values())


def _rank(held: HashedLayer) -> tuple[bool, int, int]:
    """Order of preference: what is called a weight, then the shorter path, then what comes first."""
    name = held.layer.ref.name
    return not name.endswith((".weight", ".kernel")), name.count("."), held.layer.layer_id


def _is_copy(held: HashedLayer, another: HashedLayer, varies: Callable[[HashedLayer], bool]) -> bool:
    """Whether a layer with the values of another one is its copy."""
    layer, other = held.layer, another.layer
    if layer.ref.name == other.ref.name:
        return False  # two parts of one tensor
    if layer.longname.endswith(f".{other.longname}"):  # a wrapper's name for it, whatever it is
        return True
    tied = _storage(layer) == _storage(other)
    return not tied and "embedding" not in (layer.layer_type, other.layer_type) and varies(held)


def _is_transpose(held: HashedLayer, another: HashedLayer, varies: Callable[[HashedLayer], bool]) -> bool:
    """Whether a layer is another one transposed; symmetric ones are not."""
    layer, other = held.layer, another.layer
    if layer.ref.name == other.ref.name or layer.dtype != other.dtype or layer.shape != other.shape[::-1]:
        return False
    return varies(held) and np.array_equal(read_layer(layer), read_layer(other).T)


def _storage(layer: Layer) -> tuple[object, ...]:
    """Where the bytes of a layer lie."""
    ref = layer.ref
    return ref.path, ref.member, ref.offset, ref.nbytes


def is_constant(values: AnyArray) -> bool:
    """Whether all values of an array are equal."""
    return values.size == 0 or bool(values.min() == values.max())
