"""Table 2 and the text's numbers on GPT and GPT2: plain means over matrices, with the filters that were really used.

GPT and GPT2-small leave out the token embedding and keep the position embedding; the larger ones leave out nothing,
though the caption says that embeddings are excluded. GPT has no data file: its printed averages stand for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from zoospectra.analysis.studies.record import Cell, Row, number

NAMES = {"gpt2 small": "GPT2-small", "gpt2 medium": "GPT2-medium", "gpt2 large": "GPT2-large", "gpt2 xl": "GPT2-xl"}
METRICS = ("log_norm", "log_spectral_norm", "alpha_weighted", "log_alpha_norm")
TOKEN_EMBEDDING = 1
"""layer_id of the token embedding."""
ROWS = "layer rows"
"""Basis of every number but GPT's."""
LARGEST = 3.5
"""The text's filter on log10 of the largest eigenvalue; it drops only the token embedding."""


def tables(slices: Sequence[Row], averages: Sequence[Row]) -> list[Cell]:
    """NC_T2, NC_T2_NO_EMBEDDING and NC_TEXT_GPT2, as far as the models are there."""
    found: list[Cell] = []
    found += _gpt(slices, averages)
    for name, label in NAMES.items():
        rows = [row for row in slices if row["name"] == name]
        if not rows:
            continue
        kept = [row for row in rows if label != "GPT2-small" or row["layer_id"] != TOKEN_EMBEDDING]
        found.append(Cell("NC_T2", label, "# matrices", float(len(kept)), len(kept), basis=ROWS))
        found += [_mean("NC_T2", label, metric, metric, kept) for metric in METRICS]
        blocks = [row for row in rows if row["layer_type"] != "embedding"]
        found += [_mean("NC_T2_NO_EMBEDDING", label, metric, metric, blocks) for metric in (*METRICS, "alpha")]
        found += _text(label, rows)
    return found


def _text(label: str, rows: Sequence[Row]) -> list[Cell]:
    if label == "GPT2-small":
        alphas = [value for row in rows if (value := number(row, "alpha")) is not None]
        return [
            _mean("NC_TEXT_GPT2", label, "alpha (Fig. legend 3.8)", "alpha", rows),
            Cell(
                "NC_TEXT_GPT2", label, "max alpha (text: all <= 6)", max(alphas, default=None), len(alphas), basis=ROWS
            ),
        ]
    small = [row for row in rows if (top := number(row, "log_spectral_norm")) is not None and top < LARGEST]
    return [
        _mean("NC_TEXT_GPT2", label, "alpha", "alpha", small),
        _mean("NC_TEXT_GPT2", label, "log_alpha_norm", "log_alpha_norm", small),
        _mean("NC_TEXT_GPT2", label, "log_spectral_norm", "log_spectral_norm", rows),
    ]


def _gpt(slices: Sequence[Row], averages: Sequence[Row]) -> list[Cell]:
    """GPT from its printed averages over all matrices and the token embedding's own row."""
    row = next((row for row in averages if row["name"] == "gpt"), None)
    token = next((row for row in slices if row["name"] == "gpt" and row["layer_id"] == TOKEN_EMBEDDING), None)
    count = None if row is None else number(row, "num_slices")
    if row is None or token is None or count is None:
        return []
    n = int(count)
    found = [Cell("NC_T2", "GPT", "# matrices", count - 1, n - 1, basis=row["basis"])]
    for metric in METRICS:
        mean, own = number(row, metric), number(token, metric)
        value = None if mean is None or own is None else (n * mean - own) / (n - 1)
        found.append(Cell("NC_T2", "GPT", metric, value, n - 1, basis=row["basis"]))
    alpha = number(row, "alpha")
    return [*found, Cell("NC_TEXT_GPT2", "GPT", "alpha (Fig. legend 4.6)", alpha, n, basis=row["basis"])]


def _mean(table_id: str, row: str, column: str, metric: str, rows: Sequence[Row]) -> Cell:
    values = [value for one in rows if (value := number(one, metric)) is not None]
    if not values:
        return Cell(table_id, row, column, None, 0, reason="no matrix has it")
    return Cell(table_id, row, column, sum(values) / len(values), len(values), basis=ROWS)
