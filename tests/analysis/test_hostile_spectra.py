"""Every profile of conf on hostile spectra of every size: a status, None where there is no number, silence."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from zoospectra.analysis.layer import analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import Spectrum, Status

PROFILES = {
    path.stem: Profile.from_mapping(OmegaConf.to_container(OmegaConf.load(path)))  # type: ignore[arg-type]
    for path in sorted((Path(__file__).parents[2] / "conf" / "profile").glob("*.yaml"))
}
SIZES = [1, 2, 3, 7, 8, 9, 19, 20, 21, 50, 144, 1000, 20000]
CASES = [
    # a few replicates of 20,000 take as long as everything else; those of 1000 show the same
    pytest.param(name, K, marks=[pytest.mark.slow] * (K > 1000 and profile.replicas > 0))
    for name, profile in PROFILES.items()
    for K in SIZES
]


def spectra(K: int) -> dict[str, np.ndarray]:
    """Ascending eigenvalues (K,) that no trained layer has."""
    rng = np.random.default_rng(K)
    tail = np.sort(rng.pareto(1.5, K) + 1.0)
    return {
        "zero": np.zeros(K),
        "constant": np.full(K, 3.0),
        "rank one": np.sort(np.r_[np.zeros(K - 1), 5.0]),
        "denormal": np.sort(rng.uniform(0, 1e-310, K)),
        "scaled by 1e-60": tail * 1e-60,
        "scaled by 1e60": tail * 1e60,
        "tied": np.sort(np.round(tail * 4) / 4),
        "half zero": np.sort(np.where(np.arange(K) % 2 == 0, 0.0, tail)),
        "a tail": tail,
    }


@pytest.mark.parametrize(("name", "K"), CASES)
@pytest.mark.filterwarnings("error")
def test_a_status_and_no_noise(name: str, K: int, capfd: pytest.CaptureFixture[str]) -> None:
    profile = PROFILES[name]
    if profile.replicas and K >= 1000:
        few = {"gof": {"replicates": 3}, "bootstrap": {"replicates": 3}}  # the rest costs minutes and shows no more
        profile = replace(profile, options=few)
    known = {str(status) for status in Status}
    for kind, evals in spectra(K).items():
        spectrum = Spectrum(evals[None], max(K, 2), K, "gram", "cpu")
        copies = [spectrum] * profile.replicas
        found = analyse_layer(spectrum, "dense", profile, shuffled=copies, seed=K)
        for row in (found.layer, *found.slices):
            assert str(row["status"]) in known or str(row["status"]).startswith("skipped:"), kind
            assert not any(isinstance(v, float) and not math.isfinite(v) for v in row.values()), kind
            if row["status"] != str(Status.SUCCESS):
                assert (row["alpha"], row["xmin"], row["D"], row["num_pl_spikes"]) == (None,) * 4, kind
            else:
                assert row["alpha"] is not None
                assert float(row["alpha"]) > 1 or name == "weightwatcher", kind
    captured = capfd.readouterr()
    assert captured.err == captured.out == ""


@pytest.mark.parametrize("K", [50, 1000])
@pytest.mark.parametrize("power", [-60, -20, 20, 60])
def test_alpha_of_corrected_has_no_scale(K: int, power: int) -> None:
    evals = spectra(K)["a tail"]
    rows = [
        analyse_layer(Spectrum((evals * scale)[None], K, K, "gram", "cpu"), "dense", PROFILES["corrected"]).layer
        for scale in (1.0, 2.0**power)
    ]
    assert rows[0]["alpha"] == pytest.approx(rows[1]["alpha"], rel=1e-12)
    assert rows[0]["num_pl_spikes"] == rows[1]["num_pl_spikes"]
