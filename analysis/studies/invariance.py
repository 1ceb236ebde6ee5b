"""Scale invariance of every metric, measured: a layer's weights times c, its spectrum times c^2, the metrics again.

INVARIANCE has a row a column and says which law holds on all layers and factors: 'invariant'; 'power', v c^p, with p;
'shift', v + k log10 c, with k; or 'by layer', when each layer changes by another amount (alpha-hat: 2 alpha log10 c). A
rule with an absolute threshold loses or gains eigenvalues: `layers changed` counts what moved, `fits lost` what has
none any more. Not covered: layers scaled by different c, which leave a network's function as it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from zoospectra.analysis.layer import Row, analyse_layer, columns
from zoospectra.analysis.powerlaw import RULES
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import FloatArray, Spectrum
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Study, among, at_least

SAME = 1e-6
"""Relative (of logarithms: absolute) difference that counts as none; beyond rounding of the eigenvalues."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the study."""

    model: str = "*"
    """Glob of the model_id."""
    layers: int = 200
    """Most layers to measure, each content once."""
    factors: list[float] = field(default_factory=lambda: [0.01, 0.1, 10.0, 100.0])
    """Factors c on the weights."""
    fit: str = "weightwatcher"
    """Power-law rule."""
    threshold: float = 1e-5
    """Only eigenvalues above it are fitted."""
    threshold_relative: bool = False
    """Whether the threshold is a share of the largest eigenvalue."""
    methods: list[str] = field(default_factory=lambda: ["norms", "alpha_norms"])
    """Metrics to measure."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        at_least("layers", self.layers, 1)
        among("fit", [self.fit], RULES)
        if not self.factors or any(not 0 < factor < math.inf or factor == 1 for factor in self.factors):
            msg = f"factors={self.factors}: expected numbers above 0 other than 1"
            raise ValueError(msg)
        self.convention()

    def convention(self) -> Profile:
        """The profile to measure; ValueError for what no profile may have."""
        return Profile(
            "measured",
            fit=self.fit,
            threshold=self.threshold,
            threshold_relative=self.threshold_relative,
            methods=tuple(self.methods),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One metric of one layer before and after."""

    factor: float
    """c on the weights."""
    before: float
    """At c = 1."""
    after: float
    """At c."""


def run(designs: Designs, options: Options) -> Findings:
    """Measure every column of numbers of the convention; ValueError for a glob that matches no model."""
    profile = options.convention()
    changes: dict[str, list[Change]] = {}
    lost: dict[str, int] = {}
    for row in designs["spectra"]:
        evals = np.array(row["evals"], dtype=np.float64)
        base = _metrics(evals, row, profile)
        for factor in options.factors:
            scaled = _metrics(evals * factor**2, row, profile)
            for name, before in base.items():
                after = scaled[name]
                if _is_number(before) and _is_number(after):
                    changes.setdefault(name, []).append(Change(factor, float(before), float(after)))  # type: ignore[arg-type]
                elif _is_number(before):
                    lost[name] = lost.get(name, 0) + 1
    count = len(designs["spectra"])
    if not count and options.model != "*":
        msg = f"model={options.model}: matches no model with spectra by slices; expected a glob of a model_id"
        raise ValueError(msg)
    if not count:
        note = f"no stored spectrum by slices of a model {options.model}: nothing to measure"
        return Findings((), notes=(note,))
    found: list[Cell] = []
    for column in columns(profile):
        if column.name in changes:
            found += _cells(column.name, changes[column.name], lost.get(column.name, 0), count)
    laws: dict[str, list[str]] = {}
    for cell in found:
        laws.setdefault(cell.verdict or "", []).extend([cell.row] if cell.column == "layers changed" else [])
    notes = [f"{law}: {', '.join(names)}" for law, names in laws.items() if law]
    design = [{"content_hash": row["content_hash"], "excluded_by": None} for row in designs["spectra"]]
    return Findings(tuple(found), tuple(design), (f"{count} layers, weights times {options.factors}", *notes))


def _metrics(evals: FloatArray, row: Mapping[str, object], profile: Profile) -> Row:
    spectrum = Spectrum(evals, int(str(row["N"])), int(str(row["M"])), "stored", "cpu")
    return analyse_layer(spectrum, str(row["layer_type"]), profile).layer


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cells(name: str, changes: Sequence[Change], lost: int, layers: int) -> Iterator[Cell]:
    """The law of one column, its constant, and how many values moved."""
    moved = [one for one in changes if not _close(one.before, one.after)]
    constants = {"power": _power(moved), "shift": _shift(moved)}
    kept = {law: values for law, values in constants.items() if values and _constant(values)}
    law = "invariant" if not moved else next(iter(kept), "by layer") if len(moved) == len(changes) else "by layer"
    yield Cell("INVARIANCE", name, "layers changed", len(moved) / len(changes), layers, verdict=law)
    yield Cell("INVARIANCE", name, "fits lost", lost / (len(changes) + lost), layers, verdict=law)
    for word in ("power", "shift"):
        value = float(np.median(kept[word])) if law == word else None
        why = None if value is not None else f"the law is: {law}"
        yield Cell("INVARIANCE", name, word, value, layers, verdict=law, reason=why)
    spread = _shift(moved)
    for word, share in (("least change a decade", 0.0), ("median change a decade", 0.5), ("most change a decade", 1.0)):
        value = float(np.quantile(spread, share)) if spread else 0.0
        yield Cell("INVARIANCE", name, word, value, layers, verdict=law)


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= SAME * max(abs(a), abs(b), SAME)


def _power(changes: Sequence[Change]) -> list[float]:
    """P of v c^p, of values above 0; nothing when one is not."""
    if any(one.before <= 0 or one.after <= 0 for one in changes):
        return []
    return [float(np.log(one.after / one.before) / np.log(one.factor)) for one in changes]


def _shift(changes: Sequence[Change]) -> list[float]:
    """K of v + k log10 c."""
    return [float((one.after - one.before) / np.log10(one.factor)) for one in changes]


def _constant(values: Sequence[float]) -> bool:
    return bool(np.ptp(values) <= SAME * max(1.0, abs(float(np.median(values)))))


STUDY = Study(Options, run)
