"""What to ask the hub for. Pure.

Parameters after https://huggingface.co/docs/hub/api#get-apimodels , as huggingface_hub.HfApi.list_models sends them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
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
class HubOptions:
    """Options of `zoo=huggingface`: models by `ids`, or else a search whose conditions all hold together."""

    ids: list[str] = field(default_factory=list)
    """'author/name' or 'author/name@revision'; when given, nothing is searched."""
    author: str | None = None
    """User or organisation."""
    task: str | None = None
    """pipeline_tag, e.g. 'text-generation'."""
    tags: list[str] = field(default_factory=list)
    """Tags, libraries, languages, 'dataset:...', 'license:...'."""
    search: str | None = None
    """Text in the name."""
    sort: str = "downloads"
    """One of SORTS, largest first."""
    limit: int | None = 100
    """Most models of a search, before any glob; None means no limit."""
    glob: str | None = None
    """Pattern on 'author/name', applied to what was found."""
    checksums: bool = True
    """Whether to ask for the hashes of each model's files, one request for each commit that this node has not seen."""

    def __post_init__(self) -> None:
        for text in self.ids:
            parse_id(text)
        if self.sort not in SORTS:
            msg = f"sort={self.sort!r}: expected one of {', '.join(SORTS)}"
            raise ValueError(msg)
        if self.limit is not None and self.limit < 1:
            msg = f"limit={self.limit}: expected a positive number, or null for no limit"
            raise ValueError(msg)
        if self.limit is None and not (self.ids or self.author or self.search or self.tags or self.task):
            raise ValueError("limit=null: expected a number, or one of author, task, tags, search beside it")


def listing_url(endpoint: str, options: HubOptions) -> str:
    """Address of the first page of a search."""
    values: list[tuple[str, str]] = [("filter", tag) for tag in options.tags]
    for name, value in (("author", options.author), ("pipeline_tag", options.task), ("search", options.search)):
        if value:
            values.append((name, value))
    values += [("sort", options.sort), ("limit", str(min(options.limit or PAGE, PAGE)))]
    values += [("expand", name) for name in EXPAND]
    return f"{endpoint}/api/models?{urlencode(values)}"


def info_url(endpoint: str, model: str, revision: str | None, *, blobs: bool) -> str:
    """Address of one model's info: with `blobs` files with sizes and hashes, else the fields of a listing."""
    pin = f"/revision/{quote(revision, safe='')}" if revision else ""
    fields = [("blobs", "true")] if blobs else [("expand", name) for name in EXPAND]
    return f"{endpoint}/api/models/{model}{pin}?{urlencode(fields)}"


def file_url(endpoint: str, model: str, sha: str, name: str) -> str:
    """Address of one file at one commit."""
    return f"{endpoint}/{model}/resolve/{sha}/{quote(name)}"


def parse_id(text: str) -> tuple[str, str | None]:
    """'author/name' or 'author/name@revision' as (id, revision); ValueError for anything else."""
    model, at, revision = text.partition("@")
    if not ID.fullmatch(model) or ".." in model or (at and (not REVISION.fullmatch(revision) or ".." in revision)):
        msg = f"ids={text[:120]!r}: expected models of the hub, author/name or author/name@revision"
        raise ValueError(msg)
    return model, revision or None
