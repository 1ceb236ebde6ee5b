"""Top-1 and Top-5 errors that pytorch.org listed for torchvision's ImageNet weights in 2020, by model name.

URL: https://pytorch.org/vision/0.5/models.html ; later lists were measured anew and differ by some hundredths of a
percent, so the tables of the Nature Communications paper need these.
Sample row: VGG-11, top-1 error 30.98, top-5 error 11.37
"""

from __future__ import annotations

from zoospectra.zoo.model import ReportedMetric

SOURCE = "pytorch.org torchvision models"
DATE = "2020-01-15"
"""Of torchvision 0.5.0, released with torch 1.4; the weights are those of the first release."""

ERRORS: dict[str, tuple[float, float]] = {
    "vgg11": (30.98, 11.37),
    "vgg11_bn": (29.62, 10.19),
    "vgg13": (30.07, 10.75),
    "vgg13_bn": (28.45, 9.63),
    "vgg16": (28.41, 9.62),
    "vgg16_bn": (26.63, 8.50),
    "vgg19": (27.62, 9.12),
    "vgg19_bn": (25.76, 8.15),
    "resnet18": (30.24, 10.92),
    "resnet34": (26.70, 8.58),
    "resnet50": (23.85, 7.13),
    "resnet101": (22.63, 6.44),
    "resnet152": (21.69, 5.94),
    "densenet121": (25.35, 7.83),
    "densenet161": (22.35, 6.20),
    "densenet169": (24.00, 7.00),
    "densenet201": (22.80, 6.43),
}
"""Name -> (top-1 error, top-5 error) in percent, one central crop."""


def reported(name: str) -> tuple[ReportedMetric, ...]:
    """What the list said about a model; () for one that it did not have."""
    if name not in ERRORS:
        return ()
    names = ("top1_error", "top5_error")
    return tuple(
        ReportedMetric("imagenet-1k", metric, value, False, SOURCE, DATE, f"{value:.2f}")
        for metric, value in zip(names, ERRORS[name], strict=True)
    )
