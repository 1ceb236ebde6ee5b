"""OpenAI's first GPT as the paper's notebook printed it: no data file has it, so the printed numbers stand for it.

URL: https://github.com/CalculatedContent/ww-trends-2020, WeightWatcher-OpenAI-GPT.ipynb (weightwatcher 0.2.7)
Sample: averages over 50 matrices (48 of the blocks and both embeddings), and the largest value of each norm, which is
the token embedding's (40478 x 768).
"""

from __future__ import annotations

import hashlib
import json

from zoospectra.zoo.model import Model, Published, PublishedRow
from zoospectra.zoo.sources.tables.columns import PUBLISHED_2, SUCCESS

ORIGIN = "weightwatcher-0.2 output printed in WeightWatcher-OpenAI-GPT.ipynb"

AVERAGES: dict[str, float | None] = {
    "num_slices": 50.0,
    "norm": 55.67984390258789,
    "log_norm": 1.6584347486495972,
    "normX": 1241.87841796875,
    "alpha": 4.627440438800112,
    "alpha_weighted": 7.1476705584238776,
    "spectral_norm": 1147.7716064453125,
    "log_spectral_norm": 1.7785992622375488,
    "stable_rank": 51.86790797557598,
    "log_stable_rank": 1.5379734546455066,
    "log_alpha_norm": 7.416626346226539,
}
"""Means over 50 matrices, and their number."""

TOKEN_EMBEDDING: dict[str, int | float | str | None] = {
    "alpha": 2.99837,
    "norm": 435.2654113769531,
    "log_norm": 2.63875412940979,
    "spectral_norm": 51117.1953125,
    "log_spectral_norm": 4.708567142486572,
    "alpha_weighted": 14.118045321191138,
    "log_alpha_norm": 14.118298434606714,
    "status": SUCCESS,
    "warning": None,
}
"""The one matrix whose numbers are known: the maxima of the printed summary are all its own."""


def read(zoo: str) -> Model:
    """GPT as one published model with averages and one slice."""
    text = json.dumps([AVERAGES, TOKEN_EMBEDDING], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    row = PublishedRow(1, 0, "layer 1", "embedding", 40478, 768, 40478 / 768, 1, TOKEN_EMBEDDING)
    published = Published(ORIGIN, PUBLISHED_2, digest, (), (row,), AVERAGES)
    extra = {"origin": ORIGIN}
    note = "printed numbers"
    return Model(f"{zoo}/gpt", zoo, "gpt", digest, "", series="GPT", note=note, extra=extra, published=published)
