"""Errors on the wire: one table, complete, documented, and silent about everything that is nobody's business."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecg import errors as core
from ecg.errors import EcgError
from service import problems, refusals

ROOT = Path(__file__).resolve().parents[2]


def leaves(kind: type[EcgError] = EcgError) -> Iterator[type[EcgError]]:
    below = kind.__subclasses__()
    if not below:
        yield kind
    for each in below:
        yield from leaves(each)


LEAVES = sorted({each for each in leaves() if each.__module__.startswith(("ecg.", "service."))}, key=str)


def test_there_are_leaves() -> None:
    """The enumeration below sees both trees."""
    assert {core.Unsafe, core.ProbeMismatch, refusals.KeyReused, refusals.QueueFull} <= set(LEAVES)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_every_leaf_has_its_own_row(leaf: type[EcgError]) -> None:
    """A new error without a row, or without a line in the documentation, fails here."""
    assert leaf in problems.TABLE
    assert f"| `{leaf.code}` | {problems.TABLE[leaf].status} |" in (ROOT / "docs" / "api.md").read_text()


def test_codes_are_unique() -> None:
    """A code names one row."""
    codes = [each.code for each in problems.TABLE]
    assert len(codes) == len(set(codes))


def test_statuses_are_those_of_the_contract() -> None:
    """The classes of errors answer with the statuses that clients were promised."""
    expected = {
        core.TooLarge: 413,
        core.UnknownFormat: 415,
        core.Malformed: 400,
        core.Unsafe: 400,
        core.ModelUnknown: 404,
    }
    assert {each: problems.TABLE[each].status for each in expected} == expected
    for leaf in LEAVES:
        if issubclass(leaf, core.RecordingError):
            assert problems.TABLE[leaf].status == 422
        if issubclass(leaf, refusals.Overloaded):
            assert problems.TABLE[leaf].status in (429, 503)


def test_a_500_shows_no_text() -> None:
    """What an exception says stays inside, whatever it says."""
    for error in (core.InferenceFailed("DOE^JOHN", path="DOE"), refusals.InternalError("DOE"), EcgError("DOE")):
        response = problems.response(error, "r")
        assert response.status_code == 500
        assert b"DOE" not in bytes(response.body)


def test_a_problem_has_its_members() -> None:
    """RFC 9457's members, ours, and the error's own typed fields; overload says when to come back."""
    response = problems.response(core.Malformed("broken", where="line 3"), "r-1")
    body = json.loads(bytes(response.body))
    assert body == {
        "type": "/problems/malformed", "title": "Malformed file", "status": 400, "detail": "broken (at line 3)",
        "code": "malformed", "request_id": "r-1", "where": "line 3",
    }  # fmt: skip
    assert response.media_type == "application/problem+json"
    assert problems.response(refusals.QueueFull("full", retry_after_s=3), "r").headers["retry-after"] == "3"
