"""Wheels as a zoo: unpacked once, listed with what is known of them, and nothing else."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from zoospectra.zoo.sources import Crawl, source
from zoospectra.zoo.sources.pypi.wheels import KNOWN, PACKAGES, PypiOptions

IGFOLD = "igfold/trained_models/IgFold/igfold_1.safetensors"


def wheel(folder: Path, name: str, *files: str) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for i, file in enumerate(files):
            archive.writestr(file, save({"w": np.full((4, 3), i, np.float32)}))
        archive.writestr(f"{name.partition('-')[0]}/__init__.py", "raise SystemExit('imported')")


def crawl(folder: Path, cache: Path):
    return source("pypi").crawl(PypiOptions(str(folder)), Crawl("pypi", cache, lambda line: None))


def test_known_networks_have_family_and_seed_and_others_are_listed(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "igfold-1.0.1-py3-none-any.whl", IGFOLD)
    wheel(tmp_path / "wheels", "other-2.0-py3-none-any.whl", "other/net.safetensors")
    models = {model.model_id: model for model in crawl(tmp_path / "wheels", tmp_path / "cache")}
    assert all(models[one].weights_sha256 for one in (f"pypi/igfold/{IGFOLD}", "pypi/other/other/net.safetensors"))
    known = models[f"pypi/igfold/{IGFOLD}"]
    assert (known.series, dict(known.extra)) == ("IgFold", {"seed": 1})
    assert models["pypi/other/other/net.safetensors"].series is None
    missing = {model.name for model in models.values() if model.revision == "missing"}
    assert missing == {f"igfold/{IGFOLD.replace('_1', f'_{i}')}" for i in (2, 3, 5)}  # this wheel lacks them
    assert len(models) == 5
    again = crawl(tmp_path / "wheels", tmp_path / "cache")
    assert {model.model_id: model.revision for model in again} == {name: one.revision for name, one in models.items()}


def test_every_number_has_its_source_and_every_row_a_package() -> None:
    with KNOWN.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["file"] for row in rows}) == 39
    packages = {one.partition("==")[0].replace("-", "_") for one in PACKAGES}
    assert {row["file"].partition("/")[0] for row in rows} <= packages
    numbers = [row for row in rows if row["value"]]
    assert len(numbers) == 11
    assert all(row["source"] and row["dataset"] and row["higher_is_better"] for row in numbers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "expected a folder of wheels"),
        (lambda folder: folder.mkdir(), "expected a folder of wheels"),
        (lambda folder: (folder.mkdir(), (folder / "a-1.whl").write_bytes(b"no zip")), "a-1.whl is no wheel"),
    ],
)
def test_misuse(tmp_path: Path, make, message: str) -> None:
    make(tmp_path / "wheels")
    with pytest.raises(ValueError, match=message):
        crawl(tmp_path / "wheels", tmp_path / "cache")
    with pytest.raises(ValueError, match="path=null: expected a folder of wheels"):
        PypiOptions()
