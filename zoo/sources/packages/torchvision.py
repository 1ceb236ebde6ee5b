"""The torchvision zoo: 166 weights for classification, detection, segmentation, video and optical flow.

URL: https://github.com/pytorch/vision, weights at https://download.pytorch.org/models
Licence: BSD-3-Clause; some weights name another one
Sample row: vgg11, IMAGENET1K_V1, vgg, imagenet-1k, top1_accuracy 69.02, .../vgg11-8a719046.pth, sha256-prefix:8a719046

Read from a snapshot (snapshots/torchvision.py says what each number means): the package is never imported.
`model_id` is torchvision/<model>/<member of its weights enumeration>.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zoospectra.zoo.model import Model
from zoospectra.zoo.sources.packages.release import released
from zoospectra.zoo.sources.packages.snapshots import table
from zoospectra.zoo.sources.record import Crawl, Source


@dataclass(frozen=True, slots=True)
class TorchvisionOptions:
    """Options of `zoo=torchvision`."""

    versions: list[str] = field(default_factory=list)
    """Versions of the package whose snapshots are read; the newest when empty."""


def crawl(versions: Sequence[str] = ()) -> tuple[Model, ...]:
    """Weights in the package's order, from the newest snapshot or from all `versions`, merged.

    ValueError: a version without a snapshot; the known ones are listed.
    """
    return table.load("torchvision", versions)


def _crawl(options: TorchvisionOptions, crawling: Crawl) -> tuple[Model, ...]:
    return released(crawl(options.versions), crawling.zoo)


SOURCE = Source("torchvision", TorchvisionOptions, _crawl)
