"""Two checkpoints, layer by layer: what moved, how far, and what has no partner."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.jobs.zoos import weights
from zoospectra.jobs.main import main
from zoospectra.jobs.words.profiles import load_profiles
from zoospectra.jobs.work.compare import opened
from zoospectra.jobs.work.pair import compare_all, pair, planned_bytes
from zoospectra.warehouse.query import query


def compared(base: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    assert main(["compare", str(base), str(path), "format=json"]) == 0
    return {row["longname"]: row for row in json.loads(capsys.readouterr().out)}


def test_a_low_rank_fine_tune_is_seen_for_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = weights(0)
    save_file(state, tmp_path / "base.safetensors")
    generator = torch.Generator().manual_seed(1)
    update = torch.randn(128, 3, generator=generator) @ torch.randn(3, 64, generator=generator)
    tuned = dict(state)
    tuned["fc1.weight"] = state["fc1.weight"] + 0.01 * update
    tuned["extra.weight"] = torch.ones(20, 20)
    del tuned["embed.weight"]
    tuned["fc2.weight"] = torch.ones(9, 128)
    torch.save(tuned, tmp_path / "tuned.pt")
    rows = compared(tmp_path / "base.safetensors", tmp_path / "tuned.pt", capsys)
    assert {name: row["status"] for name, row in rows.items()} == {
        "embed": "only in the base",
        "features.0": "identical",
        "fc1": "compared",
        "fc2": "shapes differ: 9x128 in the other",
        "extra": "not in the base",
    }
    before, moved = state["fc1.weight"].double().numpy(), (tuned["fc1.weight"] - state["fc1.weight"]).double().numpy()
    assert rows["fc1"]["distance"] == pytest.approx(np.linalg.norm(moved) / np.linalg.norm(before), rel=1e-9)
    values = np.linalg.svd(moved, compute_uv=False) ** 2
    assert rows["fc1"]["stable_rank_difference"] == pytest.approx(values.sum() / values.max(), rel=1e-9)
    assert float(str(rows["fc1"]["stable_rank_difference"])) < 3
    assert (rows["features.0"]["distance"], rows["features.0"]["cka"]) == (0.0, pytest.approx(1.0))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "expected [BASE] PATH"),
        (["a.pt", "b.pt"], "no such file"),
        (["profiles=a,b", "x", "y"], "expected one name"),
    ],
)
def test_misuse(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *words]) == 2
    assert expected in capsys.readouterr().err


def alignment(A: np.ndarray, B: np.ndarray) -> float:
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) of centred K = A A^T and L = B B^T: Kornblith and others 2019."""
    H = np.eye(len(A)) - 1 / len(A)
    K, L = H @ A @ A.T @ H, H @ B @ B.T @ H
    return float((K * L).sum() / np.sqrt((K * K).sum() * (L * L).sum()))


def exponent(lam: np.ndarray) -> float:
    """1 + n / sum ln(lam / xmin) of the tail with the smallest Kolmogorov-Smirnov distance: Clauset and others 2009."""
    tails = [np.sort(lam)[i:] for i in range(len(lam) - 1)]
    alphas = [1 + len(tail) / np.log(tail / tail[0]).sum() for tail in tails]
    distances = [
        np.abs(1 - (tail / tail[0]) ** (1 - alpha) - np.arange(len(tail)) / len(tail)).max()
        for tail, alpha in zip(tails, alphas, strict=True)
    ]
    return float(alphas[int(np.argmin(distances))])


def signal(values: np.ndarray, N: int, M: int) -> float | None:
    """Spectrum's score of singular values, arXiv:2406.06623; None where none of them is noise."""
    threshold = np.subtract(*np.quantile(values, [0.75, 0.25])) / 1.349 * (1 + np.sqrt(M / N))
    above = values > threshold
    return None if above.all() else float(values[above].sum() / values[~above].sum() / values.max())


def test_kept_rows_are_those_of_numpy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model of the warehouse against a file; every number of a kept row from the weights."""
    zoo, data = tmp_path / "zoo", tmp_path / "data"
    zoo.mkdir()
    state = weights(0)
    save_file(state, zoo / "base.safetensors")
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline"]) == 0
    generator = torch.Generator().manual_seed(2)
    noise = {name: 0.01 * torch.randn(W.shape, generator=generator) for name, W in state.items()}
    tuned = {name: W + noise[name] if W.ndim > 1 else W for name, W in state.items()}
    save_file(tuned, tmp_path / "tuned.safetensors")
    words = ["local/base.safetensors", str(tmp_path / "tuned.safetensors"), f"warehouse.dir={data}"]
    assert main(["compare", *words, "keep=true"]) == 0
    kept = query(data, "FROM delta_metrics").to_pylist()
    assert {(row["base_id"], row["model_id"]) for row in kept} == {(words[0], words[1])}
    row = next(row for row in kept if row["longname"] == "fc1")
    before, after = (held["fc1.weight"].double().numpy() for held in (state, tuned))
    moved = np.linalg.svd(after - before, compute_uv=False)
    lam = moved**2
    p = lam / lam.sum()
    expected = {
        "alpha": exponent(lam),
        "cka": alignment(before, after),
        "entropy": -(p * np.log(p)).sum() / np.log(np.linalg.matrix_rank(after - before)),
        "snr": signal(moved, 128, 64),
        "distance": np.linalg.norm(after - before) / np.linalg.norm(before),
        "cosine": (after * before).sum() / np.linalg.norm(after) / np.linalg.norm(before),
        "log_norm": np.log10((moved**2).sum()),
        "log_spectral_norm": np.log10(moved[0] ** 2),
        "stable_rank": (moved**2).sum() / moved[0] ** 2,
        "energy_8": (moved[:8] ** 2).sum() / (moved**2).sum(),
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    assert row["evals"] == pytest.approx(np.sort(moved**2).tolist(), rel=1e-6)
    kernels = [held["features.0.weight"].double().numpy().reshape(64, 16, 9) for held in (state, tuned)]
    row_of_slices = next(row for row in kept if row["longname"] == "features.0")
    expected_cka = np.mean([alignment(*(kernel[:, :, k] for kernel in kernels)) for k in range(9)])
    assert row_of_slices["cka"] == pytest.approx(expected_cka, rel=1e-9)
    first = np.linalg.svd(kernels[1][:, :, 0] - kernels[0][:, :, 0], compute_uv=False)
    assert row_of_slices["snr"] is signal(first, 64, 16) is None
    (stored,) = query(data, "SELECT content_hash FROM layers WHERE longname = 'fc1'").to_pylist()
    assert row["base_hash"] == stored["content_hash"] != row["content_hash"]
    (zoo / "base.safetensors").unlink()
    capsys.readouterr()
    assert main(["compare", *words]) == 2
    assert "its checkpoint is not where the catalog had it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shape", "dtype", "rank"),
    [
        ((1500, 800), torch.bfloat16, None),
        ((1500, 800), torch.bfloat16, 3),
        ((800, 1500), torch.float32, None),
        ((300, 20000), torch.bfloat16, None),
        ((80, 70, 3, 3), torch.bfloat16, None),
        pytest.param((5504, 2048), torch.bfloat16, None, marks=pytest.mark.slow),
        pytest.param((5504, 2048), torch.bfloat16, 3, marks=pytest.mark.slow),
    ],
)
def test_a_pair_stays_within_the_planned_memory(
    shape: tuple[int, ...], dtype: torch.dtype, rank: int | None, tmp_path: Path
) -> None:
    """All that numpy and the solvers allocate; the three spectra are of full rank, or need singular values."""
    (profile,) = load_profiles(["weightwatcher"])
    generator = torch.Generator().manual_seed(3)
    W, update = torch.randn(2, *shape, generator=generator)
    if rank:
        W, update = W.round(), torch.randn(shape[0], rank, generator=generator).round() @ torch.ones(rank, shape[1])
    save_file({"fc.weight": W.to(dtype)}, tmp_path / "base.safetensors")
    save_file({"fc.weight": (W + update).to(dtype)}, tmp_path / "tuned.safetensors")
    base, other = (opened(str(tmp_path / f"{name}.safetensors"), name).layers for name in ("base", "tuned"))
    work = pair("fc", base["fc"], other["fc"], profile)
    planned = work.cost.peak_bytes
    assert planned == planned_bytes(base["fc"], other["fc"])
    small = torch.randn(300, 270, generator=generator)
    save_file({"fc.weight": small}, tmp_path / "small.safetensors")
    warm = opened(str(tmp_path / "small.safetensors"), "small").layers["fc"]
    compare_all([pair("fc", warm, warm, profile)])
    tracemalloc.start()
    try:
        (row,) = compare_all([work])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert row.status == "compared"
    assert planned / 4 < peak <= planned
    assert planned < 25 * W.numel() + (12 << 20)
