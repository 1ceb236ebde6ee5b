"""What cannot be compared has a row and the exit status 3, wherever a checkpoint is and pairs are compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from safetensors.torch import save_file

from tests.jobs.zoos import weights
from tests.loopback import Loopback, Repo
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query

QUICK = ["fetch.rate=1000", "fetch.max_wait=2", "fetch.timeout=2", "fetch.attempts=1"]


def compared(status: int, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    assert main(["compare", *words, "format=json"]) == status
    return {row["longname"]: row for row in json.loads(capsys.readouterr().out)}


def net(seed: int) -> dict[str, np.ndarray]:
    """Layers a to d, of which c is complex, a bias, and a tensor that no rule can split."""
    rng = np.random.default_rng(seed)
    draw = {name: rng.normal(size=(60, 40)).astype(np.float32) for name in "abd"}
    c = (rng.normal(size=(50, 30)) + 1j * rng.normal(size=(50, 30))).astype(np.complex64)
    whole = {f"{name}.weight": W for name, W in draw.items()} | {"c.weight": c}
    return whole | {"a.bias": np.zeros(60, np.float32), "odd": np.ones((2, 2, 2, 2, 2, 2), np.float32)}


def test_every_layer_that_fails_and_every_refused_tensor_is_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    base, other = net(0), net(1)
    other["b.weight"][3, 4] = np.nan
    other["d.weight"] = np.ones((2, 2, 2, 2, 2, 2), np.float32)
    (tmp_path / "base.safetensors").write_bytes(save(base))
    (tmp_path / "other.safetensors").write_bytes(save(other))
    nets = ["base.safetensors", "other.safetensors"]
    rows = compared(3, capsys, *nets, "keep=true", "warehouse.dir=data")
    refused = "unsupported_shape: 6-D tensor 2x2x2x2x2x2: no rule splits it"
    assert {name: row["status"] for name, row in rows.items()} == {
        "a": "compared",
        "b": "holds NaN or infinity in the other",
        "c": "compared",
        "d": f"in the other: {refused}",
        "odd": f"in the base: {refused}; in the other: {refused}",
    }
    assert len(query(tmp_path / "data", "FROM delta_metrics")) == 5
    every = compared(3, capsys, *nets, "all=true")
    assert every.keys() - rows.keys() == {"a.bias"}
    assert str(every["a.bias"]["status"]).startswith("in the base: vector: 60 numbers; in the other: vector")
    monkeypatch.setattr("zoospectra.jobs.work.executors.node.MEMORY_SHARE", 1e-12)
    large = compared(3, capsys, *nets)
    assert all(str(large[name]["status"]).startswith("too_large: needs 0.0 GiB") for name in "abc")


def test_complex_layers_have_the_numbers_of_numpy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, other = net(0), net(1)
    other["c.weight"] = base["c.weight"] + np.complex64(0.1) * other["c.weight"]
    for name, arrays in (("base", base), ("other", other)):
        (tmp_path / f"{name}.safetensors").write_bytes(save({"c.weight": arrays["c.weight"]}))
    paths = [str(tmp_path / f"{name}.safetensors") for name in ("base", "other")]
    row = compared(0, capsys, *paths)["c"]
    before, after = (arrays["c.weight"].astype(np.complex128) for arrays in (base, other))
    H = np.eye(50) - 1 / 50
    K, L = (H @ W @ W.conj().T @ H for W in (before, after))
    lam = np.linalg.svd(after - before, compute_uv=False) ** 2
    expected = {
        "distance": np.linalg.norm(after - before) / np.linalg.norm(before),
        "cosine": np.vdot(before, after).real / np.linalg.norm(before) / np.linalg.norm(after),
        "cka": np.trace(K @ L).real / np.sqrt(np.trace(K @ K).real * np.trace(L @ L).real),
        "stable_rank_difference": lam.sum() / lam.max(),
        "log_norm_difference": np.log10(lam.sum()),
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-6)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Loopback:  # type: ignore[misc]
    with Loopback() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setenv("ZOOSPECTRA_FETCH", "")
        monkeypatch.delenv("ZOOSPECTRA_FETCH")
        yield server


@pytest.mark.slow
def test_a_checkpoint_is_a_file_a_folder_a_model_of_the_warehouse_or_of_the_hub(
    hub: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = tmp_path / "zoo" / "base"
    zoo.mkdir(parents=True)
    state = weights(0)
    save_file(state, zoo / "model.safetensors")
    (zoo / "config.json").write_text('{"model_type": "toy"}')
    hub.content.repos = [Repo("toy/base", {file.name: file.read_bytes() for file in zoo.iterdir()})]
    tuned = {name: W + 0.01 if W.ndim > 1 else W for name, W in state.items()}
    save_file(tuned, tmp_path / "tuned.safetensors")
    data = f"warehouse.dir={tmp_path / 'data'}"
    assert main(["scan", "zoo=local", f"zoo.path={zoo.parent}", data, "cluster=inline"]) == 0
    other = str(tmp_path / "tuned.safetensors")
    file, *others = (
        compared(0, capsys, base, other, data, *QUICK)
        for base in (str(zoo / "model.safetensors"), str(zoo), "local/base", "toy/base")
    )
    assert file["fc1"]["status"] == "compared"
    assert all(rows == file for rows in others)
    got = [seen for seen in hub.requests("model.safetensors") if seen.sent]
    assert all(seen.status == 206 for seen in got), "only wanted ranges travel"
    assert len(got) <= 3, "neighbours share a request"
    hub.content.repos = [Repo("toy/lost", hub.content.repos[0].files)]
    hub.script.add("*model.safetensors", "status", *range(2, 99), status=503)
    rows = compared(3, capsys, "toy/lost", other, f"warehouse.dir={tmp_path / 'empty'}", *QUICK)
    assert "unreachable" in {str(row["status"]).partition(":")[0] for row in rows.values()}


@pytest.mark.slow
@pytest.mark.ray
def test_a_local_cluster_gives_the_same_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths, failures and numbers, to the last bit."""
    monkeypatch.chdir(tmp_path)
    state, tuned = weights(0, width=256), weights(1, width=256)
    tuned["fc2.weight"] = torch.full_like(tuned["fc2.weight"], float("inf"))
    save_file(state, "base.safetensors")
    save_file(tuned, "tuned.safetensors")
    words = ["base.safetensors", "tuned.safetensors"]
    inline = compared(3, capsys, *words)
    assert compared(3, capsys, *words, "cluster=local", "cluster.cpus=2") == inline
    assert inline["fc2"]["status"] == "holds NaN or infinity in the other"
