"""`zoospectra describe PATH`: a dry run. Tensors, matrices, their cost, what is skipped and why; headers only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from zoospectra.analysis.profile import Profile
from zoospectra.analysis.unfold import unfold_rule
from zoospectra.jobs.show.display import print_table
from zoospectra.jobs.words.command import MisuseError, answered, compose
from zoospectra.jobs.words.profiles import load_profiles
from zoospectra.jobs.words.settings import DescribeSettings
from zoospectra.jobs.work.plan import needed, spectra_cost
from zoospectra.zoo.checkpoint.dtype import itemsize
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers

HELP = """usage: zoospectra describe PATH [profiles=NAME,...]

Lists what a scan would do with one checkpoint (a file, or a folder of shards): its layers, their matrices and cost, and
what it would skip, with reasons. Reads headers only."""


def describe(path: str | Path, profiles: Sequence[Profile]) -> tuple[pa.Table, pa.Table]:
    """Layers and skips of one checkpoint, one row a tensor; CheckpointError when it is unreadable."""
    checkpoint = open_checkpoint(str(path))
    found, skips = layers(checkpoint.tensors, checkpoint.config)
    kept, left = [], [*checkpoint.skips, *skips]
    for layer in found:
        shape = unfold_rule("slices").shape_of(layer.shape, layer.layer_type)
        price = spectra_cost(layer.shape, layer.layer_type, needed(profiles), itemsize(layer.ref.dtype))
        kept.append(
            {
                "layer_id": layer.layer_id,
                "longname": layer.longname,
                "layer_type": layer.layer_type,
                "dtype": layer.dtype,
                "shape": "x".join(map(str, layer.shape)),
                "matrices": f"{shape.rf} of {shape.N}x{shape.M}",
                "num_evals": shape.M * shape.rf,
                "seconds": price.seconds,
                "peak_MiB": price.peak_bytes / 2**20,
            }
        )
    rows = [
        {"tensor": skip.tensor, "reason": skip.reason, "meaning": skip.reason.advice, "detail": skip.detail}
        for skip in left
    ]
    names = ("tensor", "reason", "meaning", "detail")
    return pa.Table.from_pylist(kept), pa.Table.from_pylist(
        rows, schema=pa.schema([(name, pa.string()) for name in names])
    )


def command(words: Sequence[str]) -> int:
    """Entry of the verb."""
    paths = [word for word in words if not word.startswith(("profiles=", "--"))]
    rest = [word for word in words if word not in paths]
    if answered("describe", rest, HELP, DescribeSettings):
        return 0
    settings = compose("describe", rest, DescribeSettings)
    if len(paths) != 1:
        raise MisuseError(f"expected one PATH, got {len(paths)}: zoospectra describe model.safetensors")
    if not Path(paths[0]).exists():
        raise MisuseError(f"{paths[0]}: no such file or folder")
    try:
        kept, left = describe(paths[0], load_profiles(settings.profiles))
    except CheckpointError as error:
        raise MisuseError(f"{paths[0]}: {' '.join(str(error).split())}") from error
    if len(kept):
        print_table(kept, title=f"{len(kept)} layers")
        total, peak = sum(kept["seconds"].to_pylist()), max(kept["peak_MiB"].to_pylist())
        print(f"predicted: {total:.2f} s on one core, {peak:.0f} MiB at most beyond an idle worker")
    if len(left):
        print_table(left, title=f"{len(left)} tensors skipped")
    return 0
