"""Correlation flow: alpha from the first layer to the last, its slope, its dispersion, its outliers; models and series.

Well-trained models keep alpha small and steady with depth (Martin, Peng, Mahoney 2021, figure 3). FLOW is by model,
FLOW_SERIES relates steadiness to the reported number. Depth runs from 0 (first layer) to 1 (last).
"""

from __future__ import annotations

import math

from zoospectra.analysis.studies.lines import Point, cells, line
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Options, Row, number
from zoospectra.analysis.studies.target import choose

COLUMNS = ("slope", "dispersion", "median", "mad", "roughness", "outliers", "largest")
"""What the design table measures."""
FEW = 3
"""Layers below which a flow means nothing."""


def run(designs: Designs, options: Options) -> Findings:
    """Flow of every model and profile, and of every series with enough models; thresholds: 'largest' alpha."""
    largest = float(options["thresholds"]["largest"])
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
    notes = [f"{sum(row['outliers'] > 0 for row in designs['flow'])} models have layers with alpha above {largest:g}"]
    found += _series(designs, options, notes)
    design = [{"model_id": row["model_id"], "profile": row["profile"], "excluded_by": None} for row in designs["flow"]]
    return Findings(tuple(found), tuple(design), tuple(notes))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _verdict(row: Row) -> str:
    """'steady' when no layer is an outlier; else how many are."""
    count = round(row["outliers"] * row["layers"])
    return "steady" if count == 0 else f"{count} of {row['layers']} layers under-trained"


def _series(designs: Designs, options: Options, notes: list[str]) -> list[Cell]:
    target = choose(designs["reported"], options.get("target"))
    if target is None:
        notes.append("no model has a reported metric: flow is not compared with quality")
        return []
    values = target.newest()
    groups: dict[str, list[Point]] = {}
    for row in designs["flow"]:
        if row["layers"] >= FEW:
            key = f"{row['profile']} / {row['dataset'] or 'no data set'} / {row['series'] or 'no series'}"
            x = {name: _finite(number(row, name)) for name in COLUMNS}
            groups.setdefault(key, []).append(Point(row["model_id"], x, values.get(row["model_id"])))
    found: list[Cell] = []
    smallest = int(options["smallest"])
    for key, points in sorted(groups.items()):
        usable = sum(point.y is not None for point in points)
        if usable < smallest:
            why = f"too few models: {usable} with {target.metric}, at least {smallest} are needed"
            found.append(Cell("FLOW_SERIES", key, "models", None, usable, verdict="too few models", reason=why))
            notes.append(f"{key}: {why}")
            continue
        for name in COLUMNS:
            found += cells("FLOW_SERIES", key, name, line(points, name, smallest), ("tau", "R2", "slope"))
    return found
