"""What is left to do of a catalog, by what a generation has: asked in pieces, so that memory does not grow with it."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.reader import Reader

TOGETHER = 20_000
"""Models that are asked for by one statement: 30 MB. Tables are in the order of models, and it reads a part of them."""

FRESH = -1
"""Number of listed layers of a model of which nothing is known."""


class ResultKind(NamedTuple):
    """What is kept of a tensor, as result_index names it."""

    unfold: str
    """Rule that made matrices of the tensor, or 'sketch'."""
    profile_key: str
    """Digest of a profile's values, 'sketch' or 'spectrum'."""
    code_version: str
    """Version of the code; '' for a spectrum of any."""


class Asked(NamedTuple):
    """What every layer of a model shall have, and what opens it again."""

    results: tuple[ResultKind, ...]
    """Metrics, sketch and spectra."""
    reader: str
    """Reader that shall have listed it."""
    retried: frozenset[str]
    """Reasons of skips that another run may overcome."""


class Listing(NamedTuple):
    """A model of a catalog."""

    model: ModelId
    """Which."""
    key: str
    """What an older version called the listing of its layers."""


@dataclass(slots=True)
class Progress:
    """What is left to do of a catalog."""

    unfinished: array[int] = field(default_factory=lambda: array("q"))
    """Positions of the models that lack something."""
    listed: array[int] = field(default_factory=lambda: array("q"))
    """How many layers are listed of each of these; FRESH where nothing is known."""
    layers: int = 0
    """Layers of all others."""
    skipped: int = 0
    """Their skips by rule, layers that filters left without a fit among them."""
    failed: int = 0
    """Their failures."""


PROGRESS = """
WITH layer AS (
    SELECT model_id, revision, count(*) AS layers
    FROM layers_history SEMI JOIN asked_models USING (model_id, revision)
    WHERE model_id BETWEEN $first AND $last GROUP BY ALL
),
done AS (
    SELECT model_id, revision, sum(covered) AS covered, sum(covered_filtered) AS filtered
    FROM coverage JOIN asked_results USING (unfold, profile_key, code_version)
    WHERE model_id BETWEEN $first AND $last GROUP BY ALL
),
skip AS (
    SELECT model_id, revision, count(*) FILTER (WHERE NOT failed) AS skipped, count(*) FILTER (WHERE failed) AS failed,
        bool_or(reason IN (SELECT unnest($retried))) AS retried
    FROM skipped_history SEMI JOIN asked_models USING (model_id, revision)
    WHERE model_id BETWEEN $first AND $last GROUP BY ALL
),
listing AS (
    FROM indexed WHERE model_id BETWEEN $first AND $last
),
model AS (
    SELECT a.n, coalesce(l.layers, 0) AS layers, coalesce(s.skipped, 0) + coalesce(d.filtered, 0) AS skipped,
        coalesce(s.failed, 0) AS failed, i.model_id IS NULL AND l.model_id IS NULL AND s.model_id IS NULL AS fresh,
        coalesce(i.listed_layers = coalesce(l.layers, 0), false) AND NOT coalesce(s.retried, false)
            AND coalesce(i.listed_skips, 0) <= coalesce(s.skipped, 0) + coalesce(s.failed, 0)
            AND coalesce(d.covered, 0) = coalesce(l.layers, 0) * $results AS finished
    FROM asked_models AS a
    LEFT JOIN listing AS i ON i.model_id = a.model_id AND i.revision = a.revision AND i.reader IN ($reader, a.key)
    LEFT JOIN layer AS l ON l.model_id = a.model_id AND l.revision = a.revision
    LEFT JOIN done AS d ON d.model_id = a.model_id AND d.revision = a.revision
    LEFT JOIN skip AS s ON s.model_id = a.model_id AND s.revision = a.revision
)
SELECT coalesce(list(n ORDER BY n) FILTER (WHERE NOT finished), []),
    coalesce(list(if(fresh, $fresh, layers) ORDER BY n) FILTER (WHERE NOT finished), []),
    coalesce(sum(layers) FILTER (WHERE finished), 0)::BIGINT,
    coalesce(sum(skipped) FILTER (WHERE finished), 0)::BIGINT, coalesce(sum(failed) FILTER (WHERE finished), 0)::BIGINT
FROM model
"""


def progress(reader: Reader | None, models: Iterable[Listing], asked: Asked) -> Progress:
    """Which of these models lack something; reader: None where there is no generation yet."""
    done, first = Progress(), 0
    results = zip(*asked.results, strict=True) if asked.results else ([], [], [])
    kinds = pa.table(dict(zip(ResultKind._fields, map(list, results), strict=True)))
    fixed = {"retried": sorted(asked.retried), "reader": asked.reader, "results": len(asked.results), "fresh": FRESH}
    waiting = iter(models)
    while chunk := list(itertools.islice(waiting, TOGETHER)):
        numbers = range(first, first + len(chunk))
        first += len(chunk)
        if reader is None:
            done.unfinished.extend(numbers)
            done.listed.extend(itertools.repeat(FRESH, len(chunk)))
            continue
        ids = [listing.model.model_id for listing in chunk]
        named = {"n": numbers, "key": [listing.key for listing in chunk], "model_id": ids}
        named["revision"] = [listing.model.revision for listing in chunk]
        ends = {"first": min(ids), "last": max(ids)}
        ((unfinished, listed, layers, skipped, failed),) = reader.rows(
            PROGRESS, fixed | ends, {"asked_models": pa.table(named), "asked_results": kinds}
        )
        done.unfinished.extend(unfinished)
        done.listed.extend(listed)
        done.layers, done.skipped, done.failed = done.layers + layers, done.skipped + skipped, done.failed + failed
    return done
