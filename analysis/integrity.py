"""What damage does to a tensor's plain numbers: rules that a whole model is judged by, one record a finding.

Not covered: files that cannot be read at all, and reading what is judged (jobs/checks/integrity.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from zoospectra.analysis.reductions import Reductions

COLLAPSE = 100.0
"""Factor by which the scale of a layer lies away from that of its kind, or its family, when it has collapsed."""

KIND, FAMILY = 4, 3
"""Layers of a kind, and models of a family, that are needed to say what is usual."""

SPIKE = 0.5
"""Share of a tensor's fourth moment that one element has, when it dominates all others: a flipped exponent bit."""

LARGE, MANY = 1000, 64
"""Elements from which a tensor can have a spike, and zeros at an end that are no chance."""

TAIL = 0.05
"""Share of a tensor that is zero at its end when its file was cut short."""

DEAD = 0.25
"""Share of rows or columns that are zero while the rest is not."""

ERROR = 1.5
"""Times the law of a rounding that the error of a rounded layer may be; its estimate has a spread of 9 %."""

OUTLIER = 5.0
"""Times the median error of a model's other layers that the error of a layer may be."""


Family = Mapping[tuple[str, int], Sequence[float]]
"""Name and elements of a layer -> standard deviations in other models."""


class Flaw(NamedTuple):
    """One thing that is wrong."""

    severity: str
    """'warning' or 'error'."""
    layer: str
    """Name of the layer or tensor."""
    reason: str
    """Stable code."""
    words: str
    """What it means, one sentence."""
    value: float | None = None
    """What was measured."""
    threshold: float | None = None
    """What it lies beyond."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """What is known of one tensor of a model."""

    name: str
    """Layer's longname, or the tensor's name where it is no layer."""
    kind: str
    """Role or type of a layer; '' for what is no layer: biases, norms, statistics."""
    elements: int
    """How many values."""
    shape: tuple[int, ...]
    """Shape of the values."""
    plain: Reductions
    """Their plain numbers."""
    tail: int
    """Zeros at its very end, in C order."""
    content_hash: str
    """Identity of its bytes; '' for what is no layer."""
    storage: tuple[object, ...]
    """Where its bytes lie: tied tensors share it."""


def flaws(tensors: Sequence[Tensor], family: Family | None = None) -> list[Flaw]:
    """Everything wrong with the tensors of one model, errors first.

    family: standard deviations of the same layer, by name and elements, in other models.
    """
    rows = [flaw for tensor in tensors for flaw in _of_tensor(tensor)]
    rows += [*_equal(tensors), *_collapsed(tensors), *_off_family(tensors, family or {})]
    return sorted(rows, key=lambda flaw: flaw.severity)


def _of_tensor(tensor: Tensor) -> Iterator[Flaw]:
    plain, name = tensor.plain, tensor.name
    if plain.non_finite > 0.0:
        words = f"{plain.non_finite:.2%} of its values are NaN or infinite: damaged, or training diverged"
        yield Flaw("error", name, "non_finite", words, plain.non_finite, 0.0)
    if name.endswith(("running_var", "moving_variance")) and plain.min is not None and plain.min < 0.0:
        yield Flaw("error", name, "negative_variance", "a variance cannot be negative", plain.min, 0.0)
    if plain.max is None or plain.min is None:
        return
    top = max(abs(plain.max), abs(plain.min))
    if _has_spike(tensor, top):
        words = f"one value, {top:.3g}, outweighs all others: a flipped bit, or another element type than it says"
        yield Flaw("error", name, "spike", words, top)
    if not tensor.kind or tensor.elements < MANY or sum(side > 1 for side in tensor.shape) < 2:
        return  # a row of weights of tasks, say
    if plain.distinct == 1:
        reason = "all_zero" if plain.max == 0.0 else "constant"
        yield Flaw("error", name, reason, f"all {tensor.elements} values are {plain.max:g}: never written, or reset")
    elif tensor.tail >= max(MANY, TAIL * tensor.elements) and plain.zeros < 0.9:
        share = tensor.tail / tensor.elements
        words = f"its last {share:.0%} is zero and the rest is not: the file was cut short and padded"
        yield Flaw("error", name, "truncated", words, share, TAIL)
    elif len(tensor.shape) > 1 and tensor.kind != "embedding":
        rows, columns = plain.dead_rows / tensor.shape[0], plain.dead_columns / tensor.shape[1]
        if max(rows, columns) >= DEAD and tensor.elements >= LARGE:
            what = "rows" if rows >= columns else "columns"
            words = f"{max(rows, columns):.0%} of its {what} are zero: pruned, or a block that was lost"
            yield Flaw("warning", name, "dead", words, max(rows, columns), DEAD)


def _has_spike(tensor: Tensor, top: float) -> bool:
    """Whether the largest value has more than half of the fourth moment, and is beyond anything trained."""
    plain = tensor.plain
    if tensor.elements < LARGE or plain.kurtosis is None or plain.std is None or top < 30.0:
        return False
    return plain.kurtosis > SPIKE * tensor.elements


def _equal(tensors: Sequence[Tensor]) -> Iterator[Flaw]:
    """Layers of one kind in different places with the same bytes, not tied, not constant."""
    first: dict[str, Tensor] = {}
    for tensor in tensors:
        if not tensor.content_hash or tensor.plain.distinct < 3 or tensor.elements < LARGE:
            continue
        other = first.setdefault(tensor.content_hash, tensor)
        tied = other.storage == tensor.storage
        if other is tensor or tied or re.sub(r"\d+", "#", other.name) != re.sub(r"\d+", "#", tensor.name):
            continue
        yield Flaw("warning", tensor.name, "duplicate", f"has the same bytes as {other.name}: stacked, or copied twice")


def _collapsed(tensors: Sequence[Tensor]) -> Iterator[Flaw]:
    """Layers whose scale is far from that of all others of their kind."""
    kinds: dict[str, list[Tensor]] = {}
    for tensor in tensors:
        if tensor.kind and tensor.plain.std and tensor.elements >= LARGE:
            kinds.setdefault(tensor.kind, []).append(tensor)
    for kind, members in kinds.items():
        for tensor in members:
            others = [other.plain.std for other in members if other is not tensor and other.plain.std]
            if len(others) + 1 >= KIND and tensor.plain.std:
                yield from _far(tensor, median(others), f"the other {len(others)} layers of kind {kind}", "scale")


def _off_family(tensors: Sequence[Tensor], family: Family) -> Iterator[Flaw]:
    for tensor in tensors:
        others = [std for std in family.get((tensor.name, tensor.elements), ()) if std > 0.0]
        if tensor.kind and len(others) >= FAMILY and tensor.plain.std:
            yield from _far(tensor, median(others), f"{len(others)} models of its family", "family_scale")


def _far(tensor: Tensor, usual: float, whose: str, reason: str) -> Iterator[Flaw]:
    ratio = (tensor.plain.std or 0.0) / usual
    if ratio > 0.0 and abs(math.log(ratio)) > math.log(COLLAPSE):
        words = f"its scale is {ratio:.2g} times that of {whose}: collapsed, or a scale was lost"
        yield Flaw("warning", tensor.name, reason, words, ratio, COLLAPSE if ratio > 1 else 1 / COLLAPSE)


class Rounded(NamedTuple):
    """A layer beside the one that it was rounded from."""

    name: str
    """Layer's longname."""
    dtype: str
    """Type that its values were rounded to; a dequantised layer's is wider, and no law is known then."""
    distance: float
    """|W - W_source| / |W_source|."""
    top: float
    """Largest absolute value / standard deviation of the source."""


def rounding_flaws(layers: Sequence[Rounded], source: str) -> list[Flaw]:
    """Layers whose error is beyond the law of their rounding, or far beyond that of the model's other layers."""
    usual = median(layer.distance for layer in layers) if layers else 0.0
    rows = []
    for layer in layers:
        law = law_of_rounding(layer.dtype, layer.top)
        limits = [limit for limit in (None if law is None else ERROR * law, OUTLIER * usual) if limit]
        if limits and layer.distance > min(limits):
            words = f"differs from {source} by {layer.distance:.2g}, where rounding explains {min(limits):.2g}"
            rows.append(Flaw("warning", layer.name, "rounding_error", words, layer.distance, min(limits)))
    return rows


def law_of_rounding(dtype: str, top: float) -> float | None:
    """Bound on the relative root mean square error of rounding to a type; None for one that rounds nothing we know.

    Floats with m stored bits of mantissa: half a unit in the last place is at most 2^-(m + 1) of a value, uniform in
    it: 2^-(m + 1) / sqrt(3). Integers of b bits over +-top standard deviations: a step over sqrt(12).
    """
    for name, bits in (("bfloat16", 7), ("float16", 10), ("e4m3", 3), ("e5m2", 2)):
        if name in dtype:
            return float(2.0 ** -(bits + 1) / math.sqrt(3.0))
    match = re.search(r"int([2-8])|^q([2-8])_|nf(4)|fp(4)|([2-8])bit", dtype.lower())
    if match is None:
        return None
    bits = int(next(group for group in match.groups() if group))
    return top / float((1 << (bits - 1)) - 1) / math.sqrt(12.0)
