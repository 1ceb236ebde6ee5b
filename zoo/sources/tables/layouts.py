"""Metrics computed by others: WeightWatcher's details tables, and the data of the Nature Communications paper.

URL: https://github.com/CalculatedContent/WeightWatcher writes such tables; https://github.com/CalculatedContent/ww-trends-2020
is the paper's data, layout 'ww-trends': data/*.csv (details) with *.txt (averages), resnet-1k/, osmr/df_all.csv.
Licence: the publisher's; ww-trends-2020 states none, so its files stay where the user put them.
Sample row: 5,CONV2D,128,64,LEVEL.SLICE,...,alpha 1.65,alpha_weighted 2.15,log_spectral_norm 1.31,log_alpha_norm 2.78

Weights are not looked for: these models have rows, not tensors. Their extra column `origin` says so.
Not covered: deciding whether a table is right; the notes below say what is known to be wrong.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from zoospectra.zoo.model import Model, Published
from zoospectra.zoo.sources.tables import columns, details, table

TRENDS_SERIES = {"vgg": "VGG", "resnet": "ResNet", "densenet": "DenseNet", "gpt2": "GPT2"}
"""Beginning of a file's name in ww-trends -> series of the paper's first tables."""

BY_SHAPE = {"densenet161": "densenet201", "densenet169": "densenet161", "densenet201": "densenet169"}
"""Files of ww-trends whose shapes are another model's: 2208 inputs of the classifier are DenseNet-161's, and so on."""

EMBEDDINGS = {"gpt2": frozenset([1, 2])}
"""Beginning of a file's name in ww-trends -> layer_id of embeddings, which the table calls CONV1D."""

NORMALISED = 0.1
"""stable_rank * lam_max / norm^2 is 1 for a matrix; the means of the osmr runs lie above 0.26, but below 0.06 for those
whose X was divided by N (83 of 311)."""


def read(
    path: str, layout: str = "details", name: str = "published", reported: Sequence[Model] = ()
) -> tuple[Model, ...]:
    """Models with published rows, of a file or folder, in the order of its names.

    layout: 'details' is one details table, or a folder of them, a model each; 'ww-trends' the paper's data folder.
    `name` is the zoo's name; `reported` are models of a catalog (pytorchcv) whose series, data set and numbers the
    models of the same name take over. ValueError: unknown layout, no table, or a table that cannot be read.
    """
    if layout not in LAYOUTS:
        msg = f"unknown layout {layout!r} of published tables; known: {', '.join(LAYOUTS)}"
        raise ValueError(msg)
    root = Path(path)
    if not root.exists():
        msg = f"zoo.path={path}: no such file or folder; give a details table or a folder of them"
        raise ValueError(msg)
    models = tuple(LAYOUTS[layout](root, name, {model.name: model for model in reported}))
    if not models:
        msg = f"zoo.path={path} holds no table; expected files that end in {', '.join(table.READERS)}"
        raise ValueError(msg)
    names = [model.name for model in models]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"zoo.path={path}: two tables for {', '.join(twice[:5])}; keep one table a model"
        raise ValueError(msg)
    return models


def read_details(file: Path, zoo: str, name: str, note: str | None = None) -> Model:
    """One details table as a model; ValueError when it is none."""
    rows, digest = table.read(file)
    profile = columns.profile_of(rows[0])
    try:
        layers, slices = details.split(rows)
    except ValueError as error:
        msg = f"{file}: {error}"
        raise ValueError(msg) from error
    origin = f"{profile.removeprefix('published/')} details table {file.name}"
    return _model(zoo, name, Published(origin, profile, digest, layers, slices), note)


def _details(root: Path, zoo: str, reported: Mapping[str, Model]) -> Iterable[Model]:
    """A table, or every table of a folder and below it."""
    files = [root] if root.is_file() else sorted(file for file in root.rglob("*") if file.suffix in table.READERS)
    for file in files:
        name = file.stem if root.is_file() else file.relative_to(root).with_suffix("").as_posix()
        rows, _ = table.read(file)
        if "layer_id" in rows[0] or columns.profile_of(rows[0]) != columns.PUBLISHED_2:
            yield _reported(read_details(file, zoo, name), reported.get(file.stem))
        else:
            yield from read_averages(file, zoo, "" if root.is_file() else f"{name}/", reported)


def _trends(root: Path, zoo: str, reported: Mapping[str, Model]) -> Iterable[Model]:
    """The paper's data folder."""
    for file in sorted(root.glob("*.csv")):
        note = f"by its shapes this is {BY_SHAPE[file.stem]}" if file.stem in BY_SHAPE else None
        model = _with_averages(read_details(file, zoo, file.stem, note), file.with_suffix(".txt"))
        start = next((start for start in TRENDS_SERIES if file.stem.startswith(start)), "")
        extra = {**model.extra, "model_by_shape": BY_SHAPE.get(file.stem, file.stem)}
        dataset = None if start == "gpt2" else "imagenet-1k"
        model = _with_embeddings(model, EMBEDDINGS.get(start, frozenset()))
        yield replace(model, series=TRENDS_SERIES.get(start), dataset=dataset, extra=extra)
    for file in sorted((root / "resnet-1k").glob("*.csv")):
        model = _with_averages(read_details(file, zoo, f"resnet-1k/{file.stem}"), file.with_suffix(".txt"))
        yield replace(_reported(model, reported.get(file.stem)), series="ResNet-1K", dataset="imagenet-1k")
    if (root / "osmr" / "df_all.csv").is_file():
        yield from read_averages(root / "osmr" / "df_all.csv", zoo, "osmr/", reported)


def read_averages(file: Path, zoo: str, prefix: str, reported: Mapping[str, Model]) -> Iterable[Model]:
    """A table with one row of averages a model, named in its column 'modelname' or in the index; repeats must be equal.

    The osmr zoo of the paper is 311 models in 1017 rows. Each says whether its X was divided by N, see NORMALISED.
    ValueError: a row without a name, or two different rows of one model.
    """
    rows, digest = table.read(file)
    models: dict[str, dict[str, float | None]] = {}
    for row in rows:
        name = row.get("modelname", row.get(""))
        if not isinstance(name, str):
            msg = f"{file}: a row of averages has no name in the column modelname or the index: {str(row)[:200]}"
            raise ValueError(msg)
        values = _averages(row)
        if models.setdefault(name, values) != values:
            msg = f"{file}: two rows of {name} differ; expected repeats to be equal"
            raise ValueError(msg)
    for name, values in models.items():
        origin = f"weightwatcher-0.2 averages {file.name}, {'X divided by N' if _normalised(values) else 'X = W^T W'}"
        model = _model(zoo, f"{prefix}{name}", Published(origin, columns.PUBLISHED_2, digest, averages=values))
        extra = {**model.extra, "normalised": int(_normalised(values))}
        yield _reported(replace(model, extra=extra), reported.get(name))


def _normalised(values: Mapping[str, float | None]) -> bool:
    """True when X was divided by N: lam_max no longer fits the norm and the stable rank."""
    rank, largest, norm = (values.get(name) for name in ("stable_rank", "spectral_norm", "norm"))
    return bool(rank and largest and norm) and rank * largest / norm**2 < NORMALISED  # type: ignore[operator]


def _with_averages(model: Model, file: Path) -> Model:
    """A model with the averages that stand in a text file beside its table, a Python dictionary of numbers."""
    if not file.is_file():
        return model
    try:
        values = ast.literal_eval(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        msg = f"{file}: expected a dictionary of numbers, as WeightWatcher prints it: {error!r}"
        raise ValueError(msg) from error
    if not isinstance(values, dict):
        msg = f"{file}: expected a dictionary of numbers, got {type(values).__name__}"
        raise ValueError(msg)
    assert model.published is not None, model.model_id
    averages = _averages({str(key): table.plain(value) for key, value in values.items()})
    return replace(model, published=replace(model.published, averages=averages))


def _averages(row: Mapping[str, object]) -> dict[str, float | None]:
    """Model values in our names. A file that has a number under its old and its new name gives it once."""
    averages: dict[str, float | None] = {}
    for name, value in row.items():
        if name not in columns.NOT_METRICS and (value is None or isinstance(value, (int, float))):
            averages.setdefault(columns.ours(name), None if value is None else float(value))
    return averages


def _with_embeddings(model: Model, ids: frozenset[int]) -> Model:
    """A model with the layers of these ids called embeddings."""
    published = model.published
    assert published is not None, model.model_id
    layers, slices = (
        tuple(replace(row, layer_type="embedding") if row.layer_id in ids else row for row in rows)
        for rows in (published.layers, published.slices)
    )
    return replace(model, published=replace(published, layers=layers, slices=slices))


def _reported(model: Model, known: Model | None) -> Model:
    """A published model with what a catalog says about the model of the same name."""
    if known is None:
        return model
    return replace(model, series=known.series, dataset=known.dataset, task=known.task, metrics=known.metrics)


def _model(zoo: str, name: str, published: Published, note: str | None = None) -> Model:
    """A model without weights, pinned by the file that speaks about it."""
    extra = {"origin": published.origin}
    return Model(f"{zoo}/{name}", zoo, name, published.sha256, "", note=note, extra=extra, published=published)


LAYOUTS: dict[str, Callable[[Path, str, Mapping[str, Model]], Iterable[Model]]] = {
    "details": _details,
    "ww-trends": _trends,
}
"""Layout of a folder -> how it is read."""
