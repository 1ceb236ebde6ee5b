"""Where tasks run: one executor a file, chosen by name."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from zoospectra.jobs.exit import PROCESS, JobError
from zoospectra.jobs.work.executors.asks import check_labels, check_resources
from zoospectra.jobs.work.executors.task import PATIENCE, Ahead, Executor, Outcome, Patience, Task, Wanted

__all__ = ["EXECUTORS", "Ahead", "Cluster", "Executor", "Outcome", "Task", "Wanted", "open_executor"]

Report = Callable[[str], None]
"""Takes a line for the user."""


MANY = 64
"""CPUs that a cluster somewhere else is taken to have."""


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
    resources: dict[str, float] = field(default_factory=dict)
    """Custom resources of Ray that every task asks for, such as {zoo_io: 0.25}: only nodes that have them work."""
    labels: dict[str, str] = field(default_factory=dict)
    """Labels of Ray that a node must have to get work, such as {pool: spectra}."""
    wait_for_node: float = 180.0
    """Seconds that a cluster is waited for that has no node which may work, as one that has scaled to none; 0: not."""
    deadline_floor: float = PATIENCE.floor
    """Seconds that every task may take; one that hangs is killed, tried once more alone, then recorded."""
    deadline_factor: float = PATIENCE.factor
    """Times its predicted seconds that a task may take beside these."""

    def __post_init__(self) -> None:
        """Refuse an unknown executor, what no node can have, and deadlines that nothing could meet."""
        if self.executor not in EXECUTORS:
            msg = f"executor={self.executor}: expected one of {', '.join(EXECUTORS)}"
            raise ValueError(msg)
        if self.cpus is not None and self.cpus < 1:
            msg = f"cpus={self.cpus}: expected at least 1, or null for every core"
            raise ValueError(msg)
        check_resources(self.resources)
        check_labels(self.labels)
        if not 0 <= self.wait_for_node < math.inf:
            msg = f"wait_for_node={self.wait_for_node:g}: expected 0 or more seconds"
            raise ValueError(msg)
        for name in ("deadline_floor", "deadline_factor"):
            if not getattr(self, name) > 0:
                msg = f"{name}={getattr(self, name):g}: expected more than 0"
                raise ValueError(msg)

    @property
    def slots(self) -> int:
        """Tasks that may run at once, as far as it is known before the cluster is asked."""
        if self.executor == "inline":
            return 1
        return self.cpus or (MANY if self.address else os.cpu_count() or 1)

    @property
    def patience(self) -> Patience:
        """The rule of deadlines."""
        return Patience(self.deadline_floor, self.deadline_factor)


def _inline(cluster: Cluster, _wanted: Wanted, _report: Report) -> Executor:
    from zoospectra.analysis.kernels import cuda
    from zoospectra.jobs.work.executors.inline import InlineExecutor

    if cluster.device != "cpu":
        try:
            cuda.device(cluster.device)
        except ValueError as error:
            msg = f"cluster.device={cluster.device}: {error}"
            raise JobError(msg) from error
    return InlineExecutor()


def _ray(cluster: Cluster, wanted: Wanted, report: Report) -> Executor:
    from zoospectra.warehouse.allocator import keep_little

    if PROCESS.own:  # which does nothing now but adopt results; inline it would pay for every large array
        keep_little()
    from zoospectra.jobs.work.executors.ray import RayExecutor

    return RayExecutor(
        cluster.address,
        cluster.cpus,
        gpus=cluster.device != "cpu",
        resources=cluster.resources,
        labels=cluster.labels,
        patience=cluster.wait_for_node,
        wanted=wanted,
        report=report,
    )


EXECUTORS: dict[str, Callable[[Cluster, Wanted, Report], Executor]] = {"inline": _inline, "ray": _ray}


def open_executor(cluster: Cluster, wanted: Wanted | None = None, report: Report = print) -> Executor:
    """Start the executor of that name; JobError when its cluster or device is not there, or no node has what is wanted.

    `report` gets a line for every node that is refused.
    """
    return EXECUTORS[cluster.executor](cluster, wanted or Wanted(), report)
