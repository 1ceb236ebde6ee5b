"""What a published table says: one model, its layer rows, its slice rows, its averages; always with the origin.

A row's `values` have our column names and the definitions of the version that made them (see columns.py): the profile
says which, so that nothing mixes them silently with numbers computed here. A failed fit is None with a status.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from zoospectra.zoo.model import Model

Value = int | float | str | None


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One layer, or one slice of a layer, as somebody measured it."""

    layer_id: int
    """Number of the layer in its table."""
    slice_id: int | None
    """Number of the slice in its layer, from 0 in the order of the table; None for a row about the whole layer."""
    longname: str
    """Module path where the table has it, else 'layer <id>'."""
    layer_type: str
    """'conv2d', 'dense', 'embedding', ... in our words."""
    N: int
    """Larger side of one matrix of the layer."""
    M: int
    """Smaller side."""
    Q: float
    """Aspect ratio N / M, at least 1."""
    rf: int
    """Slices of the layer (1 for dense layers), as far as the table has them."""
    values: Mapping[str, Value]
    """Metric columns by our name; status and warning among them."""


@dataclass(frozen=True, slots=True)
class Published:
    """One model of a published table."""

    model: Model
    """The model: its extra column `origin` says where the numbers come from."""
    origin: str
    """Who published them and which file of theirs it was."""
    profile: str
    """Name of the definitions, 'published/weightwatcher-0.2' or '...-0.7'."""
    sha256: str
    """sha256 of the file, hex: the same file always gives the same rows."""
    layers: tuple[PublishedRow, ...] = ()
    """Rows about whole layers, in the table's order; the table's own, never computed here."""
    slices: tuple[PublishedRow, ...] = ()
    """Rows about slices."""
    averages: Mapping[str, float | None] = field(default_factory=dict)
    """The table's own model values: mean over slices, and '<name>_compound' for the mean over layers."""


def content_hash(published: Published, layer_id: int) -> str:
    """Stands for a content hash where the weights are unknown: sha256 (hex) of the file, the model and the layer.

    It begins with the sha256 of other words than a tensor's hash does, so the two never meet.
    """
    words = f"published {published.sha256} {published.model.model_id} {layer_id}"
    return hashlib.sha256(words.encode()).hexdigest()
