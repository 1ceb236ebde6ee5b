"""Check `quality`: is it any good? Trained or not, what does not belong, how it compares with networks of its kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from zoospectra.analysis.cost import cost
from zoospectra.analysis.layer import OVER_TRAINED, UNDER_TRAINED, Row, analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import Outcome
from zoospectra.analysis.spectrum import spectrum
from zoospectra.analysis.training import DECADES, ERROR, SILENT, Training, training
from zoospectra.analysis.unfold import unfold, unfold_rule
from zoospectra.jobs.checks.evidence import SAME, Looked, copies, look
from zoospectra.jobs.checks.population import Network, network, standing
from zoospectra.jobs.checks.record import Check, Finding, Report, Section, Subject
from zoospectra.jobs.checks.subject import kept_path
from zoospectra.jobs.checks.threads import on_every_core
from zoospectra.zoo.checkpoint.dtype import itemsize
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Skip
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer

PROFILE = Profile("weightwatcher", methods=("norms", "alpha_norms", "marchenko_pastur", "phase"))
"""The default profile, with what tells noise from correlation."""
SECONDS = 4.0
"""Predicted work on spectra, on one core, that one model may cost: beyond it a sample of its layers has theirs."""
ENTRIES = 1 << 29
"""Entries of weights that are looked at: beyond, a sample of the layers."""
SHOWN = 8
"""Layers in the table."""
ALPHA = "WeightWatcher warns outside 2 to 6; Martin, Peng, Mahoney 2021"
"""Where the range of alpha comes from."""
MARGIN = "test of independence, after Schott 2005, against fair signs"
"""Where p comes from."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One layer, looked at, and its spectrum's numbers where it has them."""

    looked: Looked
    """Correlations, scale, damage."""
    row: Row | None
    """Metrics of PROFILE; None beyond the budget, and for what cannot be measured."""


def quality(subject: Subject) -> Report:
    """Look at every layer of a checkpoint; what cannot be read is a finding.

    The warehouse keeps no weights: a model of it is read from where the catalog had it.
    """
    name = subject.name
    try:
        path = subject.path or kept_path(subject)
    except ValueError as error:
        words = "its weights are not where the catalog had them, and the warehouse keeps none: give the checkpoint"
        return Report("quality", name, "unreadable", words, (Finding("error", name, None, "not_found", str(error)),))
    try:
        checkpoint = open_checkpoint(path)
    except CheckpointError as error:
        finding = Finding("error", name, None, str(error.reason), error.detail)
        return Report("quality", name, "unreadable", f"cannot be read: {error.reason.advice}", (finding,))
    chosen, skips = layers(checkpoint.tensors, checkpoint.config)
    skips = [*checkpoint.skips, *skips]
    looked, unread = _looked(_thinned(chosen), checkpoint, name)
    verdict, measured = training([single.evidence for single in looked]), _measured(looked)
    own = _network(name, measured)
    findings = [*unread, *_damage(looked, name), *_about_training(verdict, name), *_copied(looked, name)]
    findings += [*_alphas(measured, name), *_skipped(skips, name)]
    return Report(
        "quality", name, verdict.verdict, _summary(verdict, own, findings), tuple(findings),
        (_table(measured, findings), *_standing(own)), tuple(_notes(chosen, looked, measured, skips)),
    )  # fmt: skip


def measure(subject: Subject) -> tuple[Network, Training]:
    """Means and verdict of a checkpoint; CheckpointError when it, or a layer of it, cannot be read."""
    checkpoint = open_checkpoint(str(subject.path))
    vectors = _vectors(checkpoint)
    looked = on_every_core(partial(look, vectors=vectors), layers(checkpoint.tensors, checkpoint.config)[0])
    return _network(subject.name, _measured(looked)), training([single.evidence for single in looked])


def _network(name: str, measured: Sequence[Measured]) -> Network:
    return network(name, [single.looked.layer for single in measured], [single.row for single in measured])


def _thinned(chosen: Sequence[Layer]) -> list[Layer]:
    """Layers that are looked at: all, or evenly spaced ones of a model that is too large for a look."""
    entries = sum(int(np.prod(layer.shape)) for layer in chosen)
    return list(chosen[:: max(1, -(-entries // ENTRIES))])


def _vectors(checkpoint: Checkpoint) -> dict[str, TensorRef]:
    return {ref.name: ref for ref in checkpoint.tensors if len(ref.shape) == 1}


def _looked(chosen: Sequence[Layer], checkpoint: Checkpoint, name: str) -> tuple[list[Looked], list[Finding]]:
    vectors = _vectors(checkpoint)

    def attempt(layer: Layer) -> Looked | Finding:
        try:
            return look(layer, vectors)
        except CheckpointError as error:
            return Finding("error", name, layer.longname, str(error.reason), error.detail)

    seen = on_every_core(attempt, chosen)
    looked = [single for single in seen if isinstance(single, Looked)]
    return looked, [single for single in seen if isinstance(single, Finding)]


def _measured(looked: Sequence[Looked]) -> list[Measured]:
    """Spectra of the layers within the budget, those of the smallest cost first, evenly over the depth of the rest."""
    seconds = {single.layer.layer_id: _seconds(single.layer) for single in looked if single.values is not None}
    step = max(1, int(np.ceil(sum(seconds.values()) / SECONDS)))
    chosen = set(list(seconds)[::step])
    rows = on_every_core(lambda single: _row(single) if single.layer.layer_id in chosen else None, looked)
    return [Measured(single, row) for single, row in zip(looked, rows, strict=True)]


def _seconds(layer: Layer) -> float:
    shape = unfold_rule("slices").shape_of(layer.shape, layer.layer_type)
    return cost(shape.N, shape.M, shape.rf, itemsize(layer.ref.dtype)).seconds


def _row(looked: Looked) -> Row:
    layer = looked.layer
    assert looked.values is not None
    raw = spectrum(unfold(looked.values, layer.layer_type))
    return analyse_layer(raw, layer.layer_type, PROFILE, dtype=layer.dtype).layer


def _damage(looked: Sequence[Looked], name: str) -> Iterator[Finding]:
    words = {
        "non_finite": "holds NaN or infinity: the file is damaged or training diverged",
        "zero": "every weight is 0: never trained, pruned away, or damaged",
    }
    for single in looked:
        if single.damage is not None:
            severity = "error" if single.damage == "non_finite" else "warning"
            yield Finding(severity, name, single.layer.longname, single.damage, words[single.damage])


def _about_training(verdict: Training, name: str) -> Iterator[Finding]:
    if verdict.verdict == "untrained":
        words = "no layer's weights correlate more than random numbers do: initialised, not trained"
        yield Finding("error", name, None, "untrained", words, verdict.p, ERROR, MARGIN)
    if verdict.verdict == "barely trained":
        words = "its biases are not as initialised, its weights moved less than their own randomness: "
        words += "a short training, a small step, or a small network, whatever its accuracy"
        yield Finding("note", name, None, "barely_trained", words, verdict.p, ERROR, MARGIN)
    if verdict.verdict == "partly trained":
        words = f"{verdict.structured} of {verdict.tested} layers correlate, the others look as initialised"
        yield Finding("warning", name, None, "partly_trained", words, verdict.p, ERROR, MARGIN)
    for misfit in verdict.noise:
        severity = "warning" if misfit.sure else "note"
        words = f"looks like random numbers (p {misfit.value:.2g}), unlike the rest: "
        words += "replaced, reset, or never used" if misfit.sure else "or it is too small to show training"
        yield Finding(severity, name, misfit.layer, "noise_layer", words, misfit.value, SILENT, MARGIN)
    for misfit in verdict.off_scale:
        factor = f"1e{misfit.value:+.1f}"
        words = f"its weights are {factor} times the median scale of the model's layers: collapsed, scaled, or damaged"
        source = "beyond every layer of the reference networks"
        yield Finding("warning", name, misfit.layer, "scale", words, misfit.value, DECADES, source)


def _copied(looked: Sequence[Looked], name: str) -> Iterator[Finding]:
    for first, *others in copies(looked):
        tied = first.layer_type == "embedding" or any(other.layer_type == "embedding" for other in others)
        words = f"its weights are those of {first.longname}: " + ("tied and saved twice" if tied else "copied, or tied")
        for other in others:
            severity, reason = ("note", "tied_layer") if tied else ("warning", "copied_layer")
            yield Finding(severity, name, other.longname, reason, words, 1.0, SAME, "cosine of their entries")


def _alphas(measured: Sequence[Measured], name: str) -> Iterator[Finding]:
    for single in measured:
        row, layer = single.row, single.looked.layer
        alpha = row["alpha"] if row and row["outcome"] == Outcome.FIT and layer.layer_type != "embedding" else None
        if isinstance(alpha, float) and not OVER_TRAINED <= alpha <= UNDER_TRAINED:
            small = alpha < OVER_TRAINED
            words = "a very heavy tail: over-trained, or few directions" if small else "a light tail: under-trained"
            limit = OVER_TRAINED if small else UNDER_TRAINED
            reason = "over_trained" if small else "under_trained"
            yield Finding("note", name, layer.longname, reason, f"alpha {alpha:.3g}: {words}", alpha, limit, ALPHA)


def _skipped(skips: Sequence[Skip], name: str) -> Iterator[Finding]:
    for skip in skips:
        if skip.failed:
            yield Finding("error", name, skip.tensor, str(skip.reason), f"not analysed: {skip.detail}")


def _summary(verdict: Training, own: Network, findings: Sequence[Finding]) -> str:
    reasons = {
        "trained": f"{verdict.structured} of {verdict.tested} layers correlate as training makes them",
        "partly trained": f"only {verdict.structured} of {verdict.tested} layers correlate more than random numbers",
        "barely trained": f"its biases moved, its weights less than their own randomness (p {verdict.p:.2g})",
        "untrained": f"none of {verdict.tested} layers correlates more than random numbers (p {verdict.p:.2g})",
        "undetermined": f"{verdict.tested} layers can be tested, too few or too small to tell training from chance",
    }
    if verdict.orthogonal and verdict.verdict == "untrained":
        reasons["untrained"] += f"; {verdict.orthogonal} are orthogonal, as initialised"
    counted = Counter(finding.severity for finding in findings)
    wrong = counted["error"] + counted["warning"]
    alpha = own.values.get("alpha")
    mean = f"; alpha {alpha:.3g} on average" if alpha is not None and verdict.verdict == "trained" else ""
    notes = f", {counted['note']} note{'s' * (counted['note'] > 1)}" if counted["note"] else ""
    after = (f"; {wrong} thing{'s' * (wrong > 1)} to look at" if wrong else "; nothing to object to") + notes
    return f"{verdict.verdict}: {reasons[verdict.verdict]}{mean}{after}"


def _table(measured: Sequence[Measured], findings: Sequence[Finding]) -> Section:
    """The layers that matter: those of findings, the worst first."""
    rows = {single.looked.layer.longname: single for single in measured}
    reasons: dict[str, list[str]] = {}
    order = {"error": 0, "warning": 1, "note": 2}
    ranked = sorted(findings, key=lambda f: (order[f.severity], -abs((f.value or 0.0) - (f.threshold or 0.0))))
    for finding in ranked:
        if finding.layer in rows:
            reasons.setdefault(str(finding.layer), []).append(finding.reason)
    shown = []
    for layer in list(reasons)[:SHOWN]:
        row, test = rows[layer].row or {}, rows[layer].looked.evidence.independence
        numbers = tuple(row.get(name) for name in ("alpha", "D", "slice_num_spikes", "phase"))
        shown.append((layer, ", ".join(reasons[layer]), *numbers, test.excess if test else None))
    what = "findings" if any(finding.severity != "note" and finding.layer in rows for finding in findings) else "notes"
    title = f"{len(shown)} of {len(reasons)} layers with {what}" if reasons else "no layer stands out"
    return Section(title, ("layer", "why", "alpha", "D", "spikes", "phase", "excess"), tuple(shown))


def _standing(own: Network) -> Iterator[Section]:
    rows, title = standing(own)
    if rows:
        yield Section(title, ("metric", "mean", "percentile", "median there", "lowest", "highest"), rows)


def _notes(
    chosen: Sequence[Layer], looked: Sequence[Looked], measured: Sequence[Measured], skips: Sequence[Skip]
) -> Iterator[str]:
    left = Counter(str(skip.reason) for skip in skips if not skip.failed)
    embeddings = sum(layer.layer_type == "embedding" for layer in chosen)
    parts = sum(layer.layer_type.endswith("_part") for layer in chosen)
    without = f"; means leave out {embeddings} embeddings" if embeddings else ""
    split = f"; {parts} are parts of fused tensors, counted one by one" if parts else ""
    yield f"{len(chosen)} layers{split}{without}"
    if left:
        listed = ", ".join(f"{count} {reason}" for reason, count in left.most_common())
        yield f"left out: {sum(left.values())} tensors that are no weight matrices ({listed}); describe lists them"
    if len(looked) < len(chosen):
        yield f"too large for a glance: {len(looked)} evenly spaced layers were looked at"
    spectra = sum(single.row is not None for single in measured)
    if spectra < sum(single.values is not None for single in looked):
        yield f"spectra of {spectra} evenly spaced layers, within {SECONDS:g} s of predicted work; scan computes all"
    yield f"alpha: {ALPHA}. D: a fit above 0.2 is poor (WeightWatcher's documentation). spikes: beyond noise"
    yield "excess: correlation between a layer's lines over that of random numbers, minus 1; 0 is noise"


CHECK = Check(quality, "is it any good: trained or not, layer by layer, against thresholds and its like")
