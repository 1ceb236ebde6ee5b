"""Every study on planted populations: it finds what was put there, and says what is missing."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from tests.jobs.studies.conftest import write_catalogue, write_model
from zoospectra.analysis.studies.collapse import robust_z
from zoospectra.analysis.studies.contest import average
from zoospectra.analysis.studies.record import Cell
from zoospectra.analysis.studies.target import choose
from zoospectra.jobs.main import main
from zoospectra.jobs.show.tables import escape, safe
from zoospectra.jobs.verbs.study import STUDIES, study
from zoospectra.warehouse.build import build
from zoospectra.warehouse.query import query


def run(name: str, warehouse: Path, **options):
    return study(name, warehouse, options).findings


def test_simpson_finds_the_planted_reversal(planted: Path) -> None:
    found = run("simpson", planted, metrics=["alpha", "log_norm"], replicates=300)
    cells = {(cell.row, cell.column): cell for cell in found.cells if cell.table_id == "SIMPSON"}
    first = next(iter(cells.values()))
    assert first.row == "weightwatcher / toy / alpha by depth"
    assert first.verdict == "reversal"
    assert cells[first.row, "pooled slope"].value > 0 > cells[first.row, "within slope"].value
    assert cells[first.row, "mixed slope"].value < 0
    assert cells[first.row, "chance p"].value == pytest.approx(0.001)
    assert cells["weightwatcher / toy / log_norm by width", "pooled slope"].verdict != "reversal"
    groups = [cell for cell in found.cells if cell.table_id == "SIMPSON_GROUPS" and "alpha by depth" in cell.row]
    assert {cell.verdict for cell in groups} == {"falls"}
    assert len(groups) == 12
    assert any("alpha by depth: reversal" in note for note in found.notes)


def test_the_full_statistics_of_every_line(planted: Path) -> None:
    found = run("simpson", planted, metrics=["alpha"], replicates=300)
    lines = {cell.column: cell for cell in found.cells if cell.row == "weightwatcher / toy / depth-1 / alpha"}
    assert {"slope", "slope low", "slope p", "slope p, adjusted", "Theil-Sen slope", "Shapiro-Wilk p"} <= set(lines)
    assert lines["slope low"].value < lines["slope"].value < lines["slope high"].value < 0
    assert lines["slope p, adjusted"].value >= lines["slope p"].value
    assert lines["bootstrap low"].value < lines["slope"].value < lines["bootstrap high"].value
    shares = {cell.column: cell.value for cell in found.cells if cell.row == "weightwatcher / toy / POOLED / reported"}
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
    assert 0 <= score[0].value <= 100
    assert score[0].reason == "given depth and width"


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


def test_collapse_between_two_versions_names_the_layers_that_moved(tmp_path: Path) -> None:
    data = tmp_path / "data"
    alphas = [3.0 + 0.01 * i for i in range(8)]
    write_model(data, "toy/old", alphas, [0.01 * i for i in range(8)])
    moved = [0.01 * i + (1.0 if i in (2, 5) else 0.001 * i) for i in range(8)]
    write_model(data, "toy/new", alphas, moved)
    build(data)
    claims = {"log_spectral_norm": "base larger", "log_norm": "base smaller"}
    found = run("collapse", data, model="toy/new", base="toy/old", claims=claims)
    named = {cell.row for cell in found.cells if cell.verdict == "moved up"}
    assert named == {"weightwatcher / l2", "weightwatcher / l5"}
    means = {cell.row: cell for cell in found.cells if cell.table_id == "COLLAPSE_MEANS"}
    assert "reversed" in means["weightwatcher / mean log_spectral_norm"].reason
    assert means["weightwatcher / mean log_norm"].reason == "as claimed"
    with pytest.raises(ValueError, match="matches 2 models"):
        run("collapse", data, model="toy/*", base="toy/old")
    with pytest.raises(ValueError, match="name both versions"):
        run("collapse", data, base="toy/old")


def test_collapse_within_a_model(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_model(data, "toy/a", [3.0] * 8, [0.1, 0.2, 0.15, -3.0, 0.12, 0.18, 0.22, 0.16])
    write_model(data, "toy/b", [3.0] * 3, [0.0, 0.1, -5.0])
    build(data)
    found = run("collapse", data)
    assert {cell.row for cell in found.cells} == {"weightwatcher / toy/a / l3"}
    assert any("too few to compare" in note for note in found.notes)


def test_robust_z() -> None:
    assert robust_z([1.0, 2.0, 3.0, 4.0, 100.0])[4] == pytest.approx(97 / 1.4826)
    assert robust_z([1.0, 1.0, 1.0, 9.0]) == [None] * 4
    assert robust_z([]) == []


def test_health_names_what_to_look_at(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_model(data, "toy/ill", [3.0, 7.5, 1.5, 3.1, 3.2, 3.3], [0.0, 0.1, 0.05, 0.02, 9.0, 0.04])
    write_model(data, "toy/well", [3.0, 3.1, 3.2, 3.3], [0.0, 0.1, 0.05, 0.02])
    build(data)
    found = run("health", data, model="toy/*")
    checks = {cell.row: cell for cell in found.cells if cell.table_id == "HEALTH"}
    assert {row for row, cell in checks.items() if cell.verdict == "look at it"} == {
        "weightwatcher / toy/ill / under-trained",
        "weightwatcher / toy/ill / over-trained",
        "weightwatcher / toy/ill / scale",
    }
    assert all(cell.reason and "threshold" in cell.reason for row, cell in checks.items() if "trained" in row)
    flagged = {cell.row for cell in found.cells if cell.table_id == "HEALTH_LAYERS"}
    assert flagged == {f"weightwatcher / toy/ill / l{i}" for i in (1, 2, 4)}
    assert "weightwatcher / toy/well: nothing to object to" in found.notes
    with pytest.raises(ValueError, match="matches no model"):
        run("health", data, model="nobody")


def test_drift_tells_new_gone_retrained_and_changed_numbers(tmp_path: Path) -> None:
    data = tmp_path / "data"

    def accuracy(model: str, value: float, revision: str = "r") -> dict:
        row = {"model_id": model, "metric": "test_accuracy", "value": value, "higher_is_better": True}
        return row | {"revision": revision}

    write_model(data, "toy/a", [3.0, 4.0], [0.0, 0.0])
    write_catalogue(data, "s1", [{"model_id": "toy/a"}, {"model_id": "toy/b"}], [accuracy("toy/a", 90.0)], day=0)
    write_model(data, "toy/a", [5.0, 4.0], [0.0, 0.0], revision="r2")
    models = [{"model_id": "toy/a", "revision": "r2"}, {"model_id": "toy/c"}]
    write_catalogue(data, "s2", models, [accuracy("toy/a", 88.0, "r2")], day=2)
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


@pytest.mark.parametrize("name", sorted(set(STUDIES) - {"natcomm2021"}))
def test_every_study_runs_from_the_command_line_and_keeps_its_results(name: str, planted: Path, capsys) -> None:
    assert main(["study", f"study={name}", f"warehouse.dir={planted}"]) == 0
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
        run("contest", planted, target="top5")
    with pytest.raises(ValueError, match="is no column of the catalogue"):
        run("simpson", planted, groupings=["colour"])
    with pytest.raises(ValueError, match="profile 'none' is not in the warehouse"):
        run("simpson", planted, profile="none")
    with pytest.raises(ValueError, match="unknown study"):
        study("nothing", planted)


def test_the_target_is_the_metric_that_most_models_share() -> None:
    pairs = [("a", "train_accuracy"), ("b", "train_accuracy"), ("a", "test_accuracy"), ("a", "test_loss")]
    rows = [
        {"model_id": model, "metric": metric, "value": 1.0, "higher_is_better": True}
        for model, metric in [*pairs, ("b", "test_loss")]
    ]
    assert choose(rows).metric == "test_loss"
    assert choose(rows, "train_accuracy").metric == "train_accuracy"
    assert choose([]) is None


def test_names_from_outside_are_harmless_in_files_and_latex() -> None:
    assert safe("../../etc/passwd") == "etc-passwd"
    assert escape("a_b & 50% #1 \\x") == r"a\_b \& 50\% \#1 \textbackslash{}x"
