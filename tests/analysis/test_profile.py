"""Profiles: plain values in, refused when unknown, a key that follows every value."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from zoospectra.analysis.methods import METHODS
from zoospectra.analysis.profile import Profile

ROOT = Path(__file__).resolve().parents[2]


def test_the_default_is_weightwatcher() -> None:
    profile = Profile.from_mapping({"name": "weightwatcher"})
    assert (profile.threshold, profile.min_evals, profile.pool, profile.fit) == (1e-5, 8, True, "weightwatcher")
    assert profile.factor("conv2d", 64, 9) == 0.5
    assert profile.factor("dense", 64, 1) == 1.0


def test_scales(profile) -> None:
    assert profile("natcomm2021").factor("conv2d", 64, 9) == 4.5
    assert profile("natcomm2021").factor("dense", 64, 1) == 0.5
    assert profile("natcomm2021_normalized").factor("conv2d", 64, 9) == 4.5 / 64
    assert profile("ww012").factor("conv2d", 64, 9) == 1.0


CHANGES = [
    {"name": "another"},
    {"version": 2},
    {"unfold": "stacked"},
    {"scale": "none"},
    {"normalize": True},
    {"pool": False},
    {"min_evals": 9},
    {"min_M": 2},
    {"threshold": 0},
    {"threshold_relative": True},
    {"drop_smallest": 1},
    {"replicas": 2},
    {"fit": "corrected"},
    {"faithful": True},
    {"left_out": []},
    {"methods": ["norms"]},
    {"options": {"norms": {"tolerance": 1e-3}}},
]


def test_the_key_follows_every_value_and_nothing_else() -> None:
    keys = [Profile.from_mapping({"name": "weightwatcher"} | change).key for change in [{}, *CHANGES]]
    assert len(set(keys)) == len(keys)
    assert {name for change in CHANGES for name in change} == set(Profile.__slots__)
    spelled = Profile.from_mapping({"name": "weightwatcher", "threshold": 1e-5, "methods": ["norms", "alpha_norms"]})
    assert spelled.key == keys[0]
    assert spelled == Profile(name="weightwatcher")
    assert hash(spelled) == hash(Profile(name="weightwatcher"))


def test_the_key_is_the_same_in_another_process_and_after_a_journey(any_profile) -> None:
    assert pickle.loads(pickle.dumps(any_profile)).key == any_profile.key
    code = "import sys, pickle; print(pickle.loads(bytes.fromhex(sys.argv[1])).key)"
    words = [sys.executable, "-c", code, pickle.dumps(any_profile).hex()]
    assert subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip() == any_profile.key


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "needs a name"),
        ({"name": "x", "treshold": 1}, "known keys: name, version"),
        ({"name": "x", "unfold": "no"}, "known rules: farms"),
        ({"name": "x", "scale": "no"}, "known scales: half_rf"),
        ({"name": "x", "fit": "no"}, "known rules: corrected"),
        ({"name": "x", "methods": ["no"]}, "known methods: alpha_norms"),
        ({"name": "x", "methods": ["norms", "norms_2021"]}, "share the columns"),
        ({"name": "x", "options": {"hill": {}}}, "options for"),
        ({"name": "x", "options": {"fit": {"min_tail": 3}}}, "known options: \\[\\]"),
        ({"name": "x", "methods": "norms"}, "expected tuple"),
        ({"name": "x", "pool": 1}, "expected bool"),
        ({"name": "x", "min_evals": True}, "expected int"),
        ({"name": ""}, "expected a name"),
        ({"name": "x", "min_evals": 0}, "^min_evals=0: expected at least 1"),
        ({"name": "x", "replicas": -1}, "^replicas=-1: expected at least 0"),
        ({"name": "x", "threshold": float("nan")}, "^threshold=nan: expected at least 0"),
        ({"name": "x", "threshold": "a"}, "expected float"),
        ({"name": "x", "options": {"fit": 3}}, "expected Mapping"),
        *(
            ({"name": "x", "replicas": 1, "methods": [name], "options": {name: {"replicats": 5}}}, "'replicats'.*known")
            for name in METHODS
        ),
    ],
)
def test_misuse_is_refused_with_advice(values, told) -> None:
    with pytest.raises(ValueError, match=told):
        Profile.from_mapping(values)


def test_the_profiles_in_conf_are_these(profile) -> None:
    """Every profile of conf is one, under its file's name; those tested here have the values that are tested here."""
    files = sorted((ROOT / "conf" / "profile").glob("*.yaml"))
    assert files
    for file in files:
        found = Profile.from_mapping(yaml.safe_load(file.read_text()))
        assert found.name == file.stem
        try:
            tested = profile(file.stem)
        except KeyError:
            continue
        for name in (
            "scale",
            "normalize",
            "pool",
            "min_evals",
            "min_M",
            "threshold",
            "threshold_relative",
            "drop_smallest",
            "fit",
        ):
            assert getattr(found, name) == getattr(tested, name), (file, name)
        assert set(tested.methods) <= set(found.methods)
        assert dict(tested.options).items() <= dict(found.options).items()
