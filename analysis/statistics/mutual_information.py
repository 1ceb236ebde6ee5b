"""How much a measure's order of two models says about the order of their gaps: the contest's score, and a stricter one.

Both: over ordered pairs of models, mutual information of the order of the generalisation gap and the order of the
measure, given the values of two hyperparameters in both models, divided by the conditional entropy of the gap's order;
the smallest over pairs of hyperparameters, times 100 (Jiang et al. 2020, PGDL). They differ in what the text leaves
open.

`cmi_official` does what the organisers' scorer does (scoring_program/mutual_information.py of the contest's kit): two
states, 'greater' or not, so that a tie is 'not greater'; pairs of a model with itself count; information and entropy
are summed over cells (values of the hyperparameters in both models) with equal weights, however few pairs a cell holds.
`cmi_weighted` follows the definition: three states (less, equal, greater), no model with itself, cells weighted by
their pairs. The scorer fails at a cell without pairs; here such cells do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.intp]
Signs = NDArray[np.float64]
Table = NDArray[np.float64]


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
    """Every pair's score, 0 to 1; None where the gap's order is known from the hyperparameters alone."""
    reason: str | None = None
    """Why there is no score."""


def cmi_official(
    measure: Sequence[float | None], gap: Sequence[float | None], hyperparameters: Mapping[str, Sequence[Hashable]]
) -> ContestScore:
    """The contest's own score; models without measure or gap are left out. Raises as `cmi_weighted`."""

    def states(signs: Signs) -> Signs:
        return np.maximum(signs, 0.0)

    def total(table: Table) -> tuple[float, float]:
        cells = [_information(one, float(one.sum())) for one in table]
        return sum(mutual for mutual, _ in cells), sum(entropy for _, entropy in cells)

    return _smallest(measure, gap, hyperparameters, states, total, with_itself=True)


def cmi_weighted(
    measure: Sequence[float | None], gap: Sequence[float | None], hyperparameters: Mapping[str, Sequence[Hashable]]
) -> ContestScore:
    """The score as it is defined; models without measure or gap are left out. One hyperparameter is given as it is.

    Raises ValueError when a hyperparameter has another number of values than there are models.
    """

    def states(signs: Signs) -> Signs:
        return signs

    def total(table: Table) -> tuple[float, float]:
        everything = float(table.sum())
        cells = [(float(one.sum()) / everything, *_information(one, float(one.sum()))) for one in table]
        return sum(w * mutual for w, mutual, _ in cells), sum(w * entropy for w, _, entropy in cells)

    return _smallest(measure, gap, hyperparameters, states, total, with_itself=False)


def _smallest(
    measure: Sequence[float | None],
    gap: Sequence[float | None],
    hyperparameters: Mapping[str, Sequence[Hashable]],
    states: Callable[[Signs], Signs],
    total: Callable[[Table], tuple[float, float]],
    *,
    with_itself: bool,
) -> ContestScore:
    for name, values in hyperparameters.items():
        if not len(values) == len(measure) == len(gap):
            msg = f"hyperparameter {name!r} has {len(values)} values for {len(measure)} models and {len(gap)} gaps"
            raise ValueError(msg)
    kept = [i for i, (a, b) in enumerate(zip(measure, gap, strict=True)) if a is not None and b is not None]
    n = len(kept)
    if n < 2:
        return ContestScore(n, reason="fewer than two models")
    first, second = (
        side.ravel() for side in np.nonzero(np.ones((n, n), dtype=bool) if with_itself else ~np.eye(n, dtype=bool))
    )
    sides = (np.array([values[i] for i in kept], dtype=np.float64) for values in (measure, gap))
    order_of_measure, order_of_gap = (_numbered(states(np.sign(side[first] - side[second]))) for side in sides)
    codes = {name: _codes([values[i] for i in kept]) for name, values in hyperparameters.items()}
    scores: dict[tuple[str, ...], float | None] = {}
    for given in combinations(codes, min(2, len(codes))):
        mutual, entropy = total(_counts(_cells(given, codes, first, second), order_of_measure, order_of_gap))
        scores[given] = min(1.0, max(0.0, mutual / entropy)) if entropy > 0.0 else None
    known = {given: score for given, score in scores.items() if score is not None}
    if not known:
        return ContestScore(n, scores=scores, reason="the hyperparameters alone tell the order of the gaps")
    least = min(known, key=lambda given: known[given])
    return ContestScore(n, 100.0 * known[least], least, scores)


def _codes(values: Sequence[Hashable]) -> Codes:
    index = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return np.array([index[value] for value in values], dtype=np.intp)


def _numbered(values: NDArray[Any]) -> Codes:
    """The columns of (..., n) as numbers, equal ones alike."""
    return np.unique(values, axis=-1, return_inverse=True)[1].ravel()


def _cells(given: tuple[str, ...], codes: Mapping[str, Codes], first: Codes, second: Codes) -> Codes:
    """One number for the given hyperparameters' values in both models of every ordered pair."""
    sides = [codes[name][which] for name in given for which in (first, second)]
    return _numbered(np.stack([np.zeros_like(first), *sides]))


def _counts(*codes: Codes) -> Table:
    """How often each combination of numbers occurs, one axis a side."""
    table = np.zeros([len(np.unique(side)) for side in codes])
    np.add.at(table, codes, 1)
    return table


def _information(counts: Table, total: float) -> tuple[float, float]:
    """I(measure; gap) and H(gap) of one cell's counts (measure by gap), natural logarithms."""
    h_measure, h_gap, joint = (
        _entropy(counts.sum(axis=1), total),
        _entropy(counts.sum(axis=0), total),
        _entropy(counts, total),
    )
    return h_measure + h_gap - joint, h_gap


def _entropy(counts: Table, total: float) -> float:
    p = counts[counts > 0] / total
    return float(-(p * np.log(p)).sum())
