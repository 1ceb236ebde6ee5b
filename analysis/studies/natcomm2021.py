"""The tables of "Predicting trends in the quality of state-of-the-art neural networks" (Nature Communications 2021).

From published layer data: tables 1 to 3, the supplement, the numbers in the text, the drafts', and an audit of them. On
any other zoo: the same regressions by data set and series. Design tables: printed, averages, reported, dated, language,
classifiers.
Sources of the recipes: the paper's notebooks (ModelPlots, ww_kdd2020_results). Not covered: its figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoospectra.analysis.studies import audit, language, supplement
from zoospectra.analysis.studies.lines import Point, adjusted, cells, grouped
from zoospectra.analysis.studies.options import TargetOptions
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Row, Study, number
from zoospectra.analysis.studies.target import Target, mixed_units, targets, unnamed
from zoospectra.analysis.studies.verdict import judge, printed_cells

PROFILE = "published/weightwatcher-0.2"
METRICS = {
    "log_norm": "log Frobenius",
    "log_spectral_norm": "log spectral",
    "alpha_weighted": "alpha-hat",
    "log_alpha_norm": "log alpha-norm",
}
"""The paper's four quality metrics -> its words."""
DRAFT_METRICS = ("log_norm", "spectral_norm", "alpha_weighted", "log_alpha_norm")
"""The draft's 'log spectral norm' is the mean largest eigenvalue, without a logarithm."""
FIRST_SERIES = ("VGG", "ResNet", "ResNet-1K", "DenseNet")
"""Rows of table 1."""


@dataclass(frozen=True, slots=True)
class Options(TargetOptions):
    """Options of the general tables; the paper's own have none, and name the dates of their sources."""


def run(designs: Designs, options: Options, printed: Mapping[str, Any]) -> Findings:
    """All tables that there are data for; printed: values of conf/published/natcomm2021.yaml."""
    models = model_rows(designs)
    errors = Errors(designs["dated"], printed["kept_in_figure"])
    found: list[Cell] = []
    design: list[Row] = []
    notes: list[str] = []
    published = [row for row in models if row["profile"] == PROFILE]
    if published:
        shapes = audit.shapes(designs["classifiers"], printed["classifier_inputs"])
        actual = {cell.row: str(cell.verdict).removeprefix("is ") for cell in shapes}
        found += _table_1(published, errors, printed["errors"], actual)
        found += language.tables(designs["language"], published)
        series = supplement.series(published, errors.by_date, printed)
        found += supplement.tables(series)
        design += series.design
        found = judge(found, printed_cells(printed["tables"]), printed["explained"])
        guards = [*shapes, *audit.normalisation(published, series), *audit.counts(published, series, printed["counts"])]
        guards += [*audit.means(series), *audit.summaries(found)]
        notes += [*audit.sentences(found), *audit.findings(guards)]
        found += guards
    chosen = targets(designs["reported"], options.targets, options.datasets)
    general, rows, words = _general(models, chosen, options.smallest)
    notes += unnamed(designs["reported"], options.datasets)
    notes += mixed_units(chosen)
    return Findings((*found, *general), (*design, *rows), (*notes, *words))


def model_rows(designs: Designs) -> list[Row]:
    """One row a model and profile: averages that the author printed count before means of the rows here."""
    printed = {(row["model_id"], row["profile"]) for row in designs["printed"]}
    computed = [row for row in designs["averages"] if (row["model_id"], row["profile"]) not in printed]
    return [*designs["printed"], *computed]


class Errors:
    """Reported Top-1 errors of the published models, by the date of their source."""

    def __init__(self, reported: Sequence[Row], kept: Sequence[str]) -> None:
        self._found: dict[str, dict[str, float]] = {}
        self._kept = frozenset(kept)
        for row in reported:
            if row["metric"] == "top1_error":
                self._found.setdefault(row["model_id"], {})[row["source_date"] or ""] = float(row["value"])

    def by_date(self, row: Row, date: str) -> float | None:
        """Error in percent; a model with one source only has that one's."""
        mine = self._found.get(row["model_id"], {})
        return mine.get(date, next(iter(mine.values())) if len(mine) == 1 else None)

    def of_figure(self, row: Row, date: str, older: str) -> float | None:
        """As by_date, but some models kept their older error."""
        return self.by_date(row, older if row["name"].rpartition("/")[2] in self._kept else date)


def _accuracy(error: float | None) -> float | None:
    return None if error is None else 100.0 - error


def _table_1(rows: Sequence[Row], errors: Errors, dates: Mapping[str, str], actual: Mapping[str, str]) -> list[Cell]:
    """Table 1, the draft's table 1, and both with what they should have been: accuracy = a + b * metric."""
    first = [row for row in rows if row["series"] in FIRST_SERIES and not row["name"].startswith("osmr/")]
    by_name = {row["name"]: row for row in first}
    found: list[Cell] = []
    for series in FIRST_SERIES:
        members = [row for row in first if row["series"] == series]
        points = [_point(row, _accuracy(errors.by_date(row, dates["NC_T1"]))) for row in members]
        for metric, label in METRICS.items():
            found += cells("NC_T1", series, label, points, metric)
        for metric in DRAFT_METRICS:
            found += cells("DRAFT_T1", series, metric, points, metric)
        later = [_point(row, _accuracy(errors.of_figure(row, dates["figure"], dates["NC_T1"]))) for row in members]
        if series == "ResNet-1K":
            for metric, label in METRICS.items():
                found += cells("NC_T1_CORRECTED", f"{series}, errors of Mar 2021", label, later, metric)
        if any(actual.get(row["name"], row["name"]) != row["name"] for row in members):
            right = [by_name.get(actual.get(row["name"], row["name"]), row) for row in members]
            points = [
                _point(row, _accuracy(errors.by_date(claimed, dates["NC_T1"])))
                for row, claimed in zip(members, right, strict=True)
            ]
            for metric, label in METRICS.items():
                row = f"{series}, files matched by shape"
                found += cells("NC_T1_CORRECTED", row, label, points, metric)
    return adjusted(found)


def _point(row: Row, y: float | None) -> Point:
    x = {name: number(row, name) for name in {*METRICS, *DRAFT_METRICS}}
    return Point(row["name"], x, y, row["basis"])


def _general(models: Sequence[Row], chosen: Sequence[Target], smallest: int) -> tuple[list[Cell], list[Row], list[str]]:
    """The recipe on every zoo: reported = a + b * metric by profile, data set and series, and what is too small."""
    if not chosen:
        return [], [], ["no model has a reported metric: nothing to regress on; give a catalog with reported numbers"]
    lines: dict[str, list[Point]] = {}
    design: list[Row] = []
    for target in chosen:
        groups: dict[str, list[Row]] = {}
        for row in models:
            if row["model_id"] in target.values:
                key = f"{row['profile']} / {target.label} / {row['series'] or 'no series'}"
                groups.setdefault(key, []).append(row)
        for key, members in groups.items():
            seconds = target.seconds(row["model_id"] for row in members)
            design += [_designed(row, target, seconds.get(row["model_id"])) for row in members]
            lines[key] = [_general_point(row, target) for row in members if row["model_id"] not in seconds]
    silent, rows = _silent(models, chosen)
    ordered = {key: lines[key] for key in sorted(lines)}
    found = grouped("SERIES", ordered, METRICS, smallest=smallest)
    small = [cell for cell in found if cell.verdict == "too few models"]
    notes = [f"direction: reported = a + b * metric, {len(ordered)} groups, {len(small)} of them too small"]
    notes += [f"{cell.row}: {cell.reason}" for cell in small]
    return found, [*design, *rows], [*notes, *silent]


def _designed(row: Row, target: Target, why: str | None) -> Row:
    base = {"used_for": f"SERIES {target.label}", "model_id": row["model_id"], "profile": row["profile"]}
    base |= {"series": row["series"], "dataset": target.dataset, "rule": row["rule"]}
    return {**base, "y": target.values[row["model_id"]], "excluded_by": why}


def _general_point(row: Row, target: Target) -> Point:
    x = {name: number(row, name) for name in METRICS}
    return Point(row["model_id"], x, target.values[row["model_id"]], row["basis"])


def _silent(models: Sequence[Row], chosen: Sequence[Target]) -> tuple[list[str], list[Row]]:
    """A sentence and the design rows of models without any of the reported metrics; each model counts once."""
    rows: dict[str, Row] = {}
    for row in models:
        if not any(row["model_id"] in target.values for target in chosen):
            why = f"no {' or '.join(dict.fromkeys(target.metric for target in chosen))} reported"
            base = {"used_for": "SERIES", "model_id": row["model_id"], "profile": row["profile"]}
            base |= {"series": row["series"], "dataset": row["dataset"], "rule": row["rule"], "y": None}
            rows.setdefault(row["model_id"], {**base, "excluded_by": why})
    by_series: dict[str, int] = {}
    for row in rows.values():
        by_series[row["series"] or "no series"] = by_series.get(row["series"] or "no series", 0) + 1
    names = ", ".join(f"{series} ({count})" for series, count in sorted(by_series.items()))
    words = [f"no regression for models without a reported number of a target: {names}"] if by_series else []
    return words, list(rows.values())


STUDY = Study(Options, run, ("averages", "reported"), printed="natcomm2021")
