"""Of which models another one was mixed, when nobody names them: a search among its likes, and among those of its rest.

Sketches are linear, so subsets of candidates are weighed by their products layer by layer; a model of L layers with P
candidates costs 64 L P^2 multiplications. Coefficients are positive: a parent of a merge is itself a difference of the
others. What the parents make of it is recipe.py's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from zoospectra.analysis.kinship.candidates import Index
from zoospectra.analysis.kinship.match import match
from zoospectra.analysis.kinship.recipe import Recipe, recipe
from zoospectra.analysis.kinship.records import SketchedModel
from zoospectra.analysis.sketch import K

PARENTS = 4
"""Most parents of a merge that are looked for without being named."""

BETTER = 0.05
"""Share of the residual of one parent that is left where there are more."""

LEAST = 0.02
"""Smallest coefficient of a parent."""

EXPLAINED = 1e-6
"""Share of a model that one parent leaves, below which nobody else is looked for."""

SECOND = 8
"""Models alike to what the parents leave that are tried beside them."""

AS_GOOD = 1.5
"""Factor between residuals that rounding explains: of such sets the one that is least alike counts."""

ROUNDING = 1e-9
"""Share of a residual that is rounding."""

NOTHING: dict[str, Any] = {"content_hash": "", "columns": None, "rows": None, "mean": 0.0, "std": 0.0}
"""Fields of what is left of a layer that nobody knows."""


class _Set(NamedTuple):
    """Some candidates and how well they explain a model."""

    members: tuple[int, ...]
    """Places of the candidates."""
    left: float
    """|residual|^2 / |model|^2 over the layers that all have a partner for, each of weight 1."""
    off: float
    """How far from 1 the coefficients' sum is, to a thousandth."""
    alike: float
    """Largest cosine of two of them."""


class _Weighed:
    """Products of a model's layers with those of its candidates."""

    def __init__(self, model: SketchedModel, candidates: Sequence[SketchedModel]) -> None:
        sizes = np.array([np.linalg.norm(layer.whole) for layer in model.layers])
        self.y = np.array([layer.whole / (size or 1.0) for layer, size in zip(model.layers, sizes, strict=True)])
        self.X = np.zeros((len(candidates), len(model.layers), K))
        self.has = np.zeros((len(candidates), len(model.layers)), dtype=bool)
        place = {layer.longname: number for number, layer in enumerate(model.layers)}
        for number, candidate in enumerate(candidates):
            for pair in match(model, candidate):
                at = place[pair.layer.longname]
                if sizes[at]:
                    self.X[number, at], self.has[number, at] = pair.relative.whole / sizes[at], True

        self.gram = np.einsum("plk,qlk->lpq", self.X, self.X, optimize=True)
        self.products = np.einsum("plk,lk->lp", self.X, self.y)
        self.sizes = np.einsum("lk,lk->l", self.y, self.y)

    def explain(self, members: tuple[int, ...]) -> _Set | None:
        """How well they explain the model; None where one has no positive share, or they share few layers."""
        own = np.array(members)
        common = np.flatnonzero(np.logical_and.reduce(self.has[own]))
        if len(common) < max(1.0, 0.5 * self.has.shape[1]):
            return None
        gram, products = self.gram[np.ix_(common, own, own)].sum(axis=0), self.products[np.ix_(common, own)].sum(axis=0)
        total = float(self.sizes[common].sum())
        coefficients = np.linalg.lstsq(gram, products, rcond=1e-10)[0]
        if coefficients.min() <= LEAST:
            return None
        left = total - 2.0 * coefficients @ products + coefficients @ gram @ coefficients
        norms = np.sqrt(np.diag(gram))
        cosines = gram / np.outer(norms, norms) - np.eye(len(members))
        off = round(abs(float(coefficients.sum()) - 1.0), 3)
        return _Set(members, max(0.0, float(left)) / total, off, float(cosines.max()))

    def alone(self) -> _Set | None:
        """The best one."""
        return _least([self.explain((i,)) for i in range(len(self.X))])

    def best(self) -> _Set | None:
        """The best PARENTS, found one after the other from the best pair on, less those that are not needed.

        Of a mean of four the second one explains little by itself. A set of one where no more do better.
        """
        number, alone = len(self.X), self.alone()
        if alone is None or alone.left < EXPLAINED:
            return alone
        chosen = _least([self.explain(members) for members in combinations(range(number), 2)])
        for _ in range(PARENTS - 2):
            if chosen is None:
                break
            more = _least([self.explain(members) for members in _extended(chosen.members, number)])
            if more is None or more.left > chosen.left:
                break
            chosen = more
        if chosen is None or chosen.left > 0.9 * alone.left:
            return alone
        for member in chosen.members:  # the first may have been a poor relative of what came later
            rest = tuple(other for other in chosen.members if other != member)
            without = self.explain(rest) if len(rest) > 1 else None
            if without is not None and without.left <= 2.0 * chosen.left + ROUNDING:
                chosen = without
        return chosen

    def rest(self, model: SketchedModel, chosen: _Set) -> SketchedModel:
        """What a set leaves of the model, layer by layer."""
        X = self.X[list(chosen.members)]
        common = np.logical_and.reduce(self.has[list(chosen.members)])
        flat = X[:, common].reshape(len(X), -1)
        coefficients = np.linalg.lstsq(flat.T, self.y[common].reshape(-1), rcond=1e-10)[0]
        left = self.y - np.tensordot(coefficients, X, axes=1)
        layers = tuple(
            replace(layer, whole=left[number], **NOTHING)
            for number, layer in enumerate(model.layers)
            if common[number] and left[number].any()
        )
        return SketchedModel(model.model_id, model.revision, layers)


def _extended(members: tuple[int, ...], number: int) -> list[tuple[int, ...]]:
    return [(*members, other) for other in range(number) if other not in members]


def _least(sets: Sequence[_Set | None]) -> _Set | None:
    """The best of some sets; of those as good the one nearest to a mean, then the one whose members are least alike."""
    held = [each for each in sets if each is not None]
    if not held:
        return None
    least = min(each.left for each in held)
    return min((each for each in held if each.left <= AS_GOOD * least + 1e-12), key=lambda each: each[2:])


def with_seconds(model: SketchedModel, likes: Sequence[SketchedModel], index: Index) -> list[SketchedModel]:
    """The likes of a model, and models that are like what the best of them leave of it: its own likes hide them."""
    pool = list(likes)
    for _ in range(PARENTS - 1):
        weighed = _Weighed(model, pool)
        chosen = weighed.best()
        if chosen is None or chosen.left < EXPLAINED:
            break
        numbers = index.candidates(weighed.rest(model, chosen))
        known = {model.model_id, *(other.model_id for other in pool)}
        new = [other for other in (index.models[number] for number in numbers) if other.model_id not in known]
        if not new:
            break
        pool += new[:SECOND]
    return pool


def merge(model: SketchedModel, candidates: Sequence[SketchedModel]) -> Recipe | None:
    """The recipe of several of these parents that leaves at most BETTER of the residual of the best; None without."""
    weighed = _Weighed(model, candidates)
    best, alone = weighed.best(), weighed.alone()
    if best is None or len(best.members) < 2 or alone is None or best.left > BETTER * alone.left:
        return None
    mixed = recipe(model, [candidates[i] for i in best.members])
    sure = all(b > 5.0 * error for b, error in zip(mixed.fit.coefficients, mixed.fit.errors, strict=True))
    return mixed if sure else None
