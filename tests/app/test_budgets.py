"""Budgets of wrong answers: per authenticator and per account, whatever surface the answers come in by."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.observing import FUTURES, LOGIN, MARGIN, SPOT, count_compares, events, factor, replacing, streak, wrong
from leverlock.app import enrol, sign_in
from leverlock.domain.audit import EventKind
from leverlock.domain.authenticator import AuthenticatorState
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import Limits
from world import STEP_MS, Deployment, Owner, order, refused

MINUTE = 60_000
HOUR = 60 * MINUTE


def guess(owner: Owner, number: int = 0) -> Refused:
    """One wrong answer to a challenge; why it was refused."""
    with pytest.raises(Refused) as why:
        owner.prove(owner.asked(order(symbol=f"S{number}")), code=owner.wrong_code())
    return why.value


@pytest.mark.bar("B75")
def test_five_block_each_further_one_doubles_and_fifty_disable(tmp_path: Path) -> None:
    limits = Limits(account_wrong_answers=100)  # so that the authenticator's own budget is seen whole
    with Deployment.create(tmp_path, limits=limits) as deployment:
        owner = deployment.owner(enrolled=[FUTURES])
        clock = deployment.clock
        blocks = []
        for count in range(1, 50):
            assert guess(owner, count % 3).reason is Reason.WRONG_CODE
            if count < 5:
                assert factor(owner).budget.blocked_until_ms == 0
                continue
            blocked = factor(owner).budget.blocked_until_ms - clock.ms
            blocks.append(blocked)
            clock.tick(blocked - 1)
            compares = count_compares(deployment)
            challenge = owner.asked(order(symbol="B"))
            with refused(Reason.FACTOR_BLOCKED) as why:
                owner.prove(challenge, code=owner.code(offset=1))  # right, and not even looked at
            assert (why.value.retry_after_ms, compares.asked) == (1, 0)
            clock.tick(1)
        assert blocks[:8] == [30_000 << n for n in range(7)] + [HOUR]
        assert set(blocks[7:]) == {HOUR}

        assert guess(owner, 50).reason is Reason.WRONG_CODE
        assert factor(owner).state is AuthenticatorState.DISABLED
        assert len(events(owner, EventKind.AUTHENTICATOR_DISABLED)) == 1
        deployment.close()
        with Deployment.open(tmp_path, clock=clock, limits=limits) as again:
            owner.deployment = again
            clock.tick(30 * HOUR)
            with refused(Reason.NO_USABLE_FACTOR):  # on, and broken: refused, never allowed
                owner.ask(order())
            assert not again.run(
                lambda tx: tx.advance_totp_step(owner.account_id, owner.authenticators[FUTURES], step=10**9)
            )


@pytest.mark.bar("B75")
def test_a_disabled_factor_answers_no_challenge_that_still_waits(tmp_path: Path) -> None:
    limits = Limits(account_wrong_answers=100, factor_disable_after=5)
    with Deployment.create(tmp_path, limits=limits) as deployment:
        owner = deployment.owner(enrolled=[FUTURES])
        waiting = owner.asked(order(symbol="WAIT"))
        for number in range(5):
            guess(owner, number % 2)
        compares = count_compares(deployment)
        deployment.clock.tick(2 * MINUTE)
        with refused(Reason.FACTOR_DISABLED):
            owner.prove(waiting, code=owner.code())
        assert compares.asked == 0


@pytest.mark.bar("B75")
def test_a_right_answer_forgives_the_factor_but_not_the_account(alice: Owner) -> None:
    for number in range(4):
        guess(alice, number)
    assert alice.approved(order(symbol="OK"))
    assert (streak(alice), wrong(alice)) == (0, 4)
    for number in range(4):
        assert guess(alice, number).reason is Reason.WRONG_CODE
    assert factor(alice).budget.blocked_until_ms == 0
    assert wrong(alice) == 8


@pytest.mark.bar("B76")
def test_the_account_has_twenty_in_a_day_and_then_one_an_hour(tmp_path: Path) -> None:
    with Deployment.create(tmp_path, limits=Limits(factor_block_max_ms=MINUTE)) as deployment:
        owner, clock = deployment.owner(enrolled=[FUTURES]), deployment.clock
        for number in range(20):
            assert guess(owner, number % 4).reason is Reason.WRONG_CODE
            clock.tick(MINUTE)
        challenge = owner.asked(order(symbol="SLOW"))
        with refused(Reason.ACCOUNT_BUDGET_SPENT) as why:
            owner.prove(challenge, code=owner.code())
        assert why.value.retry_after_ms == HOUR - MINUTE
        clock.tick(HOUR - MINUTE)
        assert guess(owner).reason is Reason.WRONG_CODE
        clock.tick(HOUR - 1)
        assert guess(owner).reason is Reason.ACCOUNT_BUDGET_SPENT
        clock.tick(1)
        assert owner.approved(order(symbol="NOW"))
        clock.tick(25 * HOUR)
        for number in range(5):
            assert guess(owner, number).reason is Reason.WRONG_CODE


@pytest.mark.bar("B76")
def test_sessions_spellings_and_restarts_share_one_budget(deployment: Deployment) -> None:
    """Five sessions, sources and restarts: five evaluated answers in all."""
    owner = deployment.owner(enrolled=[FUTURES])
    evaluated = 0
    for attempt in range(10):
        compares = count_compares(deployment)
        owner.sign_in()
        guess(owner, attempt)
        evaluated += compares.asked
        deployment.close()
        deployment = owner.deployment = Deployment.open(deployment.path.parent, clock=deployment.clock)
    assert evaluated == 5
    assert wrong(owner) == 5
    deployment.close()


@pytest.mark.bar("B76")
def test_two_processes_share_one_budget(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    with Deployment.open(deployment.path.parent, clock=deployment.clock) as other:
        evaluated = 0
        for number in range(12):
            owner.deployment = (deployment, other)[number % 2]
            compares = count_compares(owner.deployment)
            guess(owner, number)
            evaluated += compares.asked
        owner.deployment = deployment
        assert evaluated == 5


# -- every surface charges both budgets (B77) ------------------------------------------------------------------------
Surface = Callable[[Owner], Refused]


def approving(owner: Owner) -> Refused:
    return guess(owner)


def approving_spot(owner: Owner) -> Refused:
    with pytest.raises(Refused) as why:
        owner.prove(owner.asked(replacing(SPOT)), code=owner.wrong_code(SPOT))
    return why.value


def logging_in(owner: Owner) -> Refused:
    world = owner.deployment.world
    # Signing in has a limit of its own per source; here every try comes from another one.
    source = f"192.0.2.{owner.deployment.clock.ms % 251}-{len(events(owner))}"
    signed = owner.deployment.run(
        lambda tx: sign_in.sign_in(tx, world, login=owner.login, source=source, finding=owner.finding())
    )
    code = owner.wrong_code(LOGIN)
    with pytest.raises(Refused) as why:
        owner.deployment.run(lambda tx: sign_in.complete_login(tx, world, token=signed.token, code=code))
    return why.value


def confirming(owner: Owner) -> Refused:
    world, session = owner.deployment.world, owner.session
    assert session is not None
    fresh = replace(session, password_at=owner.deployment.clock.ms)
    pending = [
        found
        for found in owner.deployment.read(lambda tx: tx.authenticators(owner.account_id))
        if found.state is AuthenticatorState.PENDING and found.expires_at > owner.deployment.clock.ms
    ]
    if pending:
        authenticator_id = pending[0].authenticator_id
    else:
        begun = owner.deployment.run(lambda tx: enrol.start(tx, world, session=fresh, environment=MARGIN))
        assert isinstance(begun, enrol.Enrolment)
        authenticator_id = begun.authenticator_id
        owner.seeds[MARGIN] = begun.seed
    code = owner.wrong_code(MARGIN)
    with pytest.raises(Refused) as why:
        owner.deployment.run(
            lambda tx: enrol.confirm(tx, world, session=fresh, authenticator_id=authenticator_id, code=code)
        )
    return why.value


SURFACES: list[Surface] = [approving, approving_spot, logging_in, confirming]


@pytest.mark.bar("B77")
@pytest.mark.parametrize(
    "surfaces", list(itertools.permutations(SURFACES))[::4], ids=lambda p: "-".join(f.__name__ for f in p)
)
def test_no_order_of_surfaces_gets_more_than_the_accounts_budget(
    deployment: Deployment, surfaces: tuple[Surface, ...]
) -> None:
    owner = deployment.owner(enrolled=[LOGIN, SPOT, FUTURES])
    compares = count_compares(deployment)
    for count, surface in enumerate(itertools.islice(itertools.cycle(surfaces), 60)):
        why = surface(owner)
        if count < 20:
            assert why.reason is Reason.WRONG_CODE, (count, surface.__name__, why)
        else:
            assert why.reason in (Reason.ACCOUNT_BUDGET_SPENT, Reason.FACTOR_BLOCKED), (count, why)
    assert compares.asked == 20
    assert wrong(owner) == 20
    assert max(streak(owner, environment) for environment in (LOGIN, SPOT, FUTURES)) == 5


@pytest.mark.bar("B77")
def test_every_surface_charges_the_authenticator_too(deployment: Deployment) -> None:
    """Five wrong answers on one factor, half of them at the login and half at an approval of its own environment."""
    owner = deployment.owner(enrolled=[LOGIN])
    compares = count_compares(deployment)
    reasons = []
    for number in range(8):
        if number % 2:
            reasons.append(logging_in(owner).reason)
        else:
            with pytest.raises(Refused) as why:
                owner.prove(owner.asked(replacing(LOGIN)), code=owner.wrong_code(LOGIN))
            reasons.append(why.value.reason)
    assert reasons == [Reason.WRONG_CODE] * 5 + [Reason.FACTOR_BLOCKED] * 3
    assert (compares.asked, streak(owner, LOGIN)) == (5, 5)


@pytest.mark.bar("B16")
@pytest.mark.bar("B76")
def test_a_new_challenge_resets_nothing(alice: Owner) -> None:
    compares = count_compares(alice.deployment)
    reasons = [guess(alice, number).reason for number in range(8)]
    assert reasons == [Reason.WRONG_CODE] * 5 + [Reason.FACTOR_BLOCKED] * 3
    assert compares.asked == 5


# -- strangers (B79) -------------------------------------------------------------------------------------------------
@pytest.mark.bar("B79")
def test_strangers_spend_nothing_of_the_victims(alice: Owner) -> None:
    deployment = alice.deployment
    bob = deployment.owner("bob", enrolled=[FUTURES])
    challenge = alice.asked(order())
    world = deployment.world
    for number in range(200):
        with pytest.raises(Refused):
            deployment.run(
                lambda tx, n=number: sign_in.sign_in(  # type: ignore[misc]
                    tx, world, login="alice", source=f"198.51.100.{n % 20}", finding=alice.finding(matched=False)
                )
            )
        with refused(Reason.UNKNOWN_ID):
            bob.prove(challenge, code=bob.wrong_code())
        with refused(Reason.NOT_AUTHENTICATED):
            forged = f"{alice.account_id}.{'a' * 52}"
            deployment.run(lambda tx, t=forged: sign_in.complete_login(tx, world, token=t, code="000000"))  # type: ignore[misc]
    assert (wrong(alice), streak(alice), alice.challenge(challenge).wrong_answers) == (0, 0, 0)
    assert alice.prove(challenge)
    alice.sign_in()


@pytest.mark.bar("B79")
def test_a_disabled_futures_factor_leaves_the_login_and_other_markets(tmp_path: Path) -> None:
    limits = Limits(factor_disable_after=5)
    with Deployment.create(tmp_path, limits=limits) as deployment:
        owner = deployment.owner(enrolled=[LOGIN, SPOT, FUTURES])
        for number in range(5):
            guess(owner, number % 2)
        assert factor(owner).state is AuthenticatorState.DISABLED
        with refused(Reason.NO_USABLE_FACTOR):
            owner.ask(order())
        deployment.clock.tick(STEP_MS)
        owner.sign_in()
        assert owner.approved(replacing(SPOT))
