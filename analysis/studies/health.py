"""Is one checkpoint healthy? What a practitioner should look at, with thresholds whose sources stand beside them.

HEALTH has a row a check: layers that it flags, of those it looks at; HEALTH_LAYERS every flagged layer. Thresholds are
advice from the literature on heavy-tailed self-regularisation, not tests. Not covered: accuracy, data, activations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zoospectra.analysis.studies.collapse import robust_z
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Row, Study, among, number, positive


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    column: str
    """Metric it looks at."""
    threshold: str
    """Name of its threshold in the options."""
    wrong: Callable[[float, float], bool]
    """(value, threshold) -> whether the layer is flagged."""
    says: str
    """What a flagged layer may mean."""
    source: str
    """Where the threshold comes from."""


CHECKS: Mapping[str, Check] = {
    "under-trained": Check(
        "alpha", "largest_alpha", lambda value, limit: value > limit,
        "too little correlation for its size: under-trained, over-parameterised, or too little data",
        "WeightWatcher warns above 6; Martin, Peng, Mahoney 2021",
    ),
    "over-trained": Check(
        "alpha", "smallest_alpha", lambda value, limit: value < limit,
        "a very heavy tail: over-trained, memorising, or a few dominating directions",
        "WeightWatcher warns below 2; Martin and Mahoney 2021 (very heavy-tailed universality class)",
    ),
    "poor fit": Check(
        "D", "largest_D", lambda value, limit: value > limit,
        "the tail is no power law: alpha means little here",
        "a rule of thumb of the WeightWatcher documentation",
    ),
    "short tail": Check(
        "num_pl_spikes", "fewest_spikes", lambda value, limit: value < limit,
        "few eigenvalues in the tail: alpha is uncertain, its standard error is (alpha - 1) / sqrt(n)",
        "Clauset, Shalizi, Newman 2009, section 3: estimates from small tails are biased",
    ),
    "rank collapse": Check(
        "stable_rank", "smallest_stable_rank", lambda value, limit: value < limit,
        "one direction carries nearly everything: rank collapse, or a layer that never trained away from it",
        "stable rank near 1 is a matrix of rank one; Martin and Mahoney 2021, phase 'rank-collapse'",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where a layer is flagged; the sources stand in CHECKS."""

    largest_alpha: float = 6.0
    """alpha above it: under-trained."""
    smallest_alpha: float = 2.0
    """alpha below it: over-trained."""
    largest_D: float = 0.2
    """Kolmogorov-Smirnov distance above it: a poor fit."""
    fewest_spikes: float = 10
    """Eigenvalues in the tail below it: a short tail."""
    smallest_stable_rank: float = 1.5
    """Stable rank below it: rank collapse."""
    robust_z: float = 3.5
    """Robust z-score of the log spectral norm beyond it: scale."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the study."""

    model: str = "*"
    """Glob of model_id."""
    profile: str | None = None
    """Profile; None means every one of the warehouse."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    """Where a layer is flagged."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        positive(self.thresholds)


def run(designs: Designs, options: Options) -> Findings:
    """Checks of every model that 'model' matches, by profile; raises ValueError when no layer does."""
    rows = designs["layers"]
    if options.profile is not None:
        among("profile", [options.profile], sorted({row["profile"] for row in designs["profiles"]}))
    if not rows:
        msg = f"model={options.model}: matches no model with layers; expected a glob of a model_id"
        raise ValueError(msg)
    found: list[Cell] = []
    notes: list[str] = []
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["model_id"], row["profile"]), []).append(row)
    for (model, profile), layers in groups.items():
        label = f"{profile} / {model}"
        flagged: list[Cell] = []
        cells = [_check(label, name, check, layers, options, flagged) for name, check in CHECKS.items()]
        cells += [_failed(label, layers), _scale(label, layers, options.thresholds.robust_z, flagged)]
        broken = [row for row in designs["skipped"] if row["model_id"] == model]
        why = "; ".join(f"{row['tensor'] or 'the whole model'}: {row['reason']}" for row in broken[:5]) or None
        damaged = "look at it" if broken else "fine"
        cells.append(
            Cell("HEALTH", f"{label} / damaged tensors", "layers", float(len(broken)), None, None, damaged, why)
        )
        looked = [cell.row.rpartition(" / ")[2] for cell in cells if cell.verdict == "look at it"]
        notes.append(f"{label}: {'look at ' + ', '.join(looked) if looked else 'nothing to object to'}")
        found += [*cells, *flagged]
    design = [{"model_id": row["model_id"], "longname": row["longname"], "excluded_by": None} for row in rows]
    return Findings(tuple(found), tuple(design), tuple(notes))


def _counted(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["layer_type"] != "embedding"]


def _check(label: str, name: str, check: Check, rows: list[Row], options: Options, flagged: list[Cell]) -> Cell:
    limit = float(getattr(options.thresholds, check.threshold))
    looked = [(row, value) for row in _counted(rows) if (value := number(row, check.column)) is not None]
    hits = [(row, value) for row, value in looked if check.wrong(value, limit)]
    for row, value in hits:
        place = f"{label} / {row['longname']}"
        flagged.append(Cell("HEALTH_LAYERS", place, check.column, value, row["num_evals"], None, name, check.says))
    reason = f"{check.says}; threshold {limit:g} ({check.source})"
    verdict = "look at it" if hits else "fine"
    return Cell("HEALTH", f"{label} / {name}", "layers", float(len(hits)), len(looked), None, verdict, reason)


def _failed(label: str, rows: list[Row]) -> Cell:
    """Layers without a fit, those that a rule of the profile leaves out aside."""
    failed = [row for row in rows if row["status"] != "success" and not str(row["status"]).startswith("skipped")]
    why = "; ".join(f"{row['longname']}: {row['status']}" for row in failed[:5]) or None
    verdict = "look at it" if failed else "fine"
    return Cell("HEALTH", f"{label} / failed fits", "layers", float(len(failed)), len(rows), None, verdict, why)


def _scale(label: str, rows: list[Row], limit: float, flagged: list[Cell]) -> Cell:
    """Layers whose largest eigenvalue lies far from the model's others."""
    looked = [(row, value) for row in _counted(rows) if (value := number(row, "log_spectral_norm")) is not None]
    scores = robust_z([value for _, value in looked])
    hits = [(row, value) for (row, value), z in zip(looked, scores, strict=True) if z is not None and abs(z) > limit]
    says = "its scale is far from that of the other layers: scale collapse, a missing normalisation, or damage"
    for row, value in hits:
        place = f"{label} / {row['longname']}"
        flagged.append(Cell("HEALTH_LAYERS", place, "log_spectral_norm", value, row["num_evals"], None, "scale", says))
    reason = f"{says}; robust z beyond {limit:g} (Iglewicz and Hoaglin 1993)"
    verdict = "look at it" if hits else "fine"
    return Cell("HEALTH", f"{label} / scale", "layers", float(len(hits)), len(looked), None, verdict, reason)


STUDY = Study(Options, run, ("profiles",))
