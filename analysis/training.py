"""Was a network trained? A verdict from the correlations in its layers, and the layers that do not belong to it.

An initialisation draws entries independently (normal, uniform, truncated, sparse), or makes a matrix orthogonal;
training correlates them. Every layer's test (analysis.independence) has a p-value; the model's is the smaller of two,
doubled: the smallest of its layers' times their number (Bonferroni: one layer is enough), and the chance that so many
of them are below LEVEL (binomial: many weak ones). An untrained network is called trained with a chance of about
ERROR. In a trained one, a layer that shows nothing, where layers like its fellows would show, is noise.

Not covered: whether training was any good; a layer trained so little that a shuffled copy looks the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from zoospectra.analysis.independence import Independence

ERROR = 1e-3
"""Chance of calling an untrained network trained."""
LEVEL = 0.01
"""p of a layer below which its weights are not independent."""
USUAL = 0.2
"""Excess that a trained layer usually has: the lower quartile of the layers of the bundled reference networks."""
TELLS = 3.0
"""Standard deviations that the usual excess must make over all layers for their silence to mean untrained."""
SILENT = 0.05
"""p above which a layer of a trained network shows nothing at all."""
SURE, LINES = 5.0, 16
"""Standard deviations, and lines of the smaller side, from which such a layer is surely noise and not just short."""
DECADES = 2.0
"""Powers of ten between a layer's scale and the model's median; no layer of the reference networks is beyond 1.8."""
MOVED, MOST = 0.02, 2 / 3
"""p below which a bias is not as any initialisation leaves it, and the share of such biases, two at least, beyond which
they mean training: in an untrained network with two biases once in 2,500 times, with more of them less often."""
FEW = 3
"""Layers below which a model has no usual scale."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one layer says about training."""

    layer: str
    """Its name."""
    lines: int
    """Smaller side of its matrix, kernel positions counted as inputs."""
    independence: Independence | None
    """The test; None where there is nothing to test: constant, or a product of factors."""
    orthogonal: bool
    """Whether it is orthogonal, or a part of a tensor that is: an initialisation, untouched."""
    bias: float | None
    """p of its bias as an initialisation leaves it (independence.drawn); None without one."""
    gain: float | None
    """log10 of its root mean square entry times sqrt(inputs); None for embeddings and zeros."""

    @property
    def p(self) -> float:
        """Chance of correlations as far off in independent entries; 1 for an untouched orthogonal matrix."""
        if self.independence is None or self.orthogonal:
            return 1.0
        return min(1.0, 2.0 * min(self.independence.wider, self.independence.narrower))


@dataclass(frozen=True, slots=True)
class Misfit:
    """A layer that does not belong to its network."""

    layer: str
    """Its name."""
    value: float
    """p of a noise layer; powers of ten off the model's median scale otherwise."""
    sure: bool
    """False where the layer is so small that a trained one might look the same."""


@dataclass(frozen=True, slots=True)
class Training:
    """The verdict on one network."""

    verdict: str
    """'trained', 'partly trained', 'barely trained' (biases moved, weights look random), 'untrained', or 'undetermined'
    where too little can be tested."""
    p: float
    """Chance of as much correlation in an untrained network."""
    tested: int
    """Layers that can be tested."""
    structured: int
    """Those whose p is at most LEVEL."""
    orthogonal: int
    """Those that are orthogonal as they were made."""
    noise: tuple[Misfit, ...]
    """Layers of a trained network that show nothing."""
    off_scale: tuple[Misfit, ...]
    """Layers that are larger or smaller than the others by more than DECADES powers of ten."""


def training(layers: Sequence[Evidence]) -> Training:
    """Judge a network by its layers, in any order."""
    tested = [layer for layer in layers if layer.independence is not None]
    values = np.array([layer.p for layer in tested])
    structured = int(np.count_nonzero(values <= LEVEL))
    p = 1.0
    if tested:
        many = float(stats.binom.sf(structured - 1, len(tested), LEVEL))
        p = min(1.0, 2.0 * min(len(tested) * float(values.min()), many))
    verdict = _verdict(tested, p, structured)
    if verdict in ("untrained", "undetermined") and _moved(layers):
        verdict = "barely trained"
    noise = _noise(tested) if verdict == "trained" else ()
    orthogonal = sum(layer.orthogonal for layer in tested)
    return Training(verdict, p, len(tested), structured, orthogonal, noise, _off_scale(layers))


def _verdict(tested: Sequence[Evidence], p: float, structured: int) -> str:
    if p <= ERROR:
        return "trained" if 2 * structured >= len(tested) else "partly trained"
    power = sum(layer.independence.power**2 for layer in tested if layer.independence is not None)
    return "untrained" if USUAL * power**0.5 >= TELLS else "undetermined"


def _moved(layers: Sequence[Evidence]) -> bool:
    """Whether most biases, two at least, are not as an initialisation leaves them."""
    known = [layer.bias for layer in layers if layer.bias is not None]
    moved = sum(p <= MOVED for p in known)
    return moved >= 2 and moved > MOST * len(known)


def _noise(tested: Sequence[Evidence]) -> tuple[Misfit, ...]:
    """Silent layers in which the excess of nine in ten of the others would show."""
    excess = [abs(layer.independence.excess) for layer in tested if layer.independence and layer.p <= LEVEL]
    usual = float(np.quantile(excess, 0.1))
    found = []
    for layer in tested:
        assert layer.independence is not None
        visible = usual * layer.independence.power
        if layer.p > SILENT and visible >= TELLS:
            found.append(Misfit(layer.layer, layer.p, visible >= SURE and layer.lines >= LINES))
    return tuple(found)


def _off_scale(layers: Sequence[Evidence]) -> tuple[Misfit, ...]:
    known = {layer.layer: layer.gain for layer in layers if layer.gain is not None}
    if len(known) < FEW:
        return ()
    middle = float(np.median(list(known.values())))
    return tuple(Misfit(name, gain - middle, True) for name, gain in known.items() if abs(gain - middle) > DECADES)
