"""The same tests on both executors, with real faults: raises, native deaths, thread settings that leak."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from zoospectra.jobs.work.executors import EXECUTORS, Cluster, Executor, Outcome, Task, open_executor
from zoospectra.jobs.work.schedule import run


@pytest.fixture(scope="module", params=["inline", pytest.param("ray", marks=pytest.mark.ray)])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    opened = open_executor(Cluster(request.param, cpus=2))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def ray_executor() -> Iterator[Executor]:
    opened = open_executor(Cluster("ray", cpus=2))
    yield opened
    opened.close()


def square(number: int) -> int:
    return number * number


def fail_on_odd(number: int) -> int:
    if number % 2:
        raise ArithmeticError(f"{number} is odd")
    return number


def threads(_: object) -> tuple[int, set[int]]:
    import torch
    from threadpoolctl import threadpool_info

    return torch.get_num_threads(), {pool["num_threads"] for pool in threadpool_info()}


def threads_after_scipy(_: object) -> tuple[int, set[int]]:
    import scipy.linalg

    scipy.linalg.svdvals([[1.0]])
    return threads(None)


def die(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(marker: str) -> str:
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return "survived"
    os.kill(os.getpid(), signal.SIGKILL)
    return "unreachable"


def collect(tasks: list[Task], executor: Executor, **options: int) -> list[Outcome]:
    outcomes: list[Outcome] = []

    def handle(outcome: Outcome) -> list[Task]:
        outcomes.append(outcome)
        return []

    run(tasks, executor, handle, **options)
    return outcomes


def test_every_task_comes_back_once(executor: Executor) -> None:
    outcomes = collect([Task(f"t{n}", square, n) for n in range(25)], executor)
    assert sorted(outcome.value for outcome in outcomes) == [n * n for n in range(25)]


def test_a_raise_is_a_record_and_the_others_stay(executor: Executor) -> None:
    outcomes = {o.task.argument: o for o in collect([Task(f"t{n}", fail_on_odd, n) for n in range(6)], executor)}
    assert [outcomes[n].value for n in (0, 2, 4)] == [0, 2, 4]
    for n in (1, 3, 5):
        assert outcomes[n].error is not None
        assert outcomes[n].error.startswith(f"ArithmeticError: {n} is odd (test_executors.py:")
        assert outcomes[n].task.attempt == 1


def test_threads_are_what_the_task_says_and_do_not_leak(executor: Executor) -> None:
    for cpus in (1, 2, 1):
        (outcome,) = collect([Task("t", threads, None, cpus=cpus)], executor)
        assert outcome.value == (cpus, {cpus})


def test_handle_may_add_tasks(executor: Executor) -> None:
    seen: list[int] = []

    def handle(outcome: Outcome) -> list[Task]:
        seen.append(outcome.value)
        return [Task(f"after {outcome.value}", square, outcome.value)] if outcome.value < 100 else []

    run([Task("first", square, 2)], executor, handle)
    assert seen == [4, 16, 256]


@pytest.mark.ray
def test_a_worker_that_dies_once_is_retried_alone(ray_executor: Executor, tmp_path: Path) -> None:
    tasks = [Task(f"t{n}", square, n) for n in range(4)] + [Task("victim", die_once, str(tmp_path / "died"))]
    outcomes = {o.task.key: o for o in collect(tasks, ray_executor)}
    assert outcomes["victim"].value == "survived"
    assert outcomes["victim"].task.attempt == 2
    assert outcomes["victim"].task.alone
    assert [outcomes[f"t{n}"].value for n in range(4)] == [0, 1, 4, 9]


@pytest.mark.ray
def test_a_poison_task_is_reported_after_its_attempts_and_passed_over(ray_executor: Executor) -> None:
    outcomes = {o.task.key: o for o in collect([Task("poison", die, None), Task("good", square, 3)], ray_executor)}
    assert outcomes["poison"].crash is not None
    assert outcomes["poison"].task.attempt == 2
    assert outcomes["good"].value == 9


@pytest.mark.ray
def test_more_than_the_machine_has_is_clamped_not_awaited_forever(ray_executor: Executor) -> None:
    (outcome,) = collect([Task("greedy", square, 5, cpus=64, memory=10**14)], ray_executor)
    assert outcome.value == 25


def test_unknown_executor_names_the_known() -> None:
    with pytest.raises(ValueError, match=", ".join(EXECUTORS)):
        open_executor(Cluster("slurm"))


def test_the_callers_threads_are_its_own_again_after_an_inline_job() -> None:
    before = threads(None)
    opened = open_executor(Cluster("inline"))
    collect([Task("one", square, 2, cpus=before[0] + 1)], opened)
    opened.close()
    assert threads(None) == before


@pytest.mark.ray
def test_a_task_tried_again_on_all_cpus_keeps_its_own_threads(ray_executor: Executor) -> None:
    """A new worker for two CPUs starts with OMP_NUM_THREADS=2, which a pool loaded by the task itself must not heed."""
    (outcome,) = collect([Task("alone", threads_after_scipy, None, attempt=2, alone=True)], ray_executor)
    assert outcome.value == (1, {1})
