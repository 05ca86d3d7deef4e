"""SMS as a backup: how a number comes and goes, what its codes are good for, and what never depends on them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.coming_back import recover
from app.observing import MARGIN, SPOT, events, streak, wrong
from app.phone import (
    CHINESE_NUMBER,
    FUTURES,
    NUMBER,
    OTHER_NUMBER,
    by_sms,
    confirm,
    enter,
    last,
    number_of,
    pause,
    remove,
    save,
    saved,
    text_for,
    texts,
    with_number,
)
from leverlock.app import accounts
from leverlock.app.cancel_link import cancel_link
from leverlock.app.cancellations import cancel_by_link
from leverlock.app.decide import Asked
from leverlock.app.fence import fence_account
from leverlock.app.language import set_language
from leverlock.app.proofs import Proof
from leverlock.app.protection import switch_off
from leverlock.app.prove import Approved, prove
from leverlock.app.sms_approval import send_for
from leverlock.app.sms_settings import Saved, distrust
from leverlock.domain.account_actions import SMS_REMOVE, SMS_REPLACE, SMS_SAVE
from leverlock.domain.audit import EventKind
from leverlock.domain.authenticator import AuthenticatorKind, AuthenticatorState
from leverlock.domain.challenge import State
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.errors import Reason
from leverlock.domain.fence import Because, Fence
from leverlock.domain.limits import DAY, MINUTE
from leverlock.domain.messages import Channel, Language
from leverlock.domain.sms_code import digits_of
from trail_state import must_agree
from world import SOURCE, Deployment, Owner, leverage_raise, margin_mode, order, refused


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with Deployment.create(tmp_path, sms=True) as made:
        yield made
        for owner in made.owners:  # whatever was done, the trail alone tells how things stand (B88)
            told = made.read(lambda tx, account=owner.account_id: tx.events(account, after_seq=0, limit=10_000))
            must_agree(made.path, owner.account_id, told)


@pytest.fixture
def alice(deployment: Deployment) -> Owner:
    """An owner whose Futures protection is on."""
    return deployment.owner("alice", enrolled=[FUTURES])


@pytest.fixture
def texted(alice: Owner) -> Owner:
    """Alice with her number as backup, and an address where she is told."""
    deployment = alice.deployment
    deployment.run(
        lambda tx: accounts.set_address(
            tx,
            deployment.world,
            account_id=alice.account_id,
            channel=Channel.EMAIL,
            target="alice@example.com",
            by="test:",
        )
    )
    with_number(alice)
    pause(alice)
    return alice


def notices(owner: Owner) -> list[str]:
    """The kinds of what the owner was told on her address, oldest first."""
    found = owner.deployment.read(lambda tx: tx.due_messages(limit=1000))
    return [message.kind for message in found if message.channel is Channel.EMAIL]


# -- a number comes --------------------------------------------------------------------------------------------------
@pytest.mark.mission("M11")
@pytest.mark.mission("M12")
@pytest.mark.mission("M13")
@pytest.mark.mission("M14")
def test_a_number_serves_once_it_was_saved_with_the_primary_code(alice: Owner) -> None:
    entered = enter(alice)
    assert last(alice.deployment).number == "+447400123456"
    confirm(alice, entered)
    challenge = alice.asked(order())
    with refused(Reason.SMS_NOT_USABLE):
        text_for(alice, challenge)
    asked = save(alice)
    assert isinstance(asked, Asked)
    assert asked.challenge.action == "futures.sms.save"
    assert asked.challenge.requirement.words() == ["totp"]
    with refused(Reason.WRONG_CODE):
        alice.prove(asked.challenge, code=alice.wrong_code())
    assert isinstance(save(alice), Asked)
    alice.prove(asked.challenge)
    done = save(alice)
    assert isinstance(done, Saved)
    assert (done.backup, done.usable_at) == (True, alice.deployment.clock.ms)
    pause(alice)
    [approved] = by_sms(alice, alice.asked(order()))
    assert isinstance(approved, Approved)
    alice.redeem(order(), approved.grant)
    assert alice.challenge(approved.challenge).state is State.CONSUMED


@pytest.mark.mission("M12")
@pytest.mark.parametrize("typed", [NUMBER, OTHER_NUMBER, CHINESE_NUMBER, "+1 (415) 555-0123", "+234 803 123 4567"])
def test_a_number_of_any_country_is_taken(alice: Owner, typed: str) -> None:
    confirm(alice, enter(alice, typed))
    assert last(alice.deployment).number == "+" + "".join(filter(str.isdigit, typed))


@pytest.mark.mission("M14")
@pytest.mark.bar("B13")
def test_sms_cannot_save_itself_and_no_other_environment_can(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES, SPOT])
    with_number(owner)
    confirm(owner, enter(owner, OTHER_NUMBER))
    asked = save(owner)
    assert isinstance(asked, Asked)
    with refused(Reason.PROOF_NOT_ACCEPTED):
        text_for(owner, asked.challenge)
    with refused(Reason.PROOF_NOT_ACCEPTED):
        owner.prove(asked.challenge, sms_code="12345678")
    with refused(Reason.WRONG_CODE):
        owner.prove(asked.challenge, code=owner.fresh_code(SPOT))


@pytest.mark.bar("B13")
def test_sms_is_refused_until_an_app_is_bound(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[SPOT])
    with refused(Reason.ENROLMENT_REQUIRED):
        enter(owner)
    with refused(Reason.UNKNOWN_ID):
        enter(owner, environment=Environment.LOGIN)
    assert not texts(deployment)
    assert enter(owner, environment=SPOT)


@pytest.mark.bar("B13")
def test_sms_is_refused_where_the_app_is_disabled(alice: Owner) -> None:
    deployment = alice.deployment
    for _ in range(deployment.world.limits.factor_disable_after):
        deployment.clock.tick(DAY)
        alice.sign_in()
        with refused(Reason.WRONG_CODE):
            alice.prove(alice.asked(order()), code=alice.wrong_code())
    with refused(Reason.NO_USABLE_FACTOR):
        enter(alice)


@pytest.mark.bar("B13")
def test_a_deployment_without_sms_refuses_every_door_to_it(alice: Owner) -> None:
    deployment = alice.deployment
    with_number(alice)
    challenge = alice.asked(order())
    deployment.world = replace(deployment.world, sms=None)
    for attempt in (lambda: enter(alice), lambda: save(alice), lambda: text_for(alice, challenge)):
        with refused(Reason.SMS_OFF):
            attempt()
    with refused(Reason.SMS_OFF):
        alice.prove(challenge, sms_code="12345678")
    assert wrong(alice) == 0
    assert alice.prove(challenge)  # the app goes on
    asked = remove(alice)
    assert isinstance(asked, Asked)
    alice.prove(asked.challenge)
    assert remove(alice) is None


@pytest.mark.bar("B14")
def test_a_number_that_takes_anothers_place_needs_the_password_and_waits_a_day(texted: Owner) -> None:
    deployment = texted.deployment
    confirm(texted, enter(texted, OTHER_NUMBER))
    asked = save(texted)
    assert isinstance(asked, Asked)
    assert asked.challenge.action == "futures.sms.replace"
    assert asked.challenge.requirement.words() == ["password", "totp"]
    old = number_of(texted)
    done = saved(texted)
    assert done.usable_at == deployment.clock.ms + DAY
    # The old number is told, and so is every address.
    assert [text.number for text in texts(deployment) if text.kind == "sms.notice"] == ["+447400123456"]
    assert "sms.saved" in notices(texted)
    stored = deployment.read(lambda tx: tx.authenticator(texted.account_id, old.authenticator_id))
    assert stored is not None
    assert stored.state is AuthenticatorState.REPLACED
    challenge = texted.asked(order(symbol="EARLY"))
    with refused(Reason.SMS_NOT_USABLE) as why:
        text_for(texted, challenge)
    assert why.value.retry_after_ms is not None
    with refused(Reason.SMS_NOT_USABLE):
        texted.prove(challenge, sms_code="12345678")
    deployment.clock.tick(DAY - 1)
    texted.sign_in()
    with refused(Reason.SMS_NOT_USABLE):
        text_for(texted, texted.asked(order(symbol="STILL")))
    deployment.clock.tick(1)
    assert by_sms(texted, texted.asked(order(symbol="LATE")))


@pytest.mark.bar("B14")
def test_taking_the_old_number_away_first_spares_the_new_one_nothing(texted: Owner) -> None:
    asked = remove(texted)
    assert isinstance(asked, Asked)
    assert asked.challenge.requirement.words() == ["totp"]
    texted.prove(asked.challenge)
    assert remove(texted) is None
    confirm(texted, enter(texted, OTHER_NUMBER))
    asked = save(texted)
    assert isinstance(asked, Asked)
    assert asked.challenge.requirement.words() == ["password", "totp"]
    assert saved(texted).usable_at == texted.deployment.clock.ms + DAY


@pytest.mark.mission("M12")
@pytest.mark.bar("B14")
def test_a_number_serves_nothing_before_its_own_code_came_back(alice: Owner) -> None:
    entered = enter(alice)
    with refused(Reason.NUMBER_NOT_CONFIRMED):
        save(alice)
    sent = last(alice.deployment).code
    with refused(Reason.WRONG_CODE):
        confirm(alice, entered, code="00000000" if sent != "00000000" else "00000001")
    with refused(Reason.NUMBER_NOT_CONFIRMED):
        save(alice)
    confirm(alice, entered, code=sent)
    with refused(Reason.WRONG_CODE):
        confirm(alice, entered, code=sent)  # once
    assert isinstance(save(alice), Asked)


@pytest.mark.bar("B14")
def test_another_session_cannot_finish_what_this_one_began(alice: Owner) -> None:
    entered = enter(alice)
    code = last(alice.deployment).code
    alice.sign_in()
    with refused(Reason.UNKNOWN_ID):
        confirm(alice, entered, code=code)
    with refused(Reason.UNKNOWN_ID):
        save(alice)


@pytest.mark.bar("B14")
def test_what_is_agreed_to_is_this_number_and_this_switch(alice: Owner) -> None:
    confirm(alice, enter(alice))
    asked = save(alice, backup=False)
    assert isinstance(asked, Asked)
    alice.prove(asked.challenge)
    assert isinstance(save(alice, backup=True), Asked)  # another switch is another action
    pause(alice)
    confirm(alice, enter(alice, OTHER_NUMBER))
    assert isinstance(save(alice, backup=False), Asked)  # and so is another number


@pytest.mark.bar("B14")
def test_a_sim_swap_signal_makes_every_number_wait_as_a_new_one(texted: Owner) -> None:
    deployment = texted.deployment
    challenge = texted.asked(order())
    code = text_for(texted, challenge)
    count = deployment.run(
        lambda tx: distrust(tx, deployment.world, account_id=texted.account_id, because="sim_swap", by="test:")
    )
    assert count == 1
    with refused(Reason.SMS_NOT_USABLE):
        texted.prove(challenge, sms_code=code)
    assert number_of(texted).usable_at == deployment.clock.ms + DAY
    assert "sms.distrusted" in notices(texted)
    assert code not in [text.code for text in texts(deployment) if text.kind == "sms.code"]
    assert texted.prove(challenge)


@pytest.mark.bar("B34")
@pytest.mark.parametrize("environment", [FUTURES, Environment.SPOT])
def test_a_number_that_may_be_lost_with_the_phone_stands_in_for_nothing_after_a_recovery(
    texted: Owner, environment: Environment
) -> None:
    """For a day, and in the environment that was recovered alone."""
    texted.enrol(Environment.SPOT)
    before = number_of(texted).usable_at
    recover(texted, environment)
    later = texted.deployment.clock.ms + DAY
    assert number_of(texted).usable_at == (later if environment is FUTURES else before)
    reducing = order(reduce_only="true")
    if environment is FUTURES:
        with refused(Reason.SMS_NOT_USABLE):
            text_for(texted, texted.asked(reducing))
    assert texted.prove(texted.asked(reducing))


@pytest.mark.bar("B52")
@pytest.mark.bar("B60")
def test_a_new_number_ends_other_sessions_and_what_was_asked(alice: Owner) -> None:
    waiting = alice.asked(order())
    first = alice.session
    alice.sign_in()
    with_number(alice)
    assert alice.challenge(waiting).state is State.CANCELLED
    assert first is not None
    ended = alice.deployment.read(lambda tx: tx.session(alice.account_id, first.session_id))
    assert ended is not None
    assert ended.state == "ended"


@pytest.mark.mission("M13")
def test_the_switch_alone_can_be_turned(texted: Owner) -> None:
    challenge = texted.asked(order())
    code = text_for(texted, challenge)
    assert saved(texted, backup=False).backup is False
    with refused(Reason.SMS_NOT_USABLE):
        texted.prove(challenge, sms_code=code)
    pause(texted)
    done = saved(texted, backup=True)
    assert done.usable_at <= texted.deployment.clock.ms  # it is no new number
    with refused(Reason.WRONG_CODE):  # what was sent before is dead all the same
        texted.prove(challenge, sms_code=code)


def test_protection_that_ends_takes_its_number_with_it(texted: Owner) -> None:
    deployment, session = texted.deployment, texted.session
    assert session is not None
    asked = deployment.run(lambda tx: switch_off(tx, deployment.world, session=session, environment=FUTURES))
    assert isinstance(asked, Asked)
    texted.prove(asked.challenge)
    deployment.run(lambda tx: switch_off(tx, deployment.world, session=session, environment=FUTURES))
    deployment.clock.tick(DAY)
    texted.swept()
    found = deployment.read(lambda tx: tx.bound_authenticator(texted.account_id, FUTURES, kind=AuthenticatorKind.SMS))
    assert found is None


# -- a code ----------------------------------------------------------------------------------------------------------
@pytest.mark.bar("B15")
def test_a_code_is_for_one_challenge_and_dies_with_its_use_its_time_and_a_resend(texted: Owner) -> None:
    deployment = texted.deployment
    one, other = texted.asked(order(symbol="ONE")), texted.asked(order(symbol="TWO"))
    first = text_for(texted, one)
    assert len(first) == 8
    with refused(Reason.WRONG_CODE):
        texted.prove(other, sms_code=first)
    pause(texted)
    second = text_for(texted, one)
    assert first != second
    with refused(Reason.WRONG_CODE):
        texted.prove(one, sms_code=first)
    waiting = [text.code for text in texts(deployment) if text.kind == "sms.code"]
    assert first not in waiting  # what is dead is not sent any more
    assert second in waiting
    assert by_sms(texted, one, second)
    with refused(Reason.CHALLENGE_NOT_PENDING):
        texted.prove(one, sms_code=second)
    pause(texted)
    late = texted.asked(order(symbol="LATE"))
    code = text_for(texted, late)
    deployment.clock.tick(5 * MINUTE - 1)
    with refused(Reason.CHALLENGE_EXPIRED):
        deployment.clock.tick(1)
        texted.prove(late, sms_code=code)


@pytest.mark.bar("B15")
def test_a_code_lives_no_longer_than_its_own_time(texted: Owner) -> None:
    deployment = texted.deployment
    deployment.world = replace(deployment.world, limits=replace(deployment.world.limits, sms_code_life_ms=MINUTE))
    challenge = texted.asked(order())
    code = text_for(texted, challenge)
    deployment.clock.tick(MINUTE)
    with refused(Reason.SMS_CODE_EXPIRED):
        texted.prove(challenge, sms_code=code)
    assert wrong(texted) == 1  # it was looked at, so it is counted
    assert by_sms(texted, challenge)


@pytest.mark.bar("B15")
def test_codes_are_drawn_from_all_digits(texted: Owner) -> None:
    assert digits_of(bytes(8), digits=8) == "00000000"
    assert digits_of(b"\xff" * 8, digits=8) == str(2**64 - 1)[-8:]
    with pytest.raises(ValueError, match="random bytes"):
        digits_of(b"1234567", digits=8)
    drawn = {digits_of(texted.deployment.world.entropy.bytes(8), digits=8) for _ in range(2000)}
    assert len(drawn) > 1990
    assert {digit for text in drawn for digit in text} == set("0123456789")


@pytest.mark.bar("B16")
def test_neither_a_resend_nor_a_new_challenge_buys_new_guesses(texted: Owner) -> None:
    challenge = texted.asked(order())
    right = text_for(texted, challenge)
    bad = "00000000" if right != "00000000" else "00000001"
    for _ in range(2):
        with refused(Reason.WRONG_CODE):
            texted.prove(challenge, sms_code=bad)
    pause(texted)
    text_for(texted, challenge)
    for _ in range(2):
        with refused(Reason.WRONG_CODE):
            texted.prove(challenge, sms_code=bad)
    pause(texted)
    another = texted.asked(order(symbol="ANOTHER"))
    right = text_for(texted, another)
    with refused(Reason.WRONG_CODE):
        texted.prove(another, sms_code=bad)
    with refused(Reason.FACTOR_BLOCKED):  # the fifth wrong one blocked it; the right one does not get through
        texted.prove(another, sms_code=right)
    with refused(Reason.FACTOR_BLOCKED):  # and no other is sent meanwhile
        text_for(texted, another)
    assert streak(texted) == 0  # the app's own budget is untouched
    assert texted.prove(another)


@pytest.mark.bar("B16")
def test_entering_the_number_anew_buys_no_guesses_either(alice: Owner) -> None:
    for tries in (2, 2, 1):
        entered = enter(alice)
        right = last(alice.deployment).code
        for _ in range(tries):
            with refused(Reason.WRONG_CODE):
                confirm(alice, entered, code="00000000" if right != "00000000" else "00000001")
        if tries == 2:
            pause(alice)
    with refused(Reason.FACTOR_BLOCKED):
        confirm(alice, entered, code=right)
    with refused(Reason.FACTOR_BLOCKED):
        enter(alice)


@pytest.mark.bar("B16")
@pytest.mark.bar("B75")
def test_fifty_wrong_codes_disable_the_number_and_leave_the_app_alone(texted: Owner) -> None:
    deployment = texted.deployment
    for _ in range(deployment.world.limits.factor_disable_after):
        deployment.clock.tick(DAY)
        texted.sign_in()
        with refused(Reason.WRONG_CODE):
            texted.prove(texted.asked(order()), sms_code="12345678")
    assert number_of(texted).state is AuthenticatorState.DISABLED
    challenge = texted.asked(order())
    with refused(Reason.SMS_NOT_USABLE):
        text_for(texted, challenge)
    assert texted.prove(challenge)


@pytest.mark.bar("B74")
@pytest.mark.bar("B77")
def test_a_wrong_sms_code_charges_number_and_account_and_not_the_app(texted: Owner) -> None:
    challenge = texted.asked(order())
    with refused(Reason.WRONG_CODE):
        texted.prove(challenge, sms_code="12345678")
    assert (wrong(texted), number_of(texted).budget.streak, streak(texted)) == (1, 1, 0)
    assert texted.challenge(challenge).wrong_answers == 1
    assert by_sms(texted, challenge)
    assert (wrong(texted), number_of(texted).budget.streak) == (1, 0)


@pytest.mark.bar("B15")
def test_a_code_answers_no_second_challenge_with_it(texted: Owner) -> None:
    one, other = texted.asked(order(symbol="ONE")), texted.asked(order(symbol="TWO"))
    code = text_for(texted, one)
    with refused(Reason.CANNOT_GROUP):
        texted.prove(one, other, sms_code=code)
    assert wrong(texted) == 0


@pytest.mark.bar("B9")
@pytest.mark.mission("M23")
def test_a_number_of_one_market_answers_for_no_other(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES, MARGIN])
    confirm(owner, enter(owner, environment=MARGIN))
    asked = save(owner, environment=MARGIN)
    assert isinstance(asked, Asked)
    owner.prove(asked.challenge)
    assert isinstance(save(owner, environment=MARGIN), Saved)
    pause(owner)
    with refused(Reason.SMS_NOT_USABLE):
        text_for(owner, owner.asked(order()))


@pytest.mark.bar("B20")
def test_asking_for_sms_where_it_does_not_serve_is_refused_and_recorded(texted: Owner) -> None:
    confirm(texted, enter(texted, OTHER_NUMBER))
    asked = save(texted)
    assert isinstance(asked, Asked)
    before = len(events(texted, EventKind.ANSWER_REFUSED))
    with refused(Reason.PROOF_NOT_ACCEPTED):
        text_for(texted, asked.challenge)
    with refused(Reason.PROOF_NOT_ACCEPTED):
        texted.prove(asked.challenge, sms_code="12345678")
    told = events(texted, EventKind.ANSWER_REFUSED)[before:]
    assert len(told) == 2
    assert all(b'"reason":"proof_not_accepted"' in event.body for event in told)


# -- a use -----------------------------------------------------------------------------------------------------------
@pytest.mark.mission("M13")
@pytest.mark.parametrize("action", [order(), margin_mode(), leverage_raise()], ids=lambda a: a.type.name)
def test_sms_approves_what_semantics_3_lets_it(texted: Owner, action: object) -> None:
    assert by_sms(texted, texted.asked(action))  # type: ignore[arg-type]


def test_three_approvals_a_day_and_no_fourth(texted: Owner) -> None:
    deployment = texted.deployment
    began = deployment.clock.ms
    for number in range(3):
        assert by_sms(texted, texted.asked(order(symbol=f"S{number}")))
        pause(texted)
    fourth = texted.asked(order(symbol="FOURTH"))
    with refused(Reason.SMS_APPROVALS_SPENT):
        text_for(texted, fourth)
    with refused(Reason.SMS_APPROVALS_SPENT):
        texted.prove(fourth, sms_code="12345678")
    assert texted.prove(fourth)
    deployment.clock.tick(began + DAY - deployment.clock.ms)
    texted.sign_in()
    assert by_sms(texted, texted.asked(order(symbol="NEXT")))


def test_a_code_that_was_sent_before_the_third_approval_is_no_fourth(texted: Owner) -> None:
    waiting = texted.asked(order(symbol="WAITING"))
    code = text_for(texted, waiting)
    for number in range(3):
        pause(texted)
        assert by_sms(texted, texted.asked(order(symbol=f"S{number}")))
    with refused(Reason.SMS_APPROVALS_SPENT):
        texted.prove(waiting, sms_code=code)


def test_each_use_is_told_with_a_link_that_ends_sms_and_voids_the_grant(texted: Owner) -> None:
    deployment = texted.deployment
    [approved] = by_sms(texted, texted.asked(order()))
    assert isinstance(approved, Approved)
    [told] = [m for m in deployment.read(lambda tx: tx.due_messages(limit=1000)) if m.kind == "sms.used"]
    link = cancel_link(deployment.world, texted.account_id, f"sms_{approved.challenge.challenge_id}")
    assert link.encode() in told.body
    for _ in range(2):  # cancel wins, and does so once
        deployment.run(lambda tx: cancel_by_link(tx, deployment.world, token=link))
    assert texted.challenge(approved.challenge).state is State.CANCELLED
    with refused(Reason.NOT_APPROVED):
        texted.redeem(order(), approved.grant)
    with refused(Reason.SMS_NOT_USABLE):
        text_for(texted, texted.asked(order()))
    assert len(events(texted, EventKind.AUTHENTICATOR_REMOVED)) == 1
    for forged in (link[:-1] + ("0" if link[-1] != "0" else "1"), link.replace("sms_", "chg_")):
        with refused(Reason.UNKNOWN_ID):
            deployment.run(lambda tx, token=forged: cancel_by_link(tx, deployment.world, token=token))


def test_an_old_link_does_not_end_a_number_that_came_later(texted: Owner) -> None:
    deployment = texted.deployment
    [approved] = by_sms(texted, texted.asked(order()))
    link = cancel_link(deployment.world, texted.account_id, f"sms_{approved.challenge.challenge_id}")
    pause(texted)
    with_number(texted, OTHER_NUMBER)
    deployment.run(lambda tx: cancel_by_link(tx, deployment.world, token=link))
    assert number_of(texted).state is AuthenticatorState.ACTIVE


@pytest.mark.bar("B21")
def test_nothing_approves_without_a_transferred_secret(texted: Owner) -> None:
    """No approve-only call stands in the use cases: every approval of a challenge names the code that was checked."""
    challenge = texted.asked(order())
    with refused(Reason.PROOF_MISSING):
        texted.deployment.run(
            lambda tx: prove(
                tx,
                texted.deployment.world,
                account_id=texted.account_id,
                answered_by=texted.principal,
                challenge_ids=[challenge.challenge_id],
                proof=Proof(),
            )
        )
    assert texted.challenge(challenge).state is State.PENDING


def test_texts_are_in_the_accounts_language(texted: Owner) -> None:
    deployment = texted.deployment
    deployment.run(
        lambda tx: set_language(tx, account_id=texted.account_id, language=Language.CHINESE, by=texted.principal)
    )
    text_for(texted, texted.asked(order()))
    assert "买入1 BTCUSDT 市价单,杠杆75倍" in last(deployment).text


def test_a_locked_account_is_texted_nothing(texted: Owner) -> None:
    deployment, session = texted.deployment, texted.session
    challenge = texted.asked(order())
    assert session is not None
    deployment.run(lambda tx: accounts.lock(tx, deployment.world, account_id=texted.account_id, by="test:"))
    with refused(Reason.ACCOUNT_LOCKED):
        deployment.run(
            lambda tx: send_for(
                tx, deployment.world, session=session, challenge_id=challenge.challenge_id, source=SOURCE
            )
        )


@pytest.mark.parametrize("market", MARKETS)
def test_every_market_has_its_rows(market: Environment) -> None:
    assert SMS_SAVE[market].floor is not None
    assert SMS_REMOVE[market].floor is not None
    assert SMS_REPLACE[market].floor is not None
    assert SMS_REPLACE[market].floor.words() == ["password", "totp"]
    assert not any(row[market].backups for row in (SMS_SAVE, SMS_REMOVE, SMS_REPLACE))


@pytest.mark.mission("M11")
def test_removing_tells_the_number_and_every_address(texted: Owner) -> None:
    asked = remove(texted)
    assert isinstance(asked, Asked)
    texted.prove(asked.challenge)
    assert remove(texted) is None
    assert "sms.removed" in notices(texted)
    assert [text.number for text in texts(texted.deployment) if text.kind == "sms.notice"] == ["+447400123456"]
    with refused(Reason.CONFLICT):
        remove(texted)


@pytest.mark.bar("B83")
def test_a_number_swapped_in_the_database_serves_nobody_and_raises_the_alarm(texted: Owner) -> None:
    deployment = texted.deployment
    bob = deployment.owner("bob", enrolled=[FUTURES])
    with_number(bob, OTHER_NUMBER)
    columns = "key_version, nonce, ciphertext"
    with sqlite3.connect(deployment.path) as raw:
        raw.execute(
            f"UPDATE authenticator SET ({columns}) = (SELECT {columns} FROM authenticator WHERE authenticator_id = ?)"
            " WHERE authenticator_id = ?",
            (number_of(bob).authenticator_id, number_of(texted).authenticator_id),
        )
    challenge = texted.asked(order())
    with refused(Reason.SMS_NOT_USABLE):
        text_for(texted, challenge)
    assert len(events(texted, EventKind.SEAL_BROKEN)) == 1
    assert texted.prove(challenge)
    asked = remove(texted)  # it can be taken away all the same
    assert isinstance(asked, Asked)
    texted.prove(asked.challenge)
    assert remove(texted) is None


@pytest.mark.bar("B84")
def test_a_number_is_among_the_secrets_that_a_rotation_seals_anew(texted: Owner) -> None:
    deployment = texted.deployment
    number = number_of(texted)
    found = deployment.read(lambda tx: tx.sealed_secrets(texted.account_id, other_than=0))
    [sealed] = [one for one in found if one.row_id == number.authenticator_id]
    assert deployment.sealer.open(sealed.secret, context=sealed.context) == b"+447400123456"


@pytest.mark.bar("B11")
def test_a_fence_leaves_no_code_alive(texted: Owner) -> None:
    deployment = texted.deployment
    text_for(texted, texted.asked(order()))
    fence = Fence(1, Because.CLOCK_RESET, deployment.clock.ms - DAY)
    deployment.store.submit(
        lambda tx: fence_account(tx, deployment.world, fence, account_id=texted.account_id, by="test:"), at_mark=True
    ).result(20)
    with sqlite3.connect(deployment.path) as raw:
        assert raw.execute("SELECT count(*) FROM sms_code").fetchone() == (0,)
    assert not [text for text in texts(deployment) if text.kind == "sms.code" and "BTCUSDT" in text.text]
