"""What pytorchcv says about its weights: model_metainfos.csv in the wheel, and the tables of its README.

URL: https://github.com/osmr/pytorchcv and, for the weights, https://github.com/osmr/imgclsmob/releases
Licence: MIT. The README is the body of the installed package's metadata, so both are read without importing anything.
Sample row: "resnet18",11689512,0896,"77a56f15...","v0.0.478","ResNet-18","1512.03385","in1k",224,0.875,200,NA

`error_value` is four digits, percent times 100, and not always an error: see ERROR_VALUE. The checksum is the sha1 of
the *unzipped* .pth. A row without checksum has no weights and is no model here. A README of another time (also those
of osmr/imgclsmob, pytorch/README.md) gives models and numbers of its own through `of_readme`: equal weights are equal
in name and checksum, so several READMEs stand side by side.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from email.message import Message
from importlib import metadata
from typing import cast

from zoospectra.zoo.model import Model, ReportedMetric
from zoospectra.zoo.sources.packages.snapshots import series
from zoospectra.zoo.sources.packages.snapshots.table import Snapshot, model_id

URL = "https://github.com/osmr/imgclsmob/releases/download/{tag}/{name}-{error}-{sha}.pth.zip"
"""Where a model's weights lie; `sha` is the first eight digits of the checksum."""

LICENCE = "MIT"
"""Of the package and its converted weights; where they were converted from is the column `converted_from`."""

ERROR_VALUE: dict[str, tuple[str, bool]] = {
    "in1k": ("top5_error", False),
    "cf": ("top1_error", False),
    "cub": ("top1_error", False),
    "voc": ("miou", True),
    "ade20k": ("miou", True),
    "cs": ("miou", True),
    "cocoseg": ("miou", True),
    "coco": ("miou", True),
    "cocohpe": ("oks_ap", True),
    "mcv": ("wer", False),
}
"""test_dataset -> what error_value is, and whether higher is better. All but the ImageNet rows are in percent of it."""

DATASETS = {
    "in1k": "imagenet-1k",
    "cub": "cub-200-2011",
    "voc": "pascal-voc-2012",
    "ade20k": "ade20k",
    "cs": "cityscapes",
    "cocoseg": "coco-segmentation",
    "coco": "coco-segmentation",
    "cocohpe": "coco-keypoints",
    "mcv": "mozilla-common-voice-6.1",
}
"""test_dataset -> data set; 'cf' is told by the suffix of the name."""

SUFFIXES = {
    "_cifar100": "cifar-100",
    "_cifar10": "cifar-10",
    "_svhn": "svhn",
    "_celebamaskhq": "celebamask-hq",
}
"""End of a model's name -> data set, before test_dataset is asked."""

TASKS = {
    "in1k": "image-classification",
    "cf": "image-classification",
    "cub": "image-classification",
    "cocohpe": "keypoint-detection",
    "mcv": "automatic-speech-recognition",
    "NA": None,
}
"""test_dataset -> task; every other one is semantic segmentation."""

SECTIONS = {
    "ImageNet-1K": "in1k",
    "ImageNet": "in1k",
    "CIFAR-10": "cf",
    "CIFAR-100": "cf",
    "SVHN": "cf",
    "CUB-200-2011": "cub",
    "Pascal VOC20102": "voc",
    "ADE20K": "ade20k",
    "Cityscapes": "cs",
    "COCO Semantic Segmentation": "cocoseg",
    "COCO": "cocoseg",
    "COCO Keypoints Detection": "cocohpe",
    "CelebAMask-HQ": "cs",
}
"""Heading of a README table -> test_dataset of its rows; what begins with Mozilla Common Voice is 'mcv'."""

COLUMNS: dict[str, tuple[tuple[str, bool], ...]] = {
    "Top1": (("top1_error", False),),
    "Top5": (("top5_error", False),),
    "Error, %": (("top1_error", False),),
    "Pix.Acc.,%": (("pixel_accuracy", True),),
    "mIoU,%": (("miou", True),),
    "OKS AP, %": (("oks_ap", True), ("oks_ap50", True), ("oks_ap75", True)),
    "WER, %": (("wer", False),),
}
"""Column of a README table -> the numbers between its slashes, in percent."""

LOG = re.compile(r"download/(?P<tag>[^/]+)/(?P<name>\w+)-(?P<error>\d+)-(?P<sha>[0-9a-f]{8})\.(?P<kind>pth|npz)\.log")
"""The training log that a table's last column links to: what ties a row to its weights. One row of CIFAR-100 links to
the log of the Gluon weights (.npz), whose checksum is not that of the torch weights."""

Metrics = tuple[ReportedMetric, ...]


def collect() -> Snapshot:
    """The catalog of the installed pytorchcv; ValueError when it is not installed or not laid out as expected."""
    try:
        package = metadata.distribution("pytorchcv")
    except metadata.PackageNotFoundError as error:
        msg = "pytorchcv is not installed; pip install pytorchcv (the extra 'zoos'), or use a snapshot at hand"
        raise ValueError(msg) from error
    tables = [file for file in package.files or () if file.name == "model_metainfos.csv"]
    # The metadata is an email message whose body is the README; its annotation says less than that.
    body = cast(Message, package.metadata).get_payload()
    if not tables or not isinstance(body, str):
        msg = f"pytorchcv {package.version} has no model_metainfos.csv or no README in its metadata: another layout"
        raise ValueError(msg)
    origin = f"pytorchcv {package.version}"
    rows = list(csv.DictReader(io.StringIO(tables[0].read_text())))
    models = of_metainfos(rows, body, origin)
    return Snapshot(
        "pytorchcv", "pytorchcv", package.version, None, "https://github.com/osmr/pytorchcv", LICENCE, models
    )


def of_metainfos(
    rows: Sequence[Mapping[str, str]], readme: str, origin: str, date: str | None = None
) -> tuple[Model, ...]:
    """Models of the rows that have weights, in the file's order; numbers that only the README has come after.

    `origin` names the source in every metric. ValueError when two rows with weights share a name and a checksum, or a
    column is missing.
    """
    entries = series.listed(readme)
    shown = {name: (cells, tested) for name, _, cells, tested in _readme_rows(readme)}
    models: dict[str, Model] = {}
    for row in rows:
        try:
            name, checksum, tested = row["model_name"], row["checksum"], row["test_dataset"]
            error, tag = row["error_value"], row["repo_release_tag"]
        except KeyError as missing:
            msg = f"model_metainfos.csv has no column {missing}; it has {', '.join(row)}"
            raise ValueError(msg) from missing
        if checksum == "NA":
            continue
        cells = shown.get(name, ({}, ""))[0]
        display = cells.get("Model", row["model_caption"])
        metrics = _error_value(name, tested, error, f"{origin} model_metainfos.csv", date)
        known = {metric.metric for metric in metrics}
        more = [
            metric for metric in _cells(name, tested, cells, f"{origin} README", date) if metric.metric not in known
        ]
        extra: dict[str, int | float | str] = {"checksum": f"sha1:{checksum}", "num_params": int(row["net_weights"])}
        extra |= _origin(cells)
        if display != "NA":
            extra["display_name"] = display
        place = URL.format(tag=tag, name=name, error=error, sha=checksum[:8])
        model = _model(name, checksum[:8], tested, series.of_pytorchcv(display, entries), place)
        model = _with(model, (*metrics, *more), extra)
        if model.model_id in models:
            msg = f"model_metainfos.csv has two rows with weights for {model.model_id}; expected one"
            raise ValueError(msg)
        models[model.model_id] = model
    return tuple(models.values())


def of_readme(readme: str, origin: str, date: str | None = None) -> tuple[Model, ...]:
    """Models of a README's tables, in its order, with every number that it prints; ValueError when it has none.

    `origin` names the source in every metric, e.g. 'osmr/imgclsmob 9c3f7bd7 pytorch/README.md'.
    """
    entries = series.listed(readme)
    models = []
    for name, log, cells, tested in _readme_rows(readme):
        place = URL.format(tag=log["tag"], name=name, error=log["error"], sha=log["sha"])
        family = series.of_pytorchcv(cells["Model"], entries)
        model = _model(name, log["sha"], tested, family, place if log["kind"] == "pth" else None)
        extra: dict[str, int | float | str] = {"checksum": f"sha1-prefix:{log['sha']}", "display_name": cells["Model"]}
        extra |= _origin(cells)
        models.append(_with(model, tuple(_cells(name, tested, cells, origin, date)), extra))
    if not models:
        msg = f"{origin}: no table row links to a training log; expected the README of pytorchcv or osmr/imgclsmob"
        raise ValueError(msg)
    return tuple({model.model_id: model for model in models}.values())


def _readme_rows(readme: str) -> Iterator[tuple[str, Mapping[str, str], dict[str, str], str]]:
    """(model name, parts of the log's name, cells by column, test_dataset) of every table row that links to a log."""
    tested, header = "NA", [""]
    for line in readme.splitlines():
        if line.startswith("### "):
            title = line[4:].strip()
            tested = "mcv" if title.startswith("Mozilla Common Voice") else SECTIONS.get(title, "NA")
        elif line.startswith("| Model"):
            header = _split(line)
        elif line.startswith("| ") and (log := LOG.search(line)):
            cells = dict(zip(header, _split(line), strict=False))
            yield log["name"], log.groupdict(), cells, tested


def _split(line: str) -> list[str]:
    """Cells of a Markdown table row."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _cells(name: str, tested: str, cells: Mapping[str, str], origin: str, date: str | None) -> Metrics:
    """The numbers of one table row; a cell that holds none ('-') gives none."""
    metrics = []
    for column, meanings in COLUMNS.items():
        for (metric, higher), text in zip(meanings, cells.get(column, "").split("/"), strict=False):
            if re.fullmatch(r"\d+(\.\d+)?", text):
                where = _measured_on(name, tested)
                metrics.append(ReportedMetric(where, metric, float(text), higher, origin, date, text))
    return tuple(metrics)


def _error_value(name: str, tested: str, error: str, origin: str, date: str | None) -> Metrics:
    """The number in error_value; '0000' is not measured."""
    if tested not in ERROR_VALUE or not error.isdigit() or int(error) == 0:
        return ()
    metric, higher = ERROR_VALUE[tested]
    return (ReportedMetric(_measured_on(name, tested), metric, int(error) / 100, higher, origin, date, error),)


def _measured_on(name: str, tested: str) -> str:
    """Data set of a number: the model's, and for speech its language too, since the corpora differ."""
    language = re.search(r"_([a-z]{2})(?:\d+)?(?:_nr|_ls)?$", name) if tested == "mcv" else None
    dataset = _dataset(name, tested) or "unknown"
    return f"{dataset}/{language[1]}" if language else dataset


def _dataset(name: str, tested: str) -> str | None:
    """Data set that a model is named or tested after."""
    ending = next((dataset for suffix, dataset in SUFFIXES.items() if name.endswith(suffix)), None)
    return ending or DATASETS.get(tested)


def _origin(cells: Mapping[str, str]) -> dict[str, int | float | str]:
    """Where the weights were converted from, in the README's words."""
    words = cells.get("Remarks", "").partition(" ([log]")[0]
    return {"converted_from": words} if words else {}


def _model(name: str, revision: str, tested: str, family: str | None, url: str | None) -> Model:
    """A model without its numbers."""
    dataset = "librispeech" if name.endswith("_ls") else _dataset(name, tested)
    task = TASKS.get(tested, "semantic-segmentation")
    identity = model_id("pytorchcv", name, revision)
    return Model(identity, "pytorchcv", name, revision, "", family, dataset, task, url, licence=LICENCE)


def _with(model: Model, metrics: Metrics, extra: Mapping[str, int | float | str]) -> Model:
    """A model with its numbers."""
    return replace(model, metrics=metrics, extra=extra)
