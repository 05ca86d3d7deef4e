"""The replay cache: once within the window, bounded, never forgetting early."""

import random

import pytest

from leverlock.gateway.replay import AlreadySeen, CacheFull, ReplayCache, WindowEnded

NOW = 1_700_000_000_000


@pytest.mark.bar("B68")
def test_the_same_signed_bytes_pass_once() -> None:
    cache = ReplayCache()
    cache.remember(b"a" * 32, ends_at=NOW + 5000, now=NOW)
    for later in (0, 1, 4999, 5000):
        with pytest.raises(AlreadySeen):
            cache.remember(b"a" * 32, ends_at=NOW + 5000, now=NOW + later)
    cache.remember(b"b" * 32, ends_at=NOW + 5000, now=NOW + 5000)


def test_an_entry_leaves_when_its_window_has_ended_and_not_before() -> None:
    cache = ReplayCache(capacity=1)
    cache.remember(b"a", ends_at=NOW + 5000, now=NOW)
    with pytest.raises(CacheFull):
        cache.remember(b"b", ends_at=NOW + 9000, now=NOW + 5000)
    cache.remember(b"b", ends_at=NOW + 9000, now=NOW + 6000)
    assert len(cache) == 1


@pytest.mark.bar("B68")
def test_a_full_cache_refuses_and_does_not_forget() -> None:
    cache = ReplayCache(capacity=100)
    for number in range(100):
        cache.remember(b"%d" % number, ends_at=NOW + 5000, now=NOW)
    for number in range(100, 200):
        with pytest.raises(CacheFull):
            cache.remember(b"%d" % number, ends_at=NOW + 5000, now=NOW)
    for number in range(100):
        with pytest.raises(AlreadySeen):
            cache.remember(b"%d" % number, ends_at=NOW + 5000, now=NOW)


@pytest.mark.bar("B68")
def test_a_clock_that_steps_back_revives_nothing() -> None:
    cache = ReplayCache()
    cache.remember(b"a", ends_at=NOW + 5000, now=NOW)
    cache.remember(b"b", ends_at=NOW + 20_000, now=NOW + 10_000)
    assert len(cache) == 1
    with pytest.raises(WindowEnded):
        cache.remember(b"a", ends_at=NOW + 5000, now=NOW)


def test_against_a_plain_model() -> None:
    rng = random.Random(68)
    cache = ReplayCache(capacity=50)
    accepted: dict[bytes, int] = {}
    now = NOW
    for _ in range(20_000):
        now += rng.randrange(0, 200)
        number = rng.randrange(now - 3000, now + 1000)
        signature, ends_at = b"%d" % number, number + 3000
        accepted = {key: end for key, end in accepted.items() if end // 1000 >= now // 1000}
        if ends_at < now:
            expected: type[Exception] | None = WindowEnded
        elif signature in accepted:
            expected = AlreadySeen
        else:
            expected = CacheFull if len(accepted) >= 50 else None
        if expected is None:
            cache.remember(signature, ends_at=ends_at, now=now)
            accepted[signature] = ends_at
        else:
            with pytest.raises(expected):
                cache.remember(signature, ends_at=ends_at, now=now)


def test_a_cache_without_room_is_not_made() -> None:
    with pytest.raises(ValueError):
        ReplayCache(capacity=0)
