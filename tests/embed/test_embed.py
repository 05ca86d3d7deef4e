"""A venue that runs Leverlock in its own process: the whole story, and not one socket."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leverlock.domain.totp import hotp, step_at
from leverlock.embed import Allowed, Asked, Enrolment, Granted, Leverlock, Reason, Refused, action, batch
from leverlock.store.host import SystemClock

PASSWORD = "correct horse battery staple"
NOW_MS = 1_790_000_010_000  # a moment in the middle of a time step: no test straddles two


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leverlock]:
    def forbidden(*_: Any, **__: Any) -> Any:
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "create_server", "socketpair", "getaddrinfo"):
        monkeypatch.setattr(socket, name, forbidden)
    monkeypatch.setattr(SystemClock, "now_ms", lambda _: NOW_MS)
    Leverlock.create(database=tmp_path / "leverlock.db", keyring=tmp_path / "keyring.json")
    with Leverlock.open(
        database=tmp_path / "leverlock.db", keyring=tmp_path / "keyring.json", policy="literal", issuer="Acme"
    ) as opened:
        yield opened


class Trader:
    """An account with a session and an authenticator app."""

    def __init__(self, lock: Leverlock, login: str = "alice") -> None:
        self.lock = lock
        self.account_id = lock.create_account(login, PASSWORD)
        self.token = lock.sign_in(login, PASSWORD).token
        started = lock.start_enrolment(self.token, "futures")
        assert isinstance(started, Enrolment)
        self.uri = started.otpauth_uri
        self.seed = base64.b32decode(started.secret)
        # The step before this one is still accepted, which leaves this one for what follows.
        self.confirmed = lock.confirm_enrolment(self.token, started.authenticator_id, code=self.code(-1))

    def code(self, ahead: int) -> str:
        return hotp(self.seed, step_at(NOW_MS) + ahead)


def order(quantity: str = "1", leverage: str = "75") -> Any:
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": quantity}
    return action("futures.order.place", fields, facts={"leverage": leverage, "margin_mode": "ISOLATED"})


@pytest.mark.mission("M15")
def test_the_story_without_a_socket(lock: Leverlock) -> None:
    trader = Trader(lock)
    assert len(trader.confirmed.recovery_codes) == 10
    assert trader.uri.startswith("otpauth://totp/Acme%20Futures:alice?")
    assert isinstance(lock.authorize(trader.account_id, order(leverage="50")), Allowed)

    asked = lock.authorize(trader.account_id, order())
    assert isinstance(asked, Asked)
    (approved,) = lock.prove(trader.token, [asked.challenge.challenge_id], code=trader.code(0))
    granted = lock.authorize(trader.account_id, order())
    assert isinstance(granted, Granted)
    assert granted.grant == approved.grant
    redeemed = lock.redeem(trader.account_id, order(), grant=granted.grant)
    assert redeemed.challenge.challenge_id == asked.challenge.challenge_id
    with pytest.raises(Refused) as spent:
        lock.redeem(trader.account_id, order(), grant=granted.grant)
    assert spent.value.reason is Reason.GRANT_SPENT


def test_another_action_voids_the_grant_for_good(lock: Leverlock) -> None:
    trader = Trader(lock)
    asked = lock.authorize(trader.account_id, order())
    assert isinstance(asked, Asked)
    (approved,) = lock.prove(trader.token, [asked.challenge.challenge_id], code=trader.code(0))
    for wanted, reason in ((order("2"), Reason.ACTION_MISMATCH), (order(), Reason.NOT_APPROVED)):
        with pytest.raises(Refused) as refused:
            lock.redeem(trader.account_id, wanted, grant=approved.grant)
        assert refused.value.reason is reason


def test_rebinding_needs_the_present_app_and_the_password(lock: Leverlock) -> None:
    trader = Trader(lock)
    asked = lock.start_enrolment(trader.token, "futures")
    assert isinstance(asked, Asked)
    challenge = asked.challenge.challenge_id
    with pytest.raises(Refused) as refused:
        lock.prove(trader.token, [challenge], code=trader.code(0), password="not the password")
    assert refused.value.reason is Reason.WRONG_CODE
    lock.prove(trader.token, [challenge], code=trader.code(0), password=PASSWORD)
    assert isinstance(lock.start_enrolment(trader.token, "futures"), Enrolment)


def test_the_accounts_own_actions_have_no_name_here(lock: Leverlock) -> None:
    with pytest.raises(Refused) as refused:
        action("futures.authenticator.replace", {})
    assert refused.value.reason is Reason.UNKNOWN_ACTION
    with pytest.raises(Refused):
        batch("futures.order.place_batch", [])


def test_a_session_ends_and_its_token_with_it(lock: Leverlock) -> None:
    trader = Trader(lock)
    lock.sign_out(trader.token)
    for broken in (trader.token, "", "acc_nobody.x", "x"):
        with pytest.raises(Refused) as refused:
            lock.prove(broken, ["ch_none"], code="123456")
        assert refused.value.reason is Reason.NOT_AUTHENTICATED
        with pytest.raises(Refused) as refused:
            lock.sign_out(broken)
        assert refused.value.reason is Reason.NOT_AUTHENTICATED


def test_calls_come_from_any_thread_and_a_code_serves_one_of_them(lock: Leverlock) -> None:
    trader = Trader(lock)
    challenges = []
    for n in range(3):
        asked = lock.authorize(trader.account_id, order(str(n + 1)))
        assert isinstance(asked, Asked)
        challenges.append(asked.challenge.challenge_id)
    code = trader.code(0)
    outcomes: list[str] = []

    def answer(challenge: str) -> None:
        try:
            lock.prove(trader.token, [challenge], code=code)
            outcomes.append("approved")
        except Refused as refused:
            outcomes.append(refused.reason.value)

    threads = [threading.Thread(target=answer, args=(challenge,)) for challenge in challenges]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert sorted(outcomes) == ["approved", "code_already_used", "code_already_used"]


def key_page(label: str = "my bot") -> Any:
    return action("futures.api_key.create", {"label": label, "scopes": "TRADE"})


def test_the_venues_own_look_at_the_password_stands_for_it_and_for_nothing_else(lock: Leverlock) -> None:
    """Identity told by the process itself: by argument, about one action, not older than a minute."""
    trader = Trader(lock)
    asked = lock.authorize(trader.account_id, key_page(), password_verified_at=NOW_MS - 60_000)
    assert isinstance(asked, Asked)
    assert asked.challenge.remaining.words() == ["totp"]
    assert isinstance(lock.authorize(trader.account_id, order(), password_verified_at=NOW_MS), Asked)
    lock.prove(trader.token, [asked.challenge.challenge_id], code=trader.code(0))
    granted = lock.authorize(trader.account_id, key_page())
    assert isinstance(granted, Granted)
    lock.redeem(trader.account_id, key_page(), grant=granted.grant)


def test_a_password_of_long_ago_or_of_a_time_to_come_stands_for_nothing(lock: Leverlock) -> None:
    trader = Trader(lock)
    for at in (NOW_MS - 60_001, NOW_MS + 5_001, 0):
        with pytest.raises(Refused) as why:
            lock.authorize(trader.account_id, key_page(), password_verified_at=at)
        assert why.value.reason is Reason.STATEMENT_REFUSED
    asked = lock.authorize(trader.account_id, key_page())
    assert isinstance(asked, Asked)
    assert asked.challenge.remaining.words() == ["password", "totp"]


def test_where_nothing_else_is_asked_for_it_approves(lock: Leverlock) -> None:
    account_id = lock.create_account("bob", PASSWORD)
    granted = lock.authorize(account_id, key_page(), password_verified_at=NOW_MS)
    assert isinstance(granted, Granted)
    lock.redeem(account_id, key_page(), grant=granted.grant)
