"""What every SELECT of the studies says, in plain Python over the rows of tables and views."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.warehouse.plain import (
    by_all,
    families,
    grouped,
    in_means,
    mean,
    measured,
    model_averages,
    models,
    ordered,
    picked,
    reported_metrics_history,
    snapshots,
)
from tests.warehouse.plain import kinship as pairs_of_kin
from tests.warehouse.plain_views import (
    VIEWS,
    doubles,
    layer_spectra,
    layers,
    listed,
    metrics,
    model_metrics,
    model_slice_metrics,
    reported_newest,
    skipped,
)
from tests.warehouse.world import PRINTED, Parts, Row


def basis(profile: str) -> str:
    return "layer rows" if profile.startswith("published/") else "weights"


def named(raw: Parts, row: Row, *columns: str) -> Row:
    return picked(listed(raw)[row["model_id"]], *columns)


def counted(raw: Parts) -> dict[tuple, list[Row]]:
    """Layers that count of every model and profile, in order."""
    rows = [row for row in metrics(raw) if row["counted"]]
    return grouped(ordered(rows, "model_id", "profile", "layer_id"), "model_id", "profile")


def alpha_hat(raw: Parts) -> list[Row]:
    found = []
    for (model, profile), rows in counted(raw).items():
        base = {"model_id": model, "profile": profile, "num_layers": len(rows), "basis": basis(profile)}
        weighted = [r["alpha_weighted"] for r in rows if r["alpha_weighted"] is not None]
        plain = [None if r["log_alpha_norm"] is None else r["log_alpha_norm"] / r["alpha"] for r in rows]
        row = named(raw, base, "name", "series", "dataset") | base | {"alpha_hat": mean(weighted)}
        row |= {"alpha_hat_sum": sum(weighted) if weighted else None, "log_alpha_norm_without_exponent": mean(plain)}
        found.append(row | {n: mean([r[n] for r in rows]) for n in ("log_alpha_norm", "log_spectral_norm")})
    return found


def equation(raw: Parts) -> list[Row]:
    columns = ("model_id", "longname", "profile", "alpha", "alpha_weighted", "log_alpha_norm", "num_evals")
    rows = [row for own in counted(raw).values() for row in own]
    return [picked(r, *columns) for r in rows if None not in (r["alpha_weighted"], r["log_alpha_norm"])]


def averages(raw: Parts) -> list[Row]:
    slices = [row | {"basis": basis(row["profile"])} for row in model_slice_metrics(raw) if row["num_fits"]]
    done = {(row["model_id"], row["profile"]) for row in slices}
    rows = []
    for row in model_metrics(raw):
        if (row["model_id"], row["profile"]) not in done and row["num_layers"] != 0:
            printed = "as published" in row["rule"]
            rows.append(row | {"basis": "printed averages" if printed else basis(row["profile"])})
    columns = dict.fromkeys({**slices[0], **rows[0]})
    rows = [columns | row | named(raw, row, "name") for row in slices + rows]
    return ordered(rows, "model_id", "profile")


def catalog(raw: Parts) -> list[Row]:
    of = {row["model_id"]: row["double_of"] for row in doubles(raw)}
    columns = ("zoo", "name", "revision", "series", "dataset", "task", "params")
    return [picked(r, "model_id", *columns) | {"double_of": of.get(r["model_id"])} for r in models(raw) if r["latest"]]


def admitted(raw: Parts) -> list[Row]:
    rows = [row for row in metrics(raw) if in_means(row["layer_type"], row["left_out"])]
    return ordered(rows, "model_id", "profile", "layer_id")


def compared(raw: Parts) -> list[Row]:
    by_slice = {row["profile"] for row in metrics(raw, "slice_metrics")}
    columns = ("model_id", "longname", "layer_type", "N", "M", "rf", "layer_id", "profile", "num_evals", "alpha", "D")
    columns += ("num_pl_spikes", "log_norm", "log_spectral_norm", "stable_rank", "outcome", "status", "max_rand_eval")
    return [
        picked(r, *columns) | named(raw, r, "name", "series") | {"by_slice": r["profile"] in by_slice}
        for r in admitted(raw)
    ]


def reported(raw: Parts, source_date: str | None) -> list[Row]:
    of = {row["model_id"]: row["double_of"] for row in doubles(raw)}
    return by_all([r | {"double_of": of.get(r["model_id"])} for r in reported_newest(raw, source_date)])


def drift_averages(raw: Parts) -> list[Row]:
    many = {model for (model,), own in grouped(models(raw), "model_id").items() if len(own) > 1}
    rows, columns = [], ("alpha", "alpha_weighted", "log_norm", "log_spectral_norm", "log_alpha_norm")
    history = [row for row in measured(raw, "layer_metrics") if row["counted"] and row["model_id"] in many]
    for key, own in grouped(history, "model_id", "revision", "profile").items():
        base = dict(zip(("model_id", "revision", "profile"), key, strict=True)) | {"layers": len(own)}
        rows.append(base | {name: mean([row[name] for row in own]) for name in columns})
    return by_all(rows)


def drift_models(raw: Parts) -> list[Row]:
    rows, known = [], models(raw)
    for own in grouped(known, "model_id").values():
        for i, row in enumerate(ordered(own, "last_seen", "first_seen", "revision"), 1):
            seen = [r["last_seen"] for r in known if r["zoo"] == row["zoo"] and r["last_seen"] is not None]
            columns = ("model_id", "revision", "zoo", "series", "dataset", "first_seen", "last_seen", "latest")
            rows.append(picked(row, *columns) | {"zoo_seen": max(seen, default=None), "nth": i, "revisions": len(own)})
    return ordered(rows, "model_id", "nth")


def drift_reported(raw: Parts) -> list[Row]:
    first, rows = {row["snapshot"]: row["first_seen"] for row in snapshots(raw)}, []
    of = ("model_id", "dataset", "metric", "source", "source_date")
    for own in grouped(reported_metrics_history(raw), *of).values():
        if len({row["value"] for row in own}) > 1:
            columns = ("model_id", "dataset", "metric", "value", "higher_is_better", "source", "source_date")
            rows += [picked(row, *columns) | {"first_seen": first[row["snapshot"]]} for row in own]
    return ordered(rows, "model_id", "dataset", "metric", "source", "source_date", "first_seen", "value")


def failed(raw: Parts, model: str = "*", *more: str) -> list[Row]:
    rows = [row for row in skipped(raw) if row["failed"] and fnmatch.fnmatchcase(row["model_id"], model)]
    return by_all([picked(row, "model_id", "tensor", "reason", *more) for row in rows])


def figures(raw: Parts) -> list[Row]:
    columns = ("model_id", "profile", "layer_id", "longname", "layer_type", "N", "M", "alpha", "D", "log_norm")
    columns += ("log_spectral_norm", "alpha_weighted", "log_alpha_norm", "stable_rank")
    return [picked(row, *columns) | named(raw, row, "name", "series", "dataset") for row in admitted(raw)]


def flow(raw: Parts, largest: float) -> list[Row]:
    rows = []
    for (model, profile), own in counted(raw).items():
        alphas = np.array([row["alpha"] for row in own])
        middle, steps = np.median(alphas), np.abs(np.diff(alphas))
        row = {"model_id": model, "profile": profile, "layers": len(own), "basis": basis(profile)}
        row |= named(raw, row, "name", "series", "dataset")
        row["slope"] = float(np.polyfit(np.linspace(0, 1, len(own)), alphas, 1)[0]) if len(own) > 1 else None
        row |= {"dispersion": float(alphas.std()), "median": float(middle), "largest": float(alphas.max())}
        row |= {"mad": float(np.median(np.abs(alphas - middle))), "outliers": float((alphas > largest).mean())}
        rows.append(row | {"roughness": float(steps.mean()) if len(steps) else None})
    return rows


def invariance(raw: Parts, model: str, count: int) -> list[Row]:
    """Spectra of the first layer of each content, of so many contents."""
    first: dict[str, Row] = {}
    for row in ordered(layers(raw), "model_id", "layer_id"):
        if fnmatch.fnmatchcase(row["model_id"], model) and in_means(row["layer_type"]):
            first.setdefault(row["content_hash"], row)
    kept = {(first[content]["model_id"], first[content]["layer_id"]) for content in sorted(first)[:count]}
    rows = [r for r in layer_spectra(raw) if r["unfold"] == "slices" and (r["model_id"], r["layer_id"]) in kept]
    keys = ("content_hash", "layer_type", "N", "M")
    return ordered([
        dict(zip(keys, key, strict=True)) | {"evals": [row["evals"] for row in ordered(own, "slice_id")]}
        for key, own in grouped(rows, *keys).items()
    ], "content_hash")  # fmt: skip


def classifiers(raw: Parts) -> list[Row]:
    dense = grouped([row for row in layers(raw) if row["layer_type"] == "dense"], "model_id")
    last = [max(own, key=lambda row: row["layer_id"]) for own in dense.values()]
    return ordered([picked(r, "layer_id", "N", "M") | named(raw, r, "name", "zoo") for r in last], "name")


def dated(raw: Parts) -> list[Row]:
    columns = ("model_id", "dataset", "metric", "value", "higher_is_better", "source", "source_date")
    return by_all([picked(row, *columns) for row in VIEWS["reported_metrics"](raw)])


def language(raw: Parts) -> list[Row]:
    rows = [row | named(raw, row, "name", "series") for row in metrics(raw, "slice_metrics")]
    rows = [row for row in rows if row["profile"] == PRINTED and row["series"] in ("GPT", "GPT2")]
    rows = [row for row in rows if row["counted"] or row["layer_type"] == "embedding"]
    columns = ("alpha", "log_norm", "log_spectral_norm", "alpha_weighted", "log_alpha_norm")
    return [
        picked(r, "name", "layer_id", "layer_type", *columns) for r in ordered(rows, "name", "layer_id", "slice_id")
    ]


def printed(raw: Parts) -> list[Row]:
    known, rows = {(row["model_id"], row["revision"]): row for row in models(raw)}, []
    for row in model_averages(raw):
        model = known.get((row["model_id"], row["revision"]))
        if row["latest"] and row["rule"] == "mean over slices" and model:
            numbers = {name: value for name, value in row.items() if name not in ("revision", "latest")}
            kind = "typed numbers" if (row["origin"] or "").endswith(".ipynb") else "printed averages"
            rows.append(numbers | picked(model, "name", "zoo", "series", "dataset") | {"basis": kind})
    return ordered(rows, "model_id", "profile")


def pair(raw: Parts, model: str | None, other: str | None) -> list[Row]:
    globs = [glob for glob in (model, other) if glob is not None] if model is not None else ["*"]
    rows = [r for r in metrics(raw) if r["layer_type"] != "embedding" and r["outcome"] == "fit"]
    rows = [r for r in rows if any(fnmatch.fnmatchcase(r["model_id"], glob) for glob in globs)]
    columns = ("model_id", "profile", "layer_id", "longname", "layer_type", "group", "alpha", "counted")
    return [picked(row, *columns) for row in ordered(rows, "model_id", "profile", "layer_id")]


def kin_pairs(raw: Parts) -> list[Row]:
    columns = ("model_id", "relative_id", "verdict", "cosine", "p_adjusted")
    return ordered([picked(row, *columns) for row in pairs_of_kin(raw)], "model_id", "relative_id")


def kin_families(raw: Parts) -> list[Row]:
    return ordered([picked(row, "model_id", "family") for row in families(raw)], "model_id")


NOTHING: tuple[dict[str, Any], ...] = ({},)
SELECTS: dict[str, tuple[Callable[..., list[Row]], tuple[dict[str, Any], ...]]] = {
    "alpha_hat/averages": (alpha_hat, NOTHING),
    "alpha_hat/layers": (equation, NOTHING),
    "any/averages": (averages, NOTHING),
    "any/catalog": (catalog, NOTHING),
    "any/kin": (kin_families, NOTHING),
    "any/measured": (compared, NOTHING),
    "any/reported": (reported, ({"source_date": None}, {"source_date": "2025"})),
    "drift/averages": (drift_averages, NOTHING),
    "drift/models": (drift_models, NOTHING),
    "drift/reported": (drift_reported, NOTHING),
    "drift/skipped": (failed, NOTHING),
    "figures/layers": (figures, NOTHING),
    "flow/flow": (flow, ({"largest": 4.0}, {"largest": 2.5})),
    "health/skipped": (lambda raw, model: failed(raw, model, "detail"), ({"model": "p/*"}, {"model": "?/m1"})),
    "invariance/spectra": (invariance, ({"model": "p/*", "layers": 3}, {"model": "*", "layers": 99})),
    "kin/kinship": (kin_pairs, NOTHING),
    "natcomm2021/classifiers": (classifiers, NOTHING),
    "natcomm2021/dated": (dated, NOTHING),
    "natcomm2021/language": (language, NOTHING),
    "natcomm2021/printed": (printed, NOTHING),
    "pair/layers": (
        pair,
        tuple({"model": m, "other": o} for m, o in ((None, None), ("p/*", None), ("p/m1", "q/m[12]"), (None, "q/*"))),
    ),
}
"""Folder and name of a SELECT -> its rows in order, and values of its parameters."""
