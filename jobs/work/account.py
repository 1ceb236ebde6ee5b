"""What a run has brought: rows in its log, contents that are over, whoever waited for them, and counts of all that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from zoospectra.jobs.work.analyse import Analysed, without
from zoospectra.jobs.work.contents import Contents
from zoospectra.jobs.work.job import Counts, Owner
from zoospectra.jobs.work.keep import Keeper
from zoospectra.jobs.work.plan import Item
from zoospectra.jobs.work.todo import KnownLayer, Todo
from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.known import Knowledge
from zoospectra.zoo.checkpoint.trouble import Reason, Skip

MET = 20_000
"""Contents that a task is told are known, 10 bytes each; where there are more, models are listed, then analysed."""


class Account:
    """One run's results and failures."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.contents = Contents()
        self.counts = Counts()
        self.bytes = 0
        """Bytes of weights read."""
        self._kept: frozenset[int] | None = None

    def met(self, knowledge: Knowledge) -> frozenset[int] | None:
        """Seeds of contents that have results or will have them; None where they are too many to tell every task."""
        if self._kept is None:
            self._kept = frozenset(knowledge.seeds()[: MET + 1].tolist())
        met = self._kept if len(self._kept) > MET else self._kept.union(self.contents.met)
        return met if len(met) <= MET else None

    def forget(self) -> None:
        """The newest generation has what is finished."""
        self.contents.forget()
        self._kept = None

    def claim(self, model: ModelId, layers: Iterable[KnownLayer], left: Todo) -> list[Item]:
        """What no model of this or an earlier run has brought yet, and nobody works on."""
        items = []
        for layer in layers:
            self.counts.layers += 1
            content_hash, owner = layer.content_hash, Owner(model, layer.tensor)
            if content_hash in self.contents.lost:
                self.record(owner, *self.contents.lost[content_hash])
            elif content_hash in self.contents.waiting:
                self.contents.wait(content_hash, [owner])
            elif (filtered := self.contents.filtered(content_hash)) is not None:
                self.counts.skipped += filtered
            elif left.missing(content_hash):
                self.contents.wait(content_hash, [owner])
                items.append(left.item(layer))
            else:
                self.counts.skipped += left.filtered(content_hash)
        return items

    def new(self, analysed: Analysed, left: Todo) -> Analysed:
        """Results that nothing else has brought meanwhile, or will bring; left: what is known of their contents."""
        known = {result.content_hash for result in left.known.metrics}
        hashes = (each.content_hash for each in analysed.done)
        begun = self.contents.is_begun
        return without(analysed, {h for h in hashes if begun(h) or (h in known and not left.missing(h))})

    def finish(self, analysed: Analysed) -> None:
        """Results are kept: whoever waited for them has them."""
        filtered = Counter(result.content_hash for result in analysed.filtered)
        for content_hash, bytes_read in analysed.done:
            self.bytes += bytes_read
            self.counts.fitted += not bytes_read
            self.counts.analysed += bytes_read > 0
            owners = self.contents.finish(content_hash, filtered[content_hash])
            self.counts.skipped += filtered[content_hash] * len(owners)

    def fail(self, model: ModelId, skip: Skip) -> None:
        """A model could not be opened."""
        self.keeper.keep_failure(model, skip)
        self.counts.failed += 1

    def lose(self, content_hash: str, reason: Reason, detail: str) -> None:
        """Record that a tensor was not analysed, in every model that holds it."""
        for owner in self.contents.lose(content_hash, reason, detail):
            self.record(owner, reason, detail)

    def record(self, owner: Owner, reason: Reason, detail: str) -> None:
        """Record that a layer was not analysed."""
        self.keeper.add_skip(owner.model, Skip(owner.tensor, reason, detail, failed=True))
        self.counts.failed += 1

    def count(self, failures: Iterable[bool]) -> None:
        """Count skips, each a failure or not."""
        for failed in failures:
            self.counts.failed += failed
            self.counts.skipped += not failed
