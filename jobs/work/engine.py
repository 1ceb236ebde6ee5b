"""The engine of every job that computes: tasks from what is left to do, rows from outcomes, failures accounted for.

`open_models` (a scan) or `refit` gives tasks one after another, made when they are asked for, so that memory does not
depend on how many there will be; `handle` turns an outcome into kept rows and further tasks. What is finished goes to
the log of the run, on disk within seconds: a kill at any moment loses those and what was under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from zoospectra.analysis.profile import FIT_VERSION, SPECTRUM_VERSION, Profile
from zoospectra.jobs.records import published
from zoospectra.jobs.show.progress import ProgressLine, Tally
from zoospectra.jobs.work import keep, plan, seen, todo
from zoospectra.jobs.work.account import Account
from zoospectra.jobs.work.ahead import Fetch, Fetched
from zoospectra.jobs.work.analyse import Analysed, analyse
from zoospectra.jobs.work.batch import Batch, Opened, opened
from zoospectra.jobs.work.coming import LAYERS, Choice, Due, batches, longest_first
from zoospectra.jobs.work.contents import SPECTRUM_LOST
from zoospectra.jobs.work.executors import Executor, Outcome, Task, Wanted, node
from zoospectra.jobs.work.executors.task import Capacity
from zoospectra.jobs.work.index import IndexRequest, ReadLayer
from zoospectra.jobs.work.job import Job, Owner
from zoospectra.jobs.work.keep import Keeper
from zoospectra.jobs.work.opening import (
    ANALYSED,
    MEMORY,
    Priced,
    by_way,
    local_files,
    priced,
    share,
    together,
    unlisted,
)
from zoospectra.jobs.work.pieces import Piece, ReadPiece, Underway, pieces, read_piece
from zoospectra.jobs.work.plan import Item, Packer, Shard
from zoospectra.jobs.work.tasks import apart, fetching, listing, opening, placed, working
from zoospectra.jobs.work.todo import KnownLayer, Step, Todo, known_layers
from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.known import Knowledge
from zoospectra.zoo.checkpoint.trouble import Reason, Skip
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources import fingerprint, local


class Engine:
    """One run's work on one warehouse."""

    def __init__(self, root: Path, job: Job, progress: ProgressLine, *, last: bool = False) -> None:
        self._progress = progress
        self._shard_seconds = job.shard_seconds
        self._device, self._slots = job.cluster.device, job.cluster.slots
        self.executor: Executor | None = None
        self.opener: Callable[[], Executor] | None = None  # opens it when it is needed
        self._shared = job.cluster.address is not None
        self._profiles = job.profiles
        self._rules = job.rules
        self._last = last
        self._can_open = bool(job.models)
        self._root = root
        self._models = job.models
        self._ahead = job.ahead
        self._knowledge = Knowledge(root)
        self._account = Account(Keeper(root, job.warehouse.log_seconds, job.rules.key))
        self._contents = self._account.contents
        self._packer = Packer[Item](job.shard_seconds)
        self._indexing = 0
        self._unopened = 0
        self._coming, self._few = True, False
        self._sketched: set[str] = set()
        self._underway: dict[ModelId, Underway] = {}
        self.counts = self._account.counts
        self.damaged = False
        """Whether stored spectra could not be read: the run has to plan again."""

    def running(self) -> Executor:
        """The executor, opened now at the latest."""
        if self.executor is None:
            assert self.opener is not None
            self.executor = self.opener()
        return self.executor

    def close(self) -> None:
        """Put everything finished on disk."""
        self._account.keeper.flush()
        self._knowledge.close()

    def follow(self) -> None:
        """The warehouse was published: what it has need not be kept in mind. `flush` comes before the publication."""
        self._knowledge.close()
        self._knowledge = Knowledge(self._root)
        self._account.forget()
        self._sketched.clear()

    def flush(self, *, meanwhile: bool = False) -> None:
        """Put what is finished on disk; meanwhile: if it is worth the time of a slot that has nothing to do."""
        self._account.keeper.flush(keep.MEANWHILE if meanwhile else 0)

    @property
    def full(self) -> bool:
        """Whether so much is finished that it should be published."""
        return self._contents.full

    def open_models(self, models: Sequence[Model]) -> Iterator[Task]:
        """Tasks of a scan: an index of every model that is new, and what is missing of those that are listed.

        Large models come first. A model whose source publishes its metrics has no weights: its rows are kept at once.
        """
        self.counts.models = len(models)
        chosen = Choice(models)
        listings = (keep.listing(model, self._rules.key) for model in chosen)
        done = self._knowledge.progress(listings, todo.asked(self._profiles, keep.reader(self._rules.key)))
        self.counts.layers += published.keep(self._root, chosen.published, self._knowledge)
        self.counts.failed += self._account.keeper.keep_troubles(chosen.blocked)
        self.counts.layers += done.layers
        self.counts.skipped += done.skipped
        self.counts.failed += done.failed
        self._unopened = len(done.unfinished)
        self._few = self._unopened < self._slots
        left = longest_first(chosen, done)
        self._progress.expect(left.seconds)
        self._packer.seconds = share(left.seconds, self._shard_seconds, self._slots)
        return self._opened(chosen, batches(left))

    def _opened(self, models: Choice, chunks: Iterable[Sequence[Due]]) -> Iterator[Task]:
        """Tasks of models by their positions; those of a chunk are chosen at once, by what is known then."""
        for chunk in chunks:
            met = [models[due.place] for due in chunk if due.known]
            known = self._knowledge.of_models([ModelId(model.model_id, model.revision) for model in met])
            left, requests = Todo(known, self._profiles), list[IndexRequest]()
            made = [task for due in chunk for task in self._open(models[due.place], left, requests)]
            yield from self._opening_tasks(requests)
            yield from made
        self._coming = False
        yield from self._rest()

    def refit(self) -> Iterator[Task]:
        """Tasks that fit every stored spectrum of the warehouse anew; no weights are read."""
        made = 0
        for rows in self._knowledge.contents(LAYERS):
            owners = {row.layer.content_hash: [Owner(*owner) for owner in row.owners] for row in rows}
            self.counts.layers += sum(map(len, owners.values()))
            left = Todo(self._knowledge.of_contents(owners), self._profiles)
            refits = left.refits(known_layers(row.layer for row in rows))
            self.counts.known += len(refits.known)
            self.counts.lacking += len(refits.lacking)
            for content_hash in (*refits.lost, *(item.content_hash for item in refits.items)):
                self._contents.wait(content_hash, owners[content_hash])
            for content_hash in refits.lost:
                self._account.lose(content_hash, Reason.ERROR, SPECTRUM_LOST)
            # A row group is read by as few shards as possible.
            items = sorted(refits.items, key=lambda item: (item.stored[0][1], item.content_hash))
            made += len(items)
            yield from self._shard_tasks(self._packer.add(items, placed(self._elsewhere())))
        self._coming = False
        if not made:
            self.counts.layers = 0
        yield from self._rest()

    def files(self) -> list[str]:
        """Files and folders that tasks of the run read on this machine's paths: models, or parts with spectra."""
        if self._can_open:
            return sorted({file for model in self._models for file in local_files(model.path)})
        return [str(part) for part in self._knowledge.spectra_parts()]

    def handle(self, outcome: Outcome) -> list[Task]:
        """Keep what an outcome brought; returns the tasks that follow from it."""
        argument = outcome.task.argument
        if isinstance(argument, Shard):
            following = self._handle_shard(argument, outcome)
        elif isinstance(argument, Piece):
            following = self._handle_piece(argument, outcome)
        elif isinstance(argument, IndexRequest):
            following = self._handle_list(argument, outcome)
        elif isinstance(argument, Fetch):
            following = self._handle_fetch(argument, outcome)
        else:
            self._indexing -= 1
            following = self._handle_batch(argument, outcome)
        self._progress.done(outcome.task.seconds, self._tally())
        return following if self._indexing else following + self._rest()

    def _tally(self) -> Tally:
        counts, finished, read = self.counts, self._contents.over, self._account.bytes
        tensors = finished + len(self._contents.waiting) + sum(each.left for each in self._underway.values())
        return Tally(counts.models, counts.models - self._unopened, tensors, finished, read, counts.failed)

    def _rest(self) -> list[Task]:
        """Shards that are not full, once no index can add to them."""
        return [] if self._indexing or self._coming else self._shard_tasks(self._packer.rest())

    def _open(self, model: Model, left: Todo, requests: list[IndexRequest]) -> list[Task]:
        identity = ModelId(model.model_id, model.revision)
        listed = left.known.layers.get(identity, ())
        reader, key = keep.reader(self._rules.key), keep.index_key(identity, self._rules.key)
        indexed = left.known.readers.get(identity) in (reader, key)
        step = left.step(identity, indexed)
        if step is Step.INDEX:
            trusted = indexed or left.known.begun.get(identity) == reader
            hashes = {(row.tensor, row.longname): row.content_hash for row in listed} if trusted else {}
            sketched = frozenset(filter(left.sketched, hashes.values()))
            state = seen.of_model(model)
            requests.append(IndexRequest(identity, model.path, hashes, sketched, self._rules, model.beside, state))
            return []
        self._unopened -= 1
        self._account.count(row.failed for row in left.known.skipped.get(identity, ()))
        return self._plan(identity, known_layers(listed), left)

    def _opening_tasks(self, requests: Sequence[IndexRequest]) -> Iterator[Task]:
        """Tasks that open models, or bring near what is small and remote; each is under way until it is listed."""
        large, far, small = by_way(priced(requests), few=self._few)
        made = [listing(*each) for each in large] + [fetching(*each, self._ahead.size) for each in far]
        self._indexing += len(made)
        yield from made
        at_once = bool(small) and self._at_once()
        for group in apart(small, self._elsewhere() if small else None):
            new, others = unlisted(group) if at_once else ([], group)
            for chosen, profiles in ((new, self._profiles), (others, ())):
                for batch in together(chosen, self._shard_seconds, self._slots):
                    self._indexing += 1
                    yield self._open_task(batch, profiles)

    def _open_task(
        self, chosen: Sequence[Priced], profiles: tuple[Profile, ...] = (), node: str = "", fetched: int = 0
    ) -> Task:
        """Opens small models; with profiles, what of their layers is new is analysed at once."""
        requests, openings = zip(*chosen, strict=True)
        met = self._account.met(self._knowledge) if profiles else frozenset()
        if met is None:
            met, profiles = frozenset(), ()
        task = opening(Batch(requests, self._account.keeper.reader, profiles, met), openings, node, fetched)
        if profiles:
            self._progress.expect(task.seconds * ANALYSED / (1 + ANALYSED))
        return task

    def _at_once(self) -> bool:
        """Whether tasks that open small models may analyse them too: they keep all slots busy, on one thread each."""
        several = self.counts.models > 1 and not self._few
        return (
            several
            and self._device == "cpu"
            and self._capacity().memory >= MEMORY
            and self._account.met(self._knowledge) is not None
        )

    def _handle_fetch(self, fetch: Fetch, outcome: Outcome) -> list[Task]:
        """Opens what is near now, or layer by layer what turned out to be large; what could not be opened is over."""
        fetched = outcome.value if isinstance(outcome.value, Fetched) else Fetched()
        if fetched.failure is not None:
            self._indexing -= 1
            batch = Batch((fetch.request,), self._account.keeper.reader)
            return self._handle_batch(batch, replace(outcome, value=opened(batch, [fetched.failure])))
        (each,) = priced([fetch.request])
        if fetched.size > fingerprint.LARGE:
            return [listing(*each)]
        return [self._open_task([each], node=outcome.node, fetched=fetched.near)]

    def _handle_list(self, request: IndexRequest, outcome: Outcome) -> list[Task]:
        """Pieces of a large model; one that could not be opened is left to a last try, which says why."""
        underway = Underway(request, outcome.value if isinstance(outcome.value, tuple) else ())
        self._underway[request.model] = underway
        memory, models = self._capacity().memory, self.counts.models
        seconds, slots = (self._shard_seconds, self._slots) if self._few else (self._packer.seconds, 0)
        made = pieces(underway, self._knowledge, self._profiles, seconds, memory, models, slots)
        underway.left = len(made)
        tasks = [self._piece_task(piece) for piece in sorted(made, key=lambda piece: piece.seconds)]
        return [replace(tasks[0], soon=True), *tasks[1:]] if tasks else [self._last_index_task(underway)]

    def _piece_task(self, piece: Piece) -> Task:
        large = piece.profiles and any(map(plan.is_large, piece.items))
        piece = replace(piece, device=self._device if large else "cpu")
        self._progress.expect(piece.seconds)
        return working(f"read {piece.model.model_id} {piece.first.longname}", read_piece, piece)

    def _last_index_task(self, underway: Underway) -> Task:
        """Lists a large model by what its pieces said."""
        del self._underway[underway.request.model]
        return replace(self._open_task(priced([underway.closing])), opens=False)

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
            self._account.keeper.keep_some_layers(piece.model, some)
        return [] if underway.left else [self._last_index_task(underway)]

    def _keep_piece(self, underway: Underway, key: str, read: ReadPiece) -> None:
        """Keep results and sketches of contents that have none meanwhile."""
        held = [each.held for each in read.layers if each.held]
        left = Todo(self._knowledge.of_contents({each.content_hash for each in held}), self._profiles)
        for each in held:
            if each.layer.layer_id in underway.trouble and self._contents.filtered(each.content_hash) is None:
                self._contents.lose(each.content_hash, *underway.trouble[each.layer.layer_id])
        analysed = self._account.new(read.analysed, left)
        self._account.keeper.keep_results(key, analysed)
        self._account.finish(analysed)
        made = {each.sketched.content_hash: each.sketched for each in read.layers if each.sketched}
        new = {h: each for h, each in made.items() if h not in self._sketched and not left.sketched(h)}
        self._sketched |= new.keys()
        self._account.keeper.keep_sketches(key, list(new.values()))

    def _handle_batch(self, batch: Batch, outcome: Outcome) -> list[Task]:
        """Keep what some models hold; where a task failed each is listed alone, and analysed by others."""
        first, value = batch.requests[0], outcome.value
        if not isinstance(value, Opened):
            if len(batch.requests) > 1 or batch.profiles:  # only the guilty checkpoint, or tensor, shall be lost
                self._progress.expect(outcome.task.seconds)
                self._indexing += len(batch.requests)
                return [self._open_task([each]) for each in priced(batch.requests)]
            self._unopened -= 1
            self._account.fail(first.model, Skip(None, *outcome.trouble, failed=True))
            return []
        if first.read and local.changed(first.path, first.model.revision):
            self._unopened -= 1
            self._account.fail(first.model, Skip(None, Reason.CHANGED, Reason.CHANGED.advice, failed=True))
            return []
        contents = {layer.content_hash for model in value.models for layer in model.layers}
        left = Todo(self._knowledge.of_contents(contents), self._profiles)
        value = replace(value, analysed=self._account.new(value.analysed, left))
        self._account.keeper.keep_models(first.model, value)
        self._account.finish(value.analysed)
        tasks: list[Task] = []
        for request, model in zip(batch.requests, value.models, strict=True):
            self.counts.indexed += 1
            self._unopened -= 1
            self._account.count(skip.failed for skip in model.skips)
            tasks += self._plan(request.model, model.layers, left, outcome.node)
        return tasks

    def _plan(self, model: ModelId, layers: Sequence[KnownLayer], left: Todo, node: str = "") -> list[Task]:
        """Shards for what no model of this or an earlier run has brought yet."""
        items = self._account.claim(model, layers, left)
        if not items:
            return []
        capacity = self._capacity()
        items = plan.side_by_side(items, [layer.shape for layer in layers], self.counts.models)
        small, large = plan.within_memory(items, capacity.memory)
        for item in large:
            self._account.lose(item.content_hash, Reason.TOO_LARGE, capacity.refusal(item.cost.peak_bytes))
        return self._shard_tasks(self._packer.add(small, placed(self._elsewhere(), node)))

    def _elsewhere(self) -> Executor | None:
        """The executor where it has several machines; None where there is one."""
        return self.running() if self._shared else None

    def _shard_tasks(self, shards: Iterable[plan.Packed[Item]]) -> list[Task]:
        return [self._shard_task(shard.items, shard.place.near) for shard in shards]

    def _capacity(self) -> Capacity:
        """What one task may need."""
        executor = self._elsewhere() or self.executor
        return executor.capacity if executor else node.capacity([node.describe(Wanted())])

    def _shard_task(self, items: tuple[Item, ...], node: str = "") -> Task:
        profiles = self._profiles
        hashes, keys = [item.content_hash for item in items], [profile.key for profile in profiles]
        key = plan.digest([*hashes, *keys, SPECTRUM_VERSION, FIT_VERSION])
        name = self._contents.waiting[hashes[0]][0].model.model_id
        device = self._device if any(map(plan.is_large, items)) else "cpu"
        shard = Shard(name, key, items, profiles, device)
        self._progress.expect(shard.seconds)
        return working(f"analyse {name} {key}", analyse, shard, node)

    def _handle_shard(self, shard: Shard, outcome: Outcome) -> list[Task]:
        if isinstance(outcome.value, Analysed):
            self._account.keeper.keep_results(shard.key, outcome.value)
            self._account.finish(outcome.value)
            for content_hash in outcome.value.lacking:
                self._lack(content_hash)
            return []
        if len(shard.items) > 1:  # only the guilty tensor shall be lost
            return [self._shard_task((item,)) for item in shard.items]
        self._account.lose(shard.items[0].content_hash, *outcome.trouble)
        return []

    def _lack(self, content_hash: str) -> None:
        """The stored spectrum of a tensor was damaged: a scan plans again, a refit can only say so."""
        self.damaged |= self._can_open
        if self._last or not self._can_open:
            self._account.lose(content_hash, Reason.ERROR, SPECTRUM_LOST)
