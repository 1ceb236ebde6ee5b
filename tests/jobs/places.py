"""Where the same tests run: this process, Ray on this machine, a real cluster of two nodes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass

import pytest

from tests.jobs.nodes import Nodes
from zoospectra.jobs.main import main
from zoospectra.jobs.work.executors import Cluster, Executor, node, open_executor

INLINE = pytest.param("inline")
LOCAL = pytest.param("local", marks=pytest.mark.ray)
INLINE_SLOW = pytest.param("inline", marks=pytest.mark.slow)
LOCAL_SLOW = pytest.param("local", marks=[pytest.mark.ray, pytest.mark.slow])
NODES = pytest.param("two nodes", marks=[pytest.mark.ray, pytest.mark.slow])


@dataclass(frozen=True)
class Place:
    """Where jobs run."""

    name: str
    """'inline', 'local' or 'two nodes'."""
    nodes: Nodes | None
    """The cluster, if any."""

    def words(self) -> list[str]:
        """What a command says about it."""
        if self.nodes is None:
            return [f"cluster={self.name}"]
        return ["cluster=ray", f"cluster.address={self.nodes.address}"]

    def run(self, *words: str) -> tuple[int, str]:
        """Exit status and output of a job; on this machine in this process, whose Ray is up."""
        if self.nodes is not None:
            output, _ = (job := self.start(*words)).communicate(timeout=250)
            return job.returncode, output
        with redirect_stdout(io.StringIO()) as output:
            status = main([*words, *self.words()])
        return status, output.getvalue()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The job in a process of its own; locally with a Ray of its own."""
        command = [sys.executable, "-m", "zoospectra", *words, *self.words()]
        environment = self.nodes.environment if self.nodes else dict(os.environ)
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            env=environment,
            stdout=pipe,
            stderr=pipe,
            text=True,
            preexec_fn=heed_interrupts,  # noqa: PLW1509 - it sets one signal and allocates nothing
        )


def heed_interrupts() -> None:
    """In a child: a process started in the background inherits a deaf ear for SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def place(name: str) -> Iterator[Place]:
    """A place of that name, with its Ray up."""
    with ExitStack() as stack:
        if name == "local":
            stack.callback(open_executor(Cluster("ray", cpus=2)).close)
        nodes = None
        if name == "two nodes":
            nodes = stack.enter_context(two_nodes())
        yield Place(name, nodes)


@contextmanager
def executor(name: str) -> Iterator[Executor]:
    """The executor of such a place."""
    with ExitStack() as stack:
        cluster = Cluster("inline")
        if name == "local":
            cluster = Cluster("ray", cpus=2)
        if name == "two nodes":
            cluster = Cluster("ray", address=stack.enter_context(two_nodes(token=False)).address)
        opened = open_executor(cluster, node.wanted(()))
        stack.callback(opened.close)
        yield opened


@contextmanager
def two_nodes(*, token: bool = True) -> Iterator[Nodes]:
    """A head and another node, one CPU each."""
    nodes = Nodes(token=token)
    try:
        nodes.join()
        nodes.await_all(2)
        yield nodes
    finally:
        nodes.close()
