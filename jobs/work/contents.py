"""What became of the tensors of a run: those that wait, with who holds them, those that are finished, those lost.

Kept while the warehouse's newest generation does not say it: `forget` is called when a generation has all that is
finished, so that a run's memory does not grow with what it has done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from zoospectra.jobs.work.job import Owner
from zoospectra.zoo.checkpoint.trouble import Reason

FULL = 300_000
"""Finished tensors after which the warehouse should be published, so that they can be forgotten."""

SPECTRUM_LOST = "its stored spectrum was damaged and moved aside; scan its zoo again"
"""Detail of tensors that a refit cannot fit any more."""


@dataclass(slots=True)
class Contents:
    """Tensors of a run by content hash."""

    waiting: dict[str, list[Owner]] = field(default_factory=dict)
    """Planned and not over -> the layers that hold them."""
    finished: dict[str, int] = field(default_factory=dict)
    """Done since `forget` -> how many profiles' filters left them without a fit."""
    lost: dict[str, tuple[Reason, str]] = field(default_factory=dict)
    """Failed -> why."""
    forgotten: int = 0
    """How many were finished before."""

    @property
    def over(self) -> int:
        """How many are finished or lost."""
        return self.forgotten + len(self.finished) + len(self.lost)

    @property
    def met(self) -> Iterator[str]:
        """Contents that need not be begun: planned, finished since `forget`, or failed."""
        return chain(self.waiting, self.finished, self.lost)

    @property
    def full(self) -> bool:
        """Whether so many are finished that they should be forgotten."""
        return len(self.finished) >= FULL

    def wait(self, content_hash: str, owners: Iterable[Owner]) -> None:
        """A tensor is planned, or planned already."""
        self.waiting.setdefault(content_hash, []).extend(owners)

    def finish(self, content_hash: str, filtered: int) -> Sequence[Owner]:
        """A tensor is done; returns who waited for it."""
        self.finished[content_hash] = filtered
        self.lost.pop(content_hash, None)
        return self.waiting.pop(content_hash, ())

    def lose(self, content_hash: str, reason: Reason, detail: str) -> Sequence[Owner]:
        """A tensor failed; returns who waited for it."""
        self.lost[content_hash] = (reason, detail)
        return self.waiting.pop(content_hash, ())

    def forget(self) -> None:
        """The newest generation says what is finished."""
        self.forgotten += len(self.finished)
        self.finished.clear()
