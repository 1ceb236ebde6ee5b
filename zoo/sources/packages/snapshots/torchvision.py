"""What torchvision says about its weights: the enumerations behind `torchvision.models.get_model_weights`.

URL: https://github.com/pytorch/vision, weights at https://download.pytorch.org/models
Licence: BSD-3-Clause; weights whose metadata names another licence keep that one.
Sample row: vgg11, IMAGENET1K_V1, https://download.pytorch.org/models/vgg11-8a719046.pth, ImageNet-1K acc@1 69.02
File names end in the first digits of the file's sha256 (162 of 166 do), kept as 'sha256-prefix:...'.

Run by make.py, never by a scan: it imports the package and with it torch.
"""

from __future__ import annotations

import math
import re
from importlib import metadata
from typing import Any, Protocol

from zoospectra.zoo.model import Model, ReportedMetric
from zoospectra.zoo.sources.packages.snapshots import series
from zoospectra.zoo.sources.packages.snapshots.stub import declare_operators
from zoospectra.zoo.sources.packages.snapshots.table import Snapshot, model_id

URL = "https://github.com/pytorch/vision"
"""Where the package lives."""

LICENCE = "BSD-3-Clause"
"""Of the package, and of weights that say nothing else."""

METRICS: dict[str, tuple[str, bool]] = {
    "acc@1": ("top1_accuracy", True),
    "acc@5": ("top5_accuracy", True),
    "box_map": ("box_map", True),
    "kp_map": ("keypoint_map", True),
    "mask_map": ("mask_map", True),
    "miou": ("miou", True),
    "pixel_acc": ("pixel_accuracy", True),
    "epe": ("end_point_error", False),
    "per_image_epe": ("end_point_error_per_image", False),
    "fl_all": ("fl_all", False),
}
"""The package's word -> ours, and whether higher is better. All in percent, but end point errors in pixels."""

DATASETS = (
    ("IMAGENET1K", "imagenet-1k"),
    ("KINETICS400", "kinetics-400"),
    ("COCO", "coco-2017"),
    ("C_T_SKHT_K", "chairs-things-mixed-kitti"),
    ("C_T_SKHT", "chairs-things-mixed"),
    ("C_T", "chairs-things"),
)
"""Beginning of a weight's name -> data set that the net was trained on last; the first that fits."""

TASKS = {
    "segmentation": "semantic-segmentation",
    "detection": "object-detection",
    "detection.keypoint_rcnn": "keypoint-detection",
    "detection.mask_rcnn": "instance-segmentation",
    "video": "video-classification",
    "optical_flow": "optical-flow",
}
"""Module below torchvision.models -> task; every other one classifies images."""

KEPT = {"num_params": "num_params", "_ops": "giga_ops", "_file_size": "file_megabytes", "recipe": "recipe"}
"""Metadata that becomes a column of its own."""


class Weight(Protocol):
    """What is read of a member of a weights enumeration."""

    @property
    def name(self) -> str:
        """Name of the member."""

    @property
    def url(self) -> str:
        """Where the weights lie."""

    @property
    def meta(self) -> dict[str, Any]:
        """Everything else."""


def collect() -> Snapshot:
    """The catalog of the installed torchvision; ValueError when it is not installed or cannot be imported."""
    try:
        version = metadata.version("torchvision").partition("+")[0]
        operators = declare_operators()
        from torchvision import models
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        msg = f"torchvision cannot be imported ({error!r}); install one that fits this torch, or use a snapshot at hand"
        raise ValueError(msg) from error
    catalog: dict[str, Model] = {}
    for name in models.list_models():
        enumeration = models.get_model_weights(name)
        for weight in enumeration:
            model = of_weight(name, weight, f"torchvision {version}", weight is getattr(enumeration, "DEFAULT", None))
            catalog.setdefault(model.model_id, model)
    del operators
    return Snapshot("torchvision", "torchvision", version, None, URL, LICENCE, tuple(catalog.values()))


def of_weight(name: str, weight: Weight, origin: str, default: bool) -> Model:
    """One member of a weights enumeration (name, url, meta) as a model; `origin` names the source in every metric."""
    meta = weight.meta
    extra: dict[str, int | float | str] = {"is_default": int(default)}
    extra |= {ours: meta[theirs] for theirs, ours in KEPT.items() if isinstance(meta.get(theirs), (int, float, str))}
    prefix = re.search(r"-([0-9a-f]{8,})\.pth$", weight.url)
    if prefix:
        extra["checksum"] = f"sha256-prefix:{prefix[1]}"
    if "unquantized" in meta:
        extra["unquantized"] = str(meta["unquantized"]).rpartition(".")[2]
    metrics = tuple(
        ReportedMetric(measured.lower(), METRICS[word][0], float(value), METRICS[word][1], origin, None, str(value))
        for measured, numbers in meta.get("_metrics", {}).items()
        for word, value in numbers.items()
        if word in METRICS and math.isfinite(value)  # weights without a classifier report NaN
    )
    module = type(weight).__module__.removeprefix("torchvision.models.")
    note = re.sub(r"\s+", " ", meta.get("_docs", "")).strip() or None
    return Model(
        model_id("torchvision", name, weight.name),
        "torchvision",
        name,
        weight.name,
        "",
        series=series.of_torchvision(name),
        dataset=next((dataset for start, dataset in DATASETS if weight.name.startswith(start)), None),
        task=TASKS.get(module, TASKS.get(module.partition(".")[0], "image-classification")),
        weights_url=weight.url,
        licence=meta.get("license", LICENCE),
        note=note,
        metrics=metrics,
        extra=extra,
    )
