"""Worker side, first stage: open a checkpoint, name its layers, hash their bytes. Nothing is executed or written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zoospectra.analysis.spectrum import is_finite
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.remote import prefetched
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import layer_hash, read_layer


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model to index."""

    model_id: str
    """Whose."""
    path: str
    """Checkpoint file or folder."""
    hashes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Content hashes known from an earlier run, by (tensor, longname): those bytes are not read again."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a checkpoint holds."""

    model_id: str
    """Whose."""
    layers: tuple[tuple[Layer, str], ...]
    """Every layer that can be analysed, with its content hash."""
    skips: tuple[Skip, ...]
    """Everything else, with reasons; one with tensor None when the file could not be read at all."""


def index(candidate: Candidate) -> Indexed:
    """Index one checkpoint; a file that cannot be read is a Skip, not an exception."""
    try:
        checkpoint = open_checkpoint(candidate.path)
    except CheckpointError as error:
        return Indexed(candidate.model_id, (), (Skip(None, error.reason, error.detail, failed=True),))
    found, skips = layers(checkpoint.tensors, checkpoint.config)
    skips = [*checkpoint.skips, *skips]
    hashed: list[tuple[Layer, str]] = []
    for layer, _ in zip(found, prefetched([layer.ref for layer in found]), strict=True):
        known = candidate.hashes.get((layer.ref.name, layer.longname))
        try:
            if known is None and not is_finite(read_layer(layer)):
                detail = f"{layer.longname} holds NaN or infinity"
                skips.append(Skip(layer.ref.name, Reason.NON_FINITE, detail, failed=True))
            else:
                hashed.append((layer, known or layer_hash(layer)))
        except CheckpointError as error:
            skips.append(Skip(layer.ref.name, error.reason, error.detail, failed=True))
    return Indexed(candidate.model_id, tuple(hashed), tuple(skips))
