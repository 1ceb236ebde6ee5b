"""The base that a model's own files name: adapter_config.json, or the card beside its weights, here or on the hub.

What is stated is a name from outside: nothing is opened or fetched by it here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

from zoospectra.zoo.checkpoint.formats import place
from zoospectra.zoo.checkpoint.formats.huggingface import config_of
from zoospectra.zoo.fetch.locator import is_remote, locate
from zoospectra.zoo.fetch.settings import hub_url
from zoospectra.zoo.layers.packed.weight import part_of

STATED = "base_model_name_or_path"
"""Where PEFT's configuration names the base."""

CARD = "README.md"
"""A model's card; its YAML begins the file."""

CARD_KEY = "base_model"
"""Where a card names the base: a text, or a list of several that were merged.
https://huggingface.co/docs/hub/model-cards#specifying-a-base-model"""

MAX_CARD = 4 << 20
"""Largest card in bytes that is read."""

RESOLVED = re.compile(r"(?P<model>[^/]+(?:/[^/]+)?)/resolve/(?P<revision>[^/]+)/.+")
"""A file of the hub below its address."""


def adapter_base(path: str) -> str | None:
    """What adapter_config.json beside a local checkpoint names; None without one, or where it names nothing."""
    if is_remote(path):
        return None
    stated = part_of(config_of(_folder(path)), "adapter").get(STATED)
    return stated if _is_name(stated) else None


def card_bases(path: str) -> tuple[str, ...]:
    """What the card of a checkpoint names: of a local one README.md beside it, of one of the hub its entry there.

    Empty without a card, or where it names nothing. FetchError when the hub cannot be asked.
    """
    card = _hub_card(path) if is_remote(path) else _local_card(_folder(path) / CARD)
    stated = card.get(CARD_KEY)
    names = stated if isinstance(stated, list) else [stated]
    return tuple(dict.fromkeys(name for name in names if _is_name(name)))


def _folder(path: str) -> Path:
    where = Path(place(path)[0])
    return where if where.is_dir() else where.parent


def _is_name(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and 0 < len(text) <= 4096 and "\0" not in text


def _local_card(path: Path) -> Mapping[str, object]:
    # Loaded late: only this question needs them.
    import yaml
    from huggingface_hub.repocard import metadata_load

    try:
        if not path.is_file() or path.stat().st_size > MAX_CARD:
            return {}
        return metadata_load(path) or {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}


def _hub_card(path: str) -> Mapping[str, object]:
    from zoospectra.zoo.fetch.session import session
    from zoospectra.zoo.sources.hub import listing

    match = RESOLVED.fullmatch(locate(path).url.removeprefix(hub_url() + "/"))
    if match is None:
        return {}
    card = listing.info(match["model"], match["revision"], session()).get("cardData")
    return card if isinstance(card, Mapping) else {}
