"""Whether a worker sees the files that were meant: a node may have other ones under the same path, and files change.

What tells files apart is looked at only where their size, time and inode are not those of whoever looked before.
Not covered: remote files, which are named by their commit or checked as they come.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from zoospectra.zoo.checkpoint.pair import pair_of
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.fetch.locator import is_remote
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import layer_hash
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources import local

Seen = tuple[tuple[str, int, int, int], ...]
"""Path, bytes, time of the last change in ns and inode of files; those that are not there have none."""


def look(paths: Iterable[str]) -> Seen:
    """What tells whether local files are still the same, in the order of their paths."""
    states = []
    for path in sorted({path for path in paths if not is_remote(path)}):
        try:
            status = os.stat(path)
        except OSError:  # reading it says so better
            continue
        states.append((path, status.st_size, status.st_mtime_ns, status.st_ino))
    return tuple(states)


def of_layers(layers: Iterable[Layer]) -> Seen:
    """The files that layers are read from."""
    return look({ref.path for layer in layers for ref in layer.refs})


def of_model(model: Model) -> Seen:
    """The one file that a model's revision is the checksum of; empty for any other model."""
    plain = model.weights_sha256 == model.revision and pair_of(model.path) is None and not is_remote(model.path)
    return look([model.path]) if plain and os.path.isfile(model.path) else ()


def check_model(path: str, revision: str, seen: Seen) -> None:
    """CheckpointError 'changed_meanwhile' when this machine has another file there than the one that was listed."""
    if seen and look([path]) != seen and local.pinned(path) not in (revision, None):
        detail = f"{path} is another file here than where the zoo was listed, or it changed since: its checksum differs"
        raise CheckpointError(Reason.CHANGED, detail)


def changed(path: str) -> CheckpointError:
    """What is raised for a file that is not the one that was listed: a copy under way is cut short, or zeros."""
    return CheckpointError(Reason.CHANGED, f"{path} changed while it was read, or since the zoo was listed")


def check_layer(layer: Layer, content_hash: str, listed: Seen, now: Seen) -> None:
    """CheckpointError 'changed_meanwhile' when a layer's files are not those that were listed, nor are its values."""
    as_listed = {state[0] for state in listed if state in now}
    same = all(ref.path in as_listed for ref in layer.refs if not is_remote(ref.path))
    try:
        same = same or layer_hash(layer) == content_hash
    except CheckpointError as error:
        raise another(layer) from error
    if not same:
        raise another(layer)


def another(layer: Layer) -> CheckpointError:
    """What is raised for a layer whose values are not those that were listed."""
    detail = f"{layer.ref.path} is another file here than where its layers were listed, or it changed since"
    return CheckpointError(Reason.CHANGED, detail)
