"""What a run is asked to do, and what it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from zoospectra.analysis.profile import Profile
from zoospectra.jobs.work.executors import Ahead, Cluster
from zoospectra.jobs.work.executors.task import NOTHING_FETCHED
from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.settings import WarehouseSettings
from zoospectra.zoo.layers.rules import NO_RULES, Rules
from zoospectra.zoo.model import Model


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is asked to do, and where."""

    verb: str
    """'scan', 'refit'."""
    profiles: tuple[Profile, ...]
    """Profiles that every tensor in scope shall have metrics under."""
    warehouse: WarehouseSettings
    """Where results are kept."""
    cluster: Cluster
    """Where tasks run."""
    models: Sequence[Model] = ()
    """The catalog it works on; none for a run on the warehouse itself."""
    attempts: int = 2
    """Tries of a task whose worker died."""
    shard_seconds: float = 1.0
    """Predicted seconds of work that travel together at most; less where a run is too small to fill every core."""
    ahead: Ahead = NOTHING_FETCHED
    """How much of remote zoos is fetched before it is opened."""
    rules: Rules = NO_RULES
    """What the user knows better about tensors."""
    config: str = "{}"
    """JSON of the whole configuration, for `runs`."""


class Owner(NamedTuple):
    """A layer that holds some bytes."""

    model: ModelId
    """Whose layer."""
    tensor: str
    """Key in its checkpoint."""


@dataclass(slots=True)
class Counts:
    """What a run met and did."""

    models: int = 0
    """Models in scope."""
    layers: int = 0
    """Layers of those models."""
    skipped: int = 0
    """Rows of `skipped` by rule: tensors left out, and layers that a profile's filters left without a fit."""
    failed: int = 0
    """Tensors and models of the scope that failed."""
    indexed: int = 0
    """Checkpoints opened in this run."""
    analysed: int = 0
    """Distinct tensors whose weights were read and analysed in this run."""
    fitted: int = 0
    """Distinct tensors fitted in this run from stored spectra; no weight was read."""
    known: int = 0
    """Of a refit: tensors that had their metrics already."""
    lacking: int = 0
    """Of a refit: tensors without a stored spectrum that a profile needs."""
