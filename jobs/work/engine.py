"""The engine of every job that computes: tasks from what is left to do, rows from outcomes, failures accounted for.

`open_models` (a scan) or `refit` gives the first tasks, `handle` turns an outcome into kept rows and further tasks.
What is finished goes to the log of the run, on disk within seconds: a kill at any moment loses those and what was under
way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoospectra.analysis.profile import FIT_VERSION, SPECTRUM_VERSION
from zoospectra.jobs.records import published
from zoospectra.jobs.show.progress import ProgressLine, Tally
from zoospectra.jobs.work import keep, plan, todo
from zoospectra.jobs.work.analyse import Analysed, analyse
from zoospectra.jobs.work.executors import Executor, Outcome, Task, Wanted, node
from zoospectra.jobs.work.executors.task import Capacity
from zoospectra.jobs.work.index import IndexRequest, ReadLayer, index_all
from zoospectra.jobs.work.job import Counts, Job, Owner
from zoospectra.jobs.work.opening import MEMORY, Opening, Priced, by_pieces, priced, shares, together, waiting_for
from zoospectra.jobs.work.pieces import Piece, ReadPiece, Underway, fresh, list_layers, pieces, read_piece
from zoospectra.jobs.work.plan import Item, Packer, Shard
from zoospectra.jobs.work.todo import KnownLayer, Step, Todo, known_layers
from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.known import Knowledge
from zoospectra.zoo.checkpoint.trouble import Reason, Skip
from zoospectra.zoo.fetch.locator import is_remote
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources import local

CHUNK = 500
"""Models whose layers are in memory together."""


SPECTRUM_LOST = "its stored spectrum was damaged and moved aside; scan its zoo again"
"""Detail of tensors that a refit cannot fit any more."""


class Engine:
    """One run's work on one warehouse."""

    def __init__(self, root: Path, job: Job, progress: ProgressLine, *, last: bool = False) -> None:
        self._progress = progress
        self._shard_seconds = job.shard_seconds
        self._device, self._slots = job.cluster.device, job.cluster.slots
        self.executor: Executor | None = None
        self._profiles = job.profiles
        self._rules = job.rules
        self._last = last
        self._can_open = bool(job.models)
        self._root = root
        self._files: set[str] = set()
        self._knowledge = Knowledge(root)
        self._keeper = keep.Keeper(root, job.warehouse.log_seconds, job.rules.key)
        self._packer = Packer[Item](job.shard_seconds)
        self._indexing = 0
        self._unopened = 0
        self._bytes = 0
        self._waiting: dict[str, list[Owner]] = {}
        self._finished: dict[str, int] = {}
        self._lost: dict[str, tuple[Reason, str]] = {}
        self._sketched: set[str] = set()
        self._underway: dict[ModelId, Underway] = {}
        self.counts = Counts()
        self.damaged = False
        """Whether stored spectra could not be read: the run has to plan again."""

    def close(self) -> None:
        """Put everything finished on disk."""
        self._keeper.flush()
        self._knowledge.close()

    def open_models(self, models: Sequence[Model]) -> list[Task]:
        """First tasks of a scan: an index of every model that is new, and what is missing of those that are listed.

        A model whose source publishes its metrics has no weights: its rows are kept at once.
        """
        self.counts.models = len(models)
        self._files = {model.path for model in models if not is_remote(model.path)}
        printed = [model for model in models if model.published is not None]
        self.counts.layers += published.keep(self._root, printed, self._knowledge)
        weighed = [model for model in models if model.published is None]
        ids = [ModelId(model.model_id, model.revision) for model in weighed]
        keys = [keep.index_key(identity, self._rules.key) for identity in ids]
        asked = todo.asked(self._profiles, keep.reader(self._rules.key))
        done = self._knowledge.progress(ids, keys, asked)
        self.counts.layers += done.layers
        self.counts.skipped += done.skipped
        self.counts.failed += done.failed
        tasks: list[Task] = []
        requests: list[IndexRequest] = []
        for first in range(0, len(done.unfinished), CHUNK):
            chunk = done.unfinished[first : first + CHUNK]
            known = self._knowledge.of_models([ids[n] for n in chunk])
            for n in chunk:
                indexed = known.readers.get(ids[n]) in (asked.reader, keys[n])
                tasks += self._open(weighed[n], Todo(known, self._profiles), requests, indexed=indexed)
        self._unopened = len(requests)
        return tasks + self._index_tasks(requests) + self._rest()

    def refit(self) -> list[Task]:
        """Tasks that fit every stored spectrum of the warehouse anew; no weights are read."""
        models = self._knowledge.models()
        done: set[str] = set()
        lacking: set[str] = set()
        tasks: list[Task] = []
        layers = 0
        for first in range(0, len(models), CHUNK):
            known = self._knowledge.of_models(models[first : first + CHUNK])
            owners: dict[str, list[Owner]] = {}
            for model, rows in known.layers.items():
                layers += len(rows)
                for row in rows:
                    waiting = self._waiting.get(row.content_hash) or owners.setdefault(row.content_hash, [])
                    waiting.append(Owner(model, row.tensor))
            new = [
                layer for rows in known.layers.values() for layer in known_layers(rows) if layer.content_hash in owners
            ]
            refits = Todo(known, self._profiles).refits(new)
            done.update(refits.known)
            lacking.update(refits.lacking)
            self._waiting |= {item.content_hash: owners[item.content_hash] for item in refits.items}
            for content_hash in refits.lost:
                self._waiting[content_hash] = owners[content_hash]
                self._lose(content_hash, Reason.ERROR, SPECTRUM_LOST)
            self._files.update(str(path) for item in refits.items for _, path in item.stored)
            # A row group is read by as few shards as possible.
            items = sorted(refits.items, key=lambda item: (item.stored[0][1], item.content_hash))
            tasks += [self._shard_task(shard) for shard in self._packer.add(items)]
        self.counts.known, self.counts.lacking = len(done), len(lacking)
        tasks += self._rest()
        self.counts.layers = layers if tasks else 0
        return tasks

    def files(self) -> list[str]:
        """Files of the run that its tasks read on this machine's paths: models, or parts with spectra."""
        return sorted(self._files)

    def handle(self, outcome: Outcome) -> list[Task]:
        """Keep what an outcome brought; returns the tasks that follow from it."""
        argument = outcome.task.argument
        if isinstance(argument, Shard):
            following = self._handle_shard(argument, outcome)
        elif isinstance(argument, Piece):
            following = self._handle_piece(argument, outcome)
        elif isinstance(argument, IndexRequest):
            following = self._handle_list(argument, outcome)
        else:
            self._indexing -= 1
            following = self._handle_index(argument, outcome)
        self._progress.done(outcome.task.seconds, self._tally())
        return following if self._indexing else following + self._rest()

    def _tally(self) -> Tally:
        counts, finished = self.counts, len(self._finished) + len(self._lost)
        tensors = finished + len(self._waiting) + sum(each.left for each in self._underway.values())
        return Tally(counts.models, counts.models - self._unopened, tensors, finished, self._bytes, counts.failed)

    def _rest(self) -> list[Task]:
        """Shards that are not full, once no index can add to them."""
        return [] if self._indexing else [self._shard_task(shard) for shard in self._packer.rest()]

    def _open(self, model: Model, left: Todo, requests: list[IndexRequest], *, indexed: bool) -> list[Task]:
        identity = ModelId(model.model_id, model.revision)
        listed = left.known.layers.get(identity, ())
        step = left.step(identity, indexed)
        if step is Step.INDEX:
            trusted = indexed or left.known.begun.get(identity) == keep.reader(self._rules.key)
            hashes = {(row.tensor, row.longname): row.content_hash for row in listed} if trusted else {}
            sketched = frozenset(filter(left.sketched, hashes.values()))
            requests.append(IndexRequest(identity, model.path, hashes, sketched, self._rules, model.beside))
            return []
        self._count_skips(row.failed for row in left.known.skipped.get(identity, ()))
        return self._plan(identity, known_layers(listed), left)

    def _index_tasks(self, requests: Sequence[IndexRequest]) -> list[Task]:
        openings = priced(requests)
        large, small = by_pieces(openings, self._slots)
        seconds, self._packer.seconds = shares(openings, self._shard_seconds, self._slots)
        return [self._list_task(*each) for each in large] + [
            self._index_task(batch) for batch in together(small, seconds)
        ]

    def _list_task(self, request: IndexRequest, opening: Opening) -> Task:
        """Opens a large model; it counts as being indexed until its last layer is read."""
        self._indexing += 1
        name = request.model.model_id
        return Task(f"list {name}", list_layers, request, memory=MEMORY, waits=opening.waits, opens=True)

    def _handle_list(self, request: IndexRequest, outcome: Outcome) -> list[Task]:
        """Pieces of a large model; one that could not be opened is left to a last try, which says why."""
        listed = outcome.value if isinstance(outcome.value, tuple) else ()
        underway = self._underway[request.model] = Underway(request, listed)
        memory, models = self._capacity().memory, self.counts.models
        made = pieces(underway, self._knowledge, self._profiles, self._packer.seconds, memory, models)
        underway.left = len(made)
        tasks = [self._piece_task(piece) for piece in sorted(made, key=lambda piece: piece.seconds)]
        return [replace(tasks[0], soon=True), *tasks[1:]] if tasks else [self._last_index_task(underway)]

    def _piece_task(self, piece: Piece) -> Task:
        large = piece.profiles and any(map(plan.is_large, piece.items))
        piece = replace(piece, device=self._device if large else "cpu")
        first = piece.items[0].layer
        assert first is not None
        return self._task(f"read {piece.model.model_id} {first.longname}", read_piece, piece)

    def _last_index_task(self, underway: Underway) -> Task:
        """Lists a large model by what its pieces said."""
        del self._underway[underway.request.model]
        self._indexing -= 1
        return replace(self._index_task(priced([underway.closing])), opens=False)

    def _handle_piece(self, piece: Piece, outcome: Outcome) -> list[Task]:
        """Keep what a piece brought; one that failed is tried layer by layer, then read without being analysed."""
        underway, read = self._underway[piece.model], outcome.value
        layers = [item.layer for item in piece.items if item.layer is not None]
        if isinstance(read, ReadPiece):
            self._keep_piece(underway, f"{piece.model.model_id} {layers[0].layer_id}", read)
            underway.read.update((layer.layer_id, each) for layer, each in zip(layers, read.layers, strict=True))
        elif len(layers) > 1:
            underway.left += len(layers) - 1
            return [self._piece_task(replace(piece, items=(item,))) for item in piece.items]
        elif piece.profiles:
            underway.trouble[layers[0].layer_id] = outcome.trouble
            return [self._piece_task(replace(piece, profiles=()))]
        else:
            skip = Skip(layers[0].ref.name, *outcome.trouble, failed=True)
            underway.read[layers[0].layer_id] = ReadLayer(skip=skip)
        underway.left -= 1
        if some := underway.growth():
            self._keeper.keep_some_layers(piece.model, some)
        return [] if underway.left else [self._last_index_task(underway)]

    def _keep_piece(self, underway: Underway, key: str, read: ReadPiece) -> None:
        """Keep results and sketches of contents that have none meanwhile."""
        held = [each.held for each in read.layers if each.held]
        left = Todo(self._knowledge.of_contents({each.content_hash for each in held}), self._profiles)
        for each in held:
            if each.layer.layer_id in underway.trouble and each.content_hash not in self._finished:
                self._lost[each.content_hash] = underway.trouble[each.layer.layer_id]
        analysed, done = fresh(read, left, self._finished)
        self._keeper.keep_results(key, analysed)
        filtered = Counter(result.content_hash for result in analysed.filtered)
        for item in done:
            self._bytes += item.cost.bytes_read
            self.counts.fitted += item.layer is None
            self.counts.analysed += item.layer is not None
            self._finished[item.content_hash] = filtered[item.content_hash]
            self._lost.pop(item.content_hash, None)
        made = {each.sketched.content_hash: each.sketched for each in read.layers if each.sketched}
        new = {h: each for h, each in made.items() if h not in self._sketched and not left.sketched(h)}
        self._sketched |= new.keys()
        self._keeper.keep_sketches(key, list(new.values()))

    def _index_task(self, batch: Sequence[Priced]) -> Task:
        requests, openings = zip(*batch, strict=True)
        seconds = sum(opening.seconds for opening in openings)
        self._indexing += 1
        self._progress.expect(seconds)
        more = f" and {len(requests) - 1} more" if len(requests) > 1 else ""
        return Task(
            key=f"index {requests[0].model.model_id}{more}",
            function=index_all,
            argument=requests,
            seconds=seconds,
            memory=max(opening.memory for opening in openings),
            waits=sum(opening.waits for opening in openings),
            opens=True,
        )

    def _handle_index(self, requests: tuple[IndexRequest, ...], outcome: Outcome) -> list[Task]:
        if not isinstance(outcome.value, tuple):
            if len(requests) > 1:  # only the guilty checkpoint shall be lost
                return [self._index_task([each]) for each in priced(requests)]
            self._fail(requests[0].model, Skip(None, *outcome.trouble, failed=True))
            return []
        contents = {content_hash for indexed in outcome.value for _, content_hash in indexed.layers}
        left = Todo(self._knowledge.of_contents(contents), self._profiles)
        tasks: list[Task] = []
        for request, indexed in zip(requests, outcome.value, strict=True):
            if request.read and local.changed(request.path, request.model.revision):
                self._fail(request.model, Skip(None, Reason.CHANGED, Reason.CHANGED.advice, failed=True))
                continue
            self.counts.indexed += 1
            self._unopened -= 1
            self._keeper.keep_listing(request.model, indexed)
            self._count_skips(skip.failed for skip in indexed.skips)
            layers = [
                KnownLayer(content_hash, layer.ref.name, layer.layer_type, layer.shape, layer.dtype, layer)
                for layer, content_hash in indexed.layers
            ]
            tasks += self._plan(request.model, layers, left)
        return tasks

    def _fail(self, model: ModelId, skip: Skip) -> None:
        self._keeper.keep_failure(model, skip)
        self.counts.failed += 1
        self._unopened -= 1

    def _plan(self, model: ModelId, layers: Sequence[KnownLayer], left: Todo) -> list[Task]:
        """Shards for what no model of this or an earlier run has brought yet."""
        items = []
        for layer in layers:
            self.counts.layers += 1
            content_hash, owner = layer.content_hash, Owner(model, layer.tensor)
            if content_hash in self._lost:
                self._record(owner, *self._lost[content_hash])
            elif content_hash in self._waiting:
                self._waiting[content_hash].append(owner)
            elif content_hash in self._finished:
                self.counts.skipped += self._finished[content_hash]
            elif left.missing(content_hash):
                self._waiting[content_hash] = [owner]
                items.append(left.item(layer))
            else:
                self.counts.skipped += left.filtered(content_hash)
        capacity = self._capacity()
        items = plan.side_by_side(items, [layer.shape for layer in layers], self.counts.models)
        small, large = plan.within_memory(items, capacity.memory)
        for item in large:
            self._lose(item.content_hash, Reason.TOO_LARGE, capacity.refusal(item.cost.peak_bytes))
        return [self._shard_task(shard) for shard in self._packer.add(small)]

    def _capacity(self) -> Capacity:
        """What one task may need."""
        return self.executor.capacity if self.executor else node.capacity([node.describe(Wanted())])

    def _shard_task(self, items: tuple[Item, ...]) -> Task:
        profiles = self._profiles
        hashes, keys = [item.content_hash for item in items], [profile.key for profile in profiles]
        key = plan.digest([*hashes, *keys, SPECTRUM_VERSION, FIT_VERSION])
        name = self._waiting[hashes[0]][0].model.model_id
        device = self._device if any(map(plan.is_large, items)) else "cpu"
        return self._task(f"analyse {name} {key}", analyse, Shard(name, key, items, profiles, device))

    def _task(self, key: str, function: Callable[[Any], Any], work: Shard | Piece) -> Task:
        """A task for items, with what they cost."""
        self._progress.expect(work.seconds)
        return Task(
            key=key,
            function=function,
            argument=work,
            seconds=work.seconds,
            cpus=max(item.cost.threads for item in work.items),
            memory=plan.task_bytes(work.items),
            gpus=int(work.device != "cpu"),
            waits=sum(waiting_for(item.layer.ref.path, item.cost.bytes_read) for item in work.items if item.layer),
        )

    def _handle_shard(self, shard: Shard, outcome: Outcome) -> list[Task]:
        if isinstance(outcome.value, Analysed):
            self._keeper.keep_results(shard.key, outcome.value)
            filtered = Counter(result.content_hash for result in outcome.value.filtered)
            for item in shard.items:
                if item.content_hash in outcome.value.lacking:
                    self._lack(item.content_hash)
                    continue
                if item.layer is None:
                    self.counts.fitted += 1
                else:
                    self.counts.analysed += 1
                    self._bytes += item.cost.bytes_read
                self._finished[item.content_hash] = filtered[item.content_hash]
                owners = self._waiting.pop(item.content_hash)
                self.counts.skipped += filtered[item.content_hash] * len(owners)
            return []
        if len(shard.items) > 1:  # only the guilty tensor shall be lost
            return [self._shard_task((item,)) for item in shard.items]
        self._lose(shard.items[0].content_hash, *outcome.trouble)
        return []

    def _lack(self, content_hash: str) -> None:
        """The stored spectrum of a tensor was damaged: a scan plans again, a refit can only say so."""
        self.damaged |= self._can_open
        if self._last or not self._can_open:
            self._lose(content_hash, Reason.ERROR, SPECTRUM_LOST)

    def _lose(self, content_hash: str, reason: Reason, detail: str) -> None:
        """Record that a tensor was not analysed, in every model that holds it."""
        self._lost[content_hash] = (reason, detail)
        for owner in self._waiting.pop(content_hash):
            self._record(owner, reason, detail)

    def _record(self, owner: Owner, reason: Reason, detail: str) -> None:
        self._keeper.add_skip(owner.model, Skip(owner.tensor, reason, detail, failed=True))
        self.counts.failed += 1

    def _count_skips(self, failures: Iterable[bool]) -> None:
        for failed in failures:
            if failed:
                self.counts.failed += 1
            else:
                self.counts.skipped += 1
