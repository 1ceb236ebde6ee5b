"""The nodes of a cluster as far as work goes: which may work, what each sees, and where a task may run. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from zoospectra.jobs.work.executors.asks import NODE_ID
from zoospectra.jobs.work.executors.node import Node
from zoospectra.jobs.work.executors.task import Task


@dataclass(slots=True)
class Roster:
    """Nodes by Ray's ids."""

    labels: Mapping[str, str]
    """Labels that a node must have to get work."""
    resources: Mapping[str, float]
    """Custom resources that every task asks for."""
    admitted: dict[str, Node] = field(default_factory=dict)
    """Those that may work."""
    refused: set[str] = field(default_factory=set)
    """Those that may not."""
    fetches: int = 0
    """Tasks that fetch, so far: nodes take turns."""

    def lacking(self, paths: Collection[str]) -> frozenset[str]:
        """Nodes that do not see one of these files; none where no node sees all of them, for any is as good then."""
        blind = {node for node, known in self.admitted.items() if known.lacks and _lacks(known.lacks, paths)}
        return frozenset(blind) if blind < self.admitted.keys() else frozenset()

    def near(self, task: Task) -> str | None:
        """The node that a task goes to while it is there; fetching takes turns. None where labels decide."""
        if task.fetches and self.admitted:
            self.fetches += 1
            return sorted(self.admitted)[self.fetches % len(self.admitted)]
        return task.near if task.near in self.admitted and task.near not in task.avoid else None

    def selector(self, task: Task) -> dict[str, str]:
        """Labels of the nodes that a task may run on: those that see its files, none that was refused, elsewhere first
        after a failure there.
        """
        avoid = self.refused | self.lacking(task.reads)
        avoid |= task.avoid if self.admitted.keys() - avoid - task.avoid else frozenset()
        avoid = {node for node in avoid if node}
        return {**self.labels, **({NODE_ID: f"!in({','.join(sorted(avoid))})"} if avoid else {})}

    def nobody(self) -> str:
        """Why nothing can run."""
        if self.refused:
            return f"no node of the cluster may work: all {len(self.refused)} were refused, see above"
        return f"no node of the cluster has {self.wanted()}: start one"

    def wanted(self) -> str:
        """What a node must have."""
        asked = [f"{name}={value}" for name, value in (*self.labels.items(), *self.resources.items())]
        return "CPUs" + (f" and {', '.join(asked)}" if asked else "")


def _lacks(lacked: Collection[str], paths: Collection[str]) -> bool:
    """Whether a path, or a folder that it is in, is among those that are lacked."""
    return any(str(place) in lacked for path in paths for place in (path, *PurePath(path).parents))
