"""Where tasks run: one executor a file, chosen by name."""

from __future__ import annotations

from collections.abc import Callable

from jobs.executors.task import Executor, Outcome, Task

__all__ = ["EXECUTORS", "Executor", "Outcome", "Task", "open_executor"]


def _inline(address: str | None, cpus: int | None) -> Executor:
    from jobs.executors.inline import InlineExecutor

    return InlineExecutor()


def _ray(address: str | None, cpus: int | None) -> Executor:
    from jobs.executors.ray import RayExecutor

    return RayExecutor(address, cpus)


EXECUTORS: dict[str, Callable[[str | None, int | None], Executor]] = {"inline": _inline, "ray": _ray}


def open_executor(name: str, address: str | None = None, cpus: int | None = None) -> Executor:
    """Start the executor of that name; ValueError names the known ones."""
    if name not in EXECUTORS:
        msg = f"unknown executor {name!r}: expected one of {', '.join(EXECUTORS)}"
        raise ValueError(msg)
    return EXECUTORS[name](address, cpus)
