"""Scale collapse: layers whose norm moved far between two versions of a model while the rest stayed, or that lie far
below their kind within one model.

Robust z-score: distance from the median over 1.4826 times the median absolute deviation; beyond 3.5 counts (Iglewicz
and Hoaglin 1993). 'claims' of the options (metric -> 'base larger' or 'base smaller') are checked against the means.
Not covered: which of the two versions is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from zoospectra.analysis.studies.record import Cell, Designs, Findings, Row, Study, among, number, positive

METRICS = ("log_norm", "log_spectral_norm", "alpha")
MAD_TO_SIGMA = 1.4826
"""Of a normal distribution."""
FEW = 5
"""Layers of a kind below which a median says nothing."""
CLAIMS = ("base larger", "base smaller")
"""What a text may say of a metric's mean."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What counts as far."""

    robust_z: float = 3.5
    """Robust z-score beyond which a layer moved far (Iglewicz and Hoaglin 1993)."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the study."""

    model: str | None = None
    """Glob of the model_id of the newer version; None means every model within itself."""
    base: str | None = None
    """Glob of the model_id of the version it is compared with."""
    profile: str | None = None
    """Profile; None means every one of the warehouse."""
    claims: dict[str, str] = field(default_factory=dict)
    """Metric -> 'base larger' or 'base smaller': what a text says of the means."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    """What counts as far."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        among("claims", self.claims, METRICS)
        for metric, claim in self.claims.items():
            among(f"claims.{metric}", [claim], CLAIMS)
        positive(self.thresholds)
        if self.base is not None and self.model is None:
            msg = f"base={self.base}: expected model=GLOB beside it: name both versions"
            raise ValueError(msg)


def run(designs: Designs, options: Options) -> Findings:
    """Between options 'model' and 'base' (globs of one model each), or within every model when there is no base.

    Raises ValueError when a glob matches no model, or several.
    """
    rows = designs["layers"]
    if options.profile is not None:
        among("profile", [options.profile], sorted({row["profile"] for row in designs["profiles"]}))
    limit = options.thresholds.robust_z
    design = [{"model_id": row["model_id"], "longname": row["longname"], "excluded_by": None} for row in rows]
    if options.base is None:
        found, notes = _within(rows, limit)
    else:
        found, notes = _between(rows, options, limit)
    return Findings(tuple(found), tuple(design), tuple(notes))


def robust_z(values: Sequence[float]) -> list[float | None]:
    """Robust z-scores; all None when more than half of the values are the same."""
    data = np.array(values, dtype=np.float64)
    centre = float(np.median(data)) if len(data) else 0.0
    spread = MAD_TO_SIGMA * float(np.median(np.abs(data - centre))) if len(data) else 0.0
    if spread <= 1e-12 * max(1.0, abs(centre)):
        return [None] * len(values)
    return [float(one) for one in (data - centre) / spread]


def _models(rows: Sequence[Row], glob: str, word: str) -> str:
    names = sorted({str(row["model_id"]) for row in rows if fnmatchcase(row["model_id"], glob)})
    if len(names) != 1:
        msg = f"{word}={glob}: matches {len(names)} models with layers, expected one: {', '.join(names[:5])}"
        raise ValueError(msg)
    return names[0]


def _between(rows: Sequence[Row], options: Options, limit: float) -> tuple[list[Cell], list[str]]:
    model, base = _models(rows, str(options.model), "model"), _models(rows, str(options.base), "base")
    found: list[Cell] = []
    notes: list[str] = []
    for profile in dict.fromkeys(row["profile"] for row in rows):
        both = [
            {row["longname"]: row for row in rows if row["profile"] == profile and row["model_id"] == name}
            for name in (model, base)
        ]
        shared = [name for name in both[0] if name in both[1]]
        if not shared:
            notes.append(f"{profile}: {model} and {base} share no layer names")
            continue
        notes.append(f"{profile}: {len(shared)} layers in both; change is {model} minus {base}")
        for metric in METRICS:
            found += _changes(profile, metric, shared, both[0], both[1], limit, notes)
            found += _means(profile, metric, shared, both[0], both[1], options, notes)
    return found, notes


def _changes(
    profile: str,
    metric: str,
    shared: Sequence[str],
    new: Mapping[str, Row],
    old: Mapping[str, Row],
    limit: float,
    notes: list[str],
) -> list[Cell]:
    names, changes = [], []
    for name in shared:
        a, b = number(new[name], metric), number(old[name], metric)
        if a is not None and b is not None:
            names.append(name)
            changes.append(a - b)
    found, moved = [], []
    for name, change, z in zip(names, changes, robust_z(changes), strict=True):
        far = z is not None and abs(z) > limit
        verdict = ("moved up" if change > 0 else "moved down") if far else None
        moved += [f"{name} ({change:+.3g})"] if far else []
        why = None if z is not None else "the other layers do not move at all"
        row = f"{profile} / {name}"
        found.append(Cell("COLLAPSE", row, f"{metric} change", change, len(names), verdict=verdict))
        found.append(Cell("COLLAPSE", row, f"{metric} robust z", z, len(names), verdict=verdict, reason=why))
    if moved:
        notes.append(f"{profile}: {metric} moved far from the other layers: {', '.join(moved)}")
    return found


def _means(
    profile: str,
    metric: str,
    shared: Sequence[str],
    new: Mapping[str, Row],
    old: Mapping[str, Row],
    options: Options,
    notes: list[str],
) -> list[Cell]:
    pairs = [(number(new[name], metric), number(old[name], metric)) for name in shared]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not known:
        return []
    a, b = (sum(side) / len(known) for side in zip(*known, strict=True))
    claim = options.claims.get(metric)
    verdict = "base larger" if b > a else "base smaller"
    reason = None
    if claim is not None:
        reason = "as claimed" if claim == verdict else f"the text says {claim}: the direction is reversed"
        notes.append(f"{profile}: mean {metric} {b:.3f} in the base, {a:.3f} in the model; {reason}")
    row = f"{profile} / mean {metric}"
    return [
        Cell("COLLAPSE_MEANS", row, "base", b, len(known), verdict=verdict, reason=reason),
        Cell("COLLAPSE_MEANS", row, "model", a, len(known), verdict=verdict, reason=reason),
    ]


def _within(rows: Sequence[Row], limit: float) -> tuple[list[Cell], list[str]]:
    """Layers far below the median of their kind and shape in their own model."""
    kinds: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if number(row, "log_norm") is not None:
            kinds.setdefault((row["profile"], row["model_id"], row["layer_type"] or "unknown"), []).append(row)
    found: list[Cell] = []
    small = 0
    for (profile, model, kind), members in kinds.items():
        if len(members) < FEW:
            small += 1
            continue
        # A larger matrix has a larger norm: per element they compare.
        sizes = [float(row["log_norm"]) - float(np.log10(row["N"] * row["M"])) for row in members]
        for row, size, z in zip(members, sizes, robust_z(sizes), strict=True):
            if z is not None and z < -limit:
                label = f"{profile} / {model} / {row['longname']}"
                why = f"far below the median of {len(members)} layers of kind {kind}"
                found.append(Cell("COLLAPSE_WITHIN", label, "log_norm per element", size, len(members), reason=why))
                found.append(
                    Cell("COLLAPSE_WITHIN", label, "robust z", z, len(members), verdict="collapsed", reason=why)
                )
    models = {key[1] for key in kinds}
    hit = {cell.row.rpartition(" / ")[0] for cell in found}
    notes = [f"{len(found) // 2} collapsed layers in {len(hit)} of {len(models)} models"]
    notes += [f"{small} kinds of layers are too few to compare (fewer than {FEW})"] if small else []
    return found, notes


STUDY = Study(Options, run, ("profiles",))
