"""What the layers of one model cost and which travel together. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

from zoospectra.analysis.cost import Cost, cost, fit_seconds, several_large, with_one_thread
from zoospectra.analysis.kernels.cuda import SMALLEST_M
from zoospectra.analysis.methods import method
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.unfold import SHUFFLED, unfold_rule
from zoospectra.jobs.work.seen import Seen
from zoospectra.zoo.layers.layer import Layer

READ_SPECTRUM = Cost(flops=0.0, bytes_read=0, peak_bytes=64 << 20, seconds=0.002, threads=1)
"""Reading a stored spectrum, whatever the matrix was."""

TASK_BYTES = 40 << 20
"""What a task takes beside its largest matrix: heaps that libraries grow, tables that leave the worker."""

ITEM_BYTES = 160 << 10
"""What the results of a tensor take until their task is over."""


ROUND = 0.85
"""Share of the work left that the next task of every slot does together."""

SHARDS, LEAST_SECONDS = 4, 0.1
"""Shards a slot that a run is divided into at least, so that no core waits long for the last; a task costs 2 ms."""


ITEMS = 250
"""Tensors of a shard at most: a driver that keeps hundreds of shards of tiny ones under way has them all in memory."""


class Costed(Protocol):
    """Work whose cost is known before it is done."""

    @property
    def cost(self) -> Cost:
        """Predicted work and memory."""


Work = TypeVar("Work", bound=Costed)


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
    seen: Seen = ()
    """The files of its model as they were when its content hash was taken; empty where the same task takes it."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Work that travels together."""

    name: str
    """What it is from, for people: a model, or the first of several."""
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


def side_by_side(items: Sequence[Item], shapes: Iterable[tuple[int, ...]], models: int) -> list[Item]:
    """The items with one thread each where anything else can use the other core: several matrices that two threads
    would help, or several models. A task of two threads also waits for two free cores, which small tasks take first.

    shapes: of all tensors of the model; models: of the run; both with what is known already, so that a run that goes on
    after a crash decides as the first one did.
    """
    if models == 1 and not several_large(min(shape[:2], default=0) for shape in shapes):
        return list(items)
    return [replace(item, cost=with_one_thread(item.cost)) for item in items]


class Place(NamedTuple):
    """Where work may run: what differs in it does not travel together."""

    near: str = ""
    """Node that has fetched its files; '' for any."""
    lacking: frozenset[str] = frozenset()
    """Nodes that do not see its files."""


ANYWHERE = Place()


class Packed(NamedTuple, Generic[Work]):
    """A shard."""

    items: tuple[Work, ...]
    """What is in it."""
    place: Place
    """Where it may run."""


class Packer(Generic[Work]):
    """Makes shards of about `seconds` of predicted work: a large matrix stands alone, ITEMS small ones travel together.

    Items that need different numbers of threads, or other nodes, never share a shard. The order is the one they come
    in, so that neighbouring bytes are read together.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._open: dict[tuple[int, Place], list[Work]] = {}
        self._filled: dict[tuple[int, Place], float] = {}

    def add(self, items: Iterable[Work], place: Callable[[Work], Place] = lambda _: ANYWHERE) -> list[Packed[Work]]:
        """Take items in; returns the shards that are full. place: of an item."""
        full: list[Packed[Work]] = []
        for item in items:
            seconds, key = item.cost.seconds, (item.cost.threads, place(item))
            if seconds >= self.seconds:
                full.append(Packed((item,), key[1]))
                continue
            shard = self._open.setdefault(key, [])
            if shard and (self._filled[key] + seconds > self.seconds or len(shard) == ITEMS):
                full.append(Packed(tuple(shard), key[1]))
                shard.clear()
            self._filled[key] = seconds + (self._filled[key] if shard else 0.0)
            shard.append(item)
        return full

    def rest(self) -> list[Packed[Work]]:
        """The shards that are not full, when nothing more comes."""
        rest = [Packed(tuple(shard), place) for (_, place), shard in self._open.items() if shard]
        self._open.clear()
        return rest


def pack(items: Collection[Work], seconds: float, slots: int = 0) -> list[tuple[Work, ...]]:
    """Shards of all items, see Packer: the same items give the same shards; slots: see Rounds, 0 for equal shards."""
    rounds, left = Rounds(seconds, slots), sum(item.cost.seconds for item in items)
    packer = Packer[Work](rounds.seconds(left))
    full: list[Packed[Work]] = []
    for item in items:
        closed = packer.add([item])
        if closed:
            packer.seconds = rounds.seconds(left)
        full += closed
        left -= item.cost.seconds
    return [packed.items for packed in full + packer.rest()]


class Rounds:
    """How long tasks are that share some work: in rounds of a task a slot, each a ROUND of what is left.

    Tasks are few, and yet no slot waits long for the last (factoring: Hummel, Schonberg, Flynn 1992).
    """

    def __init__(self, most: float, slots: int) -> None:
        """most: seconds of a task at most; slots: 0 for tasks of these seconds, all of them."""
        self._most, self._slots = most, slots
        self._made, self._seconds = 0, most

    def seconds(self, left: float) -> float:
        """Seconds of the next task, when `left` are not in any."""
        if self._slots and self._made % self._slots == 0:
            self._seconds = min(self._most, max(LEAST_SECONDS, ROUND * left / self._slots))
        self._made += 1
        return self._seconds


def sources(items: Iterable[Item]) -> tuple[str, ...]:
    """Every file or locator that items are read from."""
    paths = {str(part) for item in items for _, part in item.stored}
    paths |= {ref.path for item in items if item.layer is not None for ref in item.layer.refs}
    return tuple(sorted(paths))


def even(seconds: float, total: float, slots: int) -> float:
    """Seconds of a shard: `seconds`, less where all the work of a run, `total`, would leave slots without any."""
    return min(seconds, max(LEAST_SECONDS, total / (SHARDS * slots)))


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


@lru_cache(maxsize=1024)
def work_cost(
    shape: tuple[int, ...], layer_type: str, profiles: tuple[Profile, ...], absent: tuple[str, ...], itemsize: int
) -> Cost:
    """Cost of one tensor: the absent spectra, or reading those that are kept, then the fits of every profile."""
    spectra = spectra_cost(shape, layer_type, absent, itemsize) if absent else READ_SPECTRUM
    return replace(
        spectra, seconds=spectra.seconds + sum(_fits_seconds(shape, layer_type, profile) for profile in profiles)
    )


def _fits_seconds(shape: tuple[int, ...], layer_type: str, profile: Profile) -> float:
    matrix = unfold_rule(profile.unfold).shape_of(shape, layer_type)
    options = (method(name).options(profile.options.get(name, {})) for name in profile.methods)
    resamples = sum(int(chosen.get("replicates", 0)) for chosen in options)
    if profile.pool:
        return fit_seconds(matrix.M * matrix.rf, resamples)
    return matrix.rf * fit_seconds(matrix.M, resamples)


def task_bytes(items: Iterable[Work]) -> int:
    """Memory of a task: its largest item at its worst moment, beside what all of them leave."""
    peaks = [item.cost.peak_bytes for item in items]
    return TASK_BYTES + max(peaks) + ITEM_BYTES * len(peaks)


def within_memory(items: Iterable[Work], memory: int) -> tuple[list[Work], list[Work]]:
    """Items whose predicted peak is at most `memory` bytes, and those that need more."""
    small: list[Work] = []
    large: list[Work] = []
    for item in items:
        (small if item.cost.peak_bytes <= memory else large).append(item)
    return small, large


def digest(parts: Iterable[str]) -> str:
    """Short name of what determines a piece of work."""
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=10).hexdigest()
