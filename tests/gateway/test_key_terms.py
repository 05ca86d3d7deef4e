"""What a key may do at the gateway, and from where: every row needs a scope, and headers say nothing (B63, B71)."""

from __future__ import annotations

import pytest

from gateway.live import Client, Live, Party
from leverlock.domain.key_terms import READ_ONLY, Scope
from leverlock.gateway.binance.endpoints import ENDPOINTS, Access, Endpoint

MISSING = -40116
REJECTED = -2015
ELSEWHERE = ("192.0.2.1", "2001:db8::/64")
HERE = ("127.0.0.1",)


@pytest.fixture
def alice(live: Live) -> Party:
    return live.party(leverage={"BTCUSDT": 20}, enrolled=())


def call(client: Client, row: Endpoint) -> tuple[int, int | None]:
    """A call of this row with nothing but what its form of calling needs; its status and code."""
    if row.access is Access.KEY:
        answer = client.live.send(row.method, row.path, headers={"X-MBX-APIKEY": client.key.api_key})
    else:
        answer = client.call(row.method, row.path, {})
    return answer.status, answer.code


PRIVATE = [row for row in ENDPOINTS.values() if row.access is not Access.PUBLIC]


@pytest.mark.bar("B63")
def test_every_row_but_market_data_names_its_scope() -> None:
    assert all(row.needs is None for row in ENDPOINTS.values() if row.access is Access.PUBLIC)
    assert all(isinstance(row.needs, Scope) for row in PRIVATE)
    assert {row.needs for row in PRIVATE if row.says is None and not row.cancels} == {Scope.READ}
    assert Scope.READ not in {row.needs for row in PRIVATE if row.says is not None or row.cancels}
    assert {row.needs for row in PRIVATE} == set(Scope), "a scope that no row needs opens nothing"


@pytest.mark.bar("B63")
@pytest.mark.parametrize("row", PRIVATE, ids=lambda row: f"{row.method} {row.path}")
def test_a_key_without_the_scope_is_refused_and_nothing_is_sent(live: Live, alice: Party, row: Endpoint) -> None:
    """The others do not stand in for it: no scope implies another."""
    others = frozenset(Scope) - {row.needs}
    client = live.client(alice, scopes=others, ips=HERE)
    before = len(live.venue.calls())
    assert call(client, row) == (401, MISSING)
    sent = [c for c in live.venue.calls()[before:] if c["path"] == row.path]
    assert not sent


@pytest.mark.bar("B63")
@pytest.mark.parametrize("row", PRIVATE, ids=lambda row: f"{row.method} {row.path}")
def test_its_scope_alone_is_enough(live: Live, alice: Party, row: Endpoint) -> None:
    assert row.needs is not None
    client = live.client(alice, scopes=frozenset({row.needs}), ips=HERE)
    assert call(client, row)[1] not in (MISSING, REJECTED)


@pytest.mark.bar("B63")
def test_a_read_only_key_reads_and_places_nothing(live: Live, alice: Party) -> None:
    reader = live.client(alice, scopes=READ_ONLY)
    assert reader.call("GET", "/fapi/v3/balance").status == 200
    answer = reader.order()
    assert (answer.status, answer.code) == (401, MISSING)
    assert answer.json["msg"] == "This key was not given the scope that the call needs. (futures)"
    assert reader.call("DELETE", "/fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"}).code == MISSING
    assert not live.executed("/fapi/v1/order", "/fapi/v1/allOpenOrders")


@pytest.mark.bar("B63")
def test_from_an_address_that_is_not_listed_a_key_is_as_unknown_as_none(live: Live, alice: Party) -> None:
    away = live.client(alice, ips=ELSEWHERE)
    unknown = live.client(alice)
    unknown.key = type(unknown.key)("lk" + "x" * 52, unknown.key.secret)
    refusals = [client.call("GET", "/fapi/v3/balance") for client in (away, unknown)]
    assert [(r.status, r.code) for r in refusals] == [(401, REJECTED)] * 2
    assert refusals[0].body == refusals[1].body
    assert away.poll("ch_" + "a" * 26).code == REJECTED
    listen = live.send("POST", "/fapi/v1/listenKey", headers={"X-MBX-APIKEY": away.key.api_key})
    assert listen.code == REJECTED
    assert live.client(alice, ips=HERE).call("GET", "/fapi/v3/balance").status == 200


CLAIMS = (
    "X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X_Forwarded_For",
    "X-Forwarded", "X-Cluster-Client-IP", "X-Original-Forwarded-For",
)  # fmt: skip


@pytest.mark.bar("B63")
@pytest.mark.bar("B71")
@pytest.mark.parametrize("name", CLAIMS)
def test_no_header_says_where_a_caller_is(live: Live, alice: Party, name: str) -> None:
    """Neither does one bring a caller onto the list, nor take him off it."""
    away, here = live.client(alice, ips=ELSEWHERE), live.client(alice, ips=HERE)
    for value in ("192.0.2.1", "for=192.0.2.1", "192.0.2.1, 127.0.0.1", "::1", "a", ""):
        assert away.call("GET", "/fapi/v3/balance", headers={name: value}).status != 200
        assert here.call("GET", "/fapi/v3/balance", headers={name: value}).code != REJECTED
