"""The one contract of the warehouse: the Arrow schema of every kind of part, each column with its unit and meaning.

Extra columns may ride along in every kind (metrics of the analysis, hyperparameters of a catalog); they must
carry the same metadata, see `field`. Not covered: how parts are written (parts.py), made into tables (build.py).
Legend: W is N x M with N >= M; lam are the eigenvalues of W^T W.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

TEXT = pa.string()
INT = pa.int64()
REAL = pa.float64()
BOOL = pa.bool_()
SKETCH = pa.list_(pa.float32())
TIME = pa.timestamp("us")  # always UTC; with a zone DuckDB's fetchall would need pytz


class Meaning(NamedTuple):
    """What a column holds."""

    unit: str
    """'1', 'log10', 'count', 'text', ..."""
    comment: str
    """One line."""


def field(name: str, type_: pa.DataType, unit: str, comment: str, nullable: bool = True) -> pa.Field:
    """One column of the contract; unit is '1', 'log10', 'count', 'text', ...; keys are not nullable."""
    return pa.field(name, type_, nullable, {"unit": unit, "comment": comment})


def unit_and_comment(column: pa.Field) -> Meaning:
    """Unit and comment of a column; raises ValueError when its metadata lacks either."""
    metadata = column.metadata or {}
    unit, comment = metadata.get(b"unit", b"").decode(), metadata.get(b"comment", b"").decode()
    if not unit or not comment:
        msg = f"column {column.name!r} has no unit and comment in its metadata; make it with warehouse.schema.field"
        raise ValueError(msg)
    return Meaning(unit, comment)


WRITTEN = field("written", TIME, "UTC", "When this row's part was written; the newest part wins over an older one")

_MODEL = field("model_id", TEXT, "text", "Stable name of the model: zoo/name, see models", nullable=False)
_REVISION = field(
    "revision",
    TEXT,
    "text",
    "What pins the bytes: a commit, a tag, a sha256, or files- and that of the state of a large model's files",
    nullable=False,
)
_HASH = field("content_hash", TEXT, "hex", "Hash of the tensor's bytes, dtype and shape", nullable=False)
_UNFOLD = field("unfold", TEXT, "text", "Rule that made matrices of the tensor", nullable=False)
_CODE = field("code_version", TEXT, "text", "Version of the code that computed the row", nullable=False)
_SNAPSHOT = field("snapshot", TEXT, "hex", "Digest of the catalog this row comes from", nullable=False)
_N = field("N", INT, "count", "Larger side of a matrix of the layer")
_M = field("M", INT, "count", "Smaller side of a matrix of the layer")
_Q = field("Q", REAL, "1", "Aspect ratio N / M, at least 1")
_RF = field("rf", INT, "count", "Receptive field: number of slices of the layer, 1 for dense layers")
_SLICE = field("slice_id", INT, "index", "Slice of the layer, from 0 in C order of the kernel", nullable=False)
_RUN = field("run_id", TEXT, "text", "Run that wrote the row, see runs", nullable=False)

_METRIC_COLUMNS = (
    field("profile", TEXT, "text", "Name of the profile: scaling, pooling, filters and fit rule", nullable=False),
    field("profile_key", TEXT, "hex", "Digest of the profile's values", nullable=False),
    _CODE,
    _N,
    _M,
    _Q,
    _RF,
    field("num_evals", INT, "count", "Number of eigenvalues in the pooled spectrum"),
    field("alpha", REAL, "1", "Exponent of the power law fitted to the tail, rho(lam) ~ lam^-alpha"),
    field("D", REAL, "1", "Kolmogorov-Smirnov distance between tail and fitted law, 0 to 1"),
    field("sigma", REAL, "1", "Standard error of alpha, (alpha - 1) / sqrt(n_tail)"),
    field("xmin", REAL, "eigenvalue", "Start of the fitted tail"),
    field("xmax", REAL, "eigenvalue", "Largest eigenvalue of the fitted data"),
    field("num_pl_spikes", INT, "count", "Number of eigenvalues in the tail, lam >= xmin"),
    field("alpha_weighted", REAL, "log10", "alpha * log10 of the largest eigenvalue (alpha hat)"),
    field("log_alpha_norm", REAL, "log10", "log10 of sum lam^alpha, the alpha-Schatten norm"),
    field("log_norm", REAL, "log10", "log10 of the squared Frobenius norm, sum lam; the profile may redefine it"),
    field("log_spectral_norm", REAL, "log10", "log10 of the largest eigenvalue"),
    field("stable_rank", REAL, "1", "sum lam / largest lam"),
    field("entropy", REAL, "1", "Entropy of lam / sum lam, divided by ln of the rank"),
    field("outcome", TEXT, "text", "fit (it has an alpha), failed, or filtered (left out by a filter of the profile)"),
    field("filtered_by", TEXT, "text", "The filter of the profile that left it out: min_evals or min_M; else NULL"),
    field("status", TEXT, "text", "'success', or why there is no fit; every number of a failed fit is NULL"),
    field(
        "degenerate_tail",
        BOOL,
        "boolean",
        "Whether (xmax - xmin) / xmax is below 8 eps of the stored type: alpha is rounding, and kept by faithful "
        "profiles only; NULL where nothing was fitted",
    ),
    field("warning", TEXT, "text", "Advice on alpha: over-trained, under-trained, or NULL"),
    field(
        "left_out",
        TEXT,
        "text",
        "What the means of the profile (its left_out) leave out beside embeddings and parts of fused matrices: layer "
        "types, and degenerate_tail for fits that are rounding; separated by ', '",
    ),
)

_AVERAGED = frozenset(["alpha", "alpha_weighted", "log_alpha_norm", "log_norm", "log_spectral_norm", "stable_rank"])

PARTS: dict[str, pa.Schema] = {
    "models": pa.schema(
        [
            _SNAPSHOT,
            _MODEL,
            field("zoo", TEXT, "text", "Zoo the model belongs to"),
            field("name", TEXT, "text", "Name inside the zoo"),
            _REVISION,
            field("series", TEXT, "text", "Architecture family, the unit of per-group regressions"),
            field("dataset", TEXT, "text", "Data set the model was trained on"),
            field("task", TEXT, "text", "Task, such as image-classification"),
            field("weights_url", TEXT, "url", "Public address of the weights"),
            field("weights_sha256", TEXT, "hex", "sha256 of the weights file"),
            field("licence", TEXT, "text", "SPDX name or the catalog's own words"),
            field("note", TEXT, "text", "Free text of the catalog"),
            field("path", TEXT, "path", "Where the weights were when the catalog was read"),
        ]
    ),
    "reported_metrics": pa.schema(
        [
            _SNAPSHOT,
            _MODEL,
            _REVISION,
            field("dataset", TEXT, "text", "Data set the metric was measured on"),
            field("metric", TEXT, "text", "Name of the metric, such as top1_error"),
            field("value", REAL, "as reported", "The number, in the unit of its source"),
            field("higher_is_better", BOOL, "boolean", "Direction: true for accuracies, false for errors and losses"),
            field("source", TEXT, "text", "Who reported it"),
            field("source_date", TEXT, "ISO date", "Date of the source, when known"),
        ]
    ),
    "layers": pa.schema(
        [
            _MODEL,
            _REVISION,
            field("layer_id", INT, "index", "Position in the checkpoint, from 0", nullable=False),
            field("longname", TEXT, "text", "Module path, without a trailing .weight"),
            field("tensor", TEXT, "text", "Key of the stored tensor in the checkpoint"),
            field("layer_type", TEXT, "text", "dense, conv2d, embedding, ..."),
            field("group", TEXT, "text", "Role inside the block: q, k, v, o, gate, expert 3; NULL when unknown"),
            _N,
            _M,
            _Q,
            _RF,
            field("shape", pa.list_(INT), "count", "Shape of the stored tensor"),
            field("dtype", TEXT, "text", "Stored element type"),
            field("note", TEXT, "text", "What about its values is not known: scale unknown, ...; NULL when nothing"),
            field("params", INT, "count", "Elements of the stored tensor"),
            _HASH,
        ]
    ),
    "indexed": pa.schema(
        [
            _MODEL,
            _REVISION,
            field("reader", TEXT, "text", "Version of the reader that listed its layers, and key of the user's rules"),
            field("listed_layers", INT, "count", "Layers that it listed; NULL while a large model is read"),
            field("listed_skips", INT, "count", "Tensors that it left out"),
        ]
    ),
    "spectra": pa.schema(
        [
            _HASH,
            _UNFOLD,
            _SLICE,
            _N,
            _M,
            field("evals", pa.list_(REAL), "eigenvalue", "Raw eigenvalues of W^T W of this slice, ascending, unscaled"),
            field("method", TEXT, "text", "gram (float64 Gram matrix, eigenvalues) or svd (float64 singular values)"),
            field("device", TEXT, "text", "cpu or the device's name"),
            _CODE,
        ]
    ),
    "sketches": pa.schema(
        [
            _HASH,
            field("elements", INT, "count", "Elements of the layer's values; layers of equal count share a projection"),
            field("sketch", SKETCH, "weight", "Linear sketch of the values, 64 numbers; see analysis.sketch"),
            field("sketch_columns", SKETCH, "weight", "Of the sums over rows, centred: the same for any order of rows"),
            field(
                "sketch_rows", SKETCH, "weight", "Of the sums over columns, centred: the same for any order of columns"
            ),
            field("mean", REAL, "weight", "Mean of the values"),
            field("std", REAL, "weight", "Standard deviation of the values"),
            field("kurtosis", REAL, "1", "Fourth central moment / variance^2: 3 for a normal law; NULL for a constant"),
            field("min", REAL, "weight", "Smallest value"),
            field("max", REAL, "weight", "Largest value"),
            field("zeros", REAL, "1", "Share of elements that are 0"),
            field("repeats", REAL, "1", "Share of elements that repeat another among 256 neighbours, in 16 such runs"),
            field("non_finite", REAL, "1", "Share of elements that are NaN or infinite"),
            field("distinct", INT, "count", "Distinct values; 257 stands for 257 or more"),
            field("dead_rows", INT, "count", "Rows (first axis: outputs) that are all 0"),
            field("dead_columns", INT, "count", "Columns (second axis: inputs) that are all 0"),
            _CODE,
        ]
    ),
    "layer_metrics": pa.schema([_HASH, _UNFOLD, *_METRIC_COLUMNS]),
    "slice_metrics": pa.schema([_HASH, _UNFOLD, _SLICE, *_METRIC_COLUMNS]),
    "model_averages": pa.schema(
        [
            _MODEL,
            _REVISION,
            field("profile", TEXT, "text", "Name of the definitions that the table's author used", nullable=False),
            field("origin", TEXT, "text", "Who published the averages, and in which file"),
            field("rule", TEXT, "text", "What the averages are over, in the author's sense"),
            *(column for column in _METRIC_COLUMNS if column.name in _AVERAGED),
        ]
    ),
    "skipped": pa.schema(
        [
            _MODEL,
            _REVISION,
            field("tensor", TEXT, "text", "Tensor not analysed; NULL when the whole model was not"),
            field("reason", TEXT, "text", "Short stable code"),
            field("detail", TEXT, "text", "What was found and what to do"),
            field("failed", BOOL, "boolean", "True when something is wrong, false when a rule says so (bias, norm)"),
            field("added", BOOL, "boolean", "True when it stands beside the skips of the listing, NULL when it is one"),
        ]
    ),
    "kinship": pa.schema(
        [
            _MODEL,
            _REVISION,
            field("relative_id", TEXT, "text", "Model that it is compared with", nullable=False),
            field("relative_revision", TEXT, "text", "What pins the bytes of that", nullable=False),
            field(
                "verdict",
                TEXT,
                "text",
                "What it is of that: copy, permuted copy, quantised, fine-tuned, merged, independent or undetermined",
            ),
            field("matched", INT, "count", "Layers that have a partner: by bytes, name, role and block, or sketch"),
            field("of_layers", INT, "count", "Layers of the model that could have one"),
            field("cosine", REAL, "1", "Median over layers of the cosine of the two, by sketches"),
            field("distance", REAL, "1", "Median over layers of |W - W'| / |W'|, by sketches"),
            field("equal_bytes", REAL, "1", "Share of matched layers that have the same bytes"),
            field(
                "equal_spectra",
                REAL,
                "1",
                "Share of matched layers with one spectrum and other bytes: permuted, rotated",
            ),
            field("p_value", REAL, "1", "Chance of such cosines between unrelated models, by the zoo's own pairs"),
            field("p_adjusted", REAL, "1", "The same among all pairs that were tested (Benjamini and Hochberg)"),
            field("evidence", TEXT, "text", "The layers that say so, or the recipe"),
        ]
    ),
    "delta_metrics": pa.schema(
        [
            field("model_id", TEXT, "text", "What was compared: a model_id, or a path", nullable=False),
            field("base_id", TEXT, "text", "What it was compared with", nullable=False),
            field("longname", TEXT, "text", "Layer, of either"),
            field("layer_type", TEXT, "text", "dense, conv2d, embedding, ..."),
            field("content_hash", TEXT, "hex", "Hash of the layer's bytes, dtype and shape; NULL where it has none"),
            field("base_hash", TEXT, "hex", "The same of the base's layer"),
            field("profile", TEXT, "text", "Name of the profile that the difference was fitted under"),
            field("status", TEXT, "text", "compared, identical, or why it could not be"),
            field("distance", REAL, "1", "||W - W_base||_F / ||W_base||_F"),
            field("cosine", REAL, "1", "Cosine of W and W_base as vectors"),
            field("cka", REAL, "1", "Linear centred kernel alignment of W and W_base, mean over slices"),
            field("alpha", REAL, "1", "Exponent of the power law fitted to W - W_base"),
            field("log_norm", REAL, "log10", "log10 of the squared Frobenius norm of W - W_base"),
            field("log_spectral_norm", REAL, "log10", "log10 of the largest eigenvalue of W - W_base"),
            field("stable_rank", REAL, "1", "Stable rank of W - W_base"),
            field("entropy", REAL, "1", "Entropy of the eigenvalues of W - W_base, divided by ln of the rank"),
            field("snr", REAL, "1", "Signal / noise / largest singular value of W - W_base (Spectrum's), first slice"),
            field("energy_8", REAL, "1", "Share of the energy of W - W_base in its 8 largest eigenvalues"),
            field("evals", pa.list_(REAL), "eigenvalue", "Raw eigenvalues of W - W_base, all slices, ascending"),
        ]
    ),
    "families": pa.schema(
        [
            _MODEL,
            _REVISION,
            field("family", INT, "index", "Number of its family: models that are connected by kinship", nullable=False),
        ]
    ),
    "runs": pa.schema(
        [
            _RUN,
            field("started", TIME, "UTC", "Start of the run"),
            field("finished", TIME, "UTC", "End of the run; NULL when it never ended"),
            field("verb", TEXT, "text", "scan, catalog, refit, study"),
            field("zoo", TEXT, "text", "Zoo it worked on"),
            field("snapshot", TEXT, "hex", "Digest of the catalog it saw"),
            field("config", TEXT, "JSON", "Complete configuration"),
            field("versions", TEXT, "JSON", "Versions of the packages"),
            field("git_commit", TEXT, "hex", "Commit of the code, when known"),
            field("machine", TEXT, "JSON", "Where it ran: processors, memory, devices"),
            field("models", INT, "count", "Models in the plan"),
            field("layers", INT, "count", "Layers analysed"),
            field(
                "skipped",
                INT,
                "count",
                "Tensors and models skipped by rule, a layer that filters left out once a profile",
            ),
            field("failed", INT, "count", "Tensors and models that failed"),
            field("exit_status", INT, "code", "0 all done, 3 some failed, 2 wrong usage, 1 broke"),
        ]
    ),
    "study_results": pa.schema(
        [
            field("study", TEXT, "text", "Name of the study", nullable=False),
            field("table_id", TEXT, "text", "Table inside the study", nullable=False),
            field("row", TEXT, "text", "Row label of the cell"),
            field("column", TEXT, "text", "Column label of the cell"),
            field("value", REAL, "as labelled", "The computed number; NULL when undefined"),
            field("n", INT, "count", "Models behind the number"),
            field("published", REAL, "as labelled", "The published number it should be, when there is one"),
            field("verdict", TEXT, "text", "What the study says about the number: reproduces, differs, reversal, ..."),
            field("reason", TEXT, "text", "Why the number is missing, or what explains a difference"),
            field("basis", TEXT, "text", "Computed from: weights, layer rows, printed averages or typed numbers"),
            _RUN,
        ]
    ),
}

_OF_LAYER = frozenset({"model_id", "revision", "layer_id", "longname", "layer_type", "group", "counted", "latest"})
# Columns that the build adds beside a part's own: no extra column may take one of these names.
RESERVED: dict[str, frozenset[str]] = {
    "models": frozenset({"params", "first_seen", "last_seen", "latest"}),
    "reported_metrics": frozenset({"latest"}),
    "layers": frozenset({"latest"}),
    "skipped": frozenset({"latest"}),
    "model_averages": frozenset({"latest"}),
    "layer_metrics": _OF_LAYER,
    "slice_metrics": _OF_LAYER,
}
