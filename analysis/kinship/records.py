"""What is known of a model without its weights: the sketches and plain numbers of its layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from zoospectra.analysis.records import FloatArray

SMALLEST = 64
"""Elements below which a layer says nothing about kinship."""


class Size(NamedTuple):
    """What two layers must share to be compared."""

    elements: int
    """Values in the layer."""
    N: int
    """Larger side of its matrices."""
    M: int
    """Smaller side."""


@dataclass(frozen=True, slots=True)
class SketchedLayer:
    """One layer."""

    longname: str
    """Module path."""
    role: str
    """Role in its block (q, up, expert 3), or its type where that is unknown."""
    size: Size
    """Elements and sides."""
    dtype: str
    """Stored element type."""
    content_hash: str
    """Identity of its bytes."""
    whole: FloatArray
    """Sketch of the values, (K,)."""
    columns: FloatArray | None
    """Sketch of the sums over rows, (K,)."""
    rows: FloatArray | None
    """Sketch of the sums over columns, (K,)."""
    mean: float
    """Mean of the values."""
    std: float
    """Their standard deviation."""
    repeats: float
    """Share of values that repeat a neighbour: what rounding to few values raises."""
    top: float
    """Largest absolute value."""
    zeros: float = 0.0
    """Share of values that are 0."""

    @property
    def norm(self) -> float:
        """Frobenius norm of the values."""
        return float(np.sqrt(self.size.elements * (self.mean**2 + self.std**2)))


@dataclass(frozen=True)
class SketchedModel:
    """One revision of a model."""

    model_id: str
    """Stable name."""
    revision: str
    """What pins the bytes."""
    layers: tuple[SketchedLayer, ...]
    """In checkpoint order, those with at least SMALLEST elements and a sketch."""
    copies: int = 0
    """Layers beside them that have the bytes of one of them."""

    @cached_property
    def by_size(self) -> dict[Size, list[int]]:
        """Places of the layers of every size."""
        places: dict[Size, list[int]] = {}
        for place, layer in enumerate(self.layers):
            places.setdefault(layer.size, []).append(place)
        return places
