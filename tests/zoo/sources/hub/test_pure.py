"""What is decided about the hub's words, without a server: values, directions, weight files, names."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.locator import Locator, locate, refused, sibling, text_of
from zoospectra.zoo.model import ReportedMetric
from zoospectra.zoo.sources.hub.query import HubOptions, parse_id
from zoospectra.zoo.sources.hub.reported import direction, reported
from zoospectra.zoo.sources.hub.value import number, words
from zoospectra.zoo.sources.hub.weights import Refusal, weights


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (0.812, 0.812),
        (3, 3.0),
        ("81.2%", 81.2),
        ("81.2 %", 81.2),
        ("20.0 +- 1.2", 20.0),
        ("20.0 ± 1.2", 20.0),
        ("1,014.45", 1014.45),
        ("12,345", 12345.0),
        ("0,81", 0.81),
        ("-3.5e-2", -0.035),
        ("−0.25", -0.25),
        ("~ 7", 7.0),
        ("score: 55.1", 55.1),
        ("top1", None),
        ("n/a", None),
        ("", None),
        ("nan", None),
        (float("nan"), None),
        (float("inf"), None),
        ("1e999", None),
        (True, None),
        (None, None),
        ([0.5], None),
        ({"value": 1}, None),
        (10**400, None),
    ],
)
def test_numbers_as_people_write_them(value: object, found: float | None) -> None:
    assert number(value) == found


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.booleans()))
def test_whatever_is_reported_gives_a_finite_number_or_none(value: object) -> None:
    found = number(value)
    assert found is None or math.isfinite(found)


def test_text_is_kept_when_it_says_more() -> None:
    assert (words("81.2%"), words(81.2), words("x" * 999)) == ("81.2%", None, "x" * 200)


@pytest.mark.parametrize(
    ("metric", "better"),
    [
        ("accuracy", True),
        ("Test WER", False),
        ("eval_loss", False),
        ("word_perplexity", False),
        ("rougeL", True),
        ("cos_sim_spearman", True),
        ("mean_squared_error", False),
        ("exact_match", True),
        ("mystery", None),
    ],
)
def test_directions_of_metrics(metric: str, better: bool | None) -> None:
    assert direction(metric) is better


INDEX = [
    {
        "name": "net",
        "results": [
            {
                "task": {"type": "text-classification"},
                "dataset": {"name": "GLUE MRPC", "type": "glue", "config": "mrpc", "split": "validation"},
                "metrics": [
                    {"type": "accuracy", "value": "81.2%", "verified": True},
                    {"type": "loss", "value": 0.5},
                    {"type": "f1", "value": "see paper"},
                    {"type": "mystery", "value": 3},
                ],
            },
            {"dataset": None, "metrics": [{"name": "Test WER", "value": "20.0 ± 1.2"}], "source": {"name": "Board"}},
            "nonsense",
            {"metrics": "none"},
        ],
    },
    7,
]
EVALUATIONS = [
    {"dataset": {"id": "cais/hle", "task_id": "default"}, "value": 20.9, "date": "2025-01-15T10:30:00Z"},
    {"data": {"dataset": {"id": "Idavidrein/gpqa", "task_id": "diamond"}, "value": "0.41"}, "verifyToken": "x"},
    {"error": "malformed", "filename": "x.yaml"},
    {"dataset": "none", "value": 1},
]


def test_everything_that_is_reported_has_its_source_and_its_words() -> None:
    rows, dropped = reported({"cardData": {"model-index": INDEX}, "evalResults": EVALUATIONS})
    assert rows == (
        ReportedMetric("glue/mrpc/validation", "accuracy", 81.2, True, "model-index, verified", None, "81.2%"),
        ReportedMetric("glue/mrpc/validation", "loss", 0.5, False, "model-index"),
        ReportedMetric("glue/mrpc/validation", "mystery", 3.0, True, "model-index; direction assumed"),
        ReportedMetric("unknown", "test wer", 20.0, False, "model-index (Board)", None, "20.0 ± 1.2"),
        ReportedMetric("cais/hle", "score", 20.9, True, "eval-results", "2025-01-15"),
        ReportedMetric("idavidrein/gpqa/diamond", "score", 0.41, True, "eval-results", None, "0.41"),
    )
    assert dropped == 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["results", "metrics", "dataset", "value", "type", "data"]), inner, max_size=4
            )
        ),
        max_leaves=20,
    )
)
def test_no_card_breaks_the_crawl(card: object) -> None:
    reported({"cardData": {"model-index": card}, "evalResults": card})


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["pytorch_model.bin", "model.safetensors", "tf_model.h5"], "model.safetensors"),
        (["model-00001-of-00002.safetensors", "model.safetensors.index.json"], "model.safetensors.index.json"),
        (["model.safetensors.index.json", "pytorch_model.bin"], "pytorch_model.bin"),
        (["pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"], "pytorch_model.bin.index.json"),
        (["training_args.bin", "weights.pt", "optimizer.pt"], "weights.pt"),
        (["tf_model.h5", "README.md"], "tf_model.h5"),
    ],
)
def test_which_file_is_the_weights(names: list[str], found: str) -> None:
    assert weights(names) == found


@pytest.mark.parametrize(
    ("names", "reason", "word"),
    [
        (["README.md", ".gitattributes"], "no_tensors", "no weights"),
        (["net-q4.gguf"], "unsupported_format", "GGUF"),
        (["adapter_model.safetensors", "adapter_config.json"], "unsupported_format", "adapter"),
        (["a.safetensors", "b.safetensors"], "unsupported_format", "which"),
        (["unet/model.safetensors", "vae/model.safetensors"], "unsupported_format", "sub-folders"),
        ([], "no_tensors", "0 files"),
    ],
)
def test_why_there_are_no_weights(names: list[str], reason: str, word: str) -> None:
    found = weights(names)
    assert isinstance(found, Refusal)
    assert found.reason == reason
    assert word in found.detail


@pytest.mark.parametrize("text", ["", "a/b/c", "../x", "a/..", "a b", "a/b@", "a/b@../x", "http://x", "a/b@x y", "é/b"])
def test_ids_are_judged_before_they_are_part_of_an_address(text: str) -> None:
    with pytest.raises(ValueError, match="author/name"):
        parse_id(text)


def test_a_search_has_a_bound() -> None:
    with pytest.raises(ValueError, match=r"^limit=null: expected a number, or one of author"):
        HubOptions(limit=None)
    with pytest.raises(ValueError, match=r"^sort='size': expected one of downloads"):
        HubOptions(sort="size")


@given(
    st.from_regex(r"[a-z]{1,8}(/[a-zA-Z0-9._ %?=-]{0,9}){0,3}", fullmatch=True),
    st.none() | st.from_regex(r"[0-9a-f]{6,64}", fullmatch=True),
    st.none() | st.integers(0, 1 << 60),
    st.booleans(),
)
def test_locators_survive_being_written_down(path: str, digest: str | None, size: int | None, unzip: bool) -> None:
    locator = Locator(f"https://host/{path}", sha256=digest, size=size, unzip=unzip)
    assert locate(text_of(locator)) == locator
    assert locator.key.isalnum()
    assert len(locator.suffix) <= 13
    assert not set(locator.suffix) & set("/\\\0")


@given(st.text(max_size=300))
def test_a_sibling_stays_in_its_folder(name: str) -> None:
    try:
        found = sibling("https://host/a/b/index.json", name)
    except FetchError:
        return
    assert found.startswith("https://host/a/b/")
    assert found.count("/") == 5
    assert not set(found) & set("?#\\")


@given(st.text(max_size=50))
def test_a_refusal_keeps_its_words(detail: str) -> None:
    with pytest.raises(FetchError) as caught:
        locate(refused("gated", detail.encode("utf-8", "replace").decode()))
    assert (caught.value.reason, caught.value.detail) == ("gated", detail.encode("utf-8", "replace").decode())
