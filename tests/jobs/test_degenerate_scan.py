"""The stored type reaches the fit, from weights and from stored spectra alike, and warned fits leave the means."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

import zoospectra
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query

PROFILES = "profiles=weightwatcher,natcomm2021,corrected"


def state() -> dict[str, torch.Tensor]:
    """Orthonormal float32 and bfloat16 layers, one in bfloat16 precision that is stored as float32, and a tail."""
    generator = torch.Generator().manual_seed(0)
    Q = torch.linalg.qr(torch.randn(128, 96, generator=generator))[0]
    tail = torch.randn(128, 96, generator=generator) * torch.exp(torch.randn(96, generator=generator))
    return {
        "single.weight": Q.contiguous(),
        "half.weight": Q.bfloat16().contiguous(),
        "rounded.weight": Q.bfloat16().float().contiguous(),
        "tail.weight": tail,
    }


def rows(data: Path) -> list[tuple[object, ...]]:
    sql = """SELECT longname, profile, outcome, degenerate_tail, counted, alpha FROM layer_metrics ORDER BY 1, 2"""
    return [tuple(row.values()) for row in query(data, sql).to_pylist()]


def test_scan_and_refit_judge_a_tail_by_the_stored_type(tmp_path: Path) -> None:
    zoo, data, later = tmp_path / "zoo", tmp_path / "data", tmp_path / "later"
    zoo.mkdir()
    save_file(state(), zoo / "net.safetensors")
    words = ["zoo=local", f"zoo.path={zoo}", "cluster=inline"]
    assert main(["scan", *words, f"warehouse.dir={data}", PROFILES]) == 0
    got = {(name, profile): rest for name, profile, *rest in rows(data)}
    for name in ("single", "half"):
        assert got[name, "corrected"] == ["failed", True, False, None]
        assert got[name, "weightwatcher"][:3] == ["fit", True, False]
        assert got[name, "natcomm2021"][:3] == ["fit", True, True]
    assert all(got["rounded", profile][:3] == ["fit", False, True] for profile in ("corrected", "weightwatcher"))
    assert all(got["tail", profile][:3] == ["fit", False, True] for profile in ("corrected", "weightwatcher"))
    means = query(
        data, "SELECT profile, num_layers, num_failed, num_left_out, share_warned FROM model_metrics ORDER BY 1"
    )
    assert [tuple(row.values()) for row in means.to_pylist()] == [
        ("corrected", 2, 2, 0, 0.5),
        ("natcomm2021", 4, 0, 0, 0.5),
        ("weightwatcher", 2, 0, 2, 0.5),
    ]
    assert main(["scan", *words, f"warehouse.dir={later}", "profiles=ww012"]) == 0
    shutil.rmtree(zoo)
    assert main(["refit", PROFILES, f"warehouse.dir={later}", "cluster=inline"]) == 0
    assert [row for row in rows(later) if row[1] != "ww012"] == rows(data)


def test_the_door_says_so_too() -> None:
    found = zoospectra.analyze(state(), profile="corrected")
    status = dict(zip(found.layers["longname"].to_pylist(), found.layers["status"].to_pylist(), strict=True))
    assert status == {"single": "degenerate_tail", "half": "degenerate_tail", "rounded": "success", "tail": "success"}
    assert found.summary()["share_warned"] == 0.5
    assert found.summary()["alpha_median"] is not None
