"""Architecture series: which models are one family, the unit of per-group regressions. Three rules, one a catalog.

- pytorchcv: the first entry of the package's own 'List of implemented models' one of whose '/'-separated aliases begins
  the model's display name; failing that, of what follows a leading number and dash ('1.0-SqNxt-23'). The tables of
  "Predicting trends in the quality of state-of-the-art neural networks" (Nature Communications 2021) were made so.
- torchvision: the longest of the family names below that begins the model's name.
- timm: a known family or the letters that begin the architecture's name, see `of_timm`; its module stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MORE_ALIASES = {
    "SqueezeNext": "SqNxt",
    "DIA-ResNet": "DIA-PreResNet",
    "DarkNet Ref/Tiny/19": "DarkNet Tiny",
    "IBN-ResNet/IBN-ResNeXt/IBN-DenseNet": "IBN(b)-ResNet",
}
"""Display names that the list itself does not begin with, added as the published tables added them."""

TORCHVISION = (
    "alexnet", "convnext", "deeplabv3", "densenet", "efficientnet", "efficientnet_v2", "fasterrcnn", "fcn", "fcos",
    "googlenet", "inception_v3", "keypointrcnn", "lraspp", "maskrcnn", "maxvit", "mc3", "mnasnet", "mobilenet_v2",
    "mobilenet_v3", "mvit_v1", "mvit_v2", "quantized_googlenet", "quantized_inception_v3", "quantized_mobilenet_v2",
    "quantized_mobilenet_v3", "quantized_resnet", "quantized_resnext", "quantized_shufflenet_v2", "r2plus1d", "r3d",
    "raft", "regnet_x", "regnet_y", "resnet", "resnext", "retinanet", "s3d", "shufflenet_v2", "squeezenet", "ssd",
    "ssdlite", "swin", "swin3d", "swin_v2", "vgg", "vit", "wide_resnet",
)  # fmt: skip
"""Families of torchvision 0.28. As in the papers, VGG with batch norm is VGG, wide ResNets and ResNeXts stand alone."""

TIMM = (
    "beit3", "cs3darknet", "cs3edgenet", "cs3se_edgenet", "cs3sedarknet", "deepseek_vit", "deit3", "eca_botnext",
    "eca_halonext", "eca_nfnet", "eca_resnet", "eca_resnext", "ese_vovnet", "eva02", "gc_efficientnetv2", "gemma4_vit",
    "halo2botnet", "inception_next", "inception_resnet_v2", "inception_v3", "inception_v4", "lambda_resnet",
    "mobilenet_edgetpu_v2", "nf_regnet", "nf_resnet", "pvt_v2", "qwen3_vit", "res2net", "res2next", "sam2_hiera",
    "test_byobnet", "test_convnext", "test_efficientnet", "test_nfnet", "test_resnet", "test_vit", "tiny_vit",
    "wide_resnet",
)  # fmt: skip
"""Families of timm 1.0.31 whose name is more than leading letters and a version: longest first."""

RECIPES = (
    "clip", "siglip", "dinov2", "dinov3", "pe_core", "pe_lang", "pe_spatial", "sapiens2", "relpos", "srelpos", "mci",
    "rope",
)  # fmt: skip
"""Words that tell vision transformers of one shape but another block or pre-training apart."""


def listed(readme: str) -> tuple[str, ...]:
    """Entries of a README's 'List of implemented models', in its order, with the further aliases joined to them.

    ValueError when the text has no such list.
    """
    _, heading, rest = readme.partition("## List of implemented models")
    entries = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("- ")]
    if not heading or not entries:
        msg = "the text has no '## List of implemented models' with entries: not the README of pytorchcv"
        raise ValueError(msg)
    names = [re.split(r" \(\[?'", line[2:], maxsplit=1)[0].strip() for line in entries]
    return tuple(f"{name}/{MORE_ALIASES[name]}" if name in MORE_ALIASES else name for name in names)


def of_pytorchcv(display: str, entries: Sequence[str]) -> str | None:
    """Series of a display name such as 'SE-ResNet-50'; None when no entry of the list begins it."""
    for name in (display, re.sub(r"^[\d.]+-", "", display)):
        for entry in entries:
            if name.startswith(tuple(entry.split("/"))):
                return entry
    return None


def of_torchvision(name: str) -> str:
    """Series of a torchvision model; a name of no known family is a series of its own."""
    known = [family for family in TORCHVISION if name.startswith(family)]
    return max(known, key=len, default=name)


def of_timm(architecture: str) -> str:
    """Series of a timm architecture: a known family that begins its name, else its leading letters and version.

    A port's prefix is no family and no size is one: 'tf_efficientnetv2_s' is 'efficientnetv2', 'seresnext101_32x8d'
    'seresnext', 'swinv2_base_window8_256' 'swinv2', 'vit_base_patch16_224' 'vit'. Vision transformers of another
    recipe stand alone, whatever their size: 'vit_base_patch16_clip_224' is 'vit_clip'.
    """
    name = re.sub(r"^(tf|legacy|dm)_", "", architecture)
    known = [family for family in TIMM if name.startswith(family)]
    leading = re.match(r"[a-z]+(?:(?<=v)\d+)?", name)
    family = max(known, key=len, default=leading[0] if leading else name)
    recipe = re.search(rf"_({'|'.join(RECIPES)})(?=_|$)", name)
    return f"{family}_{recipe[1]}" if recipe and family in ("vit", "naflexvit") else family
