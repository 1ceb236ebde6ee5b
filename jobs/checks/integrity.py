"""Check `integrity`: is it whole? Every tensor of one checkpoint, its index, its like and its source."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from zoospectra.analysis import integrity as rules
from zoospectra.analysis.reductions import Reductions, reductions
from zoospectra.analysis.traces import traces
from zoospectra.jobs.checks.record import Check, Finding, Report, Subject
from zoospectra.warehouse.query import query
from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.read import read
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.shards import weights_of
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import layer_hash, read_layer

STATED = frozenset({Reason.NON_FINITE})
"""Reasons of skips that this check finds itself, by looking at the values."""


def integrity(subject: Subject) -> Report:
    """Read every tensor and judge it; what cannot be read is a finding.

    A model that only the warehouse has is judged by what is kept of its layers.
    """
    if subject.path is None:
        tensors = _kept(subject)
        return _report(subject, list(_failed(subject)), tensors, rules.flaws(tensors, _family(subject)))
    try:
        checkpoint = open_checkpoint(subject.path)
    except CheckpointError as error:
        finding = Finding("error", subject.name, None, str(error.reason), error.detail)
        return Report("integrity", subject.name, "damaged", f"cannot be read: {error.reason.advice}", (finding,))
    chosen, skips = layers(checkpoint.tensors, checkpoint.config)
    trouble = [
        Finding("error", subject.name, skip.tensor, str(skip.reason), skip.detail)
        for skip in (*checkpoint.skips, *skips)
        if skip.failed and skip.reason not in STATED
    ]
    trouble += _index(subject, checkpoint)
    held: list[rules.Tensor] = []
    used = {layer.ref.name for layer in chosen}
    others = [ref for ref in checkpoint.tensors if ref.name not in used and _is_plain(ref)]
    work: list[tuple[str, Callable[[], rules.Tensor]]] = []
    work += [(layer.longname, partial(_layer, layer)) for layer in chosen]
    work += [(ref.name, partial(_other, ref)) for ref in others]
    for name, measure in work:
        try:
            held.append(measure())
        except CheckpointError as error:
            trouble.append(Finding("error", subject.name, name, str(error.reason), error.detail))
    names = [ref.name for ref in checkpoint.tensors]
    flaws = [*rules.lacking(names), *rules.flaws(held, _family(subject)), *_rounding(subject, chosen)]
    return _report(subject, trouble, held, flaws)


def _report(
    subject: Subject, trouble: Sequence[Finding], tensors: Sequence[rules.Tensor], flaws: Sequence[rules.Flaw]
) -> Report:
    rows = [Finding(f.severity, subject.name, f.layer, f.reason, f.words, f.value, f.threshold) for f in flaws]
    findings = (*trouble, *rows)
    if not findings:
        return Report("integrity", subject.name, "whole", f"all {len(tensors)} tensors are as they should be")
    reasons = ", ".join(dict.fromkeys(finding.reason for finding in findings))
    return Report("integrity", subject.name, "damaged", f"{len(findings)} findings: {reasons}", findings)


def _layer(layer: Layer) -> rules.Tensor:
    values = read_layer(layer)
    ref = layer.ref
    storage = (ref.path, ref.member, ref.offset, ref.nbytes, layer.view)
    kind = layer.group or layer.layer_type
    kind = "embedding" if layer.layer_type == "embedding" else kind
    plain, tail = reductions(values), _tail(values)
    own = (layer.longname, kind, values.size, layer.shape, plain, tail, layer_hash(layer), storage)
    return rules.Tensor(*own, traces(values))


def _other(ref: TensorRef) -> rules.Tensor:
    values = read(ref)
    return rules.Tensor(ref.name, "", values.size, ref.shape, reductions(values), 0, "", (ref.path, ref.offset))


def _is_plain(ref: TensorRef) -> bool:
    """Whether a tensor that is no layer holds floating-point values as they are."""
    return ref.dtype.startswith(("float", "bfloat")) and ref.dtype not in types.BLOCKS and 0 not in ref.shape


def _tail(values: AnyArray) -> int:
    """Zeros at the end of an array of any shape, in C order."""
    flat = np.ravel(values)
    if not flat.size or flat[-1] != 0:
        return 0
    used = np.flatnonzero(flat)
    return int(flat.size - 1 - used[-1]) if used.size else int(flat.size)


def _index(subject: Subject, checkpoint: Checkpoint) -> Iterator[Finding]:
    """What the index of shards says of their size, against what they hold."""
    folder = Path(subject.path or "")
    weights = weights_of(folder) if folder.is_dir() else None
    if weights is None or weights.suffix != ".json":
        return
    stated = json.loads(weights.read_bytes()).get("metadata", {}).get("total_size")
    held = sum(ref.nbytes for ref in checkpoint.tensors)
    exact = weights.name.endswith(".safetensors.index.json")  # torch's may count what tensors share twice
    if isinstance(stated, int | float) and held and abs(stated - held) > (0.0 if exact else 0.01 * held):
        words = f"{weights.name} says {stated:.0f} bytes of tensors, its shards hold {held}"
        yield Finding("warning", subject.name, weights.name, "index_size", words, float(held), float(stated))


def _has_sketches(warehouse: Path) -> bool:
    return (warehouse / "warehouse.duckdb").exists()


def _kept(subject: Subject) -> list[rules.Tensor]:
    """Layers of a model of the warehouse, by their kept numbers."""
    sql = """SELECT longname, CASE WHEN layer_type = 'embedding' THEN layer_type ELSE coalesce("group", layer_type) END
        AS kind, elements, N, M, content_hash, mean, std, kurtosis, min, max, zeros, repeats, non_finite, "distinct",
        dead_rows, dead_columns FROM layer_sketches WHERE model_id = $model ORDER BY layer_id"""
    tensors = []
    for row in query(subject.warehouse, sql, {"model": subject.name}).to_pylist():
        plain = Reductions(**{name: row[name] for name in Reductions.__slots__})
        shape = (row["N"], row["M"])
        identity = (row["content_hash"], (row["longname"],))
        tensors.append(rules.Tensor(row["longname"], row["kind"], row["elements"], shape, plain, 0, *identity))
    return tensors


def _failed(subject: Subject) -> Iterator[Finding]:
    """What the scan of a model of the warehouse could not analyse."""
    sql = "SELECT tensor, reason, detail FROM skipped WHERE model_id = $model AND failed ORDER BY ALL"
    for row in query(subject.warehouse, sql, {"model": subject.name}).to_pylist():
        yield Finding("error", subject.name, row["tensor"], row["reason"], row["detail"])


def _family(subject: Subject) -> rules.Family:
    """Standard deviations of the layers of the warehouse's other models."""
    if not _has_sketches(subject.warehouse):
        return {}
    sql = """SELECT longname, elements, list(std) AS stds FROM layer_sketches WHERE model_id <> $model AND std > 0
        GROUP BY longname, elements"""
    rows = query(subject.warehouse, sql, {"model": subject.name}).to_pylist()
    return {(row["longname"], row["elements"]): row["stds"] for row in rows}


def _rounding(subject: Subject, chosen: Sequence[Layer]) -> list[rules.Flaw]:
    """Layers of a rounded model whose error is too large, against the source that the warehouse has of it."""
    if not _has_sketches(subject.warehouse) or subject.path is None:
        return []
    from zoospectra.jobs.work.kin import source_of

    source = source_of(subject.warehouse, subject.name, chosen)
    if source is None:
        return []
    return rules.rounding_flaws(source.layers, source.name)


CHECK = Check(integrity, "is it whole: damage in any tensor, in the index of shards, against its like and its source")
