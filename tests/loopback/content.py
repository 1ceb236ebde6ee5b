"""What the loopback server serves: model repositories with pinned commits, and plain release files.

A data set is a repository whose id begins with 'datasets/'. Not covered: branches besides 'main', and spaces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

BLOCK = 1 << 16
"""Bytes sent at a time."""


@dataclass(frozen=True)
class Zeros:
    """A file of zeros that takes no memory: for sizes that nobody should read."""

    size: int
    """Bytes."""

    def __len__(self) -> int:
        return self.size

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        """Bytes start to stop."""
        for at in range(start, stop, BLOCK):
            yield bytes(min(BLOCK, stop - at))


Body = bytes | Zeros


def blocks(body: Body, start: int, stop: int) -> Iterator[bytes]:
    """Bytes start to stop of a body, in blocks."""
    if isinstance(body, Zeros):
        yield from body.blocks(start, stop)
        return
    for at in range(start, stop, BLOCK):
        yield body[at : min(at + BLOCK, stop)]


def sha256(body: Body) -> str:
    """sha256 of a body, hex."""
    digest = hashlib.sha256()
    for block in blocks(body, 0, len(body)):
        digest.update(block)
    return digest.hexdigest()


def blob_id(body: Body) -> str:
    """Git's sha1 of a blob with these bytes, hex."""
    digest = hashlib.sha1(f"blob {len(body)}\0".encode())
    for block in blocks(body, 0, len(body)):
        digest.update(block)
    return digest.hexdigest()


@dataclass
class Repo:
    """One model repository at one commit."""

    id: str
    """'author/name'."""
    files: Mapping[str, Body]
    """Name in the repository -> bytes."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """More fields of its info: pipeline_tag, tags, cardData, config, safetensors, evalResults, lastModified, ..."""
    gated: str | bool = False
    """'auto' or 'manual': every file needs a token that was granted access."""
    granted: frozenset[str] = frozenset()
    """Tokens with access to a gated repository."""
    downloads: int = 0
    """Downloads, the listing's order."""
    sha: str = ""
    """Commit; derived from the files when empty."""

    def __post_init__(self) -> None:
        if not self.sha:
            text = self.id + "".join(f"{name}:{len(body)}" for name, body in sorted(self.files.items()))
            if self.id.startswith("datasets/"):  # these are written to: another content is another commit
                text += "".join(map(blob_id, self.files.values()))
            self.sha = hashlib.sha1(text.encode()).hexdigest()

    @cached_property
    def hashes(self) -> dict[str, str]:
        """sha256 of every file, hex."""
        return {name: sha256(body) for name, body in self.files.items()}

    def info(self, *, blobs: bool, expand: list[str]) -> dict[str, Any]:
        """The JSON that the hub's API gives for it: everything, or the expanded fields only."""
        every = {
            "sha": self.sha,
            "gated": self.gated,
            "private": False,
            "downloads": self.downloads,
            "tags": [],
            **self.fields,
            "siblings": [self._sibling(name, blobs=blobs) for name in self.files],
        }
        chosen = {key: value for key, value in every.items() if key in expand} if expand else every
        return {"_id": hashlib.md5(self.id.encode()).hexdigest()[:24], "id": self.id, "modelId": self.id, **chosen}

    def is_lfs(self, name: str) -> bool:
        """Whether a file is kept in large-file storage, which alone gives sha256 and sizes by redirect."""
        return not name.endswith((".json", ".md", ".txt", ".yaml"))

    def _sibling(self, name: str, *, blobs: bool) -> dict[str, Any]:
        if not blobs:
            return {"rfilename": name}
        size = len(self.files[name])
        found: dict[str, Any] = {"rfilename": name, "size": size, "blobId": blob_id(self.files[name])}
        if self.is_lfs(name):
            found["lfs"] = {"size": size, "sha256": self.hashes[name], "pointerSize": 134}
        return found


@dataclass
class Content:
    """Everything that one server knows; may change while it runs."""

    repos: list[Repo] = field(default_factory=list)
    """Model repositories."""
    files: dict[str, Body] = field(default_factory=dict)
    """Release files, '/path' -> bytes."""
    large: dict[str, bytes] = field(default_factory=dict)
    """Large files that clients stored, by sha256."""
    page: int = 100
    """Models on one page of a listing."""
    _etags: dict[tuple[str, int], str] = field(default_factory=dict)

    def etag(self, path: str) -> str:
        """Strong validator of a release file, from its bytes."""
        body = self.files[path]
        key = (path, id(body))
        if key not in self._etags:
            self._etags[key] = f'"{sha256(body)[:32]}"'
        return self._etags[key]

    def repo(self, name: str) -> Repo | None:
        """The repository of that id."""
        return next((repo for repo in self.repos if repo.id == name), None)
