"""The loopback hub is a hub to the hub's own client: what huggingface_hub asks for, it gets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.loopback import Content, Loopback, Repo
from tests.zoo.fetch import models

FILES = {"config.json": b'{"model_type": "gpt2"}', "model.safetensors": models.safetensors(models.gpt2())}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with Loopback() as cdn:
        repos = [Repo(f"author/net{number}", FILES, {"pipeline_tag": "text-generation"}) for number in range(5)]
        repos.append(Repo("other/closed", FILES, gated="manual"))
        with Loopback(Content(repos=repos, page=2), cdn=cdn) as server:
            yield server


def test_listing_follows_pages_and_filters(hub: Loopback) -> None:
    api = HfApi(endpoint=hub.url, token=False)
    assert [found.id for found in api.list_models(author="author")] == [f"author/net{n}" for n in range(5)]
    assert [found.id for found in api.list_models(search="CLOSED")] == ["other/closed"]
    assert len(list(api.list_models(pipeline_tag="text-generation", limit=3))) == 3
    assert next(iter(api.list_models(expand=["sha", "gated"], author="other"))).gated == "manual"


def test_info_has_sizes_and_hashes(hub: Loopback) -> None:
    found = HfApi(endpoint=hub.url, token=False).model_info("author/net1", files_metadata=True)
    assert found.sha == hub.content.repos[1].sha
    weights = next(file for file in found.siblings or [] if file.rfilename == "model.safetensors")
    assert weights.lfs is not None
    assert (weights.size, weights.lfs.sha256) == (
        len(FILES["model.safetensors"]),
        hub.content.repos[1].hashes["model.safetensors"],
    )


def test_files_are_downloaded_by_way_of_another_host(hub: Loopback, tmp_path: Path) -> None:
    arguments = {"repo_id": "author/net0", "endpoint": hub.url, "cache_dir": tmp_path, "token": False}
    for name, data in FILES.items():
        assert Path(hf_hub_download(filename=name, **arguments)).read_bytes() == data  # type: ignore[arg-type]
    assert hub.cdn is not None
    assert hub.cdn.sent() == len(FILES["model.safetensors"])


def test_headers_of_safetensors_are_read_by_range(hub: Loopback) -> None:
    found = HfApi(endpoint=hub.url, token=False).get_safetensors_metadata("author/net0")
    assert set(found.weight_map) == set(models.gpt2())


def test_errors_are_the_hubs(hub: Loopback, tmp_path: Path) -> None:
    api = HfApi(endpoint=hub.url, token=False)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("author/none")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("author/net0", revision="v9")
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download("author/net0", "none.bin", cache_dir=tmp_path)
    with pytest.raises(GatedRepoError):
        api.hf_hub_download("other/closed", "config.json", cache_dir=tmp_path)
