"""The terms of a key: closed words, canonical addresses, and what may not stand together (B63, B71)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverlock.domain.errors import Reason, Refused
from leverlock.domain.key_terms import MAX_RANGES, KeyTerms, Scope, allowed_from, ranges_of, scopes_of

HOSTILE_PEERS = (
    "", "a", "unknown", "localhost", "127.0.0.1, 10.0.0.1", "10.0.0.1 ", " 10.0.0.1", "10.0.0.1\n", "10.0.0.01",
    "0x0a000001", "167772161", "10.1", "10.0.0.1:80", "[::1]", "::1%lo", "fe80::1%1", "10.0.0.0/8", "*", "-", "null",
    "::ffff:10.0.0.300", "1.1.1.1;10.0.0.1", "/run/gateway.sock",
)  # fmt: skip


@contextmanager
def malformed(field: str) -> Iterator[None]:
    with pytest.raises(Refused) as caught:
        yield
    assert (caught.value.reason, caught.value.field) == (Reason.MALFORMED, field)


@pytest.mark.bar("B63")
def test_a_key_without_scopes_named_may_only_read() -> None:
    assert KeyTerms("bot").scopes == {Scope.READ}


@pytest.mark.bar("B63")
@pytest.mark.parametrize("scope", [Scope.TRANSFER, Scope.WITHDRAW])
def test_moving_funds_needs_a_list_of_addresses(scope: Scope) -> None:
    with malformed("ips"):
        KeyTerms("bot", frozenset({Scope.READ, scope})).must_hold_together()
    KeyTerms("bot", frozenset({scope}), ("192.0.2.1",)).must_hold_together()


def test_a_key_for_nothing_is_none() -> None:
    with malformed("scopes"):
        KeyTerms("bot", frozenset()).must_hold_together()


@pytest.mark.parametrize(
    "words", [["futures", "futures"], ["Futures"], ["read "], [""], ["all"], ["*"], ["futures,read"]]
)
def test_scopes_are_a_closed_list_of_exact_words(words: list[str]) -> None:
    with malformed("scopes"):
        scopes_of(words)


def test_scopes_have_no_order() -> None:
    assert scopes_of(["futures", "read"]) == scopes_of(["read", "futures"]) == {Scope.READ, Scope.FUTURES}


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        (["192.0.2.7"], ("192.0.2.7",)),
        (["192.0.2.7/32"], ("192.0.2.7",)),
        (["2001:DB8::1"], ("2001:db8::1",)),
        (["2001:0db8:0:0::/64", "192.0.2.0/28"], ("192.0.2.0/28", "2001:db8::/64")),
        (["10.1.0.0/16", "9.0.0.1"], ("9.0.0.1", "10.1.0.0/16")),
        ([], ()),
    ],
)
def test_addresses_have_one_spelling(given_: list[str], stored: tuple[str, ...]) -> None:
    assert ranges_of(given_) == stored


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8::/32", "192.0.2.1/24", "192.0.2.01", "192.0.2", "example.com", "",
        " 192.0.2.1", "192.0.2.1/33", "::ffff:192.0.2.1", "fe80::1%eth0", "192.0.2.1-192.0.2.9", "192.0.2.*",
    ],
)  # fmt: skip
def test_what_is_no_address_or_says_nothing_is_refused(text: str) -> None:
    with malformed("ips"):
        ranges_of([text])


def test_a_list_is_short_and_names_nothing_twice() -> None:
    with malformed("ips"):
        ranges_of([f"192.0.2.{n}" for n in range(MAX_RANGES + 1)])
    with malformed("ips"):
        ranges_of(["192.0.2.1", "192.0.2.1/32"])


@pytest.mark.bar("B71")
@pytest.mark.parametrize("peer", HOSTILE_PEERS)
def test_what_is_no_address_is_on_no_list(peer: str) -> None:
    assert not allowed_from(("10.0.0.1", "10.0.0.0/16", "::1", "fe80::/64", "192.0.0.0/16"), peer)


def test_an_ipv4_peer_of_an_ipv6_socket_is_the_ipv4_address() -> None:
    assert allowed_from(("192.0.2.1",), "::ffff:192.0.2.1")
    assert not allowed_from(("192.0.2.1",), "::ffff:192.0.2.2")


@given(st.ip_addresses(), st.lists(st.ip_addresses().map(str), unique=True, min_size=1, max_size=MAX_RANGES))
def test_a_peer_is_allowed_exactly_when_his_address_stands_there(peer: object, listed: list[str]) -> None:
    listed = [text for text in listed if "." not in text or ":" not in text]
    ips = tuple(text for text in listed if not text.startswith("::ffff:"))
    if ips:
        assert allowed_from(ips, str(peer)) == (str(peer) in ips)
        assert all(allowed_from(ips, one) for one in ips)
