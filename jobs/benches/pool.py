"""Files of weights to metrics and nothing else: what WeightWatcher's analyze() does, on any executor.

No hashing, no parts on disk: `jobs.verbs.scan` adds those. Some small files are one task, and so are some layers of a
large one, with the threads that their size takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoospectra.analysis.cost import cost, several_large, with_one_thread
from zoospectra.analysis.layer import analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.spectrum import spectrum
from zoospectra.analysis.unfold import unfold_rule
from zoospectra.jobs.work.executors import Executor, Outcome, Task
from zoospectra.jobs.work.plan import Item, even, pack
from zoospectra.jobs.work.schedule import run
from zoospectra.zoo.checkpoint.dtype import itemsize
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.values import read_layer

TASK_BYTES = 4 << 20
"""Bytes of files below which they are small: several are one task, against whose 2 ms one file's work counts little."""

RATE = 8e7
"""Bytes of small files a second: 13 ms for 1 MB of ResNet-20."""

SECONDS = 0.2
"""Predicted seconds of a task of a large file: opening it takes 3 ms."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Layers of some files."""

    paths: tuple[str, ...]
    """Checkpoints."""
    wanted: frozenset[int] | None
    """Layers of a single file to take, by layer_id; None for all."""
    profile: Profile
    """Profile to fit."""


def analyse_portion(portion: Portion) -> list[float]:
    """Exponents of the layers that have a fit; read, decomposed and fitted with every metric of the profile."""
    rule = unfold_rule(portion.profile.unfold)
    chosen = [layer for path in portion.paths for layer in layers(open_checkpoint(path).tensors)[0]]
    wanted = [layer for layer in chosen if portion.wanted is None or layer.layer_id in portion.wanted]
    # One step after the other for all layers: what a step needs stays in the caches.
    spectra = [spectrum(rule.unfold(read_layer(layer), layer.layer_type)) for layer in wanted]
    alphas = [
        analyse_layer(computed, layer.layer_type, portion.profile, dtype=layer.dtype).layer["alpha"]
        for layer, computed in zip(wanted, spectra, strict=True)
    ]
    return [alpha for alpha in alphas if isinstance(alpha, float)]


def analyse_files(paths: Sequence[Path], profile: Profile, executor: Executor) -> list[float]:
    """Sorted exponents of all layers of all files; RuntimeError when a task fails."""
    alphas: list[float] = []

    def keep(outcome: Outcome) -> list[Task]:
        if not isinstance(outcome.value, list):
            raise RuntimeError(f"{outcome.task.key}: {outcome.error or outcome.crash}")
        alphas.extend(outcome.value)
        return []

    run(tasks(paths, profile, executor.slots), executor, keep)
    return sorted(alphas)


def tasks(paths: Sequence[Path], profile: Profile, slots: int) -> list[Task]:
    """Tasks of some files: small ones together, large ones by layer."""
    sizes = {str(path): path.stat().st_size for path in paths}
    small = {path: size for path, size in sizes.items() if size < TASK_BYTES}
    large = [_by_layer(path, profile, len(paths)) for path in sizes if path not in small]
    return [task for part in large for task in part] + (_together(small, profile, slots) if small else [])


def _together(sizes: Mapping[str, int], profile: Profile, slots: int) -> list[Task]:
    """Tasks of small files: of a scan's seconds, and equal as far as the files allow, as many for every slot."""
    total = sum(sizes.values()) / RATE
    count = slots * max(1, round(total / even(SECONDS, total, slots) / slots))
    groups: list[list[str]] = [[] for _ in range(count)]
    begun = 0.0
    for path, size in sizes.items():
        groups[int((begun + size / RATE / 2) / total * count)].append(path)
        begun += size / RATE
    return [
        Task(group[0], analyse_portion, Portion(tuple(group), None, profile), seconds=total / count)
        for group in groups
        if group
    ]


def _by_layer(path: str, profile: Profile, files: int) -> list[Task]:
    """Tasks of some layers each, as a scan makes them, with their predicted cost."""
    chosen, _ = layers(open_checkpoint(path).tensors)
    rule = unfold_rule(profile.unfold)
    shapes = [rule.shape_of(layer.shape, layer.layer_type) for layer in chosen]
    several = files > 1 or several_large(shape.M for shape in shapes)
    items = []
    for layer, shape in zip(chosen, shapes, strict=True):
        predicted = cost(shape.N, shape.M, shape.rf, itemsize(layer.ref.dtype))
        predicted = with_one_thread(predicted) if several else predicted
        items.append(Item(str(layer.layer_id), layer.layer_type, layer.dtype, layer, predicted))
    return [_part(path, shard, profile) for shard in pack(items, SECONDS)]


def _part(path: str, shard: Sequence[Item], profile: Profile) -> Task:
    wanted = frozenset(int(item.content_hash) for item in shard)
    return Task(
        f"{path} {min(wanted)}",
        analyse_portion,
        Portion((path,), wanted, profile),
        seconds=sum(item.cost.seconds for item in shard),
        cpus=max(item.cost.threads for item in shard),
        memory=max(item.cost.peak_bytes for item in shard),
    )
