"""What happens to tasks, with real faults: hangs, deaths by memory, files that one node cannot reach, other code."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.exit import JobError
from zoospectra.jobs.main import main
from zoospectra.jobs.work.executors import Cluster, Executor, Outcome, Task, Wanted, node, open_executor
from zoospectra.jobs.work.executors.task import Patience
from zoospectra.jobs.work.schedule import LOSSES, again, run
from zoospectra.warehouse.query import query
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason


@pytest.fixture(scope="module")
def ray_executor() -> Iterator[Executor]:
    opened = open_executor(Cluster("ray", cpus=2), node.wanted(()))
    yield opened
    opened.close()


def collect(tasks: list[Task], executor: Executor, **options: object) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}

    def handle(outcome: Outcome) -> list[Task]:
        outcomes[outcome.task.key] = outcome
        return []

    run(tasks, executor, handle, **options)
    return outcomes


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


def double(number: int) -> int:
    return 2 * number


@pytest.mark.slow
@pytest.mark.ray
def test_a_hang_is_killed_tried_alone_and_timed_out_while_others_go_on(ray_executor: Executor, tmp_path: Path) -> None:
    collect([Task(f"warm{n}", double, n) for n in range(2)], ray_executor)  # the first task of a worker imports torch
    tasks = [Task("spins", hang_in_c, None), Task("once", hang_once, str(tmp_path / "m"))]
    tasks += [Task(f"t{n}", double, n) for n in range(4)]
    outcomes = collect(tasks, ray_executor, patience=Patience(12.0, 1.0))
    assert (outcomes["spins"].reason, outcomes["spins"].task.attempt) == (Reason.TIMED_OUT, 2)
    assert outcomes["spins"].task.alone
    assert "killed after" in (outcomes["spins"].crash or "")
    assert (outcomes["once"].value, outcomes["once"].task.attempt) == ("went on", 2)
    assert [outcomes[f"t{n}"].value for n in range(4)] == [0, 2, 4, 6]


@pytest.mark.parametrize("name", ["inline", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_failure_of_access_is_tried_again_and_then_said(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    executor = request.getfixturevalue("ray_executor") if name == "ray" else open_executor(Cluster("inline"))
    tasks = [Task("stale", refuse_once, str(tmp_path / "m")), Task("gone", unreachable, str(tmp_path / "no"))]
    outcomes = collect([*tasks, Task("large", swallow, None)], executor)
    assert (outcomes["stale"].value, outcomes["stale"].task.attempt) == ("read", 2)
    assert (outcomes["gone"].reason, outcomes["gone"].task.attempt) == (Reason.INACCESSIBLE, 2)
    assert "No such file" in (outcomes["gone"].error or "")
    assert outcomes["large"].reason is Reason.OUT_OF_MEMORY


def test_what_is_tried_again_how_often_and_where() -> None:
    task = Task("t", double, 1, memory=100)
    blocked = Outcome(task, error="x", reason=Reason.INACCESSIBLE, node="a")
    assert again(blocked, 2) == replace(task, attempt=2, avoid=frozenset("a"))
    assert again(replace(blocked, task=replace(task, attempt=2)), 2) is None
    assert again(Outcome(task, error="x", reason=Reason.ERROR), 2) is None
    assert again(Outcome(task, value=1), 2) is None
    died = Outcome(task, crash="x", reason=Reason.OUT_OF_MEMORY)
    assert again(died, 2) == replace(task, attempt=2, alone=True, memory=200)
    lost = Outcome(task, crash="x", reason=Reason.WORKER_CRASHED, lost=True)
    assert again(lost, 1) == replace(task, losses=1)
    assert again(replace(lost, task=replace(task, losses=LOSSES)), 1) is None


def test_deadlines_follow_the_prediction() -> None:
    assert Patience(300, 20).deadline(Task("t", double, 1, seconds=10, waits=7)) == 300 + 200 + 7


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENOENT, errno.EACCES, errno.ENOTCONN])
def test_a_blocked_way_is_no_verdict_on_the_bytes(number: int) -> None:
    trouble = CheckpointError(Reason.UNREADABLE, "net.pth cannot be read")
    trouble.__cause__ = OSError(number, os.strerror(number))
    assert trouble.reason is Reason.INACCESSIBLE
    assert trouble.reason.retried


@pytest.mark.parametrize("cause", [OSError("truncated file"), OSError(errno.EINVAL, "x"), ValueError("x"), None])
def test_what_the_bytes_say_is_a_verdict(cause: Exception | None) -> None:
    trouble = CheckpointError(Reason.UNREADABLE, "net.pth")
    trouble.__cause__ = cause
    assert trouble.reason is Reason.UNREADABLE
    assert not trouble.reason.retried


def test_a_node_says_what_it_lacks(tmp_path: Path) -> None:
    file = tmp_path / "net"
    file.write_bytes(b"123")
    wanted = node.wanted([str(file)])
    assert node.trouble(wanted) is None
    file.write_bytes(b"1234")
    assert "has 4 bytes there and 3 here" in (node.trouble(wanted) or "")
    file.unlink()
    assert "it does not see" in (node.trouble(wanted) or "")
    other = Wanted((("fits", "99"), *node.versions()[1:]))
    assert "it runs other code, fits " in (node.trouble(other) or "")


def test_memory_of_a_node_is_that_of_its_cgroup() -> None:
    """Against the kernel's own files, read plainly."""
    described = node.describe(Wanted())
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < described.memory <= physical
    assert described.free <= described.memory
    assert node.capacity([described]).memory == int(0.7 * described.memory)


@pytest.mark.ray
def test_other_code_on_every_node_ends_the_job_in_a_line() -> None:
    lines: list[str] = []
    with pytest.raises(JobError, match="no node of the cluster may work"):
        open_executor(Cluster("ray", cpus=1), Wanted((("fits", "99"),)), lines.append)
    assert len(lines) == 1
    assert "gets no work: it runs other code, fits" in lines[0]


def test_a_run_publishes_what_is_finished_while_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=2), tmp_path / "data"
    monkeypatch.setattr("zoospectra.jobs.work.execute.PUBLISH_SECONDS", 0.0)
    words = ["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={data}", "warehouse.keep=99"]
    assert main(words) == 0
    assert len(list(data.glob("warehouse-0*.duckdb"))) > 1
    assert query(data, "SELECT count(*) AS n FROM layer_metrics")["n"].to_pylist() == [8]


def test_a_matrix_that_no_node_can_hold_is_a_row_with_the_arithmetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=1), tmp_path / "data"
    monkeypatch.setattr("zoospectra.jobs.work.executors.node.memory_limit", lambda: 1 << 20)
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={data}"]) == 3
    rows = query(data, "SELECT DISTINCT detail FROM skipped WHERE reason = 'too_large'")["detail"].to_pylist()
    assert rows
    assert all(
        "GiB of memory beside its weights, a task may have 0.0 GiB: 70% of the 0.0 GiB of " in row for row in rows
    )
