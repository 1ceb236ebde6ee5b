"""Every study on planted populations: it finds what was put there, and says what is missing."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.jobs.studies.ask import study
from tests.jobs.studies.conftest import write_catalog, write_model
from zoospectra.analysis.studies import STUDIES, flow
from zoospectra.analysis.studies.contest import average
from zoospectra.analysis.studies.record import Cell
from zoospectra.analysis.studies.target import targets, unnamed
from zoospectra.jobs.main import main
from zoospectra.jobs.show.markup import latex
from zoospectra.jobs.show.tables import safe
from zoospectra.warehouse.build import build
from zoospectra.warehouse.query import query


def run(name: str, warehouse: Path, **options):
    return study(name, warehouse, options).findings


def test_simpson_finds_the_planted_reversal(planted: Path) -> None:
    found = run("simpson", planted, metrics=["alpha", "log_norm"], replicates=300)
    cells = {(cell.row, cell.column): cell for cell in found.cells if cell.table_id == "SIMPSON"}
    first = next(iter(cells.values()))
    assert first.row == "weightwatcher / toy / test_accuracy / alpha by depth"
    assert first.verdict == "reversal"
    assert cells[first.row, "pooled slope"].value > 0 > cells[first.row, "within slope"].value
    assert cells[first.row, "mixed slope"].value < 0
    assert cells[first.row, "chance p"].value == pytest.approx(0.0001)
    assert cells["weightwatcher / toy / test_accuracy / log_norm by width", "pooled slope"].verdict != "reversal"
    groups = [cell for cell in found.cells if cell.table_id == "SIMPSON_GROUPS" and "alpha by depth" in cell.row]
    assert {cell.verdict for cell in groups} == {"falls"}
    assert len(groups) == 4 * 12  # statistics of a line, its p adjusted twice
    assert any("alpha by depth: reversal" in note for note in found.notes)


def test_the_full_statistics_of_every_line(planted: Path) -> None:
    found = run("simpson", planted, metrics=["alpha"], replicates=300)
    lines = {
        cell.column: cell for cell in found.cells if cell.row == "weightwatcher / toy / test_accuracy / depth-1 / alpha"
    }
    assert {"slope", "slope low", "slope p", "slope p, adjusted", "Theil-Sen slope", "Shapiro-Wilk p"} <= set(lines)
    assert lines["slope low"].value < lines["slope"].value < lines["slope high"].value < 0
    assert lines["slope p, adjusted"].value >= lines["slope p"].value
    assert lines["bootstrap low"].value < lines["slope"].value < lines["bootstrap high"].value
    shares = {
        cell.column: cell.value
        for cell in found.cells
        if cell.row == "weightwatcher / toy / test_accuracy / POOLED / reported"
    }
    assert shares["scale"] + shares["shape"] == pytest.approx(shares["r2"])


def test_contest_shows_pooled_beside_averages_of_sub_groups(planted: Path) -> None:
    found = run("contest", planted)
    tau = {cell.row.rpartition(" / ")[2]: cell.value for cell in found.cells if cell.column == "tau Alpha"}
    groups = [tau[f"depth-{depth}"] for depth in (1, 2, 3, 4)]
    assert tau["AVG"] == pytest.approx(sum(groups) / 4)
    assert max(groups) < 0 < tau["POOLED"]  # the reversal that the paper's tables cannot show
    tables = {cell.table_id for cell in found.cells}
    assert tables == {"C_T1", "C_T2", "C_T5", "C_SCORE"}
    score = [cell for cell in found.cells if cell.table_id == "C_SCORE" and cell.row.endswith("/ Alpha")]
    assert [cell.column for cell in score] == ["cmi_official", "cmi_weighted"]
    assert all(0 <= cell.value <= 100 for cell in score)
    assert score[0].reason == "hyperparameters held fixed: depth and width"


def test_the_papers_average_rows_are_plain_means(shared: Path) -> None:
    """contest_tables.csv: AVG is the mean of the sub-groups as printed, up to the rounding of each."""
    values: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    with (shared / "reference" / "contest_tables.csv").open() as file:
        for row in csv.DictReader(file):
            values[row["table"], row["task"], row["metric"], row["statistic"]][row["subgroup"]] = row["value"]
    checked = 0
    for (table, task, metric, statistic), groups in values.items():
        if "AVG" in groups and statistic != "label":
            cells = [
                Cell(table, f"{task} / {name}", f"{statistic} {metric}", float(value))
                for name, value in groups.items()
                if name != "AVG"
            ]
            (mine,) = average(cells, "AVG")
            digits = len(groups["AVG"].partition(".")[2])
            assert mine.value == pytest.approx(float(groups["AVG"]), abs=0.51 * 10**-digits), (table, task, metric)
            assert mine.n == len(cells)
            checked += 1
    assert checked == 34


def test_flow(planted: Path) -> None:
    found = run("flow", planted)
    rows = {(cell.row, cell.column): cell for cell in found.cells}
    net = "weightwatcher / toy/net03"  # depth 4: alpha about 6.5
    assert rows[net, "median"].value == pytest.approx(6.5, abs=1.2)
    assert rows[net, "dispersion"].value < 0.3
    layers = query(
        planted, "SELECT alpha FROM layer_metrics WHERE model_id = 'toy/net03' ORDER BY layer_id"
    ).to_pylist()
    alphas = [row["alpha"] for row in layers]
    assert rows[net, "outliers"].value == sum(alpha > 6 for alpha in alphas) / 8
    steps = [abs(b - a) for a, b in pairwise(alphas)]
    assert rows[net, "roughness"].value == pytest.approx(sum(steps) / 7)
    assert any(cell.table_id == "FLOW_SERIES" and cell.column == "tau median" for cell in found.cells)


def test_flow_says_why_a_number_is_missing() -> None:
    base = {
        "profile": "p",
        "outliers": 0.0,
        "median": 3.0,
        "reported": None,
        "series": "s",
        "name": "n",
        "dataset": "d",
    }
    rows = [base | {"model_id": "short", "layers": 2}, base | {"model_id": "long", "layers": 9, "mad": None}]
    found = flow.STUDY.run({"flow": rows, "reported": []}, flow.Options())
    reasons = {(cell.row, cell.column): cell.reason for cell in found.cells if cell.table_id == "FLOW"}
    assert reasons["p / short", "median"] == f"2 layers, at least {flow.FEW} are needed"
    assert reasons["p / long", "median"] is None
    assert reasons["p / long", "mad"] == "not defined for these layers"


def test_drift_tells_new_gone_retrained_and_changed_numbers(tmp_path: Path) -> None:
    data = tmp_path / "data"

    def accuracy(model: str, value: float, revision: str = "r") -> dict:
        row = {"model_id": model, "metric": "test_accuracy", "value": value, "higher_is_better": True}
        return row | {"revision": revision}

    write_model(data, "toy/a", [3.0, 4.0], [0.0, 0.0])
    write_catalog(data, "s1", [{"model_id": "toy/a"}, {"model_id": "toy/b"}], [accuracy("toy/a", 90.0)], day=0)
    write_model(data, "toy/a", [5.0, 4.0], [0.0, 0.0], revision="r2")
    models = [{"model_id": "toy/a", "revision": "r2"}, {"model_id": "toy/c"}]
    write_catalog(data, "s2", models, [accuracy("toy/a", 88.0, "r2")], day=2)
    build(data)
    found = run("drift", data, since="2026-11-02")
    said = {cell.row: cell.verdict for cell in found.cells if cell.table_id == "DRIFT_MODELS"}
    assert said == {"toy/c": "new", "toy/b": "gone", "toy/a": "retrained"}
    cells = {(cell.row, cell.column): cell for cell in found.cells}
    assert cells["weightwatcher / toy/a", "alpha change"].value == pytest.approx(1.0)
    changed = cells["toy/a / toy / test_accuracy", "change"]
    assert (changed.value, changed.verdict) == (pytest.approx(-2.0), "worse")
    assert "toy/c" not in {cell.row for cell in run("drift", data, since="2026-11-20").cells}
    with pytest.raises(ValueError, match="expected a time"):
        run("drift", data, since="yesterday")


# kin asks for what the verb kin keeps, see tests/jobs/test_kin.py
@pytest.mark.parametrize("name", sorted(set(STUDIES) - {"natcomm2021", "kin"}))
def test_every_study_runs_from_the_command_line_and_keeps_its_results(name: str, planted: Path, capsys) -> None:
    assert main(["study", f"study={name}", f"warehouse.dir={planted}", "figures=none"]) == 0
    capsys.readouterr()
    rows = query(planted, f"SELECT value, reason, verdict FROM study_results WHERE study = '{name}'").to_pylist()
    assert all(row["value"] is None or math.isfinite(row["value"]) for row in rows)
    assert all(row["reason"] for row in rows if row["value"] is None)
    for file in ("cells.csv", "cells.parquet", "design.csv", "design.parquet", "notes.txt"):
        assert (planted / "studies" / name / file).is_file()


def test_a_warehouse_without_reported_numbers_says_so(tmp_path: Path) -> None:
    write_model(tmp_path, "toy/a", [3.0] * 4, [0.0, 0.1, 0.2, 0.3])
    build(tmp_path)
    for name in ("contest", "simpson", "natcomm2021"):
        assert any("no model has a reported metric" in note for note in run(name, tmp_path).notes)


def test_options_that_name_what_is_not_there(planted: Path) -> None:
    with pytest.raises(ValueError, match="top5"):
        run("contest", planted, targets=["top5"])
    with pytest.raises(ValueError, match="groupings=colour: expected some of"):
        run("simpson", planted, groupings=["colour"])
    with pytest.raises(ValueError, match="unknown study"):
        study("nothing", planted)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("simpson", {"metrics": ["bogus"]}, "metrics=bogus: expected some of"),
        ("simpson", {"metric": ["alpha"]}, "unknown key 'study.metric' .*did you mean 'study.metrics'"),
        ("simpson", {"profile": "none"}, "profile=none: expected some of weightwatcher"),
        ("simpson", {"datasets": ["none"]}, "datasets=none: expected some of toy"),
        ("simpson", {"smallest": 1}, "smallest=1: expected at least 3"),
        ("contest", {"metrics": ["bogus"]}, "metrics=bogus: expected some of"),
        ("contest", {"hyperparameters": ["bogus"]}, "hyperparameters=bogus: expected some of"),
        ("contest", {"grouping": "bogus"}, "grouping=bogus: expected some of"),
        ("contest", {"groupings": ["depth"]}, "unknown key 'study.groupings' .*did you mean 'study.grouping'"),
        ("collapse", {"profile": "none"}, "profile=none: expected some of weightwatcher"),
        ("collapse", {"claims": {"alpha": "nonsense"}}, "claims.alpha=nonsense: expected some of base larger"),
        ("collapse", {"claims": {"beta": "base larger"}}, "claims=beta: expected some of"),
        ("collapse", {"claims": {"alpha": "base larger"}}, "claims=.*expected base=GLOB"),
        ("collapse", {"model": "nobody*"}, "model=nobody.*: matches no model"),
        ("collapse", {"thresholds": {"robust_y": 3}}, "unknown key 'study.thresholds.robust_y' .*robust_z"),
        ("health", {"profile": "none"}, "profile=none: expected some of weightwatcher"),
        ("health", {"thresholds": {"robust_z": -1}}, "study.thresholds.robust_z=-1.0: expected a number above 0"),
        ("flow", {"replicates": 100}, "unknown key 'study.replicates'"),
        ("flow", {"thresholds": {"largest": "inf"}}, "study.thresholds.largest=inf: expected a number above 0"),
        ("flow", {"source_date": "yesterday"}, "study.source_date=yesterday: expected a date such as"),
        ("simpson", {"source_date": "20261301"}, "study.source_date=20261301: expected a date such as"),
        ("simpson", {"seed": -1}, "study.seed=-1: expected at least 0"),
        ("seeds", {"treatment": "series"}, "treatment=series: expected a column of numbers"),
        ("alpha_hat", {"edges": [1, "nan"]}, "study.edges=.*: expected ascending bounds"),
        ("drift", {"since": "yesterday"}, "since=yesterday: expected a time"),
        ("natcomm2021", {"targets": ["top7"]}, "targets=top7: expected some of test_accuracy, train_accuracy"),
    ],
)
def test_an_option_that_means_nothing_is_refused_by_name(name: str, options: dict, message: str, planted: Path) -> None:
    with pytest.raises(ValueError, match=message):
        study(name, planted, options)


def test_nested_keys_work_on_the_command_line(planted: Path, capsys) -> None:
    assert main(["study", "study=flow", "study.thresholds.largest=5", f"warehouse.dir={planted}"]) == 0
    assert "alpha above 5" in capsys.readouterr().out
    assert main(["study", "study=flow", "study.thresholds.larges=5", f"warehouse.dir={planted}"]) == 2
    assert "did you mean 'study.thresholds.largest'" in capsys.readouterr().err


def test_two_studies_of_one_kind_keep_their_results_apart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name, top in (("base", 0.0), ("model", 0.5)):
        write_model(data, f"toy/{name}", [3.0] * 6, [top + 0.01 * i for i in range(6)])
    build(data)
    study("collapse", data)
    study("distiller", data, {"model": "toy/model", "base": "toy/base"})
    rows = query(data, "SELECT DISTINCT study FROM study_results ORDER BY 1").to_pylist()
    assert [row["study"] for row in rows] == ["distiller"]
    assert (data / "studies" / "collapse").is_dir()
    assert (data / "studies" / "distiller").is_dir()


def reported(*rows: tuple[str, str, str]) -> list[dict]:
    return [
        {"model_id": model, "metric": metric, "dataset": dataset, "value": 1.0, "higher_is_better": True}
        for model, metric, dataset in rows
    ]


def test_the_target_of_a_data_set_is_the_metric_that_most_models_share() -> None:
    pairs = [("a", "train_accuracy"), ("b", "train_accuracy"), ("a", "test_accuracy"), ("a", "test_loss")]
    rows = reported(*((model, metric, "d") for model, metric in [*pairs, ("b", "test_loss")]))
    assert [one.label for one in targets(rows)] == ["d / test_loss"]
    assert [one.label for one in targets(rows, ["train_accuracy"])] == ["d / train_accuracy"]
    assert targets([]) == []


def test_numbers_of_two_data_sets_never_meet() -> None:
    rows = reported(("a", "miou", "voc"), ("a", "miou", "coco"), ("b", "miou", "coco"), ("a", "top1", "voc"))
    found = {one.label: dict(one.values) for one in targets(rows, ["miou", "top1"])}
    assert found == {
        "coco / miou": {"a": 1.0, "b": 1.0},
        "voc / miou": {"a": 1.0},
        "voc / top1": {"a": 1.0},
    }
    assert [one.label for one in targets(rows, ["miou"], ["voc"])] == ["voc / miou"]


def test_numbers_of_unknown_data_sets_are_in_no_line_unless_asked_for() -> None:
    """They may come from several: a hub's cards call them all 'unknown'."""
    rows = reported(("a", "acc", "unknown"), ("b", "acc", "unknown"), ("a", "acc", "d"), ("c", "acc", None))
    assert [one.label for one in targets(rows)] == ["d / acc"]
    assert [one.label for one in targets(rows, datasets=["unknown"])] == ["unknown / acc"]
    assert [note.partition("numbers of ")[2].partition(" (")[0] for note in unnamed(rows)] == [
        "'no data set', 1", "'unknown', 2",
    ]  # fmt: skip
    assert unnamed(rows, ["unknown"]) == ()


@pytest.fixture(scope="module")
def two_datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 models whose accuracy falls with alpha on 'clean', and whose numbers on 'noise' are unrelated and come last.

    Each number on 'clean' has an older source that is wrong by 50, and two models are there under a second name.
    """
    data = tmp_path_factory.mktemp("two") / "data"
    rng = np.random.default_rng(3)
    models, rows = [], []
    for i in range(22):
        name, alpha = f"toy/net{i:02d}", 2.0 + 0.1 * (i % 20)
        first = f"toy/net{i % 20:02d}"
        models.append({"model_id": name, "name": name, "series": "one", "dataset": "clean"})
        base = {"model_id": name, "metric": "test_accuracy", "higher_is_better": True}
        clean = 90.0 - 3 * alpha + 0.1 * np.random.default_rng(i % 20).normal()
        rows.append(base | {"dataset": "clean", "value": clean, "source_date": "2026-02-01"})
        rows.append(base | {"dataset": "clean", "value": clean - 50 * rng.random(), "source_date": "2026-01-01"})
        rows.append(base | {"dataset": "noise", "value": 100 * rng.random(), "source_date": "2026-03-01"})
        write_model(data, name, [alpha] * 4, [0.1] * 4, contents=[f"{first} {k}" for k in range(4)])
    write_catalog(data, "s1", models, rows)
    build(data)
    return data


def test_a_line_uses_the_numbers_of_its_data_set_and_its_newest_source(two_datasets: Path) -> None:
    for name, column, row in (
        ("simpson", "R2", "weightwatcher / clean / test_accuracy / POOLED / alpha"),
        ("natcomm2021", "R2 log Frobenius", "weightwatcher / clean / test_accuracy / one"),
        ("flow", "R2 median", "weightwatcher / clean / test_accuracy / one"),
        ("contest", "R2 Alpha", "weightwatcher / clean / test_accuracy / one"),
    ):
        cells = {(cell.row, cell.column): cell for cell in run(name, two_datasets).cells}
        assert (row, column) in cells, name
        assert (row.replace("clean", "noise"), column) in cells
        assert cells[row, column].n == 20, name  # 22 names
        if "Frobenius" not in column:
            assert cells[row, column].value > 0.99
            assert cells[row.replace("clean", "noise"), column].value < 0.5
    older = run("simpson", two_datasets, source_date="2026-01-15", metrics=["alpha"])
    assert next(cell.value for cell in older.cells if cell.column == "R2") < 0.5
    assert not any("noise" in cell.row for cell in older.cells)
    span = r"2020-01-01: expected the date of a source, from 2026-01-01 \(the last source is of 2026-03-01\)"
    with pytest.raises(ValueError, match=span):
        run("simpson", two_datasets, source_date="2020-01-01")
    left = [row for row in run("simpson", two_datasets, datasets=["clean"]).design if row["excluded_by"]]
    assert [row["excluded_by"] for row in left] == ["the same model as toy/net00", "the same model as toy/net01"]


def test_the_macro_has_a_row_a_data_set(two_datasets: Path) -> None:
    rows = query(two_datasets, "FROM regress('alpha', 'test_accuracy')").to_pylist()
    assert [(row["dataset"], row["group"], row["n"]) for row in rows] == [
        ("clean", "one", 20), ("clean", "(all)", 20), ("noise", "one", 20), ("noise", "(all)", 20),
    ]  # fmt: skip
    assert rows[0]["r2"] > 0.99
    assert rows[2]["r2"] < 0.5
    only = query(two_datasets, "FROM regress('alpha', 'test_accuracy', dataset_name := 'noise')").to_pylist()
    for row, one in zip(only, rows[2:], strict=True):  # DuckDB's threads add in any order
        assert row == {name: pytest.approx(value) if isinstance(value, float) else value for name, value in one.items()}
    older = query(two_datasets, "FROM regress('alpha', 'test_accuracy', not_after := '2026-01-15')").to_pylist()
    assert {row["dataset"] for row in older} == {"clean"}
    assert older[0]["r2"] < 0.5
    doubles = query(two_datasets, "SELECT model_id, double_of FROM doubles").to_pylist()
    assert doubles == [{"model_id": f"toy/net2{i}", "double_of": f"toy/net0{i}"} for i in (0, 1)]


def test_every_table_of_lines_has_interval_p_and_normality(planted: Path) -> None:
    wanted = {"slope low", "slope high", "slope p", "slope p, adjusted", "Shapiro-Wilk p", "intercept", "covariance"}
    labels = {
        "LINES": "",
        "SERIES": " log spectral",
        "FLOW_SERIES": " median",
        "C_T5": " Alpha",
        "C_T2": " training vs test",
    }
    for name in ("simpson", "natcomm2021", "flow", "contest"):
        found = run(name, planted)
        for table in {cell.table_id for cell in found.cells} & set(labels):
            columns = {cell.column for cell in found.cells if cell.table_id == table}
            assert {f"{word}{labels[table]}" for word in wanted} <= columns, table
        p = [cell for cell in found.cells if cell.column.startswith("slope p")]
        for raw, other in zip(p[::2], p[1::2], strict=True):
            assert other.column.startswith("slope p, adjusted")
            assert raw.value is None or other.value >= raw.value * (1 - 1e-12)


def test_names_from_outside_are_harmless_in_files_and_latex() -> None:
    assert safe("../../etc/passwd") == "etc-passwd"
    assert latex("a_b & 50% #1 \\x") == r"a\_b \& 50\% \#1 \textbackslash{}x"
