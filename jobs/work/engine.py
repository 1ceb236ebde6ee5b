"""The engine of every job that computes: tasks from what is left to do, parts from outcomes, failures accounted for.

`open_models` (a scan) or `refit` gives the first tasks, `handle` turns an outcome into kept parts and further tasks,
`execute` runs it all and publishes. Every finished piece is a part on disk before more is asked for: a kill at any
moment loses only what was under way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from zoospectra.analysis.profile import FIT_VERSION, SPECTRUM_VERSION, Profile
from zoospectra.jobs.exit import exit_status
from zoospectra.jobs.records import ledger, published
from zoospectra.jobs.show.progress import ProgressLine
from zoospectra.jobs.work import keep
from zoospectra.jobs.work.analyse import Analysed, analyse
from zoospectra.jobs.work.executors import Cluster, Executor, Outcome, Task, Wanted, node, open_executor
from zoospectra.jobs.work.index import Indexed, IndexRequest, index
from zoospectra.jobs.work.opening import opening_of, waiting_for
from zoospectra.jobs.work.plan import Item, Shard, digest, is_large, pack, within_memory
from zoospectra.jobs.work.schedule import inaccessible, run
from zoospectra.jobs.work.todo import KnownLayer, Step, Todo, filtered
from zoospectra.warehouse import build, parts
from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.known import known_results
from zoospectra.warehouse.settings import WarehouseSettings
from zoospectra.zoo.checkpoint.trouble import Reason, Skip
from zoospectra.zoo.fetch.locator import is_remote
from zoospectra.zoo.layers.rules import NO_RULES, Rules
from zoospectra.zoo.model import Model

PUBLISH_SECONDS = 240.0
"""Seconds between two generations that a run publishes while it works."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that came to its end."""

    run_id: str
    """Its row in `runs`."""
    counts: Counts
    """Models, layers, skips, failures."""
    warehouse: Path
    """The generation it published."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is asked to do, and where."""

    verb: str
    """'scan', 'refit'."""
    profiles: tuple[Profile, ...]
    """Profiles that every tensor in scope shall have metrics under."""
    warehouse: WarehouseSettings
    """Where results are kept."""
    cluster: Cluster
    """Where tasks run."""
    models: tuple[Model, ...] = ()
    """The catalog it works on; none for a run on the warehouse itself."""
    attempts: int = 2
    """Tries of a task whose worker died."""
    shard_seconds: float = 1.0
    """Predicted seconds of work that travel together."""
    rules: Rules = NO_RULES
    """What the user knows better about tensors."""
    config: str = "{}"
    """JSON of the whole configuration, for `runs`."""


def execute(job: Job, work: Callable[[Engine], list[Task]]) -> Run:
    """Open a run, do all its work, close it, and publish a new generation of the warehouse.

    `work` gives the first tasks: `Engine.refit`, or `Engine.open_models` on the job's models. Every finished shard is
    kept at once, so that an interrupted run loses seconds of work.
    """
    root = Path(job.warehouse.dir)
    parts.sweep(root)
    entry = ledger.begin(job.verb, root, job.models)
    with ProgressLine(job.verb) as progress:
        device, seconds = job.cluster.device, job.shard_seconds
        engine = Engine(root, job.profiles, progress, shard_seconds=seconds, device=device, rules=job.rules)
        if tasks := work(engine):
            _run(job, tasks, engine, progress)
    counts = engine.finish()
    tally = {"models": counts.models, "layers": counts.layers, "skipped": counts.skipped, "failed": counts.failed}
    ledger.end(entry, root, config=job.config, status=exit_status(counts.failed), counts=tally)
    return Run(entry.run_id, counts, build.build(root, keep=job.warehouse.keep).path)


def _run(job: Job, tasks: list[Task], engine: Engine, progress: ProgressLine) -> None:
    """Run tasks and what follows from them; what is finished is published now and then."""
    shared = job.cluster.address is not None
    executor = open_executor(job.cluster, node.wanted(engine.files() if shared else ()), progress.print)
    engine.executor = executor
    published_at = time.monotonic()

    def publish() -> None:
        nonlocal published_at
        if engine.counts.analysed + engine.counts.fitted and time.monotonic() > published_at + PUBLISH_SECONDS:
            build.build(Path(job.warehouse.dir), keep=job.warehouse.keep)
            published_at = time.monotonic()

    finished = False
    try:
        patience = job.cluster.patience
        run(tasks, executor, engine.handle, attempts=job.attempts, patience=patience, blocked=_blocked, tick=publish)
        finished = True
    finally:
        executor.close(cancel=not finished)


class Owner(NamedTuple):
    """A layer that holds some bytes."""

    model: ModelId
    """Whose layer."""
    tensor: str
    """Key in its checkpoint."""


@dataclass(slots=True)
class Counts:
    """What a run met and did."""

    models: int = 0
    """Models in scope."""
    layers: int = 0
    """Layers of those models."""
    skipped: int = 0
    """Rows of `skipped` by rule: tensors left out, and layers that a profile's filters left without a fit."""
    failed: int = 0
    """Tensors and models of the scope that failed."""
    indexed: int = 0
    """Checkpoints opened in this run."""
    analysed: int = 0
    """Distinct tensors whose weights were read and analysed in this run."""
    fitted: int = 0
    """Distinct tensors fitted in this run from stored spectra; no weight was read."""
    known: int = 0
    """Of a refit: tensors that had their metrics already."""
    lacking: int = 0
    """Of a refit: tensors without a stored spectrum that a profile needs."""


class Engine:
    """One run's work on one warehouse."""

    def __init__(
        self,
        root: Path,
        profiles: Sequence[Profile],
        progress: ProgressLine,
        *,
        shard_seconds: float,
        device: str,
        rules: Rules = NO_RULES,
    ) -> None:
        self._root = root
        self._progress = progress
        self._shard_seconds = shard_seconds
        self._device = device
        self.executor: Executor | None = None
        self._todo = Todo(known_results(root), tuple(profiles))
        self._filtered = set(self._todo.known.filtered)
        self._owners: dict[str, list[Owner]] = {}
        self._lost: dict[str, tuple[Reason, str]] = {}
        self._rules = rules
        self._models: Sequence[Model] = ()
        self._skips = keep.SkipParts(root, rules.key)
        self.counts = Counts()
        for part in self._todo.known.broken:
            progress.print(f"damaged part moved aside, its content is computed again: {part}")

    def open_models(self, models: Sequence[Model]) -> list[Task]:
        """First tasks of a scan: an index of every model that is new, and what is missing of those that are listed.

        A model whose source publishes its metrics has no weights: its rows are kept at once.
        """
        self.counts.models = len(models)
        self._models = models
        self.counts.layers += published.keep(self._root, [model for model in models if model.published is not None])
        return [task for model in models if model.published is None for task in self._open(model)]

    def refit(self) -> list[Task]:
        """Tasks that fit every stored spectrum of the warehouse anew; no weights are read."""
        items, self.counts.known, self.counts.lacking = self._todo.refits()
        shards = [(model_id, shard) for model_id, group in items.items() for shard in pack(group, self._shard_seconds)]
        for model, hashes in self._todo.known.layers.items() if shards else ():
            for content_hash in hashes:
                self._owners.setdefault(content_hash, []).append(Owner(model, ""))
        return [self._shard_task(model_id, shard) for model_id, shard in shards]

    def finish(self) -> Counts:
        """Final counts."""
        self.counts.layers += sum(map(len, self._owners.values()))
        pairs = filtered(self._filtered, self._todo.profiles)
        self.counts.skipped += sum(len(self._owners.get(content_hash, ())) for content_hash in pairs)
        return self.counts

    def files(self) -> list[str]:
        """Files of the run that its tasks read on this machine's paths: models, or parts with spectra."""
        if self._models:
            return [model.path for model in self._models if not is_remote(model.path)]
        return sorted(str(part) for part in set(self._todo.known.spectra.values()))

    def handle(self, outcome: Outcome) -> list[Task]:
        """Keep what an outcome brought; returns the tasks that follow from it."""
        before = self.counts.failed
        if isinstance(outcome.task.argument, IndexRequest):
            following = self._handle_index(outcome.task.argument.model, outcome)
        else:
            following = self._handle_shard(outcome.task.argument, outcome)
        self._progress.done(outcome.task.seconds, failures=self.counts.failed - before)
        return following

    def _open(self, model: Model) -> list[Task]:
        identity = ModelId(model.model_id, model.revision)
        part = keep.layers_part(self._root, identity, self._rules.key)
        step = self._todo.step(identity, part.exists())
        if step is Step.INDEX:
            return [self._index_task(model, identity)]
        known = self._todo.known
        self._count_skips(row.failed for row in known.skipped.get(identity, ()))
        if step is Step.FIT:
            return self._plan(identity, keep.kept_layers(part))
        for content_hash in known.layers.get(identity, ()):
            self._owners.setdefault(content_hash, []).append(Owner(identity, ""))
        return []

    def _index_task(self, model: Model, identity: ModelId) -> Task:
        part = keep.layers_part(self._root, identity, self._rules.key)
        hashes: dict[tuple[str, str], str] = {}
        if part.exists():
            table = pq.read_table(part, columns=["tensor", "longname", "content_hash"])
            tensors, names, known = (column.to_pylist() for column in table.columns)
            hashes = dict(zip(zip(tensors, names, strict=True), known, strict=True))
        opening = opening_of(model.path)
        self._progress.expect(opening.seconds)
        sketched = frozenset(filter(self._todo.sketched, hashes.values()))
        request = IndexRequest(identity, model.path, hashes, sketched, self._rules, model.beside)
        return Task(
            key=f"index {model.model_id}",
            function=index,
            argument=request,
            seconds=opening.seconds,
            memory=opening.memory,
            waits=opening.waits,
            opens=True,
        )

    def _handle_index(self, model: ModelId, outcome: Outcome) -> list[Task]:
        indexed = outcome.value
        if not isinstance(indexed, Indexed):
            self._skips.start(model, [Skip(None, *_trouble(outcome), failed=True)])
            self.counts.failed += 1
            return []
        self.counts.indexed += 1
        self._skips.start(model, indexed.skips)
        keep.keep_layers(self._root, model, indexed, self._rules.key)
        self._count_skips(skip.failed for skip in indexed.skips)
        layers = [
            KnownLayer(content_hash, layer.ref.name, layer.layer_type, layer.shape, layer.dtype, layer)
            for layer, content_hash in indexed.layers
        ]
        return self._plan(model, layers)

    def _plan(self, model: ModelId, layers: Iterable[KnownLayer]) -> list[Task]:
        """Shards for what no model of this or an earlier run has brought yet."""
        items = []
        for layer in layers:
            owners = self._owners.setdefault(layer.content_hash, [])
            owners.append(Owner(model, layer.tensor))
            if layer.content_hash in self._lost:
                self._record(owners[-1], *self._lost[layer.content_hash])
            elif len(owners) == 1 and self._todo.missing(layer.content_hash):
                items.append(self._todo.item(layer))
        capacity = self.executor.capacity if self.executor else node.capacity([node.describe(Wanted())])
        small, large = within_memory(items, capacity.memory)
        for item in large:
            detail = f"needs {item.cost.peak_bytes / 2**30:.1f} GiB of memory beside its weights, a task may have "
            detail += f"{capacity.memory / 2**30:.1f} GiB: {capacity.words}"
            self._lose(item.content_hash, Reason.TOO_LARGE, detail)
        return [self._shard_task(model.model_id, shard) for shard in pack(small, self._shard_seconds)]

    def _shard_task(self, model_id: str, items: tuple[Item, ...]) -> Task:
        profiles = self._todo.profiles
        hashes, keys = [item.content_hash for item in items], [profile.key for profile in profiles]
        gpus = int(self._device != "cpu" and any(map(is_large, items)))
        key = digest([*hashes, *keys, SPECTRUM_VERSION, FIT_VERSION])
        shard = Shard(model_id, key, items, profiles, self._device if gpus else "cpu")
        self._progress.expect(shard.seconds)
        return Task(
            key=f"analyse {model_id} {key}",
            function=analyse,
            argument=shard,
            seconds=shard.seconds,
            cpus=max(item.cost.threads for item in items),
            memory=max(item.cost.peak_bytes for item in items),
            gpus=gpus,
            waits=sum(waiting_for(item.layer.ref.path, item.cost.bytes_read) for item in items if item.layer),
        )

    def _handle_shard(self, shard: Shard, outcome: Outcome) -> list[Task]:
        if isinstance(outcome.value, Analysed):
            keep.keep_results(self._root, shard, outcome.value)
            stored = sum(item.layer is None for item in shard.items)
            self.counts.fitted += stored
            self.counts.analysed += len(shard.items) - stored
            self._filtered |= outcome.value.filtered
            return []
        if len(shard.items) > 1:  # only the guilty tensor shall be lost
            return [self._shard_task(shard.model_id, (item,)) for item in shard.items]
        self._lose(shard.items[0].content_hash, *_trouble(outcome))
        return []

    def _lose(self, content_hash: str, reason: Reason, detail: str) -> None:
        """Record that a tensor was not analysed, in every model that holds it."""
        self._lost[content_hash] = (reason, detail)
        for owner in self._owners[content_hash]:
            self._record(owner, reason, detail, content_hash)

    def _record(self, owner: Owner, reason: Reason, detail: str, content_hash: str = "") -> None:
        listed = () if owner.tensor else keep.newest_layers(self._root, owner.model)
        names = [layer.tensor for layer in listed if layer.content_hash == content_hash]
        tensor = owner.tensor or next(iter(names), content_hash)
        self._skips.add(owner.model, Skip(tensor, reason, detail, failed=True))
        self.counts.failed += 1

    def _count_skips(self, failures: Iterable[bool]) -> None:
        for failed in failures:
            if failed:
                self.counts.failed += 1
            else:
                self.counts.skipped += 1


def _blocked(outcome: Outcome) -> bool:
    """Whether a task, or part of what it opened, could not be reached."""
    skips = outcome.value.skips if isinstance(outcome.value, Indexed) else ()
    return inaccessible(outcome) or any(skip.reason is Reason.INACCESSIBLE for skip in skips)


def _trouble(outcome: Outcome) -> tuple[Reason, str]:
    if outcome.crash:
        return outcome.reason or Reason.WORKER_CRASHED, f"after {outcome.task.attempt} attempts: {outcome.crash}"
    return outcome.reason or Reason.ERROR, outcome.error or "the task returned nothing"
