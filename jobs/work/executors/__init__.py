"""Where tasks run: one executor a file, chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zoospectra.jobs.exit import JobError
from zoospectra.jobs.work.executors.task import Executor, Outcome, Task

__all__ = ["EXECUTORS", "Cluster", "Executor", "Outcome", "Task", "open_executor"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a job's tasks shall run."""

    executor: str = "ray"
    """One of EXECUTORS."""
    address: str | None = None
    """Ray's address; None starts Ray on this machine."""
    cpus: int | None = None
    """CPUs of a Ray started here; None for every core."""
    device: str = "cpu"
    """'cpu', or 'cuda' for large matrices on GPUs."""

    def __post_init__(self) -> None:
        """Refuse an unknown executor."""
        if self.executor not in EXECUTORS:
            msg = f"executor={self.executor}: expected one of {', '.join(EXECUTORS)}"
            raise ValueError(msg)


def _inline(cluster: Cluster) -> Executor:
    from zoospectra.analysis.kernels import cuda
    from zoospectra.jobs.work.executors.inline import InlineExecutor

    if cluster.device != "cpu":
        try:
            cuda.device(cluster.device)
        except ValueError as error:
            msg = f"cluster.device={cluster.device}: {error}"
            raise JobError(msg) from error
    return InlineExecutor()


def _ray(cluster: Cluster) -> Executor:
    from zoospectra.jobs.work.executors.ray import RayExecutor

    return RayExecutor(cluster.address, cluster.cpus, gpus=cluster.device != "cpu")


EXECUTORS: dict[str, Callable[[Cluster], Executor]] = {"inline": _inline, "ray": _ray}


def open_executor(cluster: Cluster) -> Executor:
    """Start the executor of that name; JobError when its cluster or device is not there."""
    return EXECUTORS[cluster.executor](cluster)
