"""Nothing done in one environment moves another, except the account's own budget and lock (M23, I10)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import permutations
from typing import Any, Final

import pytest

from app.observing import FUTURES, LOGIN, MARGIN, SPOT
from app.test_layers import withdrawal
from leverlock.app import answers, protection, recovery, recovery_codes, remove, wallet
from leverlock.app.decide import Asked
from leverlock.domain.account_actions import PROTECTION_END
from leverlock.domain.action import Action
from leverlock.domain.challenge import Challenge, Denial
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.errors import Refused
from leverlock.domain.limits import DAY
from world import Deployment, Owner

EVERY: Final = (LOGIN, SPOT, MARGIN, FUTURES)


def seen(owner: Owner, environment: Environment) -> dict[str, Any]:
    """Every row that belongs to one environment of the account, as it stands."""
    tables = ("authenticator", "protection", "recovery_code", "hold", "wallet_access", "challenge", "enrolment_right")
    with closing(sqlite3.connect(owner.deployment.path)) as raw:
        return {
            table: sorted(
                map(
                    repr,
                    raw.execute(
                        f"SELECT * FROM {table} WHERE account_id = ? AND environment = ?",
                        (owner.account_id, environment.value),
                    ),
                )
            )
            for table in tables
        }


def agreed(owner: Owner, ask: Callable[[Any], Any]) -> Any:
    """A call of the owner's: asked, answered, made again."""
    answer = owner.deployment.run(ask)
    if isinstance(answer, Asked):
        owner.prove(answer.challenge)
        answer = owner.deployment.run(ask)
    assert not isinstance(answer, Asked)
    return answer


def waiting(owner: Owner, environment: Environment) -> Challenge:
    return owner.asked(Action(PROTECTION_END[environment], {}))


def guess(owner: Owner, environment: Environment) -> None:
    challenge = waiting(owner, environment)
    for _ in range(3):
        with pytest.raises(Refused):
            owner.prove(challenge, code=owner.wrong_code(environment))


def approve(owner: Owner, environment: Environment) -> None:
    owner.approved(Action(PROTECTION_END[environment], {}))


def deny(owner: Owner, environment: Environment) -> None:
    challenge = waiting(owner, environment)
    named = {"account_id": owner.account_id, "answered_by": owner.principal, "challenge_id": challenge.challenge_id}
    world = owner.deployment.world
    owner.deployment.run(lambda tx: answers.deny(tx, world, denial=Denial.CHANGED_MIND, **named))


def bind_anew(owner: Owner, environment: Environment) -> None:
    owner.enrol(environment)


def recover(owner: Owner, environment: Environment) -> None:
    world, code = owner.deployment.world, owner.recovery_codes[environment][0]
    named = {"session": owner.session, "environment": environment, "password": owner.finding()}
    owner.deployment.run(lambda tx: recovery.recover(tx, world, code=code, **named))


def recover_and_bind(owner: Owner, environment: Environment) -> None:
    recover(owner, environment)
    owner.enrol(environment)


def new_codes(owner: Owner, environment: Environment) -> None:
    world, session = owner.deployment.world, owner.session
    agreed(owner, lambda tx: recovery_codes.replace(tx, world, session=session, environment=environment))


def remove_it(owner: Owner, environment: Environment) -> None:
    world, session, named = owner.deployment.world, owner.session, owner.authenticators[environment]
    options = {"session": session, "environment": environment, "authenticator_id": named}
    agreed(owner, lambda tx: remove.remove_authenticator(tx, world, **options))


def switch_off(owner: Owner, environment: Environment) -> None:
    world, session = owner.deployment.world, owner.session
    agreed(owner, lambda tx: protection.switch_off(tx, world, session=session, environment=environment))
    owner.deployment.clock.tick(DAY)
    owner.swept()


def open_wallet(owner: Owner, environment: Environment) -> None:
    world, session = owner.deployment.world, owner.session
    agreed(owner, lambda tx: wallet.open_wallet(tx, world, session=session, environment=environment))


def move(owner: Owner, environment: Environment) -> None:
    approved = owner.approved(withdrawal(environment))
    owner.redeem(withdrawal(environment), approved.grant)


ACTS: Final = (
    guess, approve, deny, bind_anew, recover, recover_and_bind, new_codes, remove_it, switch_off, open_wallet, move,
)  # fmt: skip
OF_MARKETS: Final = (open_wallet, move)


@pytest.mark.mission("M23")
@pytest.mark.parametrize(("acting", "watched"), [pair for pair in permutations(EVERY, 2) if pair[0] is not LOGIN])
def test_what_is_done_in_one_moves_no_other(deployment: Deployment, acting: Environment, watched: Environment) -> None:
    for act in ACTS:
        if act in OF_MARKETS and acting not in MARKETS:
            continue
        owner = deployment.owner(f"{act.__name__}-{acting}-{watched}", enrolled=EVERY)
        before = seen(owner, watched)
        act(owner, acting)
        assert seen(owner, acting) != seen(owner, watched)
        assert seen(owner, watched) == before, (act.__name__, acting, watched)


@pytest.mark.mission("M23")
@pytest.mark.parametrize("watched", MARKETS)
@pytest.mark.parametrize("act", [guess, bind_anew, recover_and_bind, new_codes])
def test_what_is_done_to_the_login_leaves_the_factors_of_the_markets(
    deployment: Deployment, act: Callable[[Owner, Environment], None], watched: Environment
) -> None:
    owner = deployment.owner(enrolled=EVERY)
    before = seen(owner, watched)
    act(owner, LOGIN)
    assert seen(owner, watched) == before


@pytest.mark.mission("M23")
def test_the_account_and_its_budget_are_what_they_share(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=EVERY)
    for environment in EVERY:
        guess(owner, environment)
    found = deployment.read(lambda tx: tx.account(owner.account_id))
    assert found is not None
    assert len(found.budget.wrong_at_ms) == 3 * len(EVERY)
