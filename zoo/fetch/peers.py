"""Who really answers: the addresses of connections, since a name may resolve to another one a moment later.

A redirect is judged by the names in it before it is followed, and again by the address that the connection was made to,
before anything is sent on it. A host that has answered from the public stays there. Not covered: what a proxy connects
to, which it alone knows.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.redirects import Address, addresses, forbidden, plain, why_not

BEGUN, MADE = "connection.connect_tcp.started", "connection.connect_tcp.complete"
"""Events of httpcore's extension `trace`: a connection is tried, and there."""


class Peers:
    """The hosts that one client is connected to."""

    def __init__(self) -> None:
        self._known: dict[str, Address] = {}

    def of(self, host: str) -> list[Address]:
        """Where a host answered last; what its name resolves to where it has not yet."""
        return [self._known[host]] if host in self._known else addresses(host)

    def meet(self, host: str, peer: Address, asked: str) -> str | None:
        """Why nothing is sent to a host that a connection was made to; None where it may be."""
        if host != asked and (why := forbidden(self.of(asked), [peer])):
            return f"{host}: {why}"
        known = self._known.get(host)
        if known is not None and (why := forbidden([known], [peer])):
            return f"{host} has answered from {known} and is now {why}"
        self._known[host] = peer
        return None


class Trail:
    """One request and where it is sent on to; called with the events of its connections. FetchError 'unsafe'."""

    def __init__(self, url: str, peers: Peers) -> None:
        self._url, self._peers = url, peers
        self._asked = self._host = urlsplit(url).hostname or ""
        self._tried = ""

    def follow(self, target: str) -> None:
        """Go to the next address, the first one included; FetchError where the names in it refuse that."""
        if target != self._url and (why := why_not(self._url, target, self._peers.of(self._asked))):
            raise FetchError(Reason.UNSAFE, f"{self._url}: {why}")
        self._host = urlsplit(target).hostname or ""

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """FetchError where a connection was made to a refused address; one to a proxy is none of its target's."""
        if event == BEGUN:
            self._tried = str(info["host"])
        elif event == MADE and self._tried == self._host:
            stream = info["return_value"]
            peer = plain(ipaddress.ip_address(str(stream.get_extra_info("server_addr")[0]).partition("%")[0]))
            if why := self._peers.meet(self._host, peer, self._asked):
                stream.close()
                raise FetchError(Reason.UNSAFE, f"{self._url}: {why}")
