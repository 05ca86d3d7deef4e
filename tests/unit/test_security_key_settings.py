"""Settings of security keys: a page that browsers would not let use them is refused at start."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.test_settings import loaded, refusals


def section(rp_id: str, *origins: str) -> str:
    pages = ", ".join(f'"{page}"' for page in origins)
    return f'[security_keys]\nrp_id = "{rp_id}"\norigins = [{pages}]\n'


@pytest.mark.parametrize(
    ("rp_id", "origin"),
    [
        ("example.com", "https://example.com"),
        ("example.com", "https://futures.example.com"),
        ("example.com", "https://futures.example.com:8443"),
        ("localhost", "http://localhost:8700"),
        ("localhost", "http://localhost"),
    ],
)
def test_a_page_within_the_domain_may_use_keys(tmp_path: Path, rp_id: str, origin: str) -> None:
    assert loaded(tmp_path, section(rp_id, origin)).settings.security_keys.origins == (origin,)


@pytest.mark.parametrize(
    ("rp_id", "origin", "setting"),
    [
        ("example.com", "https://example.org", "origins"),
        ("example.com", "https://notexample.com", "origins"),
        ("futures.example.com", "https://example.com", "origins"),
        ("example.com", "http://example.com", "origins"),
        ("example.com", "https://example.com/", "origins"),
        ("example.com", "https://example.com/page", "origins"),
        ("example.com", "https://example.com:443", "origins"),
        ("example.com", "https://Example.com", "origins"),
        ("example.com", "https://user@example.com", "origins"),
        ("example.com", "https://example.com:x", "origins"),
        ("example.com", "https://", "origins"),
        ("example.com", "null", "origins"),
        ("example.com", "*", "origins"),
        ("com", "https://example.com", "rp_id"),
        ("Example.com", "https://example.com", "rp_id"),
        ("https://example.com", "https://example.com", "rp_id"),
        ("example.com:443", "https://example.com", "rp_id"),
        ("127.0.0.1", "http://127.0.0.1:8700", "rp_id"),
        ("", "https://example.com", "rp_id"),
        ("example..com", "https://example..com", "rp_id"),
    ],
)
def test_one_that_does_not_fit_is_refused_by_name(tmp_path: Path, rp_id: str, origin: str, setting: str) -> None:
    found = refusals(tmp_path, section(rp_id, origin))
    assert f"security_keys.{setting}" in [name for name, _, _ in found]


def test_no_page_at_all_is_refused(tmp_path: Path) -> None:
    assert refusals(tmp_path, section("example.com"))


def test_nothing_set_is_this_machine(tmp_path: Path) -> None:
    keys = loaded(tmp_path).settings.security_keys
    assert (keys.rp_id, keys.origins) == ("localhost", ("http://localhost:8700",))
    assert not keys.device_bound
    assert keys.user_verification == "required"
