"""What to do with the layers of one model: which are missing, what they cost, which travel together. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
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
    layer: Layer | None
    """How its values are read; None when the checkpoint was not opened."""


@dataclass(frozen=True, slots=True)
class Item:
    """One distinct weight tensor to analyse."""

    content_hash: str
    """Identity of its bytes, dtype and shape."""
    layer_type: str
    """Decides how it unfolds: 'dense', 'conv2d', ..."""
    layer: Layer | None
    """How its values are read; None when everything needed is stored."""
    cost: Cost
    """Predicted work and memory."""
    stored: tuple[tuple[str, Path], ...] = ()
    """Unfold rules whose spectrum is kept already, each with a part that holds it: these need no weights."""


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
        if shard and sum(one.cost.seconds for one in shard) + item.cost.seconds > seconds:
            shards.append(tuple(shard))
            shard.clear()
        shard.append(item)
    return shards + [tuple(shard) for shard in open_shards.values() if shard]


def needed(profiles: Iterable[Profile]) -> tuple[str, ...]:
    """Names of the raw spectra that any of the profiles needs, each once."""
    return tuple(dict.fromkeys(name for profile in profiles for name in profile.spectra))


def spectra_cost(shape: tuple[int, ...], layer_type: str, names: Sequence[str], itemsize: int) -> Cost:
    """Cost of the named spectra of one tensor together: times add up, the largest peak counts."""
    rules = [unfold_rule(name.partition(SHUFFLED)[0]).shape_of(shape, layer_type) for name in names]
    costs = [cost(rule.N, rule.M, rule.rf, itemsize) for rule in rules]
    return Cost(
        flops=sum(one.flops for one in costs),
        bytes_read=max(one.bytes_read for one in costs),
        peak_bytes=max(one.peak_bytes for one in costs),
        seconds=sum(one.seconds for one in costs),
        threads=max(one.threads for one in costs),
    )


def fits(items: Iterable[Item], memory: int) -> tuple[list[Item], list[Item]]:
    """Items whose predicted peak fits into `memory` bytes, and those that do not."""
    small: list[Item] = []
    large: list[Item] = []
    for item in items:
        (small if item.cost.peak_bytes <= memory else large).append(item)
    return small, large


def select(
    names: Sequence[tuple[str, str]], globs: Sequence[str], limit: int | None, match: Callable[[str, str], bool]
) -> list[int]:
    """Positions of (model_id, name) pairs that any glob matches, in order, at most `limit`; ValueError if none."""
    chosen = [
        position
        for position, (model_id, name) in enumerate(names)
        if not globs or any(match(name, glob) or match(model_id, glob) for glob in globs)
    ]
    if not chosen:
        some = ", ".join(name for _, name in names[:3])
        msg = f"no model matches {', '.join(globs)}: expected globs on names such as {some}"
        raise ValueError(msg)
    return chosen if limit is None else chosen[:limit]


def digest(parts: Iterable[str]) -> str:
    """Short name of what determines a piece of work."""
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=10).hexdigest()
