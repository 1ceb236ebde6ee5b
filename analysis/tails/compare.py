"""Every law fitted to one tail, each compared with the power law, and the one that describes the tail best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.tails import exponential, lognormal, power_law, stretched, truncated
from zoospectra.analysis.tails.tail import TailFit
from zoospectra.analysis.tails.vuong import Comparison, ratio

ALTERNATIVES: dict[str, ModuleType] = {
    truncated.LAW: truncated,
    exponential.LAW: exponential,
    stretched.LAW: stretched,
    lognormal.LAW: lognormal,
}
"""Law by name; each module has fit(x, xmin) and loglikelihoods(x, tail)."""

NESTED = frozenset({truncated.LAW})
"""Laws of which powerlaw 1.5 treats the power law as a special case."""

FREE = {truncated.LAW: 2, exponential.LAW: 1, stretched.LAW: 2, lognormal.LAW: 2}
"""Number of fitted parameters."""

SIGNIFICANT = 0.05
"""p up to which a preference for an alternative counts; the customary level, also WeightWatcher's."""


@dataclass(frozen=True, slots=True)
class Contest:
    """All laws on one tail."""

    power: TailFit
    """The power law's fit."""
    fits: Mapping[str, TailFit]
    """Each alternative's fit by name."""
    against: Mapping[str, Comparison]
    """R > 0 where the power law is preferred to that alternative, as in Fit.distribution_compare('power_law', name)."""
    best: str
    """'power_law' unless an alternative has R < 0 with p <= 0.05; among those, the one of least AIC."""


def contest(x: FloatArray, xmin: float) -> Contest | None:
    """Fit and compare all laws on the tail x (n,), ascending, >= xmin; None where there is no tail to fit."""
    power = power_law.fit(x, xmin)
    if power is None:
        return None
    base = power_law.loglikelihoods(x, power)
    fits: dict[str, TailFit] = {}
    against: dict[str, Comparison] = {}
    for name, law in ALTERNATIVES.items():
        tail = law.fit(x, xmin)
        if tail is None:
            return None
        fits[name] = tail
        against[name] = ratio(base, law.loglikelihoods(x, tail), nested=name in NESTED)
    return Contest(power, fits, against, best_of(fits, against))


def best_of(fits: Mapping[str, TailFit], against: Mapping[str, Comparison]) -> str:
    """The law that describes the tail best, by name: the rule of `Contest.best`."""
    preferred = [name for name, result in against.items() if result.R < 0 and result.p <= SIGNIFICANT]
    if not preferred:
        return power_law.LAW
    return min(preferred, key=lambda name: 2 * FREE[name] - 2 * fits[name].loglikelihood)
