"""Runs tasks on Ray, on this machine or on a cluster: the only file that knows ray.

Ray schedules and isolates; what to retry is decided in jobs.work.schedule, so max_retries is 0 (Ray's own out-of-memory
retries are endless by default). Every node is asked at the start what it is, a node that joins later by its first task;
one that runs other code or does not see the files gets no work. A task streams two answers, that it has begun, where,
and what became of it, so that a deadline counts from the beginning and a crash has a place.
Not covered: shipping the code to a cluster, whose image must have it installed.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

# Read when ray is imported: no copy of the working tree to workers, no GPU for tasks that ask for none, no telemetry.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
if not os.access(os.path.expanduser("~"), os.W_OK):  # Ray writes its token there and dies when it cannot
    os.environ.setdefault("RAY_AUTH_TOKEN_PATH", os.path.join(tempfile.gettempdir(), f"ray_token_{os.getuid()}"))

import pyarrow as pa
import ray
import ray.exceptions
import ray.util
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from zoospectra.jobs.exit import JobError
from zoospectra.jobs.work.executors.address import knock
from zoospectra.jobs.work.executors.call import call
from zoospectra.jobs.work.executors.deaf import kill, kill_stopped
from zoospectra.jobs.work.executors.node import Node, capacity, describe, other_code
from zoospectra.jobs.work.executors.roster import Roster
from zoospectra.jobs.work.executors.running import Begun, Running
from zoospectra.jobs.work.executors.start import advice, empty_folder, first, joining, own_signals
from zoospectra.jobs.work.executors.tables import stream, streamed
from zoospectra.jobs.work.executors.task import Outcome, Task, Wanted
from zoospectra.zoo.checkpoint.trouble import Reason

_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes

PASSED_ON = ("ZOOSPECTRA_FETCH",)
"""Environment variables that workers on other machines need too; tokens stay where they are."""

OBJECT_STORE = 256 * 2**20
"""Bytes of shared memory: results are small Arrow tables, weights never pass through it."""

SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by `ray job submit`, which has given its own working_dir to the workers already."""

POLL = 2.0
"""Seconds between two looks at deadlines and nodes."""

SILENCE = 60.0
"""Seconds without an answer after which, while tasks wait, stopped workers are looked for."""

STEP = 64 << 20
"""Bytes of which a task asks for a multiple: Ray keeps the order of tasks only among those that ask for the same."""

BREATH = 0.005
"""Seconds that the tasks which follow those that ended may take to begin before the outcomes are handled."""

HANDSHAKE_SECONDS = 120.0
"""Seconds that a node may take to describe itself: a fresh worker imports the package from a cold disk."""

LOST = (ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError, ray.exceptions.LocalRayletDiedError)
"""Errors that say that a whole node went."""


class RayExecutor:
    """Ray tasks, one a shard, with CPUs and memory declared.

    address None starts Ray on this machine with `cpus` CPUs (all by default) and stops it in close; otherwise it joins
    the cluster at that address ('auto' for the one of the environment). Tasks ask for `resources` and go to nodes with
    all of `labels`. Nodes that get no work are named through `report`. A Ray that the calling program has started
    itself is used as it is. JobError: no cluster answers, no node may work, gpus are wanted and there are none.
    """

    def __init__(
        self,
        address: str | None = None,
        cpus: int | None = None,
        *,
        gpus: bool = False,
        resources: Mapping[str, float] | None = None,
        labels: Mapping[str, str] | None = None,
        patience: float = 0.0,
        wanted: Wanted | None = None,
        report: Callable[[str], None] = print,
    ) -> None:
        self._own = not ray.is_initialized()
        if self._own:
            _join(address, cpus)
        _stream_tables()
        self._gpus, self._patience, self._report = gpus, patience, report
        self._roster = Roster(dict(labels or {}), dict(resources or {}))
        self._wanted = wanted or Wanted()
        self._code = Wanted(self._wanted.versions)
        self._running: dict[Any, Running] = {}
        self._workers: set[tuple[str, int]] = set()  # processes that have worked for this run, by node
        self._looked, self._heard = 0.0, time.monotonic()
        self._call = ray.remote(max_retries=0, num_returns="streaming")(_call_in)
        try:
            self._handshake(self._there())
        except JobError:
            self.close()
            raise

    def lacking(self, paths: Collection[str]) -> frozenset[str]:
        """Nodes that do not see one of these local files, where others do."""
        return self._roster.lacking(paths)

    def submit(self, task: Task) -> None:
        """Queue one task; what it asks for is clamped to the largest node, since Ray waits forever for more."""
        cpus = 0 if task.fetches else self._node_cpus if task.alone else min(task.cpus, self._node_cpus)
        options = self._call.options(
            num_cpus=cpus,
            num_gpus=task.gpus,
            memory=min(-(-task.memory // STEP) * STEP, self._node_memory) or None,
            resources=self._roster.resources or None,
            **self._where(task),
            name=_name(task),
        )
        self._running[options.remote(os.getcwd(), self._code, task)] = Running(task)

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """Outcomes of the tasks that ended; a dead worker or node is a crash, never an exception."""
        end = None if timeout is None else time.monotonic() + timeout
        outcomes: list[Outcome] = []
        while self._running and not outcomes:
            running = list(self._running)
            ready, _ = ray.wait(running, num_returns=1, timeout=POLL if end is None else min(POLL, timeout or POLL))
            if ready:
                more, _ = ray.wait(running, num_returns=len(running), timeout=0)
                ready = list(dict.fromkeys([*ready, *more]))
            outcomes = self._answers(ready)
            outcomes += self._answers(self._following(len(outcomes)))
            outcomes += self._overdue()
            self._heard = time.monotonic() if ready else self._heard
            self._wake()
            self._look()
            if end is not None and time.monotonic() >= end:
                break
        return outcomes

    def close(self, *, cancel: bool = False) -> None:
        """Cancel what still runs (force: a C call cannot be interrupted) and leave Ray."""
        for reference in self._running if cancel else ():
            ray.cancel(reference, force=True)
        self._running.clear()
        if self._own:
            ray.shutdown()

    def _answers(self, ready: Iterable[Any]) -> list[Outcome]:
        return [outcome for reference in ready if (outcome := self._advance(reference)) is not None]

    def _following(self, ended: int) -> list[Any]:
        """Tasks that began after others had ended: Ray hands a worker its next one while this interpreter is idle."""
        waiting = [reference for reference, running in self._running.items() if not running.began] if ended else []
        return ray.wait(waiting, num_returns=min(ended, len(waiting)), timeout=BREATH)[0] if waiting else []

    def _advance(self, reference: Any) -> Outcome | None:  # noqa: ANN401 - ray's generators are untyped
        """The next answer of a task: None when it has only begun, or begins anew on another node."""
        running = self._running[reference]
        try:
            answer: Begun | Outcome = ray.get(next(reference), timeout=HANDSHAKE_SECONDS)
        except (ray.exceptions.RayError, ray.exceptions.RaySystemError, StopIteration) as error:
            del self._running[reference]
            return self._crashed(running, error)
        if isinstance(answer, Outcome):
            del self._running[reference]
            return dataclasses.replace(answer, task=running.task, node=running.node)
        if answer.trouble is None:
            running.node, running.process, running.began = answer.node, answer.process, time.monotonic()
            self._workers.add((answer.node, answer.process))
            return None
        del self._running[reference]
        self._refuse(answer.node, answer.trouble)
        self.submit(running.task)
        return None

    def _crashed(self, running: Running, error: BaseException) -> Outcome:
        lost = isinstance(error, LOST)
        reason = Reason.WORKER_CRASHED
        if isinstance(error, ray.exceptions.OutOfMemoryError) or (not lost and self._killed_for_memory(running.node)):
            reason = Reason.OUT_OF_MEMORY
        crash = f"{type(error).__name__}: {first(error)}"[:500]
        return Outcome(running.task, crash=crash, reason=reason, lost=lost, node=running.node)

    def _killed_for_memory(self, node: str) -> bool:
        """Whether the kernel has killed for memory on a node since it was last asked."""
        known = self._roster.admitted.get(node)
        now = self._ask({node}, self._code).get(node) if known else None
        if known is None or now is None or isinstance(now, str):
            return False
        self._roster.admitted[node] = dataclasses.replace(now, lacks=known.lacks)
        return now.kills > known.kills

    def _overdue(self) -> list[Outcome]:
        """Tasks past their deadline, killed; what Ray says of them afterwards is not waited for."""
        outcomes = []
        now = time.monotonic()
        for reference, running in list(self._running.items()):
            task = running.task
            if running.began and task.deadline is not None and now > running.began + task.deadline:
                ray.cancel(reference, force=True)
                # A stopped process hears no cancellation and would keep its CPUs.
                self._on(running.node, kill, running.process)
                del self._running[reference]
                crash = f"killed after {now - running.began:.0f} s, predicted {task.seconds:.1f} s"
                outcomes.append(Outcome(task, crash=crash, reason=Reason.TIMED_OUT, node=running.node))
        return outcomes

    def _on(self, node: str, function: Callable[..., object], argument: object) -> None:
        """Have a node do something that needs no CPU."""
        remote = ray.remote(max_retries=0, num_cpus=0)(function)
        remote.options(scheduling_strategy=_only_on(node)).remote(argument)

    def _wake(self) -> None:
        """After a long silence end workers that were stopped before what they got could begin: no deadline counts."""
        if all(running.began for running in self._running.values()) or time.monotonic() < self._heard + SILENCE:
            return
        self._heard = time.monotonic()
        busy = {(running.node, running.process) for running in self._running.values() if running.began}
        # One that was stopped before it could say that it has begun is known by its title alone.
        titles = {f"ray::{_name(running.task)}" for running in self._running.values() if not running.began}
        for node in self._roster.admitted:
            idle = {process for where, process in self._workers - busy if where == node}
            self._on(node, kill_stopped, idle | titles)

    def _look(self) -> None:
        """Nodes that came and went: what waits is asked for anew when the largest node may have gone."""
        if time.monotonic() < self._looked + POLL:
            return
        there = self._there()
        lost = self._roster.admitted.keys() - there.keys()
        for node in lost:
            del self._roster.admitted[node]
        if there.keys() - self._roster.admitted.keys() - self._roster.refused or lost:
            self._handshake(there)
        for reference, running in list(self._running.items()) if lost else ():
            if not running.began:
                ray.cancel(reference, force=True)
                del self._running[reference]
                self.submit(running.task)

    def _there(self) -> dict[str, dict[str, Any]]:
        """Living nodes with CPUs and with all labels and resources that are asked for."""
        self._looked = time.monotonic()
        try:
            nodes = [node for node in _nodes() if node["Alive"] and node["Resources"].get("CPU")]
        except (ray.exceptions.RayError, ConnectionError) as error:
            raise JobError(f"the Ray cluster has gone: {first(error)}; start it, then run the same command") from error
        return {
            node["NodeID"]: node
            for node in nodes
            if self._roster.labels.items() <= (node.get("Labels") or {}).items()
            and all(node["Resources"].get(name, 0) >= amount for name, amount in self._roster.resources.items())
        }

    def _handshake(self, there: Mapping[str, dict[str, Any]]) -> None:
        """Ask the nodes that are new, then measure those that may work; JobError when none may."""
        roster = self._roster
        there = there or self._await_node()
        roster.refused &= there.keys()
        for node, answer in self._ask(there.keys() - roster.admitted.keys() - roster.refused, self._wanted).items():
            name = f"{there[node]['NodeManagerHostname']} ({node[:8]})"
            if isinstance(answer, str) or answer.trouble:
                self._refuse(node, answer if isinstance(answer, str) else str(answer.trouble), name)
            else:
                roster.admitted[node] = answer
                if answer.lacks:
                    seen = f"{len(self._wanted.paths) - len(answer.lacks)} of {len(self._wanted.paths)}"
                    self._report(f"node {name} sees {seen} files of this run: it works on these")
        if not roster.admitted:
            raise JobError(roster.nobody())
        resources = [there[node]["Resources"] for node in roster.admitted.keys() & there.keys()]
        if self._gpus and not any(node.get("GPU", 0) for node in resources):
            raise JobError("cluster.device=cuda: no node of this cluster has a GPU; use cluster.device=cpu")
        self.slots = max(1, int(sum(node["CPU"] for node in resources)))
        self._node_cpus = max(1, int(max((node["CPU"] for node in resources), default=1)))
        self._node_memory = int(max((node.get("memory", 0) for node in resources), default=0))
        self.capacity = capacity(roster.admitted.values())

    def _await_node(self) -> Mapping[str, dict[str, Any]]:
        """The nodes, once there are any: a task that asks for one tells an autoscaler; JobError when none comes."""
        roster, end = self._roster, time.monotonic() + self._patience
        if self._patience:
            self._report(f"no node has {roster.wanted()} yet: waiting {self._patience:.0f} s for one")
        ask = ray.remote(max_retries=0, num_cpus=1)(kill)
        wish = ask.options(resources=roster.resources or None, label_selector=roster.labels or None).remote(0)
        while not (there := self._there()) and time.monotonic() < end:
            time.sleep(POLL / 2)
        ray.cancel(wish, force=True)
        if not there:
            raise JobError(roster.nobody())
        return there

    def _ask(self, nodes: set[str], wanted: Wanted) -> dict[str, Node | str]:
        """What each node says of itself, or why it cannot."""
        ask = ray.remote(max_retries=0, num_cpus=0)(describe)
        put = ray.put(wanted)
        asked = {node: ask.options(scheduling_strategy=_only_on(node)).remote(put) for node in nodes}
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=HANDSHAKE_SECONDS) if asked else None
        answers: dict[str, Node | str] = {}
        for node, reference in asked.items():
            try:
                answers[node] = ray.get(reference, timeout=0)
            except (ray.exceptions.RayError, ray.exceptions.RaySystemError, TimeoutError) as error:
                answers[node] = f"it cannot run zoospectra: {first(error)}"
        return answers

    def _refuse(self, node: str, why: str, name: str = "") -> None:
        """No work for a node from now on; said once."""
        if node not in self._roster.refused:
            self._roster.refused.add(node)
            known = self._roster.admitted.pop(node, None)
            label = name or (f"{known.name} ({node[:8]})" if known else node[:8])
            self._report(f"node {label} gets no work: {why}")
        if not self._roster.admitted and self._running:
            raise JobError(self._roster.nobody())

    def _where(self, task: Task) -> dict[str, Any]:
        """Where a task may run: near its files while that node is there, else by labels."""
        near = self._roster.near(task)
        if near is not None:
            return {"scheduling_strategy": NodeAffinitySchedulingStrategy(near, soft=True)}
        return {"label_selector": self._roster.selector(task) or None}


def _join(address: str | None, cpus: int | None) -> None:
    """Start Ray here, or join a cluster; JobError in one line when that fails."""
    local: dict[str, Any] = {"num_cpus": cpus, "object_store_memory": OBJECT_STORE} if address is None else {}
    if address is not None:
        knock(address)
    with empty_folder() as empty, own_signals(), joining(address) if address else nullcontext():
        try:
            ray.init(
                address=address or "local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env=_runtime_env(empty, shared=address is not None),
                **local,
            )
        except Exception as error:  # Ray raises the bare class where a node does not start
            ray.shutdown()
            where = f"cluster.address={address}" if address else "cluster=local"
            raise JobError(f"{where}: {first(error)}; {advice(error, address)}") from error


def _name(task: Task) -> str:
    """What Ray calls a task, and its worker while it runs it."""
    return task.key[:80].encode("utf-8", "backslashreplace").decode()


def _only_on(node: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node, soft=False)


def _runtime_env(empty: str, *, shared: bool) -> dict[str, Any]:
    """What the workers get: an empty working_dir, and on a shared cluster the variables that travel.

    Without a working_dir Ray puts the current folder and the script's before site-packages in every worker, so that a
    user's own numpy.py or analysis.py would be imported, that is, run (ray._private.worker.connect).
    """
    env: dict[str, Any] = {} if SUBMITTED in os.environ else {"working_dir": empty}
    if shared:
        env["env_vars"] = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return env


def _stream_tables() -> None:
    """Let this process, which has joined Ray, send tables as streams."""
    ray.util.register_serializer(pa.Table, serializer=stream, deserializer=streamed)


def _call_in(folder: str, wanted: Wanted, task: Task) -> Iterator[Begun | Outcome]:
    """`call` where relative paths mean what they mean to the driver, if this machine has that folder."""
    lacking = other_code(wanted)
    _stream_tables()
    yield Begun(ray.get_runtime_context().get_node_id(), os.getpid(), lacking)
    if lacking is None:
        if os.path.isdir(folder):
            os.chdir(folder)
        yield call(task)
