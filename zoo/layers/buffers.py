"""What is surely no weight: buffers, fixed tables, state of training and parts of quantised weights.

Told in this order: by the tensor's own name (the last part, where it is not a module's 'weight'), by the module it is
in (a spectrogram's), by a sibling it belongs to (the spread of a Bayesian weight, the rounding of a quantised one), and
by its values (sinusoids, integers), which are looked at where a layer is read anyway. What only might be no weight is
none of this room's business. Not covered: which tensors make a packed weight (zoo.layers.packed), state dicts of
optimizers (zoo.checkpoint).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from zoospectra.zoo.checkpoint.moments import SURE
from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import Reason, Skip
from zoospectra.zoo.layers.layer import Layer

STATISTICS = re.compile(
    r"^(running_(mean|var)|moving_(mean|variance)|num_batches_tracked|inv_freq|rope_freqs|relative_position_index"
    r"|relative_coords_table|attn_mask|masked_bias|mask)$"
)
"""Own names of running statistics and fixed tables that are told whatever their shape is."""

OWN: dict[str, str] = {
    "a mask": r"(^|_)masks?$|^(mask|tril|triu|causal)(_(buffer|cache|matrix))?$",
    "a queue or memory bank": r"(^|_)queues?(_?\d+|_[a-z])?$|(^|_)banks?$"
    r"|(^|_)memory(_?banks?|_?\d+|_[a-z]{1,2}|_v_?\d)?$",
    "anchors or priors": r"(^|_)anchors?(_?(grid|points?|boxes|wh))?$|(^|_)(priors?|[dp]boxes|(prior|default)_?boxes)$"
    r"|^(grids?|strides?|cell_anchors|mesh(_?grid)?|prior_\w+)$",
    "parameters of an architecture search": r"(^|_)arch(itecture)?_?(params?|parameters?|weights?|alphas?|logits)"
    r"|^(alphas?|betas?)(_(normal|reduce|cells?|arch|ops?|path|edges?|down|up|same|network|\d+))*$|_path_(alpha|wb)$",
    "parameters of a relaxation": r"(^|_)lambdas?(_\d+)*$|(^|_)(alpha|beta|lambda|slope)_?maps?(_\d+)*$"
    r"|(^|_)relax\w*$|(^|_)(slopes?|log_?alpha|qz_?loga|loga|temperature|gumbel\w*)$",
    "a fixed table": r"(^|_)(w3j|wigner\w*|clebsch\w*|cg|sinusoids?|inv_freqs?|freqs?(_cis|_cos|_sin|_\w)?)(_\d+)*$"
    r"|(^|_)(cos|sin|cos_sin|sin_cos)(_(cached?|table|emb\w*))?$|(^|_)(i?(dct|dft|mdct)(_\w+)?|i?(fft|stft)\w*)$"
    r"|(^|_)mel(_?(basis|fb|filters?|filter_?banks?|banks?|mat(rix)?|w))?$"
    r"|(^|_)(fb|fbanks?|filter_?banks?|(forward|inverse)_basis|(\w+_)?windows?(_\w)?|lut|pca(_\w+)?|whitening(_\w+)?)$",
    "a fixed filter": r"^(filt|blur\w*|resample_filter\w*|(gauss\w*|laplac\w*|sobel\w*)(_\w+)?|haar\w*|i?dwt\w*"
    r"|noise_?(const|\d+)|color_matrix|rgb2\w+|\w+2rgb_matrix)$",
    "statistics": r"(^|_)(means?|stds?|vars?|variances?|avg|averages?|cov(ariance|_mat_sqrt)?|inv_std|cluster_size"
    r"|counts?)$|^ema_\w+$",
    "coordinates or indices": r"(^|_)(coords?(_table|_\w)?|index|indices|ids|perm(utation)?|edge_index)$",
}
"""What a tensor is -> its own name, in lower case; asked of tensors with two axes or more."""

QUANTISATION = re.compile(
    r"(^|_)(scales?|(scales?|zeros?)_and_\w+|zero_?points?|q?zeros|absmax|scb|scale_inv|amax|g_idx|suh|svh|scales?_\d"
    r"|(global|input|output|weight|[qkv])_scale\w*)$"
)
"""Own names of scales and zero points."""

TRAINED = re.compile(r"(^|_)(tokens?|embed\w*|emb|proj\w*|linear|query|queries|keys?|values?)(_|$)")
"""Words of an own name that say that it is trained after all: mask_token, memory_embed, grid_query."""

MEAN_WEIGHT = re.compile(r"^(weights?|kernel|w)_(mean|mu|loc)$")
"""Own names of the mean of a weight that is a distribution: what the net computes with."""

GAINS = re.compile(r"(^|[._])(lora_magnitude_vector(\.\w+)*|dora_scale|ia3_l(\.\w+)?)$")
"""Names of an adapter's gains: DoRA's magnitudes, IA3's scales of activations."""

OBSERVERS = re.compile(
    r"(^|\.)(activation_post_process|\w*fake_quant\w*|\w+_quant(izer)?|tensor_quant|\w*observers?)(_\d+)?(\.|$)"
)
"""Modules that watch, or round, what passes through them: what they keep are ranges and steps."""

GRADIENTS = frozenset({"grad", "grads", "gradient", "momentum", "velocity", "ema", "adam", "adam_1"})
"""What may follow the whole name of a tensor of the same shape."""

MODULES = frozenset(
    {"stft", "istft", "mfcc", "dct", "idct", "dwt", "idwt", "mel_scale", "melscale", "mel_basis", "mel_spectrogram"}
    | {"melspectrogram", "spectrogram", "spectrogram_extractor", "logmel_extractor", "mel_spec", "fbank", "blur_pool"}
)
"""Modules all of whose tensors are fixed."""

TRANSFORM = re.compile(r"_(real|imag|imaginary|re|im|cos|sin|layer|conv\w*|\d+)$")
"""What may follow the name of such a module: the two halves of a complex transform are modules of their own."""

SPREAD = r"rho|log_?sigma|sigma|log_?var|logvar|std|eps|epsilon|prior\w*"
COMPANION = re.compile(
    rf"^(?P<a>\w+?)_(?:{SPREAD}|grad|momentum|importance|fisher|ema|shadow|init(ial)?|old|prev\w*|backup|rewind|avg|sq_mean|scores?)$"
    rf"|^(?:{SPREAD})_(?P<b>\w+)$"
)
"""Own names of what stands beside a parameter and is none: 'a' or 'b' is the parameter's name."""

BESIDE = re.compile(
    rf"^(alphas?|betas?|v|h|round\w*|(\w+_)?scores?|importance|fisher|omega|grad|{SPREAD}|init\w*|old\w*|ema\w*)$"
)
"""Own names that are a companion where a 'weight' of the same shape is in the module (AdaRound, EWC)."""

MIN_CODES = 256
"""Elements from which integers in a float type are taken for codes; fewer are a fixed filter, such as Sobel's."""

BLOCK = 1 << 20
"""Elements that are looked at together: no temporary of a matrix's size."""

WHOLE = {"bfloat16": 2.0**8, "float16": 2.0**11, "float32": 2.0**24, "float64": 2.0**53}
"""Where a type's fractions end, an element: what is larger is an integer whatever it stands for, and tells nothing."""

SINUSOID = 1e-2
"""Furthest that sin^2 + cos^2 may be from 1, of a table in bfloat16."""


def buffer(name: str, shape: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]]) -> tuple[Reason, str] | None:
    """Why a tensor is surely no weight, by its name and its siblings' `shapes`; None when it may be one."""
    stored = re.sub(r":\d+$", "", name)
    name = stored.replace("/", ".")  # as TensorFlow and ONNX name a variable of a module
    module, _, own = name.rpartition(".")
    last = own.lower()
    kept = _of_training(stored, last, shape, shapes)
    if kept:
        return Reason.OPTIMIZER_STATE, f"{kept}: what an optimizer keeps of a parameter"
    if STATISTICS.search(last):
        return Reason.BUFFER, f"{own} of shape {_text(shape)}"
    if GAINS.search(name):
        what = "gains of IA3" if "ia3" in name else "magnitudes of DoRA"
        return Reason.LORA_FACTOR, f"{what}: the changed weight needs the base, which is another file"
    if len(shape) < 2:
        return None
    parts = module.lower().replace("-", "_").split(".")
    inside = next((part for part in parts if TRANSFORM.sub("", part) in MODULES), None)
    if inside:
        return Reason.BUFFER, f"part of a fixed transform: it is in {inside}"
    partner = _partner(module, last, shape, shapes)
    if partner:
        return Reason.BUFFER, f"stands beside {partner}, which is the weight"
    if last in ("vector_u", "weight_g", "g", "original0") and shape.count(1) >= len(shape) - 1:
        return Reason.BUFFER, "part of a normalised weight"
    plain = last in ("weight", "kernel") or "embed" in last
    if OBSERVERS.search(module.lower()) and not plain:
        return Reason.QUANTISATION_PART, f"{own} of shape {_text(shape)}: ranges or steps of an observer"
    beside = f"{module}.weight".removeprefix(".")
    if not plain and sum(size > 1 for size in shape) < 2 and len(shapes.get(beside, ())) > 1:
        return Reason.VECTOR, f"{own} of shape {_text(shape)}: one number an output of {beside}"
    # One number an output, a bias or a gain, is a vector whatever it is called.
    if (
        last in ("weight", "kernel")
        or MEAN_WEIGHT.search(last)
        or TRAINED.search(last)
        or sum(size > 1 for size in shape) < 2
    ):
        return None
    if QUANTISATION.search(last):
        return Reason.QUANTISATION_PART, f"{own} of shape {_text(shape)}: scales or zero points"
    kind = next((kind for kind, pattern in OWN.items() if re.search(pattern, last)), None)
    return (Reason.BUFFER, f"{kind}: {own} of shape {_text(shape)}") if kind else None


def _of_training(name: str, last: str, shape: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The word that makes a tensor of a flat file the state of training: 'exp_avg.fc.weight', 'fc.weight.grad'."""
    first, _, rest = name.partition(".")
    if last in SURE or (first in SURE and shapes.get(rest) == shape):
        return last if last in SURE else first
    return last if last in GRADIENTS and shapes.get(name[: -len(last) - 1]) == shape else ""


def _partner(module: str, last: str, shape: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """The parameter of the same shape that a tensor is a companion of."""
    match = COMPANION.match(last)
    stem = str(match["a"] or match["b"]) if match else "weight" if BESIDE.match(last) else ""
    names = [f"{module}.{form}".removeprefix(".") for form in (stem, f"{stem}_mu", f"{stem}_mean", f"mu_{stem}")]
    return next((name for name in names if stem and shapes.get(name) == shape), None)


def fixed(layer: Layer, values: AnyArray) -> Skip | None:
    """A Skip for a layer whose values show that it is no trained weight; None for every other one.

    Sinusoids are a quiet skip. Integers in a float type (all zeros aside, and permutations) are the codes of a
    quantised weight whose scales the file does not name: failed, for the weight is lost.
    """
    if layer.assembly is not None or values.ndim < 2:
        return None
    if values.ndim == 2 and (_sinusoids(values) or _sinusoids(values.T)):
        return Skip(layer.ref.name, Reason.BUFFER, "a table of sinusoids: sin^2 + cos^2 = 1 along its rows", False)
    if not _integers(values) or max(values.max(), -values.min()) > WHOLE.get(layer.dtype, np.inf):
        return None
    span = f"integers from {values.min():g} to {values.max():g} in {layer.dtype}"
    if values.size < MIN_CODES or set(np.unique(values)) <= {0, 1}:
        return Skip(layer.ref.name, Reason.BUFFER, f"{span}: a mask or a fixed filter", False)
    detail = f"{span}: codes of a quantised weight, whose scales the file does not name"
    return Skip(layer.ref.name, Reason.UNSUPPORTED_QUANTISATION, detail, True)


def _integers(values: AnyArray) -> bool:
    """Whether all values are integers, and neither all equal nor a permutation; a few thousand decide for most."""
    if values.dtype.kind != "f" or not float(values.item(0)).is_integer():
        return False
    first = values[: max(1, 4096 // max(1, values[0].size))]
    if not (first == np.trunc(first)).all() or values.min() == values.max():
        return False
    rows = max(1, BLOCK // max(1, values[0].size))
    if not all((part == np.trunc(part)).all() for part in np.split(values, range(rows, len(values), rows))):
        return False
    flat = values.reshape(len(values), -1)
    return not ((flat != 0).sum(axis=1).max() <= 1 and (flat != 0).sum(axis=0).max() <= 1)


def _sinusoids(values: AnyArray) -> bool:
    """Whether the columns of a matrix are pairs of a sine and a cosine: side by side, or halves (of halves)."""
    rows, columns = values.shape
    if rows < 8 or columns < 8 or columns % 2:
        return False
    pairs = [(values[:, 0::2], values[:, 1::2]), (values[:, : columns // 2], values[:, columns // 2 :])]
    if columns % 4 == 0:
        quarters = values.reshape(rows, 4, -1)
        pairs.append((quarters[:, 0::2], quarters[:, 1::2]))
    return any(_circle(a[:8, :64], b[:8, :64]) and _circle(a, b) for a, b in pairs)


def _circle(a: AnyArray, b: AnyArray) -> bool:
    return bool((np.abs(a.astype(np.float32) ** 2 + b.astype(np.float32) ** 2 - 1) < SINUSOID).all())


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
