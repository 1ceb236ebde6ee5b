"""Worker side, second stage: weights or stored spectra in, Arrow tables out. Nothing shared is written here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from zoospectra.analysis.kernels.lowrank import product_spectrum
from zoospectra.analysis.layer import LayerAnalysis, analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import Spectrum
from zoospectra.analysis.spectrum import spectrum
from zoospectra.analysis.unfold import matrices
from zoospectra.jobs.records import rows
from zoospectra.jobs.work.plan import Item, Shard, needed
from zoospectra.jobs.work.seen import Seen, another, check_layer, look
from zoospectra.warehouse.identity import ResultId, seed_of
from zoospectra.warehouse.known import read_spectra
from zoospectra.zoo.checkpoint.mapped import reach
from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.values import read_factors, read_layer

NOTHING_READ: Mapping[str, AnyArray] = {}


class Done(NamedTuple):
    """One tensor that was analysed."""

    content_hash: str
    """Whose values."""
    bytes_read: int
    """Bytes of its weights; 0 where stored spectra were fitted."""


@dataclass(frozen=True, slots=True)
class Analysed:
    """Results of a shard, one Arrow table a kind of part; kinds without rows are absent."""

    tables: Mapping[str, pa.Table]
    """Kind of part -> table."""
    filtered: frozenset[ResultId]
    """What a profile's filters left without a fit."""
    done: tuple[Done, ...] = ()
    """What the results are of."""
    lacking: frozenset[str] = frozenset()
    """Content hashes whose stored spectra cannot be read any more, and whose weights are not at hand."""


def analyse(shard: Shard, values: Mapping[str, AnyArray] = NOTHING_READ) -> Analysed:
    """Spectra of what has none yet, then every profile's metrics; values: of contents that need not be read again."""
    stored = _stored(shard)
    spectra: list[rows.SpectrumOf] = []
    metrics: list[rows.MetricsOf] = []
    lacking = set()
    paths = {ref.path for item in shard.items if item.layer for ref in item.layer.refs}
    before = look(paths)
    names = needed(shard.profiles)
    ready: list[tuple[Item, dict[str, Spectrum]]] = []
    for item in shard.items:
        known = dict(stored.get(item.content_hash, ()))
        if item.layer is None and not known.keys() >= set(names):
            lacking.add(item.content_hash)
            continue
        missing = [name for name in names if name not in known]
        try:
            for unfold, computed in _spectra(item, missing, shard.device, values.get(item.content_hash)):
                spectra.append(rows.SpectrumOf(item.content_hash, unfold, computed))
                known[unfold] = computed
        except CheckpointError:
            _check_files(shard, before, look(paths))
            raise
        ready.append((item, known))
    # Fits once all spectra are there: what a step needs stays in the caches.
    for item, known in ready:
        for profile in shard.profiles:
            metrics.append(rows.MetricsOf(item.content_hash, profile, _metrics(item, profile, known)))
    _check_files(shard, before, look(paths))
    done = tuple(Done(item.content_hash, item.cost.bytes_read if item.layer else 0) for item, _ in ready)
    return Analysed(rows.results(spectra, metrics), rows.filtered(metrics), done, frozenset(lacking))


def _check_files(shard: Shard, before: Seen, after: Seen) -> None:
    """CheckpointError 'changed_meanwhile' when what was read is not what the content hashes are of."""
    for item in shard.items:
        if item.layer is not None and item.seen:
            if after != before:
                raise another(item.layer)
            check_layer(item.layer, item.content_hash, item.seen, after)


def without(analysed: Analysed, contents: Collection[str]) -> Analysed:
    """Results of all other contents. Pure."""
    if not contents:
        return analysed
    values = pa.array(sorted(contents), pa.string())
    tables = {}
    for kind, table in analysed.tables.items():
        left = table.filter(pc.invert(pc.is_in(table["content_hash"], value_set=values)))
        if len(left):
            tables[kind] = left
    return replace(
        analysed,
        tables=tables,
        filtered=frozenset(result for result in analysed.filtered if result.content_hash not in contents),
        done=tuple(each for each in analysed.done if each.content_hash not in contents),
    )


def _spectra(item: Item, missing: list[str], device: str, values: AnyArray | None) -> Iterator[tuple[str, Spectrum]]:
    """The raw spectra that are needed and not kept yet; the weights are read once at most."""
    if not missing:
        return
    assert item.layer is not None, "analyse passes over such items"
    factors = read_factors(item.layer) if "slices" in missing else None
    if factors is not None:  # whatever else is needed: an update of rank r has r eigenvalues, not min(N, M)
        yield "slices", product_spectrum(*factors)
        missing = [name for name in missing if name != "slices"]
    if missing:
        array = read_layer(item.layer) if values is None else reach(values)
        seed = seed_of(item.content_hash)
        for name in missing:
            yield name, spectrum(matrices(array, item.layer_type, name, seed), device)


def _stored(shard: Shard) -> dict[str, list[tuple[str, Spectrum]]]:
    """Spectra of the shard's items that are kept already, by content hash."""
    wanted: dict[Path, set[str]] = {}
    for item in shard.items:
        for _, path in item.stored:
            wanted.setdefault(path, set()).add(item.content_hash)
    return rows.spectra_records(read_spectra(wanted)) if wanted else {}


def _metrics(item: Item, profile: Profile, known: Mapping[str, Spectrum]) -> LayerAnalysis:
    own, *copies = (known[name] for name in profile.spectra)
    seed = seed_of(item.content_hash)
    return analyse_layer(own, item.layer_type, profile, dtype=item.dtype, shuffled=copies, seed=seed)
