"""From what a file holds to one model: the net that was asked for, and a row for everything else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.nets import Contents, Leaf, Net, parted, unwrapped
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip


def selected(checkpoint: Checkpoint, path: str, name: str | None, *, published: bool = False) -> Checkpoint:
    """The net called `name` of an opened file, the model where it is None; names lose what wrappers put before them.

    A `published` model, with its configuration, is one net and keeps its names but for those of wrappers.

    Everything else has a row: in the model's list where it was not asked for by name, or is no net. CheckpointError:
    'not_found' for an unknown name, listing the known ones.
    """
    contents = _contents(checkpoint, published)
    nets = contents.nets
    if name is None:
        chosen = nets[0] if nets else Net("", (), "")
    else:
        known = {net.name: net for net in nets}
        if name not in known:
            detail = f"{path} has no net {name!r}; nets: {', '.join(repr(net.name) for net in nets)[:400] or 'none'}"
            raise CheckpointError(Reason.NOT_FOUND, detail)
        chosen = known[name]
    skips = list(checkpoint.skips)
    if name is None or chosen is nets[0]:
        others = [net for net in nets if net is not chosen and not (name and net.listed)]
        skips += [Skip(net.name, Reason.NOT_THE_MODEL, _words(net, f"{path}#{net.name}"), False) for net in others]
        skips += [
            Skip(r.name, r.reason, f"{r.tensors} tensors, {r.matrices} of them matrices: {r.why}", False)
            for r in contents.rest
        ]
    values = [leaf.value for _, leaf in chosen.leaves]
    skips += [value for value in values if isinstance(value, Skip)]
    tensors = tuple(value for value in values if isinstance(value, TensorRef))
    return replace(
        checkpoint,
        tensors=tensors,
        skips=tuple(skips),
        net=chosen.name,
        contents=replace(contents, nets=_outlines(nets)),
    )


def _outlines(nets: tuple[Net, ...]) -> tuple[Net, ...]:
    """Nets without references: names and shapes are enough to say what a file holds."""
    return tuple(replace(net, leaves=tuple((n, replace(leaf, value=None)) for n, leaf in net.leaves)) for net in nets)


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a file, as `describe` shows it."""

    name: str
    """Where it lies; '' for the whole file."""
    tensors: int
    """Tensors in it."""
    matrices: int
    """Those that could be weights by type and shape."""
    opened: bool
    """Whether its tensors are those of the checkpoint."""
    taken: str
    """What it was taken for: 'net', 'copy of a net', or the reason why it is none."""
    why: str
    """The rule, in words."""


def containers(checkpoint: Checkpoint) -> tuple[Container, ...]:
    """The tree of an opened checkpoint: every net, the model first, and everything else."""
    if checkpoint.contents is None:
        return ()
    nets = tuple(
        Container(
            name=net.name,
            tensors=len(net.leaves),
            matrices=net.matrices,
            opened=net.name == checkpoint.net,
            taken="net" if net.listed else "copy of a net",
            why=net.why,
        )
        for net in checkpoint.contents.nets
    )
    rest = checkpoint.contents.rest
    return nets + tuple(Container(r.name, r.tensors, r.matrices, False, str(r.reason), r.why) for r in rest)


def _words(net: Net, opened: str) -> str:
    return f"{len(net.leaves)} tensors, {net.matrices} of them matrices: {net.why}; {opened} opens it"


def _contents(checkpoint: Checkpoint, published: bool) -> Contents:
    """Nets with their final names."""
    contents = checkpoint.contents or Contents((_flat(checkpoint),), ())
    nets = [_renamed(net, holders=not published) for net in contents.nets]
    if not published:
        nets = [part for net in nets for part in (parted(net) if net.listed else [net])]
    return replace(contents, nets=tuple(nets))


def _flat(checkpoint: Checkpoint) -> Net:
    """The tensors of a file that has nothing but named tensors."""
    leaves = ((ref.name, Leaf(ref.shape, ref.dtype in types.FLOATING, ref)) for ref in checkpoint.tensors)
    return Net("", tuple(leaves), "names and tensors, and nothing else")


def _renamed(net: Net, *, holders: bool) -> Net:
    """The net with the names that its modules have."""
    names = unwrapped([name for name, _ in net.leaves], holders)
    return replace(net, leaves=tuple((n, _named(n, leaf)) for n, (_, leaf) in zip(names, net.leaves, strict=True)))


def _named(name: str, leaf: Leaf) -> Leaf:
    value = leaf.value
    if isinstance(value, Skip):
        return replace(leaf, value=replace(value, tensor=name))
    assert isinstance(value, TensorRef)
    return replace(leaf, value=replace(value, name=name))
