"""Who may answer with what: every gated action against every kind of proof, accepted exactly where semantics 3 says.

The table is written out here from PRODUCT.md, not read from the program: a row that changes there changes here by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from app.observing import FUTURES, LOGIN, MARGIN, SPOT, events
from app.test_redeem import SAMPLES
from leverlock.app import prove as proving
from leverlock.app.proofs import Proof
from leverlock.app.prove import Advanced, Approved
from leverlock.domain.account_actions import AUTHENTICATOR_REPLACE, PROTECTION_END
from leverlock.domain.action import Action
from leverlock.domain.actions import ACTIONS
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.policy import must_have_rule
from trail_state import must_agree
from world import STEP_MS, Deployment, Owner

EVERY: Final = (LOGIN, SPOT, MARGIN, FUTURES)


# -- the table, as the product's document has it -----------------------------------------------------------------------
def demanded(action: str) -> str:
    """What this action takes: `code`, `full` (password and code), `password`, `two layers`, or `key`."""
    environment, _, noun = action.partition(".")
    if noun in ("withdraw", "transfer_out"):
        return "two layers"
    if noun in ("wallet.open", "sms.save", "sms.remove"):
        return "code"
    if noun == "security_key.remove":
        return "key"
    if noun == "security_key.add" and environment == "login":
        return "password"
    # A forgotten password: the link in the mail counts as the password, in the session that it opened and in no other.
    full = (
        "adl.set", "delta_mode.set", "api_key.create", "api_key.edit", "authenticator.replace", "authenticator.remove",
        "login_authenticator.bind", "recovery_codes.replace", "protection.end", "password.change", "password.reset",
        "address.change",
        "key.unfreeze", "security_key.add", "security_key.give_up", "sms.replace",
    )  # fmt: skip
    return "full" if noun in full else "code"


def takes_sms(action: str) -> bool:
    """SMS stands in for orders above 50x, leverage raises and the margin mode, if the owner switched it on (M13)."""
    trading = (
        "futures.order.place", "futures.conditional_order.place", "futures.order.amend", "futures.order.place_batch",
        "futures.order.amend_batch", "futures.leverage.set", "futures.margin_mode.set", "futures.multi_assets.set",
    )  # fmt: skip
    return action in trading


# -- the kinds of proof ------------------------------------------------------------------------------------------------
Make = Callable[[Owner, Challenge], Proof]


def other(environment: Environment) -> Environment:
    return SPOT if environment is not SPOT else FUTURES


def used(owner: Owner, challenge: Challenge) -> str:
    """A code that approved something else before."""
    environment = challenge.environment
    row = (PROTECTION_END if "protection" not in challenge.action else AUTHENTICATOR_REPLACE)[environment]
    elsewhere = owner.asked(Action(row, {}))
    code = owner.fresh_code(environment)
    assert isinstance(answer(owner, elsewhere, Proof(code, owner.finding())), Approved)
    return code


def outdated(owner: Owner, challenge: Challenge) -> str:
    owner.deployment.clock.tick(3 * STEP_MS)
    return owner.code(challenge.environment, offset=-2)


PROOFS: Final[dict[str, Make]] = {
    "code": lambda owner, c: Proof(owner.fresh_code(c.environment)),
    "password": lambda owner, c: Proof(password=owner.finding()),
    "code and password": lambda owner, c: Proof(owner.fresh_code(c.environment), owner.finding()),
    "code and a wrong password": lambda owner, c: Proof(owner.fresh_code(c.environment), owner.finding(matched=False)),
    "wrong code": lambda owner, c: Proof(owner.wrong_code(c.environment)),
    "wrong code and password": lambda owner, c: Proof(owner.wrong_code(c.environment), owner.finding()),
    "code of another environment": lambda owner, c: Proof(owner.fresh_code(other(c.environment))),
    "that and the password": lambda owner, c: Proof(owner.fresh_code(other(c.environment)), owner.finding()),
    "used code": lambda owner, c: Proof(used(owner, c)),
    "used code and password": lambda owner, c: Proof(used(owner, c), owner.finding()),
    "outdated code": lambda owner, c: Proof(outdated(owner, c)),
    "outdated code and password": lambda owner, c: Proof(outdated(owner, c), owner.finding()),
    "recovery code": lambda owner, c: Proof(owner.recovery_codes[c.environment][0]),
    "recovery code and password": lambda owner, c: Proof(owner.recovery_codes[c.environment][0], owner.finding()),
    "nothing": lambda owner, c: Proof(),
}
ACCEPTED: Final = {
    "code": {"code"},
    "full": {"code and password"},
    "password": {"password"},
    "two layers": {"code"},  # of the first layer; the second is a table of its own
    "key": set(),
}


def answer(owner: Owner, challenge: Challenge, proof: Proof) -> Approved | Advanced | Reason:
    named = {"account_id": owner.account_id, "answered_by": owner.principal, "challenge_ids": [challenge.challenge_id]}
    try:
        [settled] = owner.deployment.run(lambda tx: proving.prove(tx, owner.deployment.world, proof=proof, **named))
    except Refused as refused:
        return refused.reason
    return settled


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    with Deployment.create(tmp_path) as deployment:
        yield deployment.owner("alice", enrolled=EVERY)


def test_the_table_knows_every_action() -> None:
    """A new action has to be entered above, and in the samples that are asked about here."""
    gated = {name for name, row in ACTIONS.items() if row.gated}
    assert set(SAMPLES) == gated
    for name in gated:
        row = ACTIONS[name]
        assert row.floor is not None or must_have_rule(row) or row.legs is not None


@pytest.mark.bar("B20")
@pytest.mark.bar("B34")
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_each_proof_is_accepted_exactly_where_the_table_says(owner: Owner, name: str) -> None:
    action, accepted = SAMPLES[name], ACCEPTED[demanded(name)]
    for kind, make in PROOFS.items():
        owner.deployment.clock.tick(26 * 3_600_000)  # budgets and blocks of the answers before are over
        owner.sign_in()
        challenge = owner.asked(action)
        settled = answer(owner, challenge, make(owner, challenge))
        if kind in accepted:
            kinds = Advanced if demanded(name) == "two layers" else Approved
            assert isinstance(settled, kinds), (name, kind, settled)
        else:
            assert isinstance(settled, Reason), (name, kind, settled)
            assert owner.challenge(challenge).state is State.PENDING
    must_agree(owner.deployment.path, owner.account_id, events(owner))


SECOND: Final = {
    "code and password": True,
    "code": False,
    "password": False,
    "wrong code and password": False,
    "code and a wrong password": False,
    "that and the password": False,
    "used code and password": False,
    "recovery code and password": False,
}


@pytest.mark.mission("M17")
@pytest.mark.parametrize("name", sorted(name for name in SAMPLES if demanded(name) == "two layers"))
def test_the_second_layer_takes_the_password_and_a_later_code(owner: Owner, name: str) -> None:
    for kind, serves in SECOND.items():
        owner.deployment.clock.tick(26 * 3_600_000)
        owner.sign_in()
        challenge = owner.asked(SAMPLES[name])
        first = answer(owner, challenge, Proof(owner.fresh_code(challenge.environment)))
        assert isinstance(first, Advanced)
        settled = answer(owner, first.challenge, PROOFS[kind](owner, replace(first.challenge)))
        assert isinstance(settled, Approved) is serves, (name, kind, settled)
