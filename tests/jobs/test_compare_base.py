"""`compare PATH` without a base: what the adapter's configuration, the card or kinship name, and refusals by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from tests.jobs.test_compare_rows import QUICK, compared, hub
from tests.jobs.test_kin import net, noisy
from tests.loopback import Loopback, Repo
from zoospectra.jobs.main import main
from zoospectra.jobs.verbs import compare
from zoospectra.jobs.work import base

__all__ = ["hub"]


def card(text: str) -> bytes:
    return f"---\nlicense: mit\n{text}\n---\n# A model\n".encode()


def test_the_ways_are_those_of_the_command() -> None:
    assert ("auto", *base.WAYS) == compare.WAYS


def test_a_card_names_the_base(hub: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model of the hub by its entry, a folder by its README.md; the numbers are those of both by name."""
    before, after = save(net(0)), save(noisy(net(0), 0.1))
    hub.content.repos = [
        Repo("toy/base", {"model.safetensors": before}),
        Repo("toy/tuned", {"model.safetensors": after}, {"cardData": {"base_model": "toy/base"}}),
        Repo("toy/mixed", {"model.safetensors": after}, {"cardData": {"base_model": ["toy/base", "toy/tuned"]}}),
        Repo("toy/plain", {"model.safetensors": after}),
    ]
    words = [f"warehouse.dir={tmp_path / 'data'}", *QUICK]
    both = compared(0, capsys, "toy/base", "toy/tuned", *words)
    assert compared(0, capsys, "toy/tuned", *words) == both
    folder = tmp_path / "tuned"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(after)
    (folder / "README.md").write_bytes(card("base_model: toy/base"))
    assert compared(0, capsys, str(folder / "model.safetensors"), "base=card", *words) == both
    whole = compared(0, capsys, str(folder), *words)  # a folder's names keep the 'model.' that all begin with
    assert [row | {"longname": name.removeprefix("model.")} for name, row in whole.items()] == list(both.values())
    assert main(["compare", str(folder), *words]) == 0
    assert "named by its card" in capsys.readouterr().err
    for model, expected in (("toy/mixed", "its card names 2, toy/base, toy/tuned: choose one"), ("toy/plain", "none")):
        assert main(["compare", model, *words]) == 2
        assert expected in capsys.readouterr().err
    (folder / "README.md").write_bytes(card("base_model: ../../etc"))
    assert main(["compare", str(folder), *words]) == 2
    assert "'../../etc', which is neither" in capsys.readouterr().err


def test_an_adapters_configuration_names_the_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A low-rank update: what it adds to the base has rank 2."""
    rng = np.random.default_rng(0)
    W = rng.normal(size=(64, 48)).astype(np.float32)
    A, B = rng.normal(size=(2, 48)).astype(np.float32), rng.normal(size=(64, 2)).astype(np.float32)
    base_folder, adapter = tmp_path / "base", tmp_path / "adapter"
    for folder in (base_folder, adapter):
        folder.mkdir()
    save_file({"model.q_proj.weight": W}, base_folder / "model.safetensors")
    (base_folder / "config.json").write_text("{}")
    prefix = "base_model.model.model.q_proj"
    save_file({f"{prefix}.lora_A.weight": A, f"{prefix}.lora_B.weight": B}, adapter / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": str(base_folder)}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    (row,) = compared(0, capsys, str(adapter), "base=adapter", f"warehouse.dir={tmp_path / 'data'}").values()
    update = 2.0 * (B @ A).astype(np.float64)
    lam = np.linalg.svd(update, compute_uv=False) ** 2
    assert row["distance"] == pytest.approx(np.linalg.norm(update) / np.linalg.norm(W), rel=1e-4)
    assert row["stable_rank_difference"] == pytest.approx(lam.sum() / lam.max(), rel=1e-3)


@pytest.mark.slow
def test_kin_name_the_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a file that no scan has seen, beside a copy of it that one has."""
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    tuned = noisy(net(0), 0.2)
    for name, arrays in {f"net{seed}": net(seed) for seed in range(4)}.items():
        save_file(arrays, zoo / f"{name}.safetensors")
    save_file(tuned, zoo / "copy.safetensors")
    save_file(tuned, tmp_path / "tuned.safetensors")
    save_file(net(9), tmp_path / "stranger.safetensors")
    data = f"warehouse.dir={tmp_path / 'data'}"
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", data, "cluster=inline"]) == 0
    expected = compared(0, capsys, str(zoo / "net0.safetensors"), str(tmp_path / "tuned.safetensors"))
    assert compared(0, capsys, str(tmp_path / "tuned.safetensors"), data) == expected
    assert compared(0, capsys, "local/copy.safetensors", "base=kin", data) == expected
    assert main(["compare", str(tmp_path / "stranger.safetensors"), data]) == 2
    said = capsys.readouterr().err
    assert "its card names none" in said
    assert f"nothing in {tmp_path / 'data'} is kin to it" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a.pt", "base=parent"], "expected one of auto, adapter, card, kin"),
        (["a.pt", "b.pt", "base=card"], "expected PATH alone"),
        (["a.pt", "b.pt", "c.pt"], "expected [BASE] PATH, got 3 words"),
        (["a.pt", "b.pt", "cluster.device=cuda"], "pairs are compared on CPUs"),
    ],
)
def test_misuse(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *words]) == 2
    assert expected in capsys.readouterr().err
