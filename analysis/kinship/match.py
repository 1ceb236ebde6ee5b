"""Which layer of one model belongs to which of another: by bytes, by name, by role and block, by sketch.

Names differ between libraries (GGUF's blk.0.attn_q is safetensors' model.layers.0.self_attn.q_proj), and places do
where layers were stacked: a sketch that is much alike outweighs both.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from zoospectra.analysis.kinship.records import SketchedLayer, SketchedModel
from zoospectra.analysis.records import FloatArray

ALIKE = 0.6
"""Cosine above which the sketch decides: 4.8 standard deviations of unrelated layers."""

AHEAD = 0.3
"""By how much such a layer must be more alike than the one that the name says."""


class Pair(NamedTuple):
    """Two layers that belong together."""

    layer: SketchedLayer
    """Of the model."""
    relative: SketchedLayer
    """Of the other."""
    by: str
    """bytes, name, role or sketch."""

    @property
    def moved(self) -> bool:
        """Whether the numbers in their names differ: another block."""
        return numbers(self.layer.longname) != numbers(self.relative.longname)


def match(model: SketchedModel, other: SketchedModel) -> list[Pair]:
    """One pair a layer of the model that the other has a partner for, in the model's order."""
    partners: dict[int, tuple[int, str]] = {}
    for size, places in model.by_size.items():
        theirs = other.by_size.get(size, [])
        if theirs:
            partners |= _within(model, places, other, theirs)
    return [Pair(model.layers[i], other.layers[j], by) for i, (j, by) in sorted(partners.items())]


def _within(
    model: SketchedModel, places: list[int], other: SketchedModel, theirs: list[int]
) -> dict[int, tuple[int, str]]:
    """Partners among layers of one size."""
    mine, yours = [model.layers[i] for i in places], [other.layers[j] for j in theirs]
    alike = unit([layer.whole for layer in mine]) @ unit([layer.whole for layer in yours]).T
    names = {layer.longname: place for place, layer in enumerate(yours)}
    roles = {_key(layer): place for place, layer in reversed(list(enumerate(yours)))}
    equal: dict[str, list[int]] = {}
    for place, layer in enumerate(yours):
        equal.setdefault(layer.content_hash, []).append(place)
    partners: dict[int, tuple[int, str]] = {}
    for i, layer in enumerate(mine):
        named = names.get(layer.longname)
        same = equal.get(layer.content_hash, [])
        j = named if named is not None else roles.get(_key(layer), i if len(mine) == len(yours) else None)
        by = "name" if named is not None else "role"
        best = int(np.argmax(alike[i]))
        if same:
            j, by = (named if named in same else same[0]), "bytes"
        elif alike[i, best] > ALIKE and (j is None or alike[i, best] > alike[i, j] + AHEAD):
            j, by = best, "sketch"
        if j is not None:
            partners[places[i]] = (theirs[j], by)
    return partners


def unit(sketches: list[FloatArray]) -> FloatArray:
    """Sketches as rows of unit length, (n, K); a zero one stays zero, one beyond float32's range becomes it."""
    rows = np.asarray(sketches, dtype=np.float64)
    rows = np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, 0.0)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    units: FloatArray = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0.0)
    return units


def _key(layer: SketchedLayer) -> tuple[str, ...]:
    """Role and numbers of the blocks that a layer is in."""
    return (layer.role, *numbers(layer.longname))


def numbers(longname: str) -> tuple[str, ...]:
    """The numbers in a name, as text."""
    return tuple(re.findall(r"\d+", longname))
