"""What is no weight: by name, by its neighbours, by its values; and what only looks so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.zoo.layers.opened import opened, opened_path
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.layers.buffers import buffer, fixed
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer

RNG = np.random.default_rng(0)

State = dict[str, torch.Tensor]

BUFFERS = """
    alphas_normal alphas_reduce betas_reduce arch_weights arch_parameters AP_path_alpha log_alpha lower_slope
    queue text_queue queue_l memory_bank memory_v1 memory anchors anchor_grid priors prior_boxes _w3j_1_1_2 wigner_D
    dct_m dct_matrix melW mel_basis mel_fb hann_window window pca_components pca_mean cos_cached freqs_cis sinusoid
    causal_mask head_mask tril noise_const noise_0 resample_filter filt sobel_x running_cov cluster_size ema_w coords
    grid temperature
"""
WEIGHTS = """
    weight kernel mask_token cls_token memory_embed anchor_proj queue.weight scale_shift_table U codebook
    relative_position_bias_table position_embeddings lora_A W_g in_proj_weight prior_net.weight stft_net.weight
"""


@pytest.mark.parametrize(
    "name",
    [
        "alphas_normal",
        "alphas_reduce",
        "betas_reduce",
        "arch_weights",
        "arch_parameters",
        "AP_path_alpha",
        "log_alpha",
        "lower_slope",
        "queue",
        "text_queue",
        "queue_l",
        "memory_bank",
        "memory_v1",
        "memory",
        "anchors",
        "anchor_grid",
        "priors",
        "prior_boxes",
        "_w3j_1_1_2",
        "wigner_D",
        "dct_m",
        "dct_matrix",
        "melW",
        "mel_basis",
        "mel_fb",
        "hann_window",
        "window",
        "pca_components",
        "pca_mean",
        "cos_cached",
        "freqs_cis",
        "sinusoid",
        "causal_mask",
        "head_mask",
        "tril",
        "noise_const",
        "noise_0",
        "resample_filter",
        "filt",
        "sobel_x",
        "running_cov",
        "cluster_size",
        "ema_w",
        "coords",
        "grid",
        "temperature",
    ],
)
def test_names_of_buffers(name: str) -> None:
    assert buffer(f"net.{name}", (16, 24), {}) is not None
    found, (skip,) = layers([TensorRef(f"net.{name}", "/x", "float32", (16, 24), None, 0, 0)])
    assert (found, skip.reason, skip.failed) == ([], "buffer", False)


@pytest.mark.parametrize(
    "name",
    [
        "weight",
        "kernel",
        "mask_token",
        "cls_token",
        "memory_embed",
        "anchor_proj",
        "queue.weight",
        "scale_shift_table",
        "U",
        "codebook",
        "relative_position_bias_table",
        "position_embeddings",
        "lora_A",
        "W_g",
        "in_proj_weight",
        "prior_net.weight",
        "stft_net.weight",
    ],
)
def test_names_that_only_look_so(name: str) -> None:
    assert buffer(f"net.{name}", (16, 24), {}) is None


@pytest.mark.parametrize("name", ["weight_scale", "scales", "zero_point", "qzeros", "weight_zero_point", "absmax"])
def test_scales_without_codes_are_no_layers(name: str) -> None:
    _, (skip,) = layers([TensorRef(f"net.{name}", "/x", "float32", (16, 24), None, 0, 0)])
    assert (skip.reason, skip.failed) == ("quantisation_part", False)


def test_tensors_of_a_spectrogram_are_fixed() -> None:
    assert buffer("extractor.stft.conv_real.weight", (513, 1, 1024), {}) is not None
    assert buffer("extractor.conv_real.weight", (513, 1, 1024), {}) is None


def test_a_spread_or_a_rounding_goes_with_its_weight() -> None:
    """Names of torchbnn, blitz, bayesian-torch, AdaRound, elastic weight consolidation, noisy nets."""
    shapes = dict.fromkeys(
        ("a.weight_mu", "a.weight_rho", "b.mu_kernel", "b.rho_kernel", "c.weight", "c.alpha"), (8, 9)
    )
    for name in ("a.weight_rho", "b.rho_kernel", "c.alpha"):
        assert buffer(name, (8, 9), shapes) is not None
    for name in ("a.weight_mu", "b.mu_kernel", "c.weight"):
        assert buffer(name, (8, 9), shapes) is None
    assert buffer("d.weight_rho", (8, 9), shapes) is None, "without the weight it may be one"


def layer_of(values: torch.Tensor, name: str, path: Path) -> Layer:
    torch.save({name: values}, path / "x.pt")
    (layer,) = opened_path(path / "x.pt")[0].values()
    return layer


def sinusoids(kind: str) -> np.ndarray:
    angles = np.arange(40)[:, None] / 100 ** (np.arange(8) / 8)
    if kind == "halves":
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    if kind == "quarters":
        return np.concatenate([f(a) for a in (angles[:, :4], angles[::-1, :4]) for f in (np.sin, np.cos)], axis=1)
    return np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(40, 16)


@pytest.mark.parametrize("kind", ["halves", "quarters", "side by side"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_sinusoids_are_told_by_their_values(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    values = torch.tensor(sinusoids(kind)).to(dtype)
    layer = layer_of(values, "encoder.embed_positions.weight", tmp_path)
    skip = fixed(layer, values.float().numpy())
    assert skip is not None
    assert (skip.reason, skip.failed) == ("buffer", False)
    assert fixed(layer, values.float().numpy() + RNG.normal(size=(40, 16)) * 0.1) is None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (RNG.integers(-8, 8, (32, 32)), Reason.UNSUPPORTED_QUANTISATION),
        (RNG.integers(-1, 2, (32, 32)), Reason.UNSUPPORTED_QUANTISATION),
        (RNG.integers(0, 2, (32, 32)), Reason.BUFFER),
        (np.array([[[[1, 0, -1], [2, 0, -2], [1, 0, -1]]]] * 2), Reason.BUFFER),
        (np.zeros((32, 32)), None),
        (np.ones((32, 32)), None),
        (np.eye(32), None),
        (RNG.normal(size=(32, 32)), None),
        (np.where(np.arange(1024).reshape(32, 32) < 1000, 3.0, 0.5), None),
    ],
)
def test_integers_in_a_float_type_are_no_weights(tmp_path: Path, values: np.ndarray, reason: Reason | None) -> None:
    tensor = torch.tensor(values).float()
    skip = fixed(layer_of(tensor, "fc.weight", tmp_path), tensor.numpy())
    assert (skip and skip.reason) == reason
    assert skip is None or skip.failed == (reason == Reason.UNSUPPORTED_QUANTISATION)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_numbers_too_large_for_fractions_are_no_codes(tmp_path: Path, dtype: torch.dtype) -> None:
    """Beyond 1 / epsilon every number of a type is an integer: weights of such a scale are weights."""
    weights = torch.tensor(RNG.normal(size=(32, 32)) / torch.finfo(dtype).eps * 20).to(dtype)
    values = weights.to(torch.float32 if dtype == torch.bfloat16 else dtype).numpy()
    assert (values == np.trunc(values)).mean() > 0.9
    assert fixed(layer_of(weights.sign() * weights.abs().ceil(), "fc.weight", tmp_path), np.trunc(values)) is None
    codes = torch.tensor(RNG.integers(-127, 128, (32, 32))).to(dtype)
    skip = fixed(layer_of(codes, "fc.weight", tmp_path), codes.float().numpy())
    assert skip is not None
    assert skip.failed


def test_an_adapters_gains_need_the_base(tmp_path: Path) -> None:
    tensors = {"m.k_proj.ia3_l": np.ones((16, 1), np.float32), "m.q.lora_magnitude_vector": np.ones(16, np.float32)}
    _, skips = opened(tmp_path, tensors)
    assert {(skip.reason, skip.failed) for skip in skips.values()} == {("lora_factor", False)}
    assert all("needs the base" in skip.detail for skip in skips.values())


@pytest.mark.parametrize(
    ("state", "layers_", "training"),
    [
        (lambda m: {f"exp_avg.{n}": v + 1 for n, v in m.items()}, ["fc"], 1),
        (lambda m: {f"{n}.grad": v + 1 for n, v in m.items()}, ["fc"], 1),
        (lambda m: {"optim.state.0.exp_avg_sq": torch.rand(32, 64)}, ["fc"], 1),
        (lambda m: {"grad": torch.rand(32, 64)}, ["fc", "grad"], 0),  # beside nothing: a layer of that name
    ],
)
def test_state_of_training_among_weights_is_no_layer(
    tmp_path: Path,
    state: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]],
    layers_: list[str],
    training: int,
) -> None:
    model = {"fc.weight": torch.randn(32, 64)}
    found, skips = opened(tmp_path, {**model, **state(model)})
    assert list(found) == layers_
    assert sum(skip.reason is Reason.OPTIMIZER_STATE for skip in skips.values()) == training


def test_the_mean_of_a_weight_is_the_weight(tmp_path: Path) -> None:
    """SWAG's spread, of the same or of another shape, goes with it."""
    mean = torch.randn(32, 64)
    state = {"fc.weight_mean": mean, "fc.weight_sq_mean": mean**2, "fc.weight_cov_mat_sqrt": torch.randn(20, 2048)}
    found, skips = opened(tmp_path, state)
    assert list(found) == ["fc.weight_mean"]
    assert {skip.reason for skip in skips.values()} == {Reason.BUFFER}


def test_what_stands_beside_a_weight_is_no_layer(tmp_path: Path) -> None:
    """Observers of quantisation-aware training, steps and gains of one number an output, scores beside a mask."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(20, 30))
    net.train()
    qat = torch.ao.quantization
    net.qconfig = qat.QConfig(qat.HistogramObserver.with_args(), qat.default_per_channel_weight_fake_quant)
    prepared = qat.prepare_qat(net)
    prepared(torch.randn(4, 20))
    state = prepared.state_dict()
    state |= {
        "0.alpha": torch.rand(30, 1),
        "0.activation_post_process.ranges": torch.rand(30, 2),
        "1.weight": torch.randn(30, 20),
        "1.mask": (torch.rand(30, 20) > 0.5).float(),
        "1.weight_scores": torch.randn(30, 20),
        "2.weight_quant.tensor_quant.scaling_impl.value": torch.rand(30, 1),
    }
    torch.save(state, tmp_path / "x.pt")
    found, skips = opened_path(tmp_path / "x.pt")
    assert list(found) == ["0", "1"]
    assert not any(skip.failed for skip in skips.values())


def test_product_quantisation_is_refused_with_its_centroids(tmp_path: Path) -> None:
    state = {
        "l.centroids": torch.randn(256, 8),
        "l.assignments": torch.randint(0, 256, (900,)),
        "l.bias": torch.ones(3),
    }
    found, skips = opened(tmp_path, state)
    assert not found
    assert (skips["l.assignments"].reason, skips["l.assignments"].failed) == (Reason.UNSUPPORTED_QUANTISATION, True)
    assert skips["l.centroids"].reason is Reason.QUANTISATION_PART
