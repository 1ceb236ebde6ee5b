"""The supplement and table 3: hundreds of osmr models, a regression for every data set and architecture with 4 models.

error = a + b * metric, so that good metrics have positive slopes and tau: the opposite sign of table 1. The final table
3 prints mean and deviation of the eight rows of pandas' describe(); the intended values stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zoospectra.analysis.regression import Regression
from zoospectra.analysis.studies.lines import Point, adjusted, basis, line
from zoospectra.analysis.studies.lines import cells as line_cells
from zoospectra.analysis.studies.record import Cell, Row, number

PREFIX = "osmr/"
METRICS = {
    "log_norm": "lognorm",
    "ln_spectral_norm": "spectralnormlog",
    "alpha_weighted": "alpha_weighted",
    "log_alpha_norm": "logpnorm",
}
"""Our metric -> the supplement's column. Its spectral norm is ln of a mean, table 1 has the mean of log10."""
FIELDS = {"RMSE": "rmse", "R2": "r2", "tau": "kendall_tau"}
REGRESSIONS_EACH = 6
"""Regressions per series that the draft counted as models."""
DATASETS = ("imagenet-1k", "cifar-10", "cifar-100", "svhn", "cub-200-2011")
Lines = dict[tuple[str, str], dict[str, Regression]]
"""(data set, architecture) -> metric -> line."""


@dataclass(frozen=True, slots=True)
class Series:
    """The groups of the final paper and of its draft."""

    final: Mapping[tuple[str, str], Sequence[Point]]
    """(data set, architecture) -> models, outliers removed, errors of 2021."""
    draft: Mapping[tuple[str, str], Sequence[Point]]
    """The same with errors of 2020 and nothing removed."""
    normalised: frozenset[str]
    """Names of models whose X was divided by N, told by their averages."""
    design: tuple[Row, ...]
    """Every model with the rule that left it out, or None."""


def series(rows: Sequence[Row], error: Callable[[Row, str], float | None], printed: Mapping[str, Any]) -> Series:
    """Groups of the published osmr models."""
    dates, outliers = printed["errors"], frozenset(printed["outliers"])
    mine = [row for row in rows if row["name"].startswith(PREFIX)]
    final, draft = (
        _groups(mine, lambda row: error(row, dates["NC_S"])),
        _groups(mine, lambda row: error(row, dates["DRAFT"])),
    )
    final = {key: [one for one in points if one.name not in outliers] for key, points in final.items()}
    kept = {one.name for points in final.values() if len(points) >= 4 for one in points}
    design = []
    for row in mine:
        name = row["name"].removeprefix(PREFIX)
        why = None if name in kept else "outlier of the paper" if name in outliers else "group of fewer than 4 models"
        base = {"used_for": "NC_S", "model_id": row["model_id"], "profile": row["profile"], "series": row["series"]}
        y = error(row, dates["NC_S"])
        design.append({**base, "dataset": row["dataset"], "rule": row["rule"], "y": y, "excluded_by": why})
    names = {row["name"].removeprefix(PREFIX) for row in mine if is_normalised(row)}
    return Series(_large(final), _large(draft), frozenset(names), tuple(design))


def is_normalised(row: Row) -> bool:
    """Whether X was divided by N: stable_rank * lam_max / norm^2 is 1 for a matrix and 1 / N for a normalised one.

    Of means over slices the ratio is only near 1: above 0.26 in every osmr run without, below 0.06 in every one with.
    """
    rank, top, norm = (number(row, name) for name in ("stable_rank", "spectral_norm", "norm"))
    return bool(rank and top and norm) and rank * top / norm**2 < 0.1  # type: ignore[operator]


def architecture(name: str) -> str:
    """The supplement's short name: the first alias, 'SENet' of 'SENet/SE-ResNet/...'."""
    return name.partition("/")[0]


def _groups(rows: Sequence[Row], error: Callable[[Row], float | None]) -> dict[tuple[str, str], list[Point]]:
    groups: dict[tuple[str, str], list[Point]] = {}
    for row in rows:
        y = error(row)
        if y is not None and row["series"] and row["dataset"]:
            top = number(row, "spectral_norm")
            x = {name: number(row, name) for name in METRICS} | {"log_spectral_norm": number(row, "log_spectral_norm")}
            x["ln_spectral_norm"] = math.log(top) if top is not None and top > 0 else None
            key = (row["dataset"], architecture(row["series"]))
            groups.setdefault(key, []).append(Point(row["name"].removeprefix(PREFIX), x, y, row["basis"]))
    return groups


def _large(groups: Mapping[tuple[str, str], Sequence[Point]]) -> dict[tuple[str, str], Sequence[Point]]:
    """Groups of at least 4, data sets in the paper's order."""
    order = {name: i for i, name in enumerate(DATASETS)}
    kept = {key: points for key, points in groups.items() if len(points) >= 4}

    def place(key: tuple[str, str]) -> tuple[int, int, str]:
        dataset, name = key
        return order.get(dataset, len(order)), -len(kept[key]), name

    return {key: kept[key] for key in sorted(kept, key=place)}


def lines(groups: Mapping[tuple[str, str], Sequence[Point]]) -> Lines:
    """Every regression of the supplement."""
    return {key: {metric: line(points, metric) for metric in METRICS} for key, points in groups.items()}


def tables(found: Series) -> list[Cell]:
    """NC_S_*, NC_T3 as printed and as intended, NC_S_ARCH, DRAFT_T3, DRAFT_T5, DRAFT_T6, SENSITIVITY.

    NC_S_LINES has every line with its interval, p and normality of residuals.
    """
    final, draft = lines(found.final), lines(found.draft)
    cells: list[Cell] = []
    for table_id, word in (("NC_S_RMSE", "RMSE"), ("NC_S_R2", "R2"), ("NC_S_KTAU", "tau")):
        for (dataset, name), by_metric in final.items():
            for metric, label in METRICS.items():
                one = by_metric[metric]
                row = f"{dataset} / {name}"
                cells.append(Cell(table_id, row, label, getattr(one, FIELDS[word]), one.n, reason=one.reason))
    cells += _table_3(final) + _counts(found.final) + _draft(draft) + _sensitivity(found)
    origin = basis([point for points in found.final.values() for point in points])
    everything = [
        cell
        for (dataset, name), points in found.final.items()
        for metric, label in METRICS.items()
        for cell in line_cells("NC_S_LINES", f"{dataset} / {name}", label, points, metric)
    ]
    return [*(replace(cell, basis=origin) for cell in cells), *adjusted(everything)]


def _values(found: Lines, metric: str, name: str) -> list[float]:
    values = (getattr(by_metric[metric], name) for by_metric in found.values())
    return [value for value in values if value is not None]


def _table_3(found: Lines) -> list[Cell]:
    cells = []
    for word, name in FIELDS.items():
        for metric, label in METRICS.items():
            values = _values(found, metric, name)
            for table_id, over in (("NC_T3", described(values)), ("NC_T3_INTENDED", values)):
                mean, deviation = _mean_std(over)
                cells.append(Cell(table_id, f"{word} (mean)", label, mean, len(values)))
                cells.append(Cell(table_id, f"{word} (std)", label, deviation, len(values)))
    return cells


def described(values: Sequence[float]) -> list[float]:
    """Rows of pandas.Series.describe(): count, mean, std (ddof 1), min, quartiles, max; [] for fewer than 2."""
    if len(values) < 2:
        return []
    quartiles = [float(one) for one in np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0])]
    return [float(len(values)), float(np.mean(values)), float(np.std(values, ddof=1)), *quartiles]


def _mean_std(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and deviation (ddof 1)."""
    if len(values) < 2:
        return None, None
    return float(np.mean(values)), float(np.std(values, ddof=1))


def _counts(groups: Mapping[tuple[str, str], Sequence[Point]]) -> list[Cell]:
    """NC_S_ARCH: models by architecture and data set."""
    names = dict.fromkeys(name for _, name in groups)
    cells = []
    for name in (*names, "total"):
        for dataset in DATASETS:
            count = sum(
                len(points) for key, points in groups.items() if key[0] == dataset and name in (key[1], "total")
            )
            cells.append(Cell("NC_S_ARCH", name, dataset, float(count), count))
    return cells


def _draft(found: Lines) -> list[Cell]:
    cells = []
    for metric, label in METRICS.items():
        for word, values in (
            ("R2", _values(found, metric, "r2")),
            ("MSE", _values(found, metric, "mse")),
        ):
            mean, deviation = _mean_std(values)
            cells.append(Cell("DRAFT_T3", f"{word} (mean)", label, mean, len(values)))
            cells.append(Cell("DRAFT_T3", f"{word} (std)", label, deviation, len(values)))
    cells.append(Cell("DRAFT_T3", "caption", "168 models", float(REGRESSIONS_EACH * len(found)), len(found)))
    for table_id, position in (("DRAFT_T5", 0), ("DRAFT_T6", 1)):
        for name in dict.fromkeys(key[position] for key in found):
            count = sum(key[position] == name for key in found)
            cells.append(Cell(table_id, name, "# of models", float(REGRESSIONS_EACH * count), count))
    return cells


def _sensitivity(found: Series) -> list[Cell]:
    """Mean R2 over series under other choices: what the ranking of the metrics depends on."""
    groups = found.final
    mixed = {key: any(one.name in found.normalised for one in points) for key, points in groups.items()}
    positive = lines(groups)
    choices = {
        "as published": groups,
        "at least 5 models": {key: points for key, points in groups.items() if len(points) >= 5},
        "X = W^T W only": {key: points for key, points in groups.items() if not mixed[key]},
        "X divided by N only": {key: points for key, points in groups.items() if mixed[key]},
        "all four slopes positive": {
            key: groups[key]
            for key, by in positive.items()
            if all(one.slope is not None and one.slope > 0 for one in by.values())
        },
    }
    cells = []
    for row, chosen in choices.items():
        by_metric = lines(chosen)
        for metric, label in METRICS.items():
            mean, _ = _mean_std(_values(by_metric, metric, "r2"))
            cells.append(Cell("SENSITIVITY", row, f"mean R2 {label}", mean, len(chosen)))
    return cells
