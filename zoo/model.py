"""What a catalogue says: one model revision and the numbers that were reported about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
    """What pins the bytes: a commit, a weights tag, or the sha256 of the file(s)."""
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
    """SPDX name or the catalogue's own words."""
    note: str | None = None
    """Free text of the catalogue."""
    metrics: tuple[ReportedMetric, ...] = ()
    """Everything that was reported about it."""
    extra: Mapping[str, int | float | str] = field(default_factory=dict)
    """More catalogue columns (hyperparameters such as depth, width, batch_size); each becomes a column of `models`."""


def catalogue_columns(model: Model) -> dict[str, int | float | str]:
    """Extra catalogue columns of one model; raises ValueError when one would hide a column of the contract."""
    taken = set(model.__slots__) & set(model.extra)
    if taken:
        msg = f"catalogue columns {sorted(taken)} of {model.model_id} have the names of fixed columns; rename them"
        raise ValueError(msg)
    return dict(model.extra)
