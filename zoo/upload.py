"""Files into a data set repository of the hub: one commit of what changed, by content.

Uses huggingface_hub's own client, imported when something is sent. Not covered: what the files hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoospectra.zoo.fetch.settings import hub_token, hub_url

BLOCK = 1 << 20


class UploadError(RuntimeError):
    """The hub refused, or could not be reached; nothing of the commit is there."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a commit would do."""

    added: tuple[str, ...]
    """Files to send: new ones, and those with other bytes."""
    removed: tuple[str, ...]
    """Files to take away."""
    unchanged: int
    """Files that are there already."""
    bytes: int
    """Bytes to send."""


def changes(files: Mapping[str, Path], remote: Mapping[str, str], owned: tuple[str, ...]) -> Changes:
    """Compare files by their names in the repository with what is there, name -> sha256 or git's sha1 of a blob.

    Of what is there and not in `files` only that below the folders `owned` goes.
    """
    added = tuple(
        name for name, path in sorted(files.items()) if digest(path, remote.get(name, "")) != remote.get(name)
    )
    removed = tuple(sorted(name for name in remote.keys() - files.keys() if name.startswith(owned)))
    size = sum(files[name].stat().st_size for name in added)
    return Changes(added, removed, len(files) - len(added), size)


def digest(path: Path, like: str) -> str:
    """Digest of a file as the hub keeps it: sha256 of large files, git's sha1 of a blob for text, by the length."""
    if len(like) == 40:
        content = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    else:
        content = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            content.update(block)
    return content.hexdigest()


def remote_files(repository: str) -> dict[str, str]:
    """Files of a data set on the hub and their digests; empty when there is no such data set.

    Raises UploadError when the hub cannot be asked.
    """
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    api = HfApi(endpoint=hub_url(), token=hub_token() or False)
    try:
        tree = list(api.list_repo_tree(repository, recursive=True, repo_type="dataset"))
    except RepositoryNotFoundError:
        return {}
    except (HfHubHTTPError, OSError, httpx2.HTTPError) as error:
        raise UploadError(_line(repository, error)) from error
    files = [entry for entry in tree if isinstance(entry, RepoFile)]
    return {file.path: file.lfs.sha256 if file.lfs is not None else file.blob_id for file in files}


def push(repository: str, files: Mapping[str, Path], change: Changes, message: str, private: bool) -> str | None:
    """Make the data set where there is none, and commit the changes; address of the commit, None without changes.

    Raises UploadError when the hub refuses or cannot be reached.
    """
    if not (change.added or change.removed):
        return None
    import httpx2
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(endpoint=hub_url(), token=hub_token() or False, library_name="zoospectra")
    try:
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationAdd(name, files[name]) for name in change.added),
            *(CommitOperationDelete(name) for name in change.removed),
        ]
        commit = api.create_commit(repository, operations, commit_message=message, repo_type="dataset")
    except (HfHubHTTPError, OSError, httpx2.HTTPError) as error:
        raise UploadError(_line(repository, error)) from error
    return str(commit.commit_url)


def _line(repository: str, error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{repository} at {hub_url()}: {' '.join(lines)[:300] or type(error).__name__}"
