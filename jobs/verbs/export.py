"""`zoospectra export MODEL what=...`: recipes for other tools, from stored spectra; no weights are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.words.verb import Positional, Verb
from zoospectra.jobs.work.export import RECIPES, Amounts
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    from zoospectra.jobs.words.command import Configuration
    from zoospectra.jobs.work.export import Matrix

HELP = f"""usage: zoospectra export MODEL what={"|".join(RECIPES)} [amounts.KEY=VALUE ...] [warehouse.dir=DIR] > FILE

Writes to standard output what another tool reads, from the stored spectra of a model's dense layers:
spectrum        YAML for axolotl: train the amounts.top=50 percent of each kind with most signal (Spectrum)
pruning         JSON, ratio a module: amounts.sparsity=0.5, amounts.epsilon=0.3 (AlphaPruning)
learning_rates  JSON, rate a module: amounts.rate=1e-4 times amounts.low=0.5 to amounts.high=1.5 (TempBalance)
decays          JSON, weight decay a module: the same numbers (AlphaDecay)
bits            JSON, bits a module: amounts.bits=4 on average (equal error everywhere)
ranks           JSON for peft's LoraConfig: ranks that keep amounts.energy=0.9 of a norm (sv_fro)"""


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """Values of `export`."""

    model: str
    """A model_id."""
    what: str = "spectrum"
    """Which recipe, a key of RECIPES."""
    amounts: Amounts = field(default_factory=Amounts)
    """How much of what."""
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)

    def __post_init__(self) -> None:
        """Refuse an unknown recipe and amounts that mean nothing."""
        if self.what not in RECIPES:
            msg = f"what={self.what}: expected one of {', '.join(RECIPES)}"
            raise ValueError(msg)
        for name, most in (("top", 100.0), ("sparsity", 1.0), ("epsilon", 1.0), ("energy", 1.0)):
            if not 0.0 < getattr(self.amounts, name) <= most:
                msg = f"amounts.{name}={getattr(self.amounts, name):g}: expected above 0, at most {most:g}"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Request:
    """A recipe that can be written."""

    settings: ExportSettings
    """As composed."""
    layers: Sequence[Matrix]
    """Dense layers with their spectra."""


def check(settings: ExportSettings, _: Configuration) -> Request:
    """Layers of the model; ValueError where there are none."""
    from zoospectra.jobs.work.export import matrices

    return Request(settings, matrices(Path(settings.warehouse.dir), settings.model))


def export(request: Request) -> str:
    """The text."""
    return RECIPES[request.settings.what](request.layers, request.settings.amounts)


def show(text: str) -> None:
    """The text, as it is."""
    print(text, end="")


VERB = Verb(HELP, ExportSettings, check, export, show, positional=(Positional("model", "MODEL"),))
