"""What is part of an adapter and no matrix that can be analysed without its base: refused or passed over by name.

Factors without a partner, rotations (OFT, BOFT, HRA), shared projections
(VeRA) and whatever else adapter_config.json names are failures, for the change of the weight is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.layers.buffers import GAINS
from zoospectra.zoo.layers.packed.weight import PackedWeight, Refs, part_of

FACTOR = re.compile(
    r"[._]lora_(A|B|E|a|b|up|down|mid|embedding_A|embedding_B)(\.|$)|[._](hada|lokr)_\w+$|[._]lora\.(up|down)(\.|$)"
    r"|:(up|down)$"
)
"""Names of factors, to refuse those without a partner."""

ROTATIONS = re.compile(r"(^|[._])(oft|boft|hra|vera|randlora|bone|miss|road|shira|c3a|fourierft|vblora|gralora)_\w+$")
"""Names of other adapters' parameters."""

READ = frozenset({"LORA", "ADALORA", "LOHA", "LOKR", "IA3"})
"""Kinds of PEFT adapters that have their own rules."""

PROMPTS = re.compile(r"PROMPT|PREFIX|P_TUNING|CARTRIDGE|CPT|TOKENS|LN_TUNING")
"""Kinds whose tensors are weights as they stand: learned tokens, norms."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """A refusal for everything in an adapter that is no weight by itself; what was understood is claimed before."""
    adapter = part_of(config, "adapter")
    kind = adapter.get("peft_type")
    foreign = isinstance(kind, str) and kind not in READ and not PROMPTS.search(kind)
    saved = adapter.get("modules_to_save")
    kept = {name for name in saved if isinstance(name, str)} if isinstance(saved, list) else set()
    for name, ref in refs.items():
        if len(ref.shape) < 2 or 0 in ref.shape or ref.dtype not in types.FLOATING:
            continue
        if GAINS.search(name):
            continue
        if FACTOR.search(name):
            yield _refused(name, "a factor whose partner is missing or unknown")
        elif ROTATIONS.search(name):
            yield _refused(name, "a rotation or shared projection: the change of the weight needs the base")
        elif foreign and not kept & set(name.split(".")):
            yield _refused(name, f"a parameter of {str(kind)[:40]}: its change of the weight needs code and the base")


def _refused(name: str, detail: str) -> PackedWeight:
    return PackedWeight(name, name, None, refusal=detail, reason=Reason.LORA_FACTOR)
