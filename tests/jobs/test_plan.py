"""Threads of large matrices: by the shapes of the model and the number of models, never by what is left to do."""

from __future__ import annotations

import pytest

from zoospectra.analysis.cost import ONE_THREAD_M, cost
from zoospectra.jobs.work.plan import Item, even, side_by_side

LARGE = (ONE_THREAD_M + 500, ONE_THREAD_M + 500)


def items(*shapes: tuple[int, ...]) -> list[Item]:
    return [Item(str(shape), "dense", "float32", None, cost(*shape[:2], 1, 4)) for shape in shapes]


def test_one_large_matrix_keeps_two_threads() -> None:
    planned = side_by_side(items(LARGE, (64, 64)), [LARGE, (64, 64), (ONE_THREAD_M, ONE_THREAD_M)], 1)
    assert [item.cost.threads for item in planned] == [2, 1]


def test_several_large_matrices_go_side_by_side_also_when_all_but_one_are_known() -> None:
    (planned,) = side_by_side(items(LARGE), [LARGE, LARGE], 1)
    assert planned.cost.threads == 1
    assert planned.cost.seconds == pytest.approx(1.6 * cost(*LARGE, 1, 4).seconds)
    assert planned.cost.peak_bytes == cost(*LARGE, 1, 4).peak_bytes


def test_no_task_waits_for_two_cores_where_other_models_have_work() -> None:
    (planned,) = side_by_side(items(LARGE), [LARGE], 2)
    assert planned.cost.threads == 1


def test_small_runs_are_divided_among_all_slots_and_large_ones_are_not() -> None:
    assert even(1.0, total=8.0, slots=2) == 1.0
    assert even(1.0, total=2.0, slots=2) == 0.25
    assert even(1.0, total=2.0, slots=64) == 0.1, "a task has to be worth its start"
    assert even(0.01, total=2.0, slots=2) == 0.01, "what the user asks for is the most"
