"""The writing half of the hub's protocol: repositories are made, large files stored, commits applied.

Modelled on what huggingface_hub 2.4 sends without Xet; its own client runs against this in the tests.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from tests.loopback.content import Body, Repo, sha256
from tests.loopback.hub import Answer

if TYPE_CHECKING:
    from tests.loopback.server import Loopback

TOKEN = "Bearer hf_writer"
"""What may write."""

PREUPLOAD = re.compile(r"/api/datasets/([^/]+/[^/]+)/preupload/main")
BATCH = re.compile(r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch")
STORE = re.compile(r"/lfs/([0-9a-f]{64})")
COMMIT = re.compile(r"/api/datasets/([^/]+/[^/]+)/commit/main")


def write(server: Loopback, method: str, path: str, body: bytes, authorization: str | None) -> Answer:
    """The answer to one POST or PUT."""
    if path == "/api/validate-yaml":
        return _json({"errors": [], "warnings": []})
    if method == "PUT" and (stored := STORE.fullmatch(path)):
        server.content.large[stored[1]] = body
        return Answer(200 if sha256(body) == stored[1] else 422, b"")
    if authorization != TOKEN:
        return Answer(401, b'{"error": "Invalid username or password."}', {"Content-Type": "application/json"})
    if path == "/api/repos/create":
        return _create(server, json.loads(body))
    if PREUPLOAD.fullmatch(path):
        files = [entry["path"] for entry in json.loads(body)["files"]]
        modes = [{"path": name, "uploadMode": _mode(name), "shouldIgnore": False} for name in files]
        return _json({"files": modes})
    if BATCH.fullmatch(path):
        return _json({"objects": [_place(server, entry) for entry in json.loads(body)["objects"]]})
    if commit := COMMIT.fullmatch(path):
        return _commit(server, commit[1], [json.loads(line) for line in body.splitlines()])
    return Answer(404, b"not found")


def _json(value: Any) -> Answer:
    return Answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _mode(name: str) -> str:
    return "regular" if name.endswith((".json", ".md", ".txt", ".yaml")) else "lfs"


def _create(server: Loopback, asked: dict[str, Any]) -> Answer:
    name = f"{asked['organization']}/{asked['name']}"
    url = f"{server.url}/datasets/{name}"
    if server.content.repo(f"datasets/{name}") is not None:
        body = json.dumps({"error": "You already created this dataset repo", "url": url}).encode()
        return Answer(409, body, {"Content-Type": "application/json"})
    fields = {"visibility": asked.get("visibility")}
    server.content.repos.append(Repo(f"datasets/{name}", {}, fields))
    return _json({"url": url, "name": name, "id": name})


def _place(server: Loopback, entry: dict[str, Any]) -> dict[str, Any]:
    """Where a large file is to be put, or that it is there."""
    known = {"oid": entry["oid"], "size": entry["size"]}
    if entry["oid"] in server.content.large:
        return known
    return known | {"actions": {"upload": {"href": f"{server.url}/lfs/{entry['oid']}"}}}


def _commit(server: Loopback, name: str, lines: list[dict[str, Any]]) -> Answer:
    old = server.content.repo(f"datasets/{name}")
    if old is None:
        return Answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
    files: dict[str, Body] = dict(old.files)
    for line in lines:
        value = line["value"]
        if line["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            files[value["path"]] = server.content.large[value["oid"]]
        elif line["key"] == "deletedFile":
            del files[value["path"]]
    new = Repo(old.id, files, old.fields)
    server.content.repos[server.content.repos.index(old)] = new
    return _json({"commitUrl": f"{server.url}/datasets/{name}/commit/{new.sha}", "commitOid": new.sha})
