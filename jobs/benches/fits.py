"""Suite 'fits': power law, truncated power law and goodness of fit, against WeightWatcher's and powerlaw's fitters.

Every fitter gets the same sorted sample: a bulk below a Pareto tail of a quarter of the values. Numbers compared: alpha
and xmin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from zoospectra.analysis.powerlaw import fit_powerlaw
from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.tails import truncated
from zoospectra.analysis.uncertainty.goodness import goodness
from zoospectra.jobs.benches.pair import Contender, Row, compare
from zoospectra.jobs.benches.peers import installed, peer, quiet
from zoospectra.jobs.work.executors.call import set_threads

REPLICATES = 1000
"""Replicates of a goodness-of-fit p-value: an error of at most 0.016."""


def sample(K: int, alpha: float = 3.0, tail: float = 0.25) -> FloatArray:
    """K ascending values: a share `tail` above 1 with density x^-alpha, the rest with density ~ x below."""
    rng = np.random.default_rng(K)
    top = max(2, int(tail * K))
    low = np.sqrt(rng.random(K - top))
    high = (1.0 - rng.random(top)) ** (-1.0 / (alpha - 1.0))
    return np.sort(np.concatenate([low, high]))


def fits(sizes: Sequence[int], rounds: int, budget: float) -> Iterator[list[Row]]:
    """Lists of rows, one a fit and size, all on one thread."""
    set_threads(1)
    for K in sizes:
        x = sample(K)
        yield compare("fits", f"power law, K={K}", _power_law(x), rounds, budget)
        yield compare("fits", f"power law cut at xmax, K={K}", _cut(x), rounds, budget)
        yield compare("fits", f"truncated power law, K={K}", _truncated(x), rounds, budget)
        p_value = Contender(f"zoospectra, {REPLICATES} replicates", partial(_goodness, x))
        yield compare("fits", f"goodness of fit, K={K}", [p_value], rounds, budget)


def _power_law(x: FloatArray) -> list[Contender]:
    contenders = [Contender("zoospectra", partial(_own, x, "weightwatcher"))]
    if installed("weightwatcher"):
        fitter = peer("weightwatcher.WW_powerlaw")
        contenders.append(Contender("WeightWatcher's fitter", partial(_weightwatcher, fitter, x)))
    return contenders


def _cut(x: FloatArray) -> list[Contender]:
    contenders = [Contender("zoospectra", partial(_own, x, "natcomm2021"))]
    if installed("powerlaw"):
        contenders.append(Contender("powerlaw", partial(_powerlaw, peer("powerlaw"), x)))
    return contenders


def _truncated(x: FloatArray) -> list[Contender]:
    """With xmin known, so that only the law's own parameters are searched."""
    xmin = fit_powerlaw(x).xmin or float(x[0])
    tail = x[x >= xmin]
    contenders = [Contender("zoospectra", partial(_own_truncated, tail, xmin))]
    if installed("powerlaw"):
        contenders.append(Contender("powerlaw", partial(_powerlaw_truncated, peer("powerlaw"), tail, xmin)))
    return contenders


def _own(x: FloatArray, rule: str) -> list[float]:
    fit = fit_powerlaw(x, rule)
    return [fit.alpha or 0.0, fit.xmin or 0.0]


def _weightwatcher(fitter: Any, x: FloatArray) -> list[float]:  # noqa: ANN401 - an untyped package
    with quiet():
        fit = fitter.WWFit(x, xmax=float(x[-1]))
    return [float(fit.alpha), float(fit.xmin)]


def _powerlaw(package: Any, x: FloatArray) -> list[float]:  # noqa: ANN401 - an untyped package
    with quiet():
        fit = package.Fit(x, xmax=float(x[-1]), verbose=False)
        return [float(fit.alpha), float(fit.xmin)]


def _own_truncated(tail: FloatArray, xmin: float) -> list[float]:
    law = truncated.fit(tail, xmin)
    return [law.parameters["alpha"]] if law else []


def _powerlaw_truncated(package: Any, tail: FloatArray, xmin: float) -> list[float]:  # noqa: ANN401 - untyped package
    with quiet():
        return [float(package.Fit(tail, xmin=xmin, verbose=False).truncated_power_law.parameter1)]


def _goodness(x: FloatArray) -> list[float]:
    result = goodness(x, REPLICATES, seed=0)
    return [result.p] if result else []
