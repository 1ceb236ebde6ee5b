"""What an executor takes and gives back: a task, and its outcome. Executors decide nothing; jobs.work.schedule does."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from zoospectra.zoo.checkpoint.trouble import Reason


@dataclass(frozen=True, slots=True)
class Task:
    """One call of a module-level function on small picklable arguments."""

    key: str
    """Unique name within the run."""
    function: Callable[[Any], Any]
    """Module-level function of one argument."""
    argument: Any
    """Small and picklable: references and stored spectra, never weights."""
    seconds: float = 0.0
    """Predicted cost on one core, seconds; the longest go first."""
    opens: bool = False
    """Its outcome brings further tasks, nobody knows how long: it goes ahead while little else waits."""
    soon: bool = False
    """It goes before longer ones: a small piece of a large model, which tells within seconds how the others will go."""
    cpus: int = 1
    """BLAS threads it runs with, and CPUs it asks for."""
    memory: int = 0
    """Predicted peak, bytes beyond an idle worker."""
    gpus: int = 0
    """GPUs it asks for."""
    tensors: int = 0
    """Tensors that it describes: what it takes of the driver's memory, some kilobytes each."""
    waits: float = 0.0
    """Seconds that it may spend waiting for servers, beside its work."""
    attempt: int = 1
    """1 for the first try."""
    alone: bool = False
    """True when nothing else may run beside it: how a suspect is retried after a crash."""
    losses: int = 0
    """Nodes that were lost under it."""
    fetches: bool = False
    """It brings remote files to a node: it waits for a server and asks for no CPU."""
    fetched: int = 0
    """Bytes that it brings to a node's disk, or that wait there until it has read them."""
    reads: tuple[str, ...] = ()
    """Local files and folders that it reads: it goes to nodes that see them."""
    near: str = ""
    """Node that has what it reads: it goes there if it can; '' where any is as good."""
    avoid: frozenset[str] = frozenset()
    """Nodes that could not reach what it reads; another is tried first."""
    deadline: float | None = None
    """Seconds after its start at which it is killed; None for never."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task: exactly one of value, error and crash is set (value may be None)."""

    task: Task
    """The task."""
    value: Any = None
    """What the function returned."""
    error: str | None = None
    """The function raised: type, message and place."""
    crash: str | None = None
    """The worker died under it (killed, out of memory, past its deadline, node lost): maybe not its fault."""
    reason: Reason | None = None
    """Why there is no value, as the table `skipped` would say it."""
    lost: bool = False
    """The whole node was lost: surely not its fault."""
    node: str = ""
    """Where it ran; '' when it is not known."""
    seconds: float = 0.0
    """Time it took in its worker, seconds."""

    @property
    def trouble(self) -> tuple[Reason, str]:
        """Why there is no value, as a reason and in words."""
        if self.crash:
            return self.reason or Reason.WORKER_CRASHED, f"after {self.task.attempt} attempts: {self.crash}"
        return self.reason or Reason.ERROR, self.error or "the task returned nothing"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a task may take: floor + factor * its predicted seconds + what it may wait for servers."""

    floor: float = 300.0
    """Seconds that every task has: imports, slow disks and crowded machines."""
    factor: float = 20.0
    """Times its predicted seconds on one core."""

    def deadline(self, task: Task) -> float:
        """Seconds after its start at which a task is killed."""
        return self.floor + self.factor * task.seconds + task.waits


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Ahead:
    """How much is fetched before it is opened, all nodes together."""

    count: int = 1
    """Tasks that fetch, or look at headers, at once."""
    size: float = 0.0
    """Bytes that are fetched, or being fetched, and not opened yet; what is larger is not fetched ahead."""


NOTHING_FETCHED = Ahead()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What every node of a run must have."""

    versions: tuple[tuple[str, str], ...] = ()
    """Name and version of code that decides results; see `jobs.work.executors.node`."""
    files: tuple[tuple[str, int], ...] = ()
    """Path and bytes of files of the run, a few: a node where one is another does not see what the driver sees."""
    paths: tuple[str, ...] = ()
    """Files and folders of the run: a node that lacks all of them gets no work, one that lacks some works on others."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one task may need on the largest machine of a run."""

    memory: int
    """Bytes."""
    words: str
    """How that came about."""

    def refusal(self, peak_bytes: int) -> str:
        """Why work that needs more than a task may have is not done: the arithmetic."""
        need, have = (f"{size / 2**30:.1f} GiB" for size in (peak_bytes, self.memory))
        return f"needs {need} of memory beside its weights, a task may have {have}: {self.words}"


class Executor(Protocol):
    """Runs tasks somewhere; the same tests run on every implementation."""

    slots: int
    """Tasks that can run at once; the scheduler keeps a small multiple of it submitted. It may change."""
    capacity: Capacity
    """What one task may need."""

    def lacking(self, paths: Collection[str]) -> frozenset[str]:
        """Nodes that do not see one of these local files, where others do: their work does not travel together."""

    def submit(self, task: Task) -> None:
        """Queue one task."""

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """Block until a submitted task has ended, or `timeout` seconds are over; [] then, and when none is under way.

        JobError when no node is left that can run anything.
        """

    def close(self, *, cancel: bool = False) -> None:
        """Free everything; with cancel, whatever still runs is killed."""
