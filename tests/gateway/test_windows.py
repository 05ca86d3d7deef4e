"""Windows, replays and damaged credentials, through the whole gateway to the venue (B11, B68, B73)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.live import SYMBOL, Answer, Client, Live
from leverlock.gateway.replay import CAPACITY, CacheFull, ReplayCaches
from venue_process import PaperVenue, signature_of

LEG = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "IOC", "price": "58000", "quantity": "0.01"}


@pytest.fixture
def bot(live: Live) -> Client:
    return live.client(live.party(leverage={SYMBOL: 20}))


def post(live: Live, bot: Client, body: bytes) -> Answer:
    return live.send("POST", "/fapi/v1/order", body, {"X-MBX-APIKEY": bot.key.api_key})


@pytest.mark.bar("B68")
def test_the_same_signed_bytes_execute_once(live: Live, bot: Client) -> None:
    bodies = [bot.signed({**LEG}, recvWindow=window) for window in (5000, 60000)]
    live.venue.clear_calls()
    for body in bodies:
        assert post(live, bot, body).status == 200
        for _ in range(3):
            again = post(live, bot, body)
            assert (again.status, again.code) == (400, -1021), again
    assert live.venue.orders_executed() == 2


@pytest.mark.bar("B68")
def test_a_captured_approved_call_is_not_replayed(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 75})
    bot = live.client(alice)
    asked = bot.order(**LEG)
    live.approve(alice, asked.challenge)
    live.venue.clear_calls()
    body = bot.signed({**LEG}, recvWindow=60000)
    assert post(live, bot, body).status == 200
    assert post(live, bot, body).code == -1021
    other = bot.order(**LEG).challenge
    live.approve(alice, other)
    assert post(live, bot, body).code == -1021  # a new approval is not for an old capture
    assert live.venue.orders_executed() == 1


@pytest.mark.bar("B68")
def test_a_change_of_the_account_forgets_no_signature(live: Live, bot: Client) -> None:
    """The snapshot drops what it knows of an account with each change; what was seen of its key stays seen."""
    body = bot.signed({**LEG}, recvWindow=60000)
    assert post(live, bot, body).status == 200
    [account_id] = [view.key.account_id for name, view in live.snapshot._keys.items() if name == bot.key.api_key]

    def change(tx: object) -> None:
        tx.lock_account(account_id)  # type: ignore[attr-defined]
        tx.note_change(account_id)  # type: ignore[attr-defined]

    live.deployment.run(change)
    live.settle()
    assert post(live, bot, body).code == -1021


@pytest.mark.bar("B68")
@pytest.mark.parametrize(
    ("ahead", "window", "code"),
    [
        (700, 5000, None),
        (1900, 5000, -1021),
        (0, 0, -1021),
        (0, 60000, None),
        (0, 60001, -1131),
        (-3500, None, None),
        (-5200, None, -1021),
        (-58_000, 60000, None),
        (-60_200, 60000, -1021),
        (-1000, 3000, None),
        (-3100, 3000, -1021),
    ],
)
def test_the_window_is_the_venues(live: Live, bot: Client, ahead: int, window: int | None, code: int | None) -> None:
    """On the venue's clock; the exact milliseconds are in test_signature.py."""
    live.venue.clear_calls()
    control = {} if window is None else {"recvWindow": window}
    stamp = live.venue_now_ms() + ahead + (-5 if window == 0 else 0)
    answer = bot.call("POST", "/fapi/v1/order", LEG, timestamp=stamp, **control)
    assert answer.code == code, answer
    assert len(live.executed()) == (1 if code is None else 0)


@pytest.mark.bar("B11")
@pytest.mark.bar("B68")
def test_a_step_of_our_clock_moves_no_window(live: Live, bot: Client) -> None:
    assert bot.order(**LEG).status == 200
    live.clock.tick(3_600_000)
    assert bot.order(**LEG).status == 200
    late = bot.call("POST", "/fapi/v1/order", LEG, timestamp=live.venue_now_ms() - 3_600_000)
    assert late.code == -1021


@pytest.fixture
def odd_clock(paper: PaperVenue, venue: PaperVenue, tmp_path: Path) -> Iterator[Live]:
    """A gateway of its own before a venue whose clock is 90 s ahead of the world."""
    venue.admin("POST", "clock", {"offsetMs": 90_000})
    try:
        with Live(tmp_path, paper) as live:
            yield live
    finally:
        venue.admin("POST", "clock", {"offsetMs": 0})


@pytest.mark.bar("B68")
def test_a_venue_whose_clock_is_off_is_followed(odd_clock: Live) -> None:
    live = odd_clock
    alice = live.party()
    live.venue.clear_calls()
    bot = live.client(alice)
    fields = {**LEG}
    assert bot.call("POST", "/fapi/v1/order", fields).code == -1021  # by the world's clock: too old
    there = live.venue.public("/fapi/v1/time").json["serverTime"]
    passed = bot.call("POST", "/fapi/v1/order", fields, timestamp=there)
    assert passed.status == 200, passed
    assert bot.call("POST", "/fapi/v1/order", fields, timestamp=there + 1_500).code == -1021
    assert live.venue.orders_executed() == 1


# -- the cache of each key -------------------------------------------------------------------------------------------
@pytest.mark.bar("B68")
def test_one_key_that_fills_its_cache_stops_no_other(live: Live) -> None:
    from leverlock.gateway.replay import ReplayCache

    alice = live.party(leverage={SYMBOL: 20})
    noisy, quiet = live.client(alice), live.client(alice)
    small = ReplayCache(capacity=5)
    live.gateway._callers._seen._caches[noisy.key.api_key] = small
    codes = [noisy.call("POST", "/fapi/v1/order", LEG, recvWindow=60000).status for _ in range(7)]
    assert codes == [200] * 5 + [400] * 2
    assert quiet.order(**LEG).status == 200


@pytest.mark.bar("B68")
def test_a_venue_with_a_wild_clock_ends_no_other_windows() -> None:
    caches = ReplayCaches()
    caches.remember("mallory", b"m" * 32, ends_at=10**15, now=10**15 - 5000)
    caches.remember("alice", b"a" * 32, ends_at=10**12, now=10**12 - 5000)
    assert len(caches) == 2


def test_caches_are_bounded_and_those_that_ended_make_room() -> None:
    now = 1_700_000_000_000
    caches = ReplayCaches(capacity=10, keys=100)
    for number in range(100):
        caches.remember(f"key{number}", b"x" * 32, ends_at=now + 5000 + number, now=now)
    with pytest.raises(CacheFull):
        caches.remember("one too many", b"x" * 32, ends_at=now + 9000, now=now)
    later = now + 6100
    caches.remember("one too many", b"x" * 32, ends_at=later + 5000, now=later)
    assert len(caches) == 1
    assert CAPACITY * 200 < 10 * 1024 * 1024


# -- damaged credentials ---------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Wire:
    """One signed order as it goes over the wire, in its three credentials."""

    key: bytes
    text: bytes
    signature: bytes


@pytest.mark.bar("B73")
@pytest.mark.parametrize("part", ["key", "signature", "timestamp"])
def test_a_damaged_credential_never_passes(live: Live, part: str) -> None:
    """Each credential flipped by a bit, cut, doubled or emptied, 1 000 times, on one kept connection."""
    import http.client

    alice = live.party(leverage={SYMBOL: 20})
    bot = live.client(alice)
    assert bot.order(**LEG).status == 200
    live.venue.clear_calls()
    rng = random.Random(73)
    connection = http.client.HTTPConnection(*live.address, timeout=20)
    for _ in range(1000):
        stamp = str(bot.timestamp()).encode()
        text = b"&".join(f"{name}={value}".encode() for name, value in LEG.items())
        key, timestamp = bot.key.api_key.encode(), stamp
        signature = signature_of(bot.key, (text + b"&timestamp=" + stamp).decode()).encode()
        if part == "key":
            key = damaged(key, rng)
        elif part == "signature":
            signature = damaged(signature, rng)
        else:
            timestamp = damaged(timestamp, rng)
        body = text + b"&timestamp=" + timestamp + b"&signature=" + signature
        connection.putrequest("POST", "/fapi/v1/order", skip_accept_encoding=True)
        connection.putheader("X-MBX-APIKEY", key)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        answer = response.read()
        assert 400 <= response.status < 500, (key, body, answer)
        assert b"challenge=" not in answer
        if response.will_close:
            connection.close()
    connection.close()
    assert live.executed() == []
    assert bot.order(**LEG).status == 200


def damaged(credential: bytes, rng: random.Random) -> bytes:
    """Another credential. Line ends are left out: they would end the header."""
    while True:
        at, kind = rng.randrange(len(credential)), rng.randrange(5)
        if kind < 3:
            changed = bytearray(credential)
            changed[at] ^= 1 << rng.randrange(8)
            found = bytes(changed)
        elif kind == 3:
            found = credential[:at]
        else:
            found = credential[:at] + credential[at:] * 2
        if found != credential and not {10, 13} & set(found) and found.strip() != credential:
            return found
