"""Legacy keys at the gateway: what they are spared, until when, and what is counted of it (M21, semantics 6)."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.live import Client, Live, Party
from leverlock.app import legacy_keys
from leverlock.app.owner_keys import TermsChange, change_key
from leverlock.domain.api_key import LegacyUse
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason
from leverlock.domain.key_terms import Scope
from leverlock.domain.limits import DAY
from leverlock.legacy_chores import look
from world import TRADES, refused

FUTURES = Environment.FUTURES
HERE = ("127.0.0.1",)
EVERYTHING = TRADES | {Scope.TRANSFER, Scope.WITHDRAW}


@pytest.fixture
def alice(live: Live) -> Party:
    return live.party(leverage={"BTCUSDT": 75}, enrolled=(), ring=True)


@pytest.fixture
def old(live: Live, alice: Party) -> Client:
    """A key from before Futures protection."""
    client = live.client(alice, scopes=EVERYTHING, ips=HERE)
    alice.owner.enrol(FUTURES)
    live.settle()
    return client


def dated(live: Live, alice: Party, ends_at: int | None) -> list[str]:
    world, account_id = live.deployment.world, alice.account_id
    found = live.deployment.run(
        lambda tx: legacy_keys.set_date(tx, world, account_id=account_id, ends_at=ends_at, by="test:")
    )
    live.settle()
    return found


def swept(live: Live) -> None:
    assert not live.on_loop(look(live.deployment.store, live.deployment.world))


def report(live: Live, alice: Party) -> dict[str, int]:
    """How often the party's only legacy key did what, as it is written."""
    live.on_loop(live.gateway._parts.spared.write(live.deployment.store))
    [(_, uses)] = live.deployment.read(lambda tx: legacy_keys.report(tx, account_id=alice.account_id, days=30))
    return {use.action: use.uses for use in uses}


def notices(live: Live, alice: Party) -> list[dict[str, Any]]:
    return [body for body in live.messages(alice) if body["type"].startswith("key.legacy")]


@pytest.mark.mission("M21")
def test_orders_margin_mode_and_leverage_are_spared_and_counted(live: Live, alice: Party, old: Client) -> None:
    assert old.order().status == 200
    assert old.leverage(100).status == 200  # while a position is open
    assert old.order(side="SELL").status == 200
    assert old.margin_mode("ISOLATED").status == 200
    assert report(live, alice) == {
        "futures.order.place": 2,
        "futures.leverage.set": 1,
        "futures.margin_mode.set": 1,
    }
    young = live.client(alice)
    assert young.order().stepped_up


@pytest.mark.mission("M21")
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/fapi/v1/adlSetting", {"symbol": "BTCUSDT", "rank": "LOWERED"}),
        ("/sapi/v1/asset/transfer", {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "1"}),
        (
            "/sapi/v1/capital/withdraw/apply",
            {"coin": "USDT", "network": "ETH", "address": "0xabc", "amount": "1", "walletType": "0"},
        ),
    ],
)
def test_adl_transfers_and_withdrawals_are_asked_for_with_every_key(
    live: Live, alice: Party, old: Client, path: str, fields: dict[str, str]
) -> None:
    if "withdraw" in path:
        alice.owner.enrol(Environment.SPOT)
        live.settle()
    answer = old.call("POST", path, fields)
    assert answer.stepped_up, answer
    assert not live.executed(path)


@pytest.mark.mission("M21")
def test_an_edited_key_is_asked_from_its_next_call_on(live: Live, alice: Party, old: Client) -> None:
    assert old.order().status == 200
    owner, deployment = alice.owner, live.deployment
    session = owner.session
    assert session is not None

    def edit() -> Any:
        change = TermsChange(label="edited")
        return deployment.run(
            lambda tx: change_key(tx, deployment.world, session=session, key_id=old.key_id, change=change)
        )

    owner.prove(edit().challenge)
    assert edit().legacy is False
    live.settle()
    assert old.order().stepped_up


@pytest.mark.mission("M21")
def test_the_date_holds_by_itself_and_is_told_before_and_when_it_comes(live: Live, alice: Party, old: Client) -> None:
    """Nothing has to sweep for it to hold. The owner hears of it four times, each once."""
    start = live.clock.now_ms()
    assert dated(live, alice, start + 30 * DAY) == [old.key_id]
    assert dated(live, alice, start + 30 * DAY) == [], "the same date again is no news"
    assert [body["ends_at"] for body in notices(live, alice)] == [start + 30 * DAY]
    told = 1
    for days, expected in ((22, 1), (23, 2), (24, 2), (29, 3), (29.5, 3)):
        live.clock.ms = start + int(days * DAY)
        swept(live)
        told = len(notices(live, alice))
        assert told == expected, days
    live.clock.ms = start + 30 * DAY - 1
    live.settle()
    assert old.order().status == 200
    live.clock.ms = start + 30 * DAY
    live.settle()
    assert old.order().stepped_up, "swept or not"
    swept(live)
    swept(live)
    assert [body["type"] for body in notices(live, alice)][told:] == ["key.legacy_ended"]
    assert [kind for kind in live.kinds(alice) if kind.startswith("key.legacy")] == [
        "key.legacy_dated",
        "key.legacy_ended",
    ]
    assert old.order().stepped_up


@pytest.mark.mission("M21")
def test_a_date_can_be_taken_away(live: Live, alice: Party, old: Client) -> None:
    dated(live, alice, live.clock.now_ms() + 1000)
    dated(live, alice, None)
    live.clock.tick(2000)
    live.settle()
    swept(live)
    assert old.order().status == 200
    assert {body["type"] for body in notices(live, alice)} == {"key.legacy_ends", "key.legacy_date_removed"}


def test_a_date_in_the_past_is_none(live: Live, alice: Party, old: Client) -> None:
    with refused(Reason.MALFORMED):
        dated(live, alice, live.clock.now_ms() - 1)
    assert old.order().status == 200


@pytest.mark.mission("M21")
def test_a_date_for_all_is_for_those_to_come_too(live: Live) -> None:
    deployment = live.deployment
    ends_at = live.clock.now_ms() + 10 * DAY
    deployment.run(lambda tx: legacy_keys.set_date_for_all(tx, ends_at=ends_at, by="test:"))
    try:
        bob = live.party(enrolled=())
        key = bob.owner.key()
        bob.owner.enrol(FUTURES)
        found = deployment.read(lambda tx: tx.key(bob.account_id, key.key_id))
        assert found is not None
        assert (found.legacy, found.legacy_ends_at) == (True, ends_at)
    finally:
        deployment.run(lambda tx: legacy_keys.set_date_for_all(tx, ends_at=None, by="test:"))


def test_what_cannot_be_written_is_counted_on(live: Live, alice: Party, old: Client) -> None:
    """The database away for a while: the counts come with the next writing, none twice."""
    old.order()
    spared = live.gateway._parts.spared

    class Away:
        async def run(self, _use_case: Any) -> None:
            from leverlock.domain.errors import Refused

            raise Refused(Reason.STORE_UNAVAILABLE)

    live.on_loop(spared.write(Away()))  # type: ignore[arg-type]
    old.order()
    assert report(live, alice)["futures.order.place"] == 2
    uses = live.deployment.read(lambda tx: tx.legacy_uses(alice.account_id, since=0))
    assert uses == [LegacyUse(alice.account_id, old.key_id, "futures.order.place", 2, live.clock.now_ms())]
