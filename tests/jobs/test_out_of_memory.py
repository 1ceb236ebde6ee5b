"""A task that outgrows the memory cgroup of its node is killed, tried once more alone, then out_of_memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

GROUPS = Path("/sys/fs/cgroup/memory")
LIMIT = 3 << 30

JOB = f"""
from tests.jobs.test_out_of_memory import swallow, double
from zoospectra.jobs.work.executors import Cluster, Task, node, open_executor
from zoospectra.jobs.work.schedule import run
executor = open_executor(Cluster("ray", cpus=2), node.wanted(()))
print("offers", executor.capacity.memory == int(0.7 * {LIMIT}), executor.capacity.words)
run([Task("hog", swallow, None), *(Task(f"t{{n}}", double, n) for n in range(3))], executor,
    lambda outcome: print(outcome.task.key, outcome.reason, outcome.value, outcome.task.attempt, outcome.crash) or [])
executor.close()
"""


def swallow(_: object) -> None:
    held = []
    while True:
        held.append(b"x" * (64 << 20))


def double(number: int) -> int:
    return 2 * number


@pytest.fixture
def group() -> Iterator[Path]:
    folder = GROUPS / f"zoospectra-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(LIMIT))
    except OSError:
        pytest.skip("needs the right to make a memory cgroup (version 1)")
    yield folder
    folder.rmdir()


@pytest.mark.slow
@pytest.mark.ray
def test_a_task_that_outgrows_its_cgroup_is_out_of_memory(group: Path) -> None:
    code = f'echo $$ > {group}/cgroup.procs && exec "$@"'
    command = ["bash", "-c", code, "bash", sys.executable, "-c", JOB]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root, env=environment)
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("offers True 70% of the 3.0 GiB of "), ended.stderr[-2000:]
    assert [line for line in lines if line.startswith("hog out_of_memory None 2 ")], ended.stdout
    assert sorted(line for line in lines if line.startswith("t"))[:3] == [f"t{n} None {2 * n} 1 None" for n in range(3)]
