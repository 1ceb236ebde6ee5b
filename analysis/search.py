"""Exact search for the tail start with the smallest Kolmogorov-Smirnov distance, without evaluating every
candidate fully.

A candidate's distance is a maximum over its tail, so its maximum over a few sampled positions is a lower bound.
Candidates are thinned by ever finer samples, and what is left is evaluated fully, smallest bound first, until no
bound is below the best distance found. The answer is that of the full search, the first candidate among equals
included.

Legend: C candidates; candidate c is the tail of logs that starts at first[c] and has size[c] values; k counts inside
a tail. Not covered: which candidates exist and what their exponents are (analysis.powerlaw).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from zoospectra.analysis.records import FloatArray, IntArray

# Distances lie in [0, 1] and are good to about 1e-15; a bound may exceed its distance by rounding only, so this slack
# keeps every candidate that could win or tie.
SLACK = 1e-12
# Samples a tail, coarse to fine. Measured on trained layers (K = 27 to 4096): 8 samples leave 2 to 15 % of the
# candidates, 32 leave a handful. The last ones matter for exact Pareto data, where all distances are close.
SAMPLES = (8, 32, 128, 512, 2048)
# Elements of one temporary matrix: 2 MiB of float64, so that it stays in a core's cache.
CHUNK = 1 << 18
# With this few candidates left, evaluating them costs less than thinning them further.
FEW = 4
# Candidates times values of the longest tail up to which all of them are evaluated at once: some ten calls.
AT_ONCE = 1 << 13
# Longest tail whose first samples are kept: 8 of every size take 128 KiB.
KEPT = 1024
# Tails longer than this are evaluated by blocks: below it one pass over the tail is cheaper than the bookkeeping.
DENSE_TAIL = 4096


@dataclass(frozen=True, slots=True)
class Candidates:
    """Tail starts to choose from, with the law that each would have."""

    logs: FloatArray
    """(K,), ascending: natural logarithms of the data, up to one common shift."""
    first: IntArray
    """(C,), ascending: index of the tail start."""
    size: FloatArray
    """(C,): number of values in the tail, K - first."""
    slope: FloatArray
    """(C,), finite and positive: alpha - 1."""
    scale: FloatArray | None = None
    """(C,): factor on the model's distribution function (1 / F(xmax)); None for no factor."""
    lost: float = 0.0
    """Values taken off the tail's size in the exponent that is reported, alpha - 1 times (n - lost) / n; no part
    of D.
    """


def nearest(tails: Candidates) -> tuple[int, float]:
    """Position among the candidates and distance of the first candidate with the smallest distance; C >= 1."""
    alive: IntArray | slice = slice(None)
    bound: FloatArray
    best = np.inf  # an exact distance: what no bound may exceed
    longest = int(tails.size[0])
    left = len(tails.first)
    for m in SAMPLES:
        if left * longest <= AT_ONCE:
            return _at_once(tails, alive)
        bound = sampled(tails, alive, m)
        if m >= longest:  # every bound is exact
            winner = int(bound.argmin())
            return winner if isinstance(alive, slice) else int(alive[winner]), float(bound[winner])
        least = int(bound.argmin())
        best = min(best, distance(tails, least if isinstance(alive, slice) else int(alive[least])))
        keep = (bound <= best + SLACK).nonzero()[0]
        alive, bound = keep if isinstance(alive, slice) else alive[keep], bound[keep]
        left = len(alive)
        if left <= FEW:
            break
        longest = int(tails.size[alive[0]])
    assert not isinstance(alive, slice), "every candidate has been sampled"
    return _exhaust(tails, alive, bound)


def _at_once(tails: Candidates, which: IntArray | slice) -> tuple[int, float]:
    """As `nearest`, of candidates which (C,) alone, each evaluated fully in one matrix (C, longest tail)."""
    first, size = tails.first[which, None], tails.size[which, None]
    gap: FloatArray = tails.logs[first[0, 0] :] - tails.logs[first]
    np.maximum(gap, 0.0, out=gap)  # before its own start a candidate deviates by nothing
    gap *= -tails.slope[which, None]
    _law(gap, None if tails.scale is None else tails.scale[which, None])
    share: FloatArray = np.arange(size[0, 0]) - (size[0, 0] - size)
    np.maximum(share, 0.0, out=share)
    share /= size
    gap -= share
    np.abs(gap, out=gap)
    value = gap.max(axis=1)
    least = int(value.argmin())
    return least if isinstance(which, slice) else int(which[least]), float(value[least])


def _exhaust(tails: Candidates, alive: IntArray, bound: FloatArray) -> tuple[int, float]:
    """Evaluate the remaining candidates fully, smallest bound first, until no other can win or tie.

    Where one candidate has its largest deviation its neighbours have theirs nearby, so the place where each was found
    is tried on all that remain: on exact Pareto data, where samples separate little, this removes thousands at once.
    """
    best, winner = np.inf, -1
    while len(alive):
        position = int(bound.argmin())
        candidate = int(alive[position])
        value, k = _distance_at(tails, candidate)
        if value < best or (value == best and candidate < winner):
            best, winner = value, candidate
        bound[position] = np.inf
        if len(alive) > FEW:
            place = tails.first[candidate] + k
            reaching = np.flatnonzero(tails.first[alive] <= place)
            others = alive[reaching]
            share = (place - tails.first[others]) / tails.size[others]
            bound[reaching] = np.maximum(bound[reaching], _deviation(tails, others, np.full(len(others), place), share))
        keep = bound <= best + SLACK
        alive, bound = alive[keep], bound[keep]
    return winner, best


def sampled(tails: Candidates, which: IntArray | slice, m: int) -> FloatArray:
    """Lower bounds (C,) of the distances of candidates which (C,), from m positions a tail; exact up to m values."""
    first, size = tails.first[which], tails.size[which]
    if m == SAMPLES[0] and size[0] <= KEPT and size[0] - size[-1] == len(size) - 1:
        place, share = _kept()
        columns = slice(KEPT - int(size[0]), KEPT - int(size[-1]) + 1)
        bound: FloatArray = _deviation(tails, which, place[:, columns], share[:, columns]).max(axis=0)
        return bound
    bound = np.empty(len(first))
    step = max(1, CHUNK // m)
    for start in range(0, len(first), step):
        part = slice(start, start + step) if isinstance(which, slice) else which[start : start + step]
        place, share = _positions(size[start : start + step], m)
        bound[start : start + step] = _deviation(tails, part, place, share).max(axis=0)
    return bound


def _positions(size: FloatArray, m: int) -> tuple[IntArray, FloatArray]:
    """Where m samples of tails of size (C,) lie, (m, C): counted back from the end of the data, and k / n."""
    k = (((np.arange(m) + 0.5) / m)[:, None] * size).astype(np.int64)
    return k - size.astype(np.int64), k / size


@cache
def _kept() -> tuple[IntArray, FloatArray]:
    """The first samples of all tails of KEPT values and fewer: they depend on the size alone."""
    return _positions(np.arange(KEPT, 0, -1.0), SAMPLES[0])


def _deviation(tails: Candidates, which: IntArray | slice, place: IntArray, share: FloatArray) -> FloatArray:
    """|F(x_k) - k/n| of candidates which (C,) at values `place` (m, C), negative counting from the end, and k/n."""
    gap: FloatArray = tails.logs[place]
    gap -= tails.logs[tails.first[which]]
    gap *= -tails.slope[which]
    _law(gap, None if tails.scale is None else tails.scale[which])
    gap -= share
    return np.abs(gap, out=gap)


def model_cdf(tails: Candidates, candidate: int, logs: FloatArray) -> FloatArray:
    """The candidate's model distribution function at the given logs (any shape)."""
    gap: FloatArray = logs - tails.logs[tails.first[candidate]]
    gap *= -tails.slope[candidate]
    return _law(gap, None if tails.scale is None else tails.scale[candidate])


def _law(power: FloatArray, scale: FloatArray | np.float64 | None) -> FloatArray:
    """1 - exp(power), times a factor where the law is normalised at xmax; works in place."""
    if scale is None:
        np.exp(power, out=power)
        np.subtract(1.0, power, out=power)
        return power
    np.expm1(power, out=power)
    power *= -scale
    return power


def distance(tails: Candidates, candidate: int) -> float:
    """Exact distance of one candidate: max over k of |F(x_k) - k/n|, k = 0..n-1 (the lower empirical distribution
    only).
    """
    return _distance_at(tails, candidate)[0]


def _distance_at(tails: Candidates, candidate: int) -> tuple[float, int]:
    """The distance, and the k where it is reached."""
    first, n = int(tails.first[candidate]), int(tails.size[candidate])
    if n > DENSE_TAIL:
        return _distance_by_blocks(tails, candidate, first, n)
    return _largest(tails, candidate, first, np.arange(n))


def _largest(tails: Candidates, candidate: int, first: int, k: IntArray) -> tuple[float, int]:
    """The largest deviation among consecutive positions k, and where."""
    gap = model_cdf(tails, candidate, tails.logs[first + k[0] : first + k[-1] + 1])
    gap -= k / tails.size[candidate]
    np.abs(gap, out=gap)
    where = int(gap.argmax())
    return float(gap[where]), int(k[where])


def _distance_by_blocks(tails: Candidates, candidate: int, first: int, n: int) -> tuple[float, int]:
    """As above: both distribution functions rise, so a block's ends bound what can happen inside it."""
    side = int(np.sqrt(n))
    edge = np.append(np.arange(0, n - 1, side), n - 1)
    cdf = model_cdf(tails, candidate, tails.logs[first + edge])
    ecdf = edge / n
    gap = np.abs(cdf - ecdf)
    reached, at = float(gap.max()), int(edge[gap.argmax()])
    possible = np.maximum(cdf[1:] - ecdf[:-1], ecdf[1:] - cdf[:-1])
    for block in np.argsort(-possible):
        if possible[block] < reached - SLACK:
            break
        value, k = _largest(tails, candidate, first, np.arange(edge[block], edge[block + 1]))
        if value > reached:
            reached, at = value, k
    return reached, at
