"""Every change of state is one record, and the records alone rebuild the state (B88)."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from app.observing import FUTURES, LOGIN, SPOT, events
from app.test_asking import by_lock, by_revocation, cancel, deny
from app.test_enrol import start
from leverlock.app import accounts
from leverlock.domain.audit import EventKind
from leverlock.domain.challenge import Denial
from leverlock.domain.errors import Refused
from leverlock.domain.limits import Limits
from trail_state import must_agree
from world import STEP_MS, Deployment, Owner, margin_mode, order

VERBS: list[Callable[[Owner, random.Random], object]] = [
    lambda owner, dice: owner.ask(order(symbol=f"S{dice.randrange(3)}")),
    lambda owner, dice: owner.approved(order(symbol=f"S{dice.randrange(3)}")),
    lambda owner, dice: owner.prove(owner.asked(margin_mode()), owner.asked(order(symbol="S1"))),
    lambda owner, dice: owner.redeem(margin_mode(), owner.approved(margin_mode()).grant),
    lambda owner, dice: owner.redeem(order(symbol="X"), owner.approved(order(symbol="Y")).grant),
    lambda owner, dice: owner.prove(owner.asked(order(symbol="W")), code=owner.wrong_code()),
    lambda owner, dice: owner.prove(owner.asked(order(symbol="W")), code=owner.code()),
    lambda owner, dice: deny(owner, owner.asked(order(symbol="D"))),
    lambda owner, dice: cancel(owner, owner.asked(order(symbol="C")), owner.principal),
    lambda owner, dice: deny(owner, owner.asked(order(symbol="N"), principal=owner.key().principal), Denial.NOT_ME),
    lambda owner, dice: by_revocation(owner, owner.key().key_id),
    lambda owner, dice: start(owner, dice.choice([LOGIN, FUTURES])),
    lambda owner, dice: owner.enrol(dice.choice([SPOT, FUTURES, LOGIN])),
    lambda owner, dice: owner.sign_in(),
    lambda owner, dice: owner.deployment.clock.tick(dice.choice([STEP_MS, 60_000, 301_000])),
    lambda owner, dice: owner.swept(),
]


@pytest.mark.bar("B88")
@pytest.mark.parametrize("seed", range(12))
def test_the_trail_rebuilds_the_state(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    limits = Limits(account_wrong_answers=100, factor_disable_after=9)
    with Deployment.create(tmp_path, limits=limits) as deployment:
        owner, other = deployment.owner("alice", enrolled=[FUTURES]), deployment.owner("bob", enrolled=[FUTURES])
        for _ in range(60):
            try:
                dice.choice(VERBS)(owner, dice)
            except Refused:
                pass
        by_lock(owner, "")
        world = deployment.world
        deployment.run(lambda tx: accounts.unlock(tx, world, account_id=owner.account_id, by="operator:"))
        found = must_agree(deployment.path, owner.account_id, events(owner))
        must_agree(deployment.path, other.account_id, events(other))
        kinds = Counter(event.kind for event in events(owner))
        assert len(found.challenges) == kinds[EventKind.CHALLENGE_CREATED]
        assert len(kinds) > 8


@pytest.mark.bar("B88")
def test_a_record_says_who_what_where_and_why(alice: Owner) -> None:
    key = alice.key()
    challenge = alice.asked(order(), principal=key.principal)
    try:
        alice.prove(challenge, code=alice.wrong_code())
    except Refused:
        pass
    [approved] = alice.prove(challenge)
    alice.redeem(order(), approved.grant, principal=key.principal)
    created, refused, proved, spent = [json.loads(event.body) for event in events(alice)[-4:]]
    assert created["principal"] == spent["principal"] == key.principal
    assert refused["principal"] == proved["principal"] == alice.principal
    assert refused["details"]["reason"] == "wrong_code"
    assert created["details"]["digest"] == spent["details"]["digest"] == challenge.digest.hex()
    assert created["details"]["environment"] == proved["details"]["environment"] == "futures"
    assert proved["details"]["challenges"] == [challenge.challenge_id]
    assert all(record["account"] == alice.account_id for record in (created, refused, proved, spent))


@pytest.mark.bar("B88")
def test_an_allow_without_a_proof_writes_no_record(alice: Owner) -> None:
    before = len(events(alice))
    for leverage in (1, 20, 50):
        alice.ask(order(leverage=leverage))
    assert len(events(alice)) == before


@pytest.mark.bar("B88")
def test_a_refused_action_is_one_record_with_its_true_reason(alice: Owner) -> None:
    key = alice.key()
    by_revocation(alice, key.key_id)
    before = len(events(alice))
    with pytest.raises(Refused):
        alice.ask(order(), principal=key.principal)
    [record] = [json.loads(event.body) for event in events(alice)[before:]]
    assert (record["kind"], record["details"]["reason"]) == ("action.refused", "key_revoked")
