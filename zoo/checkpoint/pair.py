"""An adapter and the base that it changes, opened together: 'ADAPTER#merged=BASE' and 'ADAPTER#base=BASE'. Pure.

The first is the layers that the adapter touches with their change, the second the same layers as they were. BASE is a
file, a folder or a locator, and may have a '#' of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import Reason, Skip

MERGED, BASE = "merged", "base"

FORM = re.compile(rf"(?P<adapter>.+?)#(?P<side>{MERGED}|{BASE})=(?P<base>.+)", re.DOTALL)

KEY = "pair"
"""Where a configuration keeps the base: a `Base`, and nothing else is one, whatever config.json says."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Where an adapter and its base are."""

    adapter: str
    """Path of the adapter."""
    side: str
    """Which of the two weights is meant: MERGED or BASE."""
    base: str
    """Path or locator of the base."""


@dataclass(frozen=True, slots=True)
class Base:
    """The base of an adapter that was opened with it."""

    side: str
    """MERGED or BASE."""
    where: str
    """Path or locator, for messages."""
    tensors: tuple[TensorRef, ...]
    """Its tensors."""
    config: Mapping[str, Any]
    """Its Checkpoint.config."""


def text_of(pair: Pair) -> str:
    """The pair as a path; `pair_of` reverses it."""
    return f"{pair.adapter}#{pair.side}={pair.base}"


def pair_of(path: str) -> Pair | None:
    """The pair that a path names; None for the path of one model."""
    match = FORM.fullmatch(path)
    return Pair(match["adapter"], match["side"], match["base"]) if match else None


def paired(pair: Pair, adapter: Checkpoint, base: Checkpoint) -> Checkpoint:
    """The adapter with its base in its configuration; what the base could not read is listed when it failed."""
    held = Base(pair.side, pair.base, base.tensors, base.config)
    lost = [replace(skip, detail=f"of the base {pair.base}: {skip.detail}") for skip in base.skips if skip.failed]
    words = f"the base is {pair.base}; layers that the adapter leaves alone are not listed"
    row = Skip(f"#{pair.side}", Reason.NOT_THE_MODEL, words, False)
    return replace(adapter, config={**adapter.config, KEY: held}, skips=(*adapter.skips, *lost, row))


def base_of(config: Mapping[str, Any]) -> Base | None:
    """The base in a configuration."""
    held = config.get(KEY)
    return held if isinstance(held, Base) else None
