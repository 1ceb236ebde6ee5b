"""Of what a model was mixed: its sketches regressed on those of its parents, layer by layer and over all.

Sketches are linear, so W = sum_i b_i W_i holds for them too, and least squares on 64 numbers a layer gives b back to
rounding. What mergekit calls them: linear (Wortsman and others 2022, arXiv:2203.05482), slerp, task arithmetic
(Ilharco and others 2023, arXiv:2212.04089), passthrough (layers taken whole, stacked or not).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from zoospectra.analysis.kinship.match import match
from zoospectra.analysis.kinship.records import SketchedLayer, SketchedModel
from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.sketch import K

EXACT = 1e-3
"""How near to 1 or 0 the coefficients of a layer taken whole are."""

RESOLVED = 1e-7
"""Ratio of directions below which parents cannot be told apart: sketches are of float32."""

SUM = 0.01
"""How near to 1 the coefficients of a mean sum."""


class Fit(NamedTuple):
    """A regression without intercept."""

    coefficients: tuple[float, ...]
    """One a parent."""
    errors: tuple[float, ...]
    """Standard error of each; infinite where parents cannot be told apart."""
    r2: float
    """1 - |residual|^2 / |sketch|^2."""


class LayerRecipe(NamedTuple):
    """One layer."""

    longname: str
    """Of the model."""
    sources: tuple[str, ...]
    """Name of its partner in every parent."""
    moved: bool
    """Whether a partner is in another block."""
    fit: Fit
    """Coefficients of the parents."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a model is made of."""

    parents: tuple[str, ...]
    """model_id of each."""
    kind: str
    """linear, linear by layer, slerp, task arithmetic, passthrough, layer stack, scaled, or none."""
    fit: Fit
    """Over all layers, each of weight 1."""
    layers: tuple[LayerRecipe, ...]
    """Those that every parent has a partner for; of a stack, some parent."""


def recipe(model: SketchedModel, parents: Sequence[SketchedModel], base: str | None = None) -> Recipe:
    """Regress a model on its parents; `base`: model_id of the parent that task vectors are differences from.

    Equivalent to numpy.linalg.lstsq on the sketches. Raises ValueError without parents.
    """
    if not parents:
        msg = "expected at least one parent to regress on"
        raise ValueError(msg)
    partners = [{pair.layer.longname: pair for pair in match(model, parent)} for parent in parents]
    layers: list[LayerRecipe] = []
    designs: list[tuple[FloatArray, FloatArray]] = []
    for layer in model.layers:
        pairs = [own.get(layer.longname) for own in partners]
        sources = [pair.relative if pair else None for pair in pairs]
        y, X = _design(layer, sources)
        if y is None or not any(sources):
            continue
        if all(sources):
            designs.append((X, y))
        fit = regress(X, y)
        moved = any(pair is not None and pair.moved for pair in pairs)
        layers.append(
            LayerRecipe(layer.longname, tuple(source.longname if source else "" for source in sources), moved, fit)
        )
    names = tuple(parent.model_id for parent in parents)
    if not designs:
        nothing = (0.0,) * len(parents)
        return Recipe(names, "none", Fit(nothing, (math.inf,) * len(parents), 0.0), tuple(layers))
    overall = regress(np.concatenate([X for X, _ in designs]), np.concatenate([y for _, y in designs]))
    return Recipe(names, _kind(names, overall, layers, designs, base), overall, tuple(layers))


def regress(X: FloatArray, y: FloatArray) -> Fit:
    """Least squares of y (n,) on the columns of X (n, P). Equivalent to statsmodels' OLS(y, X).fit()."""
    coefficients, _, rank, _ = np.linalg.lstsq(X, y, rcond=RESOLVED)
    residual = float(np.sum((y - X @ coefficients) ** 2))
    total, free = float(y @ y), len(y) - X.shape[1]
    r2 = 1.0 - residual / total if total > 0.0 else 0.0
    if rank < X.shape[1] or free <= 0:
        errors = [math.inf] * X.shape[1]
    else:
        _, sizes, directions = np.linalg.svd(X, full_matrices=False)
        spread = directions / sizes[:, None]  # (X^T X)^-1 = spread^T spread; squares of a large ratio would be singular
        errors = (np.linalg.norm(spread, axis=0) * math.sqrt(residual / free)).tolist()
    return Fit(tuple(coefficients.tolist()), tuple(errors), r2)


def _design(layer: SketchedLayer, sources: Sequence[SketchedLayer | None]) -> tuple[FloatArray | None, FloatArray]:
    """Sketch (K,) of a layer, and of its partners (K, P), in units of the layer's; None for a layer of zeros."""
    size = float(np.linalg.norm(layer.whole))
    if not size > 0.0:
        return None, np.zeros((K, len(sources)))
    columns = [source.whole / size if source else np.zeros(K) for source in sources]
    return layer.whole / size, np.stack(columns, axis=1)


def _kind(
    parents: Sequence[str],
    overall: Fit,
    layers: Sequence[LayerRecipe],
    designs: Sequence[tuple[FloatArray, FloatArray]],
    base: str | None,
) -> str:
    if layers and all(_taken_whole(layer.fit) for layer in layers):
        return "layer stack" if any(layer.moved for layer in layers) else "passthrough"
    if len(parents) == 1:
        return "scaled" if overall.r2 > 1.0 - EXACT**2 else "none"
    if base in parents and abs(sum(overall.coefficients) - 1.0) < SUM:
        return "task arithmetic"
    sums = [sum(layer.fit.coefficients) for layer in layers]
    bounds = [max(SUM, 4.0 * math.hypot(*layer.fit.errors)) for layer in layers]
    if all(abs(total - 1.0) < bound for total, bound in zip(sums, bounds, strict=True)):
        steady = overall.r2 > 1.0 - 4.0 * max(1.0 - float(np.median([layer.fit.r2 for layer in layers])), 1e-6)
        return "linear" if steady else "linear by layer"
    if len(parents) == 2 and _on_a_sphere(layers, designs):
        return "slerp"
    return "scaled" if overall.r2 > 1.0 - EXACT else "none"


def _taken_whole(fit: Fit) -> bool:
    """Whether a layer is that of one parent."""
    largest = int(np.argmax(np.abs(fit.coefficients)))
    rest = [value for i, value in enumerate(fit.coefficients) if i != largest]
    return abs(fit.coefficients[largest] - 1.0) < EXACT and all(abs(value) < EXACT for value in rest)


def _on_a_sphere(layers: Sequence[LayerRecipe], designs: Sequence[tuple[FloatArray, FloatArray]]) -> bool:
    """Whether a W_1 + b W_2 keeps to the arc between the directions: a^2 + b^2 + 2 a b cos = 1, whatever the norms.

    The cosine comes from the sketches, so its error, of 1/8 a layer at most, is averaged over layers.
    """
    misses = []
    for layer, (X, _) in zip(layers, designs, strict=False):
        a, b = layer.fit.coefficients
        cosine = float(X[:, 0] @ X[:, 1]) / float(np.prod(np.linalg.norm(X, axis=0)))
        misses.append(a * a + b * b + 2.0 * a * b * cosine - 1.0)
    bound = 4.0 * math.sqrt(2.0 / K) / math.sqrt(max(1, len(misses)))
    return abs(float(np.mean(misses))) < bound and all(min(layer.fit.coefficients) > 0.0 for layer in layers)
