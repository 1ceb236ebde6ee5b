"""How alike unrelated models are, from the zoo itself: cosines of layers of equal size in different models.

Most pairs of a zoo are no kin, so the median of their cosines and the median deviation from it are those of unrelated
models, unless a zoo is one family: both are bounded therefore, and where there are few pairs theory stands in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from zoospectra.analysis.kinship.match import unit
from zoospectra.analysis.kinship.records import Size, SketchedModel
from zoospectra.analysis.sketch import K

PAIRS, FEWEST = 2000, 20
"""Pairs that are drawn a size, and how many are needed."""

FARTHEST = 0.3
"""Bound on location and spread of cosines of unrelated layers."""

MAD = 1.4826
"""Median absolute deviation -> standard deviation of a normal law."""


class Law(NamedTuple):
    """Normal law of the cosine of two unrelated layers."""

    mean: float
    """Location."""
    spread: float
    """Standard deviation."""


def theory(length: int) -> Law:
    """Of independent vectors of this length with symmetric values, sketched to K numbers."""
    return Law(0.0, math.sqrt(1.0 / K + 1.0 / max(length, 1)))


def null(models: Sequence[SketchedModel], seed: int = 0) -> dict[Size, Law]:
    """The law of every size that has FEWEST pairs of different models."""
    owners: dict[Size, list[int]] = {}
    sketches: dict[Size, list[np.ndarray]] = {}
    for number, model in enumerate(models):
        for layer in model.layers:
            owners.setdefault(layer.size, []).append(number)
            sketches.setdefault(layer.size, []).append(layer.whole)
    rng = np.random.default_rng(seed)
    laws = {}
    for size, numbers in owners.items():
        first, second = rng.integers(len(numbers), size=(2, PAIRS))
        own = np.asarray(numbers)
        different = own[first] != own[second]
        held = np.unique(np.sort(np.stack([first, second])[:, different], axis=0), axis=1)
        if held.shape[1] >= FEWEST:
            rows = unit(sketches[size])
            laws[size] = _law(np.einsum("ik,ik->i", rows[held[0]], rows[held[1]]), size)
    return laws


def law_of(laws: Mapping[Size, Law], size: Size) -> Law:
    """Of a size: the zoo's, else theory's."""
    return laws.get(size) or theory(size.elements)


def _law(cosines: np.ndarray, size: Size) -> Law:
    middle = float(np.median(cosines))
    spread = MAD * float(np.median(np.abs(cosines - middle)))
    least = theory(size.elements).spread
    return Law(float(np.clip(middle, 0.0, FARTHEST)), float(np.clip(spread, least, max(FARTHEST, least))))
