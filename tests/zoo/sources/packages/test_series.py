"""Series rules: examples by hand, and the families of the published tables as the oracle."""

from __future__ import annotations

import csv
from collections import Counter

import pytest

from zoospectra.zoo.sources.packages import torchvision
from zoospectra.zoo.sources.packages.snapshots import pytorchcv, series


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("vgg11", "vgg"), ("vgg19_bn", "vgg"), ("resnet18", "resnet"), ("resnext50_32x4d", "resnext"),
        ("wide_resnet50_2", "wide_resnet"), ("efficientnet_b0", "efficientnet"),
        ("efficientnet_v2_s", "efficientnet_v2"), ("regnet_y_400mf", "regnet_y"), ("swin_t", "swin"),
        ("swin_v2_t", "swin_v2"), ("swin3d_b", "swin3d"), ("ssdlite320_mobilenet_v3_large", "ssdlite"),
        ("ssd300_vgg16", "ssd"), ("quantized_resnext101_64x4d", "quantized_resnext"), ("vit_h_14", "vit"),
        ("fcos_resnet50_fpn", "fcos"), ("brand_new_net", "brand_new_net"),
    ],
)  # fmt: skip
def test_torchvision_names(name, family):
    assert series.of_torchvision(name) == family


def test_every_torchvision_model_has_a_family_and_the_papers_groups_are_whole():
    models = torchvision.crawl()
    assert {model.series for model in models} == set(series.TORCHVISION)
    first = Counter(model.series for model in models if model.revision == "IMAGENET1K_V1")
    # The first table of the 2021 paper: 8 VGG, 5 ResNet, 4 DenseNet.
    assert (first["vgg"], first["resnet"], first["densenet"]) == (8, 5, 4)


@pytest.mark.parametrize(
    ("architecture", "family"),
    [
        ("resnet50", "resnet"), ("resnet50d", "resnet"), ("resnetv2_50x1_bit", "resnetv2"),
        ("wide_resnet50_2", "wide_resnet"),
        ("tf_efficientnetv2_s", "efficientnetv2"), ("tf_efficientnet_b0", "efficientnet"), ("dm_nfnet_f0", "nfnet"),
        ("legacy_seresnet18", "seresnet"), ("swinv2_base_window12_192", "swinv2"), ("vit_base_patch16_224", "vit"),
        ("vit_large_patch14_clip_224", "vit_clip"), ("vit_so400m_patch14_siglip_384", "vit_siglip"),
        ("vit_base_patch16_dinov3", "vit_dinov3"), ("eva02_base_patch14_clip_224", "eva02"),
        ("deit3_small_patch16_224", "deit3"),
        ("regnety_160", "regnety"), ("cs3se_edgenet_x", "cs3se_edgenet"), ("inception_next_tiny", "inception_next"),
    ],
)  # fmt: skip
def test_timm_architectures(architecture, family):
    assert series.of_timm(architecture) == family


def test_the_list_of_a_readme_is_read_in_order_and_gets_its_aliases():
    readme = "x\n## List of implemented models\n\n"
    readme += "- VGG/BN-VGG (['a'](u))\n- SqueezeNext (['b'](u))\n- WRN (['c'](u))\n\n## More\n- no\n"
    entries = series.listed(readme)
    assert entries == ("VGG/BN-VGG", "SqueezeNext/SqNxt", "WRN")
    assert series.of_pytorchcv("BN-VGG-11b", entries) == "VGG/BN-VGG"
    assert series.of_pytorchcv("1.0-SqNxt-23", entries) == "SqueezeNext/SqNxt"
    assert series.of_pytorchcv("WRN-20-10-1bit", entries) == "WRN"
    assert series.of_pytorchcv("AlexNet", entries) is None
    with pytest.raises(ValueError, match="List of implemented models"):
        series.listed("# some other README")


@pytest.mark.oracle
def test_the_published_families_and_errors_of_522_models(shared):
    """Families of the published tables and errors of two README snapshots, cell by cell."""
    reference = shared / "reference"
    folder = reference / "raw" / "imgclsmob"
    readmes = {"2021_01_08": "9c3f7bd7", "2020_02_03": "9cd28477"}
    found = {
        date: {
            model.name: model
            for model in pytorchcv.of_readme((folder / f"pytorch-README.{commit}.md").read_text(), "x")
        }
        for date, commit in readmes.items()
    }
    rows = list(csv.DictReader((reference / "osmr_reported_errors.csv").open()))
    assert len(rows) == 522
    for row in rows:
        assert found["2021_01_08"][row["model"]].series == row["family"], row
        for date, models in found.items():
            for metric in ("top1_error", "top5_error"):
                cell = row[f"{metric}_{date}"]
                if cell:
                    reported = {one.metric: one.value for one in models[row["model"]].metrics}
                    assert reported[metric] == float(cell), (row["model"], metric, date)
