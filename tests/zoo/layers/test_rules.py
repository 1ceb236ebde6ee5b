"""A user's own rules, copies of layers, and the words that say which rule decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zoospectra.jobs.work.index import IndexRequest, index
from zoospectra.warehouse.identity import ModelId
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.selection import containers
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.explain import explain
from zoospectra.zoo.layers.rules import NO_RULES, Rules, rules_from
from zoospectra.zoo.layers.values import layer_hash, read_layer


def random(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(sum(shape)).standard_normal(shape).astype("f4"))


def indexed(path: Path) -> tuple[list[str], dict[str | None, str]]:
    """Longnames of the layers of a file, and its skips with a word for why."""
    found = index(IndexRequest(ModelId("m", "1"), str(path)))
    return [layer.longname for layer, _ in found.layers], {skip.tensor: str(skip.reason) for skip in found.skips}


STATE = {
    "conv.kernel": random(3, 3, 4, 8),
    "mixer.wqkv.weight": random(12, 8),
    "slopes": random(6, 5),
    "anchors": random(6, 4),
    "odd.weight": random(3, 40, 50),
    "fc.weight": random(8, 6),
}


def ruled(tmp_path: Path, said: dict[str, Any]) -> tuple[dict[str, Any], dict[str | None, str]]:
    torch.save(STATE, tmp_path / "x.pt")
    checkpoint = open_checkpoint(str(tmp_path / "x.pt"))
    found, skips = layers(checkpoint.tensors, checkpoint.config, rules_from(said))
    return {layer.longname: layer for layer in found}, {skip.tensor: str(skip.reason) for skip in skips}


def test_a_rule_makes_a_weight_or_a_buffer_of_a_tensor(tmp_path: Path) -> None:
    found, skips = ruled(tmp_path, {"fc.*": "buffer", "anchors": "weight", "*": "buffer"})
    assert (list(found), skips["fc.weight"], skips["slopes"]) == (["anchors"], "buffer", "buffer")
    np.testing.assert_array_equal(read_layer(found["anchors"]), STATE["anchors"].numpy())


@pytest.mark.parametrize("layout", ["outputs_last", [3, 2, 0, 1]])
def test_a_rule_says_the_layout(tmp_path: Path, layout: Any) -> None:
    found, _ = ruled(tmp_path, {"conv.*": {"layout": layout}})
    np.testing.assert_array_equal(read_layer(found["conv"]), STATE["conv.kernel"].numpy().transpose(3, 2, 0, 1))


def test_a_rule_splits_a_tensor_or_leaves_it_whole(tmp_path: Path) -> None:
    found, _ = ruled(tmp_path, {"*wqkv*": {"split": ["q", "k", "v"]}})
    assert [name for name in found if name.startswith("mixer")] == ["mixer.wqkv.q", "mixer.wqkv.k", "mixer.wqkv.v"]
    np.testing.assert_array_equal(read_layer(found["mixer.wqkv.k"]), STATE["mixer.wqkv.weight"].numpy()[4:8])
    found, _ = ruled(tmp_path, {"*wqkv*": {"split": "whole"}})
    assert [name for name in found if name.startswith("mixer")] == ["mixer.wqkv"]
    _, skips = ruled(tmp_path, {"*wqkv*": {"split": ["a", "b", "c", "d", "e"]}})
    assert skips["mixer.wqkv.weight"] == "unsupported_shape"


def test_a_scale_is_part_of_the_identity(tmp_path: Path) -> None:
    found, _ = ruled(tmp_path, {"fc.*": {"scale": 2}})
    plain, _ = ruled(tmp_path, {})
    np.testing.assert_array_equal(read_layer(found["fc"]), 2 * STATE["fc.weight"].numpy())
    assert layer_hash(found["fc"]) != layer_hash(plain["fc"])
    assert layer_hash(found["slopes"] if "slopes" in found else found["conv"])


def test_rules_have_a_key_that_says_what_they_say() -> None:
    one, same, other = (rules_from({"a": said}) for said in ("weight", "weight", "buffer"))
    assert one.key == same.key != other.key
    assert (NO_RULES.key, Rules().key) == ("", "")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ([], "expected a mapping of globs"),
        ({"a": "layer"}, '"a": expected weight, buffer, or a mapping of layout, scale, split, got layer'),
        ({"a": {}}, "expected weight, buffer"),
        ({"a": {"layout": "NCHW"}}, "expected a layout: outputs_last, inputs_last, or the axes in order, got NCHW"),
        ({"a": {"layout": [0, 0]}}, "expected a layout"),
        ({"a": {"split": 3}}, "expected a split: whole, or names of equal parts, got 3"),
        ({"a": {"scale": 0}}, "expected a scale: a positive number, got 0"),
        ({"a": {"scale": True}}, "expected a scale"),
    ],
)
def test_rules_that_are_not_understood_are_refused(said: Any, message: str) -> None:
    with pytest.raises(ValueError, match="rules: ") as caught:
        rules_from(said)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_copies_of_a_layer_are_one_layer_and_a_row(tmp_path: Path) -> None:
    weight, tied = random(40, 30), random(20, 10)
    state = {
        "_initializer_W": weight.T.contiguous(),
        "module.lin.weight": weight.clone(),
        "lin.weight": weight,
        "a.weight": tied,
        "b.weight": tied,
        "square.weight": random(9, 9),
        "zeros1.weight": torch.zeros(9, 9),
        "zeros2.weight": torch.zeros(9, 9),
        "symmetric.weight": random(7, 7) + random(7, 7).T,
        "wte.weight": random(50, 8),
        "lm_head.weight": random(50, 8),
    }
    torch.save(state, tmp_path / "x.pt")
    names, skips = indexed(tmp_path / "x.pt")
    kept = {"lin", "a", "b", "square", "zeros1", "zeros2", "symmetric", "wte", "lm_head"}
    assert set(names) == kept
    assert skips == {"_initializer_W": "copy", "module.lin.weight": "copy"}


def test_known_hashes_find_the_same_copies(tmp_path: Path) -> None:
    torch.save({"module.fc.weight": random(8, 6), "fc.weight": random(8, 6).clone()}, tmp_path / "x.pt")
    first = index(IndexRequest(ModelId("m", "1"), str(tmp_path / "x.pt")))
    hashes = {(layer.ref.name, layer.longname): content_hash for layer, content_hash in first.layers}
    again = index(IndexRequest(ModelId("m", "1"), str(tmp_path / "x.pt"), hashes))
    assert (again.layers, again.skips) == (first.layers, first.skips)
    assert [layer.longname for layer, _ in first.layers] == ["fc"]


def test_explain_says_which_rule_decided(tmp_path: Path) -> None:
    torch.save({"netG": STATE, "netD": STATE, "opt": {"state": {}, "param_groups": [random(2, 2)]}}, tmp_path / "x.pt")
    checkpoint = open_checkpoint(str(tmp_path / "x.pt#netD"))
    rows = {row.name: (row.taken, row.opened, row.matrices) for row in containers(checkpoint)}
    assert rows == {"netG": ("net", False, 6), "netD": ("net", True, 6), "opt": ("optimizer_state", False, 1)}
    words = explain(checkpoint, "fc.weight")
    assert [word.partition(":")[0] for word in words] == ["net netD", "fc.weight", "zoo.layers.split", "layer 5"]
    assert "buffer: anchors or priors" in " ".join(explain(checkpoint, "anchors"))
    assert "zoo.rules: anch*" in explain(checkpoint, "anchors", rules_from({"anch*": "weight"}))
    assert "no rule knows it" in " ".join(explain(checkpoint, "odd.weight"))
    assert "optimizer_state" in " ".join(explain(open_checkpoint(str(tmp_path / "x.pt")), "opt.param_groups.0"))
    with pytest.raises(ValueError, match=r"fc\.wieght: expected a tensor .*such as fc\.weight"):
        explain(checkpoint, "fc.wieght")
