"""Crawling a hub: what becomes of a listing, of named models, and of those that cannot be had."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.loopback import Loopback, Repo
from tests.zoo.fetch import models
from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.read import read
from zoospectra.zoo.checkpoint.remote import local, open_remote
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.fetch.locator import locate
from zoospectra.zoo.fetch.session import Session
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources import Crawl, source

Fetching = Callable[..., Session]
GPT2 = {"config.json": b"{}", "model.safetensors": models.safetensors(models.gpt2())}
LLAMA = {"config.json": b"{}", **models.sharded(models.llama(), 2)}


def crawl(**options: object) -> tuple[Model, ...]:
    """Models of the hub under these options, as a scan asks for them."""
    hub = source("huggingface")
    return hub.crawl(hub.options(**options), Crawl("huggingface", Path("not/used"), print))


def repos() -> list[Repo]:
    card = {
        "license": "mit",
        "datasets": ["WebText", "books"],
        "model-index": [{"results": [{"dataset": {"type": "lambada"}, "metrics": [{"type": "ppl", "value": "35.1"}]}]}],
    }
    fields = {
        "pipeline_tag": "text-generation",
        "library_name": "transformers",
        "cardData": card,
        "config": {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
        "safetensors": {"parameters": {"F32": 137}, "total": 137},
        "lastModified": "2026-01-02T03:04:05.000Z",
    }
    return [
        Repo("openai-community/gpt2", GPT2, fields, downloads=900),
        Repo("meta/llama", LLAMA, {"config": {"model_type": "llama"}, "tags": ["license:llama3"]}, downloads=800),
        Repo("meta/closed", LLAMA, gated="manual", granted=frozenset({"hf_yes"}), downloads=700),
        Repo("someone/adapter", {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}, downloads=600),
        Repo("someone/quantised", {"net.Q4_K_M.gguf": b"GGUF"}, downloads=500),
        Repo("someone/empty", {"README.md": b"#"}, downloads=400),
    ]


@pytest.fixture
def hub(server: Loopback, fetching: Fetching) -> Loopback:
    fetching()
    server.content.repos = repos()
    return server


def by_name(found: tuple[Model, ...]) -> dict[str, Model]:
    return {model.name: model for model in found}


def reason(model: Model) -> str:
    with pytest.raises(CheckpointError) as caught:
        locate(model.path)
    return caught.value.reason


def test_a_row_says_all_that_the_hub_knows(hub: Loopback) -> None:
    (model,) = crawl(author="openai-community")
    sha = hub.content.repos[0].sha
    assert model.model_id == f"huggingface/openai-community/gpt2@{sha}"
    assert (model.revision, model.series, model.task) == (sha, "gpt2", "text-generation")
    assert (model.dataset, model.licence) == ("WebText, books", "mit")
    assert model.weights_url == f"{hub.url}/openai-community/gpt2/resolve/{sha}/model.safetensors"
    assert model.weights_sha256 == hashlib.sha256(GPT2["model.safetensors"]).hexdigest()
    assert model.extra == {
        "reported_params": 137,
        "library": "transformers",
        "last_modified": "2026-01-02T03:04:05.000Z",
    }
    (metric,) = model.metrics
    assert (metric.dataset, metric.metric, metric.value, metric.higher_is_better) == ("lambada", "ppl", 35.1, False)


def test_every_repository_is_a_row_and_those_without_weights_say_why(hub: Loopback) -> None:
    found = by_name(crawl())
    assert list(found) == [repo.id for repo in hub.content.repos]
    assert [reason(found[name]) for name in list(found)[2:]] == [
        "gated",
        "unsupported_format",
        "unsupported_format",
        "no_tensors",
    ]
    # The listing, and the hashes of the two models that can be analysed; nothing for the others.
    assert [seen.path.count("/revision/") for seen in hub.log] == [0, 1, 1]


def test_an_unchanged_hub_costs_its_listing(hub: Loopback) -> None:
    first = crawl()
    before = len(hub.log)
    assert crawl() == first
    assert len(hub.log) == before + 1


def test_the_hash_of_shards_is_that_of_a_local_copy(hub: Loopback) -> None:
    model = by_name(crawl(author="meta"))["meta/llama"]
    lines = sorted(
        f"{name}:{hashlib.sha256(data).hexdigest()}\n" for name, data in LLAMA.items() if name.endswith(".safetensors")
    )
    assert model.weights_sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_searches_are_the_hubs_and_globs_are_ours(hub: Loopback) -> None:
    assert [model.name for model in crawl(task="text-generation")] == ["openai-community/gpt2"]
    assert [model.name for model in crawl(search="LLAMA")] == ["meta/llama"]
    assert [model.name for model in crawl(limit=2)] == ["openai-community/gpt2", "meta/llama"]
    assert [model.name for model in crawl(glob="meta/*")] == ["meta/llama", "meta/closed"]


def test_pages_are_followed_until_the_limit(hub: Loopback) -> None:
    hub.content.page = 2
    assert len(crawl(limit=5, checksums=False)) == 5
    assert len(hub.requests("/api/models")) == 3


def test_a_page_on_another_server_is_not_followed(hub: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.content.page = 2
    with Loopback() as thief:
        real, hub.url = hub.url, thief.url
        found = crawl(checksums=False)
        hub.url = real
        assert thief.log == []
    assert reason(found[-1]) == "unsafe"
    assert len(found) == 3


def test_a_listing_that_breaks_off_says_so(hub: Loopback) -> None:
    hub.content.page = 2
    hub.script.add("/api/models", "status", *range(2, 20), status=503)
    found = crawl(checksums=False)
    assert [model.name for model in found] == ["openai-community/gpt2", "meta/llama", "(listing)"]
    assert reason(found[-1]) == "unreachable"


def test_named_models_are_pinned_and_missing_ones_are_rows(hub: Loopback) -> None:
    sha = hub.content.repos[0].sha
    found = crawl(ids=["openai-community/gpt2@main", "nobody/nothing", "openai-community/gpt2@v9"])
    assert [model.revision for model in found] == [sha, "missing", "missing"]
    assert [reason(model) for model in found[1:]] == ["not_found", "not_found"]


@pytest.mark.parametrize(
    "fields",
    [
        {"cardData": "none", "config": [], "safetensors": 3, "tags": "x", "evalResults": {"a": 1}},
        {"cardData": {"license": ["mit", 3], "datasets": {"a": 1}, "model-index": [{"results": [None]}]}},
        {"sha": "../../x"},
        {"sha": None},
    ],
)
def test_a_malformed_entry_spoils_no_other(hub: Loopback, fields: dict[str, object]) -> None:
    hub.content.repos.insert(0, Repo("odd/one", GPT2, fields, downloads=1000))
    found = by_name(crawl(checksums=False))
    assert {"odd/one", "openai-community/gpt2", "meta/llama"} <= found.keys()


def test_a_token_opens_what_it_was_granted(hub: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_yes")
    model = by_name(crawl(author="meta"))["meta/closed"]
    assert len(open_remote(model.path, open_checkpoint).tensors) == len(models.llama())
    monkeypatch.setenv("HF_TOKEN", "hf_no")
    before = len(hub.log)
    with pytest.raises(CheckpointError) as caught:
        open_remote(model.path, open_checkpoint)
    assert caught.value.reason == "gated"
    assert len(hub.log) == before + 1


def test_what_was_crawled_can_be_read(hub: Loopback) -> None:
    found = by_name(crawl(limit=2))
    for name, tensors in (("openai-community/gpt2", models.gpt2()), ("meta/llama", models.llama())):
        checkpoint = open_remote(found[name].path, open_checkpoint)
        for ref in checkpoint.tensors:
            np.testing.assert_array_equal(read(local(ref)), types.decode(tensors[ref.name], ref.dtype))


def test_a_shape_of_the_listing_that_is_no_list(hub: Loopback) -> None:
    hub.content.files["/api/models"] = json.dumps({"error": "what"}).encode()
    (row,) = crawl()
    assert reason(row) == "unreadable"
