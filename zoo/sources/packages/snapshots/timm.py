"""What timm says about its weights: the pretrained configurations behind `timm.list_pretrained`.

URL: https://github.com/huggingface/pytorch-image-models, weights at https://huggingface.co/timm
Licence: Apache-2.0; every set of weights names its own, or none.
Sample row: resnet50.a1_in1k, hf_hub_id timm/resnet50.a1_in1k, url .../resnet50_a1_0-14fe96d1.pth, apache-2.0

The package knows no accuracies: those come from results files, see zoo/sources/timm.py. `weights_url` is the
safetensors file of the hub where there is one (timm itself prefers it), on the branch main: the hub's client pins it.
The file named by `url` and its checksum, the prefix of a sha256, are then the columns origin_url and origin_checksum.

Run by make.py, never by a scan: it imports the package, torch and torchvision.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

from zoospectra.zoo.model import Model
from zoospectra.zoo.sources.packages.snapshots import series
from zoospectra.zoo.sources.packages.snapshots.stub import declare_operators
from zoospectra.zoo.sources.packages.snapshots.table import Snapshot, model_id

URL = "https://github.com/huggingface/pytorch-image-models"
"""Where the package lives."""

HUB = "https://huggingface.co/{repository}/resolve/main/{file}"
"""Where a hub repository's weights lie."""

DATASETS = {
    "in1k": "imagenet-1k",
    "in12k": "imagenet-12k",
    "in21k": "imagenet-21k",
    "inw21k": "imagenet-winter-21k",
    "in22k": "imagenet-22k",
    "laion2b": "laion-2b",
    "laiona": "laion-aesthetic",
    "laion400m": "laion-400m",
    "datacomp1b": "datacomp-1b",
    "datacompxl": "datacomp-1b",
    "dfn2b": "dfn-2b",
    "dfndr2b": "dfndr-2b",
    "dfn5b": "dfn-5b",
    "openai": "wit-400m",
    "merged2b": "merged-2b",
    "m38m": "merged-38m",
    "webli": "webli",
    "metaclip": "metaclip",
    "metaclip2": "metaclip2",
    "lvd142m": "lvd-142m",
    "lvd1689m": "lvd-1689m",
    "sat493m": "sat-493m",
    "sa1b": "sa-1b",
    "cc12m": "cc-12m",
    "yfcc15m": "yfcc-15m",
    "yfcc100m": "yfcc-100m",
    "ig1b": "instagram-1b",
    "bamboo": "bamboo",
    "mclip": "datacompdr-1b",
    "fcmae": "imagenet-1k",
    "mae": "imagenet-1k",
    "dino": "imagenet-1k",
}
"""Word of a weight's tag -> data set; the last word that is known tells what the net was trained on last."""

CLASSES = {11821: "imagenet-12k", 19168: "imagenet-winter-21k", 21841: "imagenet-22k", 21843: "imagenet-21k"}
"""Number of outputs -> data set, where the tag says nothing."""


def collect() -> Snapshot:
    """The catalog of the installed timm; ValueError when it is not installed or cannot be imported."""
    try:
        version = metadata.version("timm")
        operators = declare_operators()
        import timm
        from timm.models import get_pretrained_cfg
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        msg = f"timm cannot be imported ({error!r}); install it with a torchvision that fits, or use a snapshot at hand"
        raise ValueError(msg) from error
    modules = {name: module for module in timm.list_modules() for name in timm.list_models(module=module)}
    models = []
    for name in timm.list_pretrained():
        configuration = get_pretrained_cfg(name)
        if configuration is not None:
            module = modules.get(configuration.architecture or "", "")
            models.append(of_configuration(name, asdict(configuration), module))
    del operators
    return Snapshot("timm", "timm", version, None, URL, "Apache-2.0", tuple(models))


def of_configuration(name: str, configuration: Mapping[str, Any], module: str) -> Model:
    """One pretrained configuration of timm as a model; `module` is the file of timm that defines the architecture."""
    tag, architecture = configuration["tag"] or "", configuration["architecture"] or name
    extra: dict[str, int | float | str] = {"architecture": architecture, "module": module}
    extra["num_classes"] = configuration["num_classes"]
    if configuration["input_size"]:
        extra["image_size"] = configuration["input_size"][-1]
    prefix = re.search(r"-([0-9a-f]{8,})\.(?:pth|npz|tar|pt)\w*$", configuration["url"] or "")
    place = configuration["url"] or None
    if configuration["hf_hub_id"]:
        extra["hf_hub_id"] = configuration["hf_hub_id"]
        file = configuration["hf_hub_filename"] or "model.safetensors"
        place = HUB.format(repository=configuration["hf_hub_id"], file=file)
        extra |= {"origin_url": configuration["url"]} if configuration["url"] else {}
    if prefix:
        extra["origin_checksum" if configuration["hf_hub_id"] else "checksum"] = f"sha256-prefix:{prefix[1]}"
    if configuration["paper_ids"]:
        extra["paper"] = str(configuration["paper_ids"])
    return Model(
        model_id("timm", name, tag or "untagged"),
        "timm",
        name,
        tag or "untagged",
        "",
        series=series.of_timm(architecture),
        dataset=dataset(tag, configuration["num_classes"]),
        task="image-classification" if configuration["num_classes"] else "image-feature-extraction",
        weights_url=place,
        licence=configuration["license"],
        note="; ".join(configuration["notes"] or ()) or None,
        extra=extra,
    )


def dataset(tag: str, classes: int) -> str | None:
    """Data set that weights with this tag were trained on last; None when neither tag nor outputs tell."""
    known = [DATASETS[word] for word in tag.split("_") if word in DATASETS]
    return known[-1] if known else CLASSES.get(classes)
