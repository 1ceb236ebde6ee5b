"""The server: a thread a connection, HTTP/1.1 with keep-alive, every request logged with the bytes of body sent.

    with Loopback() as server:
        server.content.files["/release/net.pth"] = data
        server.script.add("/release/*", "cut", 1, after=1000)
        client.get(server.url + "/release/net.pth")

Give `cdn`, a second Loopback, to answer large files as the hub does: with a redirect to another host.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

from tests.loopback import commits, hub
from tests.loopback.content import Body, Content, blocks
from tests.loopback.faults import Fault, Script
from tests.loopback.hub import Answer


@dataclass
class Seen:
    """One request that the server answered."""

    method: str
    """'GET' or 'HEAD'."""
    path: str
    """Path without query."""
    query: str
    """Query string."""
    range: str | None
    """Range header."""
    authorization: str | None
    """Authorization header."""
    agent: str
    """User-Agent header."""
    status: int = 0
    """Status that was sent."""
    sent: int = 0
    """Bytes of body that were sent."""


class Loopback:
    """A running server; `url` has no trailing slash."""

    def __init__(self, content: Content | None = None, cdn: Loopback | None = None, port: int = 0) -> None:
        self.content = content or Content()
        self.script = Script()
        self.log: list[Seen] = []
        self.cdn = cdn
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def requests(self, part: str = "") -> list[Seen]:
        """Logged requests whose path contains `part`."""
        return [seen for seen in self.log if part in seen.path]

    def sent(self, part: str = "") -> int:
        """Bytes of body sent for paths that contain `part`."""
        return sum(seen.sent for seen in self.requests(part))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests; everything else is a fault of the server."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    owner: Loopback
    protocol_version = "HTTP/1.1"
    # Headers and body leave as separate writes: without this each small answer waits 40 ms for the peer's ACK.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr: the log is a list."""

    def do_HEAD(self) -> None:
        self._answer(head=True)

    def do_GET(self) -> None:
        self._answer(head=False)

    def do_POST(self) -> None:
        self._written()

    def do_PUT(self) -> None:
        self._written()

    def _written(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        authorization = self.headers.get("Authorization")
        seen = Seen(self.command, path, "", None, authorization, self.headers.get("User-Agent") or "")
        self.owner.log.append(seen)
        fault = self.owner.script.now(path)
        if fault is not None and fault.kind == "status":
            answer = Answer(fault.status, b"scripted", dict(fault.headers))
        else:
            answer = commits.write(self.owner, self.command, path, body, authorization)
        self._send(answer, seen, None, head=False)

    def _answer(self, *, head: bool) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        get: Callable[[str], str | None] = self.headers.get
        seen = Seen(self.command, path, address.query, get("Range"), get("Authorization"), get("User-Agent") or "")
        self.owner.log.append(seen)
        fault = None if head else self.owner.script.now(path)
        try:
            if fault is not None and fault.kind == "status":
                answer = Answer(fault.status, b"scripted", dict(fault.headers))
            elif fault is not None and fault.kind == "redirect":
                answer = Answer(302, b"", {"Location": fault.to})
            else:
                answer = hub.answer(self.owner, path, parse_qs(address.query), seen.authorization)
            self._send(answer, seen, fault, head=head)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, answer: Answer, seen: Seen, fault: Fault | None, *, head: bool) -> None:
        size = len(answer.body)
        start, stop, status = 0, size, answer.status
        headers = dict(answer.headers)
        kind = fault.kind if fault else ""
        if seen.range and status == 200 and kind != "ignore_range" and not self._changed(headers):
            start, stop = _range(seen.range, size)
            status = 206 if start < stop else 416
            if kind == "shift_range":
                start, stop = start + 1, min(stop + 1, size)
            if kind == "late_range":
                start += 1
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}" if start < stop else f"bytes */{size}"
        length = max(stop - start, 0)
        if fault is not None and kind in ("length", "cut_length"):
            length += fault.after if kind == "length" else -fault.after
            stop = start + length if kind == "cut_length" else stop
        seen.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if kind == "encoding":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if not head:
            self._body(answer.body, (start, stop), seen, fault)

    def _changed(self, headers: dict[str, str]) -> bool:
        """Whether If-Range names another version, so that the whole file must be sent."""
        wanted = self.headers.get("If-Range")
        return wanted is not None and wanted != headers.get("ETag")

    def _body(self, body: Body, span: tuple[int, int], seen: Seen, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        for block in blocks(body, *span):
            out = bytes(b ^ 0xFF for b in block) if kind == "wrong" else block
            if fault is not None and kind == "cut" and seen.sent + len(out) >= fault.after:
                out = out[: fault.after - seen.sent]
                self._write(out, seen)
                self.close_connection = True
                return
            if fault is not None and kind == "drip":
                self._drip(out, seen, fault)
                continue
            self._write(out, seen)
        if kind == "length":
            self.close_connection = True

    def _drip(self, block: bytes, seen: Seen, fault: Fault) -> None:
        quick = max(0, fault.after - seen.sent)
        self._write(block[:quick], seen)
        for byte in block[quick:]:
            time.sleep(fault.seconds)
            self._write(bytes([byte]), seen)

    def _write(self, data: bytes, seen: Seen) -> None:
        # Counted first: the client may look at the log as soon as it has the bytes.
        seen.sent += len(data)
        self.wfile.write(data)
        self.wfile.flush()


def _range(header: str, size: int) -> tuple[int, int]:
    """First and past-the-end byte of 'bytes=a-b', 'bytes=a-' or 'bytes=-n'."""
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1 if last else size, size)
