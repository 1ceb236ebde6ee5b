"""Deadlines inside one process: a read that never returns ends, what goes on beside it is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, signal, sys
from zoospectra.jobs.work.executors import Task, open_executor, Cluster
from zoospectra.jobs.work.executors.task import Patience
from zoospectra.jobs.work.schedule import run
def read(path):
    try:
        return len(open(path, "rb").read())
    except Exception as error:
        return f"taken for trouble of the file: {error}"
executor = open_executor(Cluster("inline"))
tasks = [Task(name, read, os.path.join(sys.argv[1], name)) for name in ("pipe", "file")]
run(tasks, executor, lambda o: print(o.task.key, o.task.attempt, o.reason, o.value) or (), patience=Patience(0.3, 1))
assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
signal.alarm(30)
executor.submit(Task("own", read, os.path.join(sys.argv[1], "file"), deadline=1e-6))
print("own", executor.wait()[0].value, signal.alarm(0) > 0)
"""


@pytest.mark.slow
def test_a_read_that_never_returns_ends(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    # A program with an alarm of its own keeps it, and has no deadlines.
    assert done.stdout.splitlines() == ["file 1 None 5", "pipe 2 timed_out None", "own 5 True"]
