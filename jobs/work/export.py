"""Recipes for other tools from the stored spectra of one model: a text each, as the tool reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoospectra.analysis import allocation
from zoospectra.analysis.records import FloatArray
from zoospectra.warehouse.query import query

LAYERS = """
    SELECT l.tensor, l.longname, l.N, l.M, l.params, s.evals
    FROM layers AS l
    JOIN spectra AS s USING (content_hash)
    WHERE l.model_id = $model AND l.layer_type = 'dense' AND s.unfold = 'slices' AND s.slice_id = 0 AND l.M > 2
    ORDER BY l.layer_id"""

BLOCK = re.compile(r"^(.*?\D)?(\d+)(\D.*)$")
"""What stands before the first number in a name, the number, and what stands behind it."""


class Matrix(NamedTuple):
    """One dense layer with its spectrum."""

    name: str
    """Module, as tools call it: the tensor without '.weight'."""
    N: int
    """Larger side."""
    M: int
    """Smaller side."""
    params: int
    """Elements."""
    evals: FloatArray
    """Eigenvalues, (M,)."""

    @property
    def block(self) -> str:
        """Block it is in: its name up to the first number."""
        match = BLOCK.match(self.name)
        return f"{match[1] or ''}{match[2]}" if match else self.name

    @property
    def kind(self) -> str:
        """What it is in its block: its name behind the first number."""
        match = BLOCK.match(self.name)
        return match[3].lstrip(".") if match else self.name


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much of what; each recipe uses its own."""

    top: float = 50.0
    """spectrum: percent of the layers of a kind that are trained."""
    sparsity: float = 0.5
    """pruning: share of all elements that goes."""
    epsilon: float = 0.3
    """pruning: how far ratios differ, as a share."""
    rate: float = 1e-4
    """learning_rates: the rate, decays: the decay that is mapped."""
    low: float = 0.5
    """learning_rates, decays: times `rate` for the smallest alpha."""
    high: float = 1.5
    """learning_rates, decays: times `rate` for the largest alpha."""
    bits: float = 4.0
    """bits: average an element."""
    energy: float = 0.9
    """ranks: share of the Frobenius norm that a rank keeps."""


def matrices(directory: Path, model: str) -> list[Matrix]:
    """Dense layers of a model of the warehouse; ValueError where it has none, naming what to do."""
    rows = query(directory, LAYERS, {"model": model}).to_pylist()
    if not rows:
        msg = f"{model}: no dense layer with a stored spectrum in {directory}; 'zoospectra sql' lists models"
        raise ValueError(msg)
    return [
        Matrix(
            (row["tensor"] or row["longname"]).removesuffix(".weight"),
            row["N"],
            row["M"],
            row["params"],
            np.asarray(row["evals"], dtype=np.float64),
        )
        for row in rows
    ]


def spectrum(held: Sequence[Matrix], amounts: Amounts) -> str:
    """YAML of modules to train, those of each kind with most signal: axolotl's `unfrozen_parameters`."""
    kinds: dict[str, list[Matrix]] = {}
    for matrix in held:
        kinds.setdefault(matrix.kind, []).append(matrix)
    lines = ["unfrozen_parameters:", "- ^lm_head.weight$", "- ^model.embed_tokens.weight$"]
    for kind, members in kinds.items():
        scores = {m.name: allocation.signal_to_noise(m.evals, m.N, m.M) for m in members}
        ordered = sorted(scores, key=lambda name: scores[name], reverse=True)
        lines += [f"# {kind} layers", *(f"- {name}" for name in ordered[: int(len(ordered) * amounts.top / 100)])]
    return "\n".join(lines) + "\n"


def pruning(held: Sequence[Matrix], amounts: Amounts) -> str:
    """JSON of AlphaPruning's ratio of every module; all of a block have that of its mean alpha."""
    known = [(matrix, alpha) for matrix in held if (alpha := allocation.hill_alpha(matrix.evals)) is not None]
    blocks: dict[str, list[float]] = {}
    for matrix, alpha in known:
        blocks.setdefault(matrix.block, []).append(alpha)
    scores = [float(np.mean(blocks[matrix.block])) for matrix, _ in known]
    params = [matrix.params for matrix, _ in known]
    ratios = allocation.pruning_ratios(scores, params, amounts.sparsity, amounts.epsilon)
    return _json({matrix.name: ratio for (matrix, _), ratio in zip(known, ratios, strict=True)})


def rates(held: Sequence[Matrix], amounts: Amounts) -> str:
    """JSON of a learning rate (or weight decay) of every module, larger where alpha is."""
    known = {matrix.name: alpha for matrix in held if (alpha := allocation.hill_alpha(matrix.evals)) is not None}
    values = allocation.linear_map(list(known.values()), amounts.low * amounts.rate, amounts.high * amounts.rate)
    return _json(dict(zip(known, values, strict=True)))


def bits(held: Sequence[Matrix], amounts: Amounts) -> str:
    """JSON of bits an element of every module."""
    known = [matrix for matrix in held if matrix.evals.sum() > 0.0]
    variances = [float(matrix.evals.sum()) / matrix.params for matrix in known]
    widths = allocation.bit_widths(variances, [matrix.params for matrix in known], amounts.bits)
    return _json({matrix.name: width for matrix, width in zip(known, widths, strict=True)})


def ranks(held: Sequence[Matrix], amounts: Amounts) -> str:
    """JSON that peft's LoraConfig takes: a rank of every module, alpha equal to it."""
    pattern = {matrix.name: allocation.energy_rank(matrix.evals, amounts.energy) for matrix in held}
    config = {"peft_type": "LORA", "r": max(pattern.values()), "target_modules": list(pattern)}
    return _json(config | {"rank_pattern": pattern, "alpha_pattern": pattern})


def _json(values: Mapping[str, object]) -> str:
    return json.dumps(values, indent=1) + "\n"


RECIPES: Mapping[str, Callable[[Sequence[Matrix], Amounts], str]] = {
    "spectrum": spectrum,
    "pruning": pruning,
    "learning_rates": rates,
    "decays": rates,
    "bits": bits,
    "ranks": ranks,
}
"""Value of `what` -> what makes its text."""
