"""Pages of the hub's listing and infos of single models, as plain JSON objects.

Own requests instead of HfApi: its model_info does not retry, it sends the token to whatever address the next page
names, and one malformed model ends its whole listing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.locator import origin
from zoospectra.zoo.fetch.settings import hub_url
from zoospectra.zoo.sources.hub.query import PAGE, SHA, HubOptions, info_url, listing_url

if TYPE_CHECKING:
    from zoospectra.zoo.fetch.session import Session

MAX_PAGE = 256 << 20
"""Largest page in bytes; a thousand models with their cards take some 10 MB."""
MAX_INFO = 64 << 20
"""Largest info of one model in bytes."""
NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')

Item = dict[str, Any]


def listing(options: HubOptions, node: Session) -> Iterator[Item]:
    """Models of a search in the hub's order; FetchError in the middle of it when a page cannot be had."""
    url: str | None = listing_url(hub_url(), options)
    left = options.limit
    seen: set[str] = set()
    while url is not None and (left is None or left > 0):
        if url in seen or origin(url) != origin(hub_url()):
            raise FetchError(
                Reason.UNSAFE, f"the listing goes on at {url[:200]}, which is another server or a page again"
            )
        seen.add(url)
        answer = node.client.small(url, MAX_PAGE)
        items = _json(answer.body, url)
        if not isinstance(items, list):
            raise FetchError(Reason.UNREADABLE, f"{url}: expected a list of models")
        for item in items[: PAGE if left is None else left]:
            if isinstance(item, dict):
                yield item
        left = None if left is None else left - len(items)
        following = NEXT.search(answer.headers.get("link", ""))
        url = following[1] if following and items else None


def info(model: str, revision: str | None, node: Session) -> Item:
    """The fields of a listing for one model at one revision."""
    return _object(node, info_url(hub_url(), model, revision, blobs=False))


def files(model: str, sha: str, node: Session) -> Item:
    """Info with sizes and hashes of all files at one commit: asked once, since a commit never changes."""
    url = info_url(hub_url(), model, sha, blobs=True)
    if not SHA.fullmatch(sha):
        return _object(node, url)
    path = node.cache.path("info", _key(url), ".json")
    known = node.cache.get(path)
    if known is not None:
        try:
            kept = json.loads(known.read_bytes())
        except (OSError, ValueError):
            kept = None
        if isinstance(kept, dict):
            return kept
    item = _object(node, url)
    kept = {"sha": item.get("sha"), "siblings": item.get("siblings")}
    node.cache.put(path, lambda temporary: _write(temporary, kept))
    return item


def _write(path: Path, kept: Item) -> None:
    path.write_text(json.dumps(kept), encoding="utf-8")


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:40]


def _object(node: Session, url: str) -> Item:
    item = _json(node.client.small(url, MAX_INFO).body, url)
    if not isinstance(item, dict):
        raise FetchError(Reason.UNREADABLE, f"{url}: expected a JSON object")
    return item


def _json(body: bytes, url: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FetchError(Reason.UNREADABLE, f"{url}: no JSON: {error}") from error
