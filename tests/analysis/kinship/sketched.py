"""Layers and models as records with chosen sketches: cosines, norms and margins that are known by construction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from zoospectra.analysis.kinship.records import Size, SketchedLayer, SketchedModel
from zoospectra.analysis.sketch import K

WIDE = Size(64, 1000, 1000)
"""Of 64 values, so that the norm is 8 standard deviations, and long margins."""


def axis(i: int) -> np.ndarray:
    return np.eye(K)[i]


def towards(cosine: float, i: int = 0, j: int = 1) -> np.ndarray:
    """A unit vector at this cosine to axis i, in the plane of axes i and j."""
    return cosine * axis(i) + math.sqrt(1.0 - cosine**2) * axis(j)


def layer(name: str = "l.0", whole: np.ndarray | None = None, content: str = "a", **more: Any) -> SketchedLayer:
    """A layer of standard deviation 1 along the first axis, without margins; fields by name."""
    fields: dict[str, Any] = {"role": "up", "size": WIDE, "dtype": "float32", "columns": None, "rows": None}
    fields |= {"mean": 0.0, "std": 1.0, "repeats": 0.0, "top": 3.0} | more
    return SketchedLayer(name, content_hash=content, whole=axis(0) if whole is None else whole, **fields)


def model(*layers: SketchedLayer, name: str = "m") -> SketchedModel:
    return SketchedModel(name, "r", layers)


def net(name: str, wholes: Mapping[str, np.ndarray]) -> SketchedModel:
    """A model of layers with these sketches, each with bytes of its own."""
    return model(*(layer(key, whole, f"{name} {key}") for key, whole in wholes.items()), name=name)
