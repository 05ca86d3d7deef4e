"""Movements of funds: two layers, each with an answer of its own (M17, semantics 3)."""

from __future__ import annotations

import pytest

from app.observing import FUTURES, LOGIN, MARGIN, SPOT, events, factor, streak, wrong
from leverlock.app.decide import Allowed, Asked
from leverlock.app.proofs import Proof
from leverlock.app.prove import Advanced, Approved, prove
from leverlock.app.redeem import Redeemed
from leverlock.app.wallet import OpenWallet, open_wallet
from leverlock.domain.action import Action, parse
from leverlock.domain.audit import EventKind
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.errors import Reason
from leverlock.domain.movement_actions import MARGIN_BORROW, TRANSFER_OUT, WITHDRAW
from leverlock.domain.requirement import ProofKind
from trail_state import must_agree
from world import Deployment, Owner, refused


def withdrawal(market: Environment = FUTURES, **fields: str) -> Action:
    wanted = {"asset": "USDT", "network": "ETH", "address": "0xabc", "amount": "5", **fields}
    return parse(WITHDRAW[market], wanted)


def transfer(market: Environment = FUTURES, **fields: str) -> Action:
    return parse(TRANSFER_OUT[market], {"asset": "USDT", "amount": "5", "to": "spot", **fields})


def answer(owner: Owner, challenge: Challenge, proof: Proof) -> Approved | Advanced:
    named = {"account_id": owner.account_id, "answered_by": owner.principal, "challenge_ids": [challenge.challenge_id]}
    [settled] = owner.deployment.run(lambda tx: prove(tx, owner.deployment.world, proof=proof, **named))
    return settled


def opened(owner: Owner, market: Environment = FUTURES) -> OpenWallet | Asked:
    world = owner.deployment.world
    return owner.deployment.run(lambda tx: open_wallet(tx, world, session=owner.session, environment=market))


@pytest.fixture
def owner(deployment: Deployment) -> Owner:
    return deployment.owner(enrolled=[LOGIN, *MARKETS])


@pytest.mark.mission("M17")
@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("make", [withdrawal, transfer])
def test_a_movement_takes_a_code_and_then_the_password_with_a_later_code(owner, market, make) -> None:
    key = owner.key()
    challenge = owner.asked(make(market), principal=key.principal)
    assert challenge.requirement.words() == ["password", "totp", "wallet"]
    first = owner.fresh_code(market)
    advanced = answer(owner, challenge, Proof(first))
    assert isinstance(advanced, Advanced)
    assert advanced.challenge.remaining.words() == ["password", "totp"]
    assert owner.challenge(challenge).state is State.PENDING
    with refused(Reason.CODE_ALREADY_USED):
        answer(owner, challenge, Proof(first, owner.finding()))
    with refused(Reason.PROOF_MISSING):
        answer(owner, challenge, Proof(owner.fresh_code(market)))
    approved = answer(owner, challenge, Proof(owner.fresh_code(market), owner.finding()))
    assert isinstance(approved, Approved)
    assert isinstance(owner.redeem(make(market), approved.grant, principal=key.principal), Redeemed)
    must_agree(owner.deployment.path, owner.account_id, events(owner))


@pytest.mark.mission("M17")
def test_layer_one_takes_a_code_alone(owner: Owner) -> None:
    challenge = owner.asked(withdrawal(), principal=owner.key().principal)
    with refused(Reason.PROOF_NOT_ACCEPTED):
        answer(owner, challenge, Proof(owner.fresh_code(), owner.finding()))
    with refused(Reason.PROOF_MISSING):
        answer(owner, challenge, Proof())
    with refused(Reason.PROOF_NOT_ACCEPTED):
        answer(owner, challenge, Proof(password=owner.finding()))
    assert (wrong(owner), streak(owner), owner.challenge(challenge).wrong_answers) == (0, 0, 0)
    assert [b'"reason":"proof_' in event.body for event in events(owner, EventKind.ANSWER_REFUSED)] == [True] * 3


@pytest.mark.mission("M17")
@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("foreign", [SPOT, MARGIN, LOGIN])
def test_a_code_of_another_environment_serves_in_neither_layer(owner: Owner, layer: int, foreign: Environment) -> None:
    challenge = owner.asked(withdrawal(), principal=owner.key().principal)
    password = None
    if layer == 2:
        answer(owner, challenge, Proof(owner.fresh_code()))
        password = owner.finding()
    before = factor(owner, foreign).last_step
    with refused(Reason.WRONG_CODE):
        answer(owner, challenge, Proof(owner.fresh_code(foreign), password))
    assert factor(owner, foreign).last_step == before
    assert (streak(owner), wrong(owner)) == (1, 1)


@pytest.mark.mission("M17")
def test_wrong_answers_of_both_layers_count_together_and_kill_the_challenge(owner: Owner) -> None:
    challenge = owner.asked(withdrawal(), principal=owner.key().principal)
    for _ in range(2):
        with refused(Reason.WRONG_CODE):
            answer(owner, challenge, Proof(owner.wrong_code()))
    assert isinstance(answer(owner, challenge, Proof(owner.fresh_code())), Advanced)
    assert owner.challenge(challenge).wrong_answers == 2
    for _ in range(3):
        with refused(Reason.WRONG_CODE):
            answer(owner, challenge, Proof(owner.wrong_code(), owner.finding()))
    with refused(Reason.CHALLENGE_FAILED):
        answer(owner, challenge, Proof(owner.fresh_code(), owner.finding()))
    must_agree(owner.deployment.path, owner.account_id, events(owner))


@pytest.mark.mission("M17")
def test_a_wallet_is_open_to_the_session_that_gave_the_code_for_five_minutes(owner: Owner) -> None:
    deployment = owner.deployment
    asked = opened(owner)
    assert isinstance(asked, Asked)
    owner.prove(asked.challenge)
    access = opened(owner)
    assert isinstance(access, OpenWallet)
    assert access.expires_at == deployment.clock.ms + deployment.world.limits.wallet_access_ms

    mine = owner.asked(withdrawal())
    assert mine.given == {ProofKind.WALLET}
    assert mine.remaining.words() == ["password", "totp"]
    keys = owner.asked(withdrawal(), principal=owner.key().principal)
    assert keys.given == frozenset()
    assert owner.asked(withdrawal(SPOT)).given == frozenset()
    assert isinstance(answer(owner, mine, Proof(owner.fresh_code(), owner.finding())), Approved)

    deployment.clock.ms = access.expires_at
    assert owner.asked(withdrawal(amount="6")).given == frozenset()


@pytest.mark.mission("M17")
def test_movements_are_never_approved_together_nor_beside_an_order(owner: Owner) -> None:
    both = [owner.asked(withdrawal()), owner.asked(withdrawal(amount="6"))]
    with refused(Reason.CANNOT_GROUP):
        owner.prove(*both)


def test_a_borrow_takes_one_code_of_margin(owner: Owner) -> None:
    challenge = owner.asked(parse(MARGIN_BORROW, {"asset": "USDT", "amount": "5"}))
    with refused(Reason.WRONG_CODE):
        answer(owner, challenge, Proof(owner.fresh_code(FUTURES)))
    assert isinstance(answer(owner, challenge, Proof(owner.fresh_code(MARGIN))), Approved)


def test_where_a_market_was_never_enabled_its_movements_pass(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[SPOT])
    assert isinstance(owner.ask(withdrawal()), Allowed)
    assert isinstance(owner.ask(withdrawal(SPOT)), Asked)
