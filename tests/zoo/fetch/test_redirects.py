"""Redirects into internal networks and other schemes: by addresses, and with a real server that tries."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from zoospectra.zoo.fetch.client import Client
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.limiter import Limiter
from zoospectra.zoo.fetch.redirects import addresses, forbidden, why_not
from zoospectra.zoo.fetch.settings import FetchSettings

PUBLIC, LOOPBACK, PRIVATE, METADATA = "93.184.216.34", "127.0.0.1", "10.1.2.3", "169.254.169.254"


def refused(source: str, target: str) -> bool:
    return forbidden([ipaddress.ip_address(source)], [ipaddress.ip_address(target)]) is not None


INSIDE = [LOOPBACK, PRIVATE, METADATA, "::1", "fe80::1", "fd00::1", "192.168.0.1", "0.0.0.0", "::"]
RESERVED = ["100.100.100.200", "224.0.0.1", "240.0.0.1", "ff02::1", "fec0::1", "192.0.0.192", "64:ff9b:1::7f00:1"]
"""The first is the metadata service of a cloud."""


@pytest.mark.parametrize("target", INSIDE + RESERVED)
def test_a_public_server_sends_nobody_inside(target: str) -> None:
    assert refused(PUBLIC, target)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (PUBLIC, "1.1.1.1", False),
        (LOOPBACK, PUBLIC, False),
        (LOOPBACK, LOOPBACK, False),
        (LOOPBACK, PRIVATE, False),
        (PRIVATE, "192.168.0.1", False),
        (LOOPBACK, METADATA, True),
        (PRIVATE, METADATA, True),
        (METADATA, METADATA, False),
    ],
)
def test_an_internal_server_may_name_its_like(source: str, target: str, expected: bool) -> None:
    assert refused(source, target) is expected


def test_an_address_inside_an_address_counts() -> None:
    for text in ("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1", "2130706433", "0x7f.1", "127.1"):
        assert set(addresses(text)) == {ipaddress.ip_address("127.0.0.1")}, text
    assert addresses("::1") == [ipaddress.ip_address("::1")]
    assert why_not(f"http://{PUBLIC}/", "http://[::ffff:127.0.0.1]/") is not None
    assert why_not(f"http://{PUBLIC}/", "http://localhost:9/") is not None
    assert why_not(f"http://{PUBLIC}/", "http://[fe80::1%25eth0]/") is not None


def test_a_redirect_keeps_its_encryption_and_names_an_address() -> None:
    assert why_not(f"https://{PUBLIC}/x", f"http://{PUBLIC}/x") is not None
    assert why_not(f"https://{PUBLIC}/x", "https://1.1.1.1/x") is None
    assert why_not(f"http://{PUBLIC}/x", f"https://{PUBLIC}/x") is None
    assert why_not(f"http://{PUBLIC}/x", "http://[::1") is not None


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            targets = {
                "/meta": f"http://{METADATA}/latest/meta-data/",
                "/file": "file:///etc/passwd",
                "/socket": "http+unix://%2Fvar%2Frun%2Fdocker.sock/x",
                "/near": "/body",
            }
            body = b"" if self.path in targets else b"body"
            self.send_response(302 if self.path in targets else 200)
            if self.path in targets:
                self.send_header("Location", targets[self.path])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize("path", ["/meta", "/file", "/socket"])
def test_a_server_that_tries_is_unsafe_and_nothing_is_asked(server: str, path: str, tmp_path) -> None:
    settings = FetchSettings(attempts=1, timeout=2, max_wait=1)
    client = Client(settings, Limiter(settings, tmp_path))
    with pytest.raises(FetchError, match="redirected to") as caught:
        client.small(server + path, 100)
    assert caught.value.reason == "unsafe"
    assert client.small(server + "/near", 100).body == b"body"


REBINDING = """
import socket, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zoospectra.zoo.fetch.client import Client
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.limiter import Limiter
from zoospectra.zoo.fetch.settings import FetchSettings

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        served.append(self.server.server_address[0])
        host = self.path[1:]
        self.send_response(302 if host else 200)
        if host:
            self.send_header("Location", f"http://{host}:{port}/")
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

served, port = [], 8080
for address in ("127.0.0.1", "93.184.216.34", "169.254.169.254"):
    server = ThreadingHTTPServer((address, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
names = {
    "steady.test": ["93.184.216.34"],
    "later.test": ["93.184.216.34", "127.0.0.1"],
    "meta.test": ["1.1.1.1", "169.254.169.254"],
    "hub.test": ["93.184.216.34", "127.0.0.1"],
}
real = socket.getaddrinfo
def resolve(host, *rest, **more):
    name = host.decode() if isinstance(host, bytes) else host
    answers = names.get(name, [name])
    return real(answers.pop(0) if len(answers) > 1 else answers[0], *rest, **more)
socket.getaddrinfo = resolve
settings = FetchSettings(attempts=1, timeout=5, max_wait=1)
client = Client(settings, Limiter(settings, Path(sys.argv[1])))
for path in ("", "/steady.test", "/later.test", "/meta.test"):
    try:
        print(path, client.small(f"http://steady.test:{port}{path}", 100).body, sorted(set(served)))
    except FetchError as error:
        print(path, error.reason, error.detail, sorted(set(served)))
for _ in range(2):
    client._http._transport._pool.close()
    try:
        print("hub", client.small(f"http://hub.test:{port}/", 100).body, sorted(set(served)))
    except FetchError as error:
        print("hub", error.reason, error.detail, sorted(set(served)))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    subprocess.run(["unshare", "-n", "ip", "link"], check=False, capture_output=True).returncode != 0,
    reason="needs a network of its own",
)
def test_a_name_that_is_another_address_a_moment_later_is_asked_for_nothing(tmp_path: Path) -> None:
    """Real servers at a public, a loopback and a link-local address in a network of their own; names that change."""
    up = "ip link set lo up && ip addr add 93.184.216.34/32 dev lo && ip addr add 169.254.169.254/32 dev lo"
    code = f'{up} && exec {sys.executable} -c "$CODE" {tmp_path}'
    environment = os.environ | {"CODE": REBINDING}
    ended = subprocess.run(
        ["unshare", "-n", "bash", "-c", code], check=False, capture_output=True, text=True, env=environment, timeout=60
    )
    public = "['93.184.216.34']"
    assert ended.stdout.splitlines() == [
        f" b'' {public}",
        f"/steady.test b'' {public}",
        "/later.test unsafe http://steady.test:8080/later.test: "
        f"later.test: a loopback address (127.0.0.1), which is not asked {public}",
        "/meta.test unsafe http://steady.test:8080/meta.test: "
        f"meta.test: a link-local address (169.254.169.254), which is not asked {public}",
        f"hub b'' {public}",
        "hub unsafe http://hub.test:8080/: hub.test has answered from 93.184.216.34 and is now a loopback address "
        f"(127.0.0.1), which is not asked {public}",
    ], ended.stderr
