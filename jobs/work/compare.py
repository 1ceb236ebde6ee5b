"""Two checkpoints layer by layer on a cluster: pairs of layers are tasks, each read where it is compared.

What a fine-tune changed. Every layer of either has a row, and every tensor that was refused. Not covered: what a word
means that names a checkpoint (jobs/checks/subject.py), and the numbers of one pair (jobs/work/pair.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import pyarrow as pa

from zoospectra.analysis.profile import Profile
from zoospectra.jobs.show.progress import ProgressLine, Tally
from zoospectra.jobs.work.executors import Cluster, Outcome, Task, node, open_executor
from zoospectra.jobs.work.opening import local_files, waiting_for
from zoospectra.jobs.work.pair import MOVED, SHOWN, TOP, Compared, Pair, compare_all, described, pair
from zoospectra.jobs.work.plan import pack, task_bytes, within_memory
from zoospectra.jobs.work.schedule import run
from zoospectra.warehouse.schema import PARTS
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import Reason, Skip
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer

SECONDS = 1.0
"""Predicted work that travels together."""

KEPT = [name for name in PARTS["delta_metrics"].names if name not in ("base_id", "model_id", "profile")]
"""Columns of delta_metrics that a row has of its own."""


@dataclass(frozen=True, slots=True)
class Opened:
    """One of two checkpoints; no tensor is read."""

    name: str
    """What it is called."""
    layers: Mapping[str, Layer]
    """By longname."""
    skips: tuple[Skip, ...] = ()
    """Every tensor that is in no layer."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison says."""

    shown: pa.Table
    """One row a layer of either, then one a refused tensor."""
    kept: pa.Table
    """The same as rows of delta_metrics."""
    failed: int
    """Rows that have no numbers because something is wrong."""


def opened(path: str, name: str) -> Opened:
    """The layers of a checkpoint; CheckpointError (a ValueError) when it cannot be opened."""
    checkpoint = open_checkpoint(path)
    chosen, skips = layers(checkpoint.tensors, checkpoint.config)
    return Opened(name, {layer.longname: layer for layer in chosen}, (*checkpoint.skips, *skips))


def _aligned(side: Opened, partner: Opened) -> Opened:
    """The side with what all names of the partner begin with put before its own, where they meet only so.

    A file whose tensors are all below 'model.' is read without it, the same file in a model's folder is not.
    """
    if side.layers.keys() & partner.layers.keys():
        return side
    columns = zip(*(name.split(".") for name in partner.layers), strict=False)
    shared = [parts[0] for parts in itertools.takewhile(lambda parts: len(set(parts)) == 1, columns)]
    for depth in range(1, len(shared) + 1):
        whole = {".".join([*shared[:depth], name]): layer for name, layer in side.layers.items()}
        if whole.keys() & partner.layers.keys():
            return replace(side, layers=whole)
    return side


def deltas(
    base: Opened, other: Opened, profile: Profile, cluster: Cluster, *, every: bool = False, quiet: bool = False
) -> Comparison:
    """Compare every layer of two checkpoints, matched by name.

    A layer that cannot be compared has a status that says why. `distance` is ||W - W_base||_F / ||W_base||_F, `cka`
    linear centred kernel alignment (mean over slices). Columns end in _base, nothing, and _difference for the base, the
    other checkpoint and W - W_base. A task reads its layers where it runs, one pair after the other; a pair whose plan
    exceeds what a task of the cluster may have is not read. every: tensors that are no layers by rule are rows too.
    """
    base, other = _aligned(base, other), _aligned(other, base)
    lost, rest = _refused(base, other, every=every)
    names = dict.fromkeys([*base.layers, *other.layers])
    pairs = [pair(name, base.layers.get(name), other.layers.get(name), profile) for name in names if name not in lost]
    with ProgressLine("compare", quiet=quiet) as progress:
        done = {row.name: row for row in _run(pairs, cluster, progress)} if pairs else {}
    rows = [*(lost[name] if name in lost else done[name] for name in names), *rest]
    whose = {"base_id": base.name, "model_id": other.name, "profile": profile.name}
    values = [{**row.values, "longname": row.name, "status": row.status} for row in rows]
    shown = pa.Table.from_pylist([{name: row.get(name) for name in _schema().names} for row in values], _schema())
    kept = [whose | {column: row.get(f"{column}_difference", row.get(column)) for column in KEPT} for row in values]
    return Comparison(
        shown, pa.Table.from_pylist(kept, schema=PARTS["delta_metrics"]), failed=sum(row.failed for row in rows)
    )


def _schema() -> pa.Schema:
    text = {"longname", "layer_type", "shape", "status"}
    names = ["longname", "layer_type", "shape", "distance", "cosine", "cka"]
    names += [f"{name}{end}" for name in SHOWN for end in ("_base", "", "_difference")]
    names += [*(f"{name}_difference" for name in MOVED), "snr", f"energy_{TOP}", "status"]
    return pa.schema([(name, pa.string() if name in text else pa.float64()) for name in names])


class Refused(NamedTuple):
    """Rows of tensors that are in no layer of their checkpoint."""

    lost: dict[str, Compared]
    """Layers that only one side has, for the other refused their tensor, by longname."""
    rest: list[Compared]
    """All others, one a tensor."""


def _refused(base: Opened, other: Opened, *, every: bool) -> Refused:
    """A row for every tensor that either side refused; every: and for those that are no layers by rule."""
    lost: dict[str, Compared] = {}
    rest: dict[str, Compared] = {}
    for side, own, partner in (("the base", base, other), ("the other", other, base)):
        for skip in own.skips:
            if not (skip.failed or every):
                continue
            words = f"in {side}: {skip.reason}: {' '.join(skip.detail.split())}"
            alone = [layer for name, layer in partner.layers.items() if name not in own.layers]
            partners = [layer for layer in alone if skip.failed and layer.ref.name == skip.tensor]
            for layer in partners:
                lost[layer.longname] = Compared(layer.longname, words, described(layer), failed=True)
            if not partners:
                name = skip.tensor or own.name
                before = rest.get(name)
                status = f"{before.status}; {words}" if before else words
                rest[name] = Compared(name, status, {}, failed=skip.failed or (before is not None and before.failed))
    return Refused(lost, list(rest.values()))


def _run(pairs: Sequence[Pair], cluster: Cluster, progress: ProgressLine) -> list[Compared]:
    """Compare all pairs on the cluster; one that is too large, or whose worker dies on it alone, has failed."""
    rows: list[Compared] = []
    files = sorted({layer.ref.path for pair_ in pairs for layer in pair_.sides})
    shared = cluster.address is not None
    executor = open_executor(cluster, node.wanted(files if shared else ()), progress.print)
    small, large = within_memory(pairs, executor.capacity.memory)
    for pair_ in large:
        rows.append(_failed(pair_, f"{Reason.TOO_LARGE}: {executor.capacity.refusal(pair_.cost.peak_bytes)}"))

    def handle(outcome: Outcome) -> Iterable[Task]:
        batch: tuple[Pair, ...] = outcome.task.argument
        split = not isinstance(outcome.value, tuple) and len(batch) > 1  # only the guilty pair shall be lost
        if split:
            return [_task((pair_,)) for pair_ in batch]
        trouble = f"{outcome.reason or Reason.ERROR}: {outcome.crash or outcome.error}"
        done = outcome.value if isinstance(outcome.value, tuple) else (_failed(batch[0], trouble),)
        rows.extend(done)
        read = sum(work[row.name].bytes_read for row in rows if row.name in work)
        failures = sum(row.failed for row in rows)
        progress.done(outcome.task.seconds, Tally(2, 2, len(pairs), len(rows), read, failures))
        return []

    work = {pair_.name: pair_.cost for pair_ in small}
    tasks = [_task(batch) for batch in pack(small, SECONDS)]
    progress.expect(sum(task.seconds for task in tasks))
    finished = False
    try:
        run(tasks, executor, handle, patience=cluster.patience)
        finished = True
    finally:
        executor.close(cancel=not finished)
    return rows


def _failed(pair_: Pair, words: str) -> Compared:
    return Compared(pair_.name, " ".join(words.split()), described(pair_.either), failed=True)


def _task(batch: tuple[Pair, ...]) -> Task:
    return Task(
        key=f"compare {batch[0].name}" + (f" and {len(batch) - 1} more" if len(batch) > 1 else ""),
        function=compare_all,
        argument=batch,
        seconds=sum(pair_.cost.seconds for pair_ in batch),
        cpus=max(pair_.cost.threads for pair_ in batch),
        memory=task_bytes(batch),
        reads=tuple({path: None for pair_ in batch for layer in pair_.sides for path in local_files(layer.ref.path)}),
        waits=sum(waiting_for(layer.ref.path, layer.ref.nbytes) for pair_ in batch for layer in pair_.sides),
    )
