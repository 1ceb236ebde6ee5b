"""What a report holds: the sections of a warehouse, a series, a model, two models, a study, a night; read by SQL."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from zoospectra.analysis.profile import Profile
from zoospectra.analysis.studies.population import METRICS, Population, populations
from zoospectra.jobs.show.figures.bars import bars, strength
from zoospectra.jobs.show.figures.counts import counts
from zoospectra.jobs.show.figures.depth import depth
from zoospectra.jobs.show.figures.esd import esd
from zoospectra.jobs.show.figures.histogram import histogram
from zoospectra.jobs.show.figures.points import points
from zoospectra.jobs.show.figures.record import Figure
from zoospectra.jobs.show.figures.search import search
from zoospectra.jobs.show.figures.shape_scale import shape_scale
from zoospectra.jobs.show.figures.studies import Material, study_figures
from zoospectra.jobs.show.figures.train_test import train_test
from zoospectra.jobs.show.page.explorer import explorer
from zoospectra.jobs.show.page.record import Page, Section
from zoospectra.jobs.show.tables import pivots
from zoospectra.jobs.words.verb import did_you_mean
from zoospectra.jobs.work.figure import only, stored_layer, tables
from zoospectra.jobs.work.points import read_designs, read_layers
from zoospectra.warehouse.query import query

LAYERS_SHOWN = 6
"""Layers of a model whose spectra are on its page: those of the largest and smallest alpha."""
NOTES_SHOWN = 60
"""Sentences of a study on its page; all are in its notes.txt."""
SKIPS = """SELECT reason, count(*) AS tensors, any_value(detail) AS example FROM skipped {where}
           GROUP BY reason ORDER BY 2 DESC"""


def warehouse(directory: Path, profile: str, series: str | None = None) -> Page:
    """A whole warehouse, or one series of it; ValueError when there is none, or no such series."""
    rows = read_designs(directory)
    layers = read_layers(directory)
    if series is not None:
        rows, layers = _of_series(rows, layers, series)
    people = populations(rows)
    page = f"Series {series}" if series is not None else "Warehouse"
    sections = [Section("What is here", _facts(directory, layers, people), tables=_models(rows))]
    if people:
        words = (
            "Reported numbers against averages over layers: choose what is drawn; drag and wheel zoom.",
            "Lines are least squares with the 95 % band of the mean; of more than four groups, of the chosen one.",
        )
        sections.append(Section("Metrics and reported quality", words, explorer=explorer(people)))
        sections.append(_strength(people, profile))
    under = layers.filter(pc.equal(layers["profile"], profile))
    by = "model_id" if series is not None else "series"
    drawn = [histogram(under, metric, by) for metric in ("alpha", "log_norm", "log_spectral_norm")]
    sections.append(Section("Layers", (f"Under the profile {profile}.",), tuple(drawn)))
    sections.append(Section("By depth", (), (depth(under, "alpha"), depth(under, "log_norm"))))
    sections.append(_skips(directory))
    sections.append(Section("Runs", tables={"Runs": query(directory, RUNS)}))
    return Page(page, _subtitle(directory), tuple(sections))


RUNS = """SELECT run_id, verb, zoo, started, finished - started AS took, models, layers, skipped, failed, exit_status
          FROM runs ORDER BY started DESC"""


def _of_series(
    rows: Mapping[str, Sequence[Mapping[str, Any]]], layers: pa.Table, series: str
) -> tuple[dict[str, list[dict[str, Any]]], pa.Table]:
    known = sorted({str(row["series"]) for row in rows["catalog"] if row["series"] is not None})
    if series not in known:
        msg = (
            f"series={series}{did_you_mean(series, known)}: expected one of {', '.join(known) or 'none: there is none'}"
        )
        raise ValueError(msg)
    names = {row["model_id"] for row in rows["catalog"] if row["series"] == series}
    kept = {name: [dict(row) for row in some if row["model_id"] in names] for name, some in rows.items()}
    return kept, layers.filter(pc.equal(layers["series"], series))


def _facts(directory: Path, layers: pa.Table, people: Sequence[Population]) -> tuple[str, ...]:
    models, profiles = pc.count_distinct(layers["model_id"]).as_py(), pc.unique(layers["profile"]).to_pylist()
    reported = ", ".join(dict.fromkeys(population.target.label for population in people)) or "nothing"
    return (
        f"{models} models with layers, {layers.num_rows} rows of layers, profiles: {', '.join(profiles) or 'none'}.",
        f"Reported: {reported}.",
        "Averages are over layers that count: no embeddings, no failed fits, no parts of fused matrices.",
    )


def _models(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, pa.Table]:
    names = ("model_id", "series", "dataset", "profile", "num_layers", *METRICS)
    data = [{name: row.get(name) for name in names} for row in rows["averages"]]
    texts = [(name, pa.string()) for name in names[:4]]
    schema = pa.schema([*texts, ("num_layers", pa.int64()), *((name, pa.float64()) for name in METRICS)])
    return {"Models: means over layers, by profile": pa.Table.from_pylist(data, schema)}


def _strength(people: Sequence[Population], profile: str) -> Section:
    """Bars, shape against scale, training against test, and counts of the largest population under the profile."""
    under = [population for population in people if population.label.startswith(f"{profile} / ")] or list(people)
    population = max(under, key=lambda each: len(each.rows))
    table = points(population)
    figures = [bars(strength(table, METRICS), caption=population.label), shape_scale(table)]
    if any(value is not None for value in population.train):
        figures.append(train_test(table))
    sizes = table.group_by(["group", "dataset"]).aggregate([("model_id", "count")])
    figures.append(counts(sizes.rename_columns({"model_id_count": "n"}).sort_by("group")))
    return Section("Sub-groups", (f"Population: {population.label}.",), tuple(figures))


def _skips(directory: Path, model: str | None = None) -> Section:
    where = "" if model is None else "WHERE model_id = $model"
    values = None if model is None else {"model": model}
    table = query(directory, SKIPS.format(where=where), values)
    count = sum(table["tensors"].to_pylist())
    words = f"{count} tensors or models, by reason." if count else "Nothing."
    return Section("What was left out", (words,), tables={"Tensors by reason": table} if count else None)


def _subtitle(directory: Path) -> str:
    runs = query(directory, "SELECT run_id FROM runs ORDER BY started DESC LIMIT 1")["run_id"].to_pylist()
    return f"zoospectra, warehouse {directory}, newest run {runs[0] if runs else 'none'}"


def model(directory: Path, glob: str, profile: Profile) -> Page:
    """One model: its layers by depth, their distribution, the spectra of the extreme ones."""
    layers = read_layers(directory)
    name = _only(layers, glob)
    own = _under(layers, [name], profile.name)
    sql = """SELECT * EXCLUDE (content_hash) FROM layer_metrics
             WHERE model_id = $model AND profile = $profile ORDER BY layer_id"""
    every = query(directory, sql, {"model": name, "profile": profile.name})
    courses = (depth(own, "alpha", relative=False), depth(own, "log_norm", relative=False), histogram(own, "alpha"))
    sections = [Section("Layers", (f"{own.num_rows} layers count.",), courses, {"Layers: every metric": every})]
    spectra = _spectra(directory, name, own, profile)
    if spectra:
        words = ("Layers of the smallest and the largest alpha.",)
        sections.append(Section("Spectra", words, tuple(spectra), choice="Layer"))
    sections.append(_skips(directory, name))
    return Page(f"Model {name}", f"{_subtitle(directory)}, profile {profile.name}", tuple(sections))


def _only(layers: pa.Table, glob: str) -> str:
    return only(pc.unique(layers["model_id"]).to_pylist(), glob, "MODEL", "models with layers")


def _under(layers: pa.Table, names: Sequence[str], profile: str) -> pa.Table:
    """Layers of these models under a profile; ValueError names the profiles that there are."""
    chosen = layers.filter(pc.is_in(layers["model_id"], pa.array(names, pa.string())))
    known = pc.unique(chosen["profile"]).to_pylist()
    if profile not in known:
        msg = f"profiles={profile}: expected one of {', '.join(known)}, those that {' and '.join(names)} has"
        raise ValueError(msg)
    return chosen.filter(pc.equal(chosen["profile"], profile))


def _spectra(directory: Path, name: str, own: pa.Table, profile: Profile) -> list[Figure]:
    """Spectrum and search of the extreme layers; none where no spectra are kept, as of published numbers."""
    fitted = own.filter(pc.is_valid(own["alpha"])).sort_by("alpha")["longname"].to_pylist()
    half = LAYERS_SHOWN // 2
    figures = []
    for longname in dict.fromkeys([*fitted[:half], *fitted[-half:]]):
        try:
            layer = stored_layer(directory, name, longname, profile.unfold)
        except ValueError:
            return []
        made = tables(layer, profile, ("fit", "curve", "esd"))
        both = esd(made["fit"], made["esd"]), search(made["curve"])
        figure = dataclasses.replace(both[0], title=longname, panels=(*both[0].panels, *both[1].panels), columns=2)
        figures.append(dataclasses.replace(figure, tables={**both[0].tables, "search": made["curve"]}))
    return figures


def pair(directory: Path, globs: Sequence[str], profile: Profile) -> Page:
    """Two models: both by depth and as histograms, and layer by layer."""
    layers = read_layers(directory)
    names = [_only(layers, glob) for glob in globs]
    both = _under(layers, names, profile.name)
    figures = [depth(both, metric) for metric in ("alpha", "log_norm", "log_spectral_norm")] + [
        histogram(both, "alpha")
    ]
    sql = "SELECT * FROM compare_models($a, $b, profile_name := $profile)"
    changes = query(directory, sql, {"a": names[0], "b": names[1], "profile": profile.name})
    sections = (
        Section("Both by depth", (), tuple(figures)),
        Section("Layer by layer", ("change: second minus first.",), tables={"Layers matched by name": changes}),
    )
    return Page(f"{names[0]} and {names[1]}", f"{_subtitle(directory)}, profile {profile.name}", sections)


def night(directory: Path, run_id: str) -> Page:
    """One run: what it did, what changed since the one before it, what failed; ValueError for an unknown run."""
    runs = query(directory, RUNS)
    known = runs["run_id"].to_pylist()
    if not known:
        msg = "run=latest: expected a run, the warehouse has none"
        raise ValueError(msg)
    wanted = known[0] if run_id == "latest" else run_id
    if wanted not in known:
        msg = f"run={run_id}{did_you_mean(run_id, known)}: expected latest or one of {', '.join(known[:5])}"
        raise ValueError(msg)
    place = known.index(wanted)
    facts = runs.slice(place, 1)
    row = facts.to_pylist()[0]
    failures = query(directory, "SELECT model_id, tensor, reason, detail FROM skipped WHERE failed")
    shown = {"The run": facts, "Failures that stand": failures}
    since = "It is the first run of this warehouse."
    if place + 1 < len(known):
        changed = query(directory, "SELECT * FROM changed_since($run)", {"run": known[place + 1]})
        shown["Changed"] = changed
        since = f"New, retrained or gone since {known[place + 1]}: {changed.num_rows}."
    words = (
        f"{row['verb']} of {row['zoo'] or 'no zoo'}: models {row['models']}, layers {row['layers']}, "
        f"skipped {row['skipped']}, failed {row['failed']}; exit status {row['exit_status']}.",
        f"{since} Failures that stand: {failures.num_rows}.",
    )
    shown = {name: table for name, table in shown.items() if table.num_rows}
    sections = (Section("What it did", words, tables=shown), _skips(directory))
    return Page(f"Run {wanted}", _subtitle(directory), sections)


def study(directory: Path, name: str, kind: str, material: Material) -> Page:
    """A study: its sentences, figures and tables."""
    figures, findings = study_figures(kind, material), material.findings
    sections = (
        Section("Findings", findings.notes[:NOTES_SHOWN], tables=pivots(findings)),
        Section("Figures", (), tuple(figures)),
    )
    return Page(f"Study {name}", _subtitle(directory), sections)
