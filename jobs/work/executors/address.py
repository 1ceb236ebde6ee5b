"""Whether a Ray may listen at a cluster's address, asked without Ray, which would wait for minutes."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zoospectra.jobs.exit import JobError

KNOCK_SECONDS = 10.0
"""Seconds that the head of a cluster may take to accept a connection."""

ANSWER_SECONDS = 30.0
"""Seconds that it may take to say something on it."""


HEADERS, SETTINGS, FRAME = 1, 4, 9
"""Types of HTTP/2's frames of headers and of settings, and bytes of a frame's head."""

MOST = 1 << 14
"""Bytes of a frame at most, where nobody has agreed on more (RFC 9113, 4.2)."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What an HTTP/2 client begins with."""

QUESTION = "/ray.rpc.NodeInfoGcsService/CheckAlive"
"""A call that the head of a Ray cluster knows, whether or not it lets us make it."""

UNKNOWN = b"grpc-status\x0212"
"""What a gRPC server answers that does not know a call (UNIMPLEMENTED), if it writes it out."""


def knock(address: str, seconds: float = ANSWER_SECONDS) -> None:
    """JobError when no head of a Ray listens at the cluster's address: Ray waits for minutes, then aborts the process.

    With RAY_USE_TLS only whether anything listens is asked; of ray:// whether it is gRPC.
    """
    encrypted = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")
    where = os.environ.get("RAY_ADDRESS") or _latest() if address == "auto" else address
    client = (where or "").startswith("ray://")
    host, _, port = (where or "").rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return
    start = "start it with 'ray start --head', or give cluster.address=HOST:6379"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS) as connection:
            connection.settimeout(seconds)
            if encrypted or (_speaks_grpc(connection) and (client or _knows_the_question(connection))):
                return
    except OSError as error:
        words = f"cluster.address={address}: {host}:{port} does not answer ({error.strerror or error})"
        raise JobError(f"{words}; {start}") from error
    raise JobError(f"cluster.address={address}: what listens at {host}:{port} does not answer as Ray does; {start}")


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other side begins HTTP/2 with its settings, as every gRPC server does (RFC 9113, 3.4)."""
    try:
        connection.sendall(PREFACE + _frame(SETTINGS, 0, 0, b""))
        return next(_frames(connection), (0, b""))[0] == SETTINGS
    except OSError:  # it hangs up, or says nothing
        return False


def _knows_the_question(connection: socket.socket) -> bool:
    """Whether the other side answers QUESTION, be it by a refusal; one that does not answer may be at work."""
    asked = {":method": "POST", ":scheme": "http", ":path": QUESTION, ":authority": "ray"}
    fields = (asked | {"content-type": "application/grpc", "te": "trailers"}).items()
    # Each field literally, never indexed: 0, then length and text of name and value (RFC 7541, 6.2.2).
    block = b"".join(bytes([0, len(n), *n.encode(), len(value), *value.encode()]) for n, value in fields)
    try:
        connection.sendall(_frame(HEADERS, 4, 1, block) + _frame(0, 1, 1, bytes(5)))  # an empty message ends it
        answer = next((text for kind, text in _frames(connection) if kind == HEADERS), b"")
    except OSError:
        return True
    return UNKNOWN not in answer


def _frame(kind: int, flags: int, stream: int, text: bytes) -> bytes:
    """A frame of HTTP/2."""
    return len(text).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + text


def _frames(connection: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Type and text of every frame that comes, until the other side hangs up."""
    while len(head := _read(connection, FRAME)) == FRAME:
        yield head[3], _read(connection, min(int.from_bytes(head[:3], "big"), MOST))


def _read(connection: socket.socket, size: int) -> bytes:
    text = b""
    while len(text) < size and (more := connection.recv(size - len(text))):
        text += more
    return text


def _latest() -> str:
    """Address of the cluster that 'ray start' started last on this machine; '' without one."""
    try:
        return Path(tempfile.gettempdir(), "ray", "ray_current_cluster").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
