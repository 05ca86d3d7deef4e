"""Commands about legacy keys and about the keys of a host: what they tell, and the words of their refusals (M21)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from installation import Installation

DAY_MS = 86_400_000


@pytest.mark.mission("M21")
def test_a_day_is_set_for_all_and_taken_away(installation: Installation) -> None:
    installation("account", "create", "alice")
    set_ = installation.json("key", "legacy-end", "2099-01-31")
    assert (set_["at"] % DAY_MS, set_["keys"]) == (0, 0)
    assert "2099-01-31" in installation("key", "legacy-end", "2099-01-31").out
    assert installation.json("key", "legacy-end", "never")["at"] is None
    assert installation.json("key", "legacy-end", "2099-01-31", "--account", "alice")["accounts"] == 1


@pytest.mark.parametrize("day", ["soon", "31.1.2099", "2099-13-01", "2099-01-31T00:00", "", "-1"])
def test_what_is_no_day_is_said(installation: Installation, day: str) -> None:
    assert installation("key", "legacy-end", day).code == 2


def test_a_day_in_the_past_is_refused(installation: Installation) -> None:
    refused = installation("key", "legacy-end", "2020-01-01", "--json")
    assert (refused.code, refused.error["reason"]) == (1, "malformed")


@pytest.mark.mission("M21")
def test_a_report_of_nobody(installation: Installation) -> None:
    installation("account", "create", "alice")
    assert installation.json("key", "legacy-report") == {"days": 30, "keys": []}
    assert "no legacy keys" in installation("key", "legacy-report", "--account", "alice").out
    for days in ("0", "91"):
        assert installation("key", "legacy-report", "--days", days).code == 1


def written(folder: Path, public: object) -> str:
    path = folder / "public.pem"
    path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))  # type: ignore[attr-defined]
    return str(path)


@pytest.mark.bar("B87")
def test_a_hosts_key_is_added_listed_and_removed(installation: Installation, tmp_path: Path) -> None:
    integrator = installation.json("integrator", "create", "venue")["integrator"]
    for private, algorithm in (
        (Ed25519PrivateKey.generate(), "EdDSA"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
    ):
        added = installation.json("integrator", "key", "add", integrator, written(tmp_path, private.public_key()))
        assert (added["algorithm"], added["integrator"]) == (algorithm, integrator)
        assert added["audience"].startswith("http")
        assert installation.json("integrator", "key", "remove", added["key"])["removed"] is True
        assert installation("integrator", "key", "remove", added["key"]).code == 1
    listed = installation.json("integrator", "key", "list")["keys"]
    assert [(key["algorithm"], key["removed"]) for key in listed] == [("EdDSA", True), ("ES256", True)]


@pytest.mark.bar("B87")
def test_other_keys_are_refused(installation: Installation, tmp_path: Path) -> None:
    integrator = installation.json("integrator", "create", "venue")["integrator"]
    made = written(tmp_path, ec.generate_private_key(ec.SECP384R1()).public_key())
    refused = installation("integrator", "key", "add", integrator, made, "--json")
    assert (refused.code, refused.error["reason"], refused.error["field"]) == (1, "malformed", "public_key")
    assert installation("integrator", "key", "add", integrator, str(tmp_path / "none.pem")).code == 2
    good = written(tmp_path, Ed25519PrivateKey.generate().public_key())
    assert installation("integrator", "key", "add", "int_" + "a" * 26, good).code == 1
    assert installation.json("integrator", "key", "list")["keys"] == []


@pytest.mark.bar("B87")
def test_a_key_made_by_openssl_is_taken(installation: Installation, tmp_path: Path) -> None:
    """As a venue's engineer makes one, with a program that is not ours."""
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    for command in (
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(private)],
        ["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=20)
    integrator = installation.json("integrator", "create", "venue")["integrator"]
    assert installation.json("integrator", "key", "add", integrator, str(public))["algorithm"] == "EdDSA"
