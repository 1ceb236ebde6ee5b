"""Relatives of known ancestry, from files through a scan to verdicts; every plant is made by plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import zoospectra
from zoospectra.jobs.call import call
from zoospectra.jobs.main import main

Net = dict[str, np.ndarray]
SIDE, BLOCKS = 64, 3


def net(seed: int) -> Net:
    """Attention and feed-forward weights of three blocks, heavy-tailed."""
    rng = np.random.default_rng(seed)
    shapes = {"self_attn.q_proj": (SIDE, SIDE), "self_attn.k_proj": (SIDE, SIDE), "mlp.up_proj": (2 * SIDE, SIDE)}
    shapes |= {"mlp.down_proj": (SIDE, 2 * SIDE)}
    return {
        f"model.layers.{block}.{name}.weight": (rng.standard_t(5, size=shape) * 0.05).astype(np.float32)
        for block in range(BLOCKS)
        for name, shape in shapes.items()
    }


def noisy(parent: Net, size: float) -> Net:
    rng = np.random.default_rng(99)
    return {k: (W + size * W.std() * rng.normal(size=W.shape)).astype(np.float32) for k, W in parent.items()}


def rounded(parent: Net) -> Net:
    """int8 by row, dequantised to float32."""
    steps = {name: np.abs(W).max(axis=1, keepdims=True) / 127 for name, W in parent.items()}
    return {name: (np.round(W / steps[name]) * steps[name]).astype(np.float32) for name, W in parent.items()}


def permuted(parent: Net) -> Net:
    """Hidden units of every feed-forward block in another order."""
    rng, turned = np.random.default_rng(7), dict(parent)
    for block in range(BLOCKS):
        order = rng.permutation(2 * SIDE)
        up, down = (f"model.layers.{block}.mlp.{name}_proj.weight" for name in ("up", "down"))
        turned |= {up: parent[up][order], down: np.ascontiguousarray(parent[down][:, order])}
    return turned


def rotary(W: np.ndarray) -> np.ndarray:
    """Rows of every head of 16 from halves to pairs."""
    return np.ascontiguousarray(W.reshape(SIDE // 16, 2, 8, SIDE).swapaxes(1, 2).reshape(SIDE, SIDE))


def converted(parent: Net) -> Net:
    """Names of llama.cpp, float16, rows of q and k in the order of its rotary embedding (heads of 16)."""
    short = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "mlp.up_proj": "ffn_up"}
    short |= {"mlp.down_proj": "ffn_down"}
    held = {}
    for name, W in parent.items():
        _, _, block, module, kind, _ = name.split(".")
        if module == "self_attn":
            held[f"blk.{block}.{short[f'{module}.{kind}']}.weight"] = rotary(W).astype(np.float16)
        else:
            held[f"blk.{block}.{short[f'{module}.{kind}']}.weight"] = W.astype(np.float16)
    return held


def stacked(parent: Net) -> Net:
    """Blocks 0, 1, 1, 2."""
    return {
        name.replace(f"layers.{source}.", f"layers.{place}."): W
        for place, source in enumerate((0, 1, 1, 2))
        for name, W in parent.items()
        if f"layers.{source}." in name
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    zoo, data = tmp_path_factory.mktemp("zoo"), tmp_path_factory.mktemp("data")
    a, b = net(0), net(1)
    nets = {f"net{seed}": net(seed) for seed in range(8)}
    nets |= {"copy": a, "tuned": noisy(a, 0.3), "rounded": rounded(a), "permuted": permuted(a)}
    nets |= {"converted": converted(a), "stack": stacked(b)}
    nets["merged"] = {name: (0.6 * a[name] + 0.4 * b[name]).astype(np.float16).astype(np.float32) for name in a}
    for name, weights in nets.items():
        save_file(weights, zoo / f"{name}.safetensors")
    words = {"zoo.path": str(zoo), "warehouse.dir": str(data), "cluster": "inline"}
    zoospectra.scan(zoo="local", **words)
    return data


EXPECTED = {
    "copy": {"net0": "copy"},
    "tuned": {"net0": "fine-tuned"},
    "rounded": {"net0": "quantised"},
    "permuted": {"net0": "permuted copy"},
    "converted": {"net0": "permuted copy"},
    "stack": {"net1": "merged"},
    "merged": {"net0": "merged", "net1": "merged"},
    "net5": {},
}


def test_every_relative_has_its_verdict_and_nobody_else_one(data: Path) -> None:
    rows = call("kin", "all=true", f"warehouse.dir={data}").table.to_pylist()
    verdicts = {(Path(row["model_id"]).stem, Path(row["relative_id"]).stem): row["verdict"] for row in rows}
    for model, parents in EXPECTED.items():
        for parent, verdict in parents.items():
            assert verdicts[model, parent] == verdict
    families = [{"net0", "copy", "tuned", "rounded", "permuted", "converted", "merged"}, {"net1", "stack", "merged"}]
    for (model, other), verdict in verdicts.items():
        related = any({model, other} <= family for family in families)
        assert related or verdict == "independent", f"{model} and {other}: {verdict}"


def test_the_recipe_of_a_merge_comes_back(data: Path) -> None:
    names = [f"local/{name}.safetensors" for name in ("merged", "net0", "net1", "net2")]
    table = call("recipe", *names, f"warehouse.dir={data}").table.to_pylist()
    assert table[0]["kind"] == "linear"
    assert len(table) == 1 + 4 * BLOCKS
    for row in table:
        for name, weight in zip(names[1:], (0.6, 0.4, 0.0), strict=True):
            assert row[name] == pytest.approx(weight, abs=1e-3)
    stack = call("recipe", "local/stack.safetensors", names[2], f"warehouse.dir={data}").table.to_pylist()
    assert [stack[0]["kind"], stack[0][names[2]]] == ["layer stack", pytest.approx(1.0, abs=1e-6)]


def test_kept_verdicts_are_tables_with_macros(data: Path) -> None:
    assert main(["kin", "keep=true", f"warehouse.dir={data}"]) == 0
    with zoospectra.open(data) as warehouse:
        (row,) = warehouse.sql("SELECT * FROM relatives('*tuned*') ORDER BY cosine DESC LIMIT 1").to_pylist()
        assert row["verdict"] == "fine-tuned"
        sizes = warehouse.sql("SELECT count(*) AS n FROM families GROUP BY family ORDER BY n").to_pylist()
        assert [size["n"] for size in sizes] == [1] * 6 + [9]
        layers = warehouse.sql("FROM kin_layers('local/tuned.safetensors', 'local/net0.safetensors')").to_pylist()
        weights, tuned = net(0), noisy(net(0), 0.3)
        for layer in layers:
            x, y = (held[f"model.{layer['longname']}.weight"].ravel() for held in (weights, tuned))
            assert layer["cosine"] == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y), abs=0.1)
        nearest = warehouse.sql("FROM nearest('local/tuned.safetensors') LIMIT 1").to_pylist()
        assert nearest[0]["cosine"] > 0.9


def test_the_study_counts_families(data: Path) -> None:
    assert main(["kin", "keep=true", f"warehouse.dir={data}"]) == 0
    done = call("study", "study=kin", f"warehouse.dir={data}")
    assert done.figures
    assert all(path.with_suffix(".parquet").exists() for path in done.figures)
    cells = {(cell.table_id, cell.row, cell.column): cell.value for cell in done.findings.cells}
    assert cells["KIN_ZOO", "all", "models"] == 15
    assert cells["KIN_ZOO", "all", "families"] == 7
    assert cells["KIN_ZOO", "all", "effective models"] == pytest.approx(15**2 / (9**2 + 6))
    assert cells["KIN_VERDICTS", "copy", "pairs"] == 2


def test_layers_that_say_so(data: Path) -> None:
    rows = call("kin", "local/permuted*", "what=layers", f"warehouse.dir={data}").table.to_pylist()
    own = [row for row in rows if row["relative_id"] == "local/net0.safetensors"]
    same = {row["longname"]: row["same"] for row in own}
    assert {name for name, how in same.items() if how == "spectrum"} == {name for name in same if ".mlp." in name}
    assert {name for name, how in same.items() if how == "bytes"} == {name for name in same if ".self_attn." in name}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["kin", "nothing*"], "no model of that name"),
        (["kin", "local/*", "keep=true"], "keep=true: expected no MODEL"),
        (["kin", "what=all"], "what=all: expected one of models, layers"),
        (["recipe", "local/net0.safetensors"], "at least one PARENT"),
        (["recipe", "local/net0.safetensors", "x"], "x: no model of that name"),
        (["recipe", "local/net0.safetensors", "x", "base=y"], "base=y: expected one of x"),
    ],
)
def test_misuse_is_one_line(data: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main([*words, f"warehouse.dir={data}"]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
