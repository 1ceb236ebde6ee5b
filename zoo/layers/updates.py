"""What an adapter says about the modules of a base, one `Update` each: low-rank products, gains, rotations. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isqrt, prod
from typing import Any

from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.layers.layer import Change, Layer
from zoospectra.zoo.layers.packed.adapters.lora import MAGNITUDES
from zoospectra.zoo.layers.packed.adapters.names import PREFIX
from zoospectra.zoo.layers.packed.weight import part_of

IA3 = re.compile(r"^(?P<base>.+)\.ia3_l(?:\.default)?$")
OFT = re.compile(r"^(?P<base>.+)\.oft_R\.weight$")
VERA = re.compile(r"^(?P<base>.+)\.vera_lambda_b$")

PROJECTIONS = ("base_model.vera_A", "base_model.vera_B")
"""Names of VeRA's random matrices, where PEFT saves them."""

MAX_SIDE = 1 << 20
"""Most terms of a series, or rank of a projection, that a configuration may ask for."""


@dataclass(frozen=True, slots=True)
class Update:
    """What an adapter says about one module."""

    tensor: str
    """Tensor of the adapter in whose place it is listed."""
    module: str
    """Module of the base, as the adapter calls it."""
    shape: tuple[int, int] | None
    """(out, in) of the weight; None where the numbers say only one of the two."""
    change: Change | None
    """The change; None for one that is not computed."""
    consumed: tuple[str, ...] = ()
    """Tensors that the adapter's own model has failures about, and which are understood with the base."""
    trouble: str = ""
    """Why it is not computed."""
    axis: int = 0
    """Side of the weight that `size` is about: 0 for outputs, 1 for inputs."""
    size: int = 0
    """Length of that side; 0 where any will do."""
    width: int = 0
    """What divides the columns of the flattened weight; 0 where anything may."""
    most: int = 0
    """Most columns that it may have; 0 for any number."""
    shared: bool = False
    """Whether it needs projections that are drawn for all layers together."""


def updates_of(tensors: Sequence[TensorRef], config: Mapping[str, Any], own: Sequence[Layer]) -> Iterator[Update]:
    """Every change that an adapter's tensors describe."""
    refs = {ref.name: ref for ref in tensors}
    for layer in own:
        if layer.layer_type == "lora":
            yield _product(layer, refs)
    for name, ref in refs.items():
        match = IA3.match(name)
        if match:
            yield _gains(ref, match["base"].removeprefix(PREFIX), config)
        match = OFT.match(name)
        if match and len(ref.shape) == 2:
            yield _rotation(ref, match["base"].removeprefix(PREFIX), part_of(config, "adapter"))
        match = VERA.match(name)
        if match:
            yield _vera(ref, match["base"], refs, config)


def _product(layer: Layer, refs: Mapping[str, TensorRef]) -> Update:
    """A low-rank product, with DoRA's magnitudes where they are beside it."""
    assembly = layer.assembly
    assert assembly is not None
    out, inputs = layer.shape[-2:]
    if layer.view or len(assembly.shape) != 2:
        trouble = f"an update of one expert, {layer.longname}: its place in the base's stack is not looked for"
        return Update(layer.ref.name, layer.longname, (out, inputs), None, trouble=trouble)
    names = [f"{before}{layer.longname}.{last}" for before in (PREFIX, "") for last in MAGNITUDES]
    magnitude = next((refs[name] for name in names if name in refs), None)
    if magnitude is None:
        return Update(layer.ref.name, layer.longname, (out, inputs), Change("added", assembly))
    columns = "lora_embedding_" in layer.ref.name
    if prod(magnitude.shape) != (inputs if columns else out) or _is_one_an_input(magnitude):
        shape = "x".join(map(str, magnitude.shape))
        trouble = f"{layer.longname}: DoRA's magnitudes {magnitude.name} of shape {shape} are not one an output"
        return Update(layer.ref.name, layer.longname, (out, inputs), None, trouble=trouble)
    scheme = "dora_columns" if columns else "dora"
    update = replace(assembly, note=assembly.note.partition("without DoRA")[0].rstrip("; "))
    return Update(layer.ref.name, layer.longname, (out, inputs), Change(scheme, update, (magnitude,)))


def _is_one_an_input(magnitude: TensorRef) -> bool:
    """Whether the trainer took the norms along the outputs, as LyCORIS does: its magnitudes are (1, in)."""
    return magnitude.name.endswith("dora_scale") and magnitude.shape[0] == 1


def _gains(ref: TensorRef, module: str, config: Mapping[str, Any]) -> Update:
    """IA3: (out, 1), or (1, in) of what PEFT calls feed-forward; convolutions have (1, channels, 1, 1) for both."""
    size = prod(ref.shape)
    if len(ref.shape) == 2 and ref.shape[1] == 1 != ref.shape[0]:
        rows = True
    else:
        forward = part_of(config, "adapter").get("feedforward_modules")
        names = [forward] if isinstance(forward, str) else forward if isinstance(forward, list) else []
        ends = [name for name in names if isinstance(name, str)]
        rows = len(ref.shape) > 2 and not any(module == end or module.endswith(f".{end}") for end in ends)
    reshaped = replace(ref, shape=(size, 1) if rows else (1, size), stride=None)
    return Update(ref.name, module, None, Change("scaled", None, (reshaped,)), axis=0 if rows else 1, size=size)


def _rotation(ref: TensorRef, module: str, adapter: Mapping[str, Any]) -> Update:
    """PEFT's OFT since 0.16: b (b - 1) / 2 numbers a block, of as many blocks as fit the inputs, or one for all."""
    blocks, numbers = ref.shape
    block = (1 + isqrt(1 + 8 * numbers)) // 2
    series, terms = adapter.get("use_cayley_neumann"), adapter.get("num_cayley_neumann_terms")
    trouble = ""
    if not blocks or not numbers or block * (block - 1) // 2 != numbers:
        trouble = f"{module}: {numbers} numbers a block are no skew matrix's"
    elif adapter.get("coft") is not False:
        trouble = f"{module}: constrained rotations (coft) are not computed"
    elif type(series) is not bool or (series and not (type(terms) is int and 1 < terms <= 64)):
        trouble = f"{module}: adapter_config.json does not say how the rotation is computed (use_cayley_neumann)"
    if trouble:
        return Update(ref.name, module, None, None, trouble=trouble)
    shared = adapter.get("block_share") is True
    options = (("block", block), ("terms", int(terms) if series and type(terms) is int else 0))
    width = block if shared else block * blocks
    change = Change("rotated", None, (ref,), options)
    return Update(ref.name, module, None, change, width=width, most=0 if shared else width)


def _vera(outs: TensorRef, base: str, refs: Mapping[str, TensorRef], config: Mapping[str, Any]) -> Update:
    """VeRA: two vectors a module, and projections that all share: in the file, or drawn from the seed."""
    module = base.removeprefix(PREFIX)
    ranks, size, seed = (
        refs.get(f"{base}.vera_lambda_d"),
        prod(outs.shape),
        part_of(config, "adapter").get("projection_prng_key"),
    )
    if ranks is None or not size or not 0 < prod(ranks.shape) < MAX_SIDE:
        return Update(outs.name, module, None, None, trouble=f"{module}: its vera_lambda_d is not in the file")
    rank = prod(ranks.shape)
    a, b = (refs.get(name) for name in PROJECTIONS)
    if a is not None and b is not None:
        if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != rank or b.shape[1] != rank or b.shape[0] < size:
            trouble = (
                f"{module}: projections of shapes {a.shape} and {b.shape} do not fit {size} outputs of rank {rank}"
            )
            return Update(outs.name, module, None, None, PROJECTIONS, trouble)
        change = Change("vera", None, (outs, ranks, a, b))
        return Update(outs.name, module, None, change, PROJECTIONS, size=size, most=a.shape[1])
    if type(seed) is not int or not 0 <= seed < 1 << 63:
        return Update(outs.name, module, None, None, trouble=f"{module}: neither projections nor their seed are there")
    outputs = max(prod(ref.shape) for name, ref in refs.items() if VERA.match(name))
    options = (("seed", seed), ("rank", rank), ("outputs", outputs))
    return Update(outs.name, module, None, Change("vera", None, (outs, ranks), options), size=size, shared=True)
