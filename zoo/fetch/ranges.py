"""Byte ranges, strictly: 206 with exactly the asked Content-Range, or an error; neighbours in one request.

A range that is cut is continued where it stopped. Ranges carry no checksum: what pins them is the commit in the
address, and that every answer names the same size. Not covered: several ranges in one request, which hubs refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import httpx2

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch.client import TryAgainError, announced
from zoospectra.zoo.fetch.errors import FetchError, RangeIgnoredError
from zoospectra.zoo.fetch.session import Session, session

CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes of a remote file."""

    start: int
    """First byte."""
    stop: int
    """Past the last byte."""


@dataclass(slots=True)
class _Reading:
    """How far a range has come."""

    at: int
    """Next byte."""
    stop: int
    """Past the last byte; less than asked when the file ends before."""
    total: int | None = None
    """Bytes of the whole file."""


def read_range(url: str, start: int, stop: int, *, within: Session | None = None) -> bytes:
    """Bytes start to stop of a remote file, in memory; FetchError as stream_range says."""
    kept = bytearray()
    stream_range(url, start, stop, kept.extend, within=within)
    return bytes(kept)


def stream_range(
    url: str,
    start: int,
    stop: int,
    write: Callable[[bytes], object],
    *,
    within: Session | None = None,
    clip: bool = False,
) -> int:
    """Write bytes start to stop of a remote file in order; the size of the whole file in bytes.

    `clip`: a file that ends before `stop` is no error. RangeIgnoredError when the server sends the whole file instead
    (nothing of it is read); FetchError 'unreadable' for a file that is too short or changes, 'unreachable' when the
    server goes on sending another range than asked for, ValueError for an empty range.
    """
    if not 0 <= start < stop:
        msg = f"range {start} to {stop} of {url}: expected 0 <= start < stop"
        raise ValueError(msg)
    reading = _Reading(start, stop)

    def headers() -> Mapping[str, str]:
        return {"Range": f"bytes={reading.at}-{reading.stop - 1}"}

    def take(response: httpx2.Response, blocks: Iterator[bytes]) -> None:
        _check(response, reading, url, clip=clip)
        for block in blocks:
            reading.at += len(block)
            if reading.at > reading.stop:
                raise FetchError(Reason.UNREADABLE, f"{url}: more bytes than the range holds")
            write(block)
        if reading.at != reading.stop:
            raise TryAgainError(f"the range ended at byte {reading.at} of {reading.stop}")

    (within or session()).client.get(url, take, headers, steady=True)
    assert reading.total is not None
    return reading.total


def _check(response: httpx2.Response, reading: _Reading, url: str, *, clip: bool) -> None:
    """The answer is the asked range of the file that earlier answers spoke of, or an error."""
    if response.status_code != 206:
        raise RangeIgnoredError(Reason.UNREADABLE, f"{url}: asked for a range, got status {response.status_code}")
    text = response.headers.get("content-range", "")
    match = CONTENT_RANGE.fullmatch(text)
    if match is None:
        raise TryAgainError(f"status 206 with Content-Range {text[:80]!r}")
    first, last, total = int(match[1]), int(match[2]), int(match[3])
    wanted = min(reading.stop, total) if clip else reading.stop
    length = announced(response)
    detail = f"asked for bytes {reading.at} to {wanted}, got {text[:80]!r} with {length} bytes"
    if last + 1 == total < wanted:
        raise FetchError(Reason.UNREADABLE, f"{url}: {detail}: the file is shorter than it was said to be")
    if first != reading.at or last + 1 != wanted or (length is not None and length != wanted - first):
        raise TryAgainError(detail)
    if reading.total is not None and total != reading.total:
        raise FetchError(Reason.UNREADABLE, f"{url}: the file had {reading.total} bytes and now has {total}")
    reading.stop, reading.total = wanted, total


def coalesce(ranges: Sequence[ByteRange], gap: int, longest: int) -> list[list[ByteRange]]:
    """Groups of ranges for one request each: neighbours at most `gap` bytes apart, together at most `longest` bytes.

    A range longer than `longest` is a group of its own. Order is by first byte; overlapping ranges share a group.
    """
    groups: list[list[ByteRange]] = []
    for span in sorted(ranges, key=lambda span: (span.start, span.stop)):
        last = groups[-1] if groups else None
        end = max(known.stop for known in last) if last else 0
        if last and span.start - end <= gap and max(end, span.stop) - last[0].start <= longest:
            last.append(span)
        else:
            groups.append([span])
    return groups
