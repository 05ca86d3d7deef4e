"""Movements of funds through the gateway: two layers, each market's own factor, and no letter of it left open (M17)."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any
from urllib.parse import parse_qsl

import pytest

from gateway.live import SYMBOL, Answer, Client, Live, Party
from gateway.test_grants import WITHDRAWAL, owner_of_all
from leverlock.app import holds
from leverlock.app.proofs import Proof
from leverlock.app.prove import Advanced, prove
from leverlock.app.wallet import open_wallet
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.errors import Reason
from leverlock.domain.hold import HoldScope
from leverlock.domain.key_terms import Scope
from leverlock.domain.wording import describe
from leverlock.gateway.binance.forms import FUTURES_TRANSFERS, TRANSFERS
from leverlock.ports import Transaction
from world import refused

FUTURES, SPOT, MARGIN = Environment.FUTURES, Environment.SPOT, Environment.MARGIN
TRANSFER = "/sapi/v1/asset/transfer"
OLDER = "/sapi/v1/futures/transfer"
WITHDRAW = "/sapi/v1/capital/withdraw/apply"
DECLARED = "/sapi/v1/localentity/withdraw/apply"
LOAN = "/sapi/v1/margin/borrow-repay"


def transfer(bot: Client, kind: str, amount: str = "5", **more: str) -> Answer:
    return bot.call("POST", TRANSFER, {"type": kind, "asset": "USDT", "amount": amount, **more})


def withdraw(bot: Client, **changes: str) -> Answer:
    return bot.call("POST", WITHDRAW, {**WITHDRAWAL, **changes})


def loan(bot: Client, kind: str, amount: str = "5", **more: object) -> Answer:
    return bot.call("POST", LOAN, {"asset": "USDT", "amount": amount, "isIsolated": "FALSE", "type": kind}, **more)


def answered(live: Live, party: Party, challenge: str, proof: Proof) -> Any:
    named = {"account_id": party.account_id, "answered_by": party.owner.principal, "challenge_ids": [challenge]}
    [settled] = live.deployment.run(lambda tx: prove(tx, live.deployment.world, proof=proof, **named))
    return settled


def sent(call: dict[str, Any]) -> dict[str, str]:
    """What the venue received, without what every signed call carries."""
    pairs = dict(parse_qsl(call["query"] + call["body"]))
    return {name: value for name, value in pairs.items() if name not in ("timestamp", "recvWindow", "signature")}


# -- layers ----------------------------------------------------------------------------------------------------------
@pytest.mark.mission("M17")
@pytest.mark.bar("B40")
@pytest.mark.parametrize(
    ("market", "path", "params"),
    [
        (FUTURES, TRANSFER, {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "5"}),
        (FUTURES, OLDER, {"type": "2", "asset": "USDT", "amount": "5"}),
        (SPOT, TRANSFER, {"type": "MAIN_UMFUTURE", "asset": "USDT", "amount": "5"}),
        (SPOT, WITHDRAW, WITHDRAWAL),
        (MARGIN, TRANSFER, {"type": "MARGIN_MAIN", "asset": "USDT", "amount": "5"}),
    ],
)
def test_one_layer_moves_nothing(live: Live, market: Environment, path: str, params: dict[str, str]) -> None:
    """The code that opens the wallet, then the password with a later code; neither alone, nor the first one twice."""
    alice = owner_of_all(live, *MARKETS)
    owner, bot = alice.owner, live.client(alice)
    live.venue.clear_calls()
    asked = bot.call("POST", path, params)
    assert asked.stepped_up
    first = owner.fresh_code(market)
    with refused(Reason.PROOF_NOT_ACCEPTED):
        answered(live, alice, asked.challenge, Proof(first, owner.finding()))
    assert isinstance(answered(live, alice, asked.challenge, Proof(first)), Advanced)
    again = bot.call("POST", path, params)
    assert again.challenge == asked.challenge
    assert live.executed() == []
    with refused(Reason.PROOF_MISSING):
        answered(live, alice, asked.challenge, Proof(owner.fresh_code(market)))
    with refused(Reason.CODE_ALREADY_USED):
        answered(live, alice, asked.challenge, Proof(first, owner.finding()))
    with refused(Reason.WRONG_CODE):
        other = next(each for each in MARKETS if each is not market)
        answered(live, alice, asked.challenge, Proof(owner.fresh_code(other), owner.finding()))
    with refused(Reason.WRONG_CODE):
        answered(live, alice, asked.challenge, Proof(owner.fresh_code(market), owner.finding(matched=False)))
    assert bot.call("POST", path, params).challenge == asked.challenge
    assert live.executed() == []
    answered(live, alice, asked.challenge, Proof(owner.fresh_code(market), owner.finding()))
    assert bot.call("POST", path, params).status == 200
    assert [sent(call) for call in live.executed()] == [params]


@pytest.mark.mission("M17")
def test_no_code_comes_with_a_movement(live: Live) -> None:
    """A key that may send codes sends no password, so a code with the call is not looked at and stays good."""
    alice = owner_of_all(live, *MARKETS)
    bot = live.client(alice, otp_allowed=True)
    live.venue.clear_calls()
    code = alice.owner.fresh_code(FUTURES)
    asked = bot.call("POST", TRANSFER, {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "5"}, otp=code)
    assert asked.stepped_up
    assert "otp" not in asked.json["msg"]
    assert isinstance(answered(live, alice, asked.challenge, Proof(code)), Advanced)
    assert live.executed() == []


@pytest.mark.mission("M17")
def test_a_wallet_that_a_session_opened_is_not_open_to_a_key(live: Live) -> None:
    alice = owner_of_all(live, FUTURES)
    world, session = live.deployment.world, alice.owner.session
    assert session is not None
    begun = live.deployment.run(lambda tx: open_wallet(tx, world, session=session, environment=FUTURES))
    alice.owner.prove(begun.challenge)  # type: ignore[union-attr]
    live.deployment.run(lambda tx: open_wallet(tx, world, session=session, environment=FUTURES))
    asked = transfer(live.client(alice), "UMFUTURE_MAIN")
    stored = live.deployment.read(lambda tx: tx.challenge(alice.account_id, asked.challenge))
    assert stored is not None
    assert stored.remaining.words() == ["password", "totp", "wallet"]


@pytest.mark.bar("B63")
@pytest.mark.parametrize("lacking", [Scope.TRANSFER, Scope.WITHDRAW, Scope.MARGIN])
def test_a_key_moves_nothing_for_which_it_was_not_given_the_scope(live: Live, lacking: Scope) -> None:
    """Also where no factor stands in the way."""
    alice = owner_of_all(live)
    bot = live.client(alice, scopes=frozenset(Scope) - {lacking}, ips=("127.0.0.1",))
    live.venue.clear_calls()
    needs = {TRANSFER: Scope.TRANSFER, OLDER: Scope.TRANSFER, WITHDRAW: Scope.WITHDRAW, LOAN: Scope.MARGIN}
    for _, path, params in CALLS.values():
        if needs.get(path) is lacking:
            assert bot.call("POST", path, params).code == -40116
    assert bot.call("POST", DECLARED, FULL).code == (-40116 if lacking is Scope.WITHDRAW else None)
    assert len(live.executed()) == (lacking is not Scope.WITHDRAW)


# -- whose factor ----------------------------------------------------------------------------------------------------
CALLS: dict[str, tuple[Environment, str, dict[str, str]]] = {
    **{
        kind: (market, TRANSFER, {"type": kind, "asset": "USDT", "amount": "1"})
        for market, kind in (
            (FUTURES, "UMFUTURE_MAIN"),
            (SPOT, "MAIN_UMFUTURE"),
            (MARGIN, "MARGIN_MAIN"),
            (SPOT, "FUNDING_MAIN"),
        )
    },
    "futures to spot": (FUTURES, OLDER, {"type": "2", "asset": "USDT", "amount": "1"}),
    "spot to futures": (SPOT, OLDER, {"type": "1", "asset": "USDT", "amount": "1"}),
    "withdrawal": (SPOT, WITHDRAW, WITHDRAWAL),
    "borrow": (MARGIN, LOAN, {"asset": "USDT", "amount": "1", "isIsolated": "FALSE", "type": "BORROW"}),
    "order": (FUTURES, "/fapi/v1/order", {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}),
    "margin mode": (FUTURES, "/fapi/v1/marginType", {"symbol": "ETHUSDT", "marginType": "ISOLATED"}),
    "multi-assets": (FUTURES, "/fapi/v1/multiAssetsMargin", {"multiAssetsMargin": "true"}),
}


@pytest.mark.mission("M23")
@pytest.mark.mission("M17")
@pytest.mark.parametrize("on", [set(some) for count in range(4) for some in combinations(MARKETS, count)], ids=str)
def test_each_factor_guards_its_own_market_and_nothing_else(live: Live, on: set[Environment]) -> None:
    alice = owner_of_all(live, *on)
    for name, (market, path, params) in CALLS.items():
        live.venue.clear_calls()
        answer = live.client(alice).call("POST", path, params)
        assert answer.stepped_up is (market in on), (name, answer)
        assert len(live.executed()) == (market not in on), name
        if market in on:
            stored = live.deployment.read(lambda tx, one=answer.challenge: tx.challenge(alice.account_id, one))
            assert stored is not None
            assert stored.environment is market
            live.end_challenges(alice)


@pytest.mark.mission("M10")
@pytest.mark.mission("M17")
def test_a_code_of_another_market_opens_no_wallet(live: Live) -> None:
    alice = owner_of_all(live, *MARKETS)
    asked = transfer(live.client(alice), "UMFUTURE_MAIN")
    for market in (SPOT, MARGIN):
        with refused(Reason.WRONG_CODE):
            answered(live, alice, asked.challenge, Proof(alice.owner.fresh_code(market)))


@pytest.mark.mission("M21")
def test_a_legacy_key_moves_nothing_either(live: Live) -> None:
    alice = owner_of_all(live)
    legacy = live.client(alice)
    for market in MARKETS:
        alice.owner.enrol(market)
    live.settle()
    live.venue.clear_calls()
    for kind in ("UMFUTURE_MAIN", "MAIN_FUNDING", "MARGIN_MAIN"):
        assert transfer(legacy, kind).stepped_up
        live.end_challenges(alice)
    assert withdraw(legacy).stepped_up
    assert live.executed() == []
    assert legacy.order(quantity="0.001").status == 200  # what semantics 6 leaves it


def test_borrowing_takes_one_code_which_may_come_with_the_call(live: Live) -> None:
    alice = owner_of_all(live, MARGIN)
    bot = live.client(alice, otp_allowed=True)
    live.venue.clear_calls()
    asked = loan(bot, "BORROW")
    assert asked.stepped_up
    assert "or add otp=<code>" in asked.json["msg"]
    assert "borrow 5 USDT on margin" in asked.json["msg"]
    assert loan(bot, "BORROW", otp=alice.owner.fresh_code(MARGIN)).status == 200
    assert loan(bot, "REPAY", "2").status == 200  # takes debt away: free
    assert bot.call("POST", "/sapi/v1/margin/repay", {"asset": "USDT", "amount": "1"}).status == 200
    assert [sent(call)["amount"] for call in live.executed()] == ["5", "2", "1"]
    assert sent(live.executed(LOAN)[0])["isIsolated"] == "FALSE"


# -- what is bound ---------------------------------------------------------------------------------------------------
FULL = {
    **WITHDRAWAL,
    "addressTag": "1042",
    "walletType": "0",
    "transactionFeeFlag": "false",
    "name": "cold wallet",
    "questionnaire": '{"isAddressOwner":1,"bnfName":"A. Lice"}',
}
CHANGED = {
    "coin": "USDC",
    "network": "BSC",
    "address": "0x" + "ab" * 19 + "ac",
    "amount": "5.00000001",
    "addressTag": "1043",
    "walletType": "1",
    "transactionFeeFlag": "true",
    "name": "cold  wallet",
    "questionnaire": '{"isAddressOwner":1,"bnfName":"A. Licf"}',
}


@pytest.mark.mission("M17")
@pytest.mark.bar("B42")
@pytest.mark.parametrize("name", FULL)
def test_another_value_of_any_field_is_another_withdrawal(live: Live, name: str) -> None:
    """Changed and left out; the first approval lives on and serves its own withdrawal, once."""
    alice = owner_of_all(live, SPOT)
    bot = live.client(alice)
    asked = bot.call("POST", DECLARED, FULL)
    live.approve(alice, asked.challenge)
    live.venue.clear_calls()
    others = [FULL | {name: CHANGED[name]}]
    if name not in ("coin", "address", "amount", "questionnaire"):
        others.append({field: value for field, value in FULL.items() if field != name})
    for other in others:
        answer = bot.call("POST", DECLARED, other)
        assert answer.stepped_up, answer
        assert answer.challenge != asked.challenge
    assert live.executed() == []
    same = FULL | {"amount": "5.000", "transactionFeeFlag": "False", "withdrawOrderId": "mine"}
    assert bot.call("POST", DECLARED, same).status == 200
    [call] = live.executed()
    assert sent(call) == FULL | {"withdrawOrderId": "mine"}
    assert bot.call("POST", DECLARED, same).stepped_up


@pytest.mark.mission("M17")
@pytest.mark.bar("B42")
@pytest.mark.parametrize(
    "other",
    [
        {"asset": "USDC"},
        {"amount": "5.00000001"},
        {"type": "UMFUTURE_FUNDING"},
        {"type": "CMFUTURE_MAIN"},
        {"fromSymbol": SYMBOL},
        {"toSymbol": SYMBOL},
    ],
    ids=str,
)
def test_another_value_of_any_field_is_another_transfer(live: Live, other: dict[str, str]) -> None:
    alice = owner_of_all(live, FUTURES)
    bot = live.client(alice)
    wanted = {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "5"}
    asked = bot.call("POST", TRANSFER, wanted)
    live.approve(alice, asked.challenge)
    live.venue.clear_calls()
    assert bot.call("POST", TRANSFER, wanted | other).stepped_up
    assert live.executed() == []


@pytest.mark.mission("M17")
def test_both_doors_of_the_futures_wallet_say_the_same(live: Live) -> None:
    alice = owner_of_all(live, FUTURES)
    bot = live.client(alice)
    asked = transfer(bot, "UMFUTURE_MAIN")
    older = {"type": "2", "asset": "USDT", "amount": "5.0"}
    assert bot.call("POST", OLDER, older).challenge == asked.challenge
    live.approve(alice, asked.challenge)
    live.venue.clear_calls()
    assert bot.call("POST", OLDER, older).status == 200
    assert transfer(bot, "UMFUTURE_MAIN").stepped_up  # it served once, through whichever door
    assert [sent(call) for call in live.executed()] == [{"type": "2", "asset": "USDT", "amount": "5"}]


# Written out here a second time, on purpose.
GUARDIAN = {
    "spot": {"MAIN", "FUNDING", "C2C"},
    "margin": {"MARGIN", "ISOLATEDMARGIN", "ISOLATED_MARGIN"},
    "futures": {"UMFUTURE", "CMFUTURE", "PORTFOLIO_MARGIN"},
}


@pytest.mark.bar("B69")
def test_every_type_of_transfer_is_said_by_one_form() -> None:
    """No two pairs of wallets make one word, and what leaves a wallet is that wallet's market's to guard."""
    for choice in (TRANSFERS, FUTURES_TRANSFERS):
        for value, form in choice.forms.items():
            assert form.constants == {"type": value}
            market = form.action.name.removesuffix(".transfer_out")
            assert form.fixed["from"] in GUARDIAN[market]
            if choice is TRANSFERS:
                assert value == f"{form.fixed['from']}_{form.fixed['to']}"
    pairs = {(form.fixed["from"], form.fixed["to"]) for form in TRANSFERS.forms.values()}
    assert len(pairs) == len(TRANSFERS.forms) == 9 * 9 + 1


# -- hostile words ---------------------------------------------------------------------------------------------------
HOSTILE = {
    "another script's letter": "0x\u0430b" + "ab" * 19,
    "from right to left": "0xab\u202e" + "ab" * 19,
    "nothing to see": "0xab\u200b" + "ab" * 19,
    "a full-width digit": "0xa\uff11" + "ab" * 19,
    "a blank": "0xab " + "ab" * 19,
    "a line": "0xab\n" + "ab" * 19,
    "a no-break space": "0xab\u00a0" + "ab" * 19,
    "an escape": "0xab\x1b[1A" + "ab" * 19,
    "too long": "0x" + "a" * 300,
}


@pytest.mark.mission("M17")
@pytest.mark.bar("B49")
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("parameter", ["address", "addressTag"])
def test_an_address_or_a_memo_that_could_be_misread_is_refused(live: Live, parameter: str, name: str) -> None:
    alice = owner_of_all(live, SPOT)
    live.venue.clear_calls()
    if (parameter, name) == ("addressTag", "a blank"):
        assert withdraw(live.client(alice), addressTag="for Bob").stepped_up  # a memo is a text
        return
    answer = withdraw(live.client(alice), **{parameter: HOSTILE[name]})
    assert (answer.status, answer.code) == (400, -1100), answer
    assert HOSTILE[name] not in answer.json["msg"]
    assert live.executed() == []


@pytest.mark.mission("M17")
@pytest.mark.bar("B49")
def test_what_is_asked_says_the_whole_withdrawal(live: Live) -> None:
    alice = owner_of_all(live, SPOT)
    memo = 'x" for 1 USDT'
    asked = withdraw(live.client(alice), addressTag=memo)
    address = WITHDRAWAL["address"]
    assert f"withdraw 5 USDT over ETH to {address} with memo {json.dumps(memo)}" in asked.json["msg"]
    unsaid = live.client(alice).call("POST", WITHDRAW, {"coin": "USDT", "address": address, "amount": "5"})
    stored = live.deployment.read(lambda tx: tx.challenge(alice.account_id, unsaid.challenge))
    assert stored is not None
    lines = dict(describe(stored.intent, stored.facts).lines)
    assert lines["network"] == "not said: the venue chooses"
    assert lines["memo"] == "none"
    assert lines["address"] == address


@pytest.mark.bar("B43")
@pytest.mark.bar("B69")
@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        (TRANSFER, {"asset": "USDT", "amount": "5"}, -1102),
        (TRANSFER, {"type": "UMFUTURE_MAIN", "amount": "5"}, -1102),
        (TRANSFER, {"type": "UMFUTURE_MAIN", "asset": "USDT"}, -1102),
        (TRANSFER, {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "-5"}, -1100),
        (TRANSFER, {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "NaN"}, -1100),
        (TRANSFER, {"type": "UMFUTURE_MAIN", "asset": "US DT", "amount": "5"}, -1100),
        (TRANSFER, {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "5", "kind": "x"}, -1104),
        (TRANSFER, {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "5", "from": "MAIN"}, -1104),
        (TRANSFER, {"type": "UMFUTURE_NEW", "asset": "USDT", "amount": "5"}, -40106),
        (TRANSFER, {"type": "NEW_UMFUTURE", "asset": "USDT", "amount": "5"}, -40106),
        (OLDER, {"type": "5", "asset": "USDT", "amount": "5"}, -40106),
        (OLDER, {"type": "2", "asset": "USDT", "amount": "5", "fromSymbol": SYMBOL}, -1104),
        (WITHDRAW, {**WITHDRAWAL, "walletType": "2"}, -1100),
        (WITHDRAW, {**WITHDRAWAL, "walletType": "SPOT"}, -1100),
        (WITHDRAW, {**WITHDRAWAL, "transactionFeeFlag": "1"}, -1100),
        (WITHDRAW, {**WITHDRAWAL, "questionnaire": "{}"}, -1104),
        (WITHDRAW, {name: value for name, value in WITHDRAWAL.items() if name != "address"}, -1102),
        (DECLARED, {**WITHDRAWAL, "questionnaire": "x" * 2049}, -1100),
        (LOAN, {"asset": "USDT", "amount": "5", "type": "LEND"}, -40106),
        (LOAN, {"asset": "USDT", "amount": "5", "type": "BORROW", "isIsolated": "MAYBE"}, -1100),
        (LOAN, {"asset": "USDT", "amount": "5", "type": "BORROW", "symbol": "btcusdt"}, -1121),
    ],
    ids=str,
)
def test_what_is_not_plainly_said_is_refused(live: Live, path: str, params: dict[str, str], code: int) -> None:
    alice = owner_of_all(live)  # protection off: nothing but the forms stands in the way
    live.venue.clear_calls()
    answer = live.client(alice).call("POST", path, params)
    assert 400 <= answer.status < 500
    assert answer.code == code, answer
    assert live.executed() == []


@pytest.mark.bar("B45")
def test_a_withdrawal_of_unknown_outcome_is_told_and_not_sent_again(live: Live) -> None:
    alice = owner_of_all(live, SPOT)
    bot = live.client(alice)
    asked = withdraw(bot)
    live.approve(alice, asked.challenge)
    live.venue.clear_calls()
    live.venue.add_fault(WITHDRAW, when="after", cut=True)
    assert withdraw(bot).code == -1007
    assert len(live.executed()) == 1
    assert live.kinds(alice)[-1] == "execution.unknown"
    assert withdraw(bot).stepped_up
    assert len(live.executed()) == 1


def test_a_hold_refuses_a_movement_whatever_is_proved(live: Live) -> None:
    """For a day after a recovery or a change of factors; the client is told so and how long (semantics 3)."""
    alice = owner_of_all(live, *MARKETS)
    placed = {"account_id": alice.account_id, "environment": FUTURES, "scopes": [HoldScope.MOVEMENTS]}

    def place(tx: Transaction) -> None:
        tx.lock_account(alice.account_id)
        holds.place(tx, live.deployment.world, because="test", by="test:", **placed)

    live.deployment.run(place)
    live.venue.clear_calls()
    held = transfer(live.client(alice), "UMFUTURE_MAIN")
    assert (held.status, held.code) == (401, -40115)
    assert int(held.headers["retry-after"]) > 86_000
    assert live.executed() == []
    assert transfer(live.client(alice), "MAIN_FUNDING").stepped_up
