"""`zoospectra compare BASE PATH`: two checkpoints of one architecture, layer by layer, from their weights.

How far each layer moved, how much of it still points the same way, and the spectrum of the difference: what a
fine-tune changed. Not covered: models that are in a warehouse already (its SQL has compare_models).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from zoospectra.analysis.distance import difference, layer_distance
from zoospectra.analysis.layer import analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import Value
from zoospectra.analysis.spectrum import is_finite, spectrum
from zoospectra.analysis.unfold import unfold
from zoospectra.jobs.verbs.sql import WRITERS
from zoospectra.jobs.words.command import MisuseError, answered, compose, misuse
from zoospectra.jobs.words.profiles import load_profiles
from zoospectra.jobs.words.settings import CompareSettings
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import read_layer

HELP = """usage: zoospectra compare BASE PATH [profiles=NAME] [format=table|csv|json|parquet]

Compares two checkpoints layer by layer: relative distance, linear CKA, and alpha, spectral norm and stable rank of each
and of their difference. Layers are matched by name; one without a partner of its shape is a row that says so."""

SHOWN = ("alpha", "log_spectral_norm", "stable_rank")
"""Columns of a profile that are given for the base, the other and the difference."""


def compare(base: str | Path, path: str | Path, profile: Profile) -> pa.Table:
    """One row a layer of either checkpoint; raises zoo.checkpoint.tensor.CheckpointError when one cannot be read.

    `distance` is ||W - W_base||_F / ||W_base||_F, `cka` linear centred kernel alignment (mean over slices). Columns end
    in _base, nothing, and _difference for the base, the other checkpoint and W - W_base.
    """
    old, new = _by_name(base), _by_name(path)
    rows = [_row(name, old.get(name), new.get(name), profile) for name in dict.fromkeys([*old, *new])]
    text = {"longname", "layer_type", "shape", "status"}
    names = ["longname", "layer_type", "shape", "distance", "cka"]
    names += [f"{name}{end}" for name in SHOWN for end in ("_base", "", "_difference")] + ["status"]
    schema = pa.schema([(name, pa.string() if name in text else pa.float64()) for name in names])
    return pa.Table.from_pylist(rows, schema=schema)


def _by_name(path: str | Path) -> dict[str, Layer]:
    checkpoint = open_checkpoint(str(path))
    return {layer.longname: layer for layer in layers(checkpoint.tensors, checkpoint.config)[0]}


def _row(name: str, old: Layer | None, new: Layer | None, profile: Profile) -> dict[str, str | float | None]:
    one = old or new
    assert one is not None
    row: dict[str, str | float | None] = {"longname": name, "layer_type": one.layer_type}
    row["shape"] = "x".join(map(str, one.shape))
    if old is None or new is None:
        return row | {"status": "only in the base" if new is None else "not in the base"}
    if old.shape != new.shape:
        return row | {"status": f"shapes differ: {'x'.join(map(str, new.shape))} here"}
    before, after = read_layer(old), read_layer(new)
    if not (is_finite(before) and is_finite(after)):
        return row | {"status": "holds NaN or infinity"}
    moved = difference(after, before)
    size = float(np.linalg.norm(np.asarray(before, dtype=np.float64)))
    row["distance"] = float(np.linalg.norm(moved)) / size if size else None
    row["cka"] = layer_distance(unfold(after, old.layer_type), unfold(before, old.layer_type), "cka")
    for end, array in (("_base", before), ("", after), ("_difference", moved)):
        found = analyse_layer(spectrum(unfold(array, old.layer_type)), old.layer_type, profile).layer
        row |= {f"{name}{end}": _number(found.get(name)) for name in SHOWN}
    return row | {"status": "compared" if np.any(moved) else "identical"}


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def command(words: Sequence[str]) -> int:
    """Entry of the verb."""
    paths = [word for word in words if not word.startswith(("profiles=", "format=", "--"))]
    rest = [word for word in words if word not in paths]
    if answered("compare", rest, HELP, CompareSettings):
        return 0
    settings = compose("compare", rest, CompareSettings)
    if len(paths) != 2:
        raise MisuseError(f"expected two checkpoints, got {len(paths)}: zoospectra compare base.pth tuned.pth")
    for path in paths:
        if not Path(path).exists():
            raise MisuseError(f"{path}: no such file or folder")
    if settings.format not in WRITERS or len(settings.profiles) != 1:
        raise MisuseError(f"expected one profile and a format of {', '.join(WRITERS)}, got {settings}")
    with misuse():
        (profile,) = load_profiles(settings.profiles)
    try:
        table = compare(paths[0], paths[1], profile)
    except CheckpointError as error:
        raise MisuseError(" ".join(str(error).split())) from error
    WRITERS[settings.format](table)
    return 0
