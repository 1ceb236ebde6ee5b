"""Which networks a file holds: from a tree of named tensors to nets, with a reason for whatever is none. Pure.

A file may hold one state dict, a shelf of them (model, average, teacher, discriminator), or nested parameters of one
net, and beside them what training needs. Told in this order: the state of an optimizer by its structure; a pickled
module is one net; dotted names are a state dict; a level with other things than tensors is a shelf, and so is one whose
keys are those that training scripts use; everything else is one nested net. Nets that repeat another one's names and
shapes are its copies (averages, gradients, masks). Two nets are never one model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from zoospectra.zoo.checkpoint.moments import TRAINING, Named, are_kept_by_number, are_moments
from zoospectra.zoo.checkpoint.trouble import Reason

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

ADVERSARIES = re.compile(r"^(net_?|model_?)?(g|d|gen|disc|generator|discriminator|student|teacher)(_?[a-z0-9])?$", re.I)
"""Keys of nets that are trained against, or after, each other."""

# First parts of flat names of two nets, where both are there.
JUDGE = re.compile(r"^(net_?|model_?)?(d|disc|discriminator)(_?[a-z0-9])?$", re.I)
TEACHER = re.compile(r"^(net_?|model_?)?teachers?(_?(net|model|network|encoder|backbone)|_?[a-z0-9])?$", re.I)
MAKER = re.compile(r"^(net_?|model_?)?(g|gen|generator)(_?[a-z0-9])?$", re.I)

PARTS = re.compile(
    r"(^|_)(net|model|encoder|decoder|actor|critic|agent|policy|value|backbone|head|predictor|classifier)_?\d*(_|$)"
)
"""Words in keys of nets, where the level holds more than tensors."""

COPIES = re.compile(r"(^|_)(ema|swa|avg|averaged?|shadow|grads?|gradients?|masks?|fisher|momentum)(_|$)", re.I)
"""Words in keys of what repeats a net and is no net that was trained."""

WEIGHTS = re.compile(r"(^|[._/])(weight|kernel|w|embeddings?|in_proj_weight|weight_[a-z0-9_]+)$")
"""Ends of names that only nets have."""

WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "_forward_module.", "_module.")
"""Prefixes that wrappers add to every name."""

HOLDERS = ("model.", "state_dict.")
"""Prefixes of training scripts, which hold the model as an attribute; a published model's names may begin so too."""

REPEATS = re.compile(COPIES.pattern + r"|(^|_)(teacher|target|old|k|key|m)(_|$)", re.I)
"""Words in the first part of a name that say the same, where names and shapes agree."""

LOSSES = re.compile(r"^(loss(es|_fn)?|criterion|perceptual(_loss)?|lpips|vgg_loss)$", re.I)
"""First parts of names of networks that only the loss needs."""

PIPELINE = frozenset({"first_stage_model", "cond_stage_model", "conditioner", "vae", "text_encoders"})
"""First parts of names of the networks beside a diffusion model in one flat file..."""

DENOISER = "model.diffusion_model."
"""...and what the denoiser's names begin with."""

INNER = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What the same wrappers add inside of names."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A tensor."""

    shape: tuple[int, ...] | None
    """Its shape; None when it cannot be read."""
    floating: bool
    """Whether it may hold weights by its element type."""
    value: object
    """What the reader knows it by; not looked at here."""

    @property
    def matrix(self) -> bool:
        """Whether it could be a weight: two dimensions of more than one element, or not known."""
        return self.floating and (self.shape is None or sum(size > 1 for size in self.shape) > 1)


@dataclass(slots=True)
class Branch:
    """A container with tensors below it; what is asked of it again and again is counted once, when it is made."""

    children: dict[str, Leaf | Branch]
    """What has tensors, by key, in order."""
    keys: frozenset[str] = frozenset()
    """Every key, also those of numbers and words."""
    module: bool = False
    """A pickled module: parameters, buffers and sub-modules under their names."""
    mixed: bool = False
    """Whether numbers, words or objects lie beside the tensors, as in no state dict."""
    tensors: int = field(init=False)
    """Tensors below."""
    text: int = field(init=False)
    """Letters of all their names together."""
    matrices: int = field(init=False)
    """Tensors below that could be weights by type and shape."""
    moments: bool = field(init=False)
    """Whether optimizers call all of those so."""
    optimizer: bool = field(init=False)
    """Whether it is the state of an optimizer, or of several."""
    state_dict: bool = field(init=False)
    """Whether a pickled module, or tensors with dotted names, lie in it or somewhere below."""

    def __post_init__(self) -> None:
        leaves = {key: child for key, child in self.children.items() if isinstance(child, Leaf)}
        below = {key: child for key, child in self.children.items() if isinstance(child, Branch)}
        matrices = [key for key, leaf in leaves.items() if leaf.matrix]
        self.tensors = len(leaves) + sum(child.tensors for child in below.values())
        self.text = sum(map(len, leaves)) + sum(len(k) * c.tensors + c.tensors + c.text for k, c in below.items())
        self.matrices = len(matrices) + sum(child.matrices for child in below.values())
        self.moments = are_moments(matrices) and all(child.moments for child in below.values())
        self.optimizer = "param_groups" in self.keys or (self.matrices > 0 and self.moments)
        for name, kept in (("state", self.children.get("state")), ("", self)):
            if isinstance(kept, Branch):
                inner = {key: child.outline() for key, child in kept.children.items() if isinstance(child, Branch)}
                self.optimizer |= are_kept_by_number(inner, bool(name))
        self.optimizer |= not leaves and bool(below) and all(is_training(key, child) for key, child in below.items())
        self.state_dict = self.module or any("." in key for key in matrices)
        self.state_dict |= any(child.state_dict and not is_training(key, child) for key, child in below.items())

    def outline(self) -> list[Named]:
        """Names and shapes of the tensors right in it that could be weights."""
        return [(key, leaf.shape) for key, leaf in self.children.items() if isinstance(leaf, Leaf) and leaf.matrix]


@dataclass(frozen=True, slots=True)
class Net:
    """One network of a file."""

    name: str
    """Where it lies: 'netG', 'model.ema'; '' for the whole file."""
    leaves: tuple[tuple[str, Leaf], ...]
    """Its tensors, named and in order."""
    why: str
    """The rule that took it for a net, in words."""
    listed: bool = True
    """Whether it is a model of its own; False for a copy of another net of the file."""

    @property
    def matrices(self) -> int:
        """Tensors that could be weights by type and shape."""
        return sum(leaf.matrix for _, leaf in self.leaves)


@dataclass(frozen=True, slots=True)
class Rest:
    """What is no net."""

    name: str
    """Where it lies."""
    tensors: int
    """How many tensors it holds."""
    matrices: int
    """How many of them could be weights by type and shape."""
    reason: Reason
    """Code."""
    why: str
    """The rule, in words."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds."""

    nets: tuple[Net, ...]
    """Its nets, the model first."""
    rest: tuple[Rest, ...]
    """Everything else."""


def contents(tree: Branch | Leaf) -> Contents:
    """Nets of a file, the model first: the one under a known key, else the first; names without their wrappers."""
    if isinstance(tree, Leaf):
        return Contents((Net("", (("tensor", tree),), "the file is one tensor"),), ())
    if tree.optimizer:
        return Contents((), (_rest("", tree, Reason.OPTIMIZER_STATE, "the file is the state of an optimizer"),))
    nets, rest = _resolved(tree, "")
    strong = [net for net in nets if net.matrices]
    if strong or any(row.reason is Reason.OPTIMIZER_STATE and row.matrices for row in rest):
        # What has no matrix is a net only where nothing else is.
        weak = [net for net in nets if not net.matrices]
        rest += [Rest(net.name, len(net.leaves), 0, Reason.NOT_THE_MODEL, "it has no matrix") for net in weak]
        nets = strong
    return Contents(tuple(nets), tuple(rest))


def _resolved(level: Branch, path: str) -> tuple[list[Net], list[Rest]]:
    """Nets and the rest of one level."""
    training = {k: child for k, child in level.children.items() if isinstance(child, Branch) and is_training(k, child)}
    rest = [_rest(_join(path, key), child, Reason.OPTIMIZER_STATE, "optimizer") for key, child in training.items()]
    others = {key: child for key, child in level.children.items() if key not in training}
    why = _why_shelf(level, others, bool(training))
    if not others:
        return [], rest
    if not why:
        whole = tuple(leaf for key, child in others.items() for leaf in _leaves(child, key))
        return [Net(path, whole, "a pickled module" if level.module else "names and tensors, and nothing else")], rest
    shelves: dict[str, list[Net]] = {}
    for key, child in others.items():
        where = _join(path, key)
        if isinstance(child, Leaf):
            rest.append(_rest(where, child, Reason.NOT_THE_MODEL, f"a tensor beside nets ({why})"))
            continue
        inner, more = _resolved(child, where)
        rest += more
        # One net in containers of containers is called by the outermost.
        shelves[key] = [replace(inner[0], name=where, why=f"{inner[0].why}; {why}")] if len(inner) == 1 else inner
    return _ranked(shelves, rest), rest


def _ranked(shelves: dict[str, list[Net]], rest: list[Rest]) -> list[Net]:
    """Nets of a shelf, the model first; its copies are not listed, what is unlike a net joins the rest."""
    known = next((key for key in CONTAINERS if any(net.matrices for net in shelves.get(key, ()))), None)
    nets = sorted((net for key, inner in shelves.items() if key != known for net in inner), key=lambda n: not _alike(n))
    if known is not None:
        why = f"{known!r} is where scripts keep the model"
        nets = [replace(net, why=f"{net.why}; {why}") for net in shelves[known]] + nets
    kept: list[Net] = []
    for net in nets:
        original = next((other for other in nets if other is not net and _repeats(net, other, known)), None)
        if original is not None:
            kept.append(replace(net, listed=False, why=f"names or shapes of {original.name!r}: a copy of it"))
        elif kept and net.matrices and not _alike(net):
            why = "no name in it is that of a net's weight"
            rest.append(Rest(net.name, len(net.leaves), net.matrices, Reason.NOT_THE_MODEL, why))
        else:
            kept.append(net)
    return kept


def _alike(net: Net) -> bool:
    """Whether a container has the names of a net: those of modules, or of weights."""
    return any("." in name or WEIGHTS.search(name) for name, leaf in net.leaves if leaf.matrix)


def _repeats(net: Net, other: Net, known: str | None) -> bool:
    """Whether a net is a copy of another: that one is the model, or its own key says so, and the shapes agree."""
    key, whose = net.name.rpartition(".")[2], other.name.rpartition(".")[2]
    if whose != known and not (COPIES.search(key) and not COPIES.search(whose)):
        return False
    (shapes, names), (all_shapes, all_names) = _outline(net), _outline(other)
    same = bool(names) and names <= all_names
    return same or (shapes <= all_shapes and 2 * shapes.total() >= all_shapes.total() > 0)


def _outline(net: Net) -> tuple[Counter[tuple[int, ...] | None], set[tuple[str, tuple[int, ...] | None]]]:
    """Shapes of a net's matrices, and their names with them."""
    leaves = [leaf for _, leaf in net.leaves]
    names = unwrapped([name for name, _ in net.leaves], holders=True)
    matrices = [(name, leaf.shape) for name, leaf in zip(names, leaves, strict=True) if leaf.matrix]
    return Counter(shape for _, shape in matrices), set(matrices)


def _why_shelf(level: Branch, others: dict[str, Leaf | Branch], training: bool) -> str:
    """Why the containers of a level are nets of their own; '' when the level is one net."""
    branches = {key: child for key, child in others.items() if isinstance(child, Branch)}
    leaves = {key: child for key, child in others.items() if isinstance(child, Leaf) and child.matrix}
    if level.module or not branches or any("." in key for key in leaves):
        return ""
    sign = "training state beside it" if training else "other things than tensors beside it" if level.mixed else ""
    flat = next((key for key, child in branches.items() if child.state_dict), None)
    named = [key for key in branches if key in CONTAINERS or ADVERSARIES.match(key)]
    words = [key for key in branches if key in named or PARTS.search(key)]
    if flat is not None:
        # Megatron's {embedding: {...}, encoder: state dict} is one net: not every key is one of nets, and none known.
        listed = all(key.isdigit() for key in branches)
        full = [child for child in branches.values() if child.matrices]
        shelf = sign or named or listed or len(branches) == len(words) or len(full) == 1 or _are_nets(full)
        return f"{flat!r} is a state dict" if shelf else ""
    if sign:
        named = words
    if not named or (leaves and not sign) or (len(branches) > len(named) and not sign):
        return sign if sign and len(branches) == 1 and not leaves else ""
    return f"{named[0]!r} is a key of nets"


def _are_nets(branches: list[Branch]) -> bool:
    """Whether containers are nets by what is in them: all state dicts, two of which share a name, or hold a container
    of the model; or state dicts beside what has no name of a net.
    """
    dicts = [child for child in branches if child.state_dict]
    if len(dicts) < len(branches):
        others = [name for child in branches if not child.state_dict for name, _ in _leaves(child, "")]
        return not any("." in name or WEIGHTS.search(name) for name in others)
    names = Counter(name for child in dicts for name, leaf in _leaves(child, "") if leaf.matrix and "." in name)
    return max(names.values(), default=0) > 1 or any(set(CONTAINERS) & child.children.keys() for child in dicts)


def is_training(key: str, branch: Branch) -> bool:
    """Whether the container under a key is the state of an optimizer, or what else training needs."""
    return branch.optimizer or bool(TRAINING.search(key) and not branch.state_dict)


def _leaves(node: Leaf | Branch, name: str) -> Iterator[tuple[str, Leaf]]:
    """Every tensor below a node, depth first, with its dotted name."""
    if isinstance(node, Leaf):
        yield name, node
        return
    for key, child in node.children.items():
        yield from _leaves(child, _join(name, key))


def _rest(name: str, node: Leaf | Branch, reason: Reason, why: str) -> Rest:
    if isinstance(node, Leaf):
        return Rest(name, 1, int(node.matrix), reason, why)
    return Rest(name, node.tensors, node.matrices, reason, why)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def parted(net: Net) -> list[Net]:
    """A flat net, by the first parts of its names: copies, adversaries, networks of the loss are nets of their own."""
    groups: dict[str, list[tuple[str, Leaf]]] = {}
    for name, leaf in net.leaves:
        groups.setdefault(name.partition(".")[0] if "." in name else "", []).append((name, leaf))
    large = {first: leaves for first, leaves in groups.items() if first and sum(leaf.matrix for _, leaf in leaves) > 1}
    reasons = _reasons_to_part(large)
    if not reasons:
        return [net]
    left = tuple((name, leaf) for name, leaf in net.leaves if name.partition(".")[0] not in reasons)
    nets = [
        Net(_join(net.name, first), tuple(groups[first]), why, listed=listed)
        for first, (why, listed) in reasons.items()
    ]
    whole = replace(net, leaves=left)
    return [whole, *nets] if whole.matrices else sorted(nets, key=lambda n: not n.listed)


def _reasons_to_part(groups: dict[str, list[tuple[str, Leaf]]]) -> dict[str, tuple[str, bool]]:
    """First part of names -> (why it is a net of its own, whether it is listed)."""
    forms = {
        first: {(name.partition(".")[2].replace(".", ""), leaf.shape) for name, leaf in leaves if leaf.matrix}
        for first, leaves in groups.items()
    }
    reasons: dict[str, tuple[str, bool]] = {}
    for first, form in forms.items():
        others = (other for other in forms if REPEATS.search(first) and not REPEATS.search(other))
        original = next((other for other in others if form <= forms[other]), None)
        if original is not None:
            reasons[first] = (f"names and shapes of {original!r}: a copy of it", False)
        elif LOSSES.match(first) and len(forms) > 1:
            reasons[first] = ("a network of the loss", False)
        elif first in PIPELINE and any(name.startswith(DENOISER) for name, _ in groups.get("model", ())):
            reasons[first] = ("one of the networks of a diffusion pipeline", True)
        elif TEACHER.match(first) and len(forms) > 1:  # no copy: of another width, or depth
            reasons[first] = ("what another net learns from", True)
    judges = [first for first in forms if JUDGE.match(first)]
    makers = [first for first in forms if MAKER.match(first)]
    if judges and makers:  # the maker is what others use
        reasons |= dict.fromkeys(makers + judges, ("trained against each other", True))
    return reasons


def unwrapped(names: list[str], holders: bool) -> list[str]:
    """Names without the prefixes of wrappers, where every name has them; with `holders` those of scripts too.

    Names stay as they are where two would become one.
    """
    prefixes = WRAPPERS + HOLDERS if holders else WRAPPERS
    plain = [INNER.sub("", name) for name in names]
    while prefix := next((p for p in prefixes if plain and all(n.startswith(p) and n != p for n in plain)), None):
        plain = [name.removeprefix(prefix) for name in plain]
    return plain if len(set(plain)) == len(set(names)) else names
