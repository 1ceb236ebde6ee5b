"""A night in which nothing of a hub has changed asks for its catalog only; one changed tensor is computed alone."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from tests.loopback import Loopback, Repo
from zoospectra.jobs.main import main

MODELS = 1000
CONFIG = b'{"model_type": "bert"}'


def net(rng: np.random.Generator) -> bytes:
    shapes = {"fc.weight": (16, 24), "out.weight": (8, 16)}
    return save({name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()})


def repo(number: int, weights: bytes) -> Repo:
    sha = hashlib.sha1(weights).hexdigest()
    fields = {"config": {"model_type": "bert"}}
    return Repo(f"org/m{number}", {"config.json": CONFIG, "model.safetensors": weights}, fields, sha=sha)


@pytest.mark.slow
def test_an_unchanged_night_of_a_thousand_asks_for_the_catalog_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    with Loopback() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        hub.content.repos = [repo(number, net(rng)) for number in range(MODELS)]

        def night() -> tuple[str, list[str]]:
            before, began = len(hub.requests()), time.monotonic()
            words = ["zoo=huggingface", "zoo.author=org", "zoo.limit=null", "fetch.rate=1000", "cluster=inline"]
            assert main(["scan", *words, f"warehouse.dir={tmp_path}/data"]) == 0
            paths = [seen.path.partition("?")[0] for seen in hub.requests()[before:]]
            print(f"{time.monotonic() - began:.1f} s, {len(paths)} requests")
            return capsys.readouterr().out, paths

        out, paths = night()
        assert f"({2 * MODELS} tensors analysed now" in out
        assert len(paths) > 3 * MODELS
        pages = -(-MODELS // hub.content.page)
        out, paths = night()
        assert "(0 tensors analysed now, 0 fitted" in out
        assert paths == ["/api/models"] * pages
        weights = load(bytes(hub.content.repos[7].files["model.safetensors"]))
        weights["fc.weight"] += 1
        hub.content.repos[7] = repo(7, save(weights))
        out, paths = night()
        assert "(1 tensors analysed now, 0 fitted" in out
        assert {path for path in paths if path != "/api/models"} == {
            path for path in paths if path.removeprefix("/api/models").startswith("/org/m7/")
        }
