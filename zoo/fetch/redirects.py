"""Where a server may send us: over http(s), and into internal networks only if it is internal itself.

A hub's answer must not make a worker ask the metadata service of its cloud, or a server behind the firewall. Not
covered: a name that resolves to another address a moment later, and names that only a proxy can resolve.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def why_not(asked: str, target: str) -> str | None:
    """Why a redirect of the address that was asked for to `target` is not followed; None when it is."""
    to = urlsplit(target)
    if to.scheme not in ("http", "https"):
        return f"redirected to {target[:200]}: expected http or https"
    if (to.scheme, to.netloc) == urlsplit(asked)[:2]:
        return None
    return forbidden(addresses(urlsplit(asked).hostname or ""), addresses(to.hostname or ""), target)


def forbidden(sources: Iterable[Address], targets: Iterable[Address], target: str) -> str | None:
    """The same by the addresses of both: internal ones are for internal servers, link-local for link-local."""
    known = list(sources)
    for address in targets:
        kind = next((kind for kind in ("link_local", "loopback", "private") if getattr(address, f"is_{kind}")), None)
        if kind is None:
            continue
        allowed = (source.is_link_local if kind == "link_local" else source.is_private for source in known)
        if not any(allowed):
            return f"redirected to {target[:200]}: a {kind.replace('_', '-')} address ({address}), which is not asked"
    return None


def addresses(host: str) -> list[Address]:
    """Addresses of a host; none when this machine cannot resolve it."""
    try:
        resolved = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [_plain(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])) for entry in resolved]


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where there is one: ::ffff:127.0.0.1 is loopback too."""
    inner = getattr(address, "ipv4_mapped", None)
    return inner if inner is not None else address
