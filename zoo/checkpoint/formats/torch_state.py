"""From the object that a torch file holds to a checkpoint: the tree of its containers, and references to its nets.

Names are those of `module.state_dict()`. Which containers are nets is decided in zoo.checkpoint.nets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats.pickled import Global, Inert, Refused, Tensor
from zoospectra.zoo.checkpoint.nets import Branch, Contents, Leaf, contents
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

MAX_DEPTH = 64
"""Deepest nesting of modules that is walked."""
MAX_VISITS = 1_000_000
"""Most values visited: shared containers nested in shared containers could multiply without end."""

MAX_TEXT = 64 << 20
"""Most letters of the names of all tensors together; 75 000 names of a large model have 5 million."""


def checkpoint(
    kind: str, root: object, globals_seen: Iterable[str], refer: Callable[[str, Tensor], TensorRef]
) -> Checkpoint:
    """Nets of a loaded pickle of a file of format `kind`; `refer` says where a named tensor lies."""

    def entry(name: str, leaf: Leaf) -> tuple[str, Leaf]:
        value = leaf.value
        if isinstance(value, Refused):
            return name, replace(leaf, value=Skip(name, value.reason, value.detail, value.failed))
        assert isinstance(value, Tensor)
        return name, replace(leaf, value=refer(name, value))

    tree = _Tree().node(root, 0)
    held = contents(tree) if tree is not None else Contents((), ())
    nets = tuple(replace(net, leaves=tuple(entry(*leaf) for leaf in net.leaves)) for net in held.nets)
    return Checkpoint(kind, (), (), tuple(sorted(globals_seen)), contents=replace(held, nets=nets))


class _Tree:
    """Containers as branches; one that is shared is looked at once, and counted as often as it is met."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[Branch | None, int, int] | None] = {}

    def node(self, value: object, depth: int) -> Branch | Leaf | None:
        """The tree below a value; None without tensors. CheckpointError: too deep, too many values, or a circle."""
        if isinstance(value, Tensor):
            return Leaf(value.shape, value.dtype in types.FLOATING, value)
        if isinstance(value, Refused):
            return Leaf(None, value.failed, value)
        if not isinstance(value, CONTAINERS):
            return None
        return self._branch(value, depth)[0]

    def _branch(self, value: object, depth: int) -> tuple[Branch | None, int, int]:
        """Branch, values below it, and levels below it."""
        if id(value) in self.known:
            known = self.known[id(value)]
            if known is None or depth + known[2] > MAX_DEPTH:
                raise CheckpointError(Reason.UNSAFE, f"containers in a circle, or nested deeper than {MAX_DEPTH}")
            return known
        if depth > MAX_DEPTH:
            raise CheckpointError(Reason.UNSAFE, f"values nested deeper than {MAX_DEPTH}")
        self.known[id(value)] = None  # it is being looked at: whoever meets it again goes round in a circle
        children: dict[str, Branch | Leaf] = {}
        keys: set[str] = set()
        mixed, visits, levels = False, 1, 0
        for name, item in _children(value):
            key = name if name not in keys else f"{name} ({len(keys)})"  # 1 and '1' are two keys
            keys.add(key)
            visits += 1
            mixed |= not isinstance(item, (Tensor, Refused, dict, list, tuple))
            node = self.node(item, depth + 1)
            if node is not None:
                children[key] = node
            if isinstance(item, CONTAINERS):
                _, more, deeper = self._branch(item, depth + 1)
                visits, levels = visits + more, max(levels, deeper + 1)
        module = _is_module(value)
        made = Branch(children, frozenset(keys), module, mixed and not module) if children else None
        if visits > MAX_VISITS or (made is not None and made.text > MAX_TEXT):
            raise CheckpointError(Reason.UNSAFE, f"more than {MAX_VISITS} values, or names of {MAX_TEXT} letters")
        self.known[id(value)] = (made, visits, levels)
        return made, visits, levels


CONTAINERS = (dict, list, tuple, Inert)
"""What may hold tensors."""


def _is_module(value: object) -> bool:
    """Whether a value is a pickled module or one of TorchScript: its attribute 'model' is a part and no container."""
    if not isinstance(value, Inert):
        return False
    scripted = isinstance(value.made_by, Global) and value.made_by.module.startswith("__torch__")
    return scripted or (isinstance(value.state, dict) and "_modules" in value.state)


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
