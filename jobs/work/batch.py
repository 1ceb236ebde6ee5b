"""Worker side, small models: some of them opened by one task, listed, and analysed at once where nobody knows them.

A model that may bring anything new is read and analysed by the task that opens it, so that its layers need not travel;
what has results already, or would be too much for such a task, is left to tasks of its own, as is all of a model that
is listed only. What the task did not know, since another one was at it, its owner sorts out by content hash.
Not covered: remote models, and those of more than opening.SMALL bytes.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import pyarrow as pa

from zoospectra.analysis.profile import Profile
from zoospectra.jobs.records import rows, sketches
from zoospectra.jobs.work.analyse import Analysed, analyse
from zoospectra.jobs.work.index import Indexed, IndexRequest, index_all
from zoospectra.jobs.work.opening import MEMORY
from zoospectra.jobs.work.plan import Item, Shard
from zoospectra.jobs.work.seen import Seen
from zoospectra.jobs.work.todo import KnownLayer, Todo
from zoospectra.warehouse.identity import seed_of
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

    def __reduce__(self) -> tuple[object, ...]:
        """Travels with its thousands of small records in one piece: Ray's pickler asks Python about each of them."""
        records = pickle.dumps((self.models, replace(self.analysed, tables={})), pickle.HIGHEST_PROTOCOL)
        return _arrived, (records, self.tables, self.analysed.tables)

    @property
    def skips(self) -> tuple[Skip, ...]:
        """Everything that is no layer."""
        return tuple(skip for model in self.models for skip in model.skips)


def _arrived(records: bytes, tables: Mapping[str, pa.Table], results: Mapping[str, pa.Table]) -> Opened:
    models, analysed = pickle.loads(records)  # noqa: S301 - of our own worker, as all that Ray brings
    return Opened(models, tables, replace(analysed, tables=results))


NOTHING = Analysed({}, frozenset())


def open_batch(batch: Batch) -> Opened:
    """List models, and analyse what is new."""
    indexed = index_all(batch.requests, keep=bool(batch.profiles))
    items = _new(batch, indexed) if batch.profiles else ()
    if not items:
        return opened(batch, indexed)
    shard = Shard(batch.requests[0].model.model_id, "", items, batch.profiles)
    return opened(batch, indexed, analyse(shard, {h: array for each in indexed for h, array in each.values.items()}))


def opened(batch: Batch, indexed: Sequence[Indexed], analysed: Analysed = NOTHING) -> Opened:
    """What is kept of models that were opened."""
    done = {each.content_hash for each in analysed.done}
    models = tuple(
        Listed(tuple(_known(layer, h, None if h in done else layer, each.seen) for layer, h in each.layers), each.skips)
        for each in indexed
    )
    return Opened(models, _tables(batch, indexed), analysed)


def _new(batch: Batch, indexed: Iterable[Indexed]) -> tuple[Item, ...]:
    """Contents that nobody is known to have analysed, as far as they are little."""
    items: dict[str, Item] = {}
    todo, seconds = Todo(Known(), batch.profiles), SECONDS
    for seen, layer, content_hash in ((each.seen, *layer) for each in indexed for layer in each.layers):
        if content_hash in items or seed_of(content_hash) in batch.known:
            continue
        item = todo.item(_known(layer, content_hash, layer, seen))
        if item.cost.peak_bytes <= MEMORY and item.cost.seconds <= seconds:
            items[content_hash] = item
            seconds -= item.cost.seconds
    return tuple(items.values())


def _known(layer: Layer, content_hash: str, weights: Layer | None, seen: Seen) -> KnownLayer:
    return KnownLayer(content_hash, layer.ref.name, layer.layer_type, layer.shape, layer.dtype, weights, seen)


def _tables(batch: Batch, indexed: Sequence[Indexed]) -> dict[str, pa.Table]:
    models = [(request.model, each) for request, each in zip(batch.requests, indexed, strict=True)]
    made = {sketched.content_hash: sketched for each in indexed for sketched in each.sketches}
    tables = {
        "layers": rows.layers((model, layer) for model, each in models for layer in each.layers),
        "skipped": rows.skipped((model, skip) for model, each in models for skip in each.skips),
        "sketches": sketches.table(list(made.values())),
        "indexed": rows.indexed(
            batch.reader, [rows.Listing(model, len(each.layers), len(each.skips)) for model, each in models]
        ),
    }
    return {kind: table for kind, table in tables.items() if len(table)}
