"""One layer of a warehouse, found by name, with its stored spectra; and the tables that its figures show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pyarrow as pa

from zoospectra.analysis import figure
from zoospectra.analysis.layer import analyse_layer, esds
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import Spectrum, Value
from zoospectra.analysis.unfold import SHUFFLED
from zoospectra.jobs.records import rows
from zoospectra.jobs.words.verb import did_you_mean
from zoospectra.warehouse.identity import seed_of
from zoospectra.warehouse.query import query

TABLES = ("fit", "curve", "esd")
"""What there is of a layer, one table each."""
SHOWN = 5
"""Names that a message lists."""
INTEGERS = frozenset(["slice_id", "N", "M", "rf", "num_evals", "num_pl_spikes", "num_spikes", "n_tail"])
TEXTS = frozenset(["of", "status"])
FLAGS = frozenset(["chosen"])


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer and the spectra that are kept of it."""

    model_id: str
    """Its model."""
    longname: str
    """Its name there."""
    layer_type: str
    """'dense', 'conv2d', ..."""
    dtype: str
    """What it is stored as."""
    content_hash: str
    """Hash of its bytes."""
    spectra: Mapping[str, Spectrum]
    """Name of a spectrum, see analysis.unfold.matrices -> its eigenvalues."""


def stored_layer(directory: Path, model: str, name: str, unfold: str) -> StoredLayer:
    """The layer that `name` means in the model that `model` means, names or globs that match one each.

    Raises ValueError when either matches none or several, saying which there are, and when the warehouse has no
    spectrum of the layer by this unfold rule.
    """
    models = query(directory, "SELECT DISTINCT model_id FROM layers ORDER BY 1")["model_id"].to_pylist()
    model_id = only(models, model, "MODEL", f"models with layers at {directory}")
    sql = "SELECT longname, layer_type, dtype, content_hash FROM layers WHERE model_id = $model ORDER BY layer_id"
    layers = {row["longname"]: row for row in query(directory, sql, {"model": model_id}).to_pylist()}
    layer = layers[only(list(layers), name, "NAME", f"layers of {model_id}")]
    sql = """SELECT content_hash, unfold, slice_id, N, M, evals, method, device FROM layer_spectra
             WHERE model_id = $model AND longname = $name ORDER BY unfold, slice_id"""
    table = query(directory, sql, {"model": model_id, "name": layer["longname"]})
    kept = dict(rows.spectra_records(table).get(layer["content_hash"], ()))
    if unfold not in kept:
        there = f"only by {', '.join(kept)}" if kept else "nor by any other: were its numbers published by others?"
        msg = f"{model_id} {layer['longname']}: no spectrum by unfold rule {unfold} is kept, {there}"
        raise ValueError(f"{msg}; scan its zoo with a profile that uses {unfold}")
    kind, dtype = layer["layer_type"] or "", layer["dtype"] or "float32"
    return StoredLayer(model_id, layer["longname"], kind, dtype, layer["content_hash"], kept)


def only(names: Sequence[str], wanted: str, word: str, what: str) -> str:
    """The one name that is `wanted`, or that it matches as a glob; ValueError lists the names when there is not one."""
    matching = [wanted] if wanted in names else [name for name in names if fnmatchcase(name, wanted)]
    if len(matching) == 1:
        return matching[0]
    listed = matching or list(names)
    some = ", ".join(listed[:SHOWN]) + (f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")
    hint = "" if matching else did_you_mean(wanted, names)
    msg = f"{word} {wanted!r} matches {len(matching)} of {len(names)} {what}{hint}"
    raise ValueError(f"{msg}, expected one: {some or 'there are none'}")


def copies_of(layer: StoredLayer, unfold: str) -> list[Spectrum]:
    """Spectra of the layer's shuffled copies that are kept, in the order of the replicas."""
    names = [name for name in layer.spectra if name.startswith(unfold + SHUFFLED)]
    return [layer.spectra[name] for name in sorted(names, key=lambda name: int(name.partition(SHUFFLED)[2]))]


def tables(layer: StoredLayer, profile: Profile, names: Sequence[str]) -> dict[str, pa.Table]:
    """Tables of these names (TABLES), each with the layer's identity in front."""
    spectrum, copies = layer.spectra[profile.unfold], copies_of(layer, profile.unfold)
    seed = seed_of(layer.content_hash)
    made = esds(spectrum, layer.layer_type, profile, dtype=layer.dtype, shuffled=copies, seed=seed)
    analysis = analyse_layer(spectrum, layer.layer_type, profile, dtype=layer.dtype, shuffled=copies, seed=seed)
    records: dict[str, Iterable[Mapping[str, Value]]] = {
        "fit": figure.fit_rows(made, analysis),
        "curve": figure.curve_rows(made, analysis, profile),
        "esd": figure.esd_rows(made, analysis),
    }
    who = {"model_id": layer.model_id, "longname": layer.longname, "profile": profile.name}
    return {name: _table(who, records[name]) for name in names}


def _table(who: Mapping[str, str], records: Iterable[Mapping[str, Value]]) -> pa.Table:
    data = [{**who, **record} for record in records]
    names = list(data[0]) if data else [*who]
    return pa.Table.from_pylist(data, schema=pa.schema(_fields(names, who)))


def _fields(names: Iterable[str], who: Mapping[str, str]) -> Iterator[pa.Field]:
    for name in names:
        text, number = name in TEXTS or name in who, pa.int64() if name in INTEGERS else pa.float64()
        yield pa.field(name, pa.string() if text else pa.bool_() if name in FLAGS else number)
