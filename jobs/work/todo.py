"""What is left to do for a model or a tensor, given what the warehouse holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod
from pathlib import Path
from typing import NamedTuple

from zoospectra.analysis.profile import FIT_VERSION, SPECTRUM_VERSION, Profile
from zoospectra.analysis.sketch import SKETCH_VERSION
from zoospectra.jobs.work.plan import REFIT_COST, Item, needed, spectra_cost
from zoospectra.warehouse.identity import ModelId, ResultId, SketchId, SpectrumId
from zoospectra.warehouse.known import Known
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.layers.layer import Layer


@dataclass(frozen=True, slots=True)
class KnownLayer:
    """One layer as planning sees it, whether it was indexed now or is kept from an earlier run."""

    content_hash: str
    """Identity of its bytes, dtype and shape."""
    tensor: str
    """Key in the checkpoint."""
    layer_type: str
    """'dense', 'conv2d', ..."""
    shape: tuple[int, ...]
    """Shape of the values."""
    dtype: str
    """Stored element type."""
    layer: Layer | None
    """How its values are read; None when the checkpoint was not opened."""


RETRIED = frozenset(str(reason) for reason in Reason if reason.retried)
"""Codes of the reasons that another run may overcome."""


class Step(Enum):
    """What is left to do for one model."""

    INDEX = "open its checkpoint: it is new, an earlier failure may pass, or weights are needed again"
    FIT = "fit from stored spectra"
    NOTHING = "every layer has its metrics"


class Refits(NamedTuple):
    """Fits of stored spectra."""

    items: dict[str, list[Item]]
    """Those to do, by the model in whose folder their spectra lie."""
    known: int
    """Tensors that have their metrics already."""
    lacking: int
    """Tensors without a stored spectrum that a profile needs."""


@dataclass(frozen=True, slots=True)
class Todo:
    """What a set of profiles still needs of what is known."""

    known: Known
    """What the warehouse held when the run began."""
    profiles: tuple[Profile, ...]
    """Profiles that every tensor shall have metrics under."""

    def step(self, model: ModelId, indexed: bool) -> Step:
        """What to do with a model; `indexed`: whether this version of the reader has listed its layers."""
        skipped = self.known.skipped.get(model, frozenset())
        if not indexed or any(row.reason in RETRIED for row in skipped):
            return Step.INDEX
        if not all(self.sketched(content_hash) for content_hash in self.known.layers.get(model, ())):
            return Step.INDEX
        missing = [content_hash for content_hash in self.known.layers.get(model, ()) if self.missing(content_hash)]
        spectra = len(needed(self.profiles))
        if any(len(self.stored(content_hash)) < spectra for content_hash in missing):
            return Step.INDEX
        return Step.FIT if missing else Step.NOTHING

    def missing(self, content_hash: str) -> bool:
        """Whether any profile's metrics of these bytes are not kept."""
        return any(
            ResultId(content_hash, profile.unfold, profile.key, FIT_VERSION) not in self.known.metrics
            for profile in self.profiles
        )

    def sketched(self, content_hash: str) -> bool:
        """Whether this version's sketch of these bytes is kept."""
        return SketchId(content_hash, SKETCH_VERSION) in self.known.sketched

    def stored(self, content_hash: str) -> tuple[tuple[str, Path], ...]:
        """Kept spectra of these bytes that the profiles need: unfold rule and part."""
        names = needed(self.profiles)
        parts = ((name, self.known.spectra.get(SpectrumId(content_hash, name, SPECTRUM_VERSION))) for name in names)
        return tuple((name, part) for name, part in parts if part is not None)

    def item(self, layer: KnownLayer) -> Item:
        """The work on one tensor: spectra that are not kept yet, then the fits."""
        stored = self.stored(layer.content_hash)
        absent = [name for name in needed(self.profiles) if name not in dict(stored)]
        if not absent:
            return Item(layer.content_hash, layer.layer_type, layer.dtype, None, REFIT_COST, stored)
        itemsize = -(-layer.layer.ref.nbytes // prod(layer.layer.ref.shape)) if layer.layer else 4
        cost = spectra_cost(layer.shape, layer.layer_type, absent, itemsize)
        return Item(layer.content_hash, layer.layer_type, layer.dtype, layer.layer, cost, stored)

    def refits(self) -> Refits:
        """What the spectra of the whole warehouse allow."""
        items: dict[str, list[Item]] = {}
        done = lacking = 0
        for content_hash, kind in sorted(self.known.kinds.items()):
            if not self.missing(content_hash):
                done += 1
            elif len(stored := self.stored(content_hash)) < len(needed(self.profiles)):
                lacking += 1
            else:
                item = Item(content_hash, kind.layer_type, kind.dtype, None, REFIT_COST, stored)
                items.setdefault(kind.model_id, []).append(item)
        for group in items.values():
            group.sort(key=lambda item: item.stored[0][1])  # a part is read by as few shards as possible
        return Refits(items, done, lacking)


def filtered(results: Iterable[ResultId], profiles: Sequence[Profile]) -> Iterator[str]:
    """Content hash of every (tensor, profile) pair that one of the profiles' filters left without a fit."""
    keys = {profile.key for profile in profiles}
    return (result.content_hash for result in set(results) if result.profile_key in keys)
