"""Packed weights that are not unpacked: refused by name, with everything that belongs to them.

Integers that look like weights are never fitted as such: what no scheme claims and has the name of codes is a failure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.layers.packed.weight import PackedWeight, Refs, part_of

UNKNOWN = "integer weights without a known scale"

PRODUCT = "product quantisation"

REFUSED: dict[str, str] = {
    "EXL2": r"\.q_weight$",
    "EXL3": r"\.trellis$",
    "Marlin": r"\.B(_24)?$",
    "GPTQ or AWQ in no known layout (gemv, Marlin, ExLlama)": r"\.qweight$",
    "compressed-tensors": r"\.weight_packed$",
    "HQQ": r"\.W_q$",
    "AQLM": r"\.(codes|codebooks)$",
    "VPTQ": r"\.indices$",
    PRODUCT: r"\.assignments$",
    "QuIP#": r"\.Qidxs\w*$",
    "SpQR": r"\.dense_weights$",
    "MXFP4 blocks": r"_blocks$",
    "quanto": r"\._data(\._data)?$|\._packed$",
    "torchao": r"\._\w+_qdata$",
    "ONNX QDQ integers": r"_quantized$",
    UNKNOWN: r"(^|\.)(weight|kernel|W)$|_weight$|(^|\.)weight_quantized$",
}
"""Scheme -> names of its codes; the first that fits counts."""

LEFT_ALONE = re.compile(r"bias$|^(weight|kernel)$")
"""Own names of neighbours that stay what they are."""

INSIDE = re.compile(r"^(res_|outlier_)?(centroids|codebooks?)\.weight$")
"""Tensors in a module below that belong to the codes too."""


def find(refs: Refs, config: Mapping[str, Any], claimed: Collection[str]) -> Iterator[PackedWeight]:
    """A refusal for every tensor of codes that is not claimed yet."""
    method = part_of(config, "quantization_config").get("quant_method")
    says = f" (quantization_config says {method[:40]})" if isinstance(method, str) else ""
    codes = {name: ref for name, ref in refs.items() if name not in claimed and _is_codes(ref)}
    codes |= {name: ref for name, ref in refs.items() if name not in claimed and _are_assignments(name, refs)}
    names = {name: what for name in codes if (what := _scheme(codes[name]))}
    for name, what in names.items():
        ref = codes[name]
        detail = f"{what}{says}: {ref.dtype} of shape {'x'.join(map(str, ref.shape))} is not unpacked"
        companions = tuple(other for other in _neighbours(name, refs) if other not in claimed and other not in names)
        yield PackedWeight(name, name, None, companions, refusal=detail)


def _is_codes(ref: TensorRef) -> bool:
    """Whether a tensor holds integers with two axes or more."""
    integer = ref.dtype in types.CARRIERS and ref.dtype.startswith(("int", "uint"))
    return integer and len(ref.shape) >= 2 and 0 not in ref.shape


def _are_assignments(name: str, refs: Refs) -> bool:
    """Whether integers of any shape say which centroid beside them every piece of a weight is."""
    module, _, own = name.rpartition(".")
    return own == "assignments" and f"{module}.centroids" in refs and refs[name].dtype.startswith(("int", "uint"))


def _scheme(ref: TensorRef) -> str | None:
    """Scheme that the name says; without one, 64 bits are an index or a shape: nobody packs into them."""
    what = next((what for what, pattern in REFUSED.items() if re.search(pattern, ref.name)), None)
    return None if what == UNKNOWN and ref.dtype.endswith("64") else what


def _neighbours(name: str, refs: Refs) -> Iterator[str]:
    """Tensors that belong to codes: those of their module, or with their own stem."""
    module, _, own = name.rpartition(".")
    stem = re.sub(r"_(blocks|quantized)$", "_", name) if own.endswith(("_blocks", "_quantized")) else ""
    for other in refs:
        rest = other.removeprefix(f"{module}.") if module else ""
        if other == name or not (stem or rest):
            continue
        inside = not stem and rest != other and ("." not in rest or INSIDE.search(rest) or rest.startswith(f"{own}."))
        if (inside or (stem and other.startswith(stem))) and not LEFT_ALONE.search(rest or other):
            yield other
