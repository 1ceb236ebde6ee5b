"""What is left to do for a model or a tensor, given what the warehouse holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod
from pathlib import Path
from typing import NamedTuple

from zoospectra.analysis.profile import FIT_VERSION, SPECTRUM_VERSION, Profile
from zoospectra.analysis.sketch import SKETCH_VERSION
from zoospectra.jobs.records.published import CODE as PUBLISHED
from zoospectra.jobs.work.plan import Item, needed, work_cost
from zoospectra.jobs.work.seen import Seen
from zoospectra.warehouse.identity import ModelId, ResultId, SpectrumId
from zoospectra.warehouse.known import Known, LayerRow
from zoospectra.warehouse.unfinished import Asked, ResultKind
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.layers.layer import Layer


class KnownLayer(NamedTuple):
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
    seen: Seen = ()
    """The files of its model as they were when its values were hashed."""


SKETCH = ResultKind("sketch", "sketch", SKETCH_VERSION)
"""How the warehouse's result_index calls the sketch of a tensor."""


SPECTRUM = "spectrum"
"""How it calls a stored spectrum, of any version: metrics without one cannot be fitted anew."""


def known_layers(rows: Iterable[LayerRow]) -> list[KnownLayer]:
    """Layers of a model as an earlier index listed them."""
    return [KnownLayer(row.content_hash, row.tensor, row.layer_type, row.shape, row.dtype, None) for row in rows]


def asked(profiles: Sequence[Profile], reader: str) -> Asked:
    """What every layer of a model that is done has."""
    spectra = (ResultKind(name, SPECTRUM, "") for name in needed(profiles))
    fits = (ResultKind(profile.unfold, profile.key, FIT_VERSION) for profile in profiles)
    return Asked((SKETCH, *spectra, *fits), reader, RETRIED)


RETRIED = frozenset(str(reason) for reason in Reason if reason.retried)
"""Codes of the reasons that another run may overcome."""


class Step(Enum):
    """What is left to do for one model."""

    INDEX = "open its checkpoint: it is new, an earlier failure may pass, or weights are needed again"
    FIT = "fit from stored spectra"
    NOTHING = "every layer has its metrics"


class Refits(NamedTuple):
    """Fits of stored spectra."""

    items: list[Item]
    """Those to do."""
    known: list[str]
    """Tensors that have their metrics already."""
    lacking: list[str]
    """Tensors without a stored spectrum that a profile needs."""
    lost: list[str]
    """Tensors whose spectrum was kept once, for there are metrics that were fitted to it."""


@dataclass(frozen=True, slots=True)
class Todo:
    """What a set of profiles still needs of what is known."""

    known: Known
    """What the warehouse holds of the models or tensors at hand."""
    profiles: tuple[Profile, ...]
    """Profiles that every tensor shall have metrics under."""

    def step(self, model: ModelId, indexed: bool) -> Step:
        """What to do with a model; `indexed`: whether this version of the reader has listed its layers."""
        if not indexed or any(row.reason in RETRIED for row in self.known.skipped.get(model, ())):
            return Step.INDEX
        hashes = {layer.content_hash for layer in self.known.layers.get(model, ())}
        if not all(map(self.sketched, hashes)):
            return Step.INDEX
        missing = [content_hash for content_hash in hashes if self.missing(content_hash)]
        spectra = len(needed(self.profiles))
        if any(len(self.stored(content_hash)) < spectra for content_hash in missing):
            return Step.INDEX
        return Step.FIT if missing else Step.NOTHING

    def filtered(self, content_hash: str) -> int:
        """How many of the profiles' filters left these bytes without a fit."""
        ids = (ResultId(content_hash, profile.unfold, profile.key, FIT_VERSION) for profile in self.profiles)
        return sum(result in self.known.filtered for result in ids)

    def missing(self, content_hash: str) -> bool:
        """Whether any profile's metrics of these bytes are not kept, or a spectrum that they were fitted to is lost."""
        kept = (ResultId(content_hash, name, SPECTRUM, "") in self.known.metrics for name in needed(self.profiles))
        return not all(kept) or any(
            ResultId(content_hash, profile.unfold, profile.key, FIT_VERSION) not in self.known.metrics
            for profile in self.profiles
        )

    def sketched(self, content_hash: str) -> bool:
        """Whether this version's sketch of these bytes is kept."""
        return ResultId(content_hash, *SKETCH) in self.known.metrics

    def stored(self, content_hash: str) -> tuple[tuple[str, Path], ...]:
        """Kept spectra of these bytes that the profiles need: unfold rule and part."""
        names = needed(self.profiles)
        parts = ((name, self.known.spectra.get(SpectrumId(content_hash, name, SPECTRUM_VERSION))) for name in names)
        return tuple((name, part) for name, part in parts if part is not None)

    def item(self, layer: KnownLayer) -> Item:
        """The work on one tensor: spectra that are not kept yet, then the fits."""
        stored = self.stored(layer.content_hash)
        absent = tuple(name for name in needed(self.profiles) if name not in dict(stored))
        itemsize = -(-layer.layer.ref.nbytes // prod(layer.layer.ref.shape)) if layer.layer else 4
        cost = work_cost(layer.shape, layer.layer_type, self.profiles, absent, itemsize)
        weights = layer.layer if absent else None
        return Item(layer.content_hash, layer.layer_type, layer.dtype, weights, cost, stored, layer.seen)

    def refits(self, layers: Iterable[KnownLayer]) -> Refits:
        """What the stored spectra of these layers allow, each tensor once."""
        done = Refits([], [], [], [])
        for layer in {layer.content_hash: layer for layer in layers}.values():
            if not self.missing(layer.content_hash):
                done.known.append(layer.content_hash)
            elif len(self.stored(layer.content_hash)) < len(needed(self.profiles)):
                (done.lost if self._is_lost(layer.content_hash) else done.lacking).append(layer.content_hash)
            else:
                done.items.append(self.item(layer))
        return done

    def _is_lost(self, content_hash: str) -> bool:
        """Whether metrics of ours are kept that were fitted to a spectrum that is not."""
        own = [r for r in self.known.metrics if r.content_hash == content_hash and r.code_version != PUBLISHED]
        spectra = {result.unfold for result in own if result.profile_key == SPECTRUM}
        fitted = {result.unfold for result in own} - {SKETCH[0]}
        return bool(fitted & set(needed(self.profiles)) - spectra)
