"""What the layers of one model cost and which travel together. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoospectra.analysis.cost import Cost, cost
from zoospectra.analysis.kernels.cuda import SMALLEST_M
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.unfold import SHUFFLED, unfold_rule
from zoospectra.zoo.layers.layer import Layer

REFIT_COST = Cost(flops=0.0, bytes_read=0, peak_bytes=64 << 20, seconds=0.005, threads=1)
"""A fit from a stored spectrum: milliseconds whatever the matrix was."""


@dataclass(frozen=True, slots=True)
class Item:
    """One distinct weight tensor to analyse."""

    content_hash: str
    """Identity of its bytes, dtype and shape."""
    layer_type: str
    """Decides how it unfolds: 'dense', 'conv2d', ..."""
    dtype: str
    """Stored element type: how narrow a tail can be."""
    layer: Layer | None
    """How its values are read; None when everything needed is stored."""
    cost: Cost
    """Predicted work and memory."""
    stored: tuple[tuple[str, Path], ...] = ()
    """Unfold rules whose spectrum is kept already, each with a part that holds it: these need no weights."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Work that travels together."""

    model_id: str
    """Model whose folder gets the parts."""
    key: str
    """Digest of what determines the result: content hashes, profiles, code version."""
    items: tuple[Item, ...]
    """Distinct weight tensors."""
    profiles: tuple[Profile, ...]
    """Profiles to fit."""
    device: str = "cpu"
    """Where large matrices are computed."""

    @property
    def seconds(self) -> float:
        """Predicted work on one core, seconds."""
        return sum(item.cost.seconds for item in self.items)


def is_large(item: Item) -> bool:
    """Whether a GPU gains anything on the matrices of a tensor."""
    return item.layer is not None and min(item.layer.shape[:2]) >= SMALLEST_M


def pack(items: Iterable[Item], seconds: float) -> list[tuple[Item, ...]]:
    """Shards of about `seconds` of predicted work: a large matrix stands alone, small ones travel together.

    Items that need different numbers of threads never share a shard. The order is the checkpoint's, so that
    neighbouring bytes are read together and the same work gives the same shards on every run.
    """
    shards: list[tuple[Item, ...]] = []
    open_shards: dict[int, list[Item]] = {}
    for item in items:
        if item.cost.seconds >= seconds:
            shards.append((item,))
            continue
        shard = open_shards.setdefault(item.cost.threads, [])
        if shard and sum(packed.cost.seconds for packed in shard) + item.cost.seconds > seconds:
            shards.append(tuple(shard))
            shard.clear()
        shard.append(item)
    return shards + [tuple(shard) for shard in open_shards.values() if shard]


def needed(profiles: Iterable[Profile]) -> tuple[str, ...]:
    """Names of the raw spectra that any of the profiles needs, each once."""
    return tuple(dict.fromkeys(name for profile in profiles for name in profile.spectra))


def spectra_cost(shape: tuple[int, ...], layer_type: str, names: Sequence[str], itemsize: int) -> Cost:
    """Cost of the named spectra of one tensor together: times add up, the largest peak counts."""
    shapes = [unfold_rule(name.partition(SHUFFLED)[0]).shape_of(shape, layer_type) for name in names]
    costs = [cost(matrix.N, matrix.M, matrix.rf, itemsize) for matrix in shapes]
    return Cost(
        flops=sum(part.flops for part in costs),
        bytes_read=max(part.bytes_read for part in costs),
        peak_bytes=max(part.peak_bytes for part in costs),
        seconds=sum(part.seconds for part in costs),
        threads=max(part.threads for part in costs),
    )


def within_memory(items: Iterable[Item], memory: int) -> tuple[list[Item], list[Item]]:
    """Items whose predicted peak is at most `memory` bytes, and those that need more."""
    small: list[Item] = []
    large: list[Item] = []
    for item in items:
        (small if item.cost.peak_bytes <= memory else large).append(item)
    return small, large


def digest(parts: Iterable[str]) -> str:
    """Short name of what determines a piece of work."""
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=10).hexdigest()
