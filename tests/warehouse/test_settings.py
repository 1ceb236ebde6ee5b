"""Settings refuse in one line what cannot be; reading needs little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from zoospectra.warehouse.build import build, publish_results
from zoospectra.warehouse.settings import WarehouseSettings

HEAVY = ("torch", "scipy", "sklearn", "pandas", "ray", "hydra", "omegaconf", "h5py", "rich")


def test_values_that_cannot_be() -> None:
    assert WarehouseSettings() == WarehouseSettings(dir="data", keep=3)
    with pytest.raises(ValueError, match=r"^keep=0: expected at least 1 generation$"):
        WarehouseSettings(keep=0)
    with pytest.raises(ValueError, match=r"^dir='': expected a folder$"):
        WarehouseSettings(dir="")


def test_the_functions_refuse_the_same(tmp_path: Path) -> None:
    for publish in (build, publish_results):
        with pytest.raises(ValueError, match=r"^keep=-1: expected at least 1 generation$"):
            publish(tmp_path / "data", keep=-1)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("module", ["query", "known", "settings", "studies"])
def test_reading_imports_no_heavy_package(module: str) -> None:
    code = f"import sys, zoospectra.warehouse.{module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
