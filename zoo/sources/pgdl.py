"""The nets of "Predicting Generalization in Deep Learning" (NeurIPS 2020), trained and as they were initialised.

URL: https://storage.googleapis.com/gresearch/pgdl/{public_data,phase_one_data,phase_two_data}.zip (8.8, 2.5, 9.0 GB)
Licence: Apache-2.0 (google-research/google-research, pgdl/)
Sample row: task1_v4/model_<id>, cifar-10, train_accuracy, test_accuracy, generalisation_gap, hyperparameters

Layout: <task>/model_<id>/{config.json, weights.hdf5, weights_init.hdf5}, and for every task a model_configs.json, a map
of id (with or without 'model_') to {hparams: {name: {current_value, possible_values}}, metrics: {train_acc, test_acc}},
somewhere beside or above the models (input_data/, reference_data/). Weights are Keras HDF5, kernels (kh, kw, in, out).

Read from a folder, or from an archive far away by byte ranges (zoo/archive.py): most of its bytes are images, and
the few megabytes of weights are found through the directory at its end. Not covered: the image shards.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoospectra.zoo.model import Model, ReportedMetric

ARCHIVES = ("public_data.zip", "phase_one_data.zip", "phase_two_data.zip")
"""Names of the public archives."""

URL = "https://storage.googleapis.com/gresearch/pgdl/{archive}"
"""Where they lie."""

LICENCE = "Apache-2.0"
"""Of the contest's data."""

SOURCE = "PGDL (NeurIPS 2020) model_configs.json"
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
"""Path of a model's trained weights below the folder or inside the archive."""

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


def crawl(path: str) -> tuple[Model, ...]:
    """Models of a folder laid out as the archives are, in the order of their paths.

    The sha256 of every weights file is its revision. ValueError: the folder is missing or holds no model, or a
    model_configs.json is malformed.
    """
    root = Path(path)
    if not root.is_dir():
        msg = f"zoo.path={path}: no such folder; give the folder that the contest's archives were unpacked in"
        raise ValueError(msg)
    inside = {where.relative_to(root).as_posix(): where for where in sorted(root.rglob("*")) if _safe(where, root)}
    configs = {name: _bounded(where) for name, where in inside.items() if CONFIGS.fullmatch(name)}
    models = []
    for model, weights, initial in _models(inside, configs, str(root)):
        digest = _sha256(inside[weights])
        extra = {**model.extra} | ({"initial_weights": str(inside[initial])} if initial else {})
        models.append(replace(model, path=str(inside[weights]), revision=digest, weights_sha256=digest, extra=extra))
    return tuple(models)


def crawl_archive(archive: zipfile.ZipFile, url: str) -> tuple[Model, ...]:
    """Models of one of the public archives, opened wherever it lies (zoo/archive.py), in the order of their paths.

    Only its directory and its model_configs.json are read. A model's revision is the CRC-32 of its weights, which
    lie at `weights_url`#`member`; the columns member and initial_member name what to fetch. ValueError: no model
    inside, or a model_configs.json is malformed.
    """
    inside = {member.filename: member for member in archive.infolist() if not member.is_dir()}
    configs = {name: _member(archive, member) for name, member in inside.items() if CONFIGS.fullmatch(name)}
    models = []
    for model, weights, initial in _models(inside, configs, url):
        extra: dict[str, int | float | str] = {"member": weights, "member_bytes": inside[weights].file_size}
        extra |= {"initial_member": initial} if initial else {}
        checksum = f"crc32:{inside[weights].CRC:08x}"
        extra |= {**model.extra, "checksum": checksum}
        models.append(replace(model, revision=checksum, weights_url=url, extra=extra))
    return tuple(models)


def _models(
    inside: Iterable[str], configs: Mapping[str, Callable[[], bytes]], where: str
) -> Iterable[tuple[Model, str, str | None]]:
    """(model without revision, its weights, its initial weights or None) of every model among the names."""
    names = set(inside)
    measured: dict[str, dict[str, Any]] = {}
    for name, content in sorted(configs.items()):
        measured.setdefault(_task(CONFIGS, name), {}).update(_parse(content(), f"{where}: {name}"))
    found = sorted(name for name in names if MODEL.fullmatch(name))
    if not found:
        msg = f"{where} holds no <task>/model_<id>/weights.hdf5; expected the layout of the contest's archives"
        raise ValueError(msg)
    seen: set[str] = set()
    for name in found:
        parts = MODEL.fullmatch(name)
        assert parts is not None
        # public_data holds the same nets for its two phases; the first path stands for both.
        identity = f"{parts['task']}/model_{parts['id']}"
        if identity in seen:
            continue
        seen.add(identity)
        known = measured.get(parts["task"], {})
        said = known.get(parts["id"], known.get(f"model_{parts['id']}", {}))
        initial = name.removesuffix("weights.hdf5") + "weights_init.hdf5"
        yield _model(identity, parts["task"], said), name, initial if initial in names else None


def _model(name: str, task: str, said: Mapping[str, Any]) -> Model:
    """One model, without what pins its bytes."""
    number = re.match(r"task(\d+)", task)
    dataset, family = TASKS.get(number[1] if number else "", (None, None))
    extra: dict[str, int | float | str] = {"pgdl_task": task}
    extra |= {"family": family} if family else {}
    for hyperparameter, values in said.get("hparams", {}).items():
        value = values.get("current_value") if isinstance(values, dict) else values
        if isinstance(value, (int, float, str)):
            extra[_column(hyperparameter)] = int(value) if isinstance(value, bool) else value
    metrics = [
        ReportedMetric(dataset or task, METRICS[key], float(value), key.endswith("acc"), SOURCE, None, str(value))
        for key, value in said.get("metrics", {}).items()
        if key in METRICS and isinstance(value, (int, float)) and math.isfinite(value)
    ]
    by_name = {metric.metric: metric.value for metric in metrics}
    if {"train_accuracy", "test_accuracy"} <= by_name.keys():
        gap = by_name["train_accuracy"] - by_name["test_accuracy"]
        metrics.append(ReportedMetric(dataset or task, "generalisation_gap", gap, False, SOURCE))
    task_name = "image-classification"
    return Model(
        f"pgdl/{name}",
        "pgdl",
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


def _task(pattern: re.Pattern[str], name: str) -> str:
    """Task that a path belongs to."""
    parts = pattern.fullmatch(name)
    return parts["task"] if parts else ""


def _parse(content: bytes, where: str) -> Configs:
    """A model_configs.json, checked for its shape."""
    try:
        configs = json.loads(content)
    except (ValueError, RecursionError) as error:
        msg = f"{where} is no JSON: {error}"
        raise ValueError(msg) from error
    whole = isinstance(configs, dict) and all(isinstance(one, dict) for one in configs.values())
    if not whole or any(
        not isinstance(one.get(key, {}), dict) for one in configs.values() for key in ("hparams", "metrics")
    ):
        msg = f"{where}: expected a map of model ids to maps with hparams and metrics"
        raise ValueError(msg)
    return {str(key): value for key, value in configs.items()}


def _safe(where: Path, root: Path) -> bool:
    """True for a file that lies inside the folder, links followed."""
    return where.is_file() and where.resolve().is_relative_to(root.resolve())


def _bounded(where: Path) -> Callable[[], bytes]:
    """Content of a file, bounded."""

    def content() -> bytes:
        with where.open("rb") as file:
            return _within(file.read(MOST_BYTES + 1), str(where))

    return content


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    """Content of an archive's member, bounded whatever its header says."""

    def content() -> bytes:
        with archive.open(member) as file:
            return _within(file.read(MOST_BYTES + 1), member.filename)

    return content


def _sha256(where: Path) -> str:
    """sha256 (hex) of a file."""
    with where.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _within(content: bytes, where: str) -> bytes:
    """The content, when it is not too large."""
    if len(content) > MOST_BYTES:
        msg = f"{where} is larger than {MOST_BYTES} bytes; expected the contest's model_configs.json"
        raise ValueError(msg)
    return content
