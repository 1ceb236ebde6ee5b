"""What the analysis room does not import: a scan of a small zoo waits for nothing that it does not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PLANS = """
import sys, yaml
from pathlib import Path
from zoospectra.analysis import cost, layer, methods, profile, unfold
files = list(Path("conf/profile").glob("*.yaml"))
profiles = [profile.Profile.from_mapping(yaml.safe_load(path.read_text())) for path in files]
assert len(profiles) > 3
"""
PLAIN = """
import sys
from zoospectra.analysis import cost, layer, profile, unfold
default = profile.Profile("weightwatcher")
unfold.unfold_rule(default.unfold).shape_of((64, 32, 3, 3), "conv2d")
cost.cost(64, 32, 9, 4)
"""
FIT = """
import sys
import numpy as np
from zoospectra.analysis.layer import analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import Spectrum
evals = np.sort(1 + np.random.default_rng(0).pareto(2, (9, 64)), axis=1)
row = analyse_layer(Spectrum(evals, 64, 64, "gram", "cpu"), "conv2d", Profile("weightwatcher")).layer
assert row["outcome"] == "fit"
"""
SMALL = """
import sys
import numpy as np
from zoospectra.analysis.spectrum import spectrum
spectrum(np.random.default_rng(0).standard_normal((1, 700, 500)))
"""


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        (PLANS, {"scipy.stats", "torch", "statsmodels", "powerlaw"}),
        (PLAIN, {"scipy", "torch", "importlib.metadata"}),
        (FIT, {"scipy", "torch", "importlib.metadata"}),
        (SMALL, {"scipy.stats", "scipy.optimize", "torch"}),
    ],
    ids=["the shipped profiles", "planning", "a fit of a stored spectrum", "a spectrum"],
)
def test_what_is_not_imported(code: str, absent: set[str]) -> None:
    """Against an interpreter that starts alike: an editable install imports some of its own."""
    command = [sys.executable, "-c"]
    before = subprocess.run(
        [*command, "import sys, numpy; print(*sys.modules)"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    after = subprocess.run(
        [*command, code + "print(*sys.modules)"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert not (set(after.stdout.split()) - set(before.stdout.split())) & absent
