"""What a run has brought: rows in its log, contents that are over, whoever waited for them, and counts of all that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from zoospectra.jobs.work.analyse import Analysed, without
from zoospectra.jobs.work.contents import Contents
from zoospectra.jobs.work.job import Counts, Owner
from zoospectra.jobs.work.keep import Keeper
from zoospectra.jobs.work.todo import Todo
from zoospectra.warehouse.identity import ModelId
from zoospectra.zoo.checkpoint.trouble import Reason, Skip


class Account:
    """One run's results and failures."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.contents = Contents()
        self.counts = Counts()
        self.bytes = 0
        """Bytes of weights read."""

    def new(self, analysed: Analysed, left: Todo) -> Analysed:
        """Results that nothing else has brought meanwhile, or will bring; left: what is known of their contents."""
        finished, waiting = self.contents.finished, self.contents.waiting
        known = {result.content_hash for result in left.known.metrics}
        hashes = (each.content_hash for each in analysed.done)
        met = (h for h in hashes if h in finished or h in waiting or (h in known and not left.missing(h)))
        return without(analysed, set(met))

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
