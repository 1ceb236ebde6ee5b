"""Which files of a repository are its weights. Pure.

Preferred are safetensors, then what transformers and diffusers write. One model a repository: the one at its root.
Not covered: pipelines of several models in sub-folders, and formats that only other frameworks read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoospectra.zoo.checkpoint.trouble import Reason

PREFERRED = (
    "model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "diffusion_pytorch_model.bin",
)
"""Usual names at the root, the preferred first; an index without its shards is passed over."""

OTHERS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".keras", ".onnx", ".npz")
"""Suffixes of weights under unusual names, the preferred first; taken when exactly one file has it."""

NOT_WEIGHTS = re.compile(r"(training_args|optimizer|scheduler|rng_state|scaler|random_states)[\w.\-]*", re.ASCII)
"""Files that end in .bin or .pt and are no model."""

ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin", "adapter_config.json")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a repository has no weights that can be analysed."""

    reason: Reason
    """Why."""
    detail: str
    """What was found instead."""


def weights(names: list[str]) -> str | Refusal:
    """The weight file or index among a repository's files, or why there is none."""
    root = [name for name in names if "/" not in name]
    for name in PREFERRED:
        if name in root and not (name.endswith(".index.json") and not _has_shards(name, root)):
            return name
    if any(name in ADAPTERS for name in root):
        return Refusal(
            Reason.UNSUPPORTED_FORMAT, "an adapter, which is no model of its own: merge it into its base model"
        )
    for suffix in OTHERS:
        files = [name for name in root if name.endswith(suffix) and not NOT_WEIGHTS.fullmatch(name)]
        if len(files) == 1:
            return files[0]
        if files:
            shown = ", ".join(sorted(files)[:4])
            detail = f"{len(files)} {suffix} files without an index ({shown}): which is it?"
            return Refusal(Reason.UNSUPPORTED_FORMAT, detail)
    return _nothing(names)


def _nothing(names: list[str]) -> Refusal:
    """What a repository without weights at its root has instead."""
    if any(name.endswith(".gguf") for name in names):
        return Refusal(Reason.UNSUPPORTED_FORMAT, "only GGUF files: quantised copies of a model that is elsewhere")
    deeper = [name for name in names if "/" in name and name.endswith(OTHERS)]
    if deeper:
        return Refusal(
            Reason.UNSUPPORTED_FORMAT, f"weights only in sub-folders, e.g. {deeper[0][:120]}: several models"
        )
    known = sorted({"." + name.rpartition(".")[2] for name in names if "." in name})[:8]
    return Refusal(Reason.NO_TENSORS, f"no weights among its {len(names)} files ({' '.join(known)})")


def _has_shards(index: str, names: list[str]) -> bool:
    """Whether a repository has any file that an index of that name can mean."""
    stem, suffix = index.removesuffix(".index.json").rsplit(".", 1)
    return any(name.startswith(f"{stem}-") and name.endswith(f".{suffix}") for name in names)


def hashes(siblings: list[Mapping[str, Any]], weight: str) -> list[tuple[str, str]]:
    """(name, sha256) of the weight file, or of all shards beside an index, by name; fewer when the hub names none."""
    if weight.endswith(".index.json"):
        stem, suffix = weight.removesuffix(".index.json").rsplit(".", 1)
        shard = re.compile(rf"{re.escape(stem)}-\d+-of-\d+\.{suffix}")
    else:
        shard = re.compile(re.escape(weight))
    digests: list[tuple[str, str]] = []
    for sibling in siblings:
        name, lfs = sibling.get("rfilename"), sibling.get("lfs")
        digest = lfs.get("sha256") if isinstance(lfs, Mapping) else None
        if isinstance(name, str) and shard.fullmatch(name) and isinstance(digest, str):
            digests.append((name, digest))
    return sorted(digests)
