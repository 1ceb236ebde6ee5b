"""Locators: an URL, and in its fragment what is known of the bytes behind it. Pure.

    https://host/path/net.pth
    https://host/path/net.pth#sha256=1f0a...            full hash, or its first 6 or more hex digits
    https://host/path/net.pth.zip#sha1=77ab...&unzip=1  the archive's only file is wanted; checksum and size are its
    refused://gated/?detail=...                         nothing to fetch: the catalog already knows why

The fragment is never sent. Not covered: schemes other than http and https.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch.errors import FetchError

HEX = re.compile(r"[0-9a-f]{6,64}")
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,12}")
LENGTHS = {"sha256": 64, "sha1": 40}
"""Hash -> hex digits of a whole one."""


@dataclass(frozen=True, slots=True)
class Locator:
    """One remote file."""

    url: str
    """Address without fragment."""
    sha256: str | None = None
    """sha256 of the wanted bytes, lower-case hex, or a prefix of it of at least 6 digits."""
    sha1: str | None = None
    """sha1 of the wanted bytes, lower-case hex, or a prefix of it of at least 6 digits."""
    size: int | None = None
    """Bytes."""
    unzip: bool = False
    """Whether the address is a zip archive of which the only file is wanted."""

    @property
    def key(self) -> str:
        """Name in the cache: nothing of the address itself is ever part of a path."""
        return hashlib.sha256(text_of(self).encode()).hexdigest()[:40]

    @property
    def suffix(self) -> str:
        """Suffix of the wanted file, '.pth'; empty when the address has none that is safe as part of a name."""
        name = urlsplit(self.url).path.rpartition("/")[2]
        if self.unzip:
            name = name.removesuffix(".zip")
        match = SUFFIX.fullmatch("." + name.rpartition(".")[2]) if "." in name else None
        return match[0].lower() if match else ""

    @property
    def name(self) -> str:
        """Last part of the address, for messages."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])[:200]

    @property
    def ranged(self) -> bool:
        """Whether its tensors are read by byte range; everything else is downloaded whole."""
        return self.suffix == ".safetensors" and not self.unzip


def is_remote(path: str) -> bool:
    """Whether a path is a locator and not a path of this machine."""
    return "://" in path


def locate(text: str) -> Locator:
    """Parse a locator; FetchError 'unsafe' for another scheme, a malformed address, or a malformed checksum."""
    if text.startswith("refused://"):
        raise _refusal(text)
    address, _, fragment = text.partition("#")
    try:
        parts = urlsplit(address)
        host = parts.hostname
        values = dict(parse_qsl(fragment, strict_parsing=True)) if fragment else {}
        size = int(values["size"]) if "size" in values else None
    except ValueError as error:
        raise FetchError(Reason.UNSAFE, f"{text[:200]!r} is no locator: {error}") from error
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise FetchError(Reason.UNSAFE, f"{text[:200]!r}: expected http(s)://host/path without credentials")
    for name, digits in LENGTHS.items():
        value = values.get(name)
        if value is not None and (not HEX.fullmatch(value) or len(value) > digits):
            raise FetchError(
                Reason.UNSAFE, f"{name}={value[:80]!r} of {address[:200]}: expected 6 to {digits} hex digits"
            )
    return Locator(address, values.get("sha256"), values.get("sha1"), size, values.get("unzip") == "1")


def text_of(locator: Locator) -> str:
    """The locator as text; `locate` reverses it."""
    values = {
        "sha256": locator.sha256,
        "sha1": locator.sha1,
        "size": locator.size,
        "unzip": 1 if locator.unzip else None,
    }
    fragment = urlencode({name: value for name, value in values.items() if value is not None})
    return locator.url + ("#" + fragment if fragment else "")


def refused(reason: Reason, detail: str) -> str:
    """Locator of a model that cannot be had, with the reason; opening it raises exactly that and asks no server."""
    return f"refused://{reason}/?detail={quote(detail, safe='')}"


def _refusal(text: str) -> FetchError:
    parts = urlsplit(text)
    try:
        return FetchError(Reason(parts.netloc), unquote(parts.query.removeprefix("detail=")))
    except ValueError as error:
        return FetchError(Reason.UNSAFE, f"{text[:200]!r} is no locator: {error}")


def sibling(url: str, name: str) -> str:
    """Address of a file in the same folder; FetchError 'unsafe' when `name` is not a plain file name."""
    if not name or len(name) > 255 or name in (".", "..") or any(c in name for c in "/\\\0") or not name.isprintable():
        raise FetchError(Reason.UNSAFE, f"{name[:80]!r} is no plain file name")
    return url.rpartition("/")[0] + "/" + quote(name)


class Origin(NamedTuple):
    """Server of an address (RFC 6454)."""

    scheme: str
    """'https', ..."""
    host: str
    """Name, or '' where there is none."""
    port: int | None
    """Port; the scheme's where the address has none."""


def origin(url: str) -> Origin:
    """Server of an address, with the default port filled in."""
    parts = urlsplit(url)
    return Origin(parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme))
