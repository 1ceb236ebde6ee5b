"""Goodness of fit of the power law: the semi-parametric bootstrap of Clauset, Shalizi, Newman 2009, section 4.1.

A replicate draws each of its K values from the fitted law with probability n_tail / K and else, with replacement,
from the data below xmin; it is then fitted from scratch, search for xmin included. p is the share of replicates
whose distance D is at least that of the data: small p says that a power law with this xmin is not what made the
tail, large p that the data do not object. Not covered: an upper cut-off, a p-value for the alternatives
(analysis.tails compares those).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.uncertainty.batch import search

STREAM = 1
"""Second word of the seed, so that goodness and intervals of one layer do not share their random numbers."""
BLOCK = 1 << 20
"""Values generated at once: 8 MiB."""
MIN_VALUES = 8
"""Fewer values have no body and tail to tell apart; also WeightWatcher's min_evals."""


@dataclass(frozen=True, slots=True)
class Goodness:
    """Outcome of the bootstrap."""

    p: float
    """Share of replicates with a distance at least as large as the data's, in [0, 1]."""
    error: float
    """Standard error of p from the finite number of replicates, sqrt(p (1 - p) / replicates)."""
    D: float
    """Distance of the data."""
    xmin: float
    """Start of the tail under the rule of analysis.uncertainty.batch, unit of x."""
    alpha: float
    """Exponent there."""
    replicates: int
    """Number of replicates."""


def goodness(x: FloatArray, replicates: int, seed: int, min_tail: int = 2) -> Goodness | None:
    """Bootstrap p-value of the power law on x, (K,) ascending and positive; None where there is nothing to fit.

    min_tail: fewest values a tail may have, for the data and the replicates alike. Equal arguments give equal results
    on any number of workers. Raises ValueError for replicates < 1. Equivalent to
    bootstrap_p of R's poweRlaw and to plpva of Clauset's code.
    """
    if replicates < 1:
        raise ValueError(f"replicates: expected at least 1, got {replicates}; an error of e in p needs 1 / (4 e^2)")
    logs = log_values(x)
    if logs is None:
        return None
    fit = search(logs[None, :], min_tail)
    if not fit.has_tail[0]:
        return None
    index, alpha, observed = int(fit.index[0]), float(fit.alpha[0]), float(fit.D[0])
    rng = np.random.default_rng((STREAM, seed))
    step = max(1, BLOCK // len(logs))
    reached = 0
    for done in range(0, replicates, step):
        fits = search(_replicas(logs, index, alpha, min(step, replicates - done), rng), min_tail)
        reached += int(np.count_nonzero(observed - 1e-12 <= fits.D))
    p = reached / replicates
    return Goodness(p, math.sqrt(p * (1.0 - p) / replicates), observed, float(x[index]), alpha, replicates)


def log_values(x: FloatArray) -> FloatArray | None:
    """Natural logs of a sample (K,), ascending and positive; None for fewer than `MIN_VALUES`. ValueError on misuse."""
    if x.ndim != 1:
        raise ValueError(f"x: expected one axis, got shape {x.shape}; pass the pooled eigenvalues of one ESD")
    if len(x) < MIN_VALUES:
        return None
    if not (x[0] > 0.0 and np.isfinite(x[-1]) and bool(np.all(x[1:] >= x[:-1]))):
        raise ValueError(
            f"x: expected finite ascending positive values, got {x[0]}..{x[-1]}; sort and threshold it first"
        )
    return np.asarray(np.log(x))


def _replicas(logs: FloatArray, index: int, alpha: float, count: int, rng: np.random.Generator) -> FloatArray:
    """Samples of the model (count, K), ascending logs: body below logs[index], power law from there."""
    K = len(logs)
    sample: FloatArray = logs[index] + rng.standard_exponential((count, K)) / (alpha - 1.0)
    if index > 0:
        body = rng.random((count, K)) < index / K
        sample[body] = logs[rng.integers(0, index, int(np.count_nonzero(body)))]
    sample.sort(axis=1)
    return sample
