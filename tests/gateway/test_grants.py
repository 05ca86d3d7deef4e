"""No gated action reaches the venue without a live grant of its own, and each grant reaches it once (B40-B48, B52)."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.live import SYMBOL, Answer, Client, Live, Party, wait_for
from gateway.test_threshold import LEG, order_id, position
from leverlock.app import accounts, answers, api_keys
from leverlock.domain.challenge import Denial
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason
from world import refused


@dataclass
class Action:
    """A gated call: what must be there at the venue, and the call with its bound fields, of which `other` has one less
    or one more changed."""

    prepare: Callable[[Live, Party], Any]
    method: str
    path: str
    params: Callable[[Any], dict[str, Any]]
    other: dict[str, Any] = field(default_factory=dict)  # none where the only other value would be no change
    environment: Environment = Environment.FUTURES

    def call(self, bot: Client, found: Any, **changes: Any) -> Answer:
        return bot.call(self.method, self.path, self.params(found) | changes)


def nothing(live: Live, party: Party) -> None:
    return None


def batch(*legs: dict[str, Any]) -> dict[str, Any]:
    return {"batchOrders": json.dumps(legs)}


def isolated_position(live: Live, party: Party) -> None:
    """With margin that may be taken out."""
    for path, params in (
        ("/fapi/v1/marginType", {"symbol": SYMBOL, "marginType": "ISOLATED"}),
        ("/fapi/v1/order", {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}),
        ("/fapi/v1/positionMargin", {"symbol": SYMBOL, "amount": "5", "type": "1"}),
    ):
        assert live.venue.signed(party.venue_key, "POST", path, params, where="body").status == 200


def owner_of_all(live: Live, *environments: Environment) -> Party:
    """With funds in every wallet, a venue key that may move them, and high leverage."""
    funded = {wallet: {"USDT": "1000"} for wallet in ("spot", "margin", "funding")}
    leverage = {SYMBOL: 75, "ETHUSDT": 75}
    return live.party(enrolled=environments, leverage=leverage, balances=funded, moves_funds=True)


WITHDRAWAL = {"coin": "USDT", "network": "ETH", "address": "0x" + "ab" * 20, "amount": "5"}
AMEND_LEG = {"symbol": SYMBOL, "side": "BUY", "quantity": "0.02", "price": "57500"}
GATED: dict[str, Action] = {
    "order": Action(nothing, "POST", "/fapi/v1/order", lambda _: {**LEG}, {"quantity": "0.02"}),
    "amend": Action(
        order_id, "PUT", "/fapi/v1/order", lambda found: {**AMEND_LEG, "orderId": found}, {"price": "57400"}
    ),
    "batch": Action(nothing, "POST", "/fapi/v1/batchOrders", lambda _: batch(LEG), batch(LEG | {"quantity": "0.02"})),
    "amend batch": Action(
        order_id,
        "PUT",
        "/fapi/v1/batchOrders",
        lambda found: batch({**AMEND_LEG, "orderId": str(found)}),
        batch(AMEND_LEG | {"orderId": "1"}),
    ),
    "conditional": Action(
        nothing,
        "POST",
        "/fapi/v1/algoOrder",
        lambda _: (
            {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET"}
            | {"quantity": "0.01", "triggerPrice": "50000"}
        ),
        {"triggerPrice": "51000"},
    ),
    "leverage": Action(
        position, "POST", "/fapi/v1/leverage", lambda _: {"symbol": SYMBOL, "leverage": "100"}, {"leverage": "125"}
    ),
    "margin mode": Action(
        nothing,
        "POST",
        "/fapi/v1/marginType",
        lambda _: {"symbol": SYMBOL, "marginType": "ISOLATED"},
        {"symbol": "ETHUSDT"},
    ),
    "multi-assets mode": Action(nothing, "POST", "/fapi/v1/multiAssetsMargin", lambda _: {"multiAssetsMargin": "true"}),
    "position margin": Action(
        isolated_position,
        "POST",
        "/fapi/v1/positionMargin",
        lambda _: {"symbol": SYMBOL, "amount": "1.5", "type": "2"},
        {"amount": "1.4"},
    ),
    "ADL setting": Action(
        nothing, "POST", "/fapi/v1/adlSetting", lambda _: {"symbol": SYMBOL, "rank": "LOWERED"}, {"rank": "STANDARD"}
    ),
    "delta mode": Action(
        nothing, "POST", "/sapi/v1/portfolio/delta-mode", lambda _: {"deltaEnabled": "true"}, {"deltaEnabled": "false"}
    ),
    "transfer out of futures": Action(
        nothing,
        "POST",
        "/sapi/v1/asset/transfer",
        lambda _: {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "5"},
        {"type": "UMFUTURE_FUNDING"},
    ),
    "transfer out of futures, older door": Action(
        nothing,
        "POST",
        "/sapi/v1/futures/transfer",
        lambda _: {"type": "2", "asset": "USDT", "amount": "5"},
        {"amount": "5.00000001"},
    ),
    "transfer out of spot": Action(
        nothing,
        "POST",
        "/sapi/v1/asset/transfer",
        lambda _: {"type": "MAIN_UMFUTURE", "asset": "USDT", "amount": "5"},
        {"amount": "6"},
        Environment.SPOT,
    ),
    "transfer out of margin": Action(
        nothing,
        "POST",
        "/sapi/v1/asset/transfer",
        lambda _: {"type": "MARGIN_MAIN", "asset": "USDT", "amount": "5"},
        {"asset": "USDC"},
        Environment.MARGIN,
    ),
    "withdrawal": Action(
        nothing,
        "POST",
        "/sapi/v1/capital/withdraw/apply",
        lambda _: WITHDRAWAL,
        {"address": "0x" + "cd" * 20},
        Environment.SPOT,
    ),
    "withdrawal with a questionnaire": Action(
        nothing,
        "POST",
        "/sapi/v1/localentity/withdraw/apply",
        lambda _: {**WITHDRAWAL, "questionnaire": '{"isAddressOwner":1}'},
        {"questionnaire": '{"isAddressOwner":2}'},
        Environment.SPOT,
    ),
    "borrowing": Action(
        nothing,
        "POST",
        "/sapi/v1/margin/borrow-repay",
        lambda _: {"asset": "USDT", "amount": "5", "isIsolated": "FALSE", "type": "BORROW"},
        {"amount": "6"},
        Environment.MARGIN,
    ),
    "borrowing, older door": Action(
        nothing,
        "POST",
        "/sapi/v1/margin/loan",
        lambda _: {"asset": "USDT", "amount": "5"},
        {"amount": "6"},
        Environment.MARGIN,
    ),
}


@dataclass
class Story:
    """One gated action of one key, asked for and not yet executed."""

    live: Live
    alice: Party
    bot: Client
    action: Action
    found: Any
    asked: Answer

    def repeat(self, bot: Client | None = None, **changes: Any) -> Answer:
        return self.action.call(bot or self.bot, self.found, **changes)

    def approve(self) -> None:
        self.live.approve(self.alice, self.asked.challenge)

    def deny(self, denial: Denial) -> None:
        deployment = self.live.deployment
        deployment.run(
            lambda tx: answers.deny(
                tx,
                deployment.world,
                account_id=self.alice.account_id,
                answered_by=self.alice.owner.principal,
                challenge_id=self.asked.challenge,
                denial=denial,
            )
        )
        self.live.settle()


def story(live: Live, name: str = "order", *, otp_allowed: bool = False) -> Story:
    action = GATED[name]
    alice = owner_of_all(live, action.environment)
    found = action.prepare(live, alice)
    bot = live.client(alice, otp_allowed=otp_allowed)
    asked = action.call(bot, found)
    assert asked.stepped_up, asked
    live.venue.clear_calls()
    return Story(live, alice, bot, action, found, asked)


# -- B40: every gated action x every missing or bad grant ------------------------------------------------------------
def pending(told: Story) -> Answer:
    return told.repeat()


def denied(told: Story) -> Answer:
    told.deny(Denial.CHANGED_MIND)
    return told.repeat()


def not_me(told: Story) -> Answer:
    told.deny(Denial.NOT_ME)
    return told.repeat()


def withdrawn(told: Story) -> Answer:
    told.approve()
    deployment = told.live.deployment
    deployment.run(
        lambda tx: answers.cancel(
            tx,
            deployment.world,
            account_id=told.alice.account_id,
            principal=f"key:{told.bot.key_id}",
            challenge_id=told.asked.challenge,
        )
    )
    return told.repeat()


def never_answered(told: Story) -> Answer:
    told.live.clock.tick(told.live.deployment.world.limits.challenge_life_ms)
    return told.repeat()


def approved_too_long_ago(told: Story) -> Answer:
    told.approve()
    told.live.clock.tick(told.live.deployment.world.limits.grant_life_ms)
    return told.repeat()


def undo_at_the_venue(told: Story) -> None:
    """Settings go back to what they were, behind our back: the same call again would change them once more."""
    live, path = told.live, told.action.path
    if path.endswith("leverage"):
        live.set_leverage(told.alice, 75)
    if path.endswith("marginType"):
        crossed = {"symbol": SYMBOL, "marginType": "CROSSED"}
        assert live.venue.signed(told.alice.venue_key, "POST", path, crossed).status == 200
    if path.endswith("multiAssetsMargin"):
        single = {"multiAssetsMargin": "false"}
        assert live.venue.signed(told.alice.venue_key, "POST", path, single).status == 200
    live.venue.clear_calls()


def consumed(told: Story) -> Answer:
    told.approve()
    first = told.repeat()
    assert not first.stepped_up, first
    assert len(told.live.executed()) == 1
    told.live.venue.clear_calls()
    undo_at_the_venue(told)
    return told.repeat()


def failed(told: Story) -> Answer:
    owner = told.alice.owner
    for _ in range(5):
        with refused(Reason.WRONG_CODE):
            owner.prove(told.asked.challenge, code=owner.wrong_code(told.action.environment))
    assert told.live.state(told.alice, told.asked.challenge) == "failed"
    return told.repeat()


def of_another_key(told: Story) -> Answer:
    told.approve()
    return told.repeat(told.live.client(told.alice))


def of_another_account(told: Story) -> Answer:
    told.approve()
    live = told.live
    mallory = owner_of_all(live, told.action.environment)
    found = told.action.prepare(live, mallory)
    live.venue.clear_calls()
    return told.action.call(live.client(mallory), found)


def of_another_field(told: Story) -> Answer:
    told.approve()
    return told.repeat(**told.action.other)


def with_a_code_it_may_not_send(told: Story) -> Answer:
    return told.repeat(otp=told.alice.owner.fresh_code(told.action.environment))


def with_a_code_in_a_header_it_may_not_send(told: Story) -> Answer:
    code = told.alice.owner.fresh_code(told.action.environment)
    params = told.action.params(told.found)
    return told.bot.call(told.action.method, told.action.path, params, headers={"Leverlock-Code": code})


BAD_GRANTS = [
    pending,
    denied,
    not_me,
    withdrawn,
    never_answered,
    approved_too_long_ago,
    consumed,
    failed,
    of_another_key,
    of_another_account,
    of_another_field,
    with_a_code_it_may_not_send,
    with_a_code_in_a_header_it_may_not_send,
]


@pytest.mark.bar("B40")
@pytest.mark.bar("B42")
@pytest.mark.bar("B44")
@pytest.mark.parametrize(
    ("name", "bad"),
    [(name, bad) for name in GATED for bad in BAD_GRANTS if GATED[name].other or bad is not of_another_field],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_without_a_live_grant_nothing_reaches_the_venue(live: Live, name: str, bad: Callable[[Story], Answer]) -> None:
    told = story(live, name)
    answer = bad(told)
    assert answer.status == 401, answer
    assert answer.code == (-40105 if bad is denied else -2015 if answer.code == -2015 else -40101), answer
    assert live.executed() == []


def test_what_the_owner_refused_is_not_rung_again_until_it_would_have_expired(live: Live) -> None:
    told = story(live)
    told.deny(Denial.CHANGED_MIND)
    rings = live.kinds(told.alice).count("challenge.created")
    live.clock.tick(60_000)
    for _ in range(3):
        again = told.repeat()
        assert (again.status, again.code, again.headers["retry-after"]) == (401, -40105, "240")
    assert live.kinds(told.alice).count("challenge.created") == rings
    assert told.repeat(live.client(told.alice)).stepped_up  # another key's intent is another question
    live.clock.tick(240_000)
    assert told.repeat().stepped_up
    assert live.executed() == []


@pytest.mark.bar("B40")
@pytest.mark.parametrize("name", GATED)
def test_with_its_grant_it_executes_once(live: Live, name: str) -> None:
    told = story(live, name)
    told.approve()
    assert told.repeat().status == 200
    assert len(live.executed()) == 1
    assert live.kinds(told.alice).count("grant.spent") == 1


@pytest.mark.bar("B42")
def test_a_changed_field_is_another_action_and_the_first_grant_lives_on(live: Live) -> None:
    """Each bound field of an order in turn; what is not bound may change."""
    alice = live.party(leverage={SYMBOL: 75, "ETHUSDT": 75})
    fields = {**LEG, "reduceOnly": "false", "positionSide": "BOTH"}
    bot = live.client(alice)
    asked = bot.order(**fields)
    live.approve(alice, asked.challenge)
    live.venue.clear_calls()
    changes = {
        "symbol": "ETHUSDT",
        "side": "SELL",
        "quantity": "0.0100001",
        "price": "58000.1",
        "timeInForce": "IOC",
        "reduceOnly": "true",
        "positionSide": "LONG",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": "1900000000000",
    }
    for name, value in changes.items():
        live.end_challenges(alice, keep=asked.challenge)
        answer = bot.order(**(fields | {name: value}))
        assert answer.stepped_up, (name, answer)
        assert answer.challenge != asked.challenge, name
        assert live.executed() == []
        assert live.state(alice, asked.challenge) == "approved"
    passed = bot.order(
        **(fields | {"quantity": "0.0100", "price": "5.8e4", "reduceOnly": "False"}),
        newClientOrderId="mine",
        newOrderRespType="RESULT",
        recvWindow=9000,
    )
    assert passed.status == 200, passed
    assert passed.json["clientOrderId"] == "mine"
    assert live.state(alice, asked.challenge) == "consumed"


@pytest.mark.bar("B44")
@pytest.mark.bar("B45")
def test_many_repeats_at_once_execute_once(live: Live) -> None:
    told = story(live)
    told.approve()
    bodies = [(told.bot.signed({**LEG}), told.bot.key.api_key) for _ in range(24)]
    with ThreadPoolExecutor(24) as pool:
        found = list(
            pool.map(lambda b: live.send("POST", "/fapi/v1/order", b[0], headers={"X-MBX-APIKEY": b[1]}), bodies)
        )
    assert sorted(answer.status for answer in found) == [200] + [401] * 23
    assert len(live.executed()) == 1
    assert len({answer.challenge for answer in found if answer.stepped_up}) == 1
    assert live.kinds(told.alice).count("grant.spent") == 1


# -- B45: the venue acts, and its answer does not come ----------------------------------------------------------------
LOST: dict[str, tuple[dict[str, Any], tuple[int, int], bool]] = {
    "acts, then cuts": ({"when": "after", "cut": True}, (503, -1007), True),
    "acts, then 503": ({"when": "after", "status": 503, "code": -1000}, (503, -1000), True),
    "acts, then 500 without JSON": ({"when": "after", "status": 500, "body": "oops"}, (500, 0), True),
    "cuts before": ({"cut": True}, (503, -1007), False),
    "503 before": ({"status": 503, "code": -1008}, (503, -1008), False),
}


@pytest.mark.bar("B45")
@pytest.mark.parametrize("name", LOST)
def test_an_outcome_that_nobody_knows_is_said_so_recorded_and_told(live: Live, name: str) -> None:
    fault, (status, code), acts = LOST[name]
    alice = live.party(leverage={SYMBOL: 75}, ring=True)
    bot = live.client(alice)
    asked = bot.limit()
    live.approve(alice, asked.challenge)
    live.venue.clear_calls()
    live.venue.add_fault("/fapi/v1/order", method="POST", **fault)
    lost = bot.limit()
    assert lost.status == status
    if code:
        assert lost.code == code
    if code == -1007:
        assert "unknown" in lost.json["msg"]
    assert live.state(alice, asked.challenge) == "consumed"
    [event] = [event for event in live.events(alice) if event["kind"] == "execution.unknown"]
    assert event["challenge"] == asked.challenge
    assert event["action"] == "futures.order.place"
    [told] = [message for message in live.messages(alice) if message["type"] == "execution.unknown"]
    assert told["challenge"] == asked.challenge
    # The same call again is asked about anew; nothing is repeated behind the owner's back.
    again = bot.limit()
    assert again.stepped_up
    assert again.challenge != asked.challenge
    assert len(live.executed()) == 1
    assert live.venue.orders_executed() == int(acts)


@pytest.mark.bar("B45")
def test_an_amendment_whose_connection_drops_is_not_sent_again(live: Live) -> None:
    """HTTP calls PUT idempotent, and client libraries repeat it on a kept connection that drops; an order is not."""
    told = story(live, "amend")
    told.approve()
    assert told.bot.call("GET", "/fapi/v3/balance").status == 200  # a kept connection
    live.venue.clear_calls()
    live.venue.add_fault("/fapi/v1/order", method="PUT", when="after", cut=True)
    lost = told.repeat()
    assert (lost.status, lost.code) == (503, -1007)
    assert len(live.executed()) == 1


@pytest.mark.bar("B45")
def test_a_venue_that_acts_and_hangs_gets_one_order(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = live.party(leverage={SYMBOL: 75})
    bot = live.client(alice)
    asked = bot.limit()
    live.approve(alice, asked.challenge)
    live.venue.clear_calls()
    pool = live.on_loop(live.venues.pool(live.venue.url))
    monkeypatch.setattr(pool, "_total_seconds", 0.4)
    live.venue.add_fault("/fapi/v1/order", method="POST", when="after", delay_ms=900)
    lost = bot.limit()
    assert (lost.status, lost.code) == (503, -1007)
    assert live.state(alice, asked.challenge) == "consumed"
    assert "execution.unknown" in live.kinds(alice)
    wait_for(lambda: live.venue.orders_executed() == 1)
    assert len(live.executed()) == 1


@pytest.mark.bar("B45")
def test_the_grant_is_spent_on_disk_before_the_venue_hears_of_it(live: Live) -> None:
    told = story(live)
    told.approve()
    live.venue.add_fault("/fapi/v1/order", method="POST", delay_ms=500)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(told.repeat)
        wait_for(lambda: len(live.executed()) == 1)
        assert live.state(told.alice, told.asked.challenge) == "consumed"
        assert not running.done()
        assert running.result().status == 200


@pytest.mark.bar("B45")
def test_a_refusal_of_the_venue_does_not_bring_the_grant_back(live: Live) -> None:
    told = story(live)
    told.approve()
    live.venue.add_fault("/fapi/v1/order", method="POST", status=400, code=-2019, msg="Margin is insufficient.")
    first = told.repeat()
    assert (first.status, first.code) == (400, -2019)
    assert told.repeat().stepped_up
    assert "execution.unknown" not in live.kinds(told.alice)


# -- B46, B47: the states as the asking key sees them ----------------------------------------------------------------
@pytest.mark.bar("B46")
def test_the_asking_key_follows_its_challenge(live: Live) -> None:
    told = story(live)
    bot, challenge = told.bot, told.asked.challenge
    assert bot.poll(challenge).json["state"] == "pending"
    told.approve()
    assert bot.poll(challenge).json["state"] == "approved"
    assert told.repeat().status == 200
    seen = bot.poll(challenge)
    assert (seen.status, seen.json["state"], seen.json["challenge"]) == (200, "consumed", challenge)
    assert set(seen.json) == {"challenge", "state", "action", "expiresAt"}
    second = told.repeat().challenge
    live.clock.tick(300_001)
    assert bot.poll(second).json["state"] == "expired"
    third = story(live)
    third.deny(Denial.CHANGED_MIND)
    assert third.bot.poll(third.asked.challenge).json["state"] == "denied"
    with refused(Reason.CHALLENGE_NOT_PENDING):
        third.approve()
    assert third.bot.poll(third.asked.challenge).json["state"] == "denied"


@pytest.mark.bar("B47")
@pytest.mark.bar("B62")
def test_unknown_foreign_and_another_keys_challenge_look_alike(live: Live) -> None:
    told, mallory = story(live), story(live)
    sibling = live.client(told.alice)
    known = told.asked.challenge
    unknown = known[:-1] + ("a" if known[-1] != "a" else "b")
    refusals = [
        mallory.bot.poll(known),
        sibling.poll(known),
        told.bot.poll(unknown),
        told.bot.poll("ch_" + "a" * 26),
        told.bot.poll("x"),
        told.bot.poll("key_" + known[3:]),
        told.bot.poll(known + "a"),
    ]
    assert {answer.status for answer in refusals} == {401}
    assert {answer.code for answer in refusals} == {-40104}
    assert len({answer.body for answer in refusals}) == 1
    assert len({alike(answer) for answer in refusals}) == 1
    told.approve()
    assert mallory.repeat().stepped_up  # the id in another's hand is worth nothing
    assert live.executed() == []


def alike(answer: Answer) -> tuple[tuple[str, str], ...]:
    """Headers, without the clock."""
    return tuple(sorted((name, value) for name, value in answer.headers.items() if name != "date"))


@pytest.mark.bar("B47")
def test_a_challenge_is_polled_with_a_signature_only(live: Live) -> None:
    told = story(live)
    path = f"/leverlock/v1/challenges/{told.asked.challenge}"
    bare = live.send("GET", path, headers={"X-MBX-APIKEY": told.bot.key.api_key})
    assert bare.status == 400
    assert b"pending" not in bare.body
    anonymous = live.send("GET", path)
    assert (anonymous.status, anonymous.code) == (401, -2015)
    forged = live.send(
        "GET",
        f"{path}?timestamp={told.bot.timestamp()}&signature={'0' * 64}",
        headers={"X-MBX-APIKEY": told.bot.key.api_key},
    )
    assert forged.code == -1022
    assert told.bot.call("GET", path, {"x": "1"}).code == -1104
    assert told.bot.call("DELETE", path).code == -40106


# -- B48: codes that come with the call ------------------------------------------------------------------------------
@pytest.mark.bar("B48")
@pytest.mark.bar("B77")
def test_five_wrong_codes_with_the_call_end_the_challenge(live: Live) -> None:
    told = story(live, otp_allowed=True)
    owner = told.alice.owner
    for _ in range(5):
        assert told.repeat(otp=owner.wrong_code()).code == -40102
    assert live.state(told.alice, told.asked.challenge) == "failed"
    blocked = told.repeat(otp=owner.code())
    assert blocked.status == 401, blocked
    assert live.executed() == []
    account = live.deployment.read(lambda tx: tx.account(told.alice.account_id))
    assert account is not None
    assert len(account.budget.wrong_at_ms) == 5


def test_a_code_with_the_call_executes_it_once_for_a_key_that_opted_in(live: Live) -> None:
    told = story(live, otp_allowed=True)
    code = told.alice.owner.fresh_code()
    assert told.repeat(otp=code).status == 200
    assert told.repeat(otp=code).code == -40103
    params = told.action.params(told.found)
    fresh = told.alice.owner.fresh_code()
    assert told.bot.call("POST", "/fapi/v1/order", params, headers={"Leverlock-Code": fresh}).status == 200
    for odd in ("12345", "abcdef", "１２３４５６", "123456 "):
        assert told.repeat(otp=odd).code in (-40102, -1100), odd
    assert len(live.executed()) == 2


# -- B52: what ends, ends at once ------------------------------------------------------------------------------------
def revoke(live: Live, told: Story) -> None:
    deployment = live.deployment
    deployment.run(
        lambda tx: api_keys.revoke_key(
            tx, deployment.world, account_id=told.alice.account_id, key_id=told.bot.key_id, by="test:"
        )
    )


def freeze(live: Live, told: Story) -> None:
    other = told.repeat(quantity="0.05")
    deployment = live.deployment
    deployment.run(
        lambda tx: answers.deny(
            tx,
            deployment.world,
            account_id=told.alice.account_id,
            answered_by=told.alice.owner.principal,
            challenge_id=other.challenge,
            denial=Denial.NOT_ME,
        )
    )


def lock(live: Live, told: Story) -> None:
    deployment = live.deployment
    deployment.run(lambda tx: accounts.lock(tx, deployment.world, account_id=told.alice.account_id, by="test:"))


def change_factor(live: Live, told: Story) -> None:
    told.alice.owner.enrol(Environment.FUTURES)


def remove_upstream(live: Live, told: Story) -> None:
    deployment = live.deployment
    deployment.run(
        lambda tx: api_keys.remove_upstream(
            tx, deployment.world, account_id=told.alice.account_id, upstream_id=told.alice.upstream_id, by="test:"
        )
    )


ENDINGS = {"key revoked": revoke, "key frozen": freeze, "account locked": lock, "venue removed": remove_upstream}


@pytest.mark.bar("B52")
@pytest.mark.parametrize("seen", [True, False], ids=["snapshot up to date", "snapshot a second old"])
@pytest.mark.parametrize("ending", [*ENDINGS, "factor changed"])
def test_what_was_approved_before_is_void_after(live: Live, ending: str, seen: bool) -> None:
    """Also for the part of a second in which this process does not know yet."""
    told = story(live)
    told.approve()
    if ending == "factor changed":
        change_factor(live, told)
    else:
        ENDINGS[ending](live, told)
    assert live.state(told.alice, told.asked.challenge) == "cancelled"
    if seen:
        live.settle()
    answer = told.repeat()
    assert answer.status == 401, answer
    assert live.executed() == []
    expected = {
        "factor changed": -40101,
        "account locked": -40112,
    }.get(ending, -2015)
    assert answer.code == expected, answer
    if ending == "factor changed":
        assert answer.challenge != told.asked.challenge


@pytest.mark.bar("B52")
def test_a_revoked_key_may_not_even_read_within_a_second(live: Live) -> None:
    told = story(live)
    assert told.bot.call("GET", "/fapi/v3/balance").status == 200
    revoke(live, told)
    live.clock.tick(live.deployment.world.limits.snapshot_age_ms + 1)
    assert told.bot.call("GET", "/fapi/v3/balance").code == -2015


# -- B53, B62: the answers, to the byte ------------------------------------------------------------------------------
@pytest.mark.bar("B53")
def test_the_golden_step_up(live: Live) -> None:
    told = story(live)
    answer, challenge = told.asked, told.asked.challenge
    assert answer.status == 401
    headers = {
        name: value for name, value in answer.headers.items() if name not in ("date", "server", "content-length")
    }
    assert headers == {
        "content-type": "application/json",
        "cache-control": "no-store",
        "leverlock-challenge": challenge,
        "www-authenticate": (
            'Bearer error="insufficient_user_authentication", '
            'error_description="The account\'s owner must approve this action", '
            'acr_values="urn:leverlock:acr:futures-totp", max_age="0"'
        ),
    }
    url = f"http://127.0.0.1/approve/{challenge}"
    assert answer.json == {
        "code": -40101,
        "msg": (
            f"Step-up required (buy 0.01 BTCUSDT limit at 58000 on 75x). Approve {url} then send the same call again. "
            f"challenge={challenge} expires=300s"
        ),
        "leverlock": {
            "challenge": challenge,
            "url": url,
            "state": "pending",
            "expiresAt": answer.json["leverlock"]["expiresAt"],
            "action": "futures.order.place",
        },
    }


@pytest.mark.bar("B53")
def test_an_anonymous_caller_learns_nothing(live: Live) -> None:
    """No step-up, no challenge, no leverage: not without a key, not with a key and a wrong signature."""
    told = story(live)
    body = told.bot.signed({**LEG})
    forged = body[:-64] + b"0" * 64
    found = [
        live.send("POST", "/fapi/v1/order", body),
        live.send("POST", "/fapi/v1/order", body, {"X-MBX-APIKEY": "lk" + "a" * 40}),
        live.send("POST", "/fapi/v1/order", forged, {"X-MBX-APIKEY": told.bot.key.api_key}),
    ]
    for answer in found:
        assert "www-authenticate" not in answer.headers
        assert "leverlock-challenge" not in answer.headers
        assert b"ch_" not in answer.body
        assert b"75" not in answer.body
    assert [answer.code for answer in found] == [-2015, -2015, -1022]


@pytest.mark.bar("B62")
def test_unknown_revoked_frozen_and_malformed_keys_look_alike(live: Live) -> None:
    revoked, frozen, gone = story(live), story(live), story(live)
    revoke(live, revoked)
    freeze(live, frozen)
    remove_upstream(live, gone)
    live.settle()
    live.venue.clear_calls()
    keys = [
        revoked.bot.key.api_key,
        frozen.bot.key.api_key,
        gone.bot.key.api_key,
        "lk" + "a" * 52,
        "x",
        "x-y",
        "%00",
        "",
    ]
    for method, path in (("POST", "/fapi/v1/order"), ("GET", "/fapi/v3/balance"), ("POST", "/fapi/v1/listenKey")):
        found = []
        for key in keys:
            text = revoked.bot.signed({**LEG})
            target = f"{path}?{text.decode()}" if method == "GET" else path
            found.append(live.send(method, target, b"" if method == "GET" else text, {"X-MBX-APIKEY": key}))
        assert {(answer.status, answer.code) for answer in found} == {(401, -2015)}, found
        assert len({answer.body for answer in found}) == 1
        assert len({alike(answer) for answer in found}) == 1
    assert live.venue.calls() == []


# -- B81: slots ------------------------------------------------------------------------------------------------------
@pytest.mark.bar("B81")
def test_a_key_that_fills_its_slots_leaves_the_owner_his_own(live: Live) -> None:
    from leverlock.app.decide import Asked
    from world import order

    alice = live.party(leverage={SYMBOL: 75})
    noisy, second, third = (live.client(alice) for _ in range(3))
    live.venue.clear_calls()
    assert [noisy.order(quantity=f"0.0{number}").code for number in range(1, 6)] == [-40101] * 3 + [-40107] * 2
    assert [second.order(quantity=f"0.0{number}").code for number in range(1, 4)] == [-40101] * 2 + [-40107]
    assert third.order().code == -40107
    assert live.executed() == []
    for quantity in ("1", "2", "3"):
        answer = alice.owner.ask(order(quantity=quantity))
        assert isinstance(answer, Asked)
    live.approve(alice, answer.challenge.challenge_id)
    refusal = noisy.order(quantity="0.09")
    assert refusal.status == 401
    assert "www-authenticate" not in refusal.headers


@pytest.mark.bar("B81")
def test_a_key_opens_ten_challenges_in_ten_minutes(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 75})
    bot = live.client(alice)
    codes = []
    for number in range(12):
        answer = bot.order(quantity=f"0.{number + 10}")
        codes.append(answer.code)
        live.end_challenges(alice)
    assert codes == [-40101] * 10 + [-40107] * 2
    live.clock.tick(600_001)
    assert bot.order().stepped_up


@pytest.mark.bar("B81")
def test_the_same_intent_five_times_is_one_challenge_and_one_ring(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 75}, ring=True)
    bot = live.client(alice)
    bodies = [bot.signed({**LEG, "newClientOrderId": f"c{number}"}) for number in range(5)]
    with ThreadPoolExecutor(5) as pool:
        found = list(
            pool.map(lambda b: live.send("POST", "/fapi/v1/order", b, {"X-MBX-APIKEY": bot.key.api_key}), bodies)
        )
    assert len({answer.challenge for answer in found}) == 1
    rings = [message for message in live.messages(alice) if message["type"] == "challenge.waiting"]
    assert [ring["challenge"] for ring in rings] == [found[0].challenge]
    assert live.kinds(alice).count("challenge.created") == 1


# -- B88: one record each --------------------------------------------------------------------------------------------
@pytest.mark.bar("B88")
def test_each_step_of_a_gated_call_leaves_one_record(live: Live) -> None:
    told = story(live)
    before = len(live.events(told.alice))
    told.approve()
    told.repeat()
    told.live.client(told.alice)
    added = live.events(told.alice)[before:]
    assert [event["kind"] for event in added] == ["challenge.approved", "grant.spent", "key.created"]
    spent = added[1]
    created = [e for e in live.events(told.alice) if e["kind"] == "challenge.created"]
    assert [e["challenge"] for e in created] == [told.asked.challenge]
    assert spent["challenge"] == told.asked.challenge
    assert spent["digest"] == created[0]["digest"]
    assert created[0]["rules"] == ["orders above 50x"]


@pytest.mark.bar("B88")
def test_an_ordinary_order_touches_no_database(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    bot = live.client(alice)
    assert bot.order().status == 200
    store = live.deployment.store
    before, events = store.committed, len(live.events(alice))
    counted = live.meter.decisions["allow", "no_rule_matched", "futures.order.place"]
    for _ in range(20):
        assert bot.order().status == 200
    assert store.committed == before
    assert len(live.events(alice)) == events
    assert live.meter.decisions["allow", "no_rule_matched", "futures.order.place"] == counted + 20
