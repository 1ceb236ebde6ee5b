"""Rankings under the shipped unfoldings of one zoo of real files, against scipy; and planted moves."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy import stats

from tests.jobs.studies.ask import study
from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("convention")
    zoo, data = make_zoo(folder / "zoo", models=9, width=32), folder / "data"
    words = [f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline"]
    assert main(["scan", "zoo=local", *words, "profiles=weightwatcher,stacked,fft,farms"]) == 0
    return data


def test_the_shipped_unfoldings_differ_where_they_should(data: Path) -> None:
    """Stacked: one matrix with the slices' whole norm (all halved). Dense layers: the same but for windows."""
    sql = "SELECT profile, longname, N, M, rf, norm, alpha FROM layer_metrics WHERE model_id = 'local/net0.safetensors'"
    by = {(row["profile"], row["longname"]): row for row in query(data, sql).to_pylist()}
    assert by["stacked", "features.0"]["norm"] == pytest.approx(by["weightwatcher", "features.0"]["norm"])
    assert (by["stacked", "features.0"]["N"], by["stacked", "features.0"]["rf"]) == (9 * 32, 1)
    # a circular map on 32 x 32 has every entry of the kernel 32^2 times, and is not halved
    assert by["fft", "features.0"]["norm"] == pytest.approx(2 * 1024 * by["weightwatcher", "features.0"]["norm"])
    assert by["farms", "fc1"]["N"] == by["farms", "fc1"]["M"] == 32
    assert by["fft", "fc1"]["alpha"] == by["stacked", "fc1"]["alpha"] == by["weightwatcher", "fc1"]["alpha"]


def test_tau_between_profiles_is_scipys(data: Path) -> None:
    found = study("convention", data, {"profiles": ["weightwatcher", "fft", "farms"]}).findings
    cells = {(cell.row, cell.column): cell for cell in found.cells}
    sql = "SELECT model_id, series, profile, alpha FROM model_metrics ORDER BY model_id"
    rows = query(data, sql).to_pylist()
    x, y = ([row["alpha"] for row in rows if row["profile"] == name] for name in ("weightwatcher", "farms"))
    cell = cells["weightwatcher / farms / alpha", "tau"]
    assert (cell.value, cell.n) == (pytest.approx(stats.kendalltau(x, y).statistic), 9)
    move = max(abs(stats.rankdata(x) - stats.rankdata(y)))
    assert cells["weightwatcher / farms / alpha", "largest move"].value == move
    for name, members in (("even", slice(0, 9, 2)), ("odd", slice(1, 9, 2))):
        inside = stats.kendalltau(x[members], y[members]).statistic
        assert cells[f"weightwatcher / farms / {name} / alpha", "tau"].value == pytest.approx(inside)
    assert {cell.row.rpartition(" / ")[0] for cell in found.cells if cell.table_id == "CONVENTION"} == {
        "weightwatcher / fft",
        "weightwatcher / farms",
        "fft / farms",
    }
    assert any(note.startswith("weightwatcher / fft / alpha: tau") for note in found.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profiles": ["fourier"]}, "profiles=fourier: expected some of farms, fft, stacked, weightwatcher"),
        ({"metrics": ["bogus"]}, "metrics=bogus: expected some of"),
        ({"smallest": 1}, "smallest=1: expected at least 3"),
    ],
)
def test_misuse(data: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study("convention", data, options)
