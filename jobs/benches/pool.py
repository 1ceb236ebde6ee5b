"""Files of weights to metrics and nothing else: what WeightWatcher's analyze() does, on any executor.

No hashing, no parts on disk: `jobs.verbs.scan` adds those. Some small files are one task, and so are some layers of a
large one, with the threads that their size takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoospectra.analysis.cost import cost, several_large, with_one_thread
from zoospectra.analysis.layer import analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.spectrum import spectrum
from zoospectra.analysis.unfold import unfold_rule
from zoospectra.jobs.work.executors import Executor, Outcome, Task
from zoospectra.jobs.work.plan import Item, pack
from zoospectra.jobs.work.schedule import run
from zoospectra.zoo.checkpoint.dtype import itemsize
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.values import read_layer

TASK_BYTES = 4 << 20
"""Bytes of small files that make one task: about 0.1 s of work, against which a task's 2 ms count little."""

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
    alphas: list[float] = []
    for path in portion.paths:
        chosen, _ = layers(open_checkpoint(path).tensors)
        for layer in chosen:
            if portion.wanted is None or layer.layer_id in portion.wanted:
                computed = spectrum(rule.unfold(read_layer(layer), layer.layer_type))
                result = analyse_layer(computed, layer.layer_type, portion.profile, dtype=layer.dtype)
                alpha = result.layer["alpha"]
                alphas += [alpha] if isinstance(alpha, float) else []
    return alphas


def analyse_files(paths: Sequence[Path], profile: Profile, executor: Executor) -> list[float]:
    """Sorted exponents of all layers of all files; RuntimeError when a task fails."""
    alphas: list[float] = []

    def keep(outcome: Outcome) -> list[Task]:
        if not isinstance(outcome.value, list):
            raise RuntimeError(f"{outcome.task.key}: {outcome.error or outcome.crash}")
        alphas.extend(outcome.value)
        return []

    run(tasks(paths, profile), executor, keep)
    return sorted(alphas)


def tasks(paths: Sequence[Path], profile: Profile) -> list[Task]:
    """Tasks of some files: small ones together, large ones by layer."""
    planned: list[Task] = []
    together: list[str] = []
    filled = 0
    for path in paths:
        size = path.stat().st_size
        if size >= TASK_BYTES:
            planned += _by_layer(str(path), profile, len(paths))
            continue
        if together and filled + size > TASK_BYTES:
            planned.append(_together(together, filled, profile))
            together, filled = [], 0
        together.append(str(path))
        filled += size
    return [*planned, _together(together, filled, profile)] if together else planned


def _together(paths: Sequence[str], filled: int, profile: Profile) -> Task:
    return Task(paths[0], analyse_portion, Portion(tuple(paths), None, profile), seconds=0.1 * filled / TASK_BYTES)


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
