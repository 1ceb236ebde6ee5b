"""Worker side, first stage: open a checkpoint, name its layers, hash and sketch their values. Nothing is executed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from zoospectra.analysis.reductions import Reductions, sketch_and_reductions
from zoospectra.analysis.sketch import QUIET, Sketch, single
from zoospectra.analysis.spectrum import is_finite
from zoospectra.jobs.work.seen import Seen, check_model, of_layers
from zoospectra.warehouse.identity import ModelId
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.remote import prefetched
from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip
from zoospectra.zoo.layers.buffers import fixed
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.copies import HashedLayer, corners, is_constant, stored_corners, without_copies
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.rules import NO_RULES, Rules
from zoospectra.zoo.layers.values import layer_hash, read_layer


@dataclass(frozen=True, slots=True)
class Sketched:
    """What is kept of a layer's values."""

    content_hash: str
    """Whose."""
    elements: int
    """How many values."""
    sketch: Sketch
    """Linear sketches."""
    reductions: Reductions
    """Plain numbers."""


@dataclass(frozen=True, slots=True)
class ReadLayer:
    """What the values of a layer say about it: either it is one, or why it is none."""

    held: HashedLayer | None = None
    """The layer with its content hash."""
    skip: Skip | None = None
    """Why it is none."""
    sketched: Sketched | None = None
    """What is kept of its values; None where that is known."""


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """One model to index."""

    model: ModelId
    """Whose."""
    path: str
    """Checkpoint file or folder, or a locator."""
    hashes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Content hashes known from an earlier run, by (tensor, longname): those bytes are not read again."""
    sketched: frozenset[str] = frozenset()
    """Those of these hashes whose sketch is kept; the others are read for it."""
    rules: Rules = NO_RULES
    """What the user knows better."""
    beside: tuple[Skip, ...] = ()
    """Files of the zoo that are no models and are listed with this one."""
    seen: Seen = ()
    """Its file as it was where the zoo was listed."""
    read: Mapping[int, ReadLayer] = field(default_factory=dict)
    """Layers of a large model that other tasks have read, by layer_id."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a checkpoint holds."""

    layers: tuple[tuple[Layer, str], ...]
    """Every layer that can be analysed, with its content hash."""
    skips: tuple[Skip, ...]
    """Everything else, with reasons; one with tensor None when the file could not be read at all."""
    sketches: tuple[Sketched, ...] = ()
    """One of every distinct layer that was read."""
    seen: Seen = ()
    """The files as they were when it was opened."""


def unopened(request: IndexRequest, error: CheckpointError) -> Indexed:
    """What is kept of a model that cannot be opened."""
    return Indexed((), (Skip(None, error.reason, error.detail, failed=True), *request.beside))


def index_all(requests: Sequence[IndexRequest]) -> tuple[Indexed, ...]:
    """Index checkpoints that travel together."""
    return tuple(index(request) for request in requests)


def index(request: IndexRequest) -> Indexed:
    """Index one checkpoint; a file that cannot be read is a Skip, not an exception."""
    try:
        check_model(request.path, request.model.revision, request.seen)
        checkpoint = open_checkpoint(request.path)
    except CheckpointError as error:
        return unopened(request, error)
    chosen, skips = layers(checkpoint.tensors, checkpoint.config, request.rules)
    seen = of_layers(chosen)
    skips = [*checkpoint.skips, *request.beside, *skips]
    read = dict(request.read)
    sketches: dict[str, Sketched] = {}
    left = [layer for layer in chosen if layer.layer_id not in read]
    for layer, _ in zip(left, prefetched([layer.ref for layer in left]), strict=True):
        known = request.hashes.get((layer.ref.name, layer.longname))
        each = read[layer.layer_id] = read_one(layer, known, request.sketched, sketches)
        if each.sketched:
            sketches[each.sketched.content_hash] = each.sketched
    layers_read = [read[layer.layer_id] for layer in chosen]
    skips += [each.skip for each in layers_read if each.skip]
    kept, copied = without_copies([each.held for each in layers_read if each.held])
    listed = tuple((held.layer, held.content_hash) for held in kept)
    return Indexed(listed, (*skips, *copied), tuple(sketches.values()), seen)


@QUIET
def read_one(
    layer: Layer, known: str | None = None, kept: Collection[str] = (), made: Collection[str] = ()
) -> ReadLayer:
    """Read the values of a layer once, for its hash, its sketch, and whether it is one; never a CheckpointError.

    known: its content hash where an earlier run read it; kept: contents whose sketch is kept, whose values are then not
    read; made: contents that have just been sketched.
    """
    try:
        if known is not None and known in kept:
            return ReadLayer(HashedLayer(layer, known, stored_corners(layer)))
        values = read_layer(layer)
        numbers = values if np.iscomplexobj(values) else single(values)  # converted once
        linear, plain = sketch_and_reductions(numbers)
        if (skip := _unfit(layer, values, plain)) is not None:
            return ReadLayer(skip=skip)
        content_hash = known or layer_hash(layer)
        held = HashedLayer(layer, content_hash, corners(layer, values), plain.min == plain.max and is_constant(values))
        if content_hash in made:
            return ReadLayer(held)
        return ReadLayer(held, sketched=Sketched(content_hash, values.size, linear, plain))
    except CheckpointError as error:
        return ReadLayer(skip=Skip(layer.ref.name, error.reason, error.detail, failed=True))


def sketched(content_hash: str, values: AnyArray) -> Sketched:
    """Sketch and plain numbers of the values of a layer."""
    return Sketched(content_hash, values.size, *sketch_and_reductions(values))


def _unfit(layer: Layer, values: AnyArray, plain: Reductions) -> Skip | None:
    """Why the values of a layer are no weight's; None when they may be."""
    if plain.non_finite and not is_finite(values):  # reductions are of float32: 1e300 is infinite there
        return Skip(layer.ref.name, Reason.NON_FINITE, f"{layer.longname} holds NaN or infinity", failed=True)
    return fixed(layer, values)
