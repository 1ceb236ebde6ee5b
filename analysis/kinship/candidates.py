"""Whom to compare a model with: an inverted index from sizes, bytes and norms to models, not all pairs layer by layer.

Cost for a model of L layers in a zoo of Z models with c layers of each of its sizes: 3 K L c Z multiplications and
additions, as matrix products; see docs/kinship.md for seconds at 10,000 models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoospectra.analysis.kinship.match import unit
from zoospectra.analysis.kinship.records import Size, SketchedModel
from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.sketch import K

MOST = 20
"""Candidates of a model that are looked at closely."""

SCORE = 0.06
"""Mean over layers of the cosine beyond chance from which a model is a candidate."""

KINDS = ("whole", "columns", "rows")


@dataclass(frozen=True, slots=True)
class _Shelf:
    """All layers of one size that have one kind of sketch, ordered by model."""

    sketches: NDArray[np.float32]
    """(n, K), unit rows."""
    owners: NDArray[np.intp]
    """Models on it, each once."""
    starts: NDArray[np.intp]
    """Where the layers of each begin."""


class Index:
    """Models by what their layers are."""

    def __init__(self, models: Sequence[SketchedModel]) -> None:
        self.models = models
        self._shelves: dict[tuple[Size, str], _Shelf] = {}
        self._equal: dict[tuple[Size, str | int], set[int]] = {}
        held: dict[tuple[Size, str], tuple[list[FloatArray], list[int]]] = {}
        for number, model in enumerate(models):
            for layer in model.layers:
                keys: list[str | int] = [layer.content_hash, _norm_keys(layer.norm)[0]]
                for key in keys:
                    self._equal.setdefault((layer.size, key), set()).add(number)
                for kind in KINDS:
                    if (sketch := getattr(layer, kind)) is not None:
                        rows, owners = held.setdefault((layer.size, kind), ([], []))
                        rows.append(sketch)
                        owners.append(number)
        for place, (rows, owners) in held.items():
            numbers, starts = np.unique(np.asarray(owners), return_index=True)
            self._shelves[place] = _Shelf(unit(rows).astype(np.float32), numbers, starts)

    def candidates(self, model: SketchedModel) -> list[int]:
        """Numbers of the models that may be kin of one of them, the most alike first, at most MOST."""
        scores = np.zeros((len(KINDS), len(self.models)))
        equal = np.zeros(len(self.models))
        layers = len(model.layers)
        for size, places in model.by_size.items():
            for number, kind in enumerate(KINDS):
                self._score(model, places, self._shelves.get((size, kind)), kind, scores[number])
            for place in places:
                layer = model.layers[place]
                keys: list[str | int] = [layer.content_hash, *_norm_keys(layer.norm)]
                for key in keys:
                    for other in self._equal.get((size, key), ()):
                        equal[other] += 1.0
        total = np.maximum(scores.max(axis=0), equal) / max(1, layers)
        order = np.argsort(-total, kind="stable")
        return [int(i) for i in order if total[i] > SCORE and self.models[i] is not model][:MOST]

    def _score(
        self, model: SketchedModel, places: list[int], shelf: _Shelf | None, kind: str, scores: FloatArray
    ) -> None:
        mine = [sketch for place in places if (sketch := getattr(model.layers[place], kind)) is not None]
        if shelf is None or not mine:
            return
        alike = unit(mine).astype(np.float32) @ shelf.sketches.T
        best = np.maximum.reduceat(alike, shelf.starts, axis=1)
        counts = np.diff(np.append(shelf.starts, len(shelf.sketches)))
        shelf_length = model.layers[places[0]].size.M if kind != "whole" else K
        spread = math.sqrt(1.0 / K + 1.0 / shelf_length)
        chance = spread * np.sqrt(2.0 * np.log(np.maximum(counts, 1) + 1.0))
        scores[shelf.owners] += np.maximum(best - chance, 0.0).sum(axis=0)


def _norm_keys(norm: float) -> tuple[int, ...]:
    """Bucket of a norm, 1e-5 wide, and its neighbours: a permuted or rotated layer falls into one of them."""
    place = round(math.log(norm) * 1e5) if norm > 0.0 else 0
    return place, place - 1, place + 1
