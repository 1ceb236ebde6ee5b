"""The nets of "Predicting Generalization in Deep Learning" (NeurIPS 2020), trained and as they were initialised.

URL: https://storage.googleapis.com/gresearch/pgdl/{public_data,phase_one_data,phase_two_data}.zip (8.8, 2.5, 9.0 GB)
Licence: Apache-2.0 (google-research/google-research, pgdl/)
Sample row: task1_v4/model_<id>, cifar-10, train_accuracy, test_accuracy, generalisation_gap, hyperparameters

Layout: <task>/model_<id>/{config.json, weights.hdf5, weights_init.hdf5}, and for every task a model_configs.json, a map
of id (with or without 'model_') to {hparams: {name: {current_value, possible_values}}, metrics: {train_acc, test_acc}},
somewhere beside or above the models (input_data/, reference_data/). Weights are Keras HDF5, kernels (kh, kw, in, out).

Read from a folder that the archives were unpacked in. Not covered: the image shards, most of the archives' bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoospectra.zoo.model import Model, ReportedMetric
from zoospectra.zoo.sources.fingerprint import file_sha256
from zoospectra.zoo.sources.record import Crawl, Source

LICENCE = "Apache-2.0"
"""Of the contest's data."""

ORIGIN = "PGDL (NeurIPS 2020) model_configs.json"
"""Who measured the accuracies."""

TASKS = {
    "1": ("cifar-10", "VGG-like"),
    "2": ("svhn", "Network in Network"),
    "4": ("cinic-10", "fully convolutional, batch norm"),
    "5": ("cinic-10", "fully convolutional"),
    "6": ("oxford-flowers-102", "Network in Network"),
    "7": ("oxford-iiit-pets", "Network in Network"),
    "8": ("fashion-mnist", "VGG-like"),
    "9": ("cifar-10", "Network in Network, augmented"),
}
"""Number of a task -> (data set, family), from the contest's description; one task is one series."""

MODEL = re.compile(r"(?:(?P<above>.*)/)?(?P<task>task\d+[^/]*)/model_(?P<id>[^/]+)/weights\.hdf5")
"""Path of a model's trained weights below the folder."""

CONFIGS = re.compile(r"(?:.*/)?(?P<task>task\d+[^/]*)/model_configs\.json")
"""Path of what was measured."""

MOST_BYTES = 1 << 26
"""A model_configs.json beyond this is refused; the largest of the contest takes 100 KB."""

METRICS = {
    "train_acc": "train_accuracy",
    "test_acc": "test_accuracy",
    "train_loss": "train_loss",
    "test_loss": "test_loss",
}
"""Their name of a measurement -> ours; accuracies are fractions, and higher is better."""

Configs = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class PgdlOptions:
    """Options of `zoo=pgdl`."""

    path: str | None = None
    """Folder that the contest's archives were unpacked in."""

    def __post_init__(self) -> None:
        if not self.path:
            msg = f"path={self.path or 'null'}: expected the folder that the archives were unpacked in: zoo.path=DIR"
            raise ValueError(msg)


def crawl(path: str, zoo: str = "pgdl") -> tuple[Model, ...]:
    """Models of a folder laid out as the archives are, in the order of their paths.

    The sha256 of every weights file is its revision; `zoo` is the first part of every model_id. ValueError: the folder
    is missing or holds no model, or a model_configs.json is malformed.
    """
    root = Path(path)
    if not root.is_dir():
        msg = f"zoo.path={path}: no such folder; give the folder that the contest's archives were unpacked in"
        raise ValueError(msg)
    files = {file.relative_to(root).as_posix(): file for file in sorted(root.rglob("*")) if _safe(file, root)}
    measured: dict[str, dict[str, Any]] = {}
    for name in sorted(files):
        if (parts := CONFIGS.fullmatch(name)) is not None:
            measured.setdefault(parts["task"], {}).update(_parse(files[name]))
    models: dict[str, Model] = {}
    for name in sorted(files):
        if (parts := MODEL.fullmatch(name)) is not None:
            # public_data holds the same nets for its two phases; the first path stands for both.
            identity = f"{parts['task']}/model_{parts['id']}"
            known = measured.get(parts["task"], {})
            config = known.get(parts["id"], known.get(f"model_{parts['id']}", {}))
            initial = files.get(name.removesuffix("weights.hdf5") + "weights_init.hdf5")
            if identity not in models:
                models[identity] = _pinned(_model(zoo, identity, parts["task"], config), files[name], initial)
    if not models:
        msg = f"{root} holds no <task>/model_<id>/weights.hdf5; expected the layout of the contest's archives"
        raise ValueError(msg)
    return tuple(models.values())


def _pinned(model: Model, weights: Path, initial: Path | None) -> Model:
    """The model with its weights, trained and initial, and what pins them."""
    digest = file_sha256(weights)
    extra = {**model.extra} | ({"initial_weights": str(initial)} if initial else {})
    return replace(model, path=str(weights), revision=digest, weights_sha256=digest, extra=extra)


def _model(zoo: str, name: str, task: str, config: Mapping[str, Any]) -> Model:
    """One model, without what pins its bytes."""
    number = re.match(r"task(\d+)", task)
    dataset, family = TASKS.get(number[1] if number else "", (None, None))
    extra: dict[str, int | float | str] = {"pgdl_task": task}
    extra |= {"family": family} if family else {}
    for hyperparameter, values in config.get("hparams", {}).items():
        value = values.get("current_value") if isinstance(values, dict) else values
        if isinstance(value, (int, float, str)):
            extra[_column(hyperparameter)] = int(value) if isinstance(value, bool) else value
    metrics = [
        ReportedMetric(dataset or task, METRICS[key], float(value), key.endswith("acc"), ORIGIN, None, str(value))
        for key, value in config.get("metrics", {}).items()
        if key in METRICS and isinstance(value, (int, float)) and math.isfinite(value)
    ]
    by_name = {metric.metric: metric.value for metric in metrics}
    if {"train_accuracy", "test_accuracy"} <= by_name.keys():
        gap = by_name["train_accuracy"] - by_name["test_accuracy"]
        metrics.append(ReportedMetric(dataset or task, "generalisation_gap", gap, False, ORIGIN))
    task_name = "image-classification"
    return Model(
        f"{zoo}/{name}",
        zoo,
        name,
        "",
        "",
        task,
        dataset,
        task_name,
        licence=LICENCE,
        metrics=tuple(metrics),
        extra=extra,
    )


def _column(name: str) -> str:
    """A hyperparameter's name as a column that hides none of a model's own."""
    plain = re.sub(r"\W+", "_", name.strip().lower()).strip("_") or "unnamed"
    return (
        f"hp_{plain}" if plain in Model.__slots__ or plain in ("params", "first_seen", "last_seen", "latest") else plain
    )


def _parse(file: Path) -> Configs:
    """A model_configs.json, checked for its size and its shape."""
    if file.stat().st_size > MOST_BYTES:
        msg = f"{file} is larger than {MOST_BYTES} bytes; expected the contest's model_configs.json"
        raise ValueError(msg)
    try:
        configs = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        msg = f"{file} is no JSON: {error}"
        raise ValueError(msg) from error
    whole = isinstance(configs, dict) and all(isinstance(config, dict) for config in configs.values())
    if not whole or any(
        not isinstance(config.get(key, {}), dict) for config in configs.values() for key in ("hparams", "metrics")
    ):
        msg = f"{file}: expected a map of model ids to maps with hparams and metrics"
        raise ValueError(msg)
    return {str(key): value for key, value in configs.items()}


def _safe(file: Path, root: Path) -> bool:
    """True for a file that lies inside the folder, links followed."""
    return file.is_file() and file.resolve().is_relative_to(root.resolve())


def _crawl(options: PgdlOptions, crawling: Crawl) -> tuple[Model, ...]:
    return crawl(str(options.path), crawling.zoo)


SOURCE = Source("pgdl", PgdlOptions, _crawl)
