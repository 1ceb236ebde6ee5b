"""Adapters of a zoo come with their base where it is at hand: named, beside them, or on this machine; else alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.loopback import Loopback, Repo
from tests.zoo.fetch.conftest import fetching, server
from tests.zoo.fetch.models import safetensors
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.fetch.session import Session
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.values import read_layer
from zoospectra.zoo.sources.local import crawl

__all__ = ["fetching", "server"]

NAMES = ("layers.0.q_proj", "layers.1.q_proj")


def adapter(folder: Path, base: str | None, scale: float = 8.0) -> Path:
    """An adapter in PEFT's names of two layers of 64 x 48."""
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    tensors = {
        f"base_model.model.{name}.lora_{end}.weight": torch.randn(*shape)
        for name in NAMES
        for end, shape in (("A", (4, 48)), ("B", (64, 4)))
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": scale, "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def model(folder: Path) -> Path:
    """A base of three layers."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    state = {f"{name}.weight": torch.randn(64, 48) for name in (*NAMES, "head")}
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "custom"}))
    return folder


def load_numpy(folder: Path) -> dict[str, Any]:
    return {name: value.numpy() for name, value in load_file(folder / "model.safetensors").items()}


def names(found: Any) -> list[str]:
    return [one.name for one in found]


def test_no_base_is_no_more_models(tmp_path: Path) -> None:
    adapter(tmp_path / "zoo" / "a", "nobody/has-it")
    adapter(tmp_path / "zoo" / "b", None)
    assert names(crawl(str(tmp_path / "zoo"))) == ["a", "b"]


@pytest.mark.parametrize("where", ["zoo", "cache", "elsewhere", "named"])
def test_where_a_base_may_be(tmp_path: Path, where: str) -> None:
    zoo = tmp_path / "zoo"
    places = {"zoo": zoo / "some/base", "cache": zoo / "models--some--base/snapshots/abc", "elsewhere": tmp_path / "x"}
    base = model(places.get(where, tmp_path / "x"))
    adapter(zoo / "a", {"elsewhere": str(base), "named": "other/base"}.get(where, "some/base"))
    found = crawl(str(zoo), base=str(base) if where == "named" else None)
    extra = [one for one in found if "#" in one.name]
    assert names(extra) == ["a#merged", "a#base"]
    assert [one.path for one in extra] == [f"{zoo / 'a'}#{side}={base}" for side in ("merged", "base")]
    assert extra[0].revision != next(one.revision for one in found if one.name == "a")


def test_another_base_is_another_revision(tmp_path: Path) -> None:
    base = model(tmp_path / "x")
    adapter(tmp_path / "zoo" / "a", str(base))
    before = crawl(str(tmp_path / "zoo"))[1].revision
    assert crawl(str(tmp_path / "zoo"))[1].revision == before
    state = load_file(base / "model.safetensors")
    save_file({name: 2 * value for name, value in state.items()}, base / "model.safetensors")
    assert crawl(str(tmp_path / "zoo"))[1].revision != before


@pytest.mark.parametrize("stated", ["/etc/hostname", "../base", "\0", "", "x" * 5000, "/dev/zero", 3, ["a"]])
def test_an_adapter_cannot_point_at_anything_else(tmp_path: Path, stated: Any) -> None:
    model(tmp_path / "base")
    adapter(tmp_path / "zoo" / "a", stated)
    assert names(crawl(str(tmp_path / "zoo"))) == ["a"]


def test_a_base_that_is_neither(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapter(tmp_path / "zoo" / "a", None)
    words = ["scan", "zoo=local", f"zoo.path={tmp_path / 'zoo'}", "zoo.base=/no/such/place", "cluster=inline"]
    assert main([*words, f"warehouse.dir={tmp_path / 'data'}"]) == 2
    assert "zoo.base=/no/such/place: expected a file, a folder" in capsys.readouterr().err


@pytest.mark.parametrize("named", [True, False])
def test_a_base_at_the_hub_is_read_by_range_and_only_when_named(
    tmp_path: Path, server: Loopback, fetching: Callable[..., Session], named: bool
) -> None:
    base = model(tmp_path / "base")
    files = {file.name: file.read_bytes() for file in base.iterdir()}
    files["model.safetensors"] = safetensors({"big": np.zeros(1 << 20, np.float32), **load_numpy(base)})
    server.content.repos = [Repo("some/base", files)]
    own = adapter(tmp_path / "zoo" / "a", "some/base")
    fetching()
    found = crawl(str(tmp_path / "zoo"), base="some/base" if named else None)
    if not named:
        assert names(found) == ["a"]
        assert server.sent() == 0
        return
    assert names(found) == ["a", "a#merged", "a#base"]
    checkpoint = open_checkpoint(found[1].path)
    made, skips = layers(checkpoint.tensors, checkpoint.config)
    assert [skip for skip in skips if skip.failed] == []
    factors, state = load_file(own / "adapter_model.safetensors"), load_file(base / "model.safetensors")
    for layer in made:
        a, b = (factors[f"base_model.model.{layer.longname}.lora_{end}.weight"].numpy() for end in "AB")
        wanted = state[f"{layer.longname}.weight"].numpy() + 2 * b @ a
        np.testing.assert_allclose(read_layer(layer), wanted, rtol=1e-4, atol=1e-4)
    assert len(made) == 2
    assert server.sent() < 1 << 20, "less than the tensor that the adapter leaves alone"


def test_a_scan(tmp_path: Path) -> None:
    """Update, merged weights and base are three models; their largest eigenvalues are those of numpy."""
    base, own = model(tmp_path / "base"), adapter(tmp_path / "zoo" / "a", None)
    words = ["zoo=local", f"zoo.path={tmp_path / 'zoo'}", f"zoo.base={base}", f"warehouse.dir={tmp_path / 'data'}"]
    assert main(["scan", *words, "cluster=inline"]) == 0
    sql = "SELECT model_id, longname, layer_type, log_spectral_norm FROM layer_metrics ORDER BY ALL"
    rows = query(tmp_path / "data", sql).to_pylist()
    state, factors = load_file(base / "model.safetensors"), load_file(own / "adapter_model.safetensors")
    for row in rows:
        a, b = (factors[f"base_model.model.{row['longname']}.lora_{end}.weight"].double().numpy() for end in "AB")
        weight = state[f"{row['longname']}.weight"].double().numpy()
        update = 2 * b @ a
        wanted = {"a": update, "a#merged": weight + update, "a#base": weight}[row["model_id"].partition("/")[2]]
        largest = np.linalg.svd(wanted, compute_uv=False)[0] ** 2
        assert row["log_spectral_norm"] == pytest.approx(np.log10(largest), abs=1e-5)
        assert row["layer_type"] == ("lora" if row["model_id"].endswith("/a") else "dense")
    assert len(rows) == 6
    reasons = query(tmp_path / "data", "SELECT DISTINCT model_id, reason FROM skipped WHERE reason = 'not_the_model'")
    assert {row["model_id"] for row in reasons.to_pylist()} == {"local/a#merged", "local/a#base"}
