"""A real Ray cluster of `ray start` processes on this machine, with a token; nodes may see an empty folder."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.namespaces import UNSHARED

RAY = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start"]

Shows = Mapping[Path, Path | None]
"""Folders of a node that have the contents of another one there, or none."""
NOTHING: Shows = {}


class Nodes:
    """A head with one CPU, and nodes that join and are killed; without a token of their own this process may join."""

    def __init__(self, *, token: bool = True, shows: Shows = NOTHING, cpus: int = 1) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)} if token else {}
        self.environment = {**os.environ, **secret, "RAY_USAGE_STATS_ENABLED": "0", "RAY_ADDRESS": ""}
        self._folder = tempfile.mkdtemp(prefix="zs", dir="/tmp")
        self._started: list[subprocess.Popen[bytes]] = []
        words = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={self._folder}"]
        self.head = self._start(*words, shows=shows, cpus=cpus)
        self._await(port)

    def join(self, *words: str, blind: Path | None = None, shows: Shows = NOTHING) -> subprocess.Popen[bytes]:
        """A node with one CPU; `blind`: a folder that is empty there; `shows`: folders with other contents there."""
        return self._start(f"--address={self.address}", *words, shows={**shows, **({blind: None} if blind else {})})

    def await_all(self, count: int) -> None:
        """Until so many raylets run, and have had the time to announce themselves.

        Two nodes that start together, or one beside a driver, wait for each other: join one after the other.
        """
        for _ in range(300):
            running = [p for node in self._started if node.poll() is None for p in self.processes(node)]
            names = [process.name() for process in running if process.is_running()]
            if sum(name == "raylet" for name in names) >= count:
                break
            time.sleep(0.2)
        time.sleep(5)

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """Kill a node with everything that it runs, as a power cut would."""
        for process in [*self.processes(node), psutil.Process(node.pid)]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        node.wait()

    @staticmethod
    def processes(node: subprocess.Popen[bytes]) -> list[psutil.Process]:
        """Everything that a node runs."""
        try:
            return psutil.Process(node.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def roots(self) -> list[psutil.Process]:
        """The nodes that run."""
        return [psutil.Process(node.pid) for node in self._started if node.poll() is None]

    def workers(self) -> list[psutil.Process]:
        """Workers that run a task."""
        busy = []
        for node in self._started:
            for process in self.processes(node):
                try:
                    name = " ".join(process.cmdline())
                except psutil.NoSuchProcess:
                    continue
                if name.startswith("ray::") and not name.startswith("ray::IDLE"):
                    busy.append(process)
        return busy

    def close(self) -> None:
        """Kill everything."""
        for node in reversed(self._started):
            if node.poll() is None:
                self.kill(node)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, *words: str, shows: Shows = NOTHING, cpus: int = 1) -> subprocess.Popen[bytes]:
        command = [*RAY, *words, f"--num-cpus={cpus}", "--object-store-memory=100000000", "--block"]
        if shows:
            mounts = [
                f"mount --bind {real} {there}" if real else f"mount -t tmpfs none {there}"
                for there, real in shows.items()
            ]
            command = [*UNSHARED, " && ".join([*mounts, 'exec "$@"']), "bash", *command]
        quiet = subprocess.DEVNULL
        started = subprocess.Popen(command, env=self.environment, stdout=quiet, stderr=quiet, start_new_session=True)
        self._started.append(started)
        return started

    def _await(self, port: int) -> None:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise TimeoutError("the head of the cluster does not listen")
