"""The hub's protocol: listing with filters and pages, model info, files by commit, and its error codes.

Modelled on what huggingface_hub 2.4 asks for and checks; its own client runs against this in the tests.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tests.loopback.content import Body, Repo

if TYPE_CHECKING:
    from tests.loopback.server import Loopback

RESOLVE = re.compile(r"/((?:datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)")
INFO = re.compile(r"/api/models/([^/]+/[^/]+?)(?:/revision/([^/]+))?")
TREE = re.compile(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)(?:/.*)?")

Query = dict[str, list[str]]


@dataclass
class Answer:
    """What to send before ranges and faults."""

    status: int
    """HTTP status."""
    body: Body
    """Whole body."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers besides Content-Length."""


def answer(server: Loopback, path: str, query: Query, authorization: str | None) -> Answer:
    """The answer to one GET or HEAD."""
    if path.startswith("/api/datasets/"):
        author, name, *rest = path.removeprefix("/api/datasets/").split("/")
        if rest[:1] == ["tree"]:
            return _tree(server, f"datasets/{author}/{name}", rest[1])
        return _info(server, f"datasets/{author}/{name}", None, query)
    if path in server.content.files:
        return Answer(200, server.content.files[path], {"ETag": server.content.etag(path), "Accept-Ranges": "bytes"})
    if path == "/api/models":
        return _listing(server, query)
    if found := TREE.fullmatch(path):
        return _tree(server, found[1], found[2])
    if found := INFO.fullmatch(path):
        return _info(server, found[1], found[2], query)
    if found := RESOLVE.fullmatch(path):
        return _resolve(server, found, authorization)
    return Answer(404, b"not found")


def _json(value: Any, headers: dict[str, str] | None = None) -> Answer:
    return Answer(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def _error(status: int, code: str, message: str) -> Answer:
    body = json.dumps({"error": message}).encode()
    return Answer(status, body, {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "application/json"})


def _listing(server: Loopback, query: Query) -> Answer:
    one = {key: values[0] for key, values in query.items()}
    found = [repo for repo in server.content.repos if _listed(repo, one, query.get("filter", []))]
    if one.get("sort") == "downloads":
        found.sort(key=lambda repo: -repo.downloads)
    at = int(one.get("cursor", "0"))
    size = min(server.content.page, int(one.get("limit", "1000")))
    page = [repo.info(blobs=False, expand=query.get("expand", [])) for repo in found[at : at + size]]
    if at + size >= len(found):
        return _json(page)
    rest = urlencode({**query, "cursor": [str(at + size)]}, doseq=True)
    return _json(page, {"Link": f'<{server.url}/api/models?{rest}>; rel="next"'})


def _listed(repo: Repo, one: dict[str, str], filters: list[str]) -> bool:
    tags = {*repo.fields.get("tags", []), repo.fields.get("pipeline_tag"), repo.fields.get("library_name")}
    return (
        ("author" not in one or repo.id.startswith(one["author"] + "/"))
        and ("search" not in one or one["search"].lower() in repo.id.lower())
        and ("pipeline_tag" not in one or repo.fields.get("pipeline_tag") == one["pipeline_tag"])
        and all(tag in tags for tag in filters)
    )


def _info(server: Loopback, name: str, revision: str | None, query: Query) -> Answer:
    repo = server.content.repo(name)
    if repo is None:
        return _error(401, "RepoNotFound", "Repository not found")
    if revision not in (None, "main", repo.sha):
        return _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    blobs = query.get("blobs", [""])[0].lower() in ("true", "1")
    return _json(repo.info(blobs=blobs, expand=query.get("expand", [])))


def _tree(server: Loopback, name: str, revision: str) -> Answer:
    repo = server.content.repo(name)
    if repo is None or revision not in ("main", repo.sha):
        return _error(404, "RevisionNotFound" if repo else "RepoNotFound", "not there")
    rows = []
    for sibling in repo.info(blobs=True, expand=[])["siblings"]:
        row = {"type": "file", "path": sibling["rfilename"], "size": sibling["size"], "oid": sibling["blobId"]}
        if "lfs" in sibling:
            lfs = sibling["lfs"]
            row["lfs"] = {"oid": lfs["sha256"], "size": lfs["size"], "pointerSize": lfs["pointerSize"]}
        rows.append(row)
    return _json(rows)


def _resolve(server: Loopback, found: re.Match[str], authorization: str | None) -> Answer:
    repo = server.content.repo(found[1])
    if repo is None:
        return _error(401, "RepoNotFound", "Repository not found")
    if found[2] not in ("main", repo.sha):
        return _error(404, "RevisionNotFound", f"Invalid rev id: {found[2]}")
    if repo.gated and (authorization or "").removeprefix("Bearer ") not in repo.granted:
        return _error(403 if authorization else 401, "GatedRepo", f"Access to model {repo.id} is restricted")
    if found[3] not in repo.files:
        return _error(404, "EntryNotFound", "Entry not found")
    body = repo.files[found[3]]
    commit = {"X-Repo-Commit": repo.sha, "Accept-Ranges": "bytes"}
    if not repo.is_lfs(found[3]):
        return Answer(200, body, {**commit, "ETag": f'"{repo.hashes[found[3]][:40]}"'})
    linked = {"X-Linked-Size": str(len(body)), "X-Linked-ETag": f'"{repo.hashes[found[3]]}"'}
    if server.cdn is None:
        return Answer(200, body, {**commit, **linked, "ETag": f'"{repo.hashes[found[3]]}"'})
    path = f"/lfs/{repo.id}/{found[3]}"
    server.cdn.content.files[path] = body
    return Answer(302, b"", {**commit, **linked, "ETag": f'"{repo.sha}"', "Location": server.cdn.url + quote(path)})
