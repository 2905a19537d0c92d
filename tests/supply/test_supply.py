"""The supply chain: licences, secrets, pins with hashes; and that the checks themselves can fail."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT
from tests.supply import licences, secrets

REQUIREMENTS = ROOT / "requirements"


def test_every_licence_is_fine() -> None:
    """What the service and the training need may be used, changed and sold by whoever uses this project."""
    assert licences.unfit() == {}
    known = [name for name in licences.pinned(REQUIREMENTS / "service.txt") if licences.licence(name)]
    assert len(known) > 30


@pytest.mark.parametrize(
    ("stated", "fine"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("GPL-3.0-or-later", False),
        ("AGPL-3.0", False),
        ("GNU Affero General Public License v3", False),
        ("CC-BY-NC-4.0, non-commercial", False),
        ("unknown", False),
    ],
)
def test_the_licence_check_can_fail(stated: str, fine: bool) -> None:
    """Copyleft of the strong kind, limits on use, and silence are not fine."""
    assert licences.is_fine(stated) is fine


def test_no_secret_is_tracked() -> None:
    """No file that git tracks holds what looks like a key, a token or a password."""
    assert secrets.scan() == {}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("-----BEGIN " + "EC PRIVATE KEY-----", "private key"),
        ("AKIA" + "ABCDEFGHIJKLMNOP", "cloud key"),
        ("ghp_" + "a1B2" * 9, "forge token"),
        ("ecg_" + "k7QzP2mX9bVt" * 4, "API key of ours"),
        ("eyJ" + "a" * 30 + ".eyJ" + "b" * 30 + "." + "c" * 40, "token"),
        ("postgresql://ecg:" + "hunter2hunter2@db/audit", "password in an address"),
        ('db_password = "' + "x8Kq2LmPz0RtYw4V" + '"', "password"),
    ],
)
def test_the_secrets_check_can_fail(text: str, kind: str) -> None:
    """One of each kind is seen; the words that stand in documentation are not."""
    assert secrets.in_text(text) == [kind]
    assert secrets.in_text("password = 'see the handbook for it' token: YOUR_TOKEN https://host:8000/path") == []


def test_the_service_is_pinned_with_hashes() -> None:
    """Each requirement of the service is one version with at least one SHA-256; pip then takes nothing else."""
    text = (REQUIREMENTS / "service.txt").read_text()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    assert len(blocks) > 30
    assert [block.split()[0] for block in blocks if "==" not in block or "--hash=sha256:" not in block] == []


def test_the_threat_model_names_tests_that_exist() -> None:
    """Every control in docs/security.md is held by a test, and that test is there."""
    page = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named) > 30
    for file, test in named:
        assert f"def {test}" in (ROOT / file).read_text(), f"{file}::{test}"
