"""alpha-hat and its relatives, and what scaling does to every metric: by numpy and by algebra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.jobs.studies.ask import study
from tests.jobs.zoos import make_zoo
from zoospectra.analysis.studies.alpha_hat import Options, run
from zoospectra.analysis.studies.record import Cell
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alpha_hat")
    zoo, data = make_zoo(folder / "zoo", models=10, width=48), folder / "data"
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline"]) == 0
    return data


def cells(data: Path, name: str, **options: object) -> dict[tuple[str, str], Cell]:
    return {(cell.row, cell.column): cell for cell in study(name, data, options).findings.cells}


def test_the_gap_by_range_of_alpha(data: Path) -> None:
    found = cells(data, "alpha_hat", edges=[2, 3])
    sql = "SELECT alpha, log_spectral_norm AS top, log_alpha_norm AS norm FROM layer_metrics WHERE counted"
    rows = query(data, sql).to_pylist()
    gaps = [row["norm"] - row["alpha"] * row["top"] for row in rows if 2 <= row["alpha"] < 3]
    cell = found["weightwatcher / 2 <= alpha < 3", "median gap"]
    assert (cell.value, cell.n) == (pytest.approx(np.median(gaps)), len(gaps))
    largest = [found[f"weightwatcher / alpha {end}", "largest gap"].value for end in (">= 3", "< 2")]
    assert largest[0] < largest[1]
    shares = [cell.value for (_, column), cell in found.items() if column == "median share of log10 K"]
    assert all(0 <= share <= 1 for share in shares)


def test_layers_of_unknown_size_have_no_share_of_the_bound() -> None:
    row = {"model_id": "a", "profile": "p", "alpha": 3.0, "alpha_weighted": 1.0, "log_alpha_norm": 1.5}
    rows = [row | {"num_evals": 100}, row | {"num_evals": None}]
    for layers, share in ((rows, 0.25), (rows[1:], None)):
        found = {cell.column: cell for cell in run({"layers": layers, "averages": []}, Options()).cells if cell.value}
        assert found["median gap"].n == len(layers)
        assert found["median share of log10 K"].value == share if share else "median share of log10 K" not in found


def test_lines_on_the_variants(data: Path) -> None:
    found = cells(data, "alpha_hat")
    row = "weightwatcher / toy / top1_error / POOLED"
    sql = """SELECT model_id, sum(alpha * log_spectral_norm) AS total, avg(log_alpha_norm / alpha) AS plain
             FROM layer_metrics WHERE counted GROUP BY model_id ORDER BY model_id"""
    rows = query(data, sql).to_pylist()
    for label, x in (("alpha-hat as a sum", "total"), ("log |X|_alpha", "plain")):
        line = stats.linregress([r[x] for r in rows], range(10, 20))
        assert found[row, f"slope {label}"].value == pytest.approx(line.slope)
        assert found[row, f"R2 {label}"].value == pytest.approx(line.rvalue**2)
        assert found[row, f"intercept {label}"].value == pytest.approx(line.intercept)
    assert found["weightwatcher / toy / top1_error / even", "slope alpha-hat"].n == 5


def test_what_scaling_does_is_what_algebra_says(data: Path) -> None:
    """X times c^2: sums and largest eigenvalue go with c^2, their logarithms shift by 2, shares stay."""
    found = cells(data, "invariance", threshold=1e-12, threshold_relative=True)
    expected = {"alpha": "invariant", "D": "invariant", "stable_rank": "invariant", "matrix_rank": "invariant"}
    expected |= {"norm": "power", "xmin": "power", "sv_max": "power", "log_norm": "shift", "log_spectral_norm": "shift"}
    expected |= {"alpha_weighted": "by layer", "log_alpha_norm": "by layer"}
    assert {name: found[name, "layers changed"].verdict for name in expected} == expected
    assert found["norm", "power"].value == pytest.approx(2, abs=1e-9)
    assert found["sv_max", "power"].value == pytest.approx(1, abs=1e-9)
    assert found["log_norm", "shift"].value == pytest.approx(2, abs=1e-9)
    alphas = query(data, "SELECT alpha FROM layer_metrics WHERE counted")["alpha"].to_pylist()
    for name in ("alpha_weighted", "log_alpha_norm"):
        assert found[name, "most change a decade"].value == pytest.approx(2 * max(alphas), rel=1e-6)
        assert found[name, "least change a decade"].value == pytest.approx(2 * min(alphas), rel=1e-6)
    assert found["alpha", "power"].reason == "the law is: invariant"


def test_an_absolute_threshold_is_no_invariance(data: Path) -> None:
    found = cells(data, "invariance", factors=[1e-3], layers=5)
    assert found["alpha", "layers changed"].verdict == "by layer"
    assert found["alpha", "layers changed"].n == 5
    assert found["alpha", "layers changed"].value + found["alpha", "fits lost"].value > 0
    assert found["stable_rank", "layers changed"].value == 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("invariance", {"factors": [1.0]}, "expected numbers above 0 other than 1"),
        ("invariance", {"fit": "bogus"}, "study.fit=bogus: expected some of weightwatcher"),
        ("invariance", {"methods": ["bogus"]}, "bogus"),
        ("alpha_hat", {"edges": [4, 2]}, "expected ascending bounds"),
        ("alpha_hat", {"profile": "none"}, "profile=none: expected some of weightwatcher"),
    ],
)
def test_misuse(data: Path, name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study(name, data, options)
