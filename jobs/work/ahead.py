"""Worker side, before the first stage: the files of a small remote model are brought to a node's cache.

Fetching is a stage of its own: its tasks take no CPU, a few run at once, and what they have brought and nobody has
opened yet is bounded by the disk (jobs.work.executors.task.Ahead). It looks at the headers first: a large model is read
layer by layer, and one that does not fit passes through the cache when it is opened. Nothing here is final: what is
missing then is fetched by whoever reads it.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass

from zoospectra.jobs.work.index import Indexed, IndexRequest, unopened
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.remote import local, prefetched
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Skip
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.session import session
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.sources import fingerprint

GUESS = 1 << 30
"""Bytes of a remote model whose address does not say it."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """A remote model to bring near."""

    request: IndexRequest
    """What is to be opened then."""
    room: float
    """Bytes that it may take; one that needs more is fetched as it is read."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of it."""

    size: int = 0
    """Bytes of the tensors to read, as the headers say."""
    near: int = 0
    """How many of these were brought here, at most."""
    failure: Indexed | None = None
    """What is kept of a model that cannot be opened."""

    @property
    def skips(self) -> tuple[Skip, ...]:
        """Why it cannot be opened."""
        return self.failure.skips if self.failure else ()


def fetch(fetching: Fetch) -> Fetched:
    """Look at a remote model's headers, and bring the tensors of its layers to this node if there is room for them."""
    request = fetching.request
    try:
        checkpoint = open_checkpoint(request.path)
    except CheckpointError as error:
        return Fetched(failure=unopened(request, error))
    chosen, _ = layers(checkpoint.tensors, checkpoint.config, request.rules)
    known = {layer.layer_id: request.hashes.get((layer.ref.name, layer.longname)) for layer in chosen}
    refs = [ref for layer in chosen if known[layer.layer_id] not in request.sketched for ref in layer.refs]
    size = sum({(ref.path, ref.name): ref.nbytes for ref in refs}.values())
    cache = session().cache
    if size > min(fetching.room, fingerprint.LARGE, shutil.disk_usage(cache.root).free):
        return Fetched(size)
    with contextlib.suppress(FetchError):  # opening it says so better, and tries again
        for ref in prefetched(refs):
            local(ref)
    cache.release()
    return Fetched(size, size)
