"""Tasks in rounds of one a slot: few, and none so long at the end that the others wait for it."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoospectra.analysis.cost import Cost
from zoospectra.jobs.work.plan import LEAST_SECONDS, Item, Rounds, pack


def items(seconds: list[float]) -> list[Item]:
    return [Item(str(n), "dense", "float32", None, Cost(1, 1, 1, each, 1)) for n, each in enumerate(seconds)]


def test_every_slot_gets_a_task_of_one_length_then_of_a_share_of_the_rest() -> None:
    rounds = Rounds(1.0, 2)
    assert [rounds.seconds(left) for left in (2.0, 1.15, 0.3, 0.17)] == pytest.approx([0.85, 0.85, 0.1275, 0.1275])
    assert rounds.seconds(0.01) == LEAST_SECONDS
    assert Rounds(1.0, 2).seconds(100.0) == 1.0


@given(st.lists(st.floats(0.001, 0.09), min_size=1, max_size=200), st.integers(1, 16))
def test_slots_that_take_the_longest_first_end_within_a_short_task_of_one_another(
    seconds: list[float], slots: int
) -> None:
    shards = pack(items(seconds), 1e9, slots)
    assert sorted(item.content_hash for shard in shards for item in shard) == sorted(map(str, range(len(seconds))))
    ends = [0.0] * slots
    for each in sorted((sum(item.cost.seconds for item in shard) for shard in shards), reverse=True):
        heapq.heapreplace(ends, ends[0] + each)
    assert max(ends) <= sum(seconds) / slots + LEAST_SECONDS + 0.09
