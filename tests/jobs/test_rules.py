"""What a user knows better: a file of rules changes what a scan finds, and is part of what a result is known by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    tensors = {"a.weight": rng.normal(size=(64, 48)), "b.wqkv.weight": rng.normal(size=(96, 32))}
    (tmp_path / "zoo").mkdir()
    save_file({name: array.astype(np.float32) for name, array in tensors.items()}, tmp_path / "zoo" / "m.safetensors")
    return tmp_path / "zoo"


def scan(zoo: Path, *words: str) -> list[str]:
    data = zoo.parent / "data"
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline", *words]) == 0
    return query(data, "SELECT longname FROM layers ORDER BY layer_id, longname")["longname"].to_pylist()


def test_rules_change_the_layers_and_are_part_of_the_identity(zoo: Path) -> None:
    assert "a" in scan(zoo)
    rules, data = zoo.parent / "rules.yaml", zoo.parent / "data"
    rules.write_text('"a.*": buffer\n"*.wqkv.weight": {split: [q, k, v]}\n')
    after = scan(zoo, f"zoo.rules={rules}")
    assert "a" not in after
    assert {"b.wqkv.q", "b.wqkv.k", "b.wqkv.v"} <= set(after)
    skipped = query(data, "SELECT reason FROM skipped WHERE tensor = 'a.weight'")["reason"].to_pylist()
    assert skipped == ["buffer"]
    q = load_file(zoo / "m.safetensors")["b.wqkv.weight"][:32].astype(np.float64)
    sql = "SELECT log_spectral_norm AS n FROM layer_metrics WHERE longname = 'b.wqkv.q'"
    (row,) = query(data, sql).to_pylist()
    assert row["n"] == pytest.approx(2 * np.log10(np.linalg.svd(q, compute_uv=False)[0]), rel=1e-12)


def test_describe_takes_the_same_rules_and_explains(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = zoo.parent / "rules.yaml"
    rules.write_text('"a.*": buffer\n')
    path = str(zoo / "m.safetensors")
    assert main(["describe", path, f"rules={rules}", "--explain", "a.weight"]) == 0
    assert "a.*" in capsys.readouterr().out
    assert main(["describe", path, "--explain=a.weigth"]) == 2
    assert "a.weight" in capsys.readouterr().err


def test_describe_lists_the_models_of_a_folder(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(zoo)]) == 0  # its only model
    assert "b.wqkv" in capsys.readouterr().out
    save_file({"c.weight": np.ones((8, 5), np.float32)}, zoo / "n.safetensors")
    (zoo / "cut.safetensors").write_bytes(b"no header")
    (zoo / "run").mkdir()
    save_file({"netG.c.weight": np.ones((8, 5), np.float32)}, zoo / "run" / "best.safetensors")
    assert main(["describe", str(zoo)]) == 0
    shown = capsys.readouterr().out
    assert "4 models" in shown
    for name in ("cut.safetensors", "m.safetensors", "n.safetensors", "run/best.safetensors", "unreadable"):
        assert name in shown


@pytest.mark.parametrize("text", ['"a.*": bufer', "- 1", '"a.*": {split: 3}', "a: [: b"])
def test_rules_that_are_not_understood_are_one_line(zoo: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    rules = zoo.parent / "rules.yaml"
    rules.write_text(text)
    words = ["scan", "zoo=local", f"zoo.path={zoo}", f"zoo.rules={rules}", f"warehouse.dir={zoo.parent / 'data'}"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"zoospectra scan: zoo.rules={rules}: ")
    assert error.count("\n") == 1
    assert not (zoo.parent / "data").exists()
