"""Remote checkpoints: only headers and wanted ranges travel, whatever goes wrong is survived or a reason."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch

from tests.loopback import Loopback, Repo, Zeros
from tests.zoo.fetch import models
from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.read import content_hash, read
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.remote import is_remote, local, open_remote, prefetched
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.locator import refused
from zoospectra.zoo.fetch.session import Session

Fetching = Callable[..., Session]
HEADER = 4096
"""First guess at a header's length in these tests."""


def hub(server: Loopback, files: Mapping[str, bytes | Zeros], **fields: object) -> str:
    """Put a model on the server; the address of its files."""
    repo = Repo("author/net", {"config.json": b'{"model_type": "x"}', **files}, **fields)  # type: ignore[arg-type]
    server.content.repos.append(repo)
    return f"{server.url}/author/net/resolve/{repo.sha}/"


def opened(url: str) -> Checkpoint:
    return open_remote(url, open_checkpoint)


def header_bytes(data: bytes) -> int:
    return 8 + int(struct.unpack("<Q", data[:8])[0])


def values(array: AnyArray) -> AnyArray:
    return types.decode(array, "bfloat16") if array.dtype == models.BF16 else array


def weights_sent(server: Loopback) -> int:
    return sum(seen.sent for seen in server.log if seen.path.endswith(".safetensors"))


CASES = {
    "gpt2": lambda: {"model.safetensors": models.safetensors(models.gpt2())},
    "llama": lambda: models.sharded(models.llama(), 3),
    "mixtral": lambda: models.sharded(models.mixtral(), 2),
}
TENSORS = {"gpt2": models.gpt2, "llama": models.llama, "mixtral": models.mixtral}


@pytest.mark.parametrize("shape", CASES)
@pytest.mark.parametrize("with_cdn", [False, True])
def test_only_headers_and_wanted_ranges_travel(
    server: Loopback, fetching: Fetching, shape: str, with_cdn: bool
) -> None:
    fetching(header_guess=HEADER, coalesce_gap=0)
    files = CASES[shape]()
    with Loopback() as cdn:
        server.cdn = cdn if with_cdn else None
        base = hub(server, files)
        start = "model.safetensors" if shape == "gpt2" else "model.safetensors.index.json"
        checkpoint = opened(base + start)
        shards = [data for name, data in files.items() if name.endswith(".safetensors")]
        headers = sum(max(min(HEADER, len(data)), header_bytes(data)) for data in shards)
        source = cdn if with_cdn else server
        assert weights_sent(source) == headers
        tensors = TENSORS[shape]()
        assert [ref.name for ref in checkpoint.tensors] == list(tensors)

        wanted = [ref for ref in checkpoint.tensors if len(ref.shape) == 2 and re.search("mlp|experts", ref.name)]
        assert wanted
        for ref in wanted:
            np.testing.assert_array_equal(read(local(ref)), values(tensors[ref.name]))
            assert content_hash(local(ref)) == content_hash(local(ref))
        assert weights_sent(source) == headers + sum(ref.nbytes for ref in wanted)
        assert weights_sent(source) < sum(map(len, shards))
        assert all(is_remote(ref.path) for ref in checkpoint.tensors)


def test_neighbours_share_a_request_and_stay_ranges(server: Loopback, fetching: Fetching) -> None:
    fetching(header_guess=HEADER)
    tensors = models.gpt2()
    base = hub(server, {"model.safetensors": models.safetensors(tensors)})
    checkpoint = opened(base + "model.safetensors")
    wanted = [ref for ref in checkpoint.tensors if ref.name.startswith("h.") and len(ref.shape) == 2]
    before = len(server.requests(".safetensors"))
    for _ in range(2):
        assert list(prefetched(wanted)) == wanted
        for ref in wanted:
            np.testing.assert_array_equal(read(local(ref)), tensors[ref.name])
        assert len(server.requests(".safetensors")) == before + 1
    # Between the first and the last wanted matrix lie a few hundred bytes of biases and norms.
    waste = server.log[-1].sent - sum(ref.nbytes for ref in wanted)
    assert 0 < waste < 4096


def test_groups_are_fetched_one_at_a_time(server: Loopback, fetching: Fetching) -> None:
    fetching(header_guess=HEADER, coalesce_span=40_000)
    base = hub(server, models.sharded(models.llama(), 2))
    checkpoint = opened(base + "model.safetensors.index.json")
    before = len(server.log)
    coming = prefetched(checkpoint.tensors)
    assert len(server.log) == before
    next(coming)
    assert len(server.log) <= before + 1
    for ref in coming:
        read(local(ref))
    ranges = server.log[before:]
    assert 4 < len(ranges) < len(checkpoint.tensors)
    assert max(seen.sent for seen in ranges) <= 40_000


def test_trouble_of_a_group_is_left_to_its_tensors(server: Loopback, fetching: Fetching) -> None:
    fetching(header_guess=HEADER, attempts=1)
    tensors = models.gpt2()
    checkpoint = opened(hub(server, {"model.safetensors": models.safetensors(tensors)}) + "model.safetensors")
    server.script.add("*.safetensors", "status", 1, status=503)
    for ref in prefetched(checkpoint.tensors):
        np.testing.assert_array_equal(read(local(ref)), tensors[ref.name])


def test_the_same_tensor_has_the_same_hash_near_and_far(
    server: Loopback, fetching: Fetching, tmp_path_factory: pytest.TempPathFactory
) -> None:
    fetching()
    data = models.safetensors(models.llama())
    file = tmp_path_factory.mktemp("near") / "model.safetensors"
    file.write_bytes(data)
    far = opened(hub(server, {"model.safetensors": data}) + "model.safetensors").tensors
    near = open_checkpoint(str(file)).tensors
    assert [content_hash(local(ref)) for ref in far] == [content_hash(ref) for ref in near]


def test_a_long_header_takes_two_requests(server: Loopback, fetching: Fetching) -> None:
    fetching(header_guess=1000)
    data = models.safetensors(models.gpt2(), pad=200_000)
    checkpoint = opened(hub(server, {"model.safetensors": data}) + "model.safetensors")
    assert len(checkpoint.tensors) == len(models.gpt2())
    seen = server.requests(".safetensors")
    assert [one.range for one in seen] == ["bytes=0-999", f"bytes=1000-{header_bytes(data) - 1}"]


def test_a_header_is_read_once_a_node(server: Loopback, fetching: Fetching) -> None:
    fetching()
    base = hub(server, {"model.safetensors": models.safetensors(models.gpt2())})
    assert opened(base + "model.safetensors") == opened(base + "model.safetensors")
    assert len(server.requests(".safetensors")) == 1


FAULTS = {
    "429": ("status", {"status": 429, "headers": {"Retry-After": "0"}}),
    "429 with RateLimit": ("status", {"status": 429, "headers": {"RateLimit": '"resolvers";r=0;t=0'}}),
    "503": ("status", {"status": 503}),
    "cut": ("cut", {"after": 100}),
    "ignored Range": ("ignore_range", {}),
    "announces too much": ("length", {"after": 3}),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("request_number", [1, 2])
def test_each_fault_is_survived(server: Loopback, fetching: Fetching, fault: str, request_number: int) -> None:
    fetching(header_guess=HEADER)
    kind, values_ = FAULTS[fault]
    server.script.add("*.safetensors", kind, request_number, **values_)
    tensors = models.gpt2()
    base = hub(server, {"model.safetensors": models.safetensors(tensors)})
    checkpoint = opened(base + "model.safetensors")
    for ref in checkpoint.tensors[:3]:
        np.testing.assert_array_equal(read(local(ref)), tensors[ref.name])


def test_a_server_without_ranges_is_asked_for_the_whole_file_once(server: Loopback, fetching: Fetching) -> None:
    fetching()
    server.script.add("*.safetensors", "ignore_range")
    tensors = models.gpt2()
    data = models.safetensors(tensors)
    base = hub(server, {"model.safetensors": data})
    checkpoint = opened(base + "model.safetensors")
    for ref in checkpoint.tensors:
        np.testing.assert_array_equal(read(local(ref)), tensors[ref.name])
    whole = [seen for seen in server.requests(".safetensors") if seen.range is None]
    assert [seen.sent for seen in whole] == [len(data)]


def test_a_gated_model_is_one_request(server: Loopback, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    fetching()
    base = hub(
        server, {"model.safetensors": models.safetensors(models.gpt2())}, gated="manual", granted=frozenset({"hf_yes"})
    )
    for token in (None, "hf_no"):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        before = len(server.log)
        with pytest.raises(FetchError) as caught:
            opened(base + "model.safetensors")
        assert caught.value.reason == "gated"
        assert len(server.log) == before + 1
    monkeypatch.setenv("HF_TOKEN", "hf_yes")
    assert opened(base + "model.safetensors").tensors


def test_a_refused_locator_gives_its_reason_and_asks_nobody(server: Loopback, fetching: Fetching) -> None:
    fetching()
    with pytest.raises(CheckpointError) as caught:
        opened(refused("no_tensors", "only a README, 100% words & more"))
    assert (caught.value.reason, caught.value.detail) == ("no_tensors", "only a README, 100% words & more")
    assert server.log == []


def test_other_formats_are_downloaded_whole_and_once(server: Loopback, fetching: Fetching, tmp_path: object) -> None:
    here = fetching()
    tensors = {name: torch.from_numpy(array.copy()) for name, array in models.gpt2().items()}
    file = here.cache.root / "made.bin"
    torch.save(tensors, file)
    base = hub(server, {"pytorch_model.bin": file.read_bytes()})
    checkpoint = opened(base + "pytorch_model.bin")
    for ref in checkpoint.tensors:
        np.testing.assert_array_equal(read(local(ref)), models.gpt2()[ref.name])
    assert len(server.requests("pytorch_model.bin")) == 1
    # What was evicted is fetched again: references stay good.
    here.cache.release()
    for path in (here.cache.root / "files").rglob("*.bin"):
        path.unlink()
    np.testing.assert_array_equal(read(local(checkpoint.tensors[0])), models.gpt2()["wte.weight"])
    assert len(server.requests("pytorch_model.bin")) == 2


def test_other_nets_of_a_remote_file_have_a_row(server: Loopback, fetching: Fetching) -> None:
    here = fetching()
    file = here.cache.root / "made.pth"
    nets = {name: torch.nn.Linear(width, 5).state_dict() for name, width in (("netG", 8), ("netD", 9))}
    torch.save({**nets, "optimG": {"state": {0: {"exp_avg": torch.ones(5, 8)}}, "param_groups": []}}, file)
    checkpoint = opened(hub(server, {"gan.pth": file.read_bytes()}) + "gan.pth")
    assert [ref.shape for ref in checkpoint.tensors] == [(5, 8), (5,)]
    rows = {skip.tensor: str(skip.reason) for skip in checkpoint.skips}
    assert rows == {"netD": "not_the_model", "optimG": "optimizer_state"}


def test_the_hubs_own_hash_verifies_downloads(server: Loopback, fetching: Fetching) -> None:
    here = fetching()
    file = here.cache.root / "made.bin"
    torch.save({"weight": torch.ones(4, 4)}, file)
    server.script.add("*.bin", "wrong")
    with pytest.raises(FetchError) as caught:
        opened(hub(server, {"pytorch_model.bin": file.read_bytes()}) + "pytorch_model.bin")
    assert caught.value.reason == "checksum_mismatch"


@pytest.mark.parametrize(
    "shard",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        "",
        "a/b.safetensors",
        "x\\y.safetensors",
        ".hidden.safetensors",
        "run.sh",
    ],
)
def test_an_index_whose_names_climb_is_refused(server: Loopback, fetching: Fetching, shard: str) -> None:
    fetching()
    index = json.dumps({"weight_map": {"a.weight": shard}}).encode()
    with pytest.raises(CheckpointError) as caught:
        opened(hub(server, {"model.safetensors.index.json": index}) + "model.safetensors.index.json")
    assert caught.value.reason == "unsafe"
    assert all("passwd" not in seen.path for seen in server.log)


@pytest.mark.parametrize("index", [b"{", b"[]", b'{"weight_map": 3}', b'{"weight_map": {}}', b"[" * 100_000])
def test_an_index_that_is_none_is_unreadable(server: Loopback, fetching: Fetching, index: bytes) -> None:
    fetching()
    with pytest.raises(CheckpointError) as caught:
        opened(hub(server, {"model.safetensors.index.json": index}) + "model.safetensors.index.json")
    assert caught.value.reason == "unreadable"


def test_a_config_of_a_gigabyte_is_refused_unread(server: Loopback, fetching: Fetching) -> None:
    fetching()
    base = hub(server, {"config.json": Zeros(1 << 30), "model.safetensors": models.safetensors(models.gpt2())})
    with pytest.raises(FetchError) as caught:
        opened(base + "model.safetensors")
    assert caught.value.reason == "unsafe"
    assert server.sent("config.json") < 16 << 20


def huge(length: int, size: int) -> bytes:
    return struct.pack("<Q", length) + b"{" + b" " * size


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (huge(2**63, 100), "unreadable"),
        (huge(26_000_000, 26_000_100), "unsafe"),
        (b"1234", "unreadable"),
        (huge(2, 10), "unreadable"),
    ],
)
def test_forged_headers_end_in_a_reason(server: Loopback, fetching: Fetching, data: bytes, reason: str) -> None:
    fetching()
    with pytest.raises(CheckpointError) as caught:
        opened(hub(server, {"model.safetensors": data}) + "model.safetensors")
    assert caught.value.reason == reason
    assert weights_sent(server) <= 100_000


def test_messages_name_the_address_and_not_a_temporary_folder(server: Loopback, fetching: Fetching) -> None:
    here = fetching()
    base = hub(server, {"model.safetensors": huge(8, 100)})
    with pytest.raises(CheckpointError) as caught:
        opened(base + "model.safetensors")
    assert str(here.cache.root) not in caught.value.detail
    assert not list(here.cache.root.glob("opening-*"))


def test_local_references_pass_through() -> None:
    ref = TensorRef("w", "/somewhere/w.safetensors", "float32", (2, 2), None, 0, 16)
    assert local(ref) is ref
    assert list(prefetched([ref])) == [ref]


def test_a_config_beside_one_file_makes_it_a_model_folder(server: Loopback, fetching: Fetching) -> None:
    fetching()
    data = models.safetensors(models.gpt2())
    assert opened(hub(server, {"model.safetensors": data}) + "model.safetensors").format == "huggingface"
    server.content.files["/release/model.safetensors"] = data
    before = len(server.log)
    assert opened(server.url + "/release/model.safetensors").format == "safetensors"
    assert len(server.log) == before + 1
