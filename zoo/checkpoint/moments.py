"""What optimizers keep of the parameters that they train, told by names and by structure. Pure.

`torch.optim` writes {state: {0: {exp_avg, exp_avg_sq}, 1: ...}, param_groups: [...]}, others the same under words of
their own: for every parameter, by its number, the same few tensors of the parameter's shape.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

Named = tuple[str, tuple[int, ...] | None]
"""Name of a tensor and its shape; None when it cannot be read."""

TRAINING = re.compile(r"(^|_)(opt|optim[a-z]*|opt[gd]|(lr_?)?schedulers?|scaler|amp)(_|$)|^optim", re.I)
"""Words in keys of the state of training; believed of containers that do not look like a net."""

SURE = frozenset(
    {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "exp_avg_diff", "exp_avg_sq_row", "exp_avg_sq_col"}
    | {"momentum_buffer", "square_avg", "grad_avg", "sqr_avg", "acc_delta", "slow_buffer", "slow_param"}
)
"""What optimizers, and nothing else, call what they keep of a parameter."""

MOMENTS = SURE | frozenset(
    {"sum", "step", "ax", "mu", "nu", "eta", "prev", "step_size", "momentum", "velocity", "ema"}
    | {"row_var", "col_var", "state1", "state2"}
)
"""The same with words that nets use too."""

OF_NETS = re.compile(r"(^|[._/])(weights?|kernel|w|bias|b|embeddings?|scale|gamma|beta|lora_\w+)(\d+|_\w+)?$", re.I)
"""Ends of names that nets have."""


def are_moments(names: Collection[str]) -> bool:
    """Whether optimizers call all of these so, by the last parts of their names."""
    return MOMENTS.issuperset(name.rpartition(".")[2] for name in names)


def are_kept_by_number(held: Mapping[str, Collection[Named]], state: bool) -> bool:
    """Whether containers are what an optimizer keeps of each parameter; `held` has their matrices, by their keys.

    So it is where the keys are numbers and some name is surely a moment's. Under the word `state` it is also where no
    name is that of a net's weight and each container has two matrices or more, of one shape.
    """
    if not held or not all(key.isdigit() for key in held):
        return False
    names = {name for matrices in held.values() for name, _ in matrices}
    if names & SURE:
        return True
    full = [matrices for matrices in held.values() if matrices]
    twins = bool(full) and all(len(matrices) > len({shape for _, shape in matrices}) for matrices in full)
    return state and twins and not any("." in name or OF_NETS.search(name) for name in names)
