"""The catalog of the digits zoo: makes what is missing, then says what every model is and what it scored.

When everything is there, only headers and hashes are read and neither torch nor scikit-learn is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zoospectra.zoo.model import Model, ReportedMetric
from zoospectra.zoo.sources.digits.population import DESIGN, Design, Recipe
from zoospectra.zoo.sources.digits.weights import read_metadata
from zoospectra.zoo.sources.digits.workshop import Progress, make_missing, weights_path
from zoospectra.zoo.sources.fingerprint import file_sha256
from zoospectra.zoo.sources.record import Crawl, Source

ORIGIN = "measured by zoospectra"
LICENCE = "Apache-2.0"
NOTE = (
    "trained by zoospectra on scikit-learn's copy of the UCI optical digits (BSD-3-Clause): {train_images} training "
    "images, {noise:.0%} of their labels wrong on purpose and so counted in train_accuracy; test labels are true"
)
DIRECTIONS = {"train_accuracy": True, "test_accuracy": True, "train_loss": False, "test_loss": False}
"""Metrics stored with the weights (percent; nats), and whether higher is better."""
REPORT_EVERY = 18
"""Networks trained between two lines of progress: nine lines for the whole zoo."""


@dataclass(frozen=True, slots=True)
class DigitsOptions:
    """Options of `zoo=digits`."""

    workers: int | None = None
    """Training processes; None means one a core, 0 trains in the calling process."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 0:
            msg = f"workers={self.workers}: expected 0 (train in this process) or more, or null for one a core"
            raise ValueError(msg)


def crawl(
    cache_dir: Path,
    *,
    zoo: str = "digits",
    workers: int | None = None,
    progress: Progress | None = None,
    design: Design = DESIGN,
) -> tuple[Model, ...]:
    """Every model of the digits zoo, in the order of the design; trains the missing ones first (all: two CPU minutes).

    cache_dir: folder that holds, or will hold, one folder a design.
    zoo: first part of every model_id. workers, progress: see `workshop.make_missing`.
    Metrics: train and test accuracy (percent), their difference `generalisation_gap` (points; negative where the
    network resists the wrong labels), and losses (nats).
    Raises RuntimeError when a training process died.
    """
    folder = Path(cache_dir).absolute() / design.folder
    make_missing(folder, design.recipes, design.settings, workers=workers, progress=progress)
    return tuple(_model(weights_path(folder, recipe), recipe, design, zoo) for recipe in design.recipes)


def _model(path: Path, recipe: Recipe, design: Design, zoo: str) -> Model:
    metadata = read_metadata(path)
    if metadata is None:
        msg = f"{path} was removed or cut while the zoo was read: crawl again"
        raise RuntimeError(msg)
    digest = file_sha256(path)
    settings = design.settings
    return Model(
        model_id=f"{zoo}/{recipe.name}",
        zoo=zoo,
        name=recipe.name,
        revision=digest,
        path=str(path),
        series=recipe.series,
        dataset="digits",
        task="image-classification",
        weights_sha256=digest,
        licence=LICENCE,
        note=NOTE.format(train_images=settings.train_images, noise=settings.label_noise),
        metrics=_metrics(metadata),
        extra={
            "family": recipe.family,
            "depth": recipe.depth,
            "width": recipe.width,
            "init_scale": recipe.init_scale,
            "learning_rate": recipe.learning_rate,
            "batch_size": recipe.batch_size,
            "epochs": recipe.epochs,
            "dropout": recipe.dropout,
            "seed": recipe.seed,
        },
    )


def _metrics(metadata: dict[str, str]) -> tuple[ReportedMetric, ...]:
    values = {name: float(metadata[name]) for name in DIRECTIONS}
    gap = values["train_accuracy"] - values["test_accuracy"]
    measured = [ReportedMetric("digits", name, value, DIRECTIONS[name], ORIGIN) for name, value in values.items()]
    return (*measured, ReportedMetric("digits", "generalisation_gap", gap, higher_is_better=False, source=ORIGIN))


def _crawl(options: DigitsOptions, crawling: Crawl) -> tuple[Model, ...]:
    def progress(done: int, total: int, model: str) -> None:
        if done % REPORT_EVERY == 0 or done == total:
            crawling.report(f"trained {done} of {total}: {model}")

    if not (crawling.cache / DESIGN.folder).is_dir():
        crawling.report(f"{len(DESIGN.recipes)} networks are trained first, once: two minutes of processor time")
    return crawl(crawling.cache, zoo=crawling.zoo, workers=options.workers, progress=progress)


SOURCE = Source("digits", DigitsOptions, _crawl)
