"""The digits zoo on a tiny design, trained for real: resume, reproducibility, honest accuracies, catalog columns."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from zoospectra.zoo.model import Model, catalog_columns
from zoospectra.zoo.sources.digits import crawl
from zoospectra.zoo.sources.digits.catalog import DigitsOptions
from zoospectra.zoo.sources.digits.population import DESIGN, Design, Recipe, TrainingSettings
from zoospectra.zoo.sources.digits.split import make_split
from zoospectra.zoo.sources.digits.weights import read_metadata, write_weights

ROOT = Path(__file__).resolve().parents[4]
TINY = Design(
    TrainingSettings(train_images=400),
    (
        Recipe("mlp", 2, 64, 1.0, 0.03, 16, 3, 0.25, seed=1),
        Recipe("mlp", 3, 64, 0.9, 0.02, 16, 4, 0.0, seed=2),
        Recipe("conv", 2, 16, 1.2, 0.03, 8, 3, 0.5, seed=3),
    ),
)
COLUMNS = ("family", "depth", "width", "init_scale", "learning_rate", "batch_size", "epochs", "dropout", "seed")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    crawl(folder, workers=2, design=TINY)
    return folder


@pytest.fixture(scope="module")
def models(cache: Path) -> tuple[Model, ...]:
    return crawl(cache, design=TINY)


def metrics(model: Model) -> dict[str, float]:
    return {metric.metric: metric.value for metric in model.metrics}


def test_catalog_columns(cache: Path, models: tuple[Model, ...]) -> None:
    assert [model.name for model in models] == [recipe.name for recipe in TINY.recipes]
    assert {file.name for file in (cache / TINY.folder).iterdir()} == {Path(model.path).name for model in models}
    for model, recipe in zip(models, TINY.recipes, strict=True):
        assert model.model_id == f"digits/{recipe.name}"
        assert (model.zoo, model.dataset, model.task) == ("digits", "digits", "image-classification")
        assert model.series == recipe.series
        assert model.revision == hashlib.sha256(Path(model.path).read_bytes()).hexdigest() == model.weights_sha256
        assert Path(model.path).is_absolute()
        columns = catalog_columns(model)
        for name in COLUMNS:
            assert columns[name] == getattr(recipe, name)
        directions = {metric.metric: metric.higher_is_better for metric in model.metrics}
        assert directions == {
            "train_accuracy": True,
            "test_accuracy": True,
            "train_loss": False,
            "test_loss": False,
            "generalisation_gap": False,
        }
        assert {metric.source for metric in model.metrics} == {"measured by zoospectra"}
        values = metrics(model)
        assert values["generalisation_gap"] == values["train_accuracy"] - values["test_accuracy"]


def reference_logits(weights: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """Forward pass without the zoo's code: numpy for dense networks, torch's functions for convolutional ones."""
    if weights["features.0.weight"].ndim == 2:
        x = images.astype(np.float64)
        layers = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
        for layer in sorted(layers, key=lambda name: (name.startswith("classifier"), name)):
            x = x @ weights[f"{layer}.weight"].T.astype(np.float64) + weights[f"{layer}.bias"]
            x = x if layer.startswith("classifier") else np.maximum(x, 0)
        return x
    tensors = {name: torch.from_numpy(weight).double() for name, weight in weights.items()}
    y = torch.from_numpy(images).double().reshape(-1, 1, 8, 8)
    y = torch.conv2d(y, tensors["features.0.weight"], tensors["features.0.bias"], stride=2, padding=1).relu()
    y = torch.conv2d(y, tensors["features.2.weight"], tensors["features.2.bias"], padding=1).relu()
    y = torch.nn.functional.avg_pool2d(y, 2).flatten(1)
    return (y @ tensors["classifier.1.weight"].T + tensors["classifier.1.bias"]).numpy()


@pytest.mark.parametrize("index", range(len(TINY.recipes)))
def test_stored_scores_are_those_of_the_stored_weights(models: tuple[Model, ...], index: int) -> None:
    model, split = models[index], make_split(TINY.settings)
    weights, values = load_file(model.path), metrics(models[index])
    for side, images, labels in (("train", split.train_x, split.train_y), ("test", split.test_x, split.test_y)):
        logits = reference_logits(weights, images)
        accuracy = 100 * np.mean(logits.argmax(1) == labels)
        # One image may fall on the other side of a near tie: the oracle is float64, training float32.
        assert values[f"{side}_accuracy"] == pytest.approx(accuracy, abs=100.1 / len(labels))
        log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        loss = -log_probabilities[np.arange(len(labels)), labels].mean()
        assert values[f"{side}_loss"] == pytest.approx(loss, rel=1e-5)
    assert values["test_accuracy"] > 25, "three epochs learn more than chance, 10 %"


def test_tensors_are_ordinary_safetensors_in_definition_order(models: tuple[Model, ...]) -> None:
    with safe_open(models[2].path, framework="np") as file:
        names = list(file.offset_keys())
        metadata = file.metadata()
    expected = ["features.0", "features.2", "classifier.1"]
    assert names == [f"{layer}.{kind}" for layer in expected for kind in ("weight", "bias")]
    assert metadata["name"] == models[2].name
    assert metadata == read_metadata(Path(models[2].path))
    weights = load_file(models[2].path)
    assert weights["features.2.weight"].shape == (16, 16, 3, 3)
    assert all(weight.dtype == np.float32 for weight in weights.values())


def test_only_what_is_missing_or_cut_is_trained_again_to_the_same_bytes(cache: Path, models: tuple[Model, ...]) -> None:
    kept, deleted, cut = (Path(model.path) for model in models)
    before = kept.stat()
    deleted.unlink()
    cut.write_bytes(cut.read_bytes()[:-4])
    reports: list[tuple[int, int, str]] = []
    again = crawl(cache, workers=0, design=TINY, progress=lambda *report: reports.append(report))
    assert again == models
    assert {name for _, _, name in reports} == {deleted.stem, cut.stem}
    assert [report[:2] for report in reports] == [(2, 3), (3, 3)]
    assert (kept.stat().st_mtime_ns, kept.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_training_in_this_process_gives_the_same_bytes_and_leaves_torch_as_it_was(
    tmp_path: Path, models: tuple[Model, ...]
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        here = crawl(tmp_path, workers=0, design=TINY)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.rand(1), expected)
    assert [model.revision for model in here] == [model.revision for model in models]


def test_a_full_cache_needs_neither_torch_nor_sklearn_nor_write_access(cache: Path, models: tuple[Model, ...]) -> None:
    folder = cache / TINY.folder
    code = (
        "import sys; from pathlib import Path; from zoospectra.zoo.sources.digits import crawl\n"
        "from zoospectra.zoo.sources.digits.population import *\n"
        f"models = crawl(Path({str(cache)!r}), design={TINY!r})\n"
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "print(*[model.revision for model in models])"
    )
    folder.chmod(0o500)
    try:
        run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        folder.chmod(0o700)
    assert run.stderr == ""
    assert run.stdout.split() == [model.revision for model in models]


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.mkdir()
    with pytest.raises(OSError, match=r"x\.safetensors"):
        write_weights(path, {"weight": np.ones((2, 3), np.float32)}, {"name": "x"})
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 7, b"\xff" * 64, b"\x02" + b"\0" * 7 + b"{}", b"\x04" + b"\0" * 7 + b"null"]
)
def test_damaged_headers_are_not_whole(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    assert read_metadata(path) is None


def test_negative_workers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^workers=-1: expected 0"):
        DigitsOptions(workers=-1)


@pytest.mark.slow
def test_full_population_is_spread(tmp_path: Path) -> None:
    models = crawl(tmp_path)
    assert len(models) == len(DESIGN.recipes)
    values = [metrics(model) for model in models]
    test = np.array([value["test_accuracy"] for value in values])
    gap = np.array([value["generalisation_gap"] for value in values])
    assert np.all(test > 40)
    assert np.median(test) > 75
    assert np.ptp(test) > 15
    assert gap.min() < 0 < 10 < gap.max()
    for series in {model.series for model in models}:
        assert np.ptp([v["test_accuracy"] for v, m in zip(values, models, strict=True) if m.series == series]) > 5
