"""Two warehouses to draw from: a planted population, and a scan of small real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.studies.conftest import planted  # noqa: F401 - a fixture
from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main


@pytest.fixture(scope="session")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    zoo = make_zoo(folder / "zoo", models=2)
    words = ["zoo=local", f"zoo.path={zoo}", f"warehouse.dir={folder / 'data'}", "cluster=inline"]
    assert main(["scan", *words, "profiles=weightwatcher,thorough"]) == 0
    return folder / "data"
