"""Two models: how alike, layer by layer, and what one is of the other.

Verdicts, in the order they are looked for: merged (a stack: layers in other blocks, or blocks that the other lacks),
copy (every layer has the same values), permuted copy (equal spectra or margins, other order), quantised (alike to a
rounding, on a coarser grid), fine-tuned, independent, undetermined. That a model has several parents: relatives.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import norm as normal

from zoospectra.analysis.kinship.match import Pair, match
from zoospectra.analysis.kinship.null import Law, law_of, theory
from zoospectra.analysis.kinship.records import Size, SketchedLayer, SketchedModel
from zoospectra.analysis.records import FloatArray

LEVEL = 0.01
"""Adjusted p-value below which two models are related."""

MARGIN = 0.8
"""Cosine of sums over rows or columns above which a layer is the other one in another order."""

LEAST = 0.3
"""Median cosine, or share of layers with equal bytes or spectra, below which nobody is called a descendant: seeds of
one recipe have layers alike where inputs and outputs mean the same."""

APART = 0.5
"""Cosine of whole layers below which another order is looked for."""

CLOSE = 1e-6
"""Relative difference of eigenvalues, to the largest, of one spectrum computed twice."""

COARSER = 0.015
"""Rise of the share of repeated values that tells a coarser grid."""

ROUNDING = {
    **{"bfloat16": 0.003, "float16": 0.001, "float8_e4m3": 0.04, "float8": 0.08},
    **{"q8_0": 0.008, "q5_1": 0.048, "q5_0": 0.053, "q4_1": 0.098, "q4_0": 0.11},
}
"""Stored type -> relative error that it alone explains: a quarter above that of normal values, or more."""

GRIDS = ((0.05, 0.002), (0.2, 0.012), (0.35, 0.03), (0.5, 0.08), (0.65, 0.15), (0.9, 0.3), (1.0, 0.6))
"""Share of values other than 0 that repeat a neighbour -> relative error that such a grid explains: the largest of
rounding to 3 to 8 bits by tensor, row or block, of normal, heavy-tailed and trained values."""

NARROW = 8
"""Smaller side below which rows may be so short that values do not repeat on any grid."""

SLIGHT = 6e-4
"""Relative error of rounding to float16, twice: nobody trains so little in all layers."""

MOST = 3
"""Layers that are named as evidence."""

EQUAL = frozenset({"bytes", "values"})
"""What makes two layers one."""

SPACING, LEVELS = 0.1, 64
"""Median distance of singular values, in their spacings, below which two spectra are one that was rounded (independent
ones lie about 1 apart), and how many it takes."""

SpectrumOf = Callable[[str], FloatArray | None]
"""Content hash -> eigenvalues that are kept of it, all slices, or None."""


class Likeness(NamedTuple):
    """Two layers."""

    pair: Pair
    """Which."""
    cosine: float
    """Of the sketches, or of those of their margins where order differs."""
    distance: float
    """|W - W'| / |W'| by the sketches."""
    same: str
    """bytes, values (stored as another type), spectrum, order (of rows or columns only), or nothing."""


@dataclass(frozen=True, slots=True)
class Kin:
    """What a model is of another."""

    model: SketchedModel
    """Which."""
    relative: SketchedModel
    """Of which."""
    layers: tuple[Likeness, ...]
    """Matched ones."""
    p_value: float
    """Chance of such cosines between unrelated models of these shapes."""
    upper: float
    """Upper bound, three deviations, of their mean cosine."""

    def share(self, *same: str) -> float:
        """Share of matched layers that are the same in these ways; 0 without any."""
        return sum(layer.same in same for layer in self.layers) / max(1, len(self.layers))

    @property
    def cosine(self) -> float | None:
        """Median over layers; None without any."""
        return float(np.median([layer.cosine for layer in self.layers])) if self.layers else None

    @property
    def distance(self) -> float | None:
        """Median over layers; None without any."""
        return float(np.median([layer.distance for layer in self.layers])) if self.layers else None


def compare(model: SketchedModel, relative: SketchedModel, laws: Mapping[Size, Law], spectrum: SpectrumOf) -> Kin:
    """Match the layers of two models and weigh what they share."""
    layers = tuple(_likeness(pair, spectrum) for pair in match(model, relative))
    z, spread, mean = 0.0, 0.0, 0.0
    for layer in layers:
        law = law_of(laws, layer.pair.layer.size)
        z += layer.cosine - law.mean
        spread += law.spread**2
        mean += layer.cosine
    if not layers:
        return Kin(model, relative, (), 1.0, 1.0)
    p_value = float(normal.sf(z / math.sqrt(spread))) * 3.0  # three sketches a layer
    return Kin(model, relative, layers, min(1.0, p_value), (mean + 3.0 * math.sqrt(spread)) / len(layers))


def verdict(kin: Kin, adjusted: float) -> tuple[str, str]:
    """What the model is of the other, and the layers that say so; `adjusted` is the p-value among all pairs tested."""
    if not kin.layers:
        return "undetermined", "no layers of equal size"
    if adjusted >= LEVEL:
        return ("independent" if kin.upper < APART else "undetermined"), _evidence(kin.layers)
    if (kin.cosine or 0.0) < LEAST and kin.share(*EQUAL, "spectrum") < LEAST:
        return "undetermined", f"few layers alike, as one task or one set of inputs makes them: {_evidence(kin.layers)}"
    changed = [layer for layer in kin.layers if layer.same not in EQUAL]
    if not changed:
        return _unchanged(kin)
    turned = [layer for layer in changed if layer.same]
    if len(turned) >= 0.5 * len(changed):
        return "permuted copy", _evidence(turned)
    if _rounded([layer for layer in changed if not layer.same]):
        return "quantised", _evidence(changed)
    return "fine-tuned", _scale(changed) + _evidence(changed)


def _unchanged(kin: Kin) -> tuple[str, str]:
    """Verdict where every matched layer has the same values: a copy, a part of one, or its blocks in another order."""
    count = len(kin.layers)
    moved = [f"{a.longname} is {b.longname}" for layer in kin.layers if layer.pair.moved for a, b in [layer.pair[:2]]]
    if moved:
        return "merged", f"layer stack: {len(moved)} of {count} layers moved: {', '.join(moved[:MOST])}"
    if abs(kin.model.copies - kin.relative.copies) > 1:  # one may be a tied head
        return "merged", f"layer stack: {kin.model.copies} layers of it stand twice, {kin.relative.copies} of the other"
    own, theirs = (
        {held.longname for held in side} for side in zip(*(layer.pair[:2] for layer in kin.layers), strict=True)
    )
    new = [layer.longname for layer in kin.model.layers if layer.longname not in own]
    left = [layer.longname for layer in kin.relative.layers if layer.longname not in theirs]
    blocks = {_pattern(layer.pair.layer.longname) for layer in kin.layers}
    same = f"all {count} layers that both have are the same"
    if any(_pattern(name) in blocks for name in (*new, *left)) and not (new and left):
        which, names = ("the other lacks", new) if new else ("it lacks", left)
        return "merged", f"layer stack: {same}, {which} {len(names)}: {', '.join(names[:MOST])}"
    if new:
        return "fine-tuned", f"{same}, {len(new)} have no partner of their size: {', '.join(new[:MOST])}"
    rest = f"; {len(left)} of the other are not in it: {', '.join(left[:MOST])}" if left else ""
    if all(layer.same == "bytes" for layer in kin.layers):
        return "copy", f"all {count} layers have the same bytes{rest}"
    return "copy", f"all {count} layers have the same values to float32, stored as other types{rest}"


def _pattern(longname: str) -> str:
    return re.sub(r"\d+", "#", longname)


def _scale(layers: Sequence[Likeness]) -> str:
    """In words, the factor between layers that differ by nothing else; '' where they do."""
    ratios = [layer.pair.layer.norm / layer.pair.relative.norm for layer in layers if layer.pair.relative.norm]
    if (
        len(ratios) < len(layers)
        or min(layer.cosine for layer in layers) < 1.0 - 1e-6
        or np.ptp(ratios) > 1e-5 * max(ratios)
    ):
        return ""
    return f"all are {ratios[0]:.5g} times the other's; "


def _likeness(pair: Pair, spectrum: SpectrumOf) -> Likeness:
    mine, yours = pair.layer, pair.relative
    if mine.content_hash == yours.content_hash:
        return Likeness(pair, 1.0, 0.0, "bytes")
    if _same_values(mine, yours):
        return Likeness(pair, 1.0, 0.0, "values")
    cosine = _cosine(mine.whole, yours.whole)
    size = float(np.linalg.norm(yours.whole))
    distance = float(np.linalg.norm(mine.whole - yours.whole)) / size if size > 0.0 else math.inf
    if cosine >= APART:
        return Likeness(pair, cosine, distance, "")
    if abs(mine.norm - yours.norm) <= 1e-4 * yours.norm and _equal(spectrum, mine.content_hash, yours.content_hash):
        return Likeness(pair, 1.0, distance, "spectrum")
    margins = ((mine.columns, yours.columns), (mine.rows, yours.rows))
    best = max((_cosine(a, b) for a, b in margins if a is not None and b is not None), default=0.0)
    if abs(mine.norm - yours.norm) <= 0.01 * yours.norm and best > MARGIN and best > 4.0 * theory(mine.size.M).spread:
        return Likeness(pair, best, distance, "order")
    return Likeness(pair, cosine, distance, "")


def _same_values(mine: SketchedLayer, yours: SketchedLayer) -> bool:
    """Whether all that is kept of two layers is the same: they differ in stored type alone."""
    if (mine.mean, mine.std, mine.top) != (yours.mean, yours.std, yours.top):
        return False
    sketches = ((mine.whole, yours.whole), (mine.columns, yours.columns), (mine.rows, yours.rows))
    return all(a is b if a is None or b is None else np.array_equal(a, b) for a, b in sketches)


def _equal(spectrum: SpectrumOf, mine: str, yours: str) -> bool:
    """Whether two spectra are one, computed twice or of rounded weights."""
    a, b = spectrum(mine), spectrum(yours)
    if a is None or b is None or a.shape != b.shape or not a.size:
        return False
    a, b = np.sort(a, axis=None), np.sort(b, axis=None)
    if np.abs(a - b).max() <= CLOSE * max(float(a[-1]), float(b[-1]), 1e-300):
        return True
    if a.size < LEVELS:
        return False
    a, b = np.sqrt(np.maximum(a, 0.0)), np.sqrt(np.maximum(b, 0.0))
    spacing = (a[4:] - a[:-4]) / 4.0
    return bool(np.median(np.abs(a - b)[2:-2] - SPACING * spacing) < 0.0)


def _rounded(layers: Sequence[Likeness]) -> bool:
    """Whether the differences of these layers are no more than rounding explains, most to a coarser grid."""
    if all(layer.distance <= SLIGHT for layer in layers):
        return True
    coarser = [abs(layer.pair.layer.repeats - layer.pair.relative.repeats) > COARSER for layer in layers]
    shares = [layer.distance / _limit(layer) for layer in layers]
    return sum(coarser) >= 0.5 * len(layers) and float(np.median(shares)) <= 1.0 and max(shares) <= 2.0


def _limit(layer: Likeness) -> float:
    """Relative error that the coarser of two types, or grids, explains."""
    coarse = max(layer.pair[:2], key=lambda held: held.repeats)
    if stored := [error for name, error in ROUNDING.items() if coarse.dtype.startswith(name)]:
        return stored[0]
    if coarse.size.M < NARROW:
        return GRIDS[-1][1]
    share = min(1.0, coarse.repeats / max(1e-9, 1.0 - coarse.zeros))
    return next(error for most, error in GRIDS if share <= most)


def _cosine(a: FloatArray, b: FloatArray) -> float:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0.0 else 0.0


def _evidence(layers: Sequence[Likeness]) -> str:
    """The layers that differ most, in words."""
    shown = sorted(layers, key=lambda layer: layer.cosine)[:MOST]
    words = [f"{layer.pair.layer.longname}: cosine {layer.cosine:.3f}" for layer in shown]
    return f"{len(layers)} layers; least alike {', '.join(words)}" if words else "no layers"
