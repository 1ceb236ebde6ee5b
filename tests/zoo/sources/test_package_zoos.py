# ruff: noqa: E501 - the rows copied from the packages stand one a line
"""pytorchcv, torchvision and timm offline: how many, and twenty rows of each copied by hand from the packages."""

from __future__ import annotations

import math
import re
from collections import Counter

import pytest

from zoospectra.zoo.sources.packages import pytorchcv, timm, torchvision

CRAWLS = {"pytorchcv": pytorchcv.crawl, "torchvision": torchvision.crawl, "timm": timm.crawl}


def reported(model):
    return {(one.dataset, one.metric): (one.value, one.higher_is_better) for one in model.metrics}


@pytest.mark.parametrize(
    ("zoo", "least", "exactly"), [("pytorchcv", 590, 594), ("torchvision", 160, 166), ("timm", 1800, 1826)]
)
def test_counts(zoo, least, exactly):
    models = CRAWLS[zoo]()
    assert len(models) == exactly >= least
    assert len({model.model_id for model in models}) == exactly
    for model in models:
        assert model.zoo == zoo
        assert model.path == ""
        assert model.series
        assert model.revision
        assert model.model_id.startswith(f"{zoo}/{model.name}")
        assert model.weights_url
        assert model.weights_url.startswith("https://")
        assert all(math.isfinite(one.value) and one.source and one.text for one in model.metrics)
        assert len(reported(model)) == len(model.metrics)


def test_what_each_catalog_knows_about_every_model():
    models = {zoo: crawl() for zoo, crawl in CRAWLS.items()}
    licensed = {zoo: sum(model.licence is not None for model in found) for zoo, found in models.items()}
    assert licensed == {"pytorchcv": 594, "torchvision": 166, "timm": 1812}
    # RAFT and ProPainter have no data set in pytorchcv; timm's tags of language-vision towers name none.
    known = {zoo: sum(model.dataset is not None for model in found) for zoo, found in models.items()}
    assert known == {"pytorchcv": 590, "torchvision": 166, "timm": 1691}
    checksums = {zoo: sum("checksum" in model.extra for model in found) for zoo, found in models.items()}
    assert checksums["pytorchcv"] == 594
    assert checksums["torchvision"] == 162
    assert sum("hf_hub_id" in model.extra for model in models["timm"]) == 1807
    assert sum(bool(model.metrics) for model in models["pytorchcv"]) == 589
    assert {model.revision for model in models["torchvision"] if not model.metrics} == {"IMAGENET1K_FEATURES"}


# name, sha1[:8], release tag, error_value, series, data set, numbers; from model_metainfos.csv and the README's tables
PYTORCHCV = [
    ("alexnet", "2768cdb3", "v0.0.481", "1664", "AlexNet", "imagenet-1k", {"top1_error": 38.50, "top5_error": 16.64}),
    ("bn_vgg16", "0f570b92", "v0.0.359", "0779", "VGG/BN-VGG", "imagenet-1k", {"top1_error": 25.72, "top5_error": 7.79}),
    ("resnet18", "77a56f15", "v0.0.478", "0896", "ResNet", "imagenet-1k", {"top1_error": 26.94, "top5_error": 8.96}),
    ("resnet152b", "2f420307", "v0.0.517", "0445", "ResNet", "imagenet-1k", {"top1_error": 19.01, "top5_error": 4.45}),
    ("preresnet50", "222ca73b", "v0.0.330", "0647", "PreResNet", "imagenet-1k", {"top1_error": 22.40, "top5_error": 6.47}),
    ("sepreresnet18", "cd3cc116", "v0.0.543", "0909", "SENet/SE-ResNet/SE-PreResNet/SE-ResNeXt", "imagenet-1k", {"top1_error": 27.43, "top5_error": 9.09}),
    ("densenet169", "44974a17", "v0.0.406", "0629", "DenseNet", "imagenet-1k", {"top1_error": 22.42, "top5_error": 6.29}),
    ("wrn50_2", "1e67b96c", "v0.0.520", "0626", "WRN", "imagenet-1k", {"top1_error": 22.25, "top5_error": 6.26}),
    ("squeezenet_v1_0", "afdbcf1a", "v0.0.128", "1766", "SqueezeNet/SqueezeResNet", "imagenet-1k", {"top1_error": 39.29, "top5_error": 17.66}),
    ("igcv3_w1", "12385791", "v0.0.243", "0920", "IGCV3", "imagenet-1k", {"top1_error": 27.91, "top5_error": 9.20}),
    ("efficientnet_b7b", "b9c5965a", "v0.0.403", "0322", "EfficientNet", "imagenet-1k", {"top1_error": 15.94, "top5_error": 3.22}),
    ("irevnet301", "d378865f", "v0.0.564", "0752", "i-RevNet", "imagenet-1k", {"top1_error": 24.31, "top5_error": 7.52}),
    ("resnet56_cifar10", "628c42a2", "v0.0.163", "0452", "ResNet", "cifar-10", {"top1_error": 4.52}),
    ("xdensenet40_2_k36_bc_cifar100", "6f68f83d", "v0.0.234", "2165", "X-DenseNet", "cifar-100", {"top1_error": 21.65}),
    ("pyramidnet200_a240_bn_cifar100", "087c02d6", "v0.0.317", "1609", "PyramidNet", "cifar-100", {"top1_error": 16.09}),
    ("ror3_164_svhn", "ff0d9af0", "v0.0.294", "0273", "RoR-3", "svhn", {"top1_error": 2.73}),
    ("resnet26_cub", "599ab467", "v0.0.345", "2316", "ResNet", "cub-200-2011", {"top1_error": 23.16}),
    ("fcn8sd_resnetd50b_ade20k", "e1dad8a1", "v0.0.299", "3339", "FCN-8s", "ade20k", {"miou": 33.39, "pixel_accuracy": 76.92}),
    ("pspnet_resnetd101b_cityscapes", "0a6efb49", "v0.0.297", "7172", "PSPNet", "cityscapes", {"miou": 71.72, "pixel_accuracy": 96.17}),
    ("bisenet_resnet18_celebamaskhq", "98affefd", "v0.0.462", "0000", "BiSeNet", "celebamask-hq", {}),
    ("ibppose_coco", "1958fe10", "v0.0.459", "6487", "IBPPose", "coco-keypoints", {"oks_ap": 64.87, "oks_ap50": 83.62, "oks_ap75": 70.13}),
]  # fmt: skip


@pytest.mark.parametrize("row", PYTORCHCV, ids=lambda row: row[0])
def test_pytorchcv_rows(row):
    name, sha, tag, error, family, dataset, numbers = row
    (model,) = (model for model in pytorchcv.crawl() if model.name == name)
    assert (model.revision, model.series, model.dataset, model.licence) == (sha, family, dataset, "MIT")
    assert model.model_id == f"pytorchcv/{name}/{sha}"
    assert (
        model.weights_url == f"https://github.com/osmr/imgclsmob/releases/download/{tag}/{name}-{error}-{sha}.pth.zip"
    )
    assert re.fullmatch(f"sha1:{sha}[0-9a-f]{{32}}", model.extra["checksum"])
    assert {one.metric: one.value for one in model.metrics} == numbers
    assert all(
        one.dataset == dataset and one.higher_is_better == (not one.metric.endswith("error")) for one in model.metrics
    )


def test_pytorchcv_word_error_rates_know_their_language():
    speech = {
        model.name: reported(model) for model in pytorchcv.crawl() if model.task == "automatic-speech-recognition"
    }
    assert len(speech) == 13
    assert speech["quartznet5x5_en_ls"] == {("mozilla-common-voice-6.1/en", "wer"): (44.69, False)}
    assert speech["jasperdr10x5_en_nr"] == {("mozilla-common-voice-6.1/en", "wer"): (17.92, False)}
    assert speech["quartznet15x5_ru34"] == {("mozilla-common-voice-6.1/ru", "wer"): (9.69, False)}


def test_pytorchcv_meanings_of_error_value_by_data_set():
    """The rows with weights and a number, by what it means: every table of the package that has one."""
    first = [model.metrics[0] for model in pytorchcv.crawl() if model.metrics]
    meanings = Counter((one.metric, one.higher_is_better) for one in first)
    assert meanings == {
        ("top5_error", False): 323,
        ("top1_error", False): 201 + 15,
        ("miou", True): 4 + 6 + 6 + 3 + 1,
        ("oks_ap", True): 17,
        ("wer", False): 13,
    }


def test_pytorchcv_number_and_readme_agree_wherever_both_speak():
    """error_value against the README's column of the same meaning, on every row: two sources of one package."""
    from importlib import metadata

    from zoospectra.zoo.sources.packages.snapshots import pytorchcv as package

    try:
        body = metadata.metadata("pytorchcv").get_payload()
    except metadata.PackageNotFoundError:
        pytest.skip("pytorchcv is not installed")
    shown = {
        model.name: {one.metric: one.value for one in model.metrics} for model in package.of_readme(body, "README")
    }
    compared = 0
    for model in pytorchcv.crawl():
        if model.metrics and model.name in shown:
            assert shown[model.name][model.metrics[0].metric] == model.metrics[0].value, model.name
            compared += 1
    assert compared == 589


def test_readmes_of_other_times_stand_side_by_side(shared):
    folder = shared / "reference" / "raw" / "imgclsmob"
    readmes = [
        {"path": str(folder / "pytorch-README.9c3f7bd7.md"), "commit": "9c3f7bd7", "date": "2021-01-08"},
        {"path": str(folder / "pytorch-README.9cd28477.md"), "commit": "9cd28477", "date": "2020-02-03"},
    ]
    models = pytorchcv.crawl(readmes=readmes)
    same = next(model for model in models if model.model_id == "pytorchcv/bn_vgg16/0f570b92")
    numbers = [(one.source_date, one.value) for one in same.metrics if one.metric == "top1_error"]
    assert numbers == [("2020-02-03", 25.72), ("2021-01-08", 25.72), ("2026-01-13", 25.72)]
    # resnet10 was trained again twice: three sets of weights are three models, the paper's being the first
    errors = {
        model.revision: [one.value for one in model.metrics if one.metric == "top1_error"]
        for model in models
        if model.name == "resnet10"
    }
    assert errors == {"67d9a618": [34.69], "cedc302c": [32.76], "88a5961b": [32.43]}
    old = next(model for model in models if model.model_id == "pytorchcv/resnet10/67d9a618")
    assert old.weights_url.endswith("/v0.0.248/resnet10-1436-67d9a618.pth.zip")
    assert old.extra["checksum"] == "sha1-prefix:67d9a618"
    segmented = [model for model in models if model.name == "fcn8sd_resnetd101b_coco"]  # two headings for one data set
    assert {(one.dataset, one.value) for model in segmented for one in model.metrics if one.metric == "miou"} == {
        ("coco-segmentation", 60.11)
    }
    assert not {one.dataset for model in models for one in model.metrics} & {"None", "unknown"}
    with pytest.raises(ValueError, match="cannot be read"):
        pytorchcv.crawl(readmes=[{"path": str(folder / "none.md")}])


# model, weights, file, parameters, series, data set, numbers; from get_weight(...).url and .meta
TORCHVISION = [
    ("alexnet", "IMAGENET1K_V1", "alexnet-owt-7be5be79.pth", 61100840, "alexnet", {"top1_accuracy": 56.522, "top5_accuracy": 79.066}),
    ("convnext_base", "IMAGENET1K_V1", "convnext_base-6075fbad.pth", 88591464, "convnext", {"top1_accuracy": 84.062, "top5_accuracy": 96.87}),
    ("densenet161", "IMAGENET1K_V1", "densenet161-8d451a50.pth", 28681000, "densenet", {"top1_accuracy": 77.138, "top5_accuracy": 93.56}),
    ("efficientnet_b0", "IMAGENET1K_V1", "efficientnet_b0_rwightman-7f5810bc.pth", 5288548, "efficientnet", {"top1_accuracy": 77.692, "top5_accuracy": 93.532}),
    ("efficientnet_v2_s", "IMAGENET1K_V1", "efficientnet_v2_s-dd5fe13b.pth", 21458488, "efficientnet_v2", {"top1_accuracy": 84.228, "top5_accuracy": 96.878}),
    ("inception_v3", "IMAGENET1K_V1", "inception_v3_google-0cc3c7bd.pth", 27161264, "inception_v3", {"top1_accuracy": 77.294, "top5_accuracy": 93.45}),
    ("mnasnet0_5", "IMAGENET1K_V1", "mnasnet0.5_top1_67.823-3ffadce67e.pth", 2218512, "mnasnet", {"top1_accuracy": 67.734, "top5_accuracy": 87.49}),
    ("mobilenet_v3_small", "IMAGENET1K_V1", "mobilenet_v3_small-047dcff4.pth", 2542856, "mobilenet_v3", {"top1_accuracy": 67.668, "top5_accuracy": 87.402}),
    ("regnet_y_16gf", "IMAGENET1K_SWAG_LINEAR_V1", "regnet_y_16gf_lc_swag-f3ec0043.pth", 83590140, "regnet_y", {"top1_accuracy": 83.976, "top5_accuracy": 97.244}),
    ("resnet18", "IMAGENET1K_V1", "resnet18-f37072fd.pth", 11689512, "resnet", {"top1_accuracy": 69.758, "top5_accuracy": 89.078}),
    ("resnet50", "IMAGENET1K_V2", "resnet50-11ad3fa6.pth", 25557032, "resnet", {"top1_accuracy": 80.858, "top5_accuracy": 95.434}),
    ("quantized_resnet50", "IMAGENET1K_FBGEMM_V2", "quantized/resnet50_fbgemm-23753f79.pth", 25557032, "quantized_resnet", {"top1_accuracy": 80.282, "top5_accuracy": 94.976}),
    ("resnext101_64x4d", "IMAGENET1K_V1", "resnext101_64x4d-173b62eb.pth", 83455272, "resnext", {"top1_accuracy": 83.246, "top5_accuracy": 96.454}),
    ("swin_v2_b", "IMAGENET1K_V1", "swin_v2_b-781e5279.pth", 87930848, "swin_v2", {"top1_accuracy": 84.112, "top5_accuracy": 96.864}),
    ("vgg16_bn", "IMAGENET1K_V1", "vgg16_bn-6c64b313.pth", 138365992, "vgg", {"top1_accuracy": 73.36, "top5_accuracy": 91.516}),
    ("vgg16", "IMAGENET1K_FEATURES", "vgg16_features-amdegroot-88682ab5.pth", 138357544, "vgg", {}),
    ("vit_h_14", "IMAGENET1K_SWAG_E2E_V1", "vit_h_14_swag-80465313.pth", 633470440, "vit", {"top1_accuracy": 88.552, "top5_accuracy": 98.694}),
    ("wide_resnet50_2", "IMAGENET1K_V1", "wide_resnet50_2-95faca4d.pth", 68883240, "wide_resnet", {"top1_accuracy": 78.468, "top5_accuracy": 94.086}),
    ("fasterrcnn_resnet50_fpn", "COCO_V1", "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth", 41755286, "fasterrcnn", {"box_map": 37.0}),
    ("maskrcnn_resnet50_fpn_v2", "COCO_V1", "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth", 46359409, "maskrcnn", {"box_map": 47.4, "mask_map": 41.8}),
    ("deeplabv3_resnet101", "COCO_WITH_VOC_LABELS_V1", "deeplabv3_resnet101_coco-586e9e4e.pth", 60996202, "deeplabv3", {"miou": 67.4, "pixel_accuracy": 92.4}),
    ("r3d_18", "KINETICS400_V1", "r3d_18-b3b3357e.pth", 33371472, "r3d", {"top1_accuracy": 63.2, "top5_accuracy": 83.479}),
]  # fmt: skip


@pytest.mark.parametrize("row", TORCHVISION, ids=lambda row: f"{row[0]}-{row[1]}")
def test_torchvision_rows(row):
    name, weights, file, parameters, family, numbers = row
    (model,) = (model for model in torchvision.crawl() if model.model_id == f"torchvision/{name}/{weights}")
    assert (model.series, model.extra["num_params"]) == (family, parameters)
    assert model.weights_url == f"https://download.pytorch.org/models/{file}"
    assert model.extra["checksum"] == f"sha256-prefix:{file.rpartition('-')[2].removesuffix('.pth')}"
    assert {one.metric: one.value for one in model.metrics} == numbers
    assert all(one.higher_is_better and one.source == "torchvision 0.28.0" for one in model.metrics)
    swag = "https://github.com/facebookresearch/SWAG/blob/main/LICENSE"
    assert model.licence == (swag if "SWAG" in weights else "BSD-3-Clause")


def test_torchvision_errors_of_optical_flow_are_better_when_lower():
    (model,) = (model for model in torchvision.crawl() if model.model_id == "torchvision/raft_small/C_T_V2")
    assert reported(model) == {
        ("sintel-train-cleanpass", "end_point_error"): (1.9901, False),
        ("sintel-train-finalpass", "end_point_error"): (3.2831, False),
        ("kitti-train", "end_point_error_per_image"): (7.5978, False),
        ("kitti-train", "fl_all"): (25.2369, False),
    }
    assert (model.task, model.dataset) == ("optical-flow", "chairs-things")


HUB = "https://huggingface.co/timm/{name}/resolve/main/model.safetensors"

# name, series, module, data set, licence, outputs, url where it is not the hub's; from get_pretrained_cfg(...)
TIMM = [
    ("resnet50.a1_in1k", "resnet", "resnet", "imagenet-1k", "apache-2.0", 1000, None),
    ("vgg11.tv_in1k", "vgg", "vgg", "imagenet-1k", "bsd-3-clause", 1000, None),
    ("vit_base_patch16_224.augreg_in21k", "vit", "vision_transformer", "imagenet-21k", "apache-2.0", 21843, None),
    ("vit_large_patch14_clip_224.openai", "vit_clip", "vision_transformer", "wit-400m", "apache-2.0", 768, None),
    ("convnext_base.fb_in22k_ft_in1k", "convnext", "convnext", "imagenet-1k", "apache-2.0", 1000, None),
    ("convnextv2_tiny.fcmae", "convnextv2", "convnext", "imagenet-1k", "cc-by-nc-4.0", 0, None),
    ("tf_efficientnetv2_s.in21k", "efficientnetv2", "efficientnet", "imagenet-21k", "apache-2.0", 21843, None),
    ("swinv2_base_window12_192.ms_in22k", "swinv2", "swin_transformer_v2", "imagenet-22k", "mit", 21841, None),
    ("regnety_160.swag_ft_in1k", "regnety", "regnet", "imagenet-1k", "cc-by-nc-4.0", 1000, None),
    ("legacy_seresnet18.in1k", "seresnet", "senet", "imagenet-1k", "apache-2.0", 1000, "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/seresnet18-4bb0ce65.pth"),
    ("vit_base_patch16_dinov3.lvd1689m", "vit_dinov3", "eva", "lvd-1689m", "dinov3-license", 0, None),
    ("gcvit_base.in1k", "gcvit", "gcvit", "imagenet-1k", "apache-2.0", 1000, "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights-morevit/gcvit_base_224_nvidia-f009139b.pth"),
    ("mobilenetv4_conv_small.e2400_r224_in1k", "mobilenetv4", "mobilenetv3", "imagenet-1k", "apache-2.0", 1000, None),
    ("densenet121.ra_in1k", "densenet", "densenet", "imagenet-1k", "apache-2.0", 1000, None),
    ("beit3_base_patch16_224.in22k_ft_in1k", "beit3", "vision_transformer", "imagenet-1k", "apache-2.0", 1000, None),
    ("samvit_base_patch16.sa1b", "samvit", "vision_transformer_sam", "sa-1b", "apache-2.0", 0, None),
    ("eva02_base_patch14_224.mim_in22k", "eva02", "eva", "imagenet-22k", "mit", 0, None),
    ("vit_huge_patch14_gap_224.in22k_ijepa", "vit", "vision_transformer", "imagenet-22k", "cc-by-nc-4.0", 0, "https://dl.fbaipublicfiles.com/ijepa/IN22K-vit.h.14-900e.pth.tar"),
    ("wide_resnet50_2.tv2_in1k", "wide_resnet", "resnet", "imagenet-1k", "bsd-3-clause", 1000, None),
    ("vit_so400m_patch14_siglip_384.webli", "vit_siglip", "vision_transformer", "webli", "apache-2.0", 0, None),
    ("resnetv2_50x1_bit.goog_in21k", "resnetv2", "resnetv2", "imagenet-21k", "apache-2.0", 21843, None),
    ("mixer_b16_224.goog_in21k_ft_in1k", "mixer", "mlp_mixer", "imagenet-1k", "apache-2.0", 1000, None),
]  # fmt: skip


@pytest.mark.parametrize("row", TIMM, ids=lambda row: row[0])
def test_timm_rows(row):
    name, family, module, dataset, licence, classes, elsewhere = row
    (model,) = (model for model in timm.crawl() if model.name == name)
    assert model.model_id == f"timm/{name}"
    assert (model.series, model.dataset, model.licence) == (family, dataset, licence)
    assert (model.extra["module"], model.extra["num_classes"]) == (module, classes)
    assert model.weights_url == (elsewhere or HUB.format(name=name))
    assert model.extra.get("hf_hub_id") == (None if elsewhere else f"timm/{name}")
    assert model.metrics == ()


def test_timm_checksums_belong_to_the_file_they_name():
    models = {model.name: model.extra for model in timm.crawl()}
    assert models["legacy_seresnet18.in1k"]["checksum"] == "sha256-prefix:4bb0ce65"
    assert "checksum" not in models["resnet50.a1_in1k"]
    assert models["resnet50.a1_in1k"]["origin_checksum"] == "sha256-prefix:14fe96d1"
    assert models["resnet50.a1_in1k"]["origin_url"].endswith("resnet50_a1_0-14fe96d1.pth")


HEADER = "model,top1,top1_err,top5,top5_err,param_count,img_size,crop_pct,interpolation\n"
# Rows of results-imagenet.csv and results-imagenet-real.csv at commit 0173a139
RESULTS = HEADER + (
    'eva_giant_patch14_560.m30m_ft_in22k_in1k,89.786,10.214,98.992,1.008,"1,014.45",560,1.000,bicubic\n'
    "cait_m36_384.fb_dist_in1k,86.060,13.940,97.730,2.270,271.22,384,1.000,bicubic\n"
    "a_model_of_the_past,80.000,20.000,95.000,5.000,1.00,224,1.000,bicubic\n"
)
REAL = HEADER.strip() + ",top1_diff,top5_diff,rank_diff\n" + (
    'eva_giant_patch14_560.m30m_ft_in22k_in1k,90.969,9.031,98.672,1.328,"1,014.45",560,1.000,bicubic,+1.183,-0.320,-1\n'
)  # fmt: skip


def test_timm_accuracies_come_from_results_files_with_their_commit_and_date(tmp_path):
    (tmp_path / "results-imagenet.csv").write_text(RESULTS)
    (tmp_path / "results-imagenet-real.csv").write_text(REAL)
    files = [
        {"path": str(tmp_path / "results-imagenet.csv"), "commit": "0173a139", "date": "2023-08-11"},
        {"path": str(tmp_path / "results-imagenet-real.csv"), "commit": "0173a139", "date": "2023-08-11"},
    ]
    models = {model.name: model for model in timm.crawl(results=files)}
    assert len(models) == 1826
    giant = models["eva_giant_patch14_560.m30m_ft_in22k_in1k"]
    assert reported(giant) == {
        ("imagenet-1k", "top1_accuracy"): (89.786, True),
        ("imagenet-1k", "top5_accuracy"): (98.992, True),
        ("imagenet-real", "top1_accuracy"): (90.969, True),
        ("imagenet-real", "top5_accuracy"): (98.672, True),
    }
    assert {(one.source, one.source_date) for one in giant.metrics} == {
        ("timm results results-imagenet.csv 0173a139", "2023-08-11"),
        ("timm results results-imagenet-real.csv 0173a139", "2023-08-11"),
    }
    assert reported(models["cait_m36_384.fb_dist_in1k"])[("imagenet-1k", "top1_accuracy")] == (86.06, True)
    assert sum(bool(model.metrics) for model in models.values()) == 2


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (HEADER + 'a,"1,014.45",0,"2,000.5",0,1,2,3,4\n', "results-imagenet.csv", {"top1": 1014.45, "top5": 2000.5}),
        (HEADER + "a,good,1,2,3,4,5,6,7\n", "results-imagenet.csv", "line 2, top1: expected a number"),
        (HEADER + "a,nan,1,2,3,4,5,6,7\n", "results-imagenet.csv", "line 2, top1: expected a number"),
        ("model,acc\n", "results-imagenet.csv", "no column top1, top5"),
        (HEADER, "results-of-mine.csv", "which data set"),
    ],
)
def test_timm_results_numbers(tmp_path, content, name, said):
    path = tmp_path / name
    path.write_text(content)
    if isinstance(said, str):
        with pytest.raises(ValueError, match=said):
            timm.read_results(str(path))
    else:
        assert [one.value for one in timm.read_results(str(path))["a"]] == list(said.values())


@pytest.mark.parametrize("zoo", CRAWLS)
def test_an_unknown_version_lists_the_known_ones(zoo):
    with pytest.raises(ValueError, match=rf"no snapshot of {zoo} 0\.0\.1 .* known: \d"):
        CRAWLS[zoo](versions=["0.0.1"])
