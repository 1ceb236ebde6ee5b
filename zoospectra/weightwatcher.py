"""WeightWatcher's calls with zoospectra behind them: change `import weightwatcher as ww` to this module, nothing else.

    import zoospectra.weightwatcher as ww
    watcher = ww.WeightWatcher(model=model)
    details = watcher.analyze()
    watcher.get_summary(details)

Rows, columns, names and numbers are those of WeightWatcher 0.7.7 to 1e-6, except where that is a defect; then a warning
of this module's logger says once what differs. Every such sentence is in docs/weightwatcher.md. Needs pandas.
Not covered: options that change what is computed beyond those of the signatures; they raise a ValueError that names our
call.
"""

# ruff: noqa: ANN401, N802, PLR0913, PLR0917 - names, arguments and kinds of models are WeightWatcher's

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoospectra._path import installed_first

with installed_first():
    import numpy as np
    import pandas as pd

    from zoospectra import _watched as watched
    from zoospectra._analyze import DETAILS, analyze_with, listed
    from zoospectra._watched import Watched, differs
    from zoospectra.analysis.distance import frobenius, overlap
    from zoospectra.analysis.profile import Profile
    from zoospectra.analysis.spectrum import spectrum
    from zoospectra.analysis.unfold import SHUFFLED, matrices
    from zoospectra.jobs.words.profiles import load_profiles
    from zoospectra.warehouse.identity import seed_of
    from zoospectra.zoo.layers.values import read_layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WeightWatcher"]

SUMMARY = (
    *("log_norm", "alpha", "alpha_weighted", "log_alpha_norm", "log_spectral_norm", "stable_rank"),
    "mp_softrank",
)
ERG_COLUMNS = ["detX_num", "num_ERG_spikes", "ERG_gap", "detX_val", "detX_val_unrescaled"]
NOISE = ["num_spikes", "sigma_mp", "mp_softrank", "bulk_max", "bulk_min"]
METHODS = ("raw", "euclidean", "cka")
SMOOTHINGS = {"detx": "detX_num", "lambda_min": "num_pl_spikes", "rmt": "num_spikes", "svd": None}
"""Method of SVDSmoothing -> the column that says how many singular values stay."""


class WeightWatcher:
    """A model, or a state dict, a Keras or ONNX model or a path, and WeightWatcher's questions about it."""

    def __init__(self, model: Any = None, framework: Any = None, base_model: Any = None, log_level: Any = None) -> None:
        watched.refuse({"base_model": base_model})
        self.model = model
        self.details: pd.DataFrame | None = None

    @installed_first()
    def analyze(
        self,
        model: Any = None,
        layers: Any = (),
        min_evals: int = 8,
        max_evals: int = 15000,
        max_N: int = 50000,
        plot: bool = False,
        mp_fit: bool = False,
        detX: bool = False,
        ERG: bool = False,
        start_ids: int = 0,
        **others: Any,
    ) -> pd.DataFrame:
        """Details: one row a layer that WeightWatcher reads, with its columns.

        Equivalent to `zoospectra.analyze(model).details()`, which has all layers. Raises ValueError for an option that
        has no counterpart here.
        """
        watched.refuse(others)
        if plot:
            differs("plot=True draws nothing here: zoospectra.analyze(model).plot(layer) does")
        methods = [*(["erg"] if detX or ERG else []), *(["marchenko_pastur"] if mp_fit else [])]
        if mp_fit:
            differs("mp_fit: the law is fitted exactly, without a grid, and num_spikes has a Tracy-Widom quantile")
        chosen_layers = self._chosen(model, layers, start_ids, (min_evals, max_evals, max_N))
        rows = {row["longname"]: row for row in self._measured(chosen_layers, methods, min_evals)}
        details = pd.DataFrame(
            [_detail(layer, rows[layer.longname]) for layer in chosen_layers if layer.longname in rows]
        )
        if len(details):
            more = [*(ERG_COLUMNS if detX or ERG else []), *(NOISE if mp_fit else [])]
            details = details.reindex(columns=[*DETAILS[:2], *sorted([*DETAILS[2:], *more])])
            if (details["status"] != "success").any():
                differs("a failed fit is NaN with its reason as status, and means leave it out; WeightWatcher has -1")
        self.details = details
        return details

    def get_details(self) -> pd.DataFrame | None:
        """What the last `analyze` returned."""
        return self.details

    def get_summary(self, details: pd.DataFrame | None = None) -> dict[str, float]:
        """Means over all rows of the details, embeddings too, as WeightWatcher has them.

        Equivalent to `zoospectra.analyze(model).summary()`, which leaves embeddings out as the papers do.
        """
        details = self.details if details is None else details
        columns = details.columns if details is not None else ()
        return {name: details[name].mean() for name in SUMMARY if details is not None and name in columns}

    @installed_first()
    def describe(
        self,
        model: Any = None,
        layers: Any = (),
        min_evals: int = 8,
        max_evals: int = 15000,
        max_N: int = 50000,
        start_ids: int = 0,
        **others: Any,
    ) -> pd.DataFrame:
        """Shapes of the layers that `analyze` would analyse. Equivalent to `zoospectra describe PATH`."""
        watched.refuse(others)
        chosen_layers = self._chosen(model, layers, start_ids, (min_evals, max_evals, max_N))
        columns = ["layer_id", "name", "M", "N", "Q", "layer_type", "longname", "num_evals", "rf"]
        rows = [{**layer._asdict(), "Q": layer.N / layer.M, "num_evals": layer.M * layer.rf} for layer in chosen_layers]
        return pd.DataFrame(rows, columns=columns)

    @installed_first()
    def get_ESD(
        self, model: Any = None, layer: Any = None, random: bool = False, params: Any = None
    ) -> NDArray[np.float64]:
        """Eigenvalues of W^T W of a layer by id or name, all slices together, ascending, unscaled.

        Equivalent to `zoospectra.analyze(model).esd(layer, raw=True)`. random: of a copy with shuffled elements, the
        same at every call. Raises ValueError for an unknown layer, where WeightWatcher returns [].
        """
        chosen, array, content_hash = self._values(model, layer)
        name = f"slices{SHUFFLED}0" if random else "slices"
        made = matrices(array, "conv2d" if array.ndim > 2 else chosen.layer_type, name, seed_of(content_hash))
        return np.sort(spectrum(made).evals, axis=None)

    @installed_first()
    def get_Weights(self, model: Any = None, layer: Any = None, params: Any = None) -> list[NDArray[Any]]:
        """The matrices of a layer by id or name, as stored: one, or one for every position of a kernel.

        Equivalent to `zoospectra.analyze(model).weights(layer)`. Raises ValueError for an unknown layer.
        """
        return _slices(self._values(model, layer)[1])

    @installed_first()
    def distances(
        self, model_1: Any, model_2: Any, method: str = "raw", layers: Any = (), start_ids: int = 0, **others: Any
    ) -> tuple[float, float, pd.DataFrame]:
        """Mean distance of weights, of biases, and one row a layer: 'raw', 'euclidean' or 'cka'.

        Equivalent to `zoospectra.distances(model_1, model_2, method=...)`. Raises ValueError for an unknown method.
        """
        watched.refuse(others)
        method = (method or "raw").lower()
        if method not in METHODS:
            msg = f"unknown method {method!r}: expected one of {', '.join(METHODS)}"
            raise ValueError(msg)
        if method == "cka":
            differs(
                "cka is WeightWatcher's, not centred: zoospectra.distances(a, b, method='cka') is the published one"
            )
        rows = []
        with listed(model_1) as first, listed(model_2) as second:
            others_by_name = {row["longname"]: layer for layer, row in second}
            by_name = {row["longname"]: layer for layer, row in first}
            for item in self._chosen(model_1, layers, start_ids, (0, 0, 0)):
                row = {"method": method, "layer_id": item.layer_id, "name": item.name}
                old, new = by_name[item.longname], others_by_name.get(item.longname)
                same = new is not None and new.shape == old.shape
                if not same:
                    differs("layers are matched by name; one without a partner of its shape has NaN")
                W1, W2 = (read_layer(old), read_layer(new)) if same and new is not None else (None, None)
                row["delta_W"] = _distance(W1, W2, method) if W1 is not None and W2 is not None else np.nan
                bias = watched.bias(model_1, item), watched.bias(model_2, item)
                raw = method == "raw" and bias[0] is not None and bias[1] is not None and len(bias[0]) == len(bias[1])
                row["delta_b"] = float(np.linalg.norm(bias[0] - bias[1])) if raw else 0.0  # type: ignore[operator]
                row |= {"M": item.M, "N": item.N, "b_shape": len(bias[0]) if raw else "unknown"}  # type: ignore[arg-type]
                rows.append(row | {"longname": item.longname})
        frame = pd.DataFrame(rows).set_index("layer_id")
        return float(frame["delta_W"].mean()), float(frame["delta_b"].mean()), frame

    @installed_first()
    def SVDSmoothing(
        self,
        model: Any = None,
        percent: float = 0.8,
        layers: Any = (),
        method: str = "detX",
        start_ids: int = 0,
        **others: Any,
    ) -> Any:
        """A copy of the model that keeps the largest singular values of every layer.

        method: how many: 'detX', 'lambda_min' (the fitted tail), 'rmt' (above the noise), or 'svd', the share `percent`
        of them, or all but the largest for a negative share. Raises ValueError for another method, and for a model that
        is neither a torch module nor a state dict.
        """
        watched.refuse({name: value for name, value in others.items() if name not in ("fit", "plot")})
        if method.lower() not in SMOOTHINGS:
            msg = f"unknown method {method!r}: expected one of detX, lambda_min, rmt, svd"
            raise ValueError(msg)
        chosen_layers = self._chosen(model, layers, start_ids, (8, 15000, 50000))
        column = SMOOTHINGS[method.lower()]
        if column is None:
            counts = {layer.longname: int(percent * layer.M * layer.rf) for layer in chosen_layers}
        else:
            methods = {"detX_num": ["erg"], "num_spikes": ["marchenko_pastur"]}.get(column, [])
            counts = {row["longname"]: row[column] or 0 for row in self._measured(chosen_layers, methods, 8)}
        return self._replaced(chosen_layers, counts)

    @installed_first()
    def SVDSharpness(self, model: Any = None, layers: Any = (), start_ids: int = 0, **others: Any) -> Any:
        """A copy of the model without the singular values that stick out of the noise of its shuffled copy.

        Raises ValueError for a model that is neither a torch module nor a state dict.
        """
        watched.refuse({name: value for name, value in others.items() if name != "plot"})
        chosen_layers = self._chosen(model, layers, start_ids, (8, 15000, 50000))
        measured = self._measured(chosen_layers, ["randomized"], 8)
        return self._replaced(chosen_layers, {row["longname"]: -int(row["rand_num_spikes"] or 0) for row in measured})

    def _chosen(self, model: Any, layers: Any, start_ids: int, limits: tuple[int, int, int]) -> list[Watched]:
        """The layers that WeightWatcher reads, within its limits of eigenvalues and sides, and that were asked for."""
        if model is not None:
            self.model = model
        if self.model is None:
            msg = "no model was given: expected one in this call or in WeightWatcher(...)"
            raise ValueError(msg)
        with listed(self.model) as chosen_layers:
            seen = watched.layers(self.model, [row for _, row in chosen_layers], start_ids)
        low, high, side = limits
        kept = [item for item in seen if low <= item.M * item.rf <= (high or np.inf) and not (side or np.inf) < item.N]
        return watched.chosen(kept, layers)

    def _measured(
        self, chosen_layers: Sequence[Watched], methods: Sequence[str], min_evals: int
    ) -> list[dict[str, Any]]:
        """Our rows of these layers."""
        (profile,) = load_profiles(["weightwatcher"])
        replicas = 1 if "randomized" in methods else 0
        methods = (*profile.methods, *methods)
        profile = replace(profile, methods=methods, min_evals=max(min_evals, 1), replicas=replicas)
        return _rows(self.model, profile, chosen_layers)

    def _values(self, model: Any, layer: Any) -> tuple[Watched, NDArray[Any], str]:
        """One layer, its values as stored, and their hash."""
        chosen_layers = watched.chosen(self._chosen(model, (), 0, (8, 15000, 50000)), [layer])
        if len(chosen_layers) != 1:
            msg = f"layer {layer!r}: expected the layer_id or name of one, see describe(); got {len(chosen_layers)}"
            raise ValueError(msg)
        with listed(self.model) as layers:
            for item, row in layers:
                if row["longname"] == chosen_layers[0].longname:
                    return chosen_layers[0], np.array(read_layer(item)), row["content_hash"]
        raise AssertionError(chosen_layers[0])

    def _replaced(self, chosen_layers: Sequence[Watched], counts: Mapping[str, int]) -> Any:
        """A copy of the model with so many singular values of each layer kept, or removed from the top if negative."""
        differs(
            "SVDSmoothing and SVDSharpness return a copy of the same types; the model that was given stays as it was"
        )
        copied = watched.state_of(copy.deepcopy(self.model))
        for layer in chosen_layers:
            weight = copied.weights[layer.longname]
            count = counts.get(layer.longname, 0)
            count = int(np.ceil(count / layer.rf)) if weight.ndim > 2 else count
            if count:
                copied.put(layer.longname, _truncated(weight, count))
        return copied.model


def _rows(model: object, profile: Profile, chosen_layers: Sequence[Watched]) -> list[dict[str, Any]]:
    names = [layer.longname for layer in chosen_layers]
    if not names:
        return []
    table = analyze_with(model, profile, names).layers.to_pylist()
    return [row for row in table if row["longname"] in names and row["outcome"] != "filtered"]


def _detail(layer: Watched, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of details: our numbers under WeightWatcher's identity."""
    own = {"layer_id": layer.layer_id, "name": layer.name, "layer_type": layer.layer_type, "has_esd": True}
    return {**row, **own, "warning": row["warning"] or ""}


def _slices(array: NDArray[Any]) -> list[NDArray[Any]]:
    """Matrices out x in of a tensor (out, in, *kernel)."""
    flat = array.reshape(*array.shape[:2], -1)
    return [flat[:, :, position] for position in range(flat.shape[2])]


def _distance(W1: NDArray[Any], W2: NDArray[Any], method: str) -> float:
    if method == "raw":
        return frobenius(W1, W2)
    pairs = zip(_slices(W1), _slices(W2), strict=True)
    values = [frobenius(a, b) if method == "euclidean" else overlap(a, b) for a, b in pairs]
    return float(np.mean([np.nan if value is None else value for value in values]))


def _truncated(weight: NDArray[Any], count: int) -> NDArray[Any]:
    """Every matrix of a tensor with its `count` largest singular values, or without the -count largest."""
    flat = weight.reshape(*weight.shape[:2], -1).astype(np.float64).transpose(2, 0, 1)
    U, s, Vt = np.linalg.svd(flat, full_matrices=False)
    s[:, slice(count, None) if count > 0 else slice(0, -count)] = 0.0
    return np.asarray(((U * s[:, None, :]) @ Vt).transpose(1, 2, 0).reshape(weight.shape))
