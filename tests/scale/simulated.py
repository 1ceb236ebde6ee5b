"""A cluster with a clock of its own: the real scheduler and planner run on it, and no time passes.

Tasks take their predicted seconds times a lognormal error; a share takes much longer, a share kills its worker, and
nodes leave. Like Ray, a node takes any waiting task whose CPUs are free, oldest first within equal CPUs.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from dataclasses import dataclass, field

from zoospectra.jobs.work.executors.task import Outcome, Task


@dataclass(frozen=True, slots=True)
class Weather:
    """What goes wrong."""

    error: float = 0.3
    """Standard deviation of log(time / prediction)."""
    overhead: float = 0.002
    """Seconds every task takes beside its work."""
    stragglers: float = 0.0
    """Share of tasks that take `slower` times as long."""
    slower: float = 5.0
    """How much longer a straggler takes."""
    crashes: float = 0.0
    """Share of tasks whose worker dies, somewhere on the way."""
    leaving: tuple[float, ...] = ()
    """Seconds at which a node leaves for ever."""


@dataclass(order=True, slots=True)
class Running:
    """A task on a node."""

    end: float
    """Virtual second at which it is over."""
    order: int
    """Breaks ties."""
    began: float = field(compare=False)
    """Virtual second of its start."""
    node: int = field(compare=False)
    """Where."""
    cpus: int = field(compare=False)
    """CPUs taken."""
    crash: bool = field(compare=False)
    """Its worker dies at the end."""
    task: Task = field(compare=False)
    """The task."""


class SimulatedExecutor:
    """`nodes` machines of `cpus` cores each; deterministic for a seed.

    now: virtual seconds; busy, offered: core seconds that tasks had and that there were; longest: seconds of one task.
    """

    def __init__(self, nodes: int, cpus: int, weather: Weather, seed: int = 0) -> None:
        self.slots = nodes * cpus
        self.now = 0.0
        self.busy = 0.0
        self.offered = 0.0
        self.longest = 0.0
        self._cpus = cpus
        self._free = dict.fromkeys(range(nodes), cpus)
        self._weather = weather
        self._random = random.Random(seed)
        self._waiting: dict[int, deque[Task]] = {}
        self._running: list[Running] = []
        self._order = itertools.count()
        self._leaving = deque(sorted(weather.leaving))

    def submit(self, task: Task) -> None:
        """Queue one task; a task alone asks for a whole node."""
        cpus = self._cpus if task.alone else min(task.cpus, self._cpus)
        self._waiting.setdefault(cpus, deque()).append(task)

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """Let time pass until a task is over, or a node leaves with what runs on it."""
        self._start()
        if not self._running:
            return []
        if self._leaving and self._leaving[0] < self._running[0].end:
            return self._leave(self._leaving.popleft()) or self.wait()
        ended = heapq.heappop(self._running)
        self._pass(ended.end)
        self._free[ended.node] += ended.cpus
        self.busy += (ended.end - ended.began) * ended.cpus
        if ended.crash:
            return [Outcome(ended.task, crash="the worker died")]
        return [Outcome(ended.task, value=True, seconds=ended.end - ended.began)]

    def close(self, *, cancel: bool = False) -> None:
        """Nothing to leave."""

    @property
    def efficiency(self) -> float:
        """Least time that any schedule needs for the work that was done, over the time it took."""
        return max(self.busy / self.offered, self.longest / self.now)

    def _pass(self, second: float) -> None:
        self.offered += (second - self.now) * len(self._free) * self._cpus
        self.now = second

    def _start(self) -> None:
        for cpus in sorted(self._waiting, reverse=True):
            queue = self._waiting[cpus]
            while queue:
                node = max(self._free, key=self._free.__getitem__)
                if self._free[node] < cpus:
                    break
                self._free[node] -= cpus
                self._begin(queue.popleft(), node, cpus)

    def _begin(self, task: Task, node: int, cpus: int) -> None:
        weather, draw = self._weather, self._random
        seconds = task.seconds * draw.lognormvariate(0, weather.error) + weather.overhead
        seconds *= weather.slower if draw.random() < weather.stragglers else 1.0
        crash = draw.random() < weather.crashes
        seconds *= draw.random() if crash else 1.0
        self.longest = max(self.longest, seconds)
        running = Running(self.now + seconds, next(self._order), self.now, node, cpus, crash, task)
        heapq.heappush(self._running, running)

    def _leave(self, second: float) -> list[Outcome]:
        """The first node goes, and all that runs on it crashes."""
        self._pass(second)
        node = min(self._free)
        del self._free[node]
        self.slots = len(self._free) * self._cpus
        lost = [running for running in self._running if running.node == node]
        self._running = [running for running in self._running if running.node != node]
        heapq.heapify(self._running)
        self.busy += sum((second - running.began) * running.cpus for running in lost)
        return [Outcome(running.task, crash="the node left") for running in lost]
