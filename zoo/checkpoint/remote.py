"""Remote checkpoints: opened by their headers, tensor bytes fetched when a worker wants them.

A remote tensor is a TensorRef whose path is a locator. `local` turns it into one whose path is a file of this node: the
tensor's own bytes for safetensors, the whole download for every other format. So references travel to any node, and
what was evicted is simply fetched again. Nothing here decides what a file means: the readers in formats/ do.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.shards import ADAPTER_CONFIG, CONFIGS, MAX_INDEX, is_model_folder, weight_map
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.fetch.download import download
from zoospectra.zoo.fetch.errors import FetchError, RangeIgnoredError
from zoospectra.zoo.fetch.locator import Locator, is_remote, locate, sibling, text_of
from zoospectra.zoo.fetch.ranges import ByteRange, coalesce, read_range, stream_range
from zoospectra.zoo.fetch.session import Session, session
from zoospectra.zoo.fetch.settings import hub_token

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")
"""Names of remote files that are harmless as local ones."""

PINNED = re.compile(r"/resolve/[0-9a-f]{40}/")
"""In the address of a file whose bytes never change."""

MAX_HEADER = 25_000_000
"""Largest safetensors header in bytes, as huggingface_hub.constants.SAFETENSORS_MAX_HEADER_LENGTH."""

COALESCE_GAP = 1 << 16
"""Unwanted bytes between two wanted tensors that one request may read over, to save the second request."""
COALESCE_SPAN = 64 << 20
"""Bytes that one coalesced request may hold in memory."""
HEADER_GUESS = 100_000
"""Bytes of a safetensors file that are asked for at first; most headers fit."""

__all__ = ["is_remote", "local", "open_remote", "prefetched"]


def open_remote(text: str, open_local: Callable[[str], Checkpoint]) -> Checkpoint:
    """Open a remote weight file, or the index of its shards, with the local reader; its refs are locators.

    Headers of safetensors and small JSON files are put into a folder that looks like a download of the model; files
    of other formats are downloaded. CheckpointError as `open_local` says, FetchError for what could not be had.
    """
    current = session()
    locator = locate(text)
    with tempfile.TemporaryDirectory(dir=current.cache.root, prefix="opening-") as folder:
        places = _skeleton(locator, Path(folder), current)
        start = folder if is_model_folder(Path(folder)) else str(next(iter(places)))
        try:
            opened = open_local(start)
        except CheckpointError as error:
            if isinstance(error, FetchError):
                raise
            raise CheckpointError(error.reason, _with_address(error.detail, folder, locator)) from error
        tensors = tuple(replace(ref, path=text_of(places[Path(ref.path)])) for ref in opened.tensors)
        skips = tuple(replace(skip, detail=_with_address(skip.detail, folder, locator)) for skip in opened.skips)
    return replace(opened, tensors=tensors, skips=skips)


def local(ref: TensorRef, within: Session | None = None) -> TensorRef:
    """The same tensor as a reference to a file of this node; fetches what is not here. A local ref comes back as it is.

    Map the file right away: the cache keeps it for as long as cache.HELD says. FetchError for what cannot be had.
    """
    if not is_remote(ref.path):
        return ref
    current = within or session()
    locator = locate(ref.path)
    if locator.ranged and ref.member is None and ref.nbytes:
        cached = _range_file(locator, ref, current)
        if cached is not None:
            return replace(ref, path=str(cached), offset=0)
    return replace(ref, path=str(download(ref.path, within=current)))


def prefetched(refs: Sequence[TensorRef], within: Session | None = None) -> Iterator[TensorRef]:
    """The same refs in the same order, with the bytes of neighbours fetched in one request when the first comes up.

    Never far ahead: a group has at most COALESCE_SPAN bytes, so that a checkpoint larger than the cache passes
    through it. Trouble is left for `local` to raise, where it concerns one tensor.
    """
    remote = [ref for ref in refs if is_remote(ref.path) and ref.member is None and ref.nbytes]
    if not remote:
        yield from refs
        return
    current = within or session()
    # Every tensor of a group points to the group; the first that is asked for fetches for all of them.
    groups: dict[TensorRef, list[TensorRef]] = {}
    for group in _groups(remote):
        groups.update(dict.fromkeys(group, group))
    for ref in refs:
        group = groups.get(ref, [])
        if len(group) > 1:
            for member in group:
                del groups[member]
            with contextlib.suppress(FetchError):
                _fetch_group(group, current)
        yield ref


def _groups(refs: Sequence[TensorRef]) -> Iterator[list[TensorRef]]:
    """Neighbours in one file that share a request."""
    files: dict[str, dict[ByteRange, TensorRef]] = {}
    for ref in refs:
        files.setdefault(ref.path, {})[ByteRange(ref.offset, ref.offset + ref.nbytes)] = ref
    for text, by_span in files.items():
        if locate(text).ranged:
            for group in coalesce(list(by_span), COALESCE_GAP, COALESCE_SPAN):
                yield [by_span[span] for span in group]


def _range_path(locator: Locator, ref: TensorRef, current: Session) -> Path:
    """Where the bytes of one tensor lie once they were fetched."""
    key = hashlib.sha256(f"{text_of(locator)} {ref.offset} {ref.nbytes}".encode()).hexdigest()[:40]
    return current.cache.path("ranges", key)


def _range_file(locator: Locator, ref: TensorRef, current: Session) -> Path | None:
    """File with the bytes of one tensor; None when only whole files can be had from its server."""
    path = _range_path(locator, ref, current)
    cached = current.cache.get(path)
    if cached is not None:
        return cached
    if current.cache.get(current.cache.path("files", locator.key, locator.suffix)) is not None:
        return None
    # Another worker of this node may be fetching the same bytes: who comes second finds them under the lock.
    with current.cache.lock(path.name):
        cached = current.cache.get(path)
        if cached is not None:
            return cached

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                stream_range(locator.url, ref.offset, ref.offset + ref.nbytes, file.write, within=current)

        try:
            return current.cache.put(path, write)
        except RangeIgnoredError:
            return None


def _fetch_group(group: Sequence[TensorRef], current: Session) -> None:
    """One request for neighbours that are not here yet; each tensor becomes a file of its own."""
    locator = locate(group[0].path)
    if current.cache.get(current.cache.path("files", locator.key, locator.suffix)) is not None:
        return
    with current.cache.lock(_range_path(locator, group[0], current).name):  # another process may be fetching them
        refs = [ref for ref in group if not _range_path(locator, ref, current).exists()]
        if not refs:
            return
        start = min(ref.offset for ref in refs)
        data = memoryview(read_range(locator.url, start, max(ref.offset + ref.nbytes for ref in refs), within=current))
        for ref in refs:
            piece = data[ref.offset - start : ref.offset - start + ref.nbytes]
            current.cache.put(_range_path(locator, ref, current), partial(_write, data=piece))


def _write(path: Path, data: memoryview) -> None:
    path.write_bytes(data)


def _is_index(locator: Locator) -> bool:
    return locator.suffix == ".json"


def _skeleton(locator: Locator, folder: Path, current: Session) -> dict[Path, Locator]:
    """Fill a folder with what the readers look at: local path -> what it stands for. The order is the index's."""
    at_hub = "/resolve/" in locator.url
    if not _is_index(locator):
        # The name may decide how it is read (adapter_model.safetensors), so it is kept where it is harmless.
        name = locator.name.removesuffix(".zip") if locator.unzip else locator.name
        name = name if PLAIN.fullmatch(name) else f"model{locator.suffix}"
        places = {folder / name: locator}
    else:
        index = _small(locator.url, current)
        names = tuple(dict.fromkeys(weight_map(index, locator.name).values()))
        stem = "pytorch_model.bin" if names[0].endswith(".bin") else "model.safetensors"
        (folder / f"{stem}.index.json").write_bytes(index)
        places = {folder / name: Locator(sibling(locator.url, name)) for name in names}
    for name in CONFIGS.values() if at_hub else ():
        if name != ADAPTER_CONFIG or locator.name.startswith("adapter_model."):
            _config(sibling(locator.url, name), folder / name, current)
    for path, source in places.items():
        # A second name for the cached file, which outlives its eviction.
        os.link(_header(source, current) if source.ranged else download(text_of(source), within=current), path)
    return places


def _config(url: str, path: Path, current: Session) -> None:
    """A small JSON file beside the weights, where there is one."""
    try:
        path.write_bytes(_small(url, current))
    except FetchError as error:
        if error.reason != Reason.NOT_FOUND:
            raise


def _small(url: str, current: Session) -> bytes:
    """A small JSON file; one of a commit is asked for once by each token, and so is one that is not there."""
    kept = current.cache.path("info", hashlib.sha256(f"{hub_token()} {url}".encode()).hexdigest()[:40])
    known = current.cache.get(kept) if PINNED.search(url) else None
    body = known.read_bytes() if known else b""
    if known is None:
        try:
            body = current.client.small(url, MAX_INDEX).body
        except FetchError as error:
            if error.reason != Reason.NOT_FOUND or not PINNED.search(url):
                raise
        if PINNED.search(url):
            current.cache.put(kept, lambda path: _write(path, memoryview(body)))
    if not body:
        raise FetchError(Reason.NOT_FOUND, f"{url}: the server does not have it")
    return body


def _header(locator: Locator, current: Session) -> Path:
    """A file of the remote one's size that holds its header and then nothing: for the reader, not for its tensors.

    The whole file where the server knows no ranges.
    """
    path = current.cache.path("headers", locator.key, locator.suffix)
    cached = current.cache.get(path)
    if cached is not None:
        return cached
    # One guess is enough for most headers; a longer one costs a second request for the rest.
    kept = bytearray()
    with current.cache.lock(locator.key):
        cached = current.cache.get(path)  # another process may have read it meanwhile
        if cached is not None:
            return cached
        try:
            total = stream_range(locator.url, 0, HEADER_GUESS, kept.extend, within=current, clip=True)
            end = _header_end(bytes(kept[:8]), total, locator)
            if end > len(kept):
                stream_range(locator.url, len(kept), end, kept.extend, within=current)
        except RangeIgnoredError:
            total = -1
        else:
            return current.cache.put(path, partial(_sparse, data=bytes(kept[:end]), size=total))
    return download(text_of(locator), within=current)


def _header_end(first: bytes, total: int, locator: Locator) -> int:
    """Where the header ends, from the first eight bytes."""
    if len(first) < 8:
        raise FetchError(Reason.UNREADABLE, f"{locator.url}: only {total} bytes, not a safetensors file")
    (length,) = struct.unpack("<Q", first)
    if 8 + length > total:
        raise FetchError(Reason.UNREADABLE, f"{locator.url}: header of {length} bytes in a file of {total}")
    if length > MAX_HEADER:
        raise FetchError(Reason.UNSAFE, f"{locator.url}: header of {length} bytes, at most {MAX_HEADER} are read")
    return 8 + int(length)


def _sparse(path: Path, data: bytes, size: int) -> None:
    with path.open("wb") as file:
        file.write(data)
        try:
            os.ftruncate(file.fileno(), size)
        except (OSError, OverflowError) as error:
            raise FetchError(Reason.UNSAFE, f"a file that says it has {size} bytes: {error}") from error


def _with_address(detail: str, folder: str, locator: Locator) -> str:
    """A reader's words with the address instead of the temporary folder."""
    return detail.replace(folder, locator.url.rpartition("/")[0])
