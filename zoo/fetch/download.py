"""Whole files: once a node, resumed when cut, verified, then moved into place.

A part that was cut is continued with If-Range when the server names a strong version of the file, or when a checksum
will tell in the end. Files without a checksum are kept for as long as the cache keeps them: give checksums.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import Any

import httpx2

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch import unzip
from zoospectra.zoo.fetch.cache import PART, disk_errors
from zoospectra.zoo.fetch.client import announced, check_size
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.locator import Locator, locate
from zoospectra.zoo.fetch.session import Session, session

CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
LINKED = re.compile(r'"([0-9a-f]{64})"')
"""X-Linked-ETag of the hub: the sha256 of a file in large-file storage."""


@dataclass(slots=True)
class _Part:
    """An unfinished download."""

    have: int = 0
    """Bytes on disk."""
    etag: str | None = None
    """Strong validator of the version that they belong to."""
    linked: str | None = None
    """sha256 that the hub names."""
    size: int | None = None
    """Bytes of the whole file, as far as the server says."""
    broken: bool = False
    """Whether the server's answers to a resumption made no sense."""


def download(
    url: str, *, checksum: str | None = None, expected_size: int | None = None, within: Session | None = None
) -> Path:
    """Local path of a remote file or locator, fetched unless this node has it already.

    `checksum` is 'sha256:<hex>' or 'sha1:<hex>', whole or a prefix of at least 6 digits; both it and `expected_size`
    (bytes) may stand in the locator instead. FetchError: a reason of zoo.fetch.errors, 'unsafe', or 'too_large'.
    The file is held in the cache until this process was given HELD others. Equivalent to `pooch.retrieve`.
    """
    node = within or session()
    locator = _with(locate(url), checksum, expected_size)
    path = node.cache.path("files", locator.key, locator.suffix)
    known = node.cache.get(path)
    if known is not None:
        return known
    with node.cache.lock(locator.key):
        return node.cache.get(path) or _fetch(locator, path, node)


def _with(locator: Locator, checksum: str | None, size: int | None) -> Locator:
    """The locator with what the call knows besides."""
    kind, _, digits = (checksum or "").partition(":")
    if checksum and kind not in ("sha256", "sha1"):
        msg = f"checksum {checksum[:80]!r}: expected sha256:<hex> or sha1:<hex>"
        raise ValueError(msg)
    return Locator(
        locator.url,
        digits if kind == "sha256" else locator.sha256,
        digits if kind == "sha1" else locator.sha1,
        size if size is not None else locator.size,
        locator.unzip,
    )


def _fetch(locator: Locator, path: Path, node: Session) -> Path:
    part = path.with_name(path.name + PART)
    notes = path.with_name(path.name + ".json" + PART)
    with disk_errors(f"{locator.url}: "):
        part.parent.mkdir(parents=True, exist_ok=True)
        wrong, broken = node.cache.with_room(lambda: _tried(locator, part, notes, node))
        if wrong and broken:
            raise FetchError(Reason.UNREADABLE, wrong)
        notes.unlink(missing_ok=True)
        if wrong:
            part.unlink(missing_ok=True)
            raise FetchError(Reason.CHECKSUM_MISMATCH, f"{locator.url}: {wrong}; the file was deleted")
        if locator.unzip:
            node.cache.with_room(lambda: _unpack(part, locator, node.cache.bound))
    return node.cache.place(part, path)


def _tried(locator: Locator, part: Path, notes: Path, node: Session) -> tuple[str | None, bool]:
    """Receive a file, or what is missing of it; what is wrong with it, and whether the server's answers were."""
    with part.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        state = _resumable(file, notes, locator)
        resumed = state.have > 0
        wrong = _attempt(locator, file, state, notes, node)
        if wrong and (resumed or state.broken):
            # What was kept may be of another version: one try from the start, then the checksum decides.
            file.truncate(0)
            state = _Part()
            wrong = _attempt(locator, file, state, notes, node)
    return wrong, state.broken


def _attempt(locator: Locator, file: BufferedRandom, state: _Part, notes: Path, node: Session) -> str | None:
    """Receive what is missing and verify; what is wrong with the bytes, None when nothing is."""
    try:
        if state.size is None or state.have != state.size:
            _receive(locator, file, state, notes, node)
    except FetchError as error:
        if error.reason != Reason.UNREADABLE:
            raise
        state.broken = True
        return error.detail
    return _unlike(file, locator, state)


def _resumable(file: BufferedRandom, notes: Path, locator: Locator) -> _Part:
    """What an earlier try left; nothing when it cannot be continued safely."""
    have = file.seek(0, 2)
    try:
        noted = json.loads(notes.read_text(encoding="utf-8"))
        state = _Part(have, noted["etag"], noted["linked"], noted["size"])
    except (OSError, ValueError, TypeError, KeyError):
        return _Part()
    certain = state.etag or locator.sha256 or locator.sha1
    return state if certain and (state.size is None or have <= state.size) else _Part()


def _receive(locator: Locator, file: BufferedRandom, state: _Part, notes: Path, node: Session) -> None:
    """Get what is missing, over as many tries as it takes."""

    def headers() -> Mapping[str, str]:
        if not state.have:
            return {}
        return {"Range": f"bytes={state.have}-", **({"If-Range": state.etag} if state.etag else {})}

    def take(response: httpx2.Response, blocks: Iterator[bytes]) -> None:
        total = _start(response, state, file, locator)
        check_size(total, node.cache.bound, locator.url)
        state.size = total
        noted = {"etag": state.etag, "linked": state.linked, "size": total}
        notes.write_text(json.dumps(noted), encoding="utf-8")
        for block in blocks:
            file.write(block)
            file.flush()
            state.have += len(block)
            check_size(state.have, node.cache.bound, locator.url)

    node.client.get(locator.url, take, headers)


def _start(response: httpx2.Response, state: _Part, file: BufferedRandom, locator: Locator) -> int | None:
    """Where the answer's body belongs: at the end of the part, or a whole file at its start; the total size."""
    first = response.history[0] if response.history else response
    linked = LINKED.fullmatch(first.headers.get("x-linked-etag", ""))
    state.linked = linked[1] if linked else state.linked
    if response.status_code == 206:
        span = CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if span is None or int(span[1]) != state.have or int(span[2]) + 1 != int(span[3]):
            got = response.headers.get("content-range", "")[:80]
            raise FetchError(Reason.UNREADABLE, f"{locator.url}: asked for bytes from {state.have}, got {got!r}")
        return int(span[3])
    file.truncate(0)
    state.have = 0
    etag = response.headers.get("etag", "")
    state.etag = etag if etag.startswith('"') else None
    return announced(response)


def _unlike(file: BufferedRandom, locator: Locator, state: _Part) -> str | None:
    """How the bytes differ from what is known of them; None when they do not. An archive is checked when unpacked."""
    if state.size is not None and state.have != state.size:
        return f"the server announced {state.size} bytes and sent {state.have}"
    if locator.unzip:
        return None
    return mismatch(file, locator, state.linked)


def mismatch(file: BufferedReader | BufferedRandom, locator: Locator, linked: str | None = None) -> str | None:
    """What about the bytes of a file is not what its locator, or the hub, says; None when all agrees."""
    size = file.seek(0, 2)
    if locator.size is not None and size != locator.size:
        return f"expected {locator.size} bytes, got {size}"
    for kind, wanted in (("sha256", locator.sha256), ("sha256", linked), ("sha1", locator.sha1)):
        if wanted:
            file.seek(0)
            digest = hashlib.file_digest(file, _hashes()[kind]).hexdigest()
            if not digest.startswith(wanted):
                return f"expected {kind} {wanted}, got {digest}"
    return None


def _hashes() -> dict[str, Callable[[], Any]]:
    return {"sha256": hashlib.sha256, "sha1": lambda: hashlib.sha1(usedforsecurity=False)}


def _unpack(part: Path, locator: Locator, bound: int) -> None:
    """Replace an archive by the one file in it, and verify that."""
    inner = part.with_name("unpacked-" + part.name)
    try:
        unzip.only_file(part, inner, bound)
        with inner.open("rb") as file:
            wrong = mismatch(file, locator)
        if wrong:
            raise FetchError(Reason.CHECKSUM_MISMATCH, f"{locator.url}, unpacked: {wrong}; the file was deleted")
        inner.replace(part)
    except FetchError:
        part.unlink(missing_ok=True)
        raise
    finally:
        inner.unlink(missing_ok=True)
