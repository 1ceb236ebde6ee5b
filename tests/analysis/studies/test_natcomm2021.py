"""The paper's table 1 and the same lines on any zoo, of made-up models with its columns, whole, against scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.analysis.studies.oracle import adjusted, line, near
from zoospectra.analysis.studies import audit, language, natcomm2021, printed_figures, supplement
from zoospectra.analysis.studies.record import Cell
from zoospectra.analysis.studies.verdict import judge, printed_cells

PUBLISHED = "published/weightwatcher-0.2"
METRICS = {"log_norm": "log Frobenius", "log_spectral_norm": "log spectral", "alpha_weighted": "alpha-hat"}
METRICS |= {"log_alpha_norm": "log alpha-norm"}
DRAFT = ("log_norm", "spectral_norm", "alpha_weighted", "log_alpha_norm")
SIZES = {"VGG": 5, "ResNet": 4, "ResNet-1K": 6, "DenseNet": 3, "Other": 5}
PRINTED: dict[str, Any] = {
    "errors": {"NC_T1": "2019", "figure": "2021", "NC_S": "2021", "DRAFT": "2020"},
    "kept_in_figure": ["resnet-1k2"],
    "classifier_inputs": {"vgg0": 512, "vgg1": 2048, "resnet0": 1024, "resnet-1k0": 64},
    "outliers": ["vgg9"],
    "counts": {"Table 1: VGG": 5, "Table 3: DNNs": 5},
    "explained": {"NC_T1 / VGG / R2 alpha-hat": "a slip"},
    "tables": {
        "NC_T1": {"columns": ["R2 alpha-hat", "tau alpha-hat"], "rows": {"VGG": ["7.5", "0"], "No": [None, "1"]}},
        "NC_S_R2": {"columns": ["lognorm"], "rows": {"cifar-10 / VGG": ["1"]}},
    },
}  # fmt: skip


def designs(seed: int) -> dict[str, list[dict]]:
    """Models of table 1 with 1 to 3 dated errors, one without any; five of the supplement; three of another profile."""
    rng = np.random.default_rng(seed)

    def row(name: str, series: str | None, dataset: str | None, profile: str = PUBLISHED) -> dict:
        base = {"model_id": f"z/{name}", "name": name, "series": series, "dataset": dataset, "profile": profile}
        base |= {"rule": "mean", "basis": "printed averages", "norm": 2.0, "stable_rank": float(rng.uniform(0.01, 1))}
        return base | {m: float(rng.uniform(1, 4)) for m in {*METRICS, *DRAFT}}

    printed = [row(f"{s.lower()}{i}", s, "imagenet-1k") for s, count in SIZES.items() for i in range(count)]
    printed += [row(f"osmr/vgg{i}", "VGG", "cifar-10") for i in range(6, 11)]
    printed[1]["log_norm"] = None
    dated = [
        {"model_id": one["model_id"], "metric": "top1_error", "source_date": date, "value": float(rng.uniform(5, 30))}
        for one in printed
        for date in rng.permutation(["2019", "2020", "2021"])[: 3 if "/" in one["name"] else int(rng.integers(1, 4))]
        if one["name"] != "densenet1"
    ]
    dated += [one | {"metric": "top5_error", "value": 1.0, "source_date": None} for one in dated[:9]]
    dated[0]["source_date"] = None
    averages = [one | {"basis": "weights", "log_norm": 9.0} for one in printed[:3]]  # the author printed these
    averages += [one | {"profile": "q", "basis": "weights"} for one in printed[:8]]
    averages += [row(f"own{i}", "Own" if i else None, ("d", None, "d")[i % 3], "q") for i in range(9)]
    reported = [
        {"dataset": "d", "metric": "e", "higher_is_better": False, "model_id": one["model_id"], "value": float(i)}
        | {"double_of": "z/own1" if one["name"] == "own2" else None}
        for i, one in enumerate([*printed[:8], *averages[-8:]])
    ]
    reported += [one | {"dataset": None} for one in reported[:3]]
    sides = {"vgg0": (512, 1000), "vgg1": (512, 1000), "resnet0": (1000, 1024), "resnet-1k0": (2048, 1000)}
    classifiers = [{"name": name, "N": n, "M": m} for name, (n, m) in sides.items()]
    found = {"printed": printed, "averages": averages, "reported": reported, "dated": dated, "language": []}
    return found | {"classifiers": classifiers}


def error(dated: list[dict], row: dict, date: str) -> float | None:
    """Top-1 error by a source of that date, or by the only one."""
    mine = {one["source_date"]: one["value"] for one in dated
            if one["model_id"] == row["model_id"] and one["metric"] == "top1_error"}  # fmt: skip
    return mine.get(date, *([] if len(mine) != 1 else mine.values()))


def table_1(found: dict[str, list[dict]]) -> list[Cell]:
    """Accuracy = a + b * metric by series; ResNet-1K by later errors too; files of other models by name."""
    cells = []

    def accuracy(row: dict, date: str) -> float | None:
        value = error(found["dated"], row, date)
        return None if value is None else 100 - value

    for series in ("VGG", "ResNet", "ResNet-1K", "DenseNet"):
        rows = [r for r in found["printed"] if r["series"] == series and not r["name"].startswith("osmr/")]
        assert len(rows) == SIZES[series]

        def lines(table: str, row: str, y: list, names: dict, rows: list[dict] = rows) -> list[Cell]:
            made = [line(table, row, label, [r[m] for r in rows], y, basis="printed averages") for m, label in names]
            return [cell for each in made for cell in each]

        y = [accuracy(r, "2019") for r in rows]
        cells += lines("NC_T1", series, y, METRICS.items())
        cells += lines("DRAFT_T1", series, y, zip(DRAFT, DRAFT, strict=True))
        if series == "ResNet-1K":
            later = [accuracy(r, "2019" if r["name"] == "resnet-1k2" else "2021") for r in rows]
            cells += lines("NC_T1_CORRECTED", "ResNet-1K, errors of Mar 2021", later, METRICS.items())
        if series in ("VGG", "ResNet-1K"):  # vgg1 has the classifier of vgg0, resnet-1k0 of no known one
            y = [y[0], y[0], *y[2:]] if series == "VGG" else y
            cells += lines("NC_T1_CORRECTED", f"{series}, files matched by shape", y, METRICS.items())
    return adjusted(cells)


def series_lines(found: dict[str, list[dict]]) -> list[Cell]:
    """reported = a + b * metric by profile and series; own2 is own1 under a second name."""
    models = [*found["printed"], *(one for one in found["averages"] if one["profile"] == "q")]
    y = {one["model_id"]: one["value"] for one in found["reported"] if one["dataset"]}
    groups: dict[str, list[dict]] = {}
    for one in models:
        if one["model_id"] in y and one["name"] != "own2":
            groups.setdefault(f"{one['profile']} / d / e / {one['series'] or 'no series'}", []).append(one)
    cells = []
    for row, own in sorted(groups.items()):
        if len(own) < 4:
            why = f"too few models: {len(own)} with the reported metric, at least 4 are needed"
            cells.append(Cell("SERIES", row, "models", None, len(own), None, "too few models", why))
            continue
        for name, label in METRICS.items():
            x, basis = [one[name] for one in own], own[0]["basis"]
            cells += line("SERIES", row, label, x, [y[one["model_id"]] for one in own], basis=basis)
    return adjusted(cells)


@pytest.mark.parametrize("seed", range(2))
def test_every_table_of_the_paper(seed: int) -> None:
    given = designs(seed)
    found = natcomm2021.run(given, natcomm2021.Options(), PRINTED)
    series = supplement.series(given["printed"], lambda row, date: error(given["dated"], row, date), PRINTED)
    tables = [*table_1(given), *supplement.tables(series)]
    judged = judge(tables, printed_cells(PRINTED["tables"]), PRINTED["explained"])
    shapes = audit.shapes(given["classifiers"], PRINTED["classifier_inputs"])
    assert [one.verdict for one in shapes] == ["is vgg0", "is vgg0", "is resnet0", "is none that is known"]
    guards = [*shapes, *audit.normalisation(given["printed"], series)]
    guards += [*audit.counts(given["printed"], series, PRINTED["counts"]), *audit.means(series)]
    guards += audit.summaries(judged)
    lines = series_lines(given)
    assert list(found.cells) == near([*judged, *guards, *lines])
    verdicts = {cell.column: cell.verdict for cell in found.cells if cell.published is not None}
    assert verdicts["R2 alpha-hat"] == "differs"
    small = [cell for cell in lines if cell.verdict]
    groups = len({cell.row for cell in lines})
    notes = [*audit.sentences(judged), *audit.findings(guards)]
    notes.append(
        "in no line, for their data set is not known: numbers of 'no data set', 3 (study.datasets asks for them)"
    )
    notes.append(f"direction: reported = a + b * metric, {groups} groups, {len(small)} of them too small")
    notes += [f"{cell.row}: {cell.reason}" for cell in small]
    names = "DenseNet (3), Other (5), ResNet (1), ResNet-1K (6), VGG (5), no series (1)"
    notes.append(f"no regression for models without a reported number of a target: {names}")
    assert list(found.notes) == notes


def test_every_model_of_the_design_with_what_left_it_out() -> None:
    given = designs(0)
    found = natcomm2021.run(given, natcomm2021.Options(), PRINTED)
    y = {one["model_id"]: one["value"] for one in given["reported"] if one["dataset"]}
    models = [*given["printed"], *(one for one in given["averages"] if one["profile"] == "q")]
    expected = []
    for one in models:
        base = {name: one[name] for name in ("model_id", "profile", "series", "rule")}
        if one["model_id"] in y:
            second = "the same model as z/own1" if one["name"] == "own2" else None
            expected.append(
                base | {"used_for": "SERIES d / e", "dataset": "d", "excluded_by": second} | {"y": y[one["model_id"]]}
            )
        else:
            base |= {"used_for": "SERIES", "dataset": one["dataset"], "y": None}
            expected.append(base | {"excluded_by": "no e reported"})
    key = lambda row: (row["profile"], row["model_id"])  # noqa: E731
    assert [row["used_for"] for row in found.design[:5]] == ["NC_S"] * 5
    assert sorted(found.design[5:], key=key) == sorted(expected, key=key)
    nothing = natcomm2021.run(given | {"reported": []}, natcomm2021.Options(), PRINTED)
    assert nothing.notes[-1].startswith("no model has a reported metric: nothing to regress on")
    other = natcomm2021.run(given | {"printed": [], "averages": given["averages"][3:]}, natcomm2021.Options(), PRINTED)
    assert {cell.table_id for cell in other.cells} == {"SERIES"}


def test_points_of_the_papers_figures() -> None:
    given = designs(1)
    figure = printed_figures.figure_1(given, PRINTED)
    assert list(figure) == ["VGG", "ResNet", "ResNet-1K", "DenseNet"]
    for series, rows in figure.items():
        own = [r for r in given["printed"] if r["series"] == series and not r["name"].startswith("osmr/")]
        assert [row["model_id"] for row in rows] == [r["name"] for r in own]
        for row, one in zip(rows, own, strict=True):
            value = error(given["dated"], one, "2019" if one["name"] == "resnet-1k2" else "2021")
            expected = {"model_id": one["name"], "group": series, "dataset": "imagenet-1k", "target": "top1_accuracy"}
            expected |= {"profile": PUBLISHED, "reported": None if value is None else 100 - value}
            assert row == expected | {name: one[name] for name in METRICS}
    series = supplement.series(given["printed"], lambda row, date: error(given["dated"], row, date), PRINTED)
    points = printed_figures.supplement_points(given, PRINTED)
    ((group, own),) = series.final.items()
    assert group == ("cifar-10", "VGG")
    assert [(row["model_id"], row["reported"]) for row in points] == [(one.name, one.y) for one in own]
    assert {row["model_id"] for row in points} == {"vgg6", "vgg7", "vgg8", "vgg10"}
    assert {(row["group"], row["dataset"], row["target"]) for row in points} == {
        ("cifar-10 / VGG", "five data sets", "top1_error")
    }
    assert [{m: row[m] for m in supplement.METRICS} for row in points] == [
        {m: one.x[m] for m in supplement.METRICS} for one in own
    ]
    nothing = given | {"printed": [], "averages": given["averages"][3:]}
    assert printed_figures.figure_1(nothing, PRINTED) == {}
    assert printed_figures.supplement_points(nothing, PRINTED) == []


def test_the_rows_of_models_and_their_language_tables() -> None:
    given = designs(0)
    rows = natcomm2021.model_rows(given)
    assert rows == [*given["printed"], *(one for one in given["averages"] if one["profile"] == "q")]
    spoken = [
        {"name": "gpt2 medium", "layer_id": i, "layer_type": "dense"} | dict.fromkeys((*METRICS, "alpha"), 1.0 * i)
        for i in range(3)
    ]
    found = natcomm2021.run(given | {"language": spoken}, natcomm2021.Options(), PRINTED)
    assert [c for c in found.cells if c.table_id == "NC_T2"] == [
        c for c in language.tables(spoken, given["printed"]) if c.table_id == "NC_T2"
    ]
