"""What a catalog says: one model revision, the numbers that were reported about it, the rows that were published."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from zoospectra.zoo.checkpoint.trouble import Skip


@dataclass(frozen=True, slots=True)
class ReportedMetric:
    """One number that somebody reported about a model."""

    dataset: str
    """Data set it was measured on, lower case, e.g. 'cifar-10'."""
    metric: str
    """Name of the metric, e.g. 'top1_error', 'test_accuracy'."""
    value: float
    """The number, in the unit of its source."""
    higher_is_better: bool
    """Direction: True for accuracies, False for errors and losses."""
    source: str
    """Who reported it."""
    source_date: str | None = None
    """ISO date of the source, when known."""
    text: str | None = None
    """The value as its source wrote it, when that says more than the number, e.g. '81.2%' or '20.0 +- 1.2'."""


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
    """Metric columns by our name, with the definitions of the profile; a failed fit is None with a status."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a published table says about one model; kept as it is, with its origin, and never mixed with our numbers."""

    origin: str
    """Who published it and which file of theirs it was; the model's extra column `origin` says the same."""
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


@dataclass(frozen=True, slots=True)
class Model:
    """One revision of one model of one zoo."""

    model_id: str
    """Stable text, e.g. 'local/<path relative to the zoo folder>'."""
    zoo: str
    """Name of the zoo."""
    name: str
    """Name inside the zoo."""
    revision: str
    """What pins the bytes: a commit, a weights tag, the sha256 of the file(s), or of a large model the state of its
    files (zoo.sources.fingerprint)."""
    path: str
    """Where the weights are now: a file, or a folder of shards with an index."""
    series: str | None = None
    """Architecture family, the unit of per-group regressions."""
    dataset: str | None = None
    """Data set it was trained on."""
    task: str | None = None
    """Task, e.g. 'image-classification'."""
    weights_url: str | None = None
    """Public URL of the weights, when there is one."""
    weights_sha256: str | None = None
    """sha256 of the weights file, hex; of the sorted list of shard hashes for a folder."""
    licence: str | None = None
    """SPDX name or the catalog's own words."""
    note: str | None = None
    """Free text of the catalog."""
    metrics: tuple[ReportedMetric, ...] = ()
    """Everything that was reported about it."""
    extra: Mapping[str, int | float | str] = field(default_factory=dict)
    """More catalog columns (hyperparameters such as depth, width, batch_size); each becomes a column of `models`."""
    published: Published | None = None
    """Rows that its source publishes instead of weights: they are kept, and no weights are read."""
    beside: tuple[Skip, ...] = ()
    """Files of the zoo that are no models, listed with the nearest model: what a trainer keeps."""
    trouble: Skip | None = None
    """Why it cannot even be listed, where the way to it is blocked: it is not opened, and this is its row."""


def as_text(name: str) -> str:
    r"""A name from outside as text that every table can hold: a byte that is no UTF-8 becomes '\xff'."""
    try:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate of JSON, which stands for no byte
        return name.encode("utf-8", "backslashreplace").decode("utf-8")


def catalog_columns(model: Model) -> dict[str, int | float | str]:
    """Extra catalog columns of one model; raises ValueError when one would hide a column of the contract."""
    taken = set(model.__slots__) & set(model.extra)
    if taken:
        msg = f"catalog columns {sorted(taken)} of {model.model_id} have the names of fixed columns; rename them"
        raise ValueError(msg)
    return dict(model.extra)


def published_hash(model: Model, layer_id: int) -> str:
    """Stands for the content hash of a published layer, whose weights are unknown: sha256 (hex) of file, model, layer.

    It begins with the sha256 of other words than a tensor's hash does, so the two never meet.
    """
    assert model.published is not None, model.model_id
    words = f"published {model.published.sha256} {model.model_id} {layer_id}"
    return hashlib.sha256(words.encode()).hexdigest()
