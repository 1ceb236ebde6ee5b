"""The paper's tables from its public data: every printed number, the audit, and the same study on other zoos."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.jobs.studies.ask import study
from tests.jobs.zoos import make_zoo
from zoospectra.analysis.studies import study as kind_of
from zoospectra.analysis.studies.natcomm2021 import _general, model_rows
from zoospectra.analysis.studies.record import parameters
from zoospectra.analysis.studies.target import targets
from zoospectra.jobs.call import call
from zoospectra.jobs.main import main
from zoospectra.jobs.verbs.study import Done
from zoospectra.warehouse.query import query
from zoospectra.warehouse.studies import designs, selects

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "statistics.md").read_text()
TABLES = {"NC_T1": 48, "DRAFT_T1": 16, "NC_T1_CORRECTED": 3, "NC_T2": 25, "NC_TEXT_GPT2": 11, "NC_S_RMSE": 108}
TABLES |= {
    "NC_S_R2": 108,
    "NC_S_KTAU": 108,
    "NC_T3": 24,
    "DRAFT_T3": 17,
    "NC_S_ARCH": 90,
    "DRAFT_T5": 5,
    "DRAFT_T6": 17,
}


@pytest.fixture(scope="module")
def warehouse(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper") / "data"
    call("scan", "zoo=published", f"zoo.path={shared / 'reference' / 'raw'}", f"warehouse.dir={folder}")
    return folder


@pytest.fixture(scope="module")
def done(warehouse: Path) -> Done:
    return study("natcomm2021", warehouse)


def expected(shared: Path) -> list[dict[str, str]]:
    with (shared / "reference" / "expected.csv").open() as file:
        return list(csv.DictReader(file))


def key(row: dict[str, str]) -> tuple[str, str, str]:
    return row["table_id"], re.sub(r" \(n=\d+\)$", "", row["row"]), row["column"].strip("'")


def test_every_cell_of_the_reference_is_recomputed(done: Done, shared: Path) -> None:
    """662 cells, printed or not; the reference has six digits."""
    cells = {(cell.table_id, cell.row, cell.column): cell for cell in done.findings.cells}
    rows = expected(shared)
    assert len(rows) == 662
    for row in rows:
        assert cells[key(row)].value == pytest.approx(float(row["recomputed"]), rel=1e-5, abs=1e-6), row
        counted = re.search(r"\(n=(\d+)\)$", row["row"])
        if counted:
            assert cells[key(row)].n == int(counted[1])


def test_577_of_580_printed_numbers_reproduce_and_three_are_shown_right(done: Done, shared: Path) -> None:
    printed = [cell for cell in done.findings.cells if cell.published is not None and cell.table_id in TABLES]
    assert {name: sum(cell.table_id == name for cell in printed) for name in TABLES} == TABLES
    assert sum(cell.verdict == "reproduces" for cell in printed) == 577
    wrong = {(cell.table_id, cell.row, cell.column): cell for cell in printed if cell.verdict != "reproduces"}
    assert {place: (cell.published, round(cell.value or 0, 3)) for place, cell in wrong.items()} == {
        ("NC_T1", "ResNet", "R2 log alpha-norm"): (0.9, 0.954),
        ("DRAFT_T1", "VGG", "RMSE log_alpha_norm"): (0.42, 0.337),
        ("NC_TEXT_GPT2", "GPT2-large", "log_alpha_norm"): (7.982, 7.923),
    }
    assert all("it should read" in (cell.reason or "") for cell in wrong.values())
    judged = {key(row): row["reproduces"] for row in expected(shared) if row["published"]}
    assert {place for place, said in judged.items() if said == "False"} == set(wrong)


def test_the_audit_says_what_each_number_was_computed_from(done: Done) -> None:
    printed = [cell for cell in done.findings.cells if cell.published is not None and cell.table_id in TABLES]
    counted = Counter(cell.basis for cell in printed)
    assert counted == {"printed averages": 544, "layer rows": 30, "typed numbers": 6}
    words = "542 of 544 from printed averages, 29 of 30 from layer rows, 6 of 6 from typed numbers"
    assert f"what that is an audit of: {words}" in done.findings.notes
    (loose,) = [cell for cell in printed if cell.table_id == "DRAFT_T1" and cell.verdict == "differs"]
    assert "not known" in loose.reason  # two other columns would print it too
    assert all(value in loose.reason for value in ("0.4236", "0.4221"))


def test_every_line_of_the_supplement_has_interval_p_and_normality(done: Done) -> None:
    columns = {cell.column for cell in done.findings.cells if cell.table_id == "NC_S_LINES"}
    words = ("slope low", "slope high", "slope p", "slope p, adjusted", "Shapiro-Wilk p")
    assert {f"{word} alpha_weighted" for word in words} <= columns
    lines = [cell for cell in done.findings.cells if cell.table_id == "NC_S_LINES" and cell.column == "R2 lognorm"]
    assert len(lines) == 27


def test_regress_keeps_the_data_sets_apart(warehouse: Path) -> None:
    """All 56 ResNets together gave R2 0.0093."""
    sql = """SELECT dataset, n, r2 FROM regress('alpha_weighted', 'top1_error',
             profile_name := 'published/weightwatcher-0.2') WHERE "group" = 'ResNet'"""
    rows = {row["dataset"]: row for row in query(warehouse, sql).to_pylist()}
    assert {name: round(row["r2"], 3) for name, row in rows.items()} == {
        "imagenet-1k": 0.848, "cifar-10": 0.617, "cifar-100": 0.712, "svhn": 0.818, "cub-200-2011": 0.084,
    }  # fmt: skip


def test_every_number_names_its_data_set(warehouse: Path) -> None:
    """The older README's numbers on COCO had the data set 'None'."""
    sql = (
        "SELECT dataset, count(*) AS n FROM reported_metrics WHERE dataset IN ('None', 'coco-segmentation') GROUP BY 1"
    )
    assert query(warehouse, sql).to_pylist() == [{"dataset": "coco-segmentation", "n": 16}]


def test_a_model_under_two_names_counts_once(warehouse: Path) -> None:
    doubles = query(warehouse, "SELECT model_id, double_of FROM doubles").to_pylist()
    assert len(doubles) == 20
    assert {"model_id": "published/resnet-1k/resnet50", "double_of": "published/osmr/resnet50"} in doubles
    sql = """SELECT n FROM regress('alpha', 'top1_error', dataset_name := 'imagenet-1k',
             profile_name := 'published/weightwatcher-0.2') WHERE "group" = '(all)'"""
    assert query(warehouse, sql).to_pylist() == [{"n": 193}]


def twin(name: str) -> str:
    """How pytorchcv calls the architecture."""
    last = name.removeprefix("resnet-1k/")
    return f"osmr/bn_{last.removesuffix('_bn')}" if last.endswith("_bn") else f"osmr/{last}"


def test_nothing_lies_between_doubles_and_other_models(warehouse: Path) -> None:
    """Fourteen more share an architecture's name with another zoo's model: other weights, by a wide gap."""
    sql = """SELECT DISTINCT a.model_id AS a, b.model_id AS b, abs(a.log_norm - b.log_norm) AS norm
             FROM model_averages AS a JOIN model_averages AS b ON a.model_id < b.model_id
             JOIN models AS m ON m.model_id = a.model_id JOIN models AS o ON o.model_id = b.model_id
             WHERE m.dataset = 'imagenet-1k' AND o.dataset = m.dataset AND a.rule = 'mean over slices'
                AND b.rule = a.rule AND b.profile = a.profile AND abs(a.alpha - b.alpha) < 0.01"""
    gaps = sorted(row["norm"] for row in query(warehouse, sql).to_pylist())
    assert (sum(gap < 1e-5 for gap in gaps), sum(gap < 5e-4 for gap in gaps)) == (20, 20)
    sql = "SELECT name, model_id IN (SELECT model_id FROM doubles) AS double FROM models WHERE dataset = 'imagenet-1k'"
    rows = {row["name"]: row["double"] for row in query(warehouse, sql).to_pylist()}

    twins = [double for name, double in rows.items() if not name.startswith("osmr/") and twin(name) in rows]
    assert (len(twins), twins.count(False)) == (34, 14)


def test_no_line_of_the_study_holds_a_model_and_its_second_name(warehouse: Path) -> None:
    """So that counting doubles once changes no cell of it, as the page says."""
    kind = kind_of("natcomm2021")
    rows = designs(warehouse, selects("natcomm2021", kind.shared, kind.queries), parameters(kind.options()))
    tables = {name: table.to_pylist() for name, table in rows.items()}
    chosen = targets(tables["reported"])
    assert sum(len(target.firsts) for target in chosen) == 20
    mine, *_ = _general(model_rows(tables), chosen, 4)
    alone, *_ = _general(model_rows(tables), [replace(target, firsts={}) for target in chosen], 4)
    assert len(mine) > 1000
    assert mine == alone
    assert "none of\n  its cells changes when doubles are counted" in PAGE


def test_numbers_of_the_page(warehouse: Path) -> None:
    """Of doubles and of the trend with them."""
    sql = """SELECT m.name, a.log_norm, a.alpha_weighted, m.model_id IN (SELECT model_id FROM doubles) AS double
             FROM models AS m JOIN model_averages AS a USING (model_id, revision)
             WHERE m.dataset = 'imagenet-1k' AND a.rule = 'mean over slices'"""
    rows = {row["name"]: row for row in query(warehouse, sql).to_pylist()}
    apart = [
        abs(row["log_norm"] - rows[twin(name)]["log_norm"])
        for name, row in rows.items()
        if not name.startswith("osmr/") and twin(name) in rows and not row["double"]
    ]
    words = f"mean log_norm {min(apart):.3f} to {max(apart):.3f} apart".replace("0.", ".")
    assert words in PAGE
    rounded = [round(row["alpha_weighted"], 2) for row in rows.values()]
    assert f"makes {len(rounded) - len(set(rounded))} 'doubles'" in PAGE
    kind = kind_of("simpson")
    options = kind.options(metrics=["alpha"], datasets=["imagenet-1k"], groupings=["series"], replicates=100)
    tables = designs(warehouse, selects("simpson", kind.shared, kind.queries), parameters(options))
    plain = {name: table.to_pylist() for name, table in tables.items()}
    plain["reported"] = [{**row, "double_of": None} for row in plain["reported"]]
    cells = {c.column: c.value for c in kind.run(plain, options).cells if c.table_id == "SIMPSON"}
    assert f"with doubles: {cells['pooled slope']:+.3f} and {cells['within slope']:+.3f}" in PAGE


def test_the_search_finds_imagenet_by_series_without_options(warehouse: Path) -> None:
    """It said 'no grouping with at least two groups; 213 models'."""
    found = study("simpson", warehouse).findings
    row = "published/weightwatcher-0.2 / imagenet-1k / top1_error / alpha by series"
    cells = {cell.column: cell for cell in found.cells if cell.row == row}
    assert cells["pooled slope"].value == pytest.approx(2.549, abs=0.001)
    assert cells["within slope"].value == pytest.approx(-2.883, abs=0.001)
    assert cells["between p"].value < 0.05 < cells["within p"].value
    assert cells["pooled slope"].n == 149
    assert cells["pooled slope"].verdict == "partial reversal"
    assert (
        "2 follow the pooled trend (DRN-C/DRN-D, EfficientNet), 2 go against it (VGG/BN-VGG, VGG)"
        in cells["pooled slope"].reason
    )
    assert "one slope for all groups is not told" in cells["pooled slope"].reason
    first = next(cell.row for cell in found.cells)
    assert first == row  # of ten populations, in the table that is printed first
    assert f"{row}: partial reversal: slope +2.549 pooled, -2.883 inside groups; 15 groups: 2 follow" in found.notes[-1]


def test_printed_numbers_are_those_of_the_reference(done: Done, shared: Path) -> None:
    cells = {(cell.table_id, cell.row, cell.column): cell.published for cell in done.findings.cells}
    for row in expected(shared):
        assert cells[key(row)] == (float(row["published"]) if row["published"] else None), row


def test_the_audit_finds_the_mislabelled_densenets_from_their_shapes(done: Done) -> None:
    said = {cell.row: cell.verdict for cell in done.findings.cells if cell.table_id == "GUARD_SHAPES"}
    assert {name: verdict for name, verdict in said.items() if verdict != f"is {name}"} == {
        "densenet161": "is densenet201",
        "densenet169": "is densenet161",
        "densenet201": "is densenet169",
    }
    assert len(said) == 17


def test_the_audit_finds_the_mixed_normalisation_from_the_averages(done: Done) -> None:
    cells = [cell for cell in done.findings.cells if cell.table_id == "GUARD_NORMALISATION"]
    assert {cell.row for cell in cells if cell.verdict == "X divided by N"} == {
        "cifar-100 / WRN",
        "svhn / WRN",
        "cifar-10 / DIA-ResNet",
        "cifar-100 / DIA-ResNet",
        "svhn / DIA-ResNet",
        "cub-200-2011 / ResNet",
        "cub-200-2011 / SENet",
    }
    assert [cell.verdict for cell in cells if cell.row == "all"] == ["mixed"]


def test_the_other_guards(done: Done) -> None:
    cells = {(cell.table_id, cell.row): cell for cell in done.findings.cells}
    assert cells["GUARD_COUNTS", "Table 3: DNNs"].verdict == "counts regressions"
    assert cells["GUARD_COUNTS", "Table 3: DNNs"].value == 211
    assert cells["GUARD_COUNTS", "Table 1: VGG"].verdict == "differs"
    assert cells["GUARD_MEANS", "mean"].verdict == "the choice matters"
    assert cells["GUARD_MEANS", "mean"].n == 26  # a slice of zeros has no logarithm: IGCV3 has too few models
    summaries = [cell for cell in done.findings.cells if cell.table_id == "GUARD_SUMMARIES"]
    assert len(summaries) == 12
    assert {cell.verdict for cell in summaries} == {"no mean of its table"}


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("at least 5 models", (0.696, 0.668, 0.702, 0.696)),
        ("X = W^T W only", (0.649, 0.582, 0.728, 0.732)),
        ("X divided by N only", (0.702, 0.632, 0.540, 0.533)),
        ("all four slopes positive", (0.746, 0.743, 0.761, 0.765)),
    ],
)
def test_what_the_published_ranking_depends_on(done: Done, row: str, values: tuple[float, ...]) -> None:
    found = [cell.value for cell in done.findings.cells if (cell.table_id, cell.row) == ("SENSITIVITY", row)]
    assert found == pytest.approx(values, abs=6e-4)


def test_every_model_has_a_row_with_the_rule_that_left_it_out(done: Done) -> None:
    rows = [row for row in done.findings.design if row["used_for"] == "NC_S"]
    assert len(rows) == 311
    assert sum(row["excluded_by"] is None for row in rows) == 211
    assert sum(row["excluded_by"] == "outlier of the paper" for row in rows) == 9


def test_results_are_kept_and_written(warehouse: Path, done: Done) -> None:
    rows = query(
        warehouse, "SELECT * FROM study_results WHERE table_id = 'NC_T1' AND published IS NOT NULL"
    ).to_pylist()
    assert len(rows) == 48
    assert {row["run_id"] for row in rows} == {done.run_id}
    assert query(warehouse, f"SELECT verb FROM runs WHERE run_id = '{done.run_id}'").to_pylist() == [{"verb": "study"}]
    names = {path.name for path in done.folder.iterdir()}
    assert {"cells.csv", "cells.parquet", "design.csv", "notes.txt", "NC_T1.csv", "NC_T1.tex", "NC_T3.parquet"} <= names
    text = (done.folder / "NC_T1.tex").read_text()
    assert text.count(r"\\") == 5
    assert "VGG & 8 & 0.5612" in text


def test_a_second_run_replaces_the_first(warehouse: Path, done: Done) -> None:
    again = study("natcomm2021", warehouse)
    assert again.findings == done.findings
    counted = query(
        warehouse, "SELECT count(*) AS n, count(DISTINCT run_id) AS runs FROM study_results WHERE study = 'natcomm2021'"
    ).to_pylist()
    assert counted == [{"n": len(done.findings.cells), "runs": 1}]


def test_published_rows_stand_in_the_ordinary_views_marked_by_their_profile(warehouse: Path) -> None:
    sql = "SELECT DISTINCT profile FROM {} ORDER BY 1"
    for table in ("layer_metrics", "slice_metrics", "model_metrics"):
        assert query(warehouse, sql.format(table)).to_pylist() == [{"profile": "published/weightwatcher-0.2"}]
    sql = "SELECT count(*) AS n FROM model_metrics WHERE rule LIKE '%as published%' AND model_id LIKE '%/osmr/%'"
    assert query(warehouse, sql).to_pylist() == [{"n": 311}]
    sql = "SELECT count(*) AS n, count(origin) AS origins FROM models"
    assert query(warehouse, sql).to_pylist() == [{"n": 352, "origins": 352}]


def test_the_same_study_on_a_zoo_of_ours_says_where_models_are_missing(tmp_path: Path) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=7)
    words = [f"zoo.path={zoo}", f"warehouse.dir={tmp_path / 'data'}", "profiles=weightwatcher,natcomm2021"]
    assert main(["scan", "zoo=local", "cluster=inline", *words]) == 0
    found = study("natcomm2021", tmp_path / "data").findings
    rows = {cell.row: cell for cell in found.cells}
    assert {cell.table_id for cell in found.cells} == {"SERIES"}
    assert set(rows) == {
        f"{p} / toy / top1_error / {s}" for p in ("weightwatcher", "natcomm2021") for s in ("even", "odd")
    }
    assert rows["weightwatcher / toy / top1_error / odd"].verdict == "too few models"
    assert rows["weightwatcher / toy / top1_error / odd"].reason == (
        "too few models: 3 with the reported metric, at least 4 are needed"
    )
    even = {c.column: c for c in found.cells if c.row == "weightwatcher / toy / top1_error / even"}
    assert even["R2 log spectral"].n == 4
    assert even["R2 log spectral"].value is not None
    assert any("too few models" in note for note in found.notes)


def test_misuse_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "study=nothing"]) == 2
    assert "natcomm2021" in capsys.readouterr().err
    assert main(["study", f"warehouse.dir={tmp_path / 'none'}"]) == 2
    assert "no warehouse" in capsys.readouterr().err
    assert main(["scan", "zoo=published", f"zoo.path={tmp_path / 'none'}", f"warehouse.dir={tmp_path}"]) == 2
    assert "no such file or folder" in capsys.readouterr().err


def test_the_command(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "study=natcomm2021", f"warehouse.dir={warehouse}", "figures=none"]) == 0
    assert "577 of 580 printed numbers reproduce" in capsys.readouterr().out


def test_loading_the_same_files_again_doubles_nothing(warehouse: Path, shared: Path) -> None:
    before = query(warehouse, "SELECT count(*) AS n FROM slice_metrics").to_pylist()
    call("scan", "zoo=published", f"zoo.path={shared / 'reference' / 'raw'}", f"warehouse.dir={warehouse}")
    assert query(warehouse, "SELECT count(*) AS n FROM slice_metrics").to_pylist() == before
    assert query(warehouse, "SELECT count(*) AS n FROM model_averages").to_pylist() == [{"n": 703}]
