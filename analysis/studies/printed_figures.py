"""The points of the 2021 paper's own figures: accuracy against the averages that it published, and the supplement's.

From the same rows and reported errors as the study's tables (natcomm2021, supplement); the figure of ResNet-1K uses
later errors than table 1. Not covered: figures of layers, which any model has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoospectra.analysis.studies import supplement
from zoospectra.analysis.studies.natcomm2021 import FIRST_SERIES, METRICS, PROFILE, Errors, model_rows
from zoospectra.analysis.studies.record import Designs, Row, number


def figure_1(designs: Designs, printed: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Series of table 1 -> a row a model: model_id, the four averages, and the accuracy in percent as `reported`."""
    errors = Errors(designs["dated"], printed["kept_in_figure"])
    dates = printed["errors"]
    rows = [row for row in _published(designs) if not row["name"].startswith(supplement.PREFIX)]
    found: dict[str, list[Row]] = {}
    for series in FIRST_SERIES:
        for row in (row for row in rows if row["series"] == series):
            error = errors.of_figure(row, dates["figure"], dates["NC_T1"])
            averages = {name: number(row, name) for name in METRICS}
            accuracy = None if error is None else 100.0 - error
            made = {"model_id": row["name"], "group": series, "dataset": "imagenet-1k", "target": "top1_accuracy"}
            found.setdefault(series, []).append({**made, "profile": PROFILE, **averages, "reported": accuracy})
    return found


def supplement_points(designs: Designs, printed: Mapping[str, Any]) -> list[Row]:
    """A row a model of the 27 series: model_id, group '<data set> / <architecture>', the four metrics, Top-1 error."""
    published = _published(designs)
    if not published:
        return []
    groups = supplement.series(published, Errors(designs["dated"], printed["kept_in_figure"]).by_date, printed).final
    return [
        {"model_id": point.name, "group": f"{dataset} / {name}", "dataset": "five data sets", "target": "top1_error"}
        | {"profile": PROFILE, "reported": point.y}
        | {metric: point.x[metric] for metric in supplement.METRICS}
        for (dataset, name), points in groups.items()
        for point in points
    ]


def _published(designs: Designs) -> Sequence[Row]:
    return [row for row in model_rows(designs) if row["profile"] == PROFILE]
