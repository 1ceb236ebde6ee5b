"""The registry of sources: found by name, imported light, options that OmegaConf takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from zoospectra.zoo.fetch.locator import locate
from zoospectra.zoo.sources import SOURCES, Crawl, source

HEAVY = {"torch", "sklearn", "pyarrow", "scipy", "httpx", "httpx2", "h5py", "onnx"}
CONF = Path(__file__).resolve().parents[3] / "conf" / "zoo"
NEEDS_PATH = {"local", "pgdl", "pypi"}


@pytest.mark.parametrize("name", ["", *SOURCES])
def test_naming_a_source_imports_nothing_heavy(name: str) -> None:
    code = f"import sys; from zoospectra.zoo.sources import source; {name!r} and source({name!r}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_has_options_of_plain_types(name: str) -> None:
    """OmegaConf takes them, and without any a source works or says which it wants."""
    options = source(name).options
    assert source(name).name == name
    OmegaConf.structured(options)
    if name in NEEDS_PATH:
        with pytest.raises(ValueError, match=r"^path=null: expected .*zoo\.path=DIR"):
            options()
    else:
        options()


def test_an_unknown_source_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown source of models 'nowhere'; known: digits, local, .*published"):
        source("nowhere")


@pytest.mark.parametrize(
    ("name", "option", "files"),
    [("pytorchcv", "readmes", [{"file": "README.md"}]), ("timm", "results", [{"path": "x.csv", "when": "today"}])],
)
def test_files_beside_a_snapshot_have_known_keys(name: str, option: str, files: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match=rf"^{option}=.*expected files as \{{path: FILE\}}.*date"):
        source(name).options(**{option: files})


@pytest.mark.parametrize("name", ["pytorchcv", "torchvision", "timm"])
def test_models_of_a_package_can_be_fetched_and_bear_the_zoos_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    package = source(name)
    models = package.crawl(package.options(), Crawl("mine", tmp_path, print))
    assert all(model.model_id.startswith("mine/") and model.zoo == "mine" for model in models)
    known = [(model, locate(model.path)) for model in models if not model.path.startswith("refused://")]
    assert len(known) > 100
    for model, locator in known:
        assert locator.url.removeprefix("https://mirror.example") in (model.weights_url or "")
        assert "huggingface.co" not in locator.url
        assert locator.unzip == (name == "pytorchcv")
    if name != "timm":
        assert any(locator.sha1 or locator.sha256 for _, locator in known)
