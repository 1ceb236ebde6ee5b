"""The contest's own score: how much a measure's order of two models says about the order of their gaps.

Over all ordered pairs of models: the sign of the difference in generalisation gap against the sign of the difference in
the measure; mutual information given the values of two hyperparameters in both models, divided by the conditional
entropy of the gap's sign; the smallest over pairs of hyperparameters, times 100 (Jiang et al. 2020, PGDL).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Signs = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ContestScore:
    """Normalised conditional mutual information, 0 to 100."""

    n: int
    """Models."""
    score: float | None = None
    """The smallest over pairs of hyperparameters, times 100."""
    given: tuple[str, ...] = ()
    """The hyperparameters that give it."""
    scores: Mapping[tuple[str, ...], float | None] | None = None
    """Every pair's score; None where the gap's order is known from the hyperparameters alone."""
    reason: str | None = None
    """Why there is no score."""


def contest_score(
    measure: Sequence[float | None], gap: Sequence[float | None], hyperparameters: Mapping[str, Sequence[Hashable]]
) -> ContestScore:
    """Score of a measure; models without measure or gap are left out. One hyperparameter, or none, is given as it is.

    Raises ValueError when a hyperparameter has another number of values than there are models.
    """
    for name, values in hyperparameters.items():
        if not len(values) == len(measure) == len(gap):
            msg = f"hyperparameter {name!r} has {len(values)} values for {len(measure)} models and {len(gap)} gaps"
            raise ValueError(msg)
    kept = [i for i, (a, b) in enumerate(zip(measure, gap, strict=True)) if a is not None and b is not None]
    n = len(kept)
    if n < 2:
        return ContestScore(n, reason="fewer than two models")
    first, second = (side.ravel() for side in np.nonzero(~np.eye(n, dtype=bool)))
    signs = []
    for values in (measure, gap):
        data = np.array([values[i] for i in kept], dtype=np.float64)
        signs.append(np.sign(data[first] - data[second]).astype(np.intp) + 1)
    codes = {name: _codes([values[i] for i in kept]) for name, values in hyperparameters.items()}
    scores = {
        given: _normalised(signs[0], signs[1], _pairs(given, codes, first, second))
        for given in combinations(codes, min(2, len(codes)))
    }
    known = {given: score for given, score in scores.items() if score is not None}
    if not known:
        return ContestScore(n, scores=scores, reason="the hyperparameters alone tell the order of the gaps")
    least = min(known, key=lambda given: known[given])
    return ContestScore(n, 100.0 * known[least], least, scores)


def _codes(values: Sequence[Hashable]) -> Signs:
    index = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return np.array([index[value] for value in values], dtype=np.intp)


def _pairs(given: tuple[str, ...], codes: Mapping[str, Signs], first: Signs, second: Signs) -> Signs:
    """One number for the given hyperparameters' values in both models of every ordered pair."""
    key = np.zeros(len(first), dtype=np.intp)
    for name in given:
        size = int(codes[name].max()) + 1
        key = (key * size + codes[name][first]) * size + codes[name][second]
    return key


def _normalised(measure: Signs, gap: Signs, key: Signs) -> float | None:
    """I(measure; gap | key) / H(gap | key), natural logarithms; None when the entropy is 0."""
    _, key = np.unique(key, return_inverse=True)
    counts = np.zeros((int(key.max()) + 1, 3, 3))
    np.add.at(counts, (key, measure, gap), 1.0)
    total = counts.sum()
    inner = _entropy(counts.sum(axis=(1, 2)), total)
    h_gap = _entropy(counts.sum(axis=1), total) - inner
    h_measure = _entropy(counts.sum(axis=2), total) - inner
    joint = _entropy(counts, total) - inner
    if h_gap <= 1e-12:
        return None
    return float(min(1.0, max(0.0, (h_measure + h_gap - joint) / h_gap)))


def _entropy(counts: NDArray[np.float64], total: float) -> float:
    p = counts[counts > 0] / total
    return float(-(p * np.log(p)).sum())
