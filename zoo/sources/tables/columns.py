"""WeightWatcher's column names of all versions -> ours, and which version's definitions a table follows.

Two families of definitions. 0.2 (tables with `level` or `lognorm`): one row a slice; every matrix, dense ones too,
times sqrt(rf / 2); norm is ||W||_F and log_norm its log10, NOT squared; stable_rank was 'softrank', log_alpha_norm
'logpnorm'; M < 50 has no row; equal to our profile natcomm2021. 0.4 and later (tables with `num_pl_spikes` or
`xmin`): one row a layer, slices pooled; norm and log_norm squared; equal to our profile weightwatcher. Names are
mapped, values are left alone: the profile of the row tells the definition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zoospectra.zoo.model import Value

OURS = {
    "lognorm": "log_norm",
    "spectralnorm": "spectral_norm",
    "logspectralnorm": "log_spectral_norm",
    "lognormX": "log_normX",
    "softrank": "stable_rank",
    "softranklog": "log_stable_rank",
    "softranklogratio": "stable_rank_log_ratio",
    "softrank_mp": "mp_softrank",
    "logpnorm": "log_alpha_norm",
    "numofSpikes": "num_mp_spikes",
    "ratio_numofSpikes": "ratio_num_mp_spikes",
}
"""Older name -> ours; every other name is ours already."""

NOT_METRICS = frozenset(
    ["", "Unnamed: 0", "modelname", "layer_id", "slice_id", "longname", "name", "layer_type", "N", "M", "Q", "rf",
     "level", "comment", "has_esd", "NxM", "slice", "slice_count", "weights_url", "model_name", "model", "model_id"]
)  # fmt: skip
"""Columns that say which row this is, not what was measured."""

INTEGERS = frozenset(["num_evals", "num_pl_spikes", "matrix_rank", "rank_loss", "weak_rank_loss"])
"""Columns that are counts."""

FITTED = frozenset(
    ["alpha", "D", "sigma", "xmin", "xmax", "num_pl_spikes", "alpha_weighted", "log_alpha_norm", "Lambda"]
)
"""Columns that are nothing when there is no fit; the tables then hold -1."""

SUCCESS = "success"
"""Status of a row with a fit, in the warehouse's words."""

PUBLISHED_2 = "published/weightwatcher-0.2"
PUBLISHED_7 = "published/weightwatcher-0.7"


def ours(name: str) -> str:
    """Our name of a column; the suffix '_compound' is kept."""
    stem = name.removesuffix("_compound")
    return OURS.get(stem, stem) + name[len(stem) :]


def profile_of(names: Iterable[str]) -> str:
    """Name of the definitions that a table with these columns follows; ValueError when it is none of theirs."""
    known = set(names)
    if known & {"level", "lognorm", "logpnorm", "softrank", "checkTF"}:
        return PUBLISHED_2
    if {"alpha", "layer_id"} <= known and known & {"num_pl_spikes", "xmin", "D"}:
        return PUBLISHED_7
    got = ", ".join(sorted(known)[:12])
    msg = f"not a table of WeightWatcher: expected columns such as layer_id, alpha, D, got {got}"
    raise ValueError(msg)


def metrics(row: Mapping[str, Value]) -> dict[str, Value]:
    """Metric columns of one row in our names. Nothing is NaN or -1: a row without a fit has None and a status."""
    values: dict[str, Value] = {}
    for name, cell in row.items():
        value = cell
        if name not in NOT_METRICS:
            if isinstance(value, (int, float)):
                value = int(value) if name in INTEGERS else float(value)
            values.setdefault(ours(name), value)
    alpha = values.get("alpha")
    status = values.get("status")
    if not isinstance(alpha, (int, float)) or alpha <= 0 or (status is not None and status != SUCCESS):
        values |= dict.fromkeys(FITTED & values.keys())
        values |= {"status": "failed: published without a fit", "warning": None}
    else:
        values |= {"status": SUCCESS, "warning": values.get("warning")}
    return values
