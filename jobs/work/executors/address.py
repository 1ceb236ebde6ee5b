"""Whether anything listens at a cluster's address, asked without Ray, which would wait for minutes."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from zoospectra.jobs.exit import JobError

KNOCK_SECONDS = 10.0
"""Seconds that the head of a cluster may take to accept a connection."""


def knock(address: str) -> None:
    """JobError when nobody listens at the cluster's address: Ray itself waits for minutes, then aborts the process."""
    where = os.environ.get("RAY_ADDRESS") or _latest() if address == "auto" else address
    host, _, port = (where or "").rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
    except OSError as error:
        words = f"cluster.address={address}: {host}:{port} does not answer ({error.strerror or error})"
        raise JobError(f"{words}; start it with 'ray start --head', or give cluster.address=HOST:6379") from error


def _latest() -> str:
    """Address of the cluster that 'ray start' started last on this machine; '' without one."""
    try:
        return Path(tempfile.gettempdir(), "ray", "ray_current_cluster").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
