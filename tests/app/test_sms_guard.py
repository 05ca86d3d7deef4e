"""The pumping guard: whoever earns by the message orders none beyond the caps, whatever he varies (B18, I16)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.observing import FUTURES
from app.phone import NUMBER, OTHER_NUMBER, by_sms, confirm, enter, pause, text_for, texts, with_number
from leverlock.app.sms_guard import approvals_left, take_place
from leverlock.app.sms_numbers import enter as enter_number
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import DAY, HOUR, Limits
from leverlock.domain.phone import PhoneNumber
from world import Deployment, order, refused


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with Deployment.create(tmp_path, sms=True) as made:
        yield made


def limited(deployment: Deployment, **numbers: int) -> Limits:
    deployment.world = replace(deployment.world, limits=replace(deployment.world.limits, **numbers))
    return deployment.world.limits


def send(
    deployment: Deployment, *, number: str = "+447400123456", account: str = "acc_a", source: str = "192.0.2.1"
) -> bool:
    """Take a place for one SMS; whether there was one."""
    why: Refused | None = None
    try:
        deployment.run(
            lambda tx: take_place(tx, deployment.world, number=PhoneNumber(number), account_id=account, source=source)
        )
    except Refused as refusal:
        why = refusal
    if why is None:
        return True
    assert why.reason is Reason.SMS_THROTTLED
    assert why.retry_after_ms is not None
    assert why.retry_after_ms > 0
    return False


def numbers(prefix: str = "+4474001") -> Iterator[str]:
    return (f"{prefix}{index:05d}" for index in range(100_000))


@pytest.mark.bar("B18")
def test_one_number_is_paused_and_capped(deployment: Deployment) -> None:
    limits = deployment.world.limits
    assert send(deployment)
    assert not send(deployment, account="acc_b", source="198.51.100.7")  # it is the number that is paused
    sent = 1
    for index in range(60):
        deployment.clock.tick(limits.sms_resend_ms)
        sent += send(deployment, account=f"acc_{index}", source=f"198.51.100.{index}")
    assert sent == limits.sms_per_number
    deployment.clock.tick(DAY)
    assert send(deployment)


@pytest.mark.bar("B18")
def test_one_account_is_capped_however_many_numbers_it_names(deployment: Deployment) -> None:
    sent = sum(
        send(deployment, number=number, source=f"198.51.100.{n % 200}") for n, number in zip(range(60), numbers())
    )
    assert sent == deployment.world.limits.sms_per_account


@pytest.mark.bar("B18")
def test_one_network_is_capped_however_many_accounts_it_has(deployment: Deployment) -> None:
    limits = limited(deployment, sms_breaker_percent=0)
    inside = (f"2001:db8:1:2::{n:x}" for n in range(1, 1000))  # one subscriber's 64 bits
    places = zip(range(100), numbers(), inside)
    sent = sum(send(deployment, number=number, account=f"acc_{n}", source=source) for n, number, source in places)
    assert sent == limits.sms_per_source


@pytest.mark.bar("B18")
def test_one_range_is_capped_whoever_asks_from_wherever(deployment: Deployment) -> None:
    limits = limited(deployment, sms_per_prefix=50, sms_breaker_percent=0)

    def sent(prefix: str) -> int:
        return sum(
            send(deployment, number=number, account=f"acc_{prefix}{n}", source=f"10.{n // 250}.{n % 250}.1")
            for n, number in zip(range(80), numbers(prefix))
        )

    assert sent("+4474001") == limits.sms_per_prefix
    assert sent("+4474002") == limits.sms_per_prefix  # the neighbour has its own


@pytest.mark.bar("B18")
def test_the_whole_deployment_is_capped(deployment: Deployment) -> None:
    limits = limited(deployment, sms_per_deployment=30, sms_breaker_percent=0)
    everywhere = zip(range(60), (f"+44740{n:03d}12345" for n in range(1000)))
    sent = sum(send(deployment, number=number, account=f"acc_{n}", source=f"10.0.{n}.1") for n, number in everywhere)
    assert sent == limits.sms_per_deployment


@pytest.mark.bar("B18")
def test_a_range_from_which_no_code_comes_back_is_closed_and_opens_with_its_window(deployment: Deployment) -> None:
    limits = deployment.world.limits

    def sent() -> int:
        return sum(
            send(deployment, number=number, account=f"acc_{n}", source=f"10.{n // 250}.{n % 250}.1")
            for n, number in zip(range(2 * limits.sms_breaker_after), numbers())
        )

    assert sent() == limits.sms_breaker_after
    assert send(deployment, number="+49151234567", account="acc_other", source="10.9.9.9")
    deployment.clock.tick(limits.sms_window_ms)
    assert sent() == limits.sms_breaker_after


@pytest.mark.bar("B18")
def test_codes_that_come_back_keep_a_range_open(deployment: Deployment) -> None:
    limits = limited(deployment, sms_breaker_after=5, sms_per_account=100, sms_per_source=100, sms_per_number=100)
    owner = deployment.owner(enrolled=[FUTURES])
    for _ in range(4 * limits.sms_breaker_after):
        confirm(owner, enter(owner))
        pause(owner)
    assert len([text for text in texts(deployment) if text.kind == "sms.code"]) >= 1


@pytest.mark.bar("B18")
def test_a_refused_sms_takes_no_place_of_anybody(deployment: Deployment) -> None:
    """An attacker at his own cap uses up nothing of the range that others share."""
    limits = limited(deployment, sms_per_prefix=30, sms_breaker_percent=0)
    for n in range(100):
        send(deployment, number=f"+4474001{n:05d}", account="acc_thief", source="10.0.0.1")
    others = zip(range(60), numbers("+44740019"))
    sent = sum(send(deployment, number=number, account=f"acc_{n}", source=f"10.1.{n}.1") for n, number in others)
    assert sent == limits.sms_per_prefix - limits.sms_per_account


@pytest.mark.bar("B18")
def test_the_caps_hold_through_the_use_cases_and_survive_a_restart(tmp_path: Path) -> None:
    with Deployment.create(tmp_path, sms=True) as deployment:
        owner = deployment.owner(enrolled=[FUTURES])
        limits, session = deployment.world.limits, owner.session
        for _ in range(limits.sms_per_number):
            enter(owner)
            pause(owner)
        with refused(Reason.SMS_THROTTLED):
            enter(owner)
        now = deployment.clock.ms
    assert session is not None
    with Deployment.open(tmp_path, sms=True) as again:
        again.clock.ms = now
        with refused(Reason.SMS_THROTTLED):
            again.run(
                lambda tx: enter_number(
                    tx, again.world, session=session, environment=FUTURES, typed=NUMBER, source="203.0.113.9"
                )
            )


@pytest.mark.bar("B18")
def test_no_number_stands_in_the_tables_of_the_guard(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    enter(owner, OTHER_NUMBER)
    written = b"".join(file.read_bytes() for file in deployment.path.parent.glob("leverlock.db*"))
    assert b"4915123456789" not in written
    assert b"1512 345" not in written


@pytest.mark.bar("B18")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(st.integers(0, 40), min_size=1, max_size=40), most=st.integers(1, 5), window=st.integers(1, 60))
def test_no_window_of_any_position_holds_more_than_its_cap(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], most: int, window: int
) -> None:
    """I16, for windows that begin anywhere, not only where a counter would."""
    taken: list[int] = []
    with Deployment.create(tmp_path_factory.mktemp("caps"), sms=True) as deployment:
        for step in steps:
            deployment.clock.tick(step)
            wait = deployment.run(lambda tx: tx.take_sms_slot(bytes(32), most=most, window_ms=window))
            if wait is None:
                taken.append(deployment.clock.ms)
            else:
                assert wait >= 1
                recent = [at for at in taken if at > deployment.clock.ms - window]
                assert len(recent) == most, "refused although there was room"
    for begin in taken:
        assert len([at for at in taken if begin <= at < begin + window]) <= most


def test_approvals_are_counted_in_any_window(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    with_number(owner)
    pause(owner)
    for number in range(3):
        by_sms(owner, owner.asked(order(symbol=f"S{number}")))
        deployment.clock.tick(HOUR)
        owner.sign_in()
    left = deployment.read(lambda tx: approvals_left(tx, deployment.world, owner.account_id))
    assert left == 0
    deployment.clock.tick(DAY - 3 * HOUR)
    owner.sign_in()
    left = deployment.read(lambda tx: approvals_left(tx, deployment.world, owner.account_id))
    assert left == 1
    assert text_for(owner, owner.asked(order(symbol="AGAIN")))


def test_one_owners_sms_leave_anothers_state_alone(deployment: Deployment) -> None:
    """I18, as far as it can hold: what a range or the deployment shares is all that is shared."""
    alice, bob = deployment.owner("alice", enrolled=[FUTURES]), deployment.owner("bob", enrolled=[FUTURES])
    for _ in range(deployment.world.limits.sms_per_account):
        try:
            enter(alice)
        except Refused:
            pass
        pause(alice)
    assert enter(bob, OTHER_NUMBER)
