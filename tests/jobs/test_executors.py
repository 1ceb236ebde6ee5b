"""The same tests on every executor, two real nodes included: raises, deaths, hangs, access, threads, memory."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tests.jobs import places
from zoospectra.jobs.exit import JobError
from zoospectra.jobs.work.executors import EXECUTORS, Cluster, Executor, Outcome, Task, Wanted, node, open_executor
from zoospectra.jobs.work.executors.deaf import kill_stopped
from zoospectra.jobs.work.executors.task import Patience
from zoospectra.jobs.work.schedule import run
from zoospectra.zoo.checkpoint.trouble import Reason


@pytest.fixture(scope="module", params=[places.INLINE, places.LOCAL, places.NODES])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with places.executor(request.param) as opened:
        yield opened


with_workers = pytest.mark.parametrize("executor", [places.LOCAL, places.NODES], indirect=True)
"""What a worker does not survive this process would not either."""


def square(number: int) -> int:
    return number * number


def fail_on_odd(number: int) -> int:
    if number % 2:
        raise ArithmeticError(f"{number} is odd")
    return number


def sliced(rows: int) -> pa.Table:
    """Two of many rows; a unit beside the type, NULL, a list, a name that is not ASCII."""
    unit = {"unit": "weights²"}
    evals = pa.field("evals", pa.list_(pa.float64()), metadata=unit)
    columns = [pa.array([[float(n), None] for n in range(rows)]), pa.array([None, "ä"] * (rows // 2))]
    return pa.table(columns, schema=pa.schema([evals, pa.field("name", pa.string())])).slice(rows // 2, 2)


def threads(_: object) -> tuple[int, set[int]]:
    import torch
    from threadpoolctl import threadpool_info

    return torch.get_num_threads(), {pool["num_threads"] for pool in threadpool_info()}


def threads_after_scipy(_: object) -> tuple[int, set[int]]:
    import scipy.linalg

    scipy.linalg.svdvals([[1.0]])
    return threads(None)


def wait_for(path: str) -> None:
    end = time.monotonic() + 60
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.02)


def die(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(marker: str) -> str:
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return "survived"
    os.kill(os.getpid(), signal.SIGKILL)
    return "unreachable"


def whoami(_: object) -> int:
    return os.getpid()


def hang_in_c(_: object) -> None:
    """Without giving the interpreter's lock back: no Python code of the worker runs any more."""
    pattern = __import__("re").compile("(a+)+$")
    pattern.match("a" * 64 + "b")


def hang_once(marker: str) -> str:
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return "went on"
    time.sleep(3600)
    return "unreachable"


def refuse_once(marker: str) -> str:
    """A file that is not there at the first look."""
    if Path(marker).exists():
        return "read"
    Path(marker).touch()
    raise OSError(errno.ESTALE, "Stale file handle", marker)


def unreachable(path: str) -> bytes:
    return Path(path).read_bytes()


def swallow(_: object) -> None:
    raise MemoryError


def collect(tasks: list[Task], executor: Executor, **options: object) -> list[Outcome]:
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


def test_a_table_comes_back_as_it_was_and_without_what_its_slice_hides(executor: Executor) -> None:
    (outcome,) = collect([Task("t", sliced, 100_000)], executor)
    assert outcome.value.equals(sliced(100_000), check_metadata=True)
    if outcome.node:  # it has travelled
        assert (
            sum(buffer.size for chunk in outcome.value["evals"].chunks for buffer in chunk.buffers() if buffer) < 1000
        )


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


@with_workers
def test_idle_slots_are_told_once_while_the_last_task_runs(executor: Executor, tmp_path: Path) -> None:
    ended: list[str] = []
    at: list[int] = []
    tasks = [Task("long", wait_for, str(tmp_path / "told"), seconds=9.0), *(Task(f"t{n}", square, n) for n in range(3))]

    def handle(outcome: Outcome) -> list[Task]:
        ended.append(outcome.task.key)
        return []

    def tick(idle: bool) -> None:
        if idle:
            at.append(len(ended))
            (tmp_path / "told").touch()

    run(tasks, executor, handle, tick=tick)
    assert (at, ended[3:]) == ([3], ["long"])


@with_workers
def test_a_worker_that_dies_once_is_retried_alone(executor: Executor, tmp_path: Path) -> None:
    tasks = [Task(f"t{n}", square, n) for n in range(4)] + [Task("victim", die_once, str(tmp_path / "died"))]
    outcomes = {o.task.key: o for o in collect(tasks, executor)}
    assert outcomes["victim"].value == "survived"
    assert outcomes["victim"].task.attempt == 2
    assert outcomes["victim"].task.alone
    assert [outcomes[f"t{n}"].value for n in range(4)] == [0, 1, 4, 9]


@with_workers
def test_a_poison_task_is_reported_after_its_attempts_and_passed_over(executor: Executor) -> None:
    outcomes = {o.task.key: o for o in collect([Task("poison", die, None), Task("good", square, 3)], executor)}
    assert outcomes["poison"].crash is not None
    assert outcomes["poison"].task.attempt == 2
    assert outcomes["good"].value == 9


@with_workers
def test_more_than_the_machine_has_is_clamped_not_awaited_forever(executor: Executor) -> None:
    (outcome,) = collect([Task("greedy", square, 5, cpus=64, memory=10**14)], executor)
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


@with_workers
def test_a_task_tried_again_on_all_cpus_keeps_its_own_threads(executor: Executor) -> None:
    """A new worker for two CPUs starts with OMP_NUM_THREADS=2, which a pool loaded by the task itself must not heed."""
    (outcome,) = collect([Task("alone", threads_after_scipy, None, attempt=2, alone=True)], executor)
    assert outcome.value == (1, {1})


@pytest.mark.slow
@with_workers
def test_a_hang_is_killed_tried_alone_and_timed_out_while_others_go_on(executor: Executor, tmp_path: Path) -> None:
    collect([Task(f"warm{n}", square, n) for n in range(2)], executor)  # the first task of a worker imports torch
    tasks = [Task("spins", hang_in_c, None), Task("once", hang_once, str(tmp_path / "m"))]
    tasks += [Task(f"t{n}", square, n) for n in range(4)]
    outcomes = {o.task.key: o for o in collect(tasks, executor, patience=Patience(12.0, 1.0))}
    assert (outcomes["spins"].reason, outcomes["spins"].task.attempt) == (Reason.TIMED_OUT, 2)
    assert outcomes["spins"].task.alone
    assert "killed after" in (outcomes["spins"].crash or "")
    assert (outcomes["once"].value, outcomes["once"].task.attempt) == ("went on", 2)
    assert [outcomes[f"t{n}"].value for n in range(4)] == [0, 1, 4, 9]


@pytest.mark.slow
@pytest.mark.ray
def test_idle_workers_that_are_stopped_take_no_task_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is given to one never begins, so that no deadline counts."""
    monkeypatch.setattr("zoospectra.jobs.work.executors.ray.SILENCE", 4.0)
    executor = open_executor(Cluster("ray", cpus=1))
    try:
        for _ in range(2):
            for process in [outcome.value for outcome in collect([Task("who", whoami, None)], executor)]:
                os.kill(process, signal.SIGSTOP)
            after = collect([Task(f"t{n}", square, n) for n in range(3)], executor, attempts=3)
            assert sorted(outcome.value for outcome in after) == [0, 1, 4]
    finally:
        executor.close(cancel=True)


def test_only_idle_workers_and_those_of_the_run_are_killed_when_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getppid", os.getpid)  # as of a worker of this process
    titles = ["ray::IDLE", "ray::read net", "ray::not begun", "ray::another's task", "ray::running"]
    words = ["bash", "-c", 'exec -a "$0" cat']
    processes = [subprocess.Popen([*words, title], stdin=subprocess.PIPE) for title in titles]
    while any(b"bash" in Path(f"/proc/{process.pid}/cmdline").read_bytes() for process in processes):
        time.sleep(0.01)
    try:
        for process in processes[:4]:
            os.kill(process.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        own = {processes[1].pid, "ray::not begun", "ray::running"}
        assert sorted(kill_stopped(own)) == sorted(process.pid for process in processes[:3])
        assert [process.wait(10) for process in processes[:3]] == [-signal.SIGKILL] * 3
        assert [process.poll() for process in processes[3:]] == [None, None]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_failure_of_access_is_tried_again_and_then_said(executor: Executor, tmp_path: Path) -> None:
    tasks = [Task("stale", refuse_once, str(tmp_path / "m")), Task("gone", unreachable, str(tmp_path / "no"))]
    outcomes = {o.task.key: o for o in collect([*tasks, Task("large", swallow, None)], executor)}
    assert (outcomes["stale"].value, outcomes["stale"].task.attempt) == ("read", 2)
    assert (outcomes["gone"].reason, outcomes["gone"].task.attempt) == (Reason.INACCESSIBLE, 2)
    assert "No such file" in (outcomes["gone"].error or "")
    assert outcomes["large"].reason is Reason.OUT_OF_MEMORY


def test_what_a_task_may_need_is_a_share_of_what_its_machine_has(executor: Executor) -> None:
    """By which a matrix that no node can hold becomes a row; against the kernel's own number."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < executor.capacity.memory <= int(node.MEMORY_SHARE * physical)
    assert executor.capacity.words.startswith("70% of the ")


@with_workers
def test_other_code_on_every_node_ends_the_job_in_a_line(executor: Executor) -> None:
    lines: list[str] = []
    with pytest.raises(JobError, match="no node of the cluster may work"):
        open_executor(Cluster("ray", cpus=1), Wanted((("fits", "99"),)), lines.append)
    assert lines
    assert all("gets no work: it runs other code, fits" in line for line in lines)
