"""What to ask the hub for. Pure.

Parameters after https://huggingface.co/docs/hub/api#get-apimodels , as huggingface_hub.HfApi.list_models sends them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

EXPAND = (
    "sha",
    "lastModified",
    "gated",
    "private",
    "disabled",
    "pipeline_tag",
    "library_name",
    "tags",
    "cardData",
    "config",
    "safetensors",
    "siblings",
    "model-index",
    "evalResults",
)
"""Fields asked for in the listing itself, so that no model needs a request of its own for them."""

ID = re.compile(r"[A-Za-z0-9][\w.\-]{0,95}(/[A-Za-z0-9_][\w.\-]{0,95})?", re.ASCII)
REVISION = re.compile(r"[\w.\-/]{1,200}", re.ASCII)
SHA = re.compile(r"[0-9a-f]{40}")
SORTS = ("downloads", "likes", "lastModified", "createdAt", "trendingScore")
PAGE = 1000
"""Most models on one page; the hub may give fewer."""


@dataclass(frozen=True, slots=True)
class Query:
    """A search; all conditions hold together."""

    author: str | None = None
    """User or organisation."""
    task: str | None = None
    """pipeline_tag, e.g. 'text-generation'."""
    tags: tuple[str, ...] = ()
    """Tags, libraries, languages, 'dataset:...', 'license:...'."""
    search: str | None = None
    """Text in the name."""
    sort: str = "downloads"
    """One of SORTS, largest first."""
    limit: int | None = 100
    """Most models, before any glob."""

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            msg = f"zoo.sort={self.sort!r}: expected one of {', '.join(SORTS)}"
            raise ValueError(msg)
        if self.limit is not None and self.limit < 1:
            msg = f"zoo.limit={self.limit}: expected a positive number, or null for no limit"
            raise ValueError(msg)
        if self.limit is None and not (self.author or self.search or self.tags or self.task):
            raise ValueError(
                "a search of the hub without any condition: give zoo.author, task, tags, search, or a limit"
            )


def listing_url(endpoint: str, query: Query) -> str:
    """Address of the first page."""
    values: list[tuple[str, str]] = [("filter", tag) for tag in query.tags]
    for name, value in (("author", query.author), ("pipeline_tag", query.task), ("search", query.search)):
        if value:
            values.append((name, value))
    values += [("sort", query.sort), ("limit", str(min(query.limit or PAGE, PAGE)))]
    values += [("expand", field) for field in EXPAND]
    return f"{endpoint}/api/models?{urlencode(values)}"


def info_url(endpoint: str, model: str, revision: str | None, *, blobs: bool) -> str:
    """Address of one model's info: with `blobs` files with sizes and hashes, else the fields of a listing."""
    at = f"/revision/{quote(revision, safe='')}" if revision else ""
    asked = [("blobs", "true")] if blobs else [("expand", field) for field in EXPAND]
    return f"{endpoint}/api/models/{model}{at}?{urlencode(asked)}"


def file_url(endpoint: str, model: str, sha: str, name: str) -> str:
    """Address of one file at one commit."""
    return f"{endpoint}/{model}/resolve/{sha}/{quote(name)}"


def parse_id(text: str) -> tuple[str, str | None]:
    """'author/name' or 'author/name@revision' as (id, revision); ValueError for anything else."""
    model, at, revision = text.partition("@")
    if not ID.fullmatch(model) or ".." in model or (at and (not REVISION.fullmatch(revision) or ".." in revision)):
        msg = f"{text[:120]!r} is no model of the hub: expected author/name or author/name@revision"
        raise ValueError(msg)
    return model, revision or None
