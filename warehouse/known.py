"""What the newest generation already holds, to plan only what is missing; and stored spectra, for fits without weights.

Asked by SQL for the models or tensors at hand, so that the answer's size does not depend on the warehouse's.
Not covered: parts that no generation has yet; `build.refresh` first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from zoospectra.warehouse.arrow import over
from zoospectra.warehouse.connect import connect, newest
from zoospectra.warehouse.identity import ModelId, ResultId, SpectrumId, seed_of
from zoospectra.warehouse.intact import set_aside
from zoospectra.warehouse.reader import Reader, read_newest
from zoospectra.warehouse.schema import PARTS, WRITTEN
from zoospectra.warehouse.unfinished import Asked, Listing, Progress, progress


class LayerRow(NamedTuple):
    """A listed layer, as planning needs it."""

    content_hash: str
    """Identity of its bytes, dtype and shape."""
    tensor: str
    """Key in the checkpoint."""
    longname: str
    """Module path."""
    layer_type: str
    """'dense', 'conv2d', ..."""
    shape: tuple[int, ...]
    """Shape of the stored tensor."""
    dtype: str
    """Stored element type."""


class SkipRow(NamedTuple):
    """One thing that was not analysed."""

    tensor: str | None
    """Tensor; None when the whole model was not."""
    reason: str
    """Short stable code."""
    detail: str
    """What was found and what to do."""
    failed: bool
    """True when something is wrong, false when a rule says so."""


class ContentRow(NamedTuple):
    """Bytes that one or more layers have."""

    layer: LayerRow
    """The first of them."""
    owners: tuple[tuple[ModelId, str], ...]
    """Model and tensor of each."""


@dataclass(frozen=True, slots=True)
class Known:
    """Finished work on some models or tensors, by identity."""

    spectra: Mapping[SpectrumId, Path] = field(default_factory=dict)
    """Every stored spectrum that counts -> the part that holds it."""
    metrics: frozenset[ResultId] = frozenset()
    """Results that are there: layer metrics, sketches and spectra, as ResultKind names them."""
    filtered: frozenset[ResultId] = frozenset()
    """Those of them that the profile's filters left without a fit: too few eigenvalues, say."""
    layers: Mapping[ModelId, tuple[LayerRow, ...]] = field(default_factory=dict)
    """Model -> its listed layers, in order."""
    readers: Mapping[ModelId, str] = field(default_factory=dict)
    """Model -> what listed its layers, if all that it listed is there."""
    skipped: Mapping[ModelId, tuple[SkipRow, ...]] = field(default_factory=dict)
    """Model -> everything not analysed."""
    begun: Mapping[ModelId, str] = field(default_factory=dict)
    """Model -> what has listed some of its layers, and was interrupted or still reads the others."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Contents that layers of a model may have, before their bytes are read."""

    named: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """(tensor, longname) -> those of layers called so, of the model itself and of others."""
    loose: tuple[str, ...] = ()
    """Those that have results and that no listed layer has: what an interrupted run computed."""


SEEDS = 100_000
"""Rows of results that are looked at together for their seeds."""

ALIKE = 16
"""Contents of layers of one name that a layer is compared with before it is analysed."""


LAYER = ", ".join(f"{name!r}: {name}" for name in LayerRow._fields)
ORDER = """
WITH file AS (SELECT content_hash, min(file) AS file FROM spectra_index GROUP BY content_hash)
SELECT content_hash FROM (SELECT DISTINCT content_hash FROM layers_history) LEFT JOIN file USING (content_hash)
ORDER BY file, content_hash
"""
CONTENTS = f"""
SELECT list({{{LAYER}}} ORDER BY model_id, revision, layer_id)[1] AS layer,
    list([model_id, revision, tensor] ORDER BY model_id, revision, layer_id) AS owners
FROM layers_history JOIN asked_contents USING (content_hash) GROUP BY content_hash ORDER BY min(place)
"""


class Knowledge:
    """The newest generation as it was when this was opened; without any, nothing is known. Close it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()
        self._reader: Reader | None = None
        self._seeds: npt.NDArray[np.uint64] | None = None
        with suppress(ValueError):
            self._reader = read_newest(directory)

    def close(self) -> None:
        """Let go of the generation."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def progress(self, models: Iterable[Listing], asked: Asked) -> Progress:
        """Which of these models lack something."""
        done = progress(self._reader, models, asked)
        if self._reader is not None:
            self._reader.forget()
        return done

    def of_models(self, models: Sequence[ModelId]) -> Known:
        """Everything about these models and the bytes of their layers."""
        if self._reader is None or not models:
            return Known()
        layers: dict[ModelId, list[LayerRow]] = {}
        skipped: dict[ModelId, list[SkipRow]] = {}
        asked = {"asked_models": pa.table(_columns(models))}
        sql = f"""SELECT model_id, revision, {", ".join(LayerRow._fields)}
            FROM layers_history SEMI JOIN asked_models USING (model_id, revision)
            ORDER BY model_id, revision, layer_id"""
        for model_id, revision, *row in self._reader.rows(sql, tables=asked):
            layer = LayerRow(*row)
            layers.setdefault(ModelId(model_id, revision), []).append(layer._replace(shape=tuple(layer.shape or ())))
        sql = f"""SELECT model_id, revision, {", ".join(SkipRow._fields)}
            FROM skipped_history SEMI JOIN asked_models USING (model_id, revision)"""
        for model_id, revision, *row in self._reader.rows(sql, tables=asked):
            skipped.setdefault(ModelId(model_id, revision), []).append(SkipRow(*row))
        sql = """SELECT model_id, revision, reader, listed_layers, coalesce(listed_skips, 0)
                 FROM indexed SEMI JOIN asked_models USING (model_id, revision)"""
        listings = {ModelId(*row[:2]): row[2:] for row in self._reader.rows(sql, tables=asked)}
        readers = {
            model: reader
            for model, (reader, listed, left_out) in listings.items()
            if len(layers.get(model, ())) == listed and len(skipped.get(model, ())) >= left_out
        }
        begun = {model: reader for model, (reader, listed, _) in listings.items() if listed is None}
        contents = self.of_contents({layer.content_hash for rows in layers.values() for layer in rows})
        return Known(
            spectra=contents.spectra,
            metrics=contents.metrics,
            filtered=contents.filtered,
            layers={model: tuple(rows) for model, rows in layers.items()},
            readers=readers,
            begun=begun,
            skipped={model: tuple(rows) for model, rows in skipped.items()},
        )

    def of_contents(self, content_hashes: Collection[str]) -> Known:
        """Results and spectra of these bytes."""
        hashes = self._met(content_hashes)
        if self._reader is None or not hashes:
            return Known()
        asked = {"asked_contents": pa.table({"content_hash": pa.array(hashes, pa.string())})}
        results = self._reader.rows("FROM result_index SEMI JOIN asked_contents USING (content_hash)", tables=asked)
        sql = """SELECT content_hash, unfold, code_version, file
                 FROM spectra_index SEMI JOIN asked_contents USING (content_hash)"""
        spectra = self._reader.rows(sql, tables=asked)
        return Known(
            spectra={SpectrumId(*row[:3]): self._directory / row[3] for row in spectra},
            metrics=frozenset(ResultId(*row[:4]) for row in results),
            filtered=frozenset(ResultId(*row[:4]) for row in results if row[4]),
        )

    def _met(self, content_hashes: Collection[str]) -> list[str]:
        """Those of these contents that may have results, in order: almost all that have none are told by their seed."""
        hashes, seeds = sorted(content_hashes), self.seeds()
        if not hashes:
            return []
        try:
            asked = np.array([seed_of(content_hash) for content_hash in hashes], np.uint64)
        except ValueError:  # other tools may name contents otherwise
            return hashes
        places = np.searchsorted(seeds, asked)
        return [hashes[n] for n in np.flatnonzero(seeds.take(places, mode="clip") == asked)] if len(seeds) else []

    def seeds(self) -> npt.NDArray[np.uint64]:
        """Seeds of all contents that have results, ascending: 8 bytes each, so that those of millions are in memory."""
        if self._reader is None:
            return np.array([], np.uint64)
        if self._seeds is None:
            sql = """SELECT TRY_CAST('0x' || content_hash[:16] AS UBIGINT) AS seed FROM result_index
                     WHERE seed IS NOT NULL"""
            batches = self._reader.batches(sql, SEEDS)  # in the order of contents: few come twice
            some = [np.unique(batch["seed"].to_numpy()) for batch in batches]
            self._seeds = np.unique(np.concatenate([np.array([], np.uint64), *some]))
        return self._seeds

    def candidates(self, model: str, layers: Collection[tuple[str, str]]) -> Candidates:
        """Contents that layers (tensor, longname) of a model may have, at most ALIKE a layer, its own before others."""
        if self._reader is None or not layers:
            return Candidates()
        tensors, longnames = map(list, zip(*sorted(layers), strict=True))
        sql = """SELECT tensor, longname, content_hash FROM layers_history
                 SEMI JOIN asked_layers USING (tensor, longname) GROUP BY tensor, longname, content_hash
                 QUALIFY row_number() OVER (PARTITION BY tensor, longname
                    ORDER BY bool_or(model_id = $1) DESC, bool_or(latest) DESC, content_hash) <= $2"""
        asked = pa.table({"tensor": tensors, "longname": longnames})
        rows = self._reader.rows(sql, [model, ALIKE], {"asked_layers": asked})
        named: dict[tuple[str, str], list[str]] = {}
        for tensor, longname, content_hash in rows:
            named.setdefault((tensor, longname), []).append(content_hash)
        sql = "SELECT DISTINCT content_hash FROM result_index ANTI JOIN layers_history USING (content_hash)"
        loose = [content_hash for (content_hash,) in self._reader.rows(sql)]
        return Candidates({name: tuple(hashes) for name, hashes in named.items()}, tuple(sorted(loose)))

    def spectra_parts(self) -> list[Path]:
        """Parts that hold the stored spectra that count."""
        sql = "SELECT DISTINCT file FROM spectra_index ORDER BY ALL"
        rows = self._reader.rows(sql) if self._reader else []
        return [self._directory / file for (file,) in rows]

    def contents(self, size: int) -> Iterator[list[ContentRow]]:
        """Every content of a listed layer once, at most `size` at a time, in the order of the parts with its spectra.

        What the generation had when this began, whatever is published meanwhile.
        """
        if self._reader is None:
            return
        with Reader(self._reader.path) as reader:  # the other one may be closed meanwhile
            order = reader.table(ORDER)
            for first in range(0, len(order), size):  # lists of all owners at once took 5 KB a content
                part = order.slice(first, size)
                asked = part.append_column("place", pa.array(range(len(part))))
                rows = reader.rows(CONTENTS, tables={"asked_contents": asked})
                yield [
                    ContentRow(
                        LayerRow(*layer.values())._replace(shape=tuple(layer["shape"] or ())),
                        tuple((ModelId(model, revision), tensor) for model, revision, tensor in owners),
                    )
                    for layer, owners in rows
                ]


def has_snapshot(directory: Path, snapshot: str) -> bool:
    """Whether the newest generation has this state of a catalog; its part may be merged with others by now."""
    try:
        path = newest(directory)
    except ValueError:
        return False
    with connect(path, read_only=True) as connection:
        try:
            sql = "SELECT count(*) FROM snapshots WHERE snapshot = $1"
            return connection.execute(sql, [snapshot]).fetchall() != [(0,)]
        except duckdb.CatalogException:  # a generation of an older version
            return False


def _columns(models: Sequence[ModelId]) -> dict[str, pa.Array]:
    return {
        "model_id": pa.array([model.model_id for model in models], pa.string()),
        "revision": pa.array([model.revision for model in models], pa.string()),
    }


def read_spectra(wanted: Mapping[Path, Collection[str]], unfold: str | None = None) -> pa.Table:
    """Stored spectra, ordered by content_hash, unfold, slice_id: of parts (see Known.spectra), what is wanted of each.

    One row a slice; of several computations of one spectrum the newest wins. Contents without a spectrum are absent,
    and so is what a damaged part held: every page that is read is compared with its checksum. A part that fails, or
    that lacks what was wanted of it and so is another one, is moved aside.
    """
    names = [*PARTS["spectra"].names, WRITTEN.name]
    tables = []
    for file, contents in sorted(wanted.items()):
        chosen = [("content_hash", "in", sorted(set(contents)))]
        try:
            table = pq.read_table(
                file, columns=names, filters=chosen, page_checksum_verification=True, use_threads=False
            )
        except FileNotFoundError:
            continue
        except (OSError, pa.ArrowException):
            set_aside(file)
            continue
        if set(contents) - set(table["content_hash"].to_pylist()):
            set_aside(file)
        tables.append(table.append_column("filename", pa.repeat(str(file), len(table))))
    if not tables:
        return PARTS["spectra"].empty_table()
    sql = f"""
        SELECT {", ".join(PARTS["spectra"].names)} FROM stored WHERE $unfold IS NULL OR unfold = $unfold
        QUALIFY rank() OVER (PARTITION BY content_hash, unfold ORDER BY written DESC, filename) = 1
        ORDER BY content_hash, unfold, slice_id"""
    return over({"stored": pa.concat_tables(tables)}, sql, {"unfold": unfold}).cast(PARTS["spectra"])
