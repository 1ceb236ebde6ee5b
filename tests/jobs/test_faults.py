"""What happens to tasks and nodes: what is tried again, deadlines, access, what a node says of itself.

Real hangs, deaths and nodes of other code: test_executors.py.
"""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.jobs.work.execute import pause
from zoospectra.jobs.work.executors import Outcome, Task, Wanted, node
from zoospectra.jobs.work.executors.task import Patience
from zoospectra.jobs.work.schedule import LOSSES, again
from zoospectra.warehouse.query import query
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason


def double(number: int) -> int:
    return 2 * number


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


def test_a_run_publishes_what_is_finished_while_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=2), tmp_path / "data"
    monkeypatch.setattr("zoospectra.jobs.work.execute.PUBLISH_SECONDS", 0.0)
    words = ["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={data}", "warehouse.keep=99"]
    assert main(words) == 0
    assert len(list(data.glob("warehouse-0*.duckdb"))) > 1
    assert query(data, "SELECT count(*) AS n FROM layer_metrics")["n"].to_pylist() == [8]


@pytest.mark.parametrize(("size", "least", "most"), [(5e6, 359, 360), (50e6, 30, 60), (500e6, 20, 32), (5e9, 20, 32)])
def test_the_generations_of_a_day_take_little_more_than_thirty_do(size: float, least: int, most: int) -> None:
    """Small ones every four minutes, large ones less often as the run goes on; none is removed, readers may have it."""
    count, clock = 0, 240.0
    while clock < 86_400:
        count += 1
        after = pause(clock, int(size), building=1.0)
        assert after >= 240
        clock += after
    assert least <= count <= most
    assert count * size <= max(3e9, 32 * size)


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
