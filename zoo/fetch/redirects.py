"""Where a server may send us: over http(s), and into internal networks only if it is internal itself.

A hub's answer must not make a worker ask the metadata service of its cloud, or a server behind the firewall. Not
covered: a name that resolves to another address a moment later (peers.py), and names that only a proxy can resolve.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

TRANSLATED = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""Networks whose addresses end in an IPv4 address: NAT64 (RFC 6052), and the IPv4-compatible ones of RFC 4291."""

RESERVED = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "64:ff9b:1::/48", "5f00::/16")))
"""Networks that no server of the public has, which older Pythons call global; a cloud's metadata are in the first."""

KINDS = ("link_local", "loopback", "private", "site_local", "multicast")
"""Kinds of internal addresses; what is none of these and not public either is reserved."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def why_not(asked: str, target: str, sources: Iterable[Address] | None = None) -> str | None:
    """Why a redirect of the address that was asked for to `target` is not followed; None when it is.

    sources: where the asked host has answered; None for what its name resolves to.
    """
    try:
        to = urlsplit(target)
    except ValueError as error:
        return f"redirected to {target[:200]}: {error}"
    if to.scheme not in ("http", "https"):
        return f"redirected to {target[:200]}: expected http or https"
    if to.scheme == "http" and urlsplit(asked).scheme == "https":
        return f"redirected to {target[:200]}: expected https, which was asked for"
    if (to.scheme, to.netloc) == urlsplit(asked)[:2]:
        return None
    known = addresses(urlsplit(asked).hostname or "") if sources is None else sources
    why = forbidden(known, addresses(to.hostname or ""))
    return f"redirected to {target[:200]}: {why}" if why else None


def forbidden(sources: Iterable[Address], targets: Iterable[Address]) -> str | None:
    """What is wrong with targets by their addresses: internal ones are for internal servers, link-local for such."""
    known = list(sources)
    for address in targets:
        kind = next((kind for kind in KINDS if getattr(address, f"is_{kind}", False)), None)
        if kind is None and (not address.is_global or any(address in network for network in RESERVED)):
            kind = "reserved"  # 100.64.0.0/10, where some clouds keep their metadata, among others
        if kind is None:
            continue
        allowed = (source.is_link_local if kind == "link_local" else not source.is_global for source in known)
        if not any(allowed):
            return f"a {kind.replace('_', '-')} address ({address}), which is not asked"
    return None


def addresses(host: str) -> list[Address]:
    """Addresses of a host; none when this machine cannot resolve it."""
    try:
        resolved = socket.getaddrinfo(host.partition("%")[0], None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [plain(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])) for entry in resolved]


def plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where there is one: ::ffff:127.0.0.1 and 64:ff9b::7f00:1 are loopback."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    tunnel = address.teredo[1] if address.teredo else None
    inner = address.ipv4_mapped or address.sixtofour or tunnel
    if inner is None and int(address) > 1 and any(address in network for network in TRANSLATED):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner if inner is not None else address
