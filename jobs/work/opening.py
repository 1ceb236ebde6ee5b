"""What opening a checkpoint costs, as far as it is known before it is opened; orders tasks, sets deadlines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from zoospectra.jobs.work.index import IndexRequest
from zoospectra.jobs.work.plan import Rounds, even
from zoospectra.zoo.checkpoint.formats import place
from zoospectra.zoo.checkpoint.formats.sharded import files_of
from zoospectra.zoo.checkpoint.pair import pair_of
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.fetch.locator import is_remote, locate
from zoospectra.zoo.sources import fingerprint

ELEMENT_SECONDS = 6e-9
"""Seconds of reading, hashing and sketching one value from the page cache: 4.4e-9 to 8e-9 of any type."""

RATE = 4 / ELEMENT_SECONDS
"""Bytes a second of the same, of files whose types are not known yet: float32."""

FILE_SECONDS = 0.004
"""Seconds that a file takes whatever its size: some twenty layers, one by one."""

PICKLE_SECONDS = 0.01
"""Seconds more that one takes which is no safetensors file."""

ANALYSED = 3
"""Times as long as opening it that analysing a model takes at least: 3 of small networks, 8 of GPT-2's shapes."""

SERVER_RATE = 1e6
"""Bytes a second below which a server counts as hanging."""

SERVER_SECONDS = 3600.0
"""Seconds that a task may wait for a server that limits its rate."""

MEMORY = 256 << 20
"""Bytes that opening needs beside the largest tensor."""

COPIES = 2
"""Memory for the largest tensor as multiples of its bytes: bfloat16 decodes to twice as many."""

LARGEST = 2 << 30
"""Most bytes that one tensor is expected to have before a checkpoint is opened: an embedding of 128256 x 8192."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Predicted cost of reading and hashing every tensor of a checkpoint."""

    size: int
    """Bytes of its files, as far as they are known."""
    seconds: float
    """Time."""
    memory: int
    """Peak beyond an idle worker, bytes."""
    waits: float
    """Seconds that it may wait for a server."""


def opening_of(path: str) -> Opening:
    """Cost of opening a file, a folder, a locator, or an adapter with its base, whose tensors are the large ones."""
    pair = pair_of(path)
    if pair is not None:
        adapter, base = opening_of(pair.adapter), opening_of(pair.base)
        return Opening(
            adapter.size + base.size,
            adapter.seconds + base.seconds,
            max(adapter.memory, base.memory) + adapter.memory,
            adapter.waits + base.waits,
        )
    size = _announced(path) if is_remote(path) else _size(Path(path))
    each = FILE_SECONDS + (0.0 if path.endswith(".safetensors") else PICKLE_SECONDS)
    return Opening(size, each + size / RATE, MEMORY + COPIES * min(size, LARGEST), waiting_for(path, size))


def local_files(path: str) -> tuple[str, ...]:
    """Files and folders of this machine that opening a path reads."""
    pair = pair_of(path)
    if pair is not None:
        return (*local_files(pair.adapter), *local_files(pair.base))
    return () if is_remote(path) else (place(path)[0],)


SPLIT = 64 << 20
"""Bytes of a local model above which it is read by pieces where models are fewer than slots, which would wait."""


SMALL = 8 << 20
"""Bytes of a local model up to which the task that opens it may analyse it too: matrices of 1448 x 1448 at most."""


class Priced(NamedTuple):
    """A checkpoint to open, and what that costs."""

    request: IndexRequest
    """Which."""
    opening: Opening
    """Its cost."""


def priced(requests: Iterable[IndexRequest]) -> list[Priced]:
    """Every checkpoint with its cost; each is looked at once."""
    return [Priced(request, opening_of(request.path)) for request in requests]


def share(total: float, seconds: float, slots: int) -> float:
    """Seconds of a task that analyses some layers of checkpoints; total: seconds of opening all of the run."""
    return even(seconds, ANALYSED * total, slots)


def with_analysis(opening: Opening) -> Opening:
    """The cost of a checkpoint that is also analysed."""
    return replace(opening, seconds=opening.seconds * (1 + ANALYSED))


class Ways(NamedTuple):
    """Checkpoints by how they are opened."""

    large: list[Priced]
    """By their headers, layer by layer."""
    far: list[Priced]
    """Once their headers are known, and their files near."""
    small: list[Priced]
    """At once."""


def by_way(openings: Iterable[Priced], *, few: bool) -> Ways:
    """Which checkpoints several tasks read, and which others are remote; few: the run opens fewer than it has slots."""
    ways = Ways([], [], [])
    for each in openings:
        far, size = is_remote(each.request.path), each.opening.size
        if size > fingerprint.LARGE or (few and size > SPLIT and not far):
            ways.large.append(each)
        elif far:
            ways.far.append(each)
        else:
            ways.small.append(each)
    return ways


def unlisted(small: Iterable[Priced]) -> tuple[list[Priced], list[Priced]]:
    """Small checkpoints that no earlier run has listed, with the cost of analysing them too; and all others."""
    new, others = [], []
    for each in small:
        path = each.request.path
        if each.request.hashes or each.opening.size > SMALL or is_remote(path):
            others.append(each)
        else:
            new.append(each._replace(opening=with_analysis(each.opening)))
    return new, others


def together(openings: Sequence[Priced], seconds: float, slots: int) -> list[tuple[Priced, ...]]:
    """Small checkpoints travel together, copies one after the other; a remote one, or one that is not there, alone.

    About `seconds` of work a task at most, see plan.Rounds.
    """
    alike: dict[str, list[Priced]] = {}
    for each in openings:
        alike.setdefault(each.request.model.revision, []).append(each)
    left = sum(each.opening.seconds for each in openings)
    batches: list[tuple[Priced, ...]] = []
    filled = room = 0.0
    rounds = Rounds(seconds, slots)
    for each in (each for copies in alike.values() for each in copies):
        path, cost = each.request.path, each.opening.seconds
        alone = is_remote(path) or not os.path.exists(path)
        if alone or filled + cost > room:
            batches.append(())
            filled, room = 0.0, rounds.seconds(left)
        batches[-1] += (each,)
        filled, left = room if alone else filled + cost, left - cost
    return batches


def waiting_for(path: str, size: int) -> float:
    """Seconds that reading `size` bytes of a path may wait for a server; 0 for a local file."""
    return SERVER_SECONDS + size / SERVER_RATE if is_remote(path) else 0.0


def _announced(path: str) -> int:
    """Bytes that a locator says; 0 when it says nothing or is none, which opening it will tell."""
    try:
        return locate(path).size or 0
    except CheckpointError:
        return 0


def _size(path: Path) -> int:
    """Bytes of a checkpoint; 0 when it is not there."""
    try:
        files = path.iterdir() if path.is_dir() else files_of(path)
        return sum(file.stat().st_size for file in files if file.is_file())
    except (OSError, CheckpointError):
        return 0
