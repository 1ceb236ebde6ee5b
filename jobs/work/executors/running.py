"""Records of tasks that a cluster runs: that one has begun, and where it is."""

from __future__ import annotations

from dataclasses import dataclass

from zoospectra.jobs.work.executors.task import Task


@dataclass(frozen=True, slots=True)
class Begun:
    """The first answer of a task: it runs."""

    node: str
    """Ray's id of the node."""
    process: int
    """Number of the worker's process there."""
    trouble: str | None
    """Why it does not run there after all."""


@dataclass(slots=True)
class Running:
    """A submitted task."""

    task: Task
    """What runs."""
    node: str = ""
    """Where; '' while it waits."""
    process: int = 0
    """Number of its process there."""
    began: float = 0.0
    """Monotonic seconds at which it was seen to have begun."""
