"""The plan's predictions against what its tasks took: `python -m tests.bench.predictions [WORKLOAD ...]`.

A whole scan, task by task in one worker that is watched from outside: time from the worker's own clock, memory as its
anonymous pages beyond what it held when it was idle, sampled every 2 ms. Printed: by workload, and by what a task does
(opening a checkpoint, matrices by their smaller side M), how far predictions were off.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save_file

from tests.bench.zoos import ZOOS
from zoospectra.jobs.benches.layers import weights
from zoospectra.jobs.show.progress import ProgressLine
from zoospectra.jobs.words.profiles import load_profiles
from zoospectra.jobs.work.engine import Engine, Job
from zoospectra.jobs.work.executors import Cluster, Outcome, Task, node
from zoospectra.jobs.work.executors.call import call
from zoospectra.jobs.work.executors.task import Wanted
from zoospectra.jobs.work.plan import Shard
from zoospectra.jobs.work.schedule import run
from zoospectra.warehouse.settings import WarehouseSettings
from zoospectra.zoo.sources.local import crawl

BUSY = bool(os.environ.get("BUSY"))
"""Whether CPU seconds by thread stand for time, on a machine that has other work."""
DETAIL = bool(os.environ.get("DETAIL"))
"""Whether every task has a line."""
LOADED = (32, 300, 2100)
"""Sides of the matrices that a worker meets first, so that every library is loaded before it counts as idle."""


class Measured(NamedTuple):
    """One task."""

    key: str
    """Its name."""
    kind: str
    """What it does."""
    predicted: float
    """Seconds."""
    seconds: float
    """Seconds."""
    planned: int
    """Bytes beyond an idle worker."""
    grown: int
    """Bytes beyond an idle worker."""

    @property
    def error(self) -> float:
        """Relative error of the predicted time."""
        return abs(self.predicted / self.seconds - 1.0)


class WatchedExecutor:
    """One worker, one task at a time; `measured` has what each took."""

    slots = 1

    def __init__(self) -> None:
        self.capacity = node.capacity([node.describe(Wanted())])
        self.measured: list[Measured] = []
        self._queue: deque[Task] = deque()
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))
        self._process = self._pool.submit(os.getpid).result()
        self._idle = 0

    def rest(self) -> None:
        """Everything is loaded: what the worker holds now is what an idle one holds, and measuring begins."""
        self._pool.submit(trim).result()
        self._idle = anonymous(self._process)
        self.measured.clear()

    def submit(self, task: Task) -> None:
        """Queue one task."""
        self._queue.append(task)

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """Run the next task."""
        if not self._queue:
            return []
        task, peak = self._queue.popleft(), 0
        future = self._pool.submit(clocked, task)
        while not future.done():
            peak = max(peak, anonymous(self._process))
            time.sleep(0.002)
        outcome, cpu = future.result()
        assert outcome.error is None, outcome.error
        growth = max(0, peak - self._idle)
        took = cpu / task.cpus if BUSY else outcome.seconds
        self.measured.append(Measured(name_of(task), kind(task), task.seconds, took, task.memory, growth))
        self._pool.submit(trim).result()
        return [outcome]

    def close(self, *, cancel: bool = False) -> None:
        """End the worker."""
        self._pool.shutdown()


def anonymous(process: int) -> int:
    """Bytes of a process that no file holds."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) << 10


def clocked(task: Task) -> tuple[Outcome, float]:
    """In the worker: a task, and the CPU seconds that it took."""
    before = time.process_time()
    return call(task), time.process_time() - before


def trim() -> None:
    """In the worker: what it does not hold goes back to the system."""
    import ctypes
    import gc

    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def kind(task: Task) -> str:
    """What a task does, by the largest matrix in it."""
    if not isinstance(task.argument, Shard):
        return "open"
    sides = [min(item.layer.shape[:2]) for item in task.argument.items if item.layer is not None]
    largest = max(sides, default=0)
    return "M " + next((f"<= {bound}" for bound in (64, 256, 768, 2048, 3000) if largest <= bound), "> 3000")


def scan(name: str) -> list[Measured]:
    """A whole scan of one zoo, measured; the worker has done another one before."""
    executor = WatchedExecutor()
    for write in (load_all, ZOOS[name]):
        executor.rest()
        with tempfile.TemporaryDirectory() as folder:
            run_scan(Path(folder), write, executor)
    executor.close()
    return executor.measured


def load_all(folder: Path) -> None:
    """A zoo that makes a worker load every library: stacked, banded and nearly square matrices."""
    net = {f"fc{side}": (side, side) for side in LOADED}
    save_file(weights(net, 0), folder / "net.safetensors")


def run_scan(folder: Path, write: Callable[[Path], None], executor: WatchedExecutor) -> None:
    """Scan the zoo that `write` makes."""
    (profile,) = load_profiles(["weightwatcher"])
    zoo = folder / "zoo"
    zoo.mkdir()
    write(zoo)
    job = Job("scan", (profile,), WarehouseSettings(dir=str(folder / "data")), Cluster("inline"))
    engine = Engine(folder / "data", job, ProgressLine("bench", quiet=True))
    engine.executor = executor
    run(engine.open_models(crawl(str(zoo), "bench")), executor, engine.handle)
    engine.close()


def name_of(task: Task) -> str:
    """What a task works on: its layers' shapes, and how many have each."""
    if not isinstance(task.argument, Shard):
        return task.key
    counts = Counter(item.layer.shape for item in task.argument.items if item.layer is not None)
    return ", ".join(f"{many} of {' x '.join(map(str, shape))}" for shape, many in counts.items())


def line(name: str, tasks: list[Measured]) -> str:
    """A row of the table."""
    ratios = [task.predicted / task.seconds for task in tasks]
    error, took = np.median([task.error for task in tasks]), sum(task.seconds for task in tasks)
    total = sum(task.predicted for task in tasks) / took
    short = [max(0.0, 1.0 - task.planned / max(task.grown, 1)) for task in tasks]
    worst = max(tasks, key=lambda task: task.grown - task.planned)
    memory = f"{worst.grown / 2**20:.0f} of {worst.planned / 2**20:.0f} MiB"
    return (
        f"| {name} | {len(tasks)} | {took:.2f} s | {total:.2f} | {np.median(ratios):.2f}"
        f" ({min(ratios):.2f} - {max(ratios):.2f}) | {error:.0%} | {np.quantile(short, 0.95):.0%} | {memory} |"
    )


def main(names: list[str]) -> None:
    """Print the table."""
    head = ("tasks", "number", "took", "predicted / took", "median (least - most)", "median error", "memory short, p95")
    print(f"| {' | '.join((*head, 'worst'))} |\n|{'---|' * (len(head) + 1)}")
    every: dict[str, list[Measured]] = defaultdict(list)
    for name in names or ZOOS:
        measured = scan(name)
        print(line(name, measured), flush=True)
        for task in measured if DETAIL else ():
            print(f"  {task.predicted:.3f} for {task.seconds:.3f} s: {task.key}")
        for task in measured:
            every[task.kind].append(task)
            every["all"].append(task)
    for name in sorted(every):
        print(line(name, every[name]))


if __name__ == "__main__":
    main(sys.argv[1:])
