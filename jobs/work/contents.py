"""What became of the tensors of a run: those that wait, with who holds them, those that are finished, those lost.

Kept while the warehouse's newest generation does not say it: `forget` is called when a generation has all that is
finished, so that a run's memory does not grow with what it has done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from zoospectra.jobs.work.job import Owner
from zoospectra.warehouse.identity import seed_of
from zoospectra.zoo.checkpoint.trouble import Reason

FULL = 300_000
"""Finished tensors after which the warehouse should be published, so that they can be forgotten."""

BITS = 128
"""Bits of the hash of a finished tensor that are kept: it takes 80 bytes then, and 160 as text."""

SPECTRUM_LOST = "its stored spectrum was damaged and moved aside; scan its zoo again"
"""Detail of tensors that a refit cannot fit any more."""


@dataclass(slots=True)
class Contents:
    """Tensors of a run by content hash."""

    waiting: dict[str, list[Owner]] = field(default_factory=dict)
    """Planned and not over -> the layers that hold them."""
    lost: dict[str, tuple[Reason, str]] = field(default_factory=dict)
    """Failed -> why."""
    forgotten: int = 0
    """How many were finished before."""
    _finished: dict[int, int] = field(default_factory=dict)
    """Done since `forget` -> how many profiles' filters left them without a fit."""

    @property
    def over(self) -> int:
        """How many are finished or lost."""
        return self.forgotten + len(self._finished) + len(self.lost)

    @property
    def met(self) -> Iterator[int]:
        """Seeds of contents that need not be begun: planned, finished since `forget`, or failed."""
        finished = (key >> (BITS - 64) for key in self._finished)
        return chain(map(seed_of, self.waiting), finished, map(seed_of, self.lost))

    @property
    def full(self) -> bool:
        """Whether so many are finished that they should be forgotten."""
        return len(self._finished) >= FULL

    def filtered(self, content_hash: str) -> int | None:
        """How many profiles' filters left a content without a fit that is done since `forget`; None for any other."""
        return self._finished.get(_key(content_hash))

    def is_begun(self, content_hash: str) -> bool:
        """Whether a content is planned, or done since `forget`."""
        return content_hash in self.waiting or self.filtered(content_hash) is not None

    def wait(self, content_hash: str, owners: Iterable[Owner]) -> None:
        """A tensor is planned, or planned already."""
        self.waiting.setdefault(content_hash, []).extend(owners)

    def finish(self, content_hash: str, filtered: int) -> Sequence[Owner]:
        """A tensor is done; returns who waited for it."""
        self._finished[_key(content_hash)] = filtered
        self.lost.pop(content_hash, None)
        return self.waiting.pop(content_hash, ())

    def lose(self, content_hash: str, reason: Reason, detail: str) -> Sequence[Owner]:
        """A tensor failed; returns who waited for it."""
        self.lost[content_hash] = (reason, detail)
        return self.waiting.pop(content_hash, ())

    def forget(self) -> None:
        """The newest generation says what is finished."""
        self.forgotten += len(self._finished)
        self._finished.clear()


def _key(content_hash: str) -> int:
    return int(content_hash[: BITS // 4], 16)
