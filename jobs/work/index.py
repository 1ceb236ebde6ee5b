"""Worker side, first stage: open a checkpoint, name its layers, hash and sketch their values. Nothing is executed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from zoospectra.analysis.reductions import Reductions, sketch_and_reductions, sketches_and_reductions
from zoospectra.analysis.sketch import QUIET, Sketch
from zoospectra.analysis.spectrum import is_finite
from zoospectra.jobs.work.seen import Seen, changed, check_model, look, of_layers
from zoospectra.warehouse.identity import ModelId
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.mapped import is_mapped, mappable
from zoospectra.zoo.checkpoint.remote import prefetched
from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip
from zoospectra.zoo.layers.buffers import fixed
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.copies import HashedLayer, corners, is_constant, stored_corners, without_copies
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.rules import NO_RULES, Rules
from zoospectra.zoo.layers.values import Hashed, read_hashed, read_layer

TOGETHER = 1 << 22
"""Elements of layers that are in memory together while they are hashed and sketched; a larger layer alone."""


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
    values: Mapping[str, AnyArray] = field(default_factory=dict)
    """Content hash -> values that a mapped file holds, so that keeping them takes no memory; for the same task."""


def unopened(request: IndexRequest, error: CheckpointError) -> Indexed:
    """What is kept of a model that cannot be opened."""
    return Indexed((), (Skip(None, error.reason, error.detail, failed=True), *request.beside))


def index(request: IndexRequest) -> Indexed:
    """Index one checkpoint; a file that cannot be read is a Skip, not an exception."""
    return index_all([request])[0]


def index_all(requests: Sequence[IndexRequest], *, keep: bool = False) -> list[Indexed]:
    """Index checkpoints, one step after the other for all layers: what a step needs stays in the caches.

    keep: whether values that mapped files hold are wanted; of as many files as may stay mapped.
    """
    opened = [_opened(request) for request in requests]
    most = mappable()
    left = most if keep else 0
    some: list[tuple[_Opened, Layer]] = []
    size = files = 0
    for each in opened:
        left -= len(each.seen)
        each.keeps = left >= 0
        if files + len(each.seen) > most:
            _read(some)
            some, size, files = [], 0, 0
        files += len(each.seen)
        for layer, _ in zip(each.left, prefetched([layer.ref for layer in each.left]), strict=True):
            some.append((each, layer))
            size += prod(layer.shape)
            if size >= TOGETHER:
                _read(some)
                some, size, files = [], 0, len(each.seen)
    _read(some)
    return [each.indexed() for each in opened]


@dataclass(slots=True)
class _Opened:
    """A checkpoint whose layers are being read."""

    request: IndexRequest
    """Which."""
    chosen: list[Layer]
    """All of its layers."""
    skips: list[Skip]
    """What is none."""
    read: dict[int, ReadLayer]
    """What is read, by layer_id."""
    seen: Seen = ()
    """Its files as they are."""
    values: dict[str, AnyArray] = field(default_factory=dict)
    """See Indexed."""
    keeps: bool = False
    """Whether they are kept."""

    @property
    def left(self) -> list[Layer]:
        """Layers to read."""
        return [layer for layer in self.chosen if layer.layer_id not in self.read]

    def known(self, layer: Layer) -> str | None:
        """Content hash of a layer that an earlier run has read."""
        return self.request.hashes.get((layer.ref.name, layer.longname))

    def indexed(self) -> Indexed:
        """What the checkpoint holds, once all is read; one that changed meanwhile says nothing of itself."""
        if of_layers(self.chosen) != self.seen:
            return unopened(self.request, changed(self.request.path))
        layers_read = [self.read[layer.layer_id] for layer in self.chosen]
        kept, copied = without_copies([each.held for each in layers_read if each.held])
        skips = (*self.skips, *(each.skip for each in layers_read if each.skip), *copied)
        sketches = {each.sketched.content_hash: each.sketched for each in layers_read if each.sketched}
        listed = tuple((held.layer, held.content_hash) for held in kept)
        return Indexed(listed, skips, tuple(sketches.values()), self.seen, self.values)


def _opened(request: IndexRequest) -> _Opened:
    try:
        check_model(request.path, request.model.revision, request.seen)
        checkpoint = open_checkpoint(request.path)
    except CheckpointError as error:
        now = look(state[0] for state in request.seen)
        why = error if now == request.seen else changed(request.path)
        return _Opened(request, [], list(unopened(request, why).skips), {})
    chosen, skips = layers(checkpoint.tensors, checkpoint.config, request.rules)
    skips = [*checkpoint.skips, *request.beside, *skips]
    return _Opened(request, chosen, skips, dict(request.read), of_layers(chosen))


def _read(some: Sequence[tuple[_Opened, Layer]]) -> None:
    """Read layers of checkpoints, each once."""
    kept = {content_hash for each, _ in some for content_hash in each.request.sketched}
    read = read_some([(layer, each.known(layer)) for each, layer in some], kept)
    for (each, layer), (values, array) in zip(some, read, strict=True):
        each.read[layer.layer_id] = values
        if each.keeps and values.held is not None and array is not None and is_mapped(array):
            each.values[values.held.content_hash] = array


def read_one(layer: Layer) -> ReadLayer:
    """Read the values of a layer, see read_some."""
    return read_some([(layer, None)])[0][0]


@QUIET
def read_some(
    some: Sequence[tuple[Layer, str | None]], kept: Collection[str] = ()
) -> list[tuple[ReadLayer, AnyArray | None]]:
    """Read the values of layers once, for hash, sketch, and whether they are layers; never a CheckpointError.

    Each comes with its content hash where an earlier run read it; kept: contents whose sketch is kept, whose values are
    then not read. Values that were read come too.
    """
    read: dict[int, ReadLayer] = {}
    values: dict[int, Hashed] = {}
    for n, (layer, known) in enumerate(some):
        try:
            if known is not None and known in kept:
                read[n] = ReadLayer(HashedLayer(layer, known, stored_corners(layer)))
            else:
                values[n] = read_hashed(layer) if known is None else Hashed(read_layer(layer), known)
        except CheckpointError as error:
            read[n] = _unread(layer, error)
    sketches = sketches_and_reductions([each for each, _ in values.values()])
    for (n, (each, content_hash)), (linear, plain) in zip(values.items(), sketches, strict=True):
        layer, _ = some[n]
        if (skip := _unfit(layer, each, plain)) is not None:
            read[n] = ReadLayer(skip=skip)
            continue
        constant = plain.min == plain.max and is_constant(each)
        held = HashedLayer(layer, content_hash, corners(layer, each), constant)
        read[n] = ReadLayer(held, sketched=Sketched(content_hash, each.size, linear, plain))
    return [(read[n], values[n].values if n in values else None) for n in range(len(some))]


def _unread(layer: Layer, error: CheckpointError) -> ReadLayer:
    return ReadLayer(skip=Skip(layer.ref.name, error.reason, error.detail, failed=True))


def sketched(content_hash: str, values: AnyArray) -> Sketched:
    """Sketch and plain numbers of the values of a layer."""
    return Sketched(content_hash, values.size, *sketch_and_reductions(values))


def _unfit(layer: Layer, values: AnyArray, plain: Reductions) -> Skip | None:
    """Why the values of a layer are no weight's; None when they may be."""
    if plain.non_finite and not is_finite(values):  # reductions are of float32: 1e300 is infinite there
        return Skip(layer.ref.name, Reason.NON_FINITE, f"{layer.longname} holds NaN or infinity", failed=True)
    return fixed(layer, values)
