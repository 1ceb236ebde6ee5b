"""Models of the Hugging Face Hub: by search or by name, pinned to commits, weights read by range where they can be.

URL: https://huggingface.co/api/models . Licence: each model's own, in its `licence` column.
Sample row: huggingface/openai-community/gpt2@607a30d783dfa663caf39e06633721c8d4cfcd7e, series gpt2, task
text-generation, licence mit,
https://huggingface.co/openai-community/gpt2/resolve/607a30d.../model.safetensors

A model that cannot be had is a row too: its path is a locator that gives the reason. Not covered: data sets, spaces,
several models in one repository.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.locator import Locator, refused, text_of
from zoospectra.zoo.fetch.settings import hub_token, hub_url
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources.hub import listing
from zoospectra.zoo.sources.hub.listing import Item
from zoospectra.zoo.sources.hub.query import ID, SHA, HubOptions, file_url, parse_id
from zoospectra.zoo.sources.hub.reported import reported
from zoospectra.zoo.sources.hub.weights import Refusal, hashes, weights
from zoospectra.zoo.sources.record import Source

if TYPE_CHECKING:
    from zoospectra.zoo.fetch.session import Session

UNKNOWN = "missing"
"""Revision of a model whose commit could not be found out, as in zoo.sources.local."""


def crawl(options: HubOptions, zoo: str = "huggingface") -> tuple[Model, ...]:
    """Models of the hub, `ids` in their order, or else the result of a search in the hub's order.

    `zoo` is the first part of every model_id. Trouble with the hub becomes rows; nothing is raised.
    """
    # Loaded late: listing the sources must not load an HTTP client.
    from zoospectra.zoo.fetch.session import session

    node = session()
    items = _named([parse_id(text) for text in options.ids], node) if options.ids else _searched(options, node)
    models: dict[str, Model] = {}
    for item in items:
        if options.glob is None or fnmatchcase(str(item.get("id")), options.glob):
            model = _model(item, zoo, node, checksums=options.checksums)
            models.setdefault(model.model_id, model)
    return tuple(models.values())


def _searched(options: HubOptions, node: Session) -> Iterator[Item]:
    """Items of a search; when a page cannot be had, a last one that says so."""
    count = 0
    try:
        for item in listing.listing(options, node):
            count += 1
            yield item
    except FetchError as error:
        yield {
            "id": "(listing)",
            "failure": FetchError(error.reason, f"broke off after {count} models: {error.detail}"),
        }


def _named(ids: Sequence[tuple[str, str | None]], node: Session) -> Iterator[Item]:
    """Items of single models; one that cannot be had carries its failure."""
    for model, revision in ids:
        try:
            item = listing.info(model, revision, node)
        except FetchError as error:
            item = {"id": model, "failure": error}
        yield item


def _model(item: Item, zoo: str, node: Session, *, checksums: bool) -> Model:
    """The row of one item, whatever it is like."""
    name, sha = item.get("id"), item.get("sha")
    failure = item.get("failure")
    if isinstance(failure, FetchError):
        return _refused(zoo, str(name), failure.reason, failure.detail)
    if not isinstance(name, str) or not ID.fullmatch(name) or not isinstance(sha, str) or not SHA.fullmatch(sha):
        return _refused(zoo, str(name)[:120], Reason.UNREADABLE, "the hub's entry has no valid id and commit")
    described = _described(item, zoo, name, sha)
    siblings = [sibling for sibling in item.get("siblings") or [] if isinstance(sibling, Mapping)]
    chosen = weights([sibling["rfilename"] for sibling in siblings if isinstance(sibling.get("rfilename"), str)])
    refusal = _refusal(item, chosen)
    if refusal is not None:
        return replace(described, path=refused(refusal.reason, refusal.detail))
    assert isinstance(chosen, str)
    url = file_url(hub_url(), name, sha, chosen)
    described = replace(described, path=url, weights_url=url)
    if not checksums:
        return described
    try:
        listed = listing.files(name, sha, node).get("siblings")
    except FetchError as error:
        return replace(described, note=_joined(described.note, f"no checksums: {error.reason}"))
    return _checked(described, [sibling for sibling in listed or [] if isinstance(sibling, Mapping)], chosen)


def _refusal(item: Item, chosen: str | Refusal) -> Refusal | None:
    """Why a model is not even asked for."""
    if item.get("disabled"):
        return Refusal(Reason.FORBIDDEN, "the hub has disabled it")
    if item.get("gated") and hub_token() is None:
        return Refusal(Reason.GATED, "its terms must be accepted and HF_TOKEN set")
    return chosen if isinstance(chosen, Refusal) else None


def _described(item: Item, zoo: str, name: str, sha: str) -> Model:
    """What the listing says about a model, without its weights."""
    card = item.get("cardData")
    card = card if isinstance(card, Mapping) else {}
    metrics, dropped = reported(item)
    return Model(
        model_id=f"{zoo}/{name}@{sha}",
        zoo=zoo,
        name=name,
        revision=sha,
        path="",
        series=_series(item),
        dataset=_joined(*_texts(card.get("datasets"))),
        task=_text(item.get("pipeline_tag")) or _text(card.get("pipeline_tag")),
        licence=_licence(card, _texts(item.get("tags"))),
        note=f"{dropped} reported values are no numbers" if dropped else None,
        metrics=metrics,
        extra=_extra(item),
    )


def _checked(model: Model, siblings: list[Mapping[str, Any]], weight: str) -> Model:
    """The model with the hashes that the hub keeps of its weights."""
    digests = hashes(siblings, weight)
    if not digests:
        return model
    if weight.endswith(".index.json"):
        # The rule of zoo.sources.local for folders, so that a local copy is known as the same weights.
        digest = sha256("".join(f"{name}:{digest}\n" for name, digest in digests).encode()).hexdigest()
        return replace(model, weights_sha256=digest)
    return replace(model, weights_sha256=digests[0][1], path=_with_hash(model.path, digests[0][1]))


def _with_hash(url: str, digest: str) -> str:
    """The locator with the hash that a whole download must have."""
    return text_of(Locator(url, sha256=digest))


def _refused(zoo: str, name: str, reason: Reason, detail: str) -> Model:
    return Model(f"{zoo}/{name}", zoo, name, UNKNOWN, refused(reason, detail))


def _series(item: Item) -> str | None:
    """Architecture family: config.json's model_type, else its first architecture, else timm's family name."""
    config = item.get("config")
    if not isinstance(config, Mapping):
        return None
    architectures = _texts(config.get("architectures"))
    timm = _text(config.get("architecture"))
    return _text(config.get("model_type")) or (architectures[0] if architectures else timm and timm.split("_")[0])


def _licence(card: Mapping[str, Any], tags: list[str]) -> str | None:
    """The licence in the hub's words; the name of one that has no identifier."""
    licence = _joined(*_texts(card.get("license")))
    if licence == "other":
        licence = _text(card.get("license_name")) or licence
    return licence or next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), None)


def _extra(item: Item) -> dict[str, int | float | str]:
    """More columns; nothing that changes from day to day while the commit stays, such as downloads."""
    extra: dict[str, int | float | str] = {}
    tensors = item.get("safetensors")
    total = tensors.get("total") if isinstance(tensors, Mapping) else None
    if isinstance(total, int) and not isinstance(total, bool):
        extra["reported_params"] = total
    for column, key in (("library", "library_name"), ("last_modified", "lastModified")):
        text = _text(item.get(key))
        if text is not None:
            extra[column] = text
    if item.get("gated"):
        extra["gated"] = str(item["gated"])
    return extra


def _texts(value: object) -> list[str]:
    """Texts of a text or of a list of them."""
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str) and text]


def _text(value: object) -> str | None:
    return value[:300] if isinstance(value, str) and value else None


def _joined(*parts: str | None) -> str | None:
    """Texts in one, None when there is none."""
    return ", ".join(part for part in parts if part) or None


SOURCE = Source("huggingface", HubOptions, lambda options, crawling: crawl(options, crawling.zoo))
