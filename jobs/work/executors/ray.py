"""Runs tasks on Ray, on this machine or on a cluster: the only file that knows ray.

Ray schedules and isolates; what to retry is decided in jobs.work.schedule, so max_retries is 0 (Ray's own out-of-memory
retries are endless by default). Not covered: shipping the code to a cluster, whose image must have it installed.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import tempfile
from collections.abc import Callable
from typing import Any

# Read when ray is imported: no copy of the working tree to workers, no GPU for tasks that ask for none, no telemetry.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
if not os.access(os.path.expanduser("~"), os.W_OK):  # Ray writes its token there and dies when it cannot
    os.environ.setdefault("RAY_AUTH_TOKEN_PATH", os.path.join(tempfile.gettempdir(), f"ray_token_{os.getuid()}"))

import ray
import ray.exceptions

from zoospectra.jobs.exit import JobError
from zoospectra.jobs.work.executors.call import call
from zoospectra.jobs.work.executors.task import Outcome, Task

_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes

PASSED_ON = ("ZOOSPECTRA_FETCH",)
"""Environment variables that workers on other machines need too; tokens stay where they are."""

OBJECT_STORE = 256 * 2**20
"""Bytes of shared memory: results are small Arrow tables, weights never pass through it."""


SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by `ray job submit`, which has given its own working_dir to the workers already."""


class RayExecutor:
    """Ray tasks, one a shard, with CPUs and memory declared.

    address None starts Ray on this machine with `cpus` CPUs (all by default) and stops it in close; otherwise it joins
    the cluster at that address ('auto' for the one of the environment). JobError: gpus are wanted and there are none.
    A Ray that the calling program has started itself is used as it is.
    """

    def __init__(self, address: str | None = None, cpus: int | None = None, *, gpus: bool = False) -> None:
        self._own = not ray.is_initialized()
        if self._own:
            local: dict[str, Any] = {"num_cpus": cpus, "object_store_memory": OBJECT_STORE}
            with tempfile.TemporaryDirectory(prefix="zoospectra-") as empty:
                ray.init(
                    address=address or "local",
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    runtime_env=_runtime_env(empty, shared=address is not None),
                    **(local if address is None else {}),
                )
        alive = [node["Resources"] for node in _nodes() if node["Alive"]]
        self.slots = max(1, int(sum(node.get("CPU", 0) for node in alive)))
        self._node_cpus = max(1, int(max(node.get("CPU", 0) for node in alive)))
        self._node_memory = int(max(node.get("memory", 0) for node in alive))
        self._running: dict[Any, Task] = {}
        if gpus and not any(node.get("GPU", 0) for node in alive):
            self.close()
            msg = "cluster.device=cuda: no node of this cluster has a GPU; use cluster.device=cpu"
            raise JobError(msg)
        self._call = ray.remote(max_retries=0, max_calls=0)(_call_in)

    def submit(self, task: Task) -> None:
        """Queue one task; what it asks for is clamped to the largest node, since Ray waits forever for more."""
        cpus = self._node_cpus if task.alone else min(task.cpus, self._node_cpus)
        memory = min(task.memory, self._node_memory)
        options = self._call.options(num_cpus=cpus, num_gpus=task.gpus, memory=memory or None, name=task.key[:80])
        reference = options.remote(os.getcwd(), task)
        self._running[reference] = task

    def wait(self) -> list[Outcome]:
        """Outcomes of the tasks that ended, at least one; a dead worker or node is a crash, never an exception."""
        if not self._running:
            return []
        running = list(self._running)
        done, _ = ray.wait(running, num_returns=1)
        more, _ = ray.wait(running, num_returns=len(running), timeout=0)
        return [self._fetch(reference) for reference in dict.fromkeys([*done, *more])]

    def _fetch(self, reference: Any) -> Outcome:  # noqa: ANN401 - ray's ObjectRef is untyped
        task = self._running.pop(reference)
        try:
            outcome: Outcome = ray.get(reference)
        except (ray.exceptions.RayError, ray.exceptions.RaySystemError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else ""
            return Outcome(task, crash=f"{type(error).__name__}: {first}"[:500])
        return dataclasses.replace(outcome, task=task)

    def close(self, *, cancel: bool = False) -> None:
        """Cancel what still runs (force: a C call cannot be interrupted) and leave Ray."""
        for reference in self._running if cancel else ():
            ray.cancel(reference, force=True)
        self._running.clear()
        if self._own:
            ray.shutdown()


def _runtime_env(empty: str, *, shared: bool) -> dict[str, Any]:
    """What the workers get: an empty working_dir, and on a shared cluster the variables that travel.

    Without a working_dir Ray puts the current folder and the script's before site-packages in every worker, so that a
    user's own numpy.py or analysis.py would be imported, that is, run (ray._private.worker.connect).
    """
    env: dict[str, Any] = {} if SUBMITTED in os.environ else {"working_dir": empty}
    if shared:
        env["env_vars"] = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return env


def _call_in(folder: str, task: Task) -> Outcome:
    """`call` where relative paths mean what they mean to the driver, if this machine has that folder."""
    if os.path.isdir(folder):
        os.chdir(folder)
    return call(task)
