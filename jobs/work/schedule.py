"""The loop that keeps an executor busy: a bounded window, the longest first, what may pass tried again with a cap.

Models are opened, largest first, while less than AHEAD seconds a slot of other work waits: later, and the last one
opened may bring the longest task of all (0.88 of the list-scheduling bound in a simulated night, 0.999 with it);
earlier, and a night cut short has all models begun and none complete, and downloads leave the cache before their turn.

A raise inside a task is deterministic and is reported at once. Tried again are
- a crash (worker killed, out of memory, past its deadline), which may be a neighbour's fault: alone on a node, and
  after a death by memory with twice the memory; one that crashes again goes back to its owner, who may split it;
- a task whose whole node was lost, as it is, up to LOSSES times;
- a failure of access, on another node where there is one, behind everything else: it may pass meanwhile.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable

from zoospectra.jobs.work.executors.task import NOTHING_FETCHED, PATIENCE, Ahead, Executor, Outcome, Patience, Task
from zoospectra.zoo.checkpoint.trouble import Reason

WINDOW = 3
"""Submitted tasks per slot: enough to hide the submission, few enough to keep 'the longest first' true."""

AHEAD = 2.0
"""Predicted seconds of work a slot that shall wait before no further model is opened."""

TENSORS, MOST_TENSORS = 500, 10_000
"""Tensors a slot, and in all, that shall wait before no further model is opened: each takes 4 KB of the driver."""

LOSSES = 5
"""Nodes that may be lost under one task before it is suspected: spot nodes are taken away whatever they do."""

GLANCE = 0.002
"""Seconds that an outcome may take which is awaited before the time of idle slots is used."""

TICK = 5.0
"""Seconds between two looks at the clock while nothing ends."""


Handle = Callable[[Outcome], Iterable[Task]]


@dataclasses.dataclass(frozen=True, slots=True)
class Coming:
    """Tasks that are made when they are asked for, one by one and in their order."""

    tasks: Iterable[Task] = ()
    """All of them."""
    ahead: Ahead = NOTHING_FETCHED
    """How much of them is fetched ahead: tasks that fetch go beside all others."""


NOTHING = Coming()


def check_attempts(attempts: int) -> None:
    """Refuse fewer tries of a task than one, as a ValueError."""
    if attempts < 1:
        msg = f"attempts={attempts}: expected at least 1"
        raise ValueError(msg)


def inaccessible(outcome: Outcome) -> bool:
    """Whether a task could not reach what it reads, or met another file in its place."""
    return outcome.reason in (Reason.INACCESSIBLE, Reason.CHANGED)


def again(outcome: Outcome, attempts: int, blocked: Callable[[Outcome], bool] = inaccessible) -> Task | None:
    """The task that an outcome asks for in its own place; None when the outcome is final. Pure."""
    task = outcome.task
    if outcome.lost and task.losses < LOSSES:
        return dataclasses.replace(task, losses=task.losses + 1)
    if task.attempt >= attempts:
        return None
    if outcome.crash:
        memory = 2 * task.memory if outcome.reason is Reason.OUT_OF_MEMORY else task.memory
        return dataclasses.replace(task, attempt=task.attempt + 1, alone=True, memory=memory)
    if blocked(outcome):
        return dataclasses.replace(task, attempt=task.attempt + 1, avoid=task.avoid | {outcome.node})
    return None


def run(
    tasks: Iterable[Task],
    executor: Executor,
    handle: Handle,
    *,
    attempts: int = 2,
    patience: Patience = PATIENCE,
    blocked: Callable[[Outcome], bool] = inaccessible,
    tick: Callable[[bool], None] = lambda _: None,
    coming: Coming = NOTHING,
) -> None:
    """Run tasks, and those that `handle` returns for an outcome, until none is left.

    Further ones are asked for while less than AHEAD seconds a slot wait. handle sees every final outcome, in completion
    order, in the caller's thread: value, error, or a crash that happened `attempts` times. `blocked` tells what another
    node or time may better; `tick` is called between outcomes, at least every TICK seconds where the executor can wait,
    and once with True when slots have begun to have nothing to do.
    KeyboardInterrupt passes through after the executor's tasks are cancelled by its owner.
    """
    wait, held, running, fetching = _Waiting(executor, coming), 0, 0, 0  # held: bytes fetched and not opened
    idle = False

    def submit(task: Task) -> None:
        executor.submit(dataclasses.replace(task, deadline=patience.deadline(task)))

    wait.add(tasks)
    while wait.draw(fetching) or running or fetching or wait.unfetched:
        while (task := wait.next_fetch(fetching, held)) is not None:
            submit(task)
            held, fetching = held + task.fetched, fetching + 1
            wait.draw(fetching)
        while running < WINDOW * executor.slots and wait.draw(fetching):
            submit(wait.take())
            running += 1
        outcomes = executor.wait(GLANCE if idle else TICK)
        for outcome in outcomes:
            running, fetching = running - (not outcome.task.fetches), fetching - outcome.task.fetches
            retry = again(outcome, attempts, blocked)
            new = list(handle(outcome)) if retry is None else [retry]
            held += sum(task.fetched for task in new if not task.fetches) - outcome.task.fetched
            wait.add(new)
        tick(idle and not outcomes)
        idle = bool(outcomes) and running < executor.slots and not wait.draw(fetching)


class _Waiting:
    """What is not submitted yet."""

    def __init__(self, executor: Executor, coming: Coming) -> None:
        self.unfetched: deque[Task] = deque()
        self._executor = executor
        self._ahead = coming.ahead
        self._coming = iter(coming.tasks)
        self._ended = self._fetches = False
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, Task]] = []
        self._unopened: list[tuple[float, int, Task]] = []
        self._seconds, self._tensors = 0.0, 0  # of the work that waits

    def add(self, new: Iterable[Task]) -> None:
        """Take tasks in."""
        for task in new:
            if task.fetches:
                self.unfetched.append(task)
                continue
            first = 0.0 if task.avoid else -math.inf if task.soon else -task.seconds
            heapq.heappush(self._unopened if task.opens else self._waiting, (first, next(self._order), task))
            if not task.opens:
                self._seconds, self._tensors = self._seconds + task.seconds, self._tensors + task.tensors

    def take(self) -> Task:
        """The task that goes next."""
        if self._unopened and self._is_little():
            return heapq.heappop(self._unopened)[2]
        task = heapq.heappop(self._waiting)[2]
        self._seconds, self._tensors = self._seconds - task.seconds, self._tensors - task.tensors
        return task

    def next_fetch(self, fetching: int, held: int) -> Task | None:
        """The task that fetches next, if one may: `fetching` do, and `held` bytes are taken."""
        if not self.unfetched or fetching >= self._ahead.count:
            return None
        fits = not held or held + self.unfetched[0].fetched <= self._ahead.size
        return self.unfetched.popleft() if fits else None

    def draw(self, fetching: int) -> bool:
        """Take from what is coming, as far as it shall wait here; whether anything waits."""
        while not (self._ended or self.unfetched):
            few = len(self._unopened) < WINDOW * self._executor.slots
            lane = self._fetches and fetching < self._ahead.count and few
            if not (lane or (not self._unopened and self._is_little())):
                break
            task = next(self._coming, None)
            self._ended, self._fetches = task is None, task is not None and task.fetches
            self.add([task] if task is not None else [])
        return bool(self._waiting or self._unopened)

    def _is_little(self) -> bool:
        """Whether so little waits that a model shall be opened."""
        slots = self._executor.slots
        few = self._tensors < min(TENSORS * slots, MOST_TENSORS)
        return not self._waiting or (self._seconds < AHEAD * slots and few)
