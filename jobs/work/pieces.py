"""A model too large to be read by one task: listed by its headers, its layers read by the tasks that analyse them.

The first task opens the checkpoint, and no tensor. Then each piece, a large layer or some small ones, is read once: for
its content hash, its sketch, and, unless the warehouse is known to have them, its spectra and fits. The last task puts
together what the pieces said as the index of a small model does, so that both leave the same rows. What is not known
when a piece begins is computed, however many do so at once; what is known when it ends is not kept twice.
Not covered: which models are large (jobs.work.opening.by_way).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path

from zoospectra.analysis.profile import Profile
from zoospectra.jobs.work.analyse import Analysed, analyse
from zoospectra.jobs.work.index import IndexRequest, ReadLayer, read_one
from zoospectra.jobs.work.opening import ELEMENT_SECONDS, MEMORY
from zoospectra.jobs.work.plan import Item, Shard, needed, pack, side_by_side, within_memory
from zoospectra.jobs.work.todo import KnownLayer, Todo
from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.known import Knowledge
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.remote import prefetched
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip
from zoospectra.zoo.fetch.locator import is_remote
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer

Stored = tuple[tuple[str, Path], ...]
"""Unfold rules whose spectrum is kept, each with a part that holds it."""

GROWTH = 1.2
"""Times as many layers as the last time before those that are read are kept again: a long model is seen to grow."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Layers of one model that are read together."""

    model: ModelId
    """Whose."""
    items: tuple[Item, ...]
    """Each with its layer; its content hash is not known yet."""
    known: Mapping[str, Stored | None]
    """Contents that these layers may have -> their stored spectra, None when nothing is left to do for them."""
    loose: Mapping[str, Stored | None]
    """The same of contents that no listed layer has, as an interrupted run leaves them."""
    profiles: tuple[Profile, ...]
    """Profiles to fit; none where the layers are read only."""
    device: str = "cpu"
    """Where large matrices are computed."""

    @property
    def seconds(self) -> float:
        """Predicted work on one core, seconds."""
        return sum(item.cost.seconds for item in self.items)

    @property
    def first(self) -> Layer:
        """Its first layer."""
        layer = self.items[0].layer
        assert layer is not None
        return layer


@dataclass(frozen=True, slots=True)
class ReadPiece:
    """What a piece gave."""

    layers: tuple[ReadLayer, ...]
    """One an item, in their order."""
    analysed: Analysed
    """Results of what was not known."""

    @property
    def skips(self) -> tuple[Skip, ...]:
        """Why some are no layers."""
        return tuple(each.skip for each in self.layers if each.skip)


@dataclass(slots=True)
class Underway:
    """A large model whose pieces are being read."""

    request: IndexRequest
    """Which."""
    layers: tuple[Layer, ...]
    """All of its layers, as its headers have them."""
    left: int = 0
    """Pieces that are not read yet."""
    read: dict[int, ReadLayer] = field(default_factory=dict)
    """What is read, by layer_id."""
    trouble: dict[int, tuple[Reason, str]] = field(default_factory=dict)
    """Layers whose analysis failed, by layer_id, and why."""
    kept: int = 0
    """Layers that the list in the warehouse has."""

    @property
    def closing(self) -> IndexRequest:
        """What lists the model, once all is read."""
        return replace(self.request, read=self.read)

    def growth(self) -> list[tuple[Layer, str]]:
        """Layers that are read, with their content hashes, if they are many more than are kept; else none."""
        held = [each.held for each in self.read.values() if each.held]
        if len(held) < max(1, GROWTH * self.kept):
            return []
        self.kept = len(held)
        return [(each.layer, each.content_hash) for each in sorted(held, key=lambda each: each.layer.layer_id)]


def list_layers(request: IndexRequest) -> tuple[Layer, ...]:
    """Layers of a checkpoint by its headers; CheckpointError as opening it says."""
    checkpoint = open_checkpoint(request.path)
    return tuple(layers(checkpoint.tensors, checkpoint.config, request.rules)[0])


def unread(request: IndexRequest, listed: Iterable[Layer]) -> list[Layer]:
    """Layers whose hash or sketch no earlier run has kept. Pure."""
    hashes = request.hashes
    return [layer for layer in listed if hashes.get((layer.ref.name, layer.longname)) not in request.sketched]


def pieces(
    underway: Underway,
    knowledge: Knowledge,
    profiles: tuple[Profile, ...],
    seconds: float,
    memory: int,
    models: int,
    slots: int = 0,
) -> list[Piece]:
    """Pieces of about `seconds` each of a model's unread layers; what needs more than `memory` bytes is read only.

    models: of the run, see side_by_side; slots: that have nothing else to do, see pack.
    """
    todo = unread(underway.request, underway.layers)
    kept = knowledge.candidates(underway.request.model.model_id, {(layer.ref.name, layer.longname) for layer in todo})
    contents = {*kept.loose, *(content_hash for hashes in kept.named.values() for content_hash in hashes)}
    left = Todo(knowledge.of_contents(contents), profiles)
    shapes = [layer.shape for layer in underway.layers]
    items = side_by_side([left.item(_unhashed(layer)) for layer in todo], shapes, models)
    small, large = within_memory(items, memory)
    loose = _state(kept.loose, left)
    made = []
    for group, wanted in ((small, profiles), (large, ())):
        for shard in pack([_with_reading(item, analysed=bool(wanted)) for item in group], seconds, slots):
            names = [(item.layer.ref.name, item.layer.longname) for item in shard if item.layer]
            hashes = {content_hash for name in names for content_hash in kept.named.get(name, ())}
            made.append(Piece(underway.request.model, shard, _state(hashes, left), loose, wanted))
    return made


def _unhashed(layer: Layer) -> KnownLayer:
    return KnownLayer("", layer.ref.name, layer.layer_type, layer.shape, layer.dtype, layer)


def _state(hashes: Collection[str], left: Todo) -> dict[str, Stored | None]:
    """What is kept of contents, see Piece.known."""
    return {content_hash: left.stored(content_hash) if left.missing(content_hash) else None for content_hash in hashes}


def _with_reading(item: Item, *, analysed: bool) -> Item:
    """The item with the cost of reading, hashing and sketching its values, which are let go before the analysis."""
    assert item.layer is not None
    size = sum(ref.nbytes for ref in item.layer.refs)
    packed = size if item.layer.assembly or item.layer.change else 0
    reading = MEMORY + 2 * packed + 4 * prod(item.layer.shape)
    cost, seconds = item.cost, ELEMENT_SECONDS * prod(item.layer.shape)
    if not analysed:
        return replace(item, cost=replace(cost, seconds=seconds, peak_bytes=reading, threads=1))
    return replace(item, cost=replace(cost, seconds=cost.seconds + seconds, peak_bytes=max(cost.peak_bytes, reading)))


def read_piece(piece: Piece) -> ReadPiece:
    """Read layers once and analyse what is not known; CheckpointError where a file changes meanwhile."""
    wanted = [item.layer for item in piece.items if item.layer is not None]
    before = _states(wanted)
    read = [read_one(layer) for layer, _ in zip(wanted, prefetched([layer.ref for layer in wanted]), strict=True)]
    work: dict[str, Item] = {}
    for item, each in zip(piece.items, read, strict=True):
        if each.held and piece.profiles:
            content_hash = each.held.content_hash
            stored = piece.known.get(content_hash, piece.loose.get(content_hash, ()))
            if stored is not None:
                layer = item.layer if len(stored) < len(needed(piece.profiles)) else None
                work.setdefault(content_hash, replace(item, content_hash=content_hash, layer=layer, stored=stored))
    analysed = analyse(Shard(piece.model.model_id, "", tuple(work.values()), piece.profiles, piece.device))
    if _states(wanted) != before:
        raise CheckpointError(Reason.CHANGED, f"{wanted[0].ref.path} changed while {wanted[0].ref.name} was read")
    return ReadPiece(tuple(read), analysed)


def _states(wanted: Sequence[Layer]) -> dict[str, tuple[int, int, int] | None]:
    """What tells whether local files are still the same."""
    states: dict[str, tuple[int, int, int] | None] = {}
    for path in {ref.path for layer in wanted for ref in layer.refs if not is_remote(ref.path)}:
        try:
            status = os.stat(path)
            states[path] = (status.st_size, status.st_mtime_ns, status.st_ino)
        except OSError:  # reading it says so better
            states[path] = None
    return states
