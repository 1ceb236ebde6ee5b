"""Power-law fits of the tail of a spectrum: rho(x) ~ x^-alpha for x >= xmin, no upper cut-off.

Three rules: 'weightwatcher' (WeightWatcher 0.7.7), 'natcomm2021' (the powerlaw package as WeightWatcher 0.2.7 called
it, behind the tables of Martin, Peng and Mahoney, Nature Communications 2021) and 'corrected' (ours). All choose xmin
among the data by the smallest Kolmogorov-Smirnov distance (Clauset, Shalizi and Newman, SIAM Review 51, 2009). Not
covered: truncated laws and other distributions, and how sure the numbers are.

Legend: x the K values, ascending; tail i is x[i:], n = K - i its size, S = sum of ln(x_j / x_i) over the tail.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from zoospectra.analysis.records import Fit, FloatArray, IntArray, Status
from zoospectra.analysis.rounding import FLAT
from zoospectra.analysis.search import Candidates, distance, nearest

# WeightWatcher 0.7.7: data below this size has a rule of its own, which wants tails of at least SMALL_TAIL values (with
# S > 1e-12; a tail of more than FLAT has that).
SMALL_K = 20
SMALL_TAIL = 8


@dataclass(frozen=True, slots=True)
class Curve:
    """Every candidate of one fit: what the choice of xmin was made from."""

    xmin: FloatArray
    """(C,), ascending: the tail starts."""
    alpha: FloatArray
    """(C,): exponent of each tail."""
    D: FloatArray
    """(C,): Kolmogorov-Smirnov distance of each tail, in [0, 1]."""
    n_tail: IntArray
    """(C,): number of values of each tail."""


def fit_powerlaw(x: FloatArray, rule: str = "weightwatcher", **options: float) -> Fit:
    """Fit the tail of x, shape (K,), positive, finite and ascending, under one of RULES.

    Equivalent to `weightwatcher.WW_powerlaw.pl_fit(x)` and to `powerlaw.Fit(x, xmax=max(x))` (below 2.0) for the
    first two rules, to rounding; the search is exact but does not evaluate every candidate. Options are those of the
    rule. Raises ValueError for an unknown rule or option and for data that is not as stated; a fit that fails is a
    status.
    """
    tails = _candidates(x, rule, options)
    if isinstance(tails, Status):
        return Fit(status=tails)
    winner, D = nearest(tails)
    n = int(tails.size[winner])
    slope = float(tails.slope[winner]) * (1.0 - tails.lost / n)
    if not (D < 1.0 and math.isfinite(slope)):
        return Fit(status=Status.DEGENERATE)
    return Fit(
        status=Status.SUCCESS,
        alpha=1.0 + slope,
        xmin=float(x[tails.first[winner]]),
        xmax=float(x[-1]),
        D=D,
        sigma=slope / float(np.sqrt(n)),
        n_tail=n,
    )


def curve(x: FloatArray, rule: str = "weightwatcher", **options: float) -> Curve:
    """Exponent and distance of every candidate xmin, evaluated fully: O(K^2), for figures and checks.

    Same arguments, x (K,), and ValueErrors as `fit_powerlaw`; the arrays are empty where there is no candidate.
    """
    tails = _candidates(x, rule, options)
    if isinstance(tails, Status):
        return Curve(xmin=x[:0], alpha=x[:0], D=x[:0], n_tail=np.zeros(0, dtype=np.int64))
    return Curve(
        xmin=x[tails.first],
        alpha=1.0 + tails.slope * (1.0 - tails.lost / tails.size),
        D=np.array([distance(tails, c) for c in range(len(tails.first))]),
        n_tail=tails.size.astype(np.int64),
    )


def check_options(rule: str, options: Mapping[str, float]) -> None:
    """Raise ValueError for an unknown rule, or an option that the rule does not have, naming the known ones."""
    if rule not in RULES:
        msg = f"unknown power-law rule {rule!r}; known rules: {', '.join(sorted(RULES))}"
        raise ValueError(msg)
    known = RULES[rule].__kwdefaults__ or {}
    if unknown := sorted(set(options) - set(known)):
        msg = f"unknown options {unknown} of power-law rule {rule!r}; known options: {sorted(known)}"
        raise ValueError(msg)


def _candidates(x: FloatArray, rule: str, options: dict[str, float]) -> Candidates | Status:
    """Check the data and ask the rule for its candidates, or for the reason why there are none."""
    check_options(rule, options)
    if x.ndim != 1 or (len(x) and not (x[0] > 0 and x[-1] < np.inf and (x[1:] >= x[:-1]).all())):
        msg = (
            f"expected a sorted vector of positive finite numbers, got shape {x.shape}; sort, and filter by a threshold"
        )
        raise ValueError(msg)
    if len(x) <= 1:
        return Status.TOO_FEW
    logs = _logs(x)
    return Status.DEGENERATE if logs[-1] <= FLAT else RULES[rule](x, logs, **options)


def _logs(x: FloatArray) -> FloatArray:
    """ln(x / x_0), exact for values close together and for any scale."""
    low = float(x[0])
    if not (float(x[-1]) - low) / low < np.inf:
        return np.asarray(np.log(x) - np.log(x[0]))
    logs: FloatArray = x - low
    logs /= low
    return np.log1p(logs, out=logs)


def _sums(logs: FloatArray) -> FloatArray:
    """S of every tail but the last, (K-1,): sums of gaps only, so that nothing cancels and ties give exactly 0."""
    gaps: FloatArray = logs[1:] - logs[:-1]
    gaps *= np.arange(len(logs) - 1, 0, -1.0)
    return gaps[::-1].cumsum()[::-1]


def _distinct(logs: FloatArray) -> IntArray:
    """Index of every value, the first of those that are equal but for rounding."""
    return np.append(0, 1 + np.flatnonzero(np.diff(logs) > FLAT))


def _tails(logs: FloatArray, first: IntArray, sums: FloatArray, *, bias: float) -> Candidates | Status:
    """Candidates with alpha - 1 = (n - bias) / S; a constant tail has distance 1 by definition and is left out."""
    if not logs[-1] - logs[first[-1]] > FLAT:  # the tails at the end alone, for logs ascend
        first = first[logs[-1] - logs[first] > FLAT]
        if not len(first):
            return Status.DEGENERATE
    size = len(logs) - first.astype(np.float64)
    return Candidates(logs=logs, first=first, size=size, slope=(size - bias) / sums[first])


def _weightwatcher(x: FloatArray, logs: FloatArray) -> Candidates | Status:
    """WeightWatcher 0.7.7: every index but the last, alpha = 1 + n / S; small data goes by `_weightwatcher_small`."""
    if len(x) < SMALL_K:
        return _weightwatcher_small(logs)
    return _tails(logs, np.arange(len(x) - 1), _sums(logs), bias=0.0)


def _weightwatcher_small(logs: FloatArray) -> Candidates | Status:
    """K < 20: tails of at least 8 values, alpha = 1 + (n - 1) / S; fewer than 8 values in all are one tail.

    The documented objective, D - 0.868 / sqrt(n), does not decide: the code takes the smallest D afterwards.
    """
    first = np.arange(max(1, len(logs) - SMALL_TAIL + 1))
    return _tails(logs, first, _sums(logs), bias=1.0)


def _natcomm2021(x: FloatArray, logs: FloatArray) -> Candidates | Status:
    """As powerlaw 1.4.6 with xmax = max(x): distinct values but the largest (a constant tail), alpha = 1 + n / S,
    F normalised at xmax.

    The exponent is that of the law without an upper end, its distance that of the law cut at xmax.
    """
    tails = _tails(logs, _distinct(logs), _sums(logs), bias=0.0)
    if isinstance(tails, Status):
        return tails
    whole = -np.expm1(-tails.slope * (logs[-1] - logs[tails.first]))
    return replace(tails, scale=1.0 / whole)


def _corrected(x: FloatArray, logs: FloatArray, *, min_tail: int = 8, bias: float = 2.0) -> Candidates | Status:
    """Ours: distinct values, tails of at least min_tail values, and one estimator for every K.

    xmin is chosen by the distance of the maximum-likelihood law, as by the weightwatcher rule; then alpha = 1 + (n -
    2) / S is reported, which is free of bias when the data follows the law: with xmin the smallest of the n values, S
    has a gamma distribution of shape n - 1, so that n / S is high by a factor of n / (n - 2). Correcting before the
    choice as well was worse: on a uniform bulk with a Pareto tail alpha scattered more, and on trained layers seven
    of ten xmin moved.
    """
    if min_tail <= bias or min_tail < 2:
        msg = f"min_tail must exceed bias and 1, got min_tail={min_tail}, bias={bias}"
        raise ValueError(msg)
    if len(x) < min_tail:
        return Status.TOO_FEW
    first = _distinct(logs)
    tails = _tails(logs, first[first <= len(x) - min_tail], _sums(logs), bias=0.0)
    return tails if isinstance(tails, Status) else replace(tails, lost=bias)


RULES: dict[str, Callable[..., Candidates | Status]] = {
    "weightwatcher": _weightwatcher,
    "natcomm2021": _natcomm2021,
    "corrected": _corrected,
}
