"""What an executor takes and gives back: a task, and its outcome. Executors decide nothing; jobs.work.schedule does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


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
    cpus: int = 1
    """BLAS threads it runs with, and CPUs it asks for."""
    memory: int = 0
    """Predicted peak, bytes beyond an idle worker."""
    gpus: int = 0
    """GPUs it asks for."""
    attempt: int = 1
    """1 for the first try."""
    alone: bool = False
    """True when nothing else may run beside it: how a suspect is retried after a crash."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task: exactly one of value, error and crash is set (value may be None)."""

    task: Task
    """The task."""
    value: Any = None
    """What the function returned."""
    error: str | None = None
    """The function raised: type, message and place. Deterministic, so never retried."""
    crash: str | None = None
    """The worker died under it (killed, out of memory, node lost): maybe not its fault."""
    seconds: float = 0.0
    """Time it took in its worker, seconds."""


class Executor(Protocol):
    """Runs tasks somewhere; the same tests run on every implementation."""

    slots: int
    """Tasks that can run at once; the scheduler keeps a small multiple of it submitted."""

    def submit(self, task: Task) -> None:
        """Queue one task."""

    def wait(self) -> list[Outcome]:
        """Block until at least one submitted task has ended; [] when none is under way."""

    def close(self, *, cancel: bool = False) -> None:
        """Free everything; with cancel, whatever still runs is killed."""
