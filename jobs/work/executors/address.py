"""Whether a Ray may listen at a cluster's address, asked without Ray, which would wait for minutes."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from zoospectra.jobs.exit import JobError

KNOCK_SECONDS = 10.0
"""Seconds that the head of a cluster may take to accept a connection."""

ANSWER_SECONDS = 30.0
"""Seconds that it may take to say something on it."""


SETTINGS, FRAME = 4, 9
"""Type of HTTP/2's frame of settings, and bytes of a frame's head."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0])
"""What an HTTP/2 client begins with."""


def knock(address: str, seconds: float = ANSWER_SECONDS) -> None:
    """JobError when no gRPC server listens at the cluster's address: Ray waits for minutes, then aborts the process.

    With RAY_USE_TLS only whether anything listens is asked.
    """
    encrypted = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")
    where = os.environ.get("RAY_ADDRESS") or _latest() if address == "auto" else address
    host, _, port = (where or "").rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return
    start = "start it with 'ray start --head', or give cluster.address=HOST:6379"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS) as connection:
            connection.settimeout(seconds)
            if encrypted or _speaks_grpc(connection):
                return
    except OSError as error:
        words = f"cluster.address={address}: {host}:{port} does not answer ({error.strerror or error})"
        raise JobError(f"{words}; {start}") from error
    raise JobError(f"cluster.address={address}: what listens at {host}:{port} does not answer as Ray does; {start}")


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other side begins HTTP/2 with its settings, as every gRPC server does (RFC 9113, 3.4)."""
    try:
        connection.sendall(PREFACE)
        frame = b""
        while len(frame) < FRAME and (more := connection.recv(FRAME - len(frame))):
            frame += more
    except OSError:  # it hangs up, or says nothing
        return False
    return len(frame) == FRAME and frame[3] == SETTINGS


def _latest() -> str:
    """Address of the cluster that 'ray start' started last on this machine; '' without one."""
    try:
        return Path(tempfile.gettempdir(), "ray", "ray_current_cluster").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
