"""Reasons: one enumeration, each member with advice, and no literal of one anywhere else."""

from __future__ import annotations

import ast
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.locator import locate, refused

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted(path for room in ("zoo", "analysis", "warehouse", "jobs") for path in (ROOT / room).rglob("*.py"))

RECORDS = {
    "Skip",
    "CheckpointError",
    "FetchError",
    "RangeIgnoredError",
    "Refused",
    "Refusal",
    "refused",
    "PackedWeight",
}
"""What takes a reason by position."""

AMBIGUOUS = {"gated", "error", "empty", "buffer", "vector", "scalar", "copy", "non_finite", "unreadable", "not_found"}
"""Words with other meanings too (verdicts, findings, columns): only literals in the place of a reason count."""


def places_of_a_reason(tree: ast.AST) -> Iterator[ast.AST]:
    """Arguments, comparisons and assignments that hold a reason."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            yield from node.args[:2] if name in RECORDS else ()
            yield from (word.value for word in node.keywords if word.arg and word.arg.endswith("reason"))
        elif isinstance(node, ast.Compare) and any(getattr(part, "attr", "") == "reason" for part in ast.walk(node)):
            yield node
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id.endswith("reason") for target in targets):
                yield node.value


def literals(tree: ast.AST) -> set[str]:
    """Strings of a file that are reasons: in the place of one, or unmistakable wherever they are."""
    words = {reason.value for reason in Reason}
    constants = [
        (place, node)
        for place, trees in ((True, places_of_a_reason(tree)), (False, [tree]))
        for top in trees
        for node in ast.walk(top)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return {node.value for place, node in constants if node.value in words and (place or node.value not in AMBIGUOUS)}


def test_no_literal_of_a_reason_outside_the_enumeration() -> None:
    for path in FILES:
        if path.relative_to(ROOT).as_posix() != "zoo/checkpoint/trouble.py":
            assert literals(ast.parse(path.read_text())) == set(), path


@pytest.mark.parametrize(
    "code",
    ['Skip(name, "vector", "", False)', 'f(reason="error" if x else y)', 'error.reason == "empty"', 'x = "no_tensors"'],
)
def test_a_literal_is_seen(code: str) -> None:
    assert len(literals(ast.parse(code))) == 1


def test_every_reason_has_advice() -> None:
    assert all(reason.advice and reason.value == str(reason) for reason in Reason)


def test_facts_about_bytes_are_final_and_failures_of_access_are_not() -> None:
    retried = {str(reason) for reason in Reason if reason.retried}
    access = {"changed_meanwhile", "unreachable", "rate_limited", "over_budget", "checksum_mismatch"}
    nodes = {"inaccessible", "worker_crashed", "out_of_memory", "timed_out", "too_large"}
    assert retried == access | nodes | {"error"}


@pytest.mark.parametrize("kind", [CheckpointError, FetchError])
def test_an_error_survives_the_way_between_processes(kind: type[CheckpointError]) -> None:
    error = pickle.loads(pickle.dumps(kind(Reason.UNSAFE, "why")))
    assert (type(error), error.reason, error.reason.advice, str(error)) == (
        kind,
        Reason.UNSAFE,
        Reason.UNSAFE.advice,
        "unsafe: why",
    )


def test_a_refusal_gives_its_reason_back() -> None:
    with pytest.raises(FetchError) as caught:
        locate(refused(Reason.GATED, "accept / first"))
    assert (caught.value.reason, caught.value.detail) == (Reason.GATED, "accept / first")


def test_a_refusal_for_no_known_reason_is_no_locator() -> None:
    with pytest.raises(FetchError, match="is no locator") as caught:
        locate("refused://nonsense/?detail=x")
    assert caught.value.reason is Reason.UNSAFE
