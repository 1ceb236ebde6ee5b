"""Correlation flow: alpha from the first layer to the last, its slope, its dispersion, its outliers; models and series.

Well-trained models keep alpha small and steady with depth (Martin, Peng, Mahoney 2021, figure 3). FLOW is by model,
FLOW_SERIES relates steadiness to the reported number. Depth runs from 0 (first layer) to 1 (last).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from zoospectra.analysis.studies.lines import Point, grouped, once
from zoospectra.analysis.studies.options import TargetOptions
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Row, Study, number, positive
from zoospectra.analysis.studies.target import Target, mixed_units, targets, unnamed

COLUMNS = ("slope", "dispersion", "median", "mad", "roughness", "outliers", "largest")
"""What the design table measures."""
FEW = 3
"""Layers below which a flow means nothing."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What counts as an outlier."""

    largest: float = 6.0
    """Alpha above which a layer is an outlier: WeightWatcher's 'under-trained'."""


@dataclass(frozen=True, slots=True)
class Options(TargetOptions):
    """Options of the study."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    """What counts as an outlier."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        TargetOptions.__post_init__(self)
        positive(self.thresholds)


def run(designs: Designs, options: Options) -> Findings:
    """Flow of every model and profile, and of every data set and series with enough models."""
    largest = options.thresholds.largest
    found: list[Cell] = []
    for row in designs["flow"]:
        label = f"{row['profile']} / {row['model_id']}"
        few = row["layers"] < FEW
        verdict = "too few layers" if few else _verdict(row)
        why = f"{row['layers']} layers, at least {FEW} are needed" if few else None
        for name in COLUMNS:
            value = None if few else _finite(number(row, name))
            missing = why or (None if value is not None else "not defined for these layers")
            found.append(Cell("FLOW", label, name, value, row["layers"], verdict=verdict, reason=missing))
    notes = []
    for profile in dict.fromkeys(row["profile"] for row in designs["flow"]):
        mine = [row for row in designs["flow"] if row["profile"] == profile]
        outliers = sum(row["outliers"] > 0 for row in mine)
        notes.append(f"{profile}: {outliers} of {len(mine)} models have layers with alpha above {largest:g}")
    chosen = targets(designs["reported"], options.targets, options.datasets)
    notes += unnamed(designs["reported"], options.datasets)
    notes += mixed_units(chosen)
    if not chosen:
        notes.append("no model has a reported metric: flow is not compared with quality")
    groups = {key: points for target in chosen for key, points in _groups(designs["flow"], target).items()}
    lines = grouped("FLOW_SERIES", groups, {name: name for name in COLUMNS}, smallest=options.smallest)
    found += lines
    notes += [f"{cell.row}: {cell.reason}" for cell in lines if cell.verdict == "too few models"]
    design = [{"model_id": row["model_id"], "profile": row["profile"], "excluded_by": None} for row in designs["flow"]]
    return Findings(tuple(found), tuple(design), tuple(notes))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _verdict(row: Row) -> str:
    """'steady' when no layer is an outlier; else how many are."""
    count = round(row["outliers"] * row["layers"])
    return "steady" if count == 0 else f"{count} of {row['layers']} layers under-trained"


def _groups(rows: Sequence[Row], target: Target) -> dict[str, list[Point]]:
    """'<profile> / <data set> / <metric> / <series>' -> models with enough layers."""
    groups: dict[str, list[Point]] = {}
    for row in rows:
        if row["layers"] >= FEW and row["model_id"] in target.values:
            key = f"{row['profile']} / {target.label} / {row['series'] or 'no series'}"
            x = {name: _finite(number(row, name)) for name in COLUMNS}
            groups.setdefault(key, []).append(Point(row["model_id"], x, target.values[row["model_id"]], row["basis"]))
    return {key: once(groups[key], target) for key in sorted(groups)}


STUDY = Study(Options, run, ("reported",))
