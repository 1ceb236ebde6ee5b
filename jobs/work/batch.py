"""Worker side, small models: some of them opened by one task, listed, and analysed at once where nobody knows them.

A model that may bring anything new is read and analysed by the task that opens it, so that its layers need not travel;
what has results already, or would be too much for such a task, is left to tasks of its own, as is all of a model that
is listed only. What the task did not know, since another one was at it, its owner sorts out by content hash.
Not covered: remote models, and those of more than opening.SMALL bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from zoospectra.analysis.profile import Profile
from zoospectra.jobs.records import rows, sketches
from zoospectra.jobs.work.analyse import Analysed, Computed, compute, seed_of
from zoospectra.jobs.work.index import Indexed, IndexRequest, index
from zoospectra.jobs.work.opening import MEMORY
from zoospectra.jobs.work.plan import Item, Shard
from zoospectra.jobs.work.todo import KnownLayer, Todo
from zoospectra.warehouse.known import Known
from zoospectra.zoo.checkpoint.trouble import Skip
from zoospectra.zoo.layers.layer import Layer

SECONDS = 2.0
"""Predicted seconds of analysis of a batch at most: what costs more, by its profile say, has tasks of its own."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Models that one task opens."""

    requests: tuple[IndexRequest, ...]
    """Which."""
    reader: str
    """What lists them, as the warehouse calls it."""
    profiles: tuple[Profile, ...] = ()
    """Profiles to fit at once; none where they are listed only."""
    known: frozenset[int] = frozenset()
    """Seeds of contents that have results, or will have them: not analysed here."""


class Listed(NamedTuple):
    """What one of the models holds."""

    layers: tuple[KnownLayer, ...]
    """Every layer that can be analysed; without its Layer where that was done."""
    skips: tuple[Skip, ...]
    """Everything else, with reasons; one with tensor None when it could not be read at all."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a batch gave."""

    models: tuple[Listed, ...]
    """One a request, in their order."""
    tables: Mapping[str, pa.Table]
    """Kind of part -> rows of the models' listings and sketches."""
    analysed: Analysed
    """Results of what was analysed at once."""

    @property
    def skips(self) -> tuple[Skip, ...]:
        """Everything that is no layer."""
        return tuple(skip for model in self.models for skip in model.skips)


NOTHING = Analysed({}, frozenset())


def open_batch(batch: Batch) -> Opened:
    """List models, and analyse what is new of each while its file is at hand."""
    indexed, computed = [], Computed([], [], [], set())
    met, seconds = set(batch.known), SECONDS
    for request in batch.requests:
        indexed.append(index(request))
        if batch.profiles:
            items = _new(indexed[-1], batch.profiles, met, seconds)
            met.update(seed_of(item.content_hash) for item in items)
            seconds -= sum(item.cost.seconds for item in items)
            compute(Shard(request.model.model_id, "", tuple(items), batch.profiles), computed)
    return opened(batch, indexed, computed.packed())


def opened(batch: Batch, indexed: Sequence[Indexed], analysed: Analysed = NOTHING) -> Opened:
    """What is kept of models that were opened."""
    done = {each.content_hash for each in analysed.done}
    models = tuple(
        Listed(tuple(_known(layer, h, None if h in done else layer) for layer, h in each.layers), each.skips)
        for each in indexed
    )
    return Opened(models, _tables(batch, indexed), analysed)


def _new(indexed: Indexed, profiles: tuple[Profile, ...], met: Set[int], seconds: float) -> list[Item]:
    """Contents of a model that nobody is known to have analysed, as far as they are little."""
    items: dict[str, Item] = {}
    todo = Todo(Known(), profiles)
    for layer, content_hash in indexed.layers:
        if content_hash in items or seed_of(content_hash) in met:
            continue
        item = todo.item(_known(layer, content_hash, layer))
        if item.cost.peak_bytes <= MEMORY and item.cost.seconds <= seconds:
            items[content_hash] = item
            seconds -= item.cost.seconds
    return list(items.values())


def _known(layer: Layer, content_hash: str, weights: Layer | None) -> KnownLayer:
    return KnownLayer(content_hash, layer.ref.name, layer.layer_type, layer.shape, layer.dtype, weights)


def _tables(batch: Batch, indexed: Sequence[Indexed]) -> dict[str, pa.Table]:
    models = [(request.model, each) for request, each in zip(batch.requests, indexed, strict=True)]
    made = {sketched.content_hash: sketched for each in indexed for sketched in each.sketches}
    tables = {
        "layers": rows.layers((model, *layer) for model, each in models for layer in each.layers),
        "skipped": rows.skipped((model, skip) for model, each in models for skip in each.skips),
        "sketches": sketches.table(list(made.values())),
        "indexed": rows.indexed(batch.reader, ((model, len(each.layers), len(each.skips)) for model, each in models)),
    }
    return {kind: table for kind, table in tables.items() if len(table)}
