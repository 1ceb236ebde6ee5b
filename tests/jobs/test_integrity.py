"""Planted damages, each found by name, and a clean model of which nothing is said."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from zoospectra.jobs.call import call
from zoospectra.jobs.main import main

Net = dict[str, np.ndarray]
UP, DOWN = "model.layers.{}.mlp.up_proj.weight", "model.layers.{}.mlp.down_proj.weight"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def net(seed: int = 0) -> Net:
    """Six blocks, an embedding, norms, a bias and statistics."""
    rng = np.random.default_rng(seed)
    held: Net = {"model.embed_tokens.weight": rng.normal(size=(80, 32)).astype(np.float32) * 0.02}
    for block in range(6):
        held[UP.format(block)] = (rng.standard_t(6, size=(96, 32)) * 0.05).astype(np.float32)
        held[DOWN.format(block)] = (rng.standard_t(6, size=(32, 96)) * 0.05).astype(np.float32)
        held[f"model.layers.{block}.norm.weight"] = np.ones(32, dtype=np.float32)
        held[f"model.layers.{block}.mlp.up_proj.bias"] = np.zeros(96, dtype=np.float32)
    held["bn.running_var"] = np.full(32, 0.5, dtype=np.float32)
    return held


def save(weights: Net, folder: Path) -> None:
    """As two shards with an index, as the hub has them."""
    names = list(weights)
    halves = {SHARDS[0]: names[: len(names) // 2], SHARDS[1]: names[len(names) // 2 :]}
    for shard, held in halves.items():
        save_file({name: weights[name] for name in held}, folder / shard)
    size = sum(array.nbytes for array in weights.values())
    index = {"metadata": {"total_size": size}}
    index["weight_map"] = {name: shard for shard, held in halves.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text("{}")


def put(name: str, change: Callable[[np.ndarray], object]) -> Callable[[Net, Path], None]:
    """A plant in the values of a tensor."""

    def plant(weights: Net, folder: Path) -> None:
        weights[name] = weights[name].copy()
        change(weights[name])
        save(weights, folder)

    return plant


def fill(place: object, value: float) -> Callable[[np.ndarray], None]:
    def change(array: np.ndarray) -> None:
        array[place] = value

    return change


def scale(by: float) -> Callable[[np.ndarray], None]:
    def change(array: np.ndarray) -> None:
        array *= by

    return change


def flip(array: np.ndarray) -> None:
    """The highest bit of an exponent."""
    bits = array.reshape(-1).view(np.uint32)
    bits[1234] ^= 1 << 30


def swap_bytes(array: np.ndarray) -> None:
    array[:] = array.byteswap()


def same(name: str, other: str) -> Callable[[Net, Path], None]:
    def plant(weights: Net, folder: Path) -> None:
        save(weights | {name: weights[other].copy()}, folder)

    return plant


def on_disk(change: Callable[[Path], object]) -> Callable[[Net, Path], None]:
    def plant(weights: Net, folder: Path) -> None:
        save(weights, folder)
        change(folder)

    return plant


def cut(name: str, share: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(share * len(data))])

    return change


def reindex(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        file = folder / "model.safetensors.index.json"
        index = json.loads(file.read_text())
        change(index)
        file.write_text(json.dumps(index))

    return rewrite


def long_header(folder: Path) -> None:
    data = (folder / SHARDS[0]).read_bytes()
    (folder / SHARDS[0]).write_bytes(struct.pack("<Q", 1 << 40) + data[8:])


def page(array: np.ndarray) -> None:
    """A block of a disk, of which half is another tensor's."""
    array.reshape(-1)[1000:1512] = 0.0


def transposed(name: str) -> Callable[[Net, Path], None]:
    return lambda weights, folder: save(weights | {name: np.ascontiguousarray(weights[name].T)}, folder)


def mistyped(name: str) -> Callable[[Net, Path], None]:
    def plant(weights: Net, folder: Path) -> None:
        halves = weights[name].astype(ml_dtypes.bfloat16).view(np.float16)
        save(weights | {name: halves}, folder)

    return plant


def without(name: str) -> Callable[[Net, Path], None]:
    return lambda weights, folder: save({key: array for key, array in weights.items() if key != name}, folder)


ALL = np.s_[:]
BLOCK3 = UP.format(3)
PLANTS: dict[str, tuple[Callable[[Net, Path], None], str, str]] = {
    "one NaN": (put(BLOCK3, fill((5, 7), np.nan)), "layers.3.mlp.up_proj", "non_finite"),
    "one infinity": (put(DOWN.format(0), fill((1, 1), np.inf)), "layers.0.mlp.down_proj", "non_finite"),
    "all NaN": (put(BLOCK3, fill(ALL, np.nan)), "layers.3.mlp.up_proj", "non_finite"),
    "NaN in a norm": (put("model.layers.2.norm.weight", fill(3, np.nan)), "norm.weight", "non_finite"),
    "infinity in a bias": (put("model.layers.2.mlp.up_proj.bias", fill(3, -np.inf)), "up_proj.bias", "non_finite"),
    "NaN in an embedding": (put("model.embed_tokens.weight", fill((7, 7), np.nan)), "embed_tokens", "non_finite"),
    "all zero": (put(BLOCK3, fill(ALL, 0.0)), "layers.3.mlp.up_proj", "all_zero"),
    "a zero embedding": (put("model.embed_tokens.weight", fill(ALL, 0.0)), "embed_tokens", "all_zero"),
    "constant": (put(BLOCK3, fill(ALL, 0.1)), "layers.3.mlp.up_proj", "constant"),
    "constant and negative": (put(DOWN.format(5), fill(ALL, -1.0)), "layers.5.mlp.down_proj", "constant"),
    "zeros at the end": (put(BLOCK3, fill(np.s_[60:], 0.0)), "layers.3.mlp.up_proj", "truncated"),
    "a few zeros at the end": (put(DOWN.format(1), fill(np.s_[29:], 0.0)), "layers.1.mlp.down_proj", "truncated"),
    "an embedding cut": (put("model.embed_tokens.weight", fill(np.s_[40:], 0.0)), "embed_tokens", "truncated"),
    "zero rows": (put(BLOCK3, fill(np.s_[20:60], 0.0)), "layers.3.mlp.up_proj", "dead"),
    "zero columns": (put(BLOCK3, fill(np.s_[:, 4:20], 0.0)), "layers.3.mlp.up_proj", "dead"),
    "a few zero rows": (put(BLOCK3, fill(np.s_[20:28], 0.0)), "layers.3.mlp.up_proj", "hole"),
    "a few zero columns": (put(BLOCK3, fill(np.s_[:, 4:10], 0.0)), "layers.3.mlp.up_proj", "hole"),
    "a page of zeros": (put(BLOCK3, page), "layers.3.mlp.up_proj", "hole"),
    "a half repeated": (
        put(BLOCK3, lambda array: fill(np.s_[48:], array[:48])(array)),
        "layers.3.mlp.up_proj",
        "repeated",
    ),
    "half of the columns repeated": (
        put(DOWN.format(3), lambda array: fill(np.s_[:, 48:], array[:, :48])(array)),
        "layers.3.mlp.down_proj",
        "repeated",
    ),
    "one row everywhere": (put(BLOCK3, lambda array: fill(ALL, array[5])(array)), "layers.3.mlp.up_proj", "repeated"),
    "sides exchanged": (transposed(BLOCK3), "layers.3.mlp.up_proj", "shape"),
    "bfloat16 called float16": (mistyped(BLOCK3), "layers.3.mlp.up_proj", "element_type"),
    "a tensor left out": (without(BLOCK3), "layers.3.mlp.up_proj.weight", "missing"),
    "a norm of zeros": (put("model.layers.2.norm.weight", fill(ALL, 0.0)), "layers.2.norm.weight", "all_zero"),
    "a wild value in a norm": (put("model.layers.2.norm.weight", fill(7, 1e30)), "layers.2.norm.weight", "spike"),
    "a size that is 4 bytes off": (
        on_disk(reindex(lambda index: index["metadata"].update(total_size=index["metadata"]["total_size"] + 4))),
        "model.safetensors.index.json",
        "index_size",
    ),
    "a flipped bit": (put(BLOCK3, flip), "layers.3.mlp.up_proj", "spike"),
    "a wild value": (put(DOWN.format(2), fill((3, 3), 1e4)), "layers.2.mlp.down_proj", "spike"),
    "swapped bytes": (put(BLOCK3, swap_bytes), "layers.3.mlp.up_proj", "spike|non_finite|scale"),
    "a scale collapsed": (put(BLOCK3, scale(1e-4)), "layers.3.mlp.up_proj", "scale"),
    "a scale exploded": (put(BLOCK3, scale(1e4)), "layers.3.mlp.up_proj", "scale"),
    "a scale lost to fp8": (put(DOWN.format(4), scale(448.0)), "layers.4.mlp.down_proj", "scale"),
    "a negative variance": (put("bn.running_var", fill(4, -0.1)), "bn.running_var", "negative_variance"),
    "a block written twice": (same(UP.format(4), UP.format(1)), "layers.4.mlp.up_proj", "copy|duplicate"),
    "another block written twice": (same(DOWN.format(5), DOWN.format(2)), "down_proj", "copy|duplicate"),
    "a shard cut short": (on_disk(cut(SHARDS[1], 0.7)), "", "unreadable"),
    "a shard empty": (on_disk(cut(SHARDS[0], 0.0)), "", "unreadable|unsupported_format"),
    "a shard missing": (on_disk(lambda folder: (folder / SHARDS[1]).unlink()), "", "inaccessible"),
    "a header too long": (on_disk(long_header), "", "unreadable|unsupported_format"),
    "a tensor that no shard has": (
        on_disk(reindex(lambda index: index["weight_map"].update({UP.format(9): SHARDS[1]}))),
        UP.format(9),
        "unreadable",
    ),
    "a size that is not": (
        on_disk(reindex(lambda index: index["metadata"].update(total_size=10**6))),
        "model.safetensors.index.json",
        "index_size",
    ),
}


def findings(target: Path, *words: str) -> list[dict]:
    store = f"warehouse.dir={target / 'none'}"
    (report,) = call("check", str(target), "what=integrity", store, *words).reports
    return [{"layer": f.layer, "reason": f.reason, "words": f.words} for f in report.findings]


def test_there_are_thirty_plants_and_more() -> None:
    assert len(PLANTS) == 42


def test_a_clean_model_gives_no_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(net(), tmp_path)
    assert findings(tmp_path) == []
    assert main(["check", str(tmp_path), "what=integrity", "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["verdict"] == "whole"


@pytest.mark.parametrize("what", PLANTS)
def test_damage_is_found_by_name(tmp_path: Path, what: str) -> None:
    plant, layer, reason = PLANTS[what]
    plant(net(), tmp_path)
    rows = findings(tmp_path)
    assert any(layer in (row["layer"] or "") and row["reason"] in reason.split("|") for row in rows), rows
    assert len({row["layer"] for row in rows}) == 1, rows
    assert main(["check", str(tmp_path), "what=integrity"]) == 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of five seeds, the last of which is a source."""
    zoo, data = tmp_path_factory.mktemp("zoo"), tmp_path_factory.mktemp("data")
    for seed in range(1, 6):
        save_file(net(seed), zoo / f"net{seed}.safetensors")
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline"]) == 0
    return data


@pytest.mark.parametrize("kind", ["bfloat16", "float8_e4m3fn", "int4"])
def test_a_rounding_beyond_its_law_is_found_against_the_source(tmp_path: Path, data: Path, kind: str) -> None:
    def rounded(W: np.ndarray) -> np.ndarray:
        if kind != "int4":
            return W.astype(getattr(ml_dtypes, kind)).astype(np.float32)
        step = np.abs(W).max(axis=1, keepdims=True) / 7
        return (np.round(W / step) * step).astype(np.float32)

    weights = {name: rounded(W) if W.ndim == 2 else W for name, W in net(5).items()}
    file = tmp_path / "rounded.safetensors"
    save_file(weights, file)
    assert findings(file, f"warehouse.dir={data}") == []
    spoiled = weights[UP.format(2)]
    save_file(weights | {UP.format(2): spoiled + spoiled.std() * np.sign(spoiled[::-1])}, file)
    (row,) = findings(file, f"warehouse.dir={data}")
    assert (row["layer"], row["reason"]) == ("model.layers.2.mlp.up_proj", "rounding_error")
    assert "net5" in row["words"]


def test_a_scale_is_held_against_the_family(tmp_path: Path, data: Path) -> None:
    weights = net(8)
    file = tmp_path / "net8.safetensors"
    save_file({name: W * np.float32(1e-4 if W.ndim == 2 else 1.0) for name, W in weights.items()}, file)
    rows = findings(file, f"warehouse.dir={data}")
    assert {row["reason"] for row in rows} == {"family_scale"}
    assert len(rows) == 13
    assert load_file(file).keys() == weights.keys()


def test_a_model_of_the_warehouse_is_judged_by_what_is_kept(data: Path) -> None:
    (report,) = call("check", "local/net1.safetensors", "what=integrity", f"warehouse.dir={data}").reports
    assert (report.verdict, report.findings) == ("whole", ())


def part_of(layer: str | None) -> str | None:
    """A layer without what a tensor's name has beside it."""
    return layer and layer.removeprefix("model.").removesuffix(".weight")


@pytest.mark.slow
def test_a_zoo_and_a_warehouse_of_it_name_the_same_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole model, one with a NaN, one with a dead layer, one cut short: files by zoo=, kept numbers by a glob."""
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    for seed, name in enumerate(("whole", "nan", "zero", "short")):
        weights = net(seed)
        weights[BLOCK3] = weights[BLOCK3] * np.float32({"nan": np.nan, "zero": 0.0}.get(name, 1.0))
        save_file(weights, zoo / f"{name}.safetensors")
    cut("short.safetensors", 0.5)(zoo)
    data = f"warehouse.dir={tmp_path / 'data'}"
    expected = {
        "local/nan.safetensors": {("layers.3.mlp.up_proj", "non_finite")},
        "local/short.safetensors": {(None, "unreadable")},
        "local/whole.safetensors": set(),
        "local/zero.safetensors": {("layers.3.mlp.up_proj", "all_zero")},
    }

    def told(status: int, *words: str) -> dict[str, set[tuple[str | None, str]]]:
        capsys.readouterr()
        assert main(["check", *words, "what=integrity", "format=json", data]) == status
        reports = json.loads(capsys.readouterr().out)
        named = [(report["model"], row) for report in reports for row in report["findings"]]
        parts = {
            model: (row["layer"] or "").removeprefix("model.").removesuffix(".weight") or None for model, row in named
        }
        return {r["model"]: {(parts[m], row["reason"]) for m, row in named if m == r["model"]} for r in reports}

    words = ["zoo=local", f"zoo.path={zoo}"]
    assert told(3, *words) == expected
    assert told(0, *words, "models=whole*").keys() == {"local/whole.safetensors"}
    assert main(["scan", *words, data, "cluster=inline"]) == 3
    assert told(3, "local/*") == expected
    assert told(0, "local/whole.safetensors") == {"local/whole.safetensors": set()}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["net.pt", "zoo=digits", "what=integrity"], "zoo=digits: expected no TARGET beside it"),
        (["zoo=digits", "what=warehouse"], "zoo=digits: expected with what=quality or what=integrity"),
        (["zoo=published", "what=integrity"], "expected a zoo of weights"),
        (["zoo=nowhere", "what=integrity"], "unknown zoo 'nowhere'"),
        (["zoo=local", "what=integrity"], "expected a folder of weight files"),
        (["net.pt", "limit=3", "what=integrity"], "limit=...: expected zoo=NAME with it"),
        (["what=integrity"], "expected TARGET"),
    ],
)
def test_misuse(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *words]) == 2
    assert expected in capsys.readouterr().err
