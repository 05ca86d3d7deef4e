"""Venue accounts and keys: the venue's key goes into custody once, is checked there, and is never shown again."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from installation import Ended, Installation
from venue_process import PaperVenue, VenueKey


@pytest.fixture
def alice(installation: Installation) -> Installation:
    assert installation("account", "create", "alice").code == 0
    return installation


def connect(alice: Installation, url: str, key: VenueKey, *more: str) -> Ended:
    environment = {"LEVERLOCK_VENUE_KEY": key.api_key, "LEVERLOCK_VENUE_SECRET": key.secret}
    return alice("venue", "connect", "-a", "alice", "--url", url, *more, "--json", environment=environment)


def safe_key(venue: PaperVenue, kind: str = "HMAC") -> VenueKey:
    return venue.create_key(venue.create_account(), kind=kind, ips=["127.0.0.1"])


@pytest.mark.parametrize("kind", ["HMAC", "ED25519"])
def test_a_good_key_is_taken_without_a_warning(alice: Installation, venue: PaperVenue, kind: str) -> None:
    key = safe_key(venue, kind)
    made = connect(alice, venue.url, key).json
    check = made["check"]
    assert (check["accepted"], check["warnings"]) == (True, [])
    assert abs(check["clock_offset_ms"]) < 1000
    assert made["algorithm"] == ("ed25519" if kind == "ED25519" else "hmac-sha256")
    assert made["base_urls"] == dict.fromkeys(("fapi", "futures", "sapi", "api"), venue.url)
    tested = alice("venue", "test", made["venue"], "--json")
    assert tested.code == 0
    assert tested.json["check"]["permissions"]["ipRestrict"] is True
    (listed,) = alice.json("venue", "list")["venues"]
    assert listed["venue"] == made["venue"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({}, "no IP list"),
        ({"ips": ["127.0.0.1"], "enableWithdrawals": True}, "may withdraw"),
        ({"ips": ["127.0.0.1"], "permitsUniversalTransfer": True}, "move funds"),
        ({"ips": ["127.0.0.1"], "enableFutures": False}, "not trade futures"),
    ],
    ids=["no list", "withdraws", "transfers", "no futures"],
)
def test_a_dangerous_key_is_warned_of(
    alice: Installation, venue: PaperVenue, flags: dict[str, object], words: str
) -> None:
    made = connect(alice, venue.url, venue.create_key(venue.create_account(), **flags))
    assert made.code == 0, made
    assert any(words in warning for warning in made.json["check"]["warnings"])
    tested = alice("venue", "test", made.json["venue"])
    assert tested.code == 1
    assert words in tested.out


def test_a_key_that_the_venue_refuses_is_not_stored(alice: Installation, venue: PaperVenue) -> None:
    good = safe_key(venue)
    for bad in (VenueKey("k" * 64, good.secret), VenueKey(good.api_key, "s" * 64)):
        ended = connect(alice, venue.url, bad)
        assert (ended.code, ended.error["field"]) == (1, "api_key")
        assert bad.secret not in ended.err
    assert alice.json("venue", "list") == {"venues": []}


def test_a_venue_that_is_away_is_said_and_the_key_kept_for_later(alice: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    made = connect(alice, f"http://127.0.0.1:{port}", VenueKey("k", "s"))
    assert made.json["check"]["accepted"] is None
    assert alice("venue", "test", made.json["venue"]).code == 4


@pytest.mark.parametrize(
    "url",
    [
        "http://venue.example",
        "https://venue.example/fapi",
        "ftp://venue.example",
        "venue.example",
        "https://a@b.example",
    ],
)
def test_an_address_that_no_venue_has_is_refused(alice: Installation, url: str) -> None:
    ended = connect(alice, url, VenueKey("k", "s"))
    assert (ended.code, ended.error["field"]) == (1, "base_urls")
    assert alice.json("venue", "list") == {"venues": []}


def test_a_private_key_of_another_kind_is_refused(alice: Installation, venue: PaperVenue) -> None:
    rsa = generate_private_key(65537, 2048)
    pem = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    ended = connect(alice, venue.url, VenueKey("k", pem))
    assert (ended.code, ended.error["field"]) == (1, "secret")


@pytest.mark.bar("B85")
def test_the_venues_secret_is_nowhere_in_the_clear(alice: Installation, venue: PaperVenue) -> None:
    key = safe_key(venue)
    with alice.serving() as server:
        made = connect(alice, venue.url, key)
        assert made.code == 0
        for arguments in (("venue", "list"), ("venue", "test", made.json["venue"]), ("config", "show")):
            ended = alice(*arguments, "--json")
            assert key.secret not in ended.out + ended.err
    for path in alice.home.iterdir():
        assert key.secret.encode() not in path.read_bytes(), path
    assert key.secret not in server.log_file.read_text()


def test_keys_are_issued_listed_and_revoked(alice: Installation, venue: PaperVenue) -> None:
    connected = connect(alice, venue.url, safe_key(venue)).json["venue"]
    made = alice.json("key", "create", "-a", "alice", "-l", "bot")
    assert (made["venue"], made["algorithm"], made["otp_allowed"]) == (connected, "hmac-sha256", False)
    assert len(made["api_secret"]) == 52
    assert alice.json("key", "create", "-a", "alice", "-l", "terminal", "--allow-otp")["otp_allowed"] is True
    listed = alice("key", "list", "-a", "alice", "--json")
    assert {one["label"] for one in listed.json["keys"]} == {"bot", "terminal"}
    assert "api_secret" not in listed.out
    assert alice("key", "revoke", "-a", "alice", made["key"]).code == 0
    assert alice("key", "revoke", "-a", "alice", made["key"]).code == 1
    assert alice("venue", "remove", connected).code == 0
    assert {one["state"] for one in alice.json("key", "list", "-a", "alice")["keys"]} == {"revoked"}
    assert alice.json("venue", "list") == {"venues": []}
    assert alice("venue", "remove", connected).code == 1


def test_an_ed25519_key_needs_only_the_public_half(alice: Installation, venue: PaperVenue, tmp_path: Path) -> None:
    connect(alice, venue.url, safe_key(venue))
    public = Ed25519PrivateKey.generate().public_key()
    file = tmp_path / "public.pem"
    file.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    made = alice.json("key", "create", "-a", "alice", "-l", "bot", "--ed25519-public-key", str(file))
    assert made["algorithm"] == "ed25519"
    assert "api_secret" not in made
    for wrong in ("nonsense", "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n", "AAAA"):
        file.write_text(wrong)
        ended = alice("key", "create", "-a", "alice", "-l", "bot", "--ed25519-public-key", str(file), "--json")
        assert (ended.code, ended.error["field"]) == (1, "ed25519_public_key"), wrong
    rsa = generate_private_key(65537, 2048).public_key()
    file.write_bytes(rsa.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert alice("key", "create", "-a", "alice", "-l", "bot", "--ed25519-public-key", str(file)).code == 1


def test_a_key_names_its_venue_where_there_are_several(alice: Installation, venue: PaperVenue) -> None:
    none = alice("key", "create", "-a", "alice", "-l", "bot")
    assert (none.code, "venue connect" in none.err) == (1, True)
    first = connect(alice, venue.url, safe_key(venue), "--label", "first").json["venue"]
    second = connect(alice, venue.url, safe_key(venue), "--label", "second").json["venue"]
    assert alice("key", "create", "-a", "alice", "-l", "bot").code == 1
    assert alice.json("key", "create", "-a", "alice", "-l", "bot", "--venue", second)["venue"] == second
    alice("account", "create", "bob")
    foreign = alice("key", "create", "-a", "bob", "-l", "bot", "--venue", first, "--json")
    assert (foreign.code, foreign.error["reason"]) == (1, "unknown_id")
    assert len(alice.json("venue", "list", "-a", "alice")["venues"]) == 2
    assert alice.json("venue", "list", "-a", "bob")["venues"] == []
