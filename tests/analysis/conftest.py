"""Known inputs and profiles that the analysis room's tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from zoospectra.analysis.layer import LayerAnalysis, analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.spectrum import spectrum
from zoospectra.analysis.unfold import unfold

NATCOMM = {
    "scale": "half_rf",
    "pool": False,
    "min_evals": 1,
    "min_M": 50,
    "threshold": 0.0,
    "drop_smallest": 1,
    "fit": "natcomm2021",
    "faithful": True,
    "left_out": [],
    "methods": ["norms_2021", "alpha_norms"],
    "options": {"alpha_norms": {"drop_smallest": 1}},
}
PROFILES: dict[str, dict[str, Any]] = {
    "weightwatcher": {"faithful": True},
    "natcomm2021": NATCOMM,
    "natcomm2021_normalized": NATCOMM | {"normalize": True},
    "ww012": NATCOMM | {"scale": "none"},
    "corrected": {
        "threshold": 1e-8,
        "threshold_relative": True,
        "fit": "corrected",
        "left_out": ["degenerate_tail", "depthwise", "depthwise_dense"],
        "options": {"fit": {"min_tail": 8, "bias": 2.0}},
    },
}


@pytest.fixture(scope="session", params=list(PROFILES))
def any_profile(request: pytest.FixtureRequest) -> Profile:
    """Every named profile in turn."""
    return Profile.from_mapping({"name": request.param} | PROFILES[request.param])


@pytest.fixture(scope="session")
def profile() -> Callable[..., Profile]:
    """profile(name, **changes) -> Profile."""
    return lambda name, **changes: Profile.from_mapping({"name": name} | PROFILES[name] | changes)


@pytest.fixture(scope="session")
def analyse() -> Callable[..., LayerAnalysis]:
    """analyse(array, layer_type, profile, dtype="float32") -> LayerAnalysis, from weights."""

    def run(array: np.ndarray, layer_type: str, profile: Profile, dtype: str = "float32") -> LayerAnalysis:
        return analyse_layer(spectrum(unfold(array, layer_type, profile.unfold)), layer_type, profile, dtype=dtype)

    return run


@pytest.fixture(scope="session")
def weyl() -> Callable[[tuple[int, ...]], np.ndarray]:
    """weyl(shape) -> float32 weights with a heavy tail from Weyl sequences: the same on every platform and library."""

    def weights(shape: tuple[int, ...]) -> np.ndarray:
        k = np.arange(np.prod(shape), dtype=np.float64)
        u = ((k + 1) * 0.6180339887498949) % 1
        v = ((k + 1) ** 2 * 0.41421356237309515) % 1
        z = np.sqrt(-2 * np.log(np.maximum(u, 1e-12))) * np.cos(2 * np.pi * v)
        w = 0.05 * z * (1 + 2 * (((k + 1) * 0.7320508075688772) % 1) ** 6)
        return w.astype(np.float32).reshape(shape)

    return weights
