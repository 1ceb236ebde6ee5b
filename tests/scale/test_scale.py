"""10,000 models with 1,000,000 layers: the warehouse builds, and its answers are right. Times are printed, not judged.

Run with `pytest -m slow -s tests/scale`; on two busy cores of 2026 the build took 52 s, averages 0.4 s, regressions
0.6 s, the study's answer 1.6 s.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from tests.jobs.studies.ask import study
from tests.scale.synthetic import SERIES, populate
from zoospectra.analysis.studies.lines import STATISTICS
from zoospectra.warehouse.build import build
from zoospectra.warehouse.query import query
from zoospectra.warehouse.studies import designs, selects

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
MODELS, LAYERS = 10_000, 100


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("large") / "data"
    populate(directory, MODELS, LAYERS)
    built = build(directory)
    print(f"\nbuild: {built.seconds:.1f} s")
    assert built.rows["layer_metrics_history"] == MODELS * LAYERS
    return directory


def timed(directory: Path, sql: str):
    began = time.monotonic()
    rows = query(directory, sql).to_pylist()
    print(f"{time.monotonic() - began:.2f} s: {sql}")
    return rows


def test_model_averages(large: Path) -> None:
    rows = timed(large, "SELECT model_id, alpha, num_layers FROM model_metrics ORDER BY model_id")
    assert len(rows) == MODELS
    assert {row["num_layers"] for row in rows} == {LAYERS}
    assert np.mean([row["alpha"] for row in rows]) == pytest.approx(3.45, abs=0.01)


def test_regressions(large: Path) -> None:
    rows = timed(large, "FROM regress('alpha', 'test_accuracy')")
    assert len(rows) == SERIES + 1
    assert rows[-1]["n"] == MODELS
    assert rows[-1]["kendall_tau"] > 0.8


def test_the_study(large: Path) -> None:
    began = time.monotonic()
    tables = designs(large, selects("natcomm2021", ("averages", "reported")), {"source_date": None})
    print(f"design tables: {time.monotonic() - began:.2f} s")
    assert tables["averages"].num_rows == MODELS
    began = time.monotonic()
    done = study("natcomm2021", large)
    print(f"study with files and a new generation: {time.monotonic() - began:.2f} s")
    assert len(done.findings.cells) == SERIES * 4 * (len(STATISTICS) + 2)
