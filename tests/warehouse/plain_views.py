"""What every view and every macro that answers with a table says, in plain Python over the rows of the tables.

Not covered: regress, which test_answers.py compares with scipy.
"""

from __future__ import annotations

import fnmatch
import itertools
import statistics
from collections.abc import Callable
from functools import cache

import numpy as np

from tests.warehouse.plain import (
    by_all,
    grouped,
    in_means,
    layers_history,
    mean,
    measured,
    model_averages,
    models,
    ordered,
    picked,
    reported_metrics_history,
    runs,
    sketches,
    skipped_history,
    spectra_index,
)
from tests.warehouse.plain import kinship as pairs_of_kin
from tests.warehouse.world import Parts, Row
from zoospectra.warehouse.schema import PARTS, REAL

NUMBERS = [field.name for field in PARTS["layer_metrics"] if field.type == REAL]
OF_MODEL = ("model_id", "revision", "zoo", "series", "dataset", "task", "params")


def latest(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "latest"} for row in rows if row["latest"]]


def layers(raw: Parts) -> list[Row]:
    return latest(layers_history(raw))


def metrics(raw: Parts, kind: str = "layer_metrics") -> list[Row]:
    return latest(measured(raw, kind))


def skipped(raw: Parts) -> list[Row]:
    rows = latest(skipped_history(raw))
    for row in metrics(raw):
        if row["outcome"] == "filtered":
            reason = "below_min_M" if row["filtered_by"] == "min_M" else "too_few_eigenvalues"
            detail = f"profile {row['profile']}: {row['N']} x {row['M']}, {row['num_evals']} eigenvalues"
            base = {"model_id": row["model_id"], "revision": row["revision"], "tensor": row["longname"]}
            rows.append(base | {"reason": reason, "detail": detail, "failed": False, "added": None})
    return rows


def spectra(raw: Parts) -> list[Row]:
    keys = ("content_hash", "unfold", "code_version", "written")
    parts = {(*(row[key] for key in keys), row["file"]) for row in spectra_index(raw)}
    columns = ("content_hash", "unfold", "slice_id", "N", "M", "evals", "method", "device", "code_version")
    kept = [row for row in raw["spectra"] if (*(row[key] for key in keys), row["filename"]) in parts]
    return [picked(row, *columns) for row in kept]


def by_content(raw: Parts, rows: list[Row], *columns: str) -> list[Row]:
    """Layers of the latest revisions beside what is known of their content."""
    of = grouped(rows, "content_hash")
    found = []
    for layer in layers(raw):
        found += [picked(layer, *columns) | row for row in of.get((layer["content_hash"],), [])]
    return found


def layer_sketches(raw: Parts) -> list[Row]:
    columns = ("model_id", "revision", "layer_id", "longname", "layer_type", "group", "N", "M", "dtype")
    kept = [{k: v for k, v in row.items() if k not in ("written", "code_version")} for row in sketches(raw)]
    return by_content(raw, kept, *columns)


def layer_spectra(raw: Parts) -> list[Row]:
    return by_content(raw, spectra(raw), "model_id", "revision", "layer_id", "longname", "layer_type")


def averages(rows: list[Row], of: str) -> Row:
    """Means and medians over what counts, the share of warned ones, and the rule in words."""
    counted = [row for row in rows if row["counted"]]
    warned = [row["degenerate_tail"] for row in rows if in_means(row["layer_type"], row["left_out"])]
    row: Row = {"share_warned": mean(warned)}
    for name in NUMBERS:
        known = [r[name] for r in counted if r[name] is not None]
        row |= {name: mean(known), f"{name}_median": statistics.median(known) if known else None}
    out = max((r["left_out"] for r in rows if r["left_out"] is not None), default=None)
    return row | {"rule": of + ("" if out is None else f"; left out: {out or 'nothing else'}")}


@cache
def listed(raw: Parts) -> dict[str, Row]:
    return {row["model_id"]: row for row in models(raw) if row["latest"]}


def model_metrics(raw: Parts) -> list[Row]:
    known, rows = listed(raw), []
    rule = "mean over layers with a fit, each once; no embeddings, no parts of fused matrices"
    for (model, profile), own in grouped(metrics(raw), "model_id", "profile").items():
        fits = [r for r in own if in_means(r["layer_type"]) and r["outcome"] == "fit"]
        failed = [r for r in own if in_means(r["layer_type"], r["left_out"]) and r["outcome"] != "fit"]
        row = picked(known[model], *OF_MODEL) | averages(own, rule) | {"profile": profile, "num_failed": len(failed)}
        row["num_layers"] = sum(r["counted"] for r in own)
        row["num_embeddings"] = sum(r["layer_type"] == "embedding" for r in own)
        rows.append(row | {"num_left_out": sum(not r["counted"] for r in fits)})
    done = {(row["model_id"], row["profile"]) for row in rows}
    columns = dict.fromkeys(rows[0])
    for row in model_averages(raw):
        (model, profile), rule = (row["model_id"], row["profile"]), row["rule"]
        if row["latest"] and rule == "mean over slices" and (model, profile) not in done and model in known:
            rule = f"{rule}, as published: {row['origin'] or 'origin unknown'}"
            numbers = {name: row[name] for name in NUMBERS if name in row}
            rows.append(columns | picked(known[model], *OF_MODEL) | numbers | {"profile": profile, "rule": rule})
    return rows


def model_slice_metrics(raw: Parts) -> list[Row]:
    known, rows = listed(raw), []
    rule = "mean over slices of layers that are no embeddings and no parts of fused matrices"
    for (model, profile), own in grouped(metrics(raw, "slice_metrics"), "model_id", "profile").items():
        counted = [r for r in own if r["counted"]]
        row = picked(known[model], *OF_MODEL) | averages(own, rule) | {"profile": profile, "num_slices": len(counted)}
        rows.append(row | {"num_fits": sum(r["alpha"] is not None for r in counted)})
    return rows


def doubles(raw: Parts) -> list[Row]:
    """The first of all models that are one by their bytes or by what was printed of them."""
    contents = {m: sorted(r["content_hash"] for r in own) for (m,), own in grouped(layers(raw), "model_id").items()}
    why = {pair: "all layers have the same bytes" for pair in itertools.permutations(contents, 2)
           if contents[pair[0]] == contents[pair[1]]}  # fmt: skip
    known = listed(raw)
    printed = model_slice_metrics(raw)
    printed += [r | {"dataset": known[r["model_id"]]["dataset"]} for r in model_averages(raw)
                if r["latest"] and r["rule"] == "mean over slices" and r["model_id"] in known]  # fmt: skip
    printed = [r for r in printed if r["profile"].startswith("published/") and r["log_norm"] is not None
               and r["alpha"] is not None and r["dataset"] is not None]  # fmt: skip
    for (_, _), own in grouped(printed, "profile", "dataset").items():
        for a, b in itertools.permutations(own, 2):
            near = a["log_norm"] - 1e-5 <= b["log_norm"] <= a["log_norm"] + 1e-5 and abs(a["alpha"] - b["alpha"]) < 0.01
            if near and a["model_id"] < b["model_id"]:
                why.setdefault((b["model_id"], a["model_id"]), "published mean log_norm and alpha agree")
    firsts = {m: min(a for b, a in why if b == m and a < b) for m in {b for b, a in why if a < b}}
    return ordered([{"model_id": m, "double_of": a, "rule": why[m, a]} for m, a in firsts.items()], "model_id")


VIEWS: dict[str, Callable[[Parts], list[Row]]] = {
    "layers": layers,
    "layer_metrics": metrics,
    "slice_metrics": lambda raw: metrics(raw, "slice_metrics"),
    "reported_metrics": lambda raw: latest(reported_metrics_history(raw)),
    "skipped": skipped,
    "spectra": spectra,
    "layer_sketches": layer_sketches,
    "layer_spectra": layer_spectra,
    "model_metrics": model_metrics,
    "model_slice_metrics": model_slice_metrics,
    "doubles": doubles,
}
"""Name of a view -> its rows; doubles alone has an order."""


def reported_newest(raw: Parts, not_after: str | None = None) -> list[Row]:
    """The newest number of every model, data set and metric; undated ones are the oldest."""
    known, best = listed(raw), []
    rows = [r | {"dataset": r["dataset"] or known[r["model_id"]]["dataset"]} for r in VIEWS["reported_metrics"](raw)]
    rows = [r for r in rows if not_after is None or (r["source_date"] or "9") <= not_after]
    for own in grouped(rows, "model_id", "dataset", "metric").values():
        best.append(ordered(own, "-source_date", "source", "value")[0])
    columns = ("model_id", "dataset", "metric", "value", "higher_is_better", "source", "source_date")
    return by_all([picked(row, *columns) for row in best])


def changed_since(raw: Parts, run: str) -> list[Row]:
    started = [row["started"] for row in runs(raw) if row["run_id"] == run]
    known, rows = models(raw), []
    for row in (row for row in known if row["latest"] and row["zoo"] and started):
        seen = max(r["last_seen"] for r in known if r["zoo"] == row["zoo"])
        gone, revisions = (
            row["last_seen"] < seen,
            sum(r["model_id"] == row["model_id"] and r["zoo"] is not None for r in known),
        )
        if row["first_seen"] > started[0] or (gone and seen > started[0]):
            change = "gone" if gone else "retrained" if revisions > 1 else "new"
            rows.append(
                picked(row, "model_id", "revision") | {"change": change} | picked(row, "first_seen", "last_seen")
            )
    return ordered(rows, "change", "model_id")


def compare_models(raw: Parts, a: str, b: str, profile: str = "weightwatcher") -> list[Row]:
    one, two = (
        {r["longname"]: r for r in metrics(raw) if (r["model_id"], r["profile"]) == (m, profile)} for m in (a, b)
    )
    rows = []
    for name in one.keys() | two.keys():
        x, y = one.get(name), two.get(name)
        row = {"longname": name, "id": (x or y)["layer_id"]}
        for column in ("alpha", "log_norm", "log_spectral_norm"):
            u, v = (r[column] if r else None for r in (x, y))
            row |= {f"{column}_a": u, f"{column}_b": v, f"{column}_change": None if None in (u, v) else v - u}
        rows.append(row | {"same_bytes": x["content_hash"] == y["content_hash"] if x and y else None})
    return [{k: v for k, v in row.items() if k != "id"} for row in ordered(rows, "id", "longname")]


def matched(raw: Parts, a: str) -> list[tuple[str, Row]]:
    """Layers of a model beside those of all others of equal name and size: how alike their sketches are."""
    of = grouped(layer_sketches(raw), "model_id")
    rows = []
    for one in ordered(of.get((a,), []), "layer_id"):
        for (other,), theirs in of.items():
            for two in (r for r in theirs if (r["longname"], r["elements"]) == (one["longname"], one["elements"])):
                u, v = (np.array(row["sketch"], float) for row in (one, two))
                lengths = float(np.linalg.norm(u)), float(np.linalg.norm(v))
                row = {"longname": one["longname"], "cosine": float(u @ v / np.prod(lengths)) if all(lengths) else None}
                row["distance"] = float(np.linalg.norm(u - v)) / lengths[1] if lengths[1] else None
                rows.append((other, row | {"same_bytes": one["content_hash"] == two["content_hash"]}))
    return rows


def nearest(raw: Parts, model: str) -> list[Row]:
    rows, alike = [], matched(raw, model)
    for other in {other for other, _ in alike if other != model}:
        own = [row for name, row in alike if name == other]
        row = {"model_id": other, "layers": len(own), "equal_bytes": mean([r["same_bytes"] for r in own])}
        cosines = [r["cosine"] for r in own if r["cosine"] is not None]
        rows.append(row | {"cosine": statistics.median(cosines) if cosines else None})
    return ordered(rows, "-cosine", "model_id")


def layer_profile(raw: Parts, glob: str, profile: str = "weightwatcher") -> list[Row]:
    rows = []
    columns = ("longname", "layer_type", "N", "M", "alpha", "D", "log_norm", "log_spectral_norm", "stable_rank")
    columns += ("model_id", "layer_id", "alpha_weighted", "status", "warning")
    matching = [r for r in metrics(raw) if r["profile"] == profile and fnmatch.fnmatchcase(r["model_id"], glob)]
    for own in grouped(matching, "model_id").values():
        for i, row in enumerate(ordered(own, "layer_id")):
            rows.append(picked(row, *columns) | {"depth": i / max(1, len(own) - 1)})
    return ordered(rows, "model_id", "layer_id")


def relatives(raw: Parts, glob: str) -> list[Row]:
    columns = ("model_id", "relative_id", "verdict", "cosine", "distance", "equal_bytes", "equal_spectra", "p_adjusted")
    rows = [
        picked(row, *columns, "evidence") for row in pairs_of_kin(raw) if fnmatch.fnmatchcase(row["model_id"], glob)
    ]
    rows = [row for row in rows if row["verdict"] not in ("independent", "undetermined")]
    return ordered(rows, "model_id", "-cosine", "relative_id")


def kin_layers(raw: Parts, a: str, b: str) -> list[Row]:
    return [row for other, row in matched(raw, a) if other == b]


MACROS: dict[str, tuple[Callable[..., list[Row]], tuple[str, ...]]] = {
    "reported_newest": (reported_newest, ("", "'2024'", "'2025'", "'2026'")),
    "changed_since": (changed_since, tuple(f"'r{i}'" for i in range(11))),
    "compare_models": (compare_models, ("'p/M1', 'p/m1'", "'p/m2', 'q/m2', 'kept'", "'k/m2', 'k/m3'", "'p/m3', ''")),
    "kin_layers": (
        kin_layers,
        ("'p/M1', 'p/m1'", "'p/m2', 'q/m2'", "'k/m2', 'k/m3'", "'p/m3', 'p/m3'", "'q/m1', 'k/M1'"),
    ),
    "nearest": (nearest, ("'p/M1'", "'k/M1'", "'q/m2'", "'none'")),
    "layer_profile": (layer_profile, ("'p/*'", "'p/m?', 'kept'", "'k/M1'", "'*', 'narrow'")),
    "relatives": (relatives, ("'*'", "'p/m*'", "'p/M1'")),
}
"""Name of a macro -> its rows in order, and arguments."""
