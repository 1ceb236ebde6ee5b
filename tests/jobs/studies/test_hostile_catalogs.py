"""Catalogs that could lead a study astray: names of metrics, several sources, profiles, tasks and second names."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from tests.jobs.studies.ask import study
from tests.jobs.studies.conftest import keep, write_catalog, write_model
from zoospectra.analysis.statistics.mutual_information import cmi_official
from zoospectra.analysis.studies import batch, contest, convention, drift, pair, seeds, simpson
from zoospectra.analysis.studies.options import PopulationOptions
from zoospectra.analysis.studies.population import populations
from zoospectra.analysis.studies.target import targets
from zoospectra.warehouse.build import build
from zoospectra.warehouse.query import query
from zoospectra.warehouse.schema import field


def designs(
    alpha: np.ndarray, y: np.ndarray, catalog: dict[str, list[Any]], profile: str = "p", **more: np.ndarray
) -> dict[str, list[dict[str, Any]]]:
    """Averages, one reported number and catalog columns of models m00, m01, ..."""
    names = [f"m{i:02d}" for i in range(len(alpha))]
    columns = {"alpha": alpha, "log_norm": np.sin(np.arange(len(alpha))), **more}
    return {
        "averages": [
            {"model_id": name, "profile": profile, "series": "s"} | {k: float(v[i]) for k, v in columns.items()}
            for i, name in enumerate(names)
        ],
        "reported": [
            {"model_id": n, "dataset": "d", "metric": "test_accuracy", "value": float(v), "higher_is_better": True}
            for n, v in zip(names, y, strict=True)
        ],
        "catalog": [
            {"model_id": name, "series": "s"} | {k: v[i] for k, v in catalog.items()} for i, name in enumerate(names)
        ],
        "kin": [],
    }


@pytest.fixture(scope="module")
def line() -> tuple[np.ndarray, np.ndarray]:
    """20 models whose reported number falls with alpha."""
    rng = np.random.default_rng(1)
    alpha = rng.uniform(2, 5, 20)
    return alpha, 90 - 3 * alpha + 0.1 * rng.normal(size=20)


def test_a_hyperparameter_called_alpha_hides_no_average(line: tuple[np.ndarray, np.ndarray]) -> None:
    alpha, y = line
    data = designs(alpha, y, {"alpha": [0.1, 0.5] * 10, "num_layers": [3, 4, 5, 6] * 5})
    slope = stats.linregress(alpha, y).slope
    for kind, table, column in (
        (simpson, "LINES", "slope"),
        (batch, "BATCH", "slope"),
        (contest, "C_T5", "slope Alpha"),
    ):
        found = kind.run(data, kind.Options(metrics=["alpha"]))
        assert next(c.value for c in found.cells if (c.table_id, c.column) == (table, column)) == pytest.approx(slope)
    (one,) = populations(data)
    assert one.labels("alpha") == [0.1, 0.5] * 10
    grouped = simpson.run(data, simpson.Options(metrics=["alpha"], replicates=100)).cells
    assert {cell.row.rpartition(" / ")[2] for cell in grouped if cell.table_id == "SIMPSON"} == {
        "alpha by alpha", "alpha by num_layers",
    }  # fmt: skip


def test_a_metric_of_one_profile_is_looked_at_there(line: tuple[np.ndarray, np.ndarray]) -> None:
    alpha, y = line
    data = designs(alpha, y, {"b": [1, 2] * 10})
    data["averages"] += designs(alpha, y, {}, "q", entropy=alpha**2)["averages"]
    for kind in (simpson, batch, contest):
        cells = kind.run(data, kind.Options(metrics=["entropy"])).cells
        rows = {cell.row for cell in cells if "entropy" in cell.row + cell.column}
        assert rows
        assert all(row.startswith("q / ") for row in rows)
        with pytest.raises(ValueError, match="metrics=b: expected some of alpha, entropy, log_norm"):
            kind.run(data, kind.Options(metrics=["b"]))


def test_each_task_of_a_data_set_has_a_score_of_its_own() -> None:
    """Tasks 4 and 5 of the contest are of one data set; within each the measure is the gap, across them it is not."""
    grid = list(product(("task4", "task5"), (1, 2), (8, 32), range(6)))
    rng = np.random.default_rng(0)
    test, gap = rng.uniform(0.5, 0.8, len(grid)), rng.uniform(0.1, 0.2, len(grid))
    alpha = gap + np.array([0.0 if task == "task4" else -0.05 * i for i, (task, *_) in enumerate(grid)])
    columns = {name: [row[i] for row in grid] for i, name in enumerate(("pgdl_task", "depth", "batch_size"))}
    data = designs(alpha, test, columns)
    data["reported"] += [
        row | {"metric": "train_accuracy", "value": row["value"] + g}
        for row, g in zip(data["reported"], gap, strict=True)
    ]
    scores = {cell.row: cell for cell in contest.run(data, contest.Options()).cells if cell.column == "cmi_official"}
    first = [i for i, row in enumerate(grid) if row[0] == "task4"]
    hyper = {name: [columns[name][i] for i in first] for name in ("depth", "batch_size")}
    mine = scores["p / d / test_accuracy / task4 / Alpha"]
    assert mine.value == pytest.approx(cmi_official(alpha[first].tolist(), gap[first].tolist(), hyper).score)
    assert mine.value == pytest.approx(100)
    assert mine.n == len(first)
    assert scores["p / d / test_accuracy / task5 / Alpha"].value < 50
    with pytest.raises(ValueError, match="task=bogus: expected some of"):
        contest.run(data, contest.Options(task="bogus"))


def test_targets_and_data_sets_that_do_not_meet_are_refused_and_twice_is_once() -> None:
    rows = [
        {"model_id": "a", "metric": metric, "dataset": dataset, "value": 1.0, "higher_is_better": True}
        for metric, dataset in (("top1", "A"), ("top1", "B"), ("miou", "A"))
    ]
    with pytest.raises(ValueError, match="targets=miou: expected some of top1"):
        targets(rows, ["miou"], ["B"])
    with pytest.raises(ValueError, match="datasets=B: expected some of A"):
        targets(rows, ["top1", "miou"][1:], ["A", "B"])
    assert [one.label for one in targets(rows, ["top1", "top1"], ["A", "A"])] == ["A / top1"]


@pytest.mark.parametrize(("values", "mixed"), [
    ([0.91, 0.75, 88.0, 79.5], True), ([91.0, 75.0, 88.0], False), ([0.91, 0.75, 0.0], False), ([0.5, 2.0, 3.0], False),
    ([0.02, 40.0, 50.0], False), ([-3.0, 0.5, 60.0], False),
])  # fmt: skip
def test_fractions_beside_percent_are_remarked_on(values: list[float], mixed: bool) -> None:
    y = np.array(values * 4)
    data = designs(np.sin(np.arange(len(y))), y, {"b": [i % 2 for i in range(len(y))]})
    for kind in (simpson, batch, contest):
        notes = kind.run(data, kind.Options(metrics=["alpha"])).notes
        assert sum("fractions beside percent" in note for note in notes) == mixed


@pytest.mark.parametrize("first_is_there", [True, False])
def test_a_second_name_counts_where_its_first_is_not_there(first_is_there: bool) -> None:
    """By the same rule in convention and in seeds as in lines: m05 is m00 under another name."""
    rng = np.random.default_rng(0)
    averages = [
        {"model_id": f"m{i:02d}", "profile": profile, "series": "s", "alpha": float(rng.normal())}
        for profile in ("p", "q")
        for i in range(6)
        if first_is_there or i > 0
    ]
    catalog = [{"model_id": f"m{i:02d}", "series": "s", "noise": i % 3, "seed": i} for i in range(6)]
    data = {"averages": averages, "reported": [], "catalog": [row | {"double_of": None} for row in catalog], "kin": []}
    data["catalog"][5]["double_of"] = "m00"
    for kind, table in ((convention, "CONVENTION"), (seeds, "SEEDS")):
        found = kind.run(data, kind.Options(metrics=["alpha"]))
        assert next(cell.n for cell in found.cells if cell.table_id == table) == 5
        left = {row["model_id"]: row["excluded_by"] for row in found.design if row["excluded_by"]}
        assert left == ({"m05": "the same model as m00"} if first_is_there else {})


def test_numbers_that_changed_are_told_source_by_source_and_long_ago() -> None:
    def row(source: str, day: int, value: float) -> dict[str, Any]:
        base = {"model_id": "a", "dataset": "d", "metric": "acc", "higher_is_better": True, "source_date": None}
        return base | {"source": source, "first_seen": day, "value": value}

    rows = [
        row("card", 1, 90.0),
        row("card", 2, 91.0),
        row("card", 3, 91.0),
        row("paper", 1, 50.0),
        row("paper", 2, 40.0),
    ]
    found = drift.run({"models": [], "averages": [], "skipped": [], "reported": rows}, drift.Options())
    cells = {cell.row: (cell.value, cell.verdict) for cell in found.cells}
    assert cells == {"a / d / acc / card": (1.0, "better"), "a / d / acc / paper": (-10.0, "worse")}


def test_columns_of_catalogs_may_bear_names_of_other_tables(tmp_path: Path) -> None:
    names = ("profile", "rule", "tensor", "reason", "detail", "measured", "alpha", "double_of")
    write_model(tmp_path, "toy/a", [3.0, 4.0], [0.0, 1.0])
    base = {"snapshot": "s1", "zoo": "toy", "revision": "r", "model_id": "toy/a"}
    columns = [field(name, pa.int64(), "1", "as in the catalog") for name in names]
    keep(tmp_path, "models", "s1", [base | dict.fromkeys(names, 7)], *columns)
    skip = {"model_id": "toy/a", "revision": "r", "tensor": "t", "reason": "scalar"}
    keep(tmp_path, "skipped", "s1", [skip], model="toy/a")
    printed = {"model_id": "toy/a", "revision": "r", "profile": "published/x", "rule": "mean over slices", "alpha": 1.0}
    keep(tmp_path, "model_averages", "s1", [printed])
    build(tmp_path)
    assert query(tmp_path, "SELECT profile, alpha FROM model_metrics ORDER BY 1").to_pylist() == [
        {"profile": "published/x", "alpha": 1.0}, {"profile": "weightwatcher", "alpha": 3.5},
    ]  # fmt: skip
    assert query(tmp_path, "SELECT tensor FROM skipped").to_pylist() == [{"tensor": "t"}]
    assert query(tmp_path, "SELECT measured, rule FROM models").to_pylist() == [{"measured": 7, "rule": 7}]


@pytest.fixture(scope="module")
def one_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("one") / "data"
    write_model(data, "toy/a", [3.0] * 4, [0.0, 0.1, 0.2, 0.3])
    write_catalog(data, "s1", [{"model_id": "toy/a"}], [])
    build(data)
    return data


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pair", {"model": "*a", "other": "toy/a"}, "other=toy/a: expected another model than toy/a"),
        ("pair", {"largest": "nan"}, "study.largest=nan: expected an alpha above 0"),
        ("collapse", {"model": "*a", "base": "toy/a"}, "base=toy/a: expected another model than toy/a"),
        ("invariance", {"factors": ["inf"]}, "study.factors=.*: expected numbers above 0"),
        ("invariance", {"methods": ["bogus"]}, "study.methods=bogus: unknown method"),
        ("invariance", {"fit": "bogus"}, "study.fit=bogus: expected some of"),
        ("invariance", {"model": "zzz"}, "model=zzz: matches no model"),
        ("simpson", {"kind": "flow"}, "study.kind=flow: expected simpson with study=simpson"),
    ],
)
def test_more_options_that_mean_nothing(name: str, options: dict[str, Any], message: str, one_model: Path) -> None:
    with pytest.raises(ValueError, match=message):
        study(name, one_model, options)


def test_every_study_of_populations_takes_the_options_of_all() -> None:
    for kind in (simpson, batch, contest):
        with pytest.raises(ValueError, match="smallest=2: expected at least 3"):
            kind.Options(smallest=2)
        assert issubclass(kind.Options, PopulationOptions)
    with pytest.raises(ValueError, match="largest=-1: expected an alpha above 0"):
        pair.Options(largest=-1)
