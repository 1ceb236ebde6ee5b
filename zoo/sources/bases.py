"""Adapters of a zoo with their bases: two more models each, 'NAME#merged' and 'NAME#base'.

The base is the one that the user names (a file, a folder, or a model of the hub, read by range), else the one that
adapter_config.json names, where that is a folder or file of this machine or another model of the zoo. Nothing is
fetched that the user did not name. Not covered: adapters of the hub's own zoo.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from zoospectra.zoo.checkpoint.folder import ADAPTERS
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.formats.table import SUFFIXES
from zoospectra.zoo.checkpoint.pair import BASE, MERGED, Pair, text_of
from zoospectra.zoo.checkpoint.shards import ADAPTER_CONFIG, is_model_folder, weights_of
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources.stated import adapter_base


def base_place(text: str) -> tuple[str, str]:
    """Path or locator of a base that a user names, and what pins its bytes; ValueError when it is neither.

    A folder or file of this machine, else a model of the hub, 'author/name' or 'author/name@revision'.
    """
    if Path(text).exists():
        return str(Path(text).absolute()), ""
    from zoospectra.zoo.sources.hub.huggingface import crawl  # an HTTP client is not loaded for local bases
    from zoospectra.zoo.sources.hub.query import HubOptions, parse_id

    try:
        parse_id(text)
    except ValueError as error:
        msg = f"zoo.base={text[:120]}: expected a file, a folder, or a model of the hub, author/name[@revision]"
        raise ValueError(msg) from error
    (model,) = crawl(HubOptions(ids=[text]))
    return model.path, model.revision


def with_bases(models: Sequence[Model], base: str | None, checksum: Callable[[Path], str | None]) -> Iterator[Model]:
    """The models, each adapter followed by its two models with the base where one is at hand.

    base: what the user named; checksum: of a file or folder of this machine.
    """
    named = base_place(base) if base else None
    called: dict[str, list[int]] = {}
    for model in models:
        yield model
        found = named if named is not None else _own(model, models, called)
        if found is None or found[0] == model.path or not _is_adapter(model.path, asked=base is not None):
            continue
        where, pin = found
        pin = pin or checksum(Path(where)) or where
        digest = hashlib.sha256(f"{model.revision} on {pin}".encode()).hexdigest()
        for side in (MERGED, BASE):
            yield replace(
                model,
                model_id=f"{model.model_id}#{side}",
                name=f"{model.name}#{side}",
                path=text_of(Pair(model.path, side, where)),
                revision=digest,
                weights_sha256=None,
                metrics=model.metrics if side == MERGED else (),
                beside=(),
            )


def _own(model: Model, models: Sequence[Model], called: dict[str, list[int]]) -> tuple[str, str] | None:
    """The base that an adapter names: another model of the zoo, or weights of this machine; None when neither.

    called: positions of models by what an adapter may call them, filled for the first that asks.
    """
    if os.path.basename(model.path) not in ADAPTERS and not os.path.isdir(model.path):
        return None
    stated = adapter_base(model.path)
    if stated is None:
        return None
    if not called:
        for place, other in enumerate(models):
            for name in _calls(other.name):
                if len(firsts := called.setdefault(name, [])) < 2:  # one of them may be the adapter itself
                    firsts.append(place)
    places = (*called.get(stated, ()), *called.get(f"models--{stated.replace('/', '--')}/", ()))
    others = (models[place] for place in sorted(places))
    first = next((other for other in others if other.model_id != model.model_id), None)
    if first is not None:
        return first.path, first.revision
    return (stated, "") if is_weights_here(stated) else None


def _calls(name: str) -> Iterator[str]:
    """What a model of the zoo may be called: its name, the ends of it from a folder on, and a hub's folder it is in."""
    parts = name.split("/")
    yield from ("/".join(parts[first:]) for first in range(len(parts)))
    yield from (f"{part}/" for part in dict.fromkeys(parts[:-1]) if part.startswith("models--"))


def is_weights_here(stated: str) -> bool:
    """Whether what an adapter names is the absolute path of a model of this machine."""
    place = Path(stated)
    return place.is_absolute() and (is_model_folder(place) or (place.is_file() and place.suffix in SUFFIXES))


def _is_adapter(path: str, *, asked: bool) -> bool:
    """Whether a model is an adapter: by the file beside it, else, when a base was named for it, by its layers."""
    place = Path(path)
    if os.path.isdir(place):
        weights = weights_of(place)
        return (place / ADAPTER_CONFIG).is_file() and weights is not None and weights.name in ADAPTERS
    if place.name in ADAPTERS:
        return True
    if not asked or not os.path.isfile(place):
        return False
    try:
        checkpoint = open_checkpoint(path)
    except CheckpointError:
        return False
    return any(layer.layer_type == "lora" for layer in layers(checkpoint.tensors, checkpoint.config)[0])
