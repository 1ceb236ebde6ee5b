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
from zoospectra.analysis.traces import NO_TRACES, Traces

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


ROWS, RUN = 4, 512
"""Adjacent rows or columns, or values, that are zero where hardly any other is, when a piece was never written."""

REPEATED = 0.25
"""Share of rows, or columns, that stand twice."""

FLAT = 1.25
"""Kurtosis below which values avoid zero: bfloat16 read as float16 has 1.03 to 1.08, uniform values have 1.8."""

FAINT = 1e-8
"""Standard deviation below which half of a model's layers are no weights: float16 read as bfloat16 has 1e-16."""

WILD = 1e8
"""Value that no tensor of a model has all by itself; variances of a normalisation reach 1e7."""

BLOCKS, PARTS = 4, 4
"""Blocks that a model has, and tensors that all others of them have, when one that lacks some is damaged."""


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
    traces: Traces = NO_TRACES
    """What its values show beyond their plain numbers."""


def flaws(tensors: Sequence[Tensor], family: Family | None = None) -> list[Flaw]:
    """Everything wrong with the tensors of one model, errors first.

    family: standard deviations of the same layer, by name and elements, in other models.
    """
    rows = [flaw for tensor in tensors for flaw in _of_tensor(tensor)]
    rows += [*_equal(tensors), *_collapsed(tensors), *_off_family(tensors, family or {})]
    rows += [*_misshapen(tensors), *_faint(tensors), *_zero_scales(tensors)]
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
    yield from _of_values(tensor)


def _of_values(tensor: Tensor) -> Iterator[Flaw]:
    """What is wrong with the values of a layer: one thing, the plainest."""
    plain, name, traces = tensor.plain, tensor.name, tensor.traces
    if plain.distinct == 1:
        reason = "all_zero" if plain.max == 0.0 else "constant"
        words = f"all {tensor.elements} values are {(plain.max or 0.0) + 0.0:g}: never written, reset, or pruned away"
        yield Flaw("error", name, reason, words)
    elif tensor.tail >= max(MANY, TAIL * tensor.elements) and plain.zeros < 0.9:
        share = tensor.tail / tensor.elements
        words = f"its last {share:.0%} is zero and the rest is not: the file was cut short and padded"
        yield Flaw("error", name, "truncated", words, share, TAIL)
    elif (dead := _dead(tensor)).share >= DEAD:
        words = f"{dead.share:.0%} of its {dead.what} are zero: pruned, or a block that was lost"
        yield Flaw("warning", name, "dead", words, dead.share, DEAD)
    elif _has_hole(tensor):
        words = f"{traces.hole} zeros in one piece, and hardly any elsewhere: a piece that was never written"
        yield Flaw("error", name, "hole", words, float(traces.hole))
    elif traces.repeated >= REPEATED:
        words = f"{traces.repeated:.0%} of its rows or columns stand twice: a piece was written over another"
        yield Flaw("error", name, "repeated", words, traces.repeated, REPEATED)
    elif plain.kurtosis is not None and plain.kurtosis < FLAT and plain.distinct > 256 and tensor.elements >= LARGE:
        words = f"its values avoid zero (kurtosis {plain.kurtosis:.2g}): of another element type than the file says"
        yield Flaw("error", name, "element_type", words, plain.kurtosis, FLAT)


class _Dead(NamedTuple):
    """Lines of a layer that are all zero."""

    share: float
    """Of its rows, or of its columns, whichever is more."""
    what: str
    """rows or columns."""


def _dead(tensor: Tensor) -> _Dead:
    """Of a layer that is large enough to say so, and of no embedding, whose unused words are zero."""
    if len(tensor.shape) < 2 or tensor.kind == "embedding" or tensor.elements < LARGE:
        return _Dead(0.0, "rows")
    rows, columns = tensor.plain.dead_rows / tensor.shape[0], tensor.plain.dead_columns / tensor.shape[1]
    return _Dead(rows, "rows") if rows >= columns else _Dead(columns, "columns")


def _has_hole(tensor: Tensor) -> bool:
    """Whether zeros lie in one piece; unused words of an embedding are whole rows of it."""
    traces, zeros = tensor.traces, tensor.plain.zeros * tensor.elements
    if tensor.plain.zeros >= 0.9 or traces.hole < max(MANY, 0.9 * zeros):
        return False
    return traces.lines >= ROWS and tensor.kind != "embedding" if traces.lines else traces.hole >= RUN


def _has_spike(tensor: Tensor, top: float) -> bool:
    """Whether the largest value has more than half of the fourth moment, and is beyond anything trained."""
    plain = tensor.plain
    if plain.kurtosis is None or plain.std is None or top < 30.0 or tensor.elements < (16 if top > WILD else LARGE):
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


def _misshapen(tensors: Sequence[Tensor]) -> Iterator[Flaw]:
    """Layers whose shape is that of all their likes in other blocks, with its sides exchanged."""
    likes: dict[str, list[Tensor]] = {}
    for tensor in tensors:
        if tensor.kind and len(tensor.shape) == 2:
            likes.setdefault(re.sub(r"\d+", "#", tensor.name), []).append(tensor)
    for tensor in (one for same in likes.values() if len(same) >= KIND for one in same):
        others = {one.shape for one in likes[re.sub(r"\d+", "#", tensor.name)] if one is not tensor}
        if others == {tensor.shape[::-1]} and tensor.shape[0] != tensor.shape[1]:
            shape = "x".join(map(str, tensor.shape))
            yield Flaw("error", tensor.name, "shape", f"{shape}: its likes in other blocks have these sides exchanged")


def _faint(tensors: Sequence[Tensor]) -> Iterator[Flaw]:
    """A model whose layers are next to nothing, all of them."""
    sizes = [tensor.plain.std for tensor in tensors if tensor.kind and tensor.plain.std]
    if len(sizes) >= KIND and median(sizes) < FAINT:
        words = (
            f"half of its layers have deviations below {median(sizes):.2g}: of another element type than the file says"
        )
        yield Flaw("error", "all layers", "element_type", words, median(sizes), FAINT)


def _zero_scales(tensors: Sequence[Tensor]) -> Iterator[Flaw]:
    """Scales of a normalisation that are all zero, where those of others are not: nothing passes it."""
    scales = [
        tensor
        for tensor in tensors
        if not tensor.kind and "norm" in tensor.name.lower() and tensor.name.endswith(("weight", "gamma", "scale"))
    ]
    zero = [tensor for tensor in scales if tensor.plain.max == 0.0 == tensor.plain.min]
    if len(scales) - len(zero) >= KIND - 1:
        for tensor in zero:
            yield Flaw("error", tensor.name, "all_zero", "a scale of zeros, where others are none: nothing passes it")


def lacking(names: Sequence[str]) -> list[Flaw]:
    """Tensors that one block lacks and all others of a model have, given the names of all its tensors."""
    stacks: dict[str, dict[str, set[str]]] = {}
    for name in names:
        parts = name.split(".")
        for place, part in enumerate(parts[:-1]):
            if part.isdigit():
                stacks.setdefault(".".join(parts[:place]), {}).setdefault(part, set()).add(".".join(parts[place + 1 :]))
    rows = []
    for stack, blocks in stacks.items():
        inner = sorted(blocks, key=int)[1:-1]  # the first and the last are often made otherwise
        for block, held in ((block, blocks[block]) for block in inner):
            others = [rest for number, rest in blocks.items() if number != block]
            whole = others[0] if len(others) >= BLOCKS - 1 else set()
            if len(whole) >= PARTS and all(rest == whole for rest in others) and held < whole:
                for part in sorted(whole - held):
                    words = "all other blocks have this tensor: lost, or the index leaves it out"
                    rows.append(Flaw("error", f"{stack}.{block}.{part}".removeprefix("."), "missing", words))
    return rows


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
