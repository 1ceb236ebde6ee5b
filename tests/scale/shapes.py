"""Shapes of every weight of the packages' catalogs: `python -m tests.scale.shapes PACKAGE` with the package installed.

Each architecture is built on torch's meta device, so that nothing is downloaded and nothing computed; what a package
cannot build so is left out and counted. For the maintainers: the simulation and docs/scale.md read the result,
catalog_shapes.csv.gz, one row a package, model, and matrix shape.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zoospectra.analysis.unfold.slices import shape_of
from zoospectra.zoo.sources.packages.snapshots.table import FOLDER

FILE = Path(__file__).with_name("catalog_shapes.csv.gz")
COLUMNS = ("package", "model", "N", "M", "rf", "layers")


OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
"""torchvision's compiled operators need another torch; declared, the package can be imported. Gone with this object."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Layers of one model that have one shape."""

    package: str
    """pytorchcv, torchvision or timm."""
    model: str
    """Name in the package's catalog."""
    N: int
    """Larger side."""
    M: int
    """Smaller side."""
    rf: int
    """Matrices a layer: the receptive field."""
    layers: int
    """Layers of that shape."""


def read_shapes(file: Path = FILE) -> list[Shape]:
    """Rows of the kept table."""
    with gzip.open(file, "rt", newline="") as stream:
        return [
            Shape(row["package"], row["model"], *(int(row[name]) for name in COLUMNS[2:]))
            for row in csv.DictReader(stream)
        ]


def catalog_names(package: str) -> list[str]:
    """Names of the models of a package's newest snapshot."""
    file = sorted(FOLDER.glob(f"{package}-*.csv.gz"))[-1]
    with gzip.open(file, "rt") as stream:
        return [row["name"] for row in csv.DictReader(line for line in stream if not line.startswith("#"))]


def builder(package: str) -> Callable[[str], Any]:
    """What makes an architecture of a package by name."""
    OPERATORS.define("nms(Tensor a, Tensor b, float c) -> Tensor")
    OPERATORS.define("qnms(Tensor a, Tensor b, float c) -> Tensor")
    if package == "timm":
        import timm

        return lambda name: timm.create_model(name.split(".")[0], pretrained=False)
    if package == "pytorchcv":
        from pytorchcv.model_provider import get_model

        return lambda name: get_model(name, pretrained=False)
    from torchvision import models

    def make(name: str) -> Any:
        try:
            return models.get_model(name, weights=None, weights_backbone=None)
        except TypeError:
            return models.get_model(name, weights=None)

    return make


def shapes(package: str) -> Iterator[Shape]:
    """Shapes of every model that can be built without its weights; the others are named on stderr."""
    make = builder(package)
    for name in catalog_names(package):
        try:
            try:
                with torch.device("meta"):
                    model = make(name)
            except NotImplementedError:  # an initialiser that meta tensors do not have
                model = make(name)
        except Exception as error:  # noqa: BLE001 - whatever a package's own constructor raises
            sys.stderr.write(f"{package}/{name}: {type(error).__name__}: {error}\n")
            continue
        weights = [tuple(weight.shape) for weight in model.parameters() if 2 <= weight.dim() <= 5 and weight.numel()]
        counts = Counter(shape_of(shape, "conv" if len(shape) > 2 else "dense") for shape in weights)
        for shape, layers in sorted(counts.items(), key=str):
            yield Shape(package, name, shape.N, shape.M, shape.rf, layers)


def main(packages: list[str]) -> None:
    """Replace the rows of the named packages."""
    rows = [row for row in (read_shapes() if FILE.exists() else []) if row.package not in packages]
    rows += [row for package in packages for row in shapes(package)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(row, name) for name in COLUMNS] for row in rows)
    FILE.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


if __name__ == "__main__":
    main(sys.argv[1:])
