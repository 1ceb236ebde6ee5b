"""Worker side of a comparison: one layer of both checkpoints, and what their difference is. Nothing is written here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zoospectra.analysis.allocation import signal_to_noise
from zoospectra.analysis.cost import SLACK_BYTES, Cost, cost, pair_bytes
from zoospectra.analysis.distance import difference, layer_distance, moments, own_cka
from zoospectra.analysis.layer import analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import Spectrum, Value
from zoospectra.analysis.spectrum import is_finite, spectrum
from zoospectra.analysis.unfold import unfold, unfold_rule
from zoospectra.analysis.unfold.shape import AnyArray
from zoospectra.zoo.checkpoint.dtype import itemsize
from zoospectra.zoo.checkpoint.remote import prefetched
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import layer_hash, read_layer

SHOWN = ("alpha", "log_spectral_norm", "stable_rank")
"""Columns of a profile that are given for the base, the other and the difference."""

MOVED = ("log_norm", "entropy")
"""Columns that are given for the difference alone."""

TOP = 8
"""Largest eigenvalues of a difference whose share of its energy is given."""

SPECTRA = 4
"""Times the work of a spectrum that a pair costs: three of them, and the products of the alignment."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A layer of two checkpoints, or of one of them."""

    name: str
    """Longname."""
    old: Layer | None
    """In the base."""
    new: Layer | None
    """In the other."""
    profile: Profile
    """Convention to analyse by."""
    cost: Cost
    """Predicted work and memory."""

    @property
    def sides(self) -> tuple[Layer, ...]:
        """The layers that are there, the base's first."""
        return tuple(layer for layer in (self.old, self.new) if layer is not None)

    @property
    def either(self) -> Layer:
        """The base's, or the only one."""
        return self.sides[0]

    @property
    def alike(self) -> bool:
        """Whether both are there and of one shape."""
        return self.old is not None and self.new is not None and self.old.shape == self.new.shape


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of a layer."""

    name: str
    """Longname."""
    status: str
    """compared, identical, or why it could not be."""
    values: Mapping[str, Any]
    """Column -> value; columns that it has no value for are absent."""
    failed: bool = False
    """Whether something is wrong with a layer that should have been compared."""


def pair(name: str, old: Layer | None, new: Layer | None, profile: Profile) -> Pair:
    """A pair with its cost, from shapes alone; of layers that cannot be compared only the hashes are made."""
    sizes = [layer.ref.nbytes for layer in (old, new) if layer is not None]
    hashed = Cost(0.0, sum(sizes), 2 * max(sizes) + SLACK_BYTES, 1e-4, 1)
    if old is None or new is None or old.shape != new.shape:
        return Pair(name, old, new, profile, hashed)
    shape = unfold_rule("slices").shape_of(old.shape, old.layer_type)
    single = cost(shape.N, shape.M, shape.rf, 4)
    work = replace(single, seconds=SPECTRA * single.seconds, bytes_read=sum(sizes), peak_bytes=planned_bytes(old, new))
    return Pair(name, old, new, profile, work)


def planned_bytes(old: Layer, new: Layer) -> int:
    """Memory that comparing two layers of one shape takes at most, bytes beyond their mapped files.

    That of plain tensors; unpacking a quantised one may take more for a moment.
    """
    shape = unfold_rule("slices").shape_of(old.shape, old.layer_type)
    numbers = 2 if any(layer.dtype.startswith("complex") for layer in (old, new)) else 1
    return numbers * pair_bytes(shape.N, shape.M, shape.rf, _copied(old) + _copied(new))


def _copied(layer: Layer) -> int:
    """Bytes an element of a layer's values where they are no view of its file."""
    computed = layer.factor != 1.0 or layer.change is not None or layer.assembly is not None
    return max(4, itemsize(layer.ref.dtype)) if computed or itemsize(layer.ref.dtype) < 4 else 0


def compare_all(pairs: Sequence[Pair]) -> tuple[Compared, ...]:
    """Compare pairs that travel together, one after the other; neighbours in a remote file share a request."""
    fetched = prefetched([layer.ref for pair in pairs for layer in pair.sides])
    rows = []
    for pair in pairs:
        for _ in pair.sides:
            next(fetched)
        rows.append(compare_one(pair))
    return tuple(rows)


def compare_one(pair: Pair) -> Compared:
    """Every number of one pair; a layer that cannot be read, or is not finite, has failed."""
    try:
        return _compared(pair)
    except CheckpointError as error:
        return Compared(pair.name, " ".join(str(error).split()), described(pair.either), failed=True)


def described(layer: Layer) -> dict[str, Any]:
    """What is known of a layer before it is read."""
    return {"layer_type": layer.layer_type, "shape": _words(layer)}


def _compared(pair: Pair) -> Compared:
    old, new, profile = pair.old, pair.new, pair.profile
    row = described(pair.either)
    row |= {"base_hash": old and layer_hash(old), "content_hash": new and layer_hash(new)}
    if old is None or new is None:
        return Compared(pair.name, "only in the base" if new is None else "not in the base", row)
    if not pair.alike:
        return Compared(pair.name, f"shapes differ: {_words(new)} in the other", row)
    if row["base_hash"] == row["content_hash"]:
        return _unmoved(pair, row)
    before, after = read_layer(old), read_layer(new)
    if not (is_finite(before) and is_finite(after)):
        where = " and ".join(name for name, W in (("the base", before), ("the other", after)) if not is_finite(W))
        return Compared(pair.name, f"holds NaN or infinity in {where}", row, failed=True)
    sums = moments(after, before)
    row |= {"distance": sums.distance, "cosine": sums.cosine}
    row["cka"] = layer_distance(unfold(after, old.layer_type), unfold(before, old.layer_type), "cka")
    row |= _profiled(_spectrum(before, old), old, profile, "_base") | _profiled(_spectrum(after, old), old, profile, "")
    moved = difference(after, before)
    del before, after  # the difference and its spectrum are as large as both
    raw = _spectrum(moved, old)
    row |= _profiled(raw, old, profile, "_difference") | _signal(raw)
    return Compared(pair.name, "compared" if np.any(moved) else "identical", row)


def _unmoved(pair: Pair, row: dict[str, Any]) -> Compared:
    """A pair of the same bytes, read once: one spectrum serves both sides, and nothing is left of the difference."""
    layer = pair.either
    values = read_layer(layer)
    if not is_finite(values):
        return Compared(pair.name, "holds NaN or infinity in the base and the other", row, failed=True)
    raw = _spectrum(values, layer)
    some = bool(raw.evals.any())
    row |= {"distance": 0.0 if some else None, "cosine": 1.0 if some else None}
    row["cka"] = own_cka(unfold(values, layer.layer_type))
    nothing = replace(raw, evals=np.zeros_like(raw.evals))
    for spectrum_, end in ((raw, "_base"), (raw, ""), (nothing, "_difference")):
        row |= _profiled(spectrum_, layer, pair.profile, end)
    return Compared(pair.name, "identical", row | _signal(nothing))


def _words(layer: Layer) -> str:
    return "x".join(map(str, layer.shape))


def _spectrum(array: AnyArray, layer: Layer) -> Spectrum:
    return spectrum(unfold(array, layer.layer_type))


def _profiled(raw: Spectrum, layer: Layer, profile: Profile, end: str) -> dict[str, Any]:
    metrics = analyse_layer(raw, layer.layer_type, profile, dtype=layer.dtype).layer
    return {f"{name}{end}": _number(metrics.get(name)) for name in (*SHOWN, *MOVED)}


def _signal(moved: Spectrum) -> dict[str, Any]:
    """Signal, energy and eigenvalues of a difference; without signal where it has no noise."""
    snr, evals = signal_to_noise(moved.evals[0], moved.N, moved.M), np.sort(moved.evals, axis=None)
    energy = float(evals.sum())
    share = float(evals[-TOP:].sum()) / energy if energy > 0.0 else None
    return {"snr": snr if math.isfinite(snr) else None, f"energy_{TOP}": share, "evals": evals}


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) else None
