"""Fused, stacked and tied weights through a whole scan: their rows, their numbers, and what is computed once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query


@pytest.fixture
def scanned(tmp_path: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)

    def matrix(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    table = matrix(100, 48)
    state = {
        "h.0.attn.c_attn.weight": matrix(48, 144),
        "h.0.mlp.experts.gate_up_proj": matrix(4, 64, 48),
        "h.0.mlp.experts.down_proj": matrix(4, 48, 32),
        "lm_head.weight": table.clone(),
        "wte.weight": table,
    }
    folder = tmp_path / "zoo" / "net"
    folder.mkdir(parents=True)
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "mixtral", "hidden_size": 48}))
    words = [
        "scan",
        "zoo=local",
        f"zoo.path={tmp_path / 'zoo'}",
        f"warehouse.dir={tmp_path / 'data'}",
        "cluster=inline",
    ]
    assert main(words) == 0
    return tmp_path / "data", state


def test_every_part_has_a_row_with_its_own_numbers(scanned: tuple[Path, dict[str, torch.Tensor]]) -> None:
    data, state = scanned
    rows = {row["longname"]: row for row in query(data, "SELECT * FROM layers ORDER BY layer_id").to_pylist()}
    assert len(rows) == 4 + 12 + 2
    assert [row["layer_id"] for row in rows.values()] == list(range(18))
    key = rows["h.0.attn.c_attn.k"]
    assert (key["tensor"], key["group"], key["N"], key["M"]) == ("h.0.attn.c_attn.weight", "k", 48, 48)
    (metrics,) = query(
        data, "SELECT * FROM layer_metrics WHERE longname = 'h.0.mlp.experts.gate_up_proj.2.up'"
    ).to_pylist()
    values = torch.linalg.svdvals(state["h.0.mlp.experts.gate_up_proj"][2, 32:].double()).numpy() ** 2
    assert metrics["log_spectral_norm"] == pytest.approx(np.log10(values.max()), rel=1e-12)
    assert (metrics["N"], metrics["M"], metrics["group"]) == (48, 32, "expert 2")


def test_tensors_count_once_and_tied_ones_are_analysed_once(scanned: tuple[Path, dict[str, torch.Tensor]]) -> None:
    data, state = scanned
    (model,) = query(data, "SELECT params FROM models").to_pylist()
    assert model["params"] == sum(tensor.numel() for tensor in state.values())
    tied = query(data, "SELECT content_hash, layer_type FROM layers WHERE longname IN ('wte', 'lm_head')").to_pylist()
    assert tied[0] == tied[1]
    assert tied[0]["layer_type"] == "embedding"
    (count,) = query(data, "SELECT count(DISTINCT content_hash) AS n FROM spectra").to_pylist()
    assert count["n"] == 17
