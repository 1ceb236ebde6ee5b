"""Check `quality`: is it any good? Spectra of every layer of one model, judged in one sentence."""

from __future__ import annotations

from dataclasses import dataclass

from zoospectra.analysis.layer import Row, analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.spectrum import is_finite, spectrum
from zoospectra.analysis.unfold import unfold
from zoospectra.jobs.checks.record import Check, Finding, Report, Section, Subject
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import read_layer

SHOWN = ("alpha", "D", "log_spectral_norm", "stable_rank")
"""Columns of the table of layers."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One layer and its numbers."""

    layer: Layer
    """Which."""
    row: Row
    """As of the default profile."""


def quality(subject: Subject) -> Report:
    """Measure every layer; what cannot be read is a finding. ValueError for a model without a checkpoint."""
    if subject.path is None:
        msg = f"{subject.name}: quality needs a checkpoint; the warehouse has its numbers: study=health study.model=..."
        raise ValueError(msg)
    try:
        checkpoint = open_checkpoint(subject.path)
    except CheckpointError as error:
        finding = Finding("error", subject.name, None, str(error.reason), error.detail)
        return Report("quality", subject.name, "unreadable", f"cannot be read: {error.reason.advice}", (finding,))
    chosen, _ = layers(checkpoint.tensors, checkpoint.config)
    measured = [single for layer in chosen if (single := _measured(layer)) is not None]
    rows = tuple((single.layer.longname, *(single.row[name] for name in SHOWN)) for single in measured)
    summary = f"{len(measured)} of {len(chosen)} layers measured"
    return Report("quality", subject.name, "measured", summary, (), (Section("layers", ("layer", *SHOWN), rows),))


def _measured(layer: Layer) -> Measured | None:
    values = read_layer(layer)
    if not is_finite(values):
        return None
    raw = spectrum(unfold(values, layer.layer_type))
    return Measured(layer, analyse_layer(raw, layer.layer_type, Profile("weightwatcher"), dtype=layer.dtype).layer)


CHECK = Check(quality, "is it any good: trained or not, layer by layer, against thresholds and its like")
