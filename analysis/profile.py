"""A profile: one convention of the literature for going from raw spectra to numbers.

Scaling, pooling, filters, fit rule and metrics, as plain values; the values of the named profiles live in conf. Two
results are comparable when their profiles have the same key and the same FIT_VERSION. Not covered: averages over
layers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from typing import Any

from zoospectra.analysis.methods import method
from zoospectra.analysis.powerlaw import check_options
from zoospectra.analysis.unfold import SHUFFLED, unfold_rule

# Parts of every result's identity; each is raised when a change of code changes its numbers beyond rounding: those of
# raw spectra (which cost N M^2, and are kept), and those of fits and metrics (which cost milliseconds).
SPECTRUM_VERSION = "1"
FIT_VERSION = "3"

# Factor on the eigenvalues of a slice, from the layer type and the number of slices.
SCALES: dict[str, Callable[[str, int], float]] = {
    "none": lambda _layer_type, _rf: 1.0,
    # WeightWatcher 0.7.7: convolution slices times sqrt(1/2), pooled or not; dense matrices as they are.
    "weightwatcher": lambda layer_type, _rf: 0.5 if layer_type.startswith("conv") or layer_type == "depthwise" else 1.0,
    # WeightWatcher 0.2.7: every matrix times sqrt(rf / 2), dense ones too, though the papers say convolutions only.
    "half_rf": lambda _layer_type, rf: rf / 2,
}

# Smallest value of a profile's numbers.
LEAST = {"min_evals": 1, "min_M": 1, "threshold": 0, "drop_smallest": 0, "replicas": 0}


@dataclass(frozen=True, slots=True)
class Profile:
    """Values of one convention; the defaults are those of WeightWatcher 0.7.7, but for degenerate tails."""

    name: str
    """How results, views and people call it."""
    version: int = 1
    """Raised when the same name gets other values."""
    unfold: str = "slices"
    """Unfold rule, one of analysis.unfold.RULES."""
    scale: str = "weightwatcher"
    """Factor on the eigenvalues, one of SCALES."""
    normalize: bool = False
    """Whether eigenvalues are divided by N (X = W^T W / N)."""
    pool: bool = True
    """Whether all slices of a layer make one ESD; otherwise every slice is analysed by itself."""
    min_evals: int = 8
    """Fewest eigenvalues of an ESD; below, nothing is computed but the shape."""
    min_M: int = 1
    """Smallest side of a matrix that is fitted; below, only its spectral norm is kept."""
    threshold: float = 1e-5
    """Only eigenvalues above it are fitted: an eigenvalue, or a share of the largest."""
    threshold_relative: bool = False
    """Whether the threshold is a share of the largest eigenvalue."""
    drop_smallest: int = 0
    """How many of the smallest eigenvalues of an ESD are not fitted."""
    fit: str = "weightwatcher"
    """Power-law rule, one of analysis.powerlaw.RULES."""
    faithful: bool = False
    """Whether a degenerate tail keeps the numbers that the convention's own code gives, beside a warning; else NULL."""
    left_out: tuple[str, ...] = ("degenerate_tail",)
    """What means leave out beside embeddings and parts of fused matrices: types of layers, and 'degenerate_tail'."""
    methods: tuple[str, ...] = ("norms", "alpha_norms")
    """Metrics, names of analysis.methods.METHODS."""
    replicas: int = 0
    """Shuffled copies of every layer whose spectra the methods look at."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    """Options by method name, and of the fit rule under 'fit'."""

    def __post_init__(self) -> None:
        """Refuse values that no rule knows, naming those that exist."""
        unfold_rule(self.unfold)
        if self.scale not in SCALES:
            msg = f"unknown scale {self.scale!r} of profile {self.name!r}; known scales: {', '.join(sorted(SCALES))}"
            raise ValueError(msg)
        if not self.name:
            msg = "name='': expected a name for the profile"
            raise ValueError(msg)
        for key, least in LEAST.items():
            if not getattr(self, key) >= least:
                msg = f"{key}={getattr(self, key)}: expected at least {least} in profile {self.name!r}"
                raise ValueError(msg)
        check_options(self.fit, self.options.get("fit", {}))
        names = [column.name for name in self.methods for column in method(name).columns]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"methods {self.methods} of profile {self.name!r} share the columns {twice}; name one of them"
            raise ValueError(msg)
        if unshuffled := [name for name in self.methods if "shuffled" in method(name).needs and self.replicas < 1]:
            msg = f"methods {unshuffled} of profile {self.name!r} need shuffled copies; set replicas to at least 1"
            raise ValueError(msg)
        if unknown := sorted(set(self.options) - {"fit", *self.methods}):
            msg = f"profile {self.name!r} has options for {unknown}; expected 'fit' or one of {self.methods}"
            raise ValueError(msg)
        for name in self.methods:
            method(name).options(self.options.get(name, {}))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Profile:
        """Build a profile from plain values, as YAML gives them; ValueError for an unknown key or a wrong type."""
        kinds = {attribute.name: str(attribute.type) for attribute in fields(cls)}
        if unknown := sorted(set(values) - set(kinds)):
            msg = f"unknown profile keys {unknown}; known keys: {', '.join(kinds)}"
            raise ValueError(msg)
        if "name" not in values:
            msg = f"a profile needs a name; got {dict(values)}"
            raise ValueError(msg)
        return cls(**{key: _plain(key, kinds[key], value) for key, value in values.items()})

    @property
    def key(self) -> str:
        """Name and a digest of all values: the same on every machine, another one when any value differs."""
        return _key(self)

    @property
    def spectra(self) -> tuple[str, ...]:
        """Names of the raw spectra it needs: its unfold rule's, then one a shuffled copy (analysis.unfold.matrices)."""
        return (self.unfold, *(f"{self.unfold}{SHUFFLED}{replica}" for replica in range(self.replicas)))

    def factor(self, layer_type: str, N: int, rf: int) -> float:
        """Factor from raw to scaled eigenvalues of a layer with rf slices of larger side N."""
        return SCALES[self.scale](layer_type, rf) / (N if self.normalize else 1)


@lru_cache(maxsize=256)
def _key(profile: Profile) -> str:
    """Computed once a profile: every row of a scan carries it."""
    text = json.dumps(asdict(profile), sort_keys=True, default=dict)
    return f"{profile.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _plain(key: str, kind: str, value: Any) -> Any:  # noqa: ANN401 - YAML values of any type
    """One YAML value as the field's type."""
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind.startswith("tuple") and isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if (
        kind.startswith("Mapping")
        and isinstance(value, Mapping)
        and all(isinstance(v, Mapping) for v in value.values())
    ):
        return {str(name): dict(options) for name, options in value.items()}
    if kind in ("str", "int", "float", "bool") and type(value).__name__ == kind:
        return value
    msg = f"profile key {key!r}: expected {kind}, got {value!r}"
    raise ValueError(msg)
