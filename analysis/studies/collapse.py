"""Scale collapse: layers whose norm moved far between two versions of a model while the rest stayed, or whose entries
are far smaller than those of their kind (layer type and receptive field) within one model.

Robust z-score: distance from the median over 1.4826 times the median absolute deviation; beyond 3.5 counts (Iglewicz
and Hoaglin 1993). 'claims' of the options (metric -> 'base larger' or 'base smaller') are checked against the means.
Not covered: which of the two versions is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from zoospectra.analysis.studies.noise import Kind, entries, entry_scale, excess, kind
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
    """Robust z-score beyond which a layer moved far, or lies far below its kind (Iglewicz and Hoaglin 1993)."""
    share: float = 0.5
    """Within a model: root mean square entry over its kind's median, below which a layer that lies far collapsed."""


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
        if self.claims and self.base is None:
            msg = f"claims={dict(self.claims)}: expected base=GLOB and model=GLOB beside it, the two versions"
            raise ValueError(msg)
        if self.base is not None and self.model is None:
            msg = f"base={self.base}: expected model=GLOB beside it: name both versions"
            raise ValueError(msg)


def run(designs: Designs, options: Options) -> Findings:
    """Between options 'model' and 'base' (globs of one model each), or within every model when there is no base.

    Raises ValueError when a glob matches no model, or several.
    """
    globs = [glob for glob in (options.model, options.base) if glob is not None]
    everything = designs["measured"]
    if options.profile is not None:
        among("profile", [options.profile], sorted({row["profile"] for row in everything}))
    rows = [
        row
        for row in everything
        if options.profile in (None, row["profile"])
        and (not globs or any(fnmatchcase(row["model_id"], glob) for glob in globs))
    ]
    if globs and not rows:
        msg = f"model={options.model}: matches no model with layers; expected a glob of a model_id"
        raise ValueError(msg)
    design = [{"model_id": row["model_id"], "longname": row["longname"], "excluded_by": None} for row in rows]
    if options.base is None:
        found, notes = _within(rows, options.thresholds)
    else:
        found, notes = _between(rows, options, options.thresholds.robust_z)
    return Findings(tuple(found), tuple(design), tuple(notes))


def robust_z(values: Sequence[float]) -> list[float | None]:
    """Robust z-scores; all None when more than half of the values are the same."""
    if not values:
        return []
    data = np.array(values, dtype=np.float64)
    centre = float(np.median(data))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(data - centre)))
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
    if model == base:
        msg = f"base={options.base}: expected another model than {model}, which model={options.model} matches"
        raise ValueError(msg)
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
        verdict = None
        if z is not None and abs(z) > limit:
            verdict = "moved up" if (change or z) > 0 else "moved down"
            moved.append(f"{name} ({change:+.3g})")
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


def _within(rows: Sequence[Row], thresholds: Thresholds) -> tuple[list[Cell], list[str]]:
    """Layers whose entries are far smaller than those of their kind in their own model."""
    kinds: dict[tuple[str, Kind], list[tuple[Row, float]]] = {}
    for row in rows:
        scale = entry_scale(row)
        if scale is not None:
            kinds.setdefault((row["model_id"], kind(row)), []).append((row, scale))
    found: list[Cell] = []
    small = 0
    for (model, of), members in kinds.items():
        small += len(members) < FEW
        for row, z, scale, ratio in _collapsed(members, thresholds) if len(members) >= FEW else ():
            label = f"{of.profile} / {model} / {row['longname']}"
            why = f"its entries are {ratio:.2g} of the median of {len(members)} layers of its kind ({of})"
            values: dict[str, float | None] = {"log10 rms entry": scale, "rms entry over kind's": ratio, "robust z": z}
            values["log10 largest eigenvalue over shuffled copy's"] = excess(row)
            found += [
                Cell("COLLAPSE_WITHIN", label, name, value, len(members), verdict="collapsed", reason=why)
                for name, value in values.items()
            ]
    notes = []
    for profile in dict.fromkeys(of.profile for _, of in kinds):
        hit = [cell.row for cell in found if cell.column == "robust z" and cell.row.startswith(f"{profile} / ")]
        models = {model for model, of in kinds if of.profile == profile}
        bad = {row.removeprefix(f"{profile} / ").rpartition(" / ")[0] for row in hit}
        notes.append(f"{profile}: {len(hit)} collapsed layers in {len(bad)} of {len(models)} models")
    notes += [f"{small} kinds of layers are too few to compare (fewer than {FEW})"] if small else []
    return found, notes


def _collapsed(members: Sequence[tuple[Row, float]], thresholds: Thresholds) -> list[tuple[Row, float, float, float]]:
    """Of layers with their log10 rms entry those beyond both thresholds: (row, robust z, that, over the kind's median).

    The spread is at least the sampling error of a root mean square, so that a kind of equal scales flags nothing by
    rounding.
    """
    scales = [scale for _, scale in members]
    centre = float(np.median(scales))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(np.array(scales) - centre)))
    found = []
    for row, scale in members:
        error = 1 / (np.log(10) * np.sqrt(2 * entries(row)))
        z, ratio = (scale - centre) / max(spread, float(error)), float(10 ** (scale - centre))
        if z < -thresholds.robust_z and ratio < thresholds.share:
            found.append((row, z, scale, ratio))
    return found


STUDY = Study(Options, run, ("measured",))
