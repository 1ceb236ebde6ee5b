"""`zoospectra describe PATH`: a dry run. Tensors, matrices, their cost, what is skipped and why; headers only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoospectra.jobs.words.verb import Positional, Verb

if TYPE_CHECKING:
    from zoospectra.analysis.profile import Profile
    from zoospectra.jobs.words.command import Configuration
    from zoospectra.zoo.layers.rules import Rules

HELP = """usage: zoospectra describe PATH [profiles=NAME,...] [rules=FILE.yaml] [--explain TENSOR]

Lists what a scan would do with one checkpoint (a file, a folder of shards, or FILE#NET, one net of a file): the
containers it found and what it took for the model, its layers, their matrices and cost, and what it would skip, with
reasons. Of a folder it lists every model below, and shows the folder's own, or its only one. --explain says which rules
decided about one tensor; rules=FILE.yaml overrides them, as zoo.rules of a scan.
Reads headers only."""


@dataclass(frozen=True, slots=True)
class DescribeSettings:
    """Values of `describe`."""

    path: str
    """Checkpoint file or folder."""
    profiles: list[str] = field(default_factory=lambda: ["weightwatcher"])
    """Names of conventions whose spectra are costed."""
    rules: str | None = None
    """YAML file of what you know better about tensors; null for none."""
    explain: str | None = None
    """Tensor, or container, whose decisions are to be told instead; null for the whole."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a scan would do with one checkpoint."""

    layers: tuple[dict[str, Any], ...]
    """One row a layer: shape, matrices, eigenvalues, predicted seconds on one core and MiB beyond an idle worker."""
    skipped: tuple[dict[str, str | None], ...]
    """One row a tensor that is left out, with its reason."""
    containers: tuple[dict[str, Any], ...] = ()
    """One row a container of the file: what it holds, and why it was taken for the model or not."""
    models: tuple[dict[str, Any], ...] = ()
    """One row a model of the folder, where it has several."""
    explained: tuple[str, ...] = ()
    """Decisions about one tensor, where they were asked for."""


def check(settings: DescribeSettings, configuration: Configuration) -> Description:
    """The description itself: opening the file is the check; ValueError for a missing or unreadable one."""
    from zoospectra.jobs.words.profiles import load_profiles
    from zoospectra.jobs.words.rules import load_rules
    from zoospectra.zoo.checkpoint.formats import open_checkpoint, place
    from zoospectra.zoo.checkpoint.trouble import CheckpointError
    from zoospectra.zoo.layers.explain import explain

    if not Path(place(settings.path)[0]).exists():
        msg = f"{settings.path}: no such file or folder"
        raise ValueError(msg)
    profiles, rules = load_profiles(settings.profiles, configuration), load_rules(settings.rules, "rules")
    models, path = _below(settings.path)
    try:
        if settings.explain is not None:
            return Description((), (), explained=explain(open_checkpoint(path), settings.explain, rules))
        if len(models) > 1 and path not in models.values():
            return Description((), (), models=tuple(_row(name, place) for name, place in models.items()))
        description = describe(path, profiles, rules)
        others = tuple(_row(name, place) for name, place in models.items()) if len(models) > 1 else ()
        return replace(description, models=others)
    except CheckpointError as error:
        msg = f"{settings.path}: {error}"
        raise ValueError(msg) from error


def _below(path: str) -> tuple[dict[str, str], str]:
    """Models below a folder by name, and what is opened: the path itself, or the only model that is below it."""
    from zoospectra.zoo.checkpoint.shards import is_model_folder
    from zoospectra.zoo.sources.local import tree

    folder = Path(path)
    if not folder.is_dir():
        return {}, path
    models = {name: str(place) for name, place in tree(folder).items()}
    if len(models) == 1 and not is_model_folder(folder):
        return models, next(iter(models.values()))
    return models, str(folder)


def _row(name: str, path: str) -> dict[str, Any]:
    """What one model of a folder is, or why it is none."""
    from zoospectra.zoo.checkpoint.formats import open_checkpoint
    from zoospectra.zoo.checkpoint.trouble import CheckpointError

    try:
        checkpoint = open_checkpoint(path)
    except CheckpointError as error:
        return {"model": name, "format": "", "tensors": 0, "beside it": 0, "why": str(error)}
    nets = checkpoint.contents.nets if checkpoint.contents else ()
    row = {"model": name, "format": checkpoint.format, "tensors": len(checkpoint.tensors)}
    why = next((net.why for net in nets if net.name == checkpoint.net), "")
    return row | {"beside it": len(checkpoint.skips), "why": why}


def describe(path: str | Path, profiles: Sequence[Profile], rules: Rules) -> Description:
    """Layers and skips of one checkpoint, one row a tensor; CheckpointError (a ValueError) when it is unreadable."""
    from zoospectra.analysis.unfold import unfold_rule
    from zoospectra.jobs.work.plan import needed, work_cost
    from zoospectra.zoo.checkpoint.dtype import itemsize
    from zoospectra.zoo.checkpoint.formats import open_checkpoint
    from zoospectra.zoo.checkpoint.selection import containers
    from zoospectra.zoo.layers.choose import layers

    checkpoint = open_checkpoint(str(path))
    chosen, skips = layers(checkpoint.tensors, checkpoint.config, rules)
    kept = []
    for layer in chosen:
        shape = unfold_rule("slices").shape_of(layer.shape, layer.layer_type)
        stored = itemsize(layer.ref.dtype)
        cost = work_cost(layer.shape, layer.layer_type, tuple(profiles), needed(profiles), stored)
        row = {"layer_id": layer.layer_id, "longname": layer.longname, "layer_type": layer.layer_type}
        row |= {"dtype": layer.dtype, "shape": "x".join(map(str, layer.shape))}
        row |= {"matrices": f"{shape.rf} of {shape.N}x{shape.M}", "num_evals": shape.M * shape.rf}
        kept.append(row | {"seconds": cost.seconds, "peak_MiB": cost.peak_bytes / 2**20})
    left_out = [
        {"tensor": skip.tensor, "reason": str(skip.reason), "meaning": skip.reason.advice, "detail": skip.detail}
        for skip in (*checkpoint.skips, *skips)
    ]
    tree = [
        {"container": row.name or "(the whole file)", "opened": "yes" if row.opened else "", "taken for": row.taken}
        | {"tensors": row.tensors, "matrices": row.matrices, "why": row.why}
        for row in containers(checkpoint)
    ]
    return Description(tuple(kept), tuple(left_out), tuple(tree))


def show(description: Description) -> None:
    """Both tables, and the predicted cost."""
    from zoospectra.jobs.show.display import print_rows
    from zoospectra.jobs.show.plain import plain
    from zoospectra.jobs.show.units import duration, size

    for line in description.explained:
        print(plain(line))
    if models := description.models:
        print_rows(list(models[0]), [tuple(row.values()) for row in models], title=f"{len(models)} models")
    if len(tree := description.containers) > 1:
        print_rows(list(tree[0]), [tuple(row.values()) for row in tree], title=f"{len(tree)} containers")
    if layers := description.layers:
        seconds, peak = sum(row["seconds"] for row in layers), max(row["peak_MiB"] for row in layers)
        units: dict[str, Callable[[Any], Any]] = {"seconds": duration, "peak_MiB": lambda mib: size(mib * 2**20)}
        rows = [tuple(units[name](value) if name in units else value for name, value in row.items()) for row in layers]
        heads = [{"seconds": "time", "peak_MiB": "memory"}.get(name, name) for name in layers[0]]
        print_rows(heads, rows, title=f"{len(layers)} layers", keep=("longname",))
        print(f"predicted: {duration(seconds)} on one core; memory: {size(peak * 2**20)}")
    if skipped := description.skipped:
        grouped: dict[tuple[str | None, str | None], list[str]] = {}
        for row in skipped:
            grouped.setdefault((row["reason"], row["meaning"]), []).append(str(row["tensor"]))
        rows = [(reason, len(names), ", ".join(names[:3]), meaning) for (reason, meaning), names in grouped.items()]
        print_rows(("reason", "tensors", "such as", "meaning"), rows, title=f"{len(skipped)} tensors skipped")


VERB = Verb(
    HELP, DescribeSettings, check, lambda description: description, show, positional=(Positional("path", "PATH"),)
)
