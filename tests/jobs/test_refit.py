"""What a refit lacks, a second opinion, one bad tensor. That it equals a scan, in every place: test_scan.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.analysis import layer
from zoospectra.analysis.records import Fit
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query


def scan(zoo: Path, data: Path, *words: str) -> int:
    return main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline", *words])


@pytest.fixture
def scanned(tmp_path: Path) -> tuple[Path, Path]:
    zoo, data = make_zoo(tmp_path / "zoo", models=3), tmp_path / "data"
    assert scan(zoo, data) == 0
    return zoo, data


def metrics(data: Path, profile: str) -> list[dict[str, object]]:
    columns = "* EXCLUDE (written)"
    return query(data, f"SELECT {columns} FROM layer_metrics WHERE profile = '{profile}' ORDER BY ALL").to_pylist()


def test_what_lacks_a_spectrum_is_counted_and_a_scan_adds_it(
    scanned: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    zoo, data = scanned
    capsys.readouterr()
    assert main(["refit", "profiles=thorough", f"warehouse.dir={data}", "cluster=inline"]) == 0
    assert "12 tensors lack a spectrum that thorough needs: scan their zoo" in capsys.readouterr().out
    assert scan(zoo, data, "profiles=thorough", "models=net1*") == 0
    rows = metrics(data, "thorough")
    assert len(rows) == 4
    assert all(row["rand_replicas"] == 2 and row["gof_p"] is not None for row in rows if row["status"] == "success")
    spectra = query(data, "SELECT unfold, count(*) AS n FROM spectra_index GROUP BY unfold ORDER BY unfold").to_pylist()
    assert [row["n"] for row in spectra] == [12, 4, 4], "kept spectra are not computed again"


def test_a_second_opinion_beside_ours(scanned: tuple[Path, Path]) -> None:
    _, data = scanned
    words = ["refit", "profiles=weightwatcher", "fit.engine=powerlaw", f"warehouse.dir={data}", "cluster=inline"]
    assert main(words) == 0
    rows = metrics(data, "weightwatcher+powerlaw")
    assert [row["alpha"] for row in rows] == [row["alpha"] for row in metrics(data, "weightwatcher")]
    fitted = [row for row in rows if row["num_evals"] >= 20]
    assert fitted
    for row in fitted:  # powerlaw leaves its last candidates out and measures D both ways: close, not equal
        assert row["powerlaw_alpha"] == pytest.approx(row["alpha"], rel=0.5)
        assert row["powerlaw_difference"] == row["powerlaw_alpha"] - row["alpha"]


def test_one_tensor_whose_fit_raises_costs_that_tensor_only(
    scanned: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, data = scanned
    fit = layer.fit_powerlaw

    def broken(x: np.ndarray, *rule: str, **options: float) -> Fit:
        if len(x) == length:
            raise RuntimeError("a bug that only these eigenvalues meet")
        return fit(x, *rule, **options)

    lengths = {row["num_evals"] for row in metrics(data, "weightwatcher") if row["longname"] == "features.0"}
    (length,) = lengths
    monkeypatch.setattr(layer, "fit_powerlaw", broken)
    words = ["refit", "profiles=corrected", f"warehouse.dir={data}", "cluster=inline"]
    assert main(words) == 3
    assert "9 tensors fitted under corrected" in capsys.readouterr().out
    assert len(metrics(data, "corrected")) == 9
    failed = "SELECT model_id, tensor, reason, detail FROM skipped WHERE failed ORDER BY ALL"
    rows = query(data, failed).to_pylist()
    assert [row["tensor"] for row in rows] == ["features.0.weight"] * 3
    assert all(row["reason"] == "error" and "a bug that only these" in row["detail"] for row in rows)
    others = query(data, "SELECT count(*) AS n FROM skipped WHERE reason IN ('vector', 'buffer')").to_pylist()
    assert others == [{"n": 12}], "the rows of the index stay"
    (run,) = query(data, "SELECT failed, exit_status FROM runs WHERE verb = 'refit'").to_pylist()
    assert run == {"failed": 3, "exit_status": 3}
    monkeypatch.setattr(layer, "fit_powerlaw", fit)
    assert main(words) == 0
    assert len(metrics(data, "corrected")) == 12


def test_misuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["refit", f"warehouse.dir={tmp_path / 'nowhere'}"]) == 2
    assert "run 'zoospectra scan" in capsys.readouterr().err
    (tmp_path / "parts").mkdir()
    assert main(["refit", f"warehouse.dir={tmp_path}", "fit.engine=plpva"]) == 2
    assert "expected one of own, powerlaw" in capsys.readouterr().err
