"""The base of a model that is compared without one: its adapter's configuration, its card, or its kin name it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from zoospectra.jobs.checks.record import Subject
from zoospectra.jobs.checks.subject import kept_path, of_hub, stored_models
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.pair import BASE, MERGED, Pair, text_of
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.sources.bases import is_weights_here
from zoospectra.zoo.sources.stated import adapter_base, card_bases

AUTO = "auto"
"""The first way that names one."""


class Pairing(NamedTuple):
    """A base, and what is compared with it."""

    base: Subject
    """The base; of an adapter, its layers that the adapter touches."""
    other: Subject
    """The model; an adapter with its change made to the base."""
    words: str
    """Which base, and who says so."""


def find_base(model: Subject, way: str) -> Pairing:
    """The base of a model with a path, found one way, or by `auto`; ValueError says why there is none."""
    tried = []
    for name in WAYS if way == AUTO else (way,):
        answer = WAYS[name](model)
        if isinstance(answer, Pairing):
            return answer
        tried.append(answer)
    msg = f"base={way}: no base of {model.name} is stated: {'; '.join(tried)}; expected BASE before it"
    raise ValueError(msg)


def _adapter(model: Subject) -> Pairing | str:
    """The base that adapter_config.json names; the adapter is compared merged into it."""
    stated = adapter_base(model.path or "")
    if stated is None:
        return "no adapter_config.json beside it names one"
    base = Subject(stated, stated, model.warehouse) if is_weights_here(stated) else _named(stated, model)
    before, after = (text_of(Pair(model.path or "", side, base.path or "")) for side in (BASE, MERGED))
    words = f"{base.name}, named by its adapter_config.json"
    return Pairing(Subject(base.name, before, model.warehouse), Subject(model.name, after, model.warehouse), words)


def _card(model: Subject) -> Pairing | str:
    """The one base that the model card names."""
    stated = card_bases(model.path or "")
    if not stated:
        return "its card names none (base_model)"
    if len(stated) > 1:
        return f"its card names {len(stated)}, {', '.join(stated)}: choose one"
    base = _named(stated[0], model)
    return Pairing(base, model, f"{base.name}, named by its card")


def _kin(model: Subject) -> Pairing | str:
    """The nearest relative among the warehouse's models; copies aside, which say nothing of what was changed."""
    from zoospectra.analysis.kinship.relatives import DERIVED, relatives
    from zoospectra.jobs.work.kin import sketched_models, sketched_now, spectra_of

    try:
        known = sketched_models(model.warehouse)
    except ValueError as error:
        return str(error)
    own = next((held for held in known if held.model_id == model.name), None)
    if own is None:
        checkpoint = open_checkpoint(model.path or "")
        own = sketched_now(model.name, layers(checkpoint.tensors, checkpoint.config)[0])
        known = [*known, own]
    rows = [row for row in relatives(known, {own.model_id}, spectra_of(model.warehouse)) if row.verdict in DERIVED]
    merged = [row.kin.relative.model_id for row in rows if row.verdict == "merged"]
    if len(merged) > 1:
        return f"it is merged of {', '.join(merged)}: choose one"
    changed = [row for row in rows if row.verdict != "copy"]
    if not changed:
        return f"nothing in {model.warehouse} is kin to it" + (", copies aside" if rows else "")
    best = max(changed, key=lambda row: row.kin.cosine or 0.0)
    name = best.kin.relative.model_id
    base = Subject(name, kept_path(Subject(name, None, model.warehouse)), model.warehouse)
    words = f"{name}, its nearest relative ({best.verdict}, median cosine {best.kin.cosine or 0.0:.4f})"
    return Pairing(base, model, words + "; which of two is the parent sketches do not say")


WAYS: dict[str, Callable[[Subject], Pairing | str]] = {"adapter": _adapter, "card": _card, "kin": _kin}
"""How a base is found, by the value of `base=`; the order of `auto`."""


def _named(stated: str, model: Subject) -> Subject:
    """The model of the warehouse, else of the hub, that a name from outside means; never a path."""
    end = f"/{stated.partition('@')[0]}"
    alike = [name for name in stored_models(model.warehouse) if f"/{name.partition('@')[0]}".endswith(end)]
    for name in alike:
        with suppress(ValueError):  # its checkpoint is not there any more: the hub may have it
            if name != model.name:
                return Subject(name, kept_path(Subject(name, None, model.warehouse)), model.warehouse)
    try:
        return of_hub(stated, model.warehouse)
    except ValueError as error:
        msg = f"its base is {stated[:120]!r}, which is neither in {model.warehouse} nor a model of the hub: give BASE"
        raise ValueError(msg) from error
