"""Redirects into internal networks and other schemes: by addresses, and with a real server that tries."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from zoospectra.zoo.fetch.client import Client
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.limiter import Limiter
from zoospectra.zoo.fetch.redirects import addresses, forbidden, why_not
from zoospectra.zoo.fetch.settings import FetchSettings

PUBLIC, LOOPBACK, PRIVATE, METADATA = "93.184.216.34", "127.0.0.1", "10.1.2.3", "169.254.169.254"


def refused(source: str, target: str) -> bool:
    return forbidden([ipaddress.ip_address(source)], [ipaddress.ip_address(target)], "http://x/") is not None


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
