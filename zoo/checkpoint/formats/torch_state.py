"""From the object a torch file holds to named tensors: containers, wrapped models, whole modules.

A file may hold a state dict, a dict with a state dict and much else, or a pickled module. The state dict is found by
the names that training scripts use; what lies beside it (optimizer, masks, averages) is left out with a row each.
Names are those of `module.state_dict()`, without the 'module.' of DataParallel and the '_orig_mod.' of torch.compile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from zoospectra.zoo.checkpoint.formats.pickled import Inert, Refused, Tensor
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

Leaf = Tensor | Refused
"""What a pickle holds in the place of a tensor."""

CONTAINERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "params",
    "weights",
    "params_ema",
    "ema_state_dict",
    "model_ema",
)
"""Keys under which training scripts keep the model, the most specific first."""

TRAINING_STATE = ("optim", "scheduler", "scaler", "amp")
"""Words in the key of a container that holds the state of training and not the model."""

WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.")
"""Prefixes that wrappers add to every key."""

MAX_DEPTH = 64
"""Deepest nesting of modules that is walked."""
MAX_VISITS = 1_000_000
"""Most values visited: shared containers nested in shared containers could multiply without end."""


@dataclass(slots=True)
class _Budget:
    visits: int = MAX_VISITS

    def spend(self, depth: int) -> None:
        """Count one visited value; CheckpointError when there were too many, or too deep."""
        self.visits -= 1
        if self.visits < 0 or depth > MAX_DEPTH:
            raise CheckpointError(Reason.UNSAFE, f"more than {MAX_VISITS} values, or nested deeper than {MAX_DEPTH}")


def named_tensors(root: object) -> tuple[list[tuple[str, Leaf]], list[Skip]]:
    """Model tensors of a loaded pickle, named and in order, and one Skip for each container left out."""
    budget = _Budget()
    skips: list[Skip] = []
    for _ in range(8):  # a container in a container in a container: nobody nests deeper
        inner = _container(root, budget)
        if inner is None:
            break
        skips += _left_out(root, inner, budget)
        root = _members(root)[inner]
    named: list[tuple[str, Leaf]] = []
    if isinstance(root, (Tensor, Refused)):
        return [("tensor", root)], skips
    for key, value in _children(root):
        below = list(_walk(value, key, 1, budget))
        if below and _is_training_state(key, value):
            skips.append(Skip(key, Reason.OPTIMIZER_STATE, f"{len(below)} tensors of the optimizer", False))
        else:
            named += below
    return _unwrapped(named), skips


def _members(value: object) -> dict[object, object]:
    """What a container holds by name; empty for anything else."""
    if isinstance(value, dict):
        return value
    if isinstance(value, Inert):
        state = value.state[0] if isinstance(value.state, tuple) and value.state else value.state
        members = dict(state) if isinstance(state, dict) else {}
        return _module_members(members) | (value.items or {})
    return {}


def _module_members(state: dict[object, object]) -> dict[object, object]:
    """Parameters, buffers, sub-modules of a pickled module, in the order of state_dict(); any other state as it is."""
    if not isinstance(state.get("_modules"), dict) or not isinstance(state.get("_parameters"), dict):
        return state
    transient = state.get("_non_persistent_buffers_set")
    if isinstance(transient, Inert) and isinstance(transient.args, tuple) and transient.args:
        transient = transient.args[0]  # protocol 2 writes set([...]) as a call
    names = {name for name in transient if isinstance(name, str)} if isinstance(transient, (list, tuple)) else set()
    members: dict[object, object] = {}
    for part in ("_parameters", "_buffers", "_modules"):
        held = state.get(part)
        if isinstance(held, dict):
            members.update({k: v for k, v in held.items() if part != "_buffers" or k not in names})
    return members


def _children(value: object) -> Iterator[tuple[str, object]]:
    """Named values inside a container."""
    if isinstance(value, (list, tuple)):
        yield from ((str(index), item) for index, item in enumerate(value))
        return
    for key, item in _members(value).items():
        if isinstance(key, (str, int)):
            yield str(key), item


def _walk(value: object, name: str, depth: int, budget: _Budget) -> Iterator[tuple[str, Leaf]]:
    """Every tensor below a value, depth first, with its dotted name."""
    waiting = [(name, value, depth)]
    while waiting:
        name, value, depth = waiting.pop()
        budget.spend(depth)
        if isinstance(value, (Tensor, Refused)):
            yield name, value
            continue
        below = [
            (f"{name}.{key}" if name else key, item, depth + 1)
            for key, item in _children(value)
            if isinstance(item, (Tensor, Refused, dict, list, tuple, Inert))
        ]
        waiting.extend(reversed(below))


def _has_tensors(value: object, budget: _Budget) -> bool:
    return next(_walk(value, "", 0, budget), None) is not None


def _container(root: object, budget: _Budget) -> str | None:
    """Key of the container that holds the model; None when root is the model itself."""
    members = _members(root)
    if any(isinstance(value, Tensor) for value in members.values()):
        return None
    for key in CONTAINERS:
        value = members.get(key)
        if isinstance(value, (dict, Inert)) and _has_tensors(value, budget):
            return None if _is_submodule(root) else key
    return None


def _is_submodule(root: object) -> bool:
    """Whether root is a pickled module, whose attribute 'model' or 'net' is a part of it and no container."""
    state = root.state if isinstance(root, Inert) else None
    return isinstance(state, dict) and "_modules" in state


def _left_out(root: object, chosen: str, budget: _Budget) -> list[Skip]:
    """One Skip for each neighbour of the chosen container that holds tensors."""
    skips = []
    for key, value in _children(root):
        if key == chosen or not isinstance(value, (dict, list, tuple, Inert, Tensor, Refused)):
            continue
        count = sum(1 for _ in _walk(value, key, 1, budget))
        if count:
            reason = Reason.OPTIMIZER_STATE if _is_training_state(key, value) else Reason.NOT_THE_MODEL
            skips.append(Skip(key, reason, f"{count} tensors beside the model, which is {chosen!r}", False))
    return skips


def _is_training_state(key: str, value: object) -> bool:
    """Whether an entry is an optimizer or the like: a container whose key says so in one of its words."""
    words = key.lower().replace("-", "_").split("_")
    return not isinstance(value, (Tensor, Refused)) and any(
        word.startswith(prefix) if prefix == "optim" else word == prefix for word in words for prefix in TRAINING_STATE
    )


def _unwrapped(named: list[tuple[str, Leaf]]) -> list[tuple[str, Leaf]]:
    """Names without a wrapper's prefix, where every name has it."""
    while named:
        prefix = next((p for p in WRAPPERS if all(name.startswith(p) for name, _ in named)), None)
        if prefix is None:
            break
        named = [(name.removeprefix(prefix), value) for name, value in named]
    return named
