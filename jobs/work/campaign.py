"""What a scan still has to do, model by model: index, plan, keep results, account for failures.

The driver's state machine: `start` gives the first tasks, `handle` turns an outcome into kept parts and further tasks.
Every finished piece is a part on disk before more is asked for: a kill at any moment loses only what was under way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path

import pyarrow.parquet as pq

from zoospectra.analysis.profile import FIT_VERSION, SPECTRUM_VERSION, Profile
from zoospectra.jobs.records import rows
from zoospectra.jobs.show.progress import ProgressLine
from zoospectra.jobs.work.analyse import Analysed, Shard, analyse
from zoospectra.jobs.work.executors import Outcome, Task
from zoospectra.jobs.work.index import Candidate, Indexed, index
from zoospectra.jobs.work.plan import REFIT_COST, Item, KnownLayer, digest, fits, is_large, needed, pack, spectra_cost
from zoospectra.warehouse import parts
from zoospectra.warehouse.known import known_results
from zoospectra.zoo.checkpoint.tensor import Skip
from zoospectra.zoo.fetch.errors import RETRIED as FETCH_RETRIED
from zoospectra.zoo.model import Model

READER_VERSION = "2"
"""Changes when a reader or a layer rule finds other layers in the same bytes: older indexes are then made anew."""

INDEX_RATE = 3e8
"""Bytes a second of reading and hashing; only orders the tasks and feeds the progress line."""

RETRIED = frozenset({"worker_crashed", "too_large", "error", *FETCH_RETRIED})
"""Reasons that another run may overcome; the others are facts about the bytes."""


@dataclasses.dataclass(slots=True)
class Counts:
    """What a run found and did."""

    models: int = 0
    """Models in scope."""
    layers: int = 0
    """Layers of those models."""
    skipped: int = 0
    """Tensors of those models left out by rule."""
    failed: int = 0
    """Tensors and models of the scope that failed."""
    indexed: int = 0
    """Checkpoints opened in this run."""
    analysed: int = 0
    """Distinct tensors analysed in this run."""


class Campaign:
    """One job's work on one warehouse."""

    def __init__(
        self,
        root: Path,
        models: Sequence[Model],
        profiles: Sequence[Profile],
        *,
        shard_seconds: float,
        memory: int,
        progress: ProgressLine,
        device: str = "cpu",
    ) -> None:
        self._root = root
        self._models = {model.model_id: model for model in models}
        self._profiles = tuple(profiles)
        self._shard_seconds = shard_seconds
        self._memory = memory
        self._progress = progress
        self._device = device
        self._known = known_results(root)
        self._done = {row[:3] for row in self._known.layer_metrics if row[3] == FIT_VERSION}
        self._filtered = set(self._known.filtered)
        self._owners: dict[str, list[tuple[str, str]]] = {}
        self._skips: dict[str, list[Skip]] = {}
        self._lost: dict[str, tuple[str, str]] = {}
        self.counts = Counts(models=len(models))
        for part in self._known.broken:
            progress.say(f"damaged part moved aside, its content is computed again: {part}")

    def start(self) -> list[Task]:
        """First tasks: an index of every model that is new, and whatever is missing of those whose index is kept."""
        return [task for model in self._models.values() for task in self._open(model)]

    def finish(self) -> Counts:
        """Final counts; too few eigenvalues for every profile is a skip by rule."""
        keys = [profile.key for profile in self._profiles]
        for content_hash, owners in self._owners.items():
            if all((content_hash, key) in self._filtered for key in keys):
                self.counts.skipped += len(owners)
        self.counts.layers = sum(map(len, self._owners.values()))
        return self.counts

    def handle(self, outcome: Outcome) -> list[Task]:
        """Keep what an outcome brought; returns the tasks that follow from it."""
        before = self.counts.failed
        if isinstance(outcome.task.argument, Candidate):
            follow = self._handle_index(outcome)
        else:
            follow = self._handle_shard(outcome)
        self._progress.done(outcome.task.seconds, failures=self.counts.failed - before)
        return follow

    def _open(self, model: Model) -> list[Task]:
        """Tasks for one model: its index when there is none, or none that an earlier failure left whole."""
        key = (model.model_id, model.revision)
        skips = self._known.skipped.get(key, frozenset())
        part = self._layers_part(model)
        if not part.exists() or any(reason in RETRIED for _, reason, _ in skips):
            return [self._index_task(model)]
        hashes = self._known.layers.get(key, ())
        missing = [content_hash for content_hash in hashes if self._missing(content_hash)]
        names = len(needed(self._profiles))
        if any(len(self._stored(content_hash)) < names for content_hash in missing):
            return [self._index_task(model)]
        self._count_skips(skips)
        if missing:
            kept = parts.part_path(self._root, "skipped", self._index_key(model), model.model_id)
            self._skips[model.model_id] = rows.kept_skips(pq.read_table(kept)) if kept.exists() else []
            return self._plan(model, rows.kept_layers(pq.read_table(part)))
        for content_hash in hashes:
            self._owners.setdefault(content_hash, []).append((model.model_id, ""))
        return []

    def _missing(self, content_hash: str) -> bool:
        """Whether any profile's metrics of these bytes are not kept."""
        return any((content_hash, profile.unfold, profile.key) not in self._done for profile in self._profiles)

    def _stored(self, content_hash: str) -> tuple[tuple[str, Path], ...]:
        """Kept spectra of these bytes that the profiles need, each with its part."""
        paths = [
            (name, self._known.spectra.get((content_hash, name, SPECTRUM_VERSION))) for name in needed(self._profiles)
        ]
        return tuple((name, path) for name, path in paths if path is not None)

    def _layers_part(self, model: Model) -> Path:
        return parts.part_path(self._root, "layers", self._index_key(model), model.model_id)

    def _index_key(self, model: Model) -> str:
        return digest([model.model_id, model.revision, READER_VERSION])

    def _index_task(self, model: Model) -> Task:
        part = self._layers_part(model)
        hashes: dict[tuple[str, str], str] = {}
        if part.exists():
            table = pq.read_table(part, columns=["tensor", "longname", "content_hash"])
            tensors, names, known = (column.to_pylist() for column in table.columns)
            hashes = dict(zip(zip(tensors, names, strict=True), known, strict=True))
        seconds = 0.01 + _size(Path(model.path)) / INDEX_RATE
        self._progress.expect(seconds)
        candidate = Candidate(model.model_id, model.path, hashes)
        return Task(key=f"index {model.model_id}", function=index, argument=candidate, seconds=seconds)

    def _handle_index(self, outcome: Outcome) -> list[Task]:
        model = self._models[outcome.task.argument.model_id]
        found = outcome.value
        if not isinstance(found, Indexed):
            self._fail(model, None, outcome)
            return []
        self.counts.indexed += 1
        self._skips[model.model_id] = list(found.skips)
        self._keep_skips(model)
        parts.write(self._root, "layers", self._index_key(model), rows.layers(model, found.layers), model.model_id)
        self._count_skips((skip.tensor, skip.reason, skip.failed) for skip in found.skips)
        layers = [
            KnownLayer(content_hash, layer.ref.name, layer.layer_type, layer.shape, layer)
            for layer, content_hash in found.layers
        ]
        return self._plan(model, layers)

    def _plan(self, model: Model, layers: Iterable[KnownLayer]) -> list[Task]:
        """Shards for what no model of this or an earlier run has brought yet."""
        items = []
        for layer in layers:
            owners = self._owners.setdefault(layer.content_hash, [])
            owners.append((model.model_id, layer.tensor))
            if layer.content_hash in self._lost:
                self._record(model.model_id, layer.tensor, *self._lost[layer.content_hash])
            elif len(owners) == 1 and self._missing(layer.content_hash):
                items.append(self._item(layer))
        small, large = fits(items, self._memory)
        for item in large:
            detail = f"needs {item.cost.peak_bytes / 2**30:.1f} GiB, the machine offers {self._memory / 2**30:.1f} GiB"
            self._skip(item.content_hash, "too_large", detail)
        return [self._shard_task(model.model_id, shard) for shard in pack(small, self._shard_seconds)]

    def _item(self, layer: KnownLayer) -> Item:
        stored = self._stored(layer.content_hash)
        absent = [name for name in needed(self._profiles) if name not in dict(stored)]
        if not absent:
            return Item(layer.content_hash, layer.layer_type, None, REFIT_COST, stored)
        itemsize = -(-layer.layer.ref.nbytes // prod(layer.layer.ref.shape)) if layer.layer else 4
        price = spectra_cost(layer.shape, layer.layer_type, absent, itemsize)
        return Item(layer.content_hash, layer.layer_type, layer.layer, price, stored)

    def _shard_task(self, model_id: str, items: tuple[Item, ...]) -> Task:
        key = digest(
            [
                *(item.content_hash for item in items),
                *(profile.key for profile in self._profiles),
                SPECTRUM_VERSION,
                FIT_VERSION,
            ]
        )
        gpus = int(self._device != "cpu" and any(map(is_large, items)))
        shard = Shard(model_id, key, items, self._profiles, self._device if gpus else "cpu")
        self._progress.expect(shard.seconds)
        return Task(
            key=f"analyse {model_id} {key}",
            function=analyse,
            argument=shard,
            seconds=shard.seconds,
            cpus=max(item.cost.threads for item in items),
            memory=max(item.cost.peak_bytes for item in items),
            gpus=gpus,
        )

    def _handle_shard(self, outcome: Outcome) -> list[Task]:
        shard: Shard = outcome.task.argument
        if isinstance(outcome.value, Analysed):
            for kind, table in outcome.value.tables.items():
                parts.write(self._root, kind, shard.key, table, shard.model_id)
            self.counts.analysed += len(shard.items)
            self._filtered |= outcome.value.filtered
            return []
        if len(shard.items) > 1:  # only the guilty tensor shall be lost
            return [self._shard_task(shard.model_id, (item,)) for item in shard.items]
        reason, detail = _trouble(outcome)
        self._skip(shard.items[0].content_hash, reason, detail)
        return []

    def _skip(self, content_hash: str, reason: str, detail: str) -> None:
        """Record that a tensor was not analysed, in every model that holds it."""
        self._lost[content_hash] = (reason, detail)
        for model_id, tensor in self._owners[content_hash]:
            self._record(model_id, tensor, reason, detail)

    def _record(self, model_id: str, tensor: str, reason: str, detail: str) -> None:
        self._skips[model_id].append(Skip(tensor, reason, detail, failed=True))
        self._keep_skips(self._models[model_id])
        self.counts.failed += 1

    def _fail(self, model: Model, tensor: str | None, outcome: Outcome) -> None:
        reason, detail = _trouble(outcome)
        self._skips[model.model_id] = [Skip(tensor, reason, detail, failed=True)]
        self._keep_skips(model)
        self.counts.failed += 1

    def _keep_skips(self, model: Model) -> None:
        table = rows.skipped(model, self._skips[model.model_id])
        parts.write(self._root, "skipped", self._index_key(model), table, model.model_id)

    def _count_skips(self, skips: Iterable[tuple[str | None, str, bool]]) -> None:
        for _, _, failed in skips:
            if failed:
                self.counts.failed += 1
            else:
                self.counts.skipped += 1


def _size(path: Path) -> int:
    """Bytes of a checkpoint; 0 when it is not there."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _trouble(outcome: Outcome) -> tuple[str, str]:
    if outcome.crash:
        return "worker_crashed", f"after {outcome.task.attempt} attempts: {outcome.crash}"
    return "error", outcome.error or "the task returned nothing"
