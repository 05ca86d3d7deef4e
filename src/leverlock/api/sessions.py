"""Getting in and out: the password, then the login challenge where the account has one (M1)."""

from __future__ import annotations

from typing import Any

from leverlock.api.endpoint import ApiParts, Call, Caller
from leverlock.api.next_steps import NextStep, of_session
from leverlock.api.views import OpenedSession, SessionView, View
from leverlock.app import sign_in as use_case
from leverlock.domain.account import Session, canonical_login, network_of
from leverlock.domain.errors import Reason, Refused
from leverlock.ports import Transaction, World
from leverlock.verifiers.password import TooManyWaiting

BUSY_MS = 1_000  # a turn at hashing comes back within a second


def canonical(call: Call) -> None:
    """One spelling of a login, whatever was typed (B76)."""
    try:
        call.body.login = canonical_login(call.body.login)
    except Refused as refused:
        raise Refused(refused.reason, refused.detail, field="$.login") from None


async def check_password(parts: ApiParts, call: Call) -> View | None:
    """The same work for every login, known or not, off the loop and before the transaction (B62, B74)."""
    login = call.body.login

    def stored(tx: Transaction) -> tuple[str | None, str | None]:
        account_id = tx.account_of_login(login)
        account = None if account_id is None else tx.account(account_id)
        return account_id, None if account is None else account.password_hash

    account_id, stored_hash = await parts.store.read(stored)
    try:
        call.finding = await parts.passwords.check(
            call.body.password,
            account_id=account_id,
            stored_hash=stored_hash,
            turn=network_of(call.source),
            stranger=True,
        )
    except TooManyWaiting:
        raise Refused(Reason.SIGN_IN_THROTTLED, retry_after_ms=BUSY_MS) from None
    return None


def sign_in(tx: Transaction, world: World, _caller: Caller, call: Call) -> OpenedSession:
    opened = use_case.sign_in(tx, world, login=call.body.login, source=call.source, finding=call.finding)
    return opened_view(tx, world, opened)


def opened_view(tx: Transaction, world: World, opened: use_case.SignedIn) -> OpenedSession:
    """A new session, with the way on from it."""
    session = opened.session
    ends_at = session.created_at + world.limits.session_absolute_ms
    return OpenedSession(opened.token, session.account_id, session.state.value, ends_at, _next(tx, session))


def answer_login_challenge(tx: Transaction, world: World, _caller: Caller, call: Call) -> SessionView:
    session = use_case.complete_login(tx, world, token=call.token, code=call.body.code)
    completed = tx.session(session.account_id, session.session_id)
    assert completed is not None
    return session_view(tx, world, completed)


def show(tx: Transaction, world: World, caller: Caller, _call: Call) -> SessionView:
    return session_view(tx, world, caller.owner)


def sign_out(tx: Transaction, world: World, _caller: Caller, call: Call) -> Any:
    use_case.sign_out(tx, world, token=call.token)


def session_view(tx: Transaction, world: World, session: Session) -> SessionView:
    account = tx.account(session.account_id)
    assert account is not None
    ends_at = session.created_at + world.limits.session_absolute_ms
    return SessionView(
        account=session.account_id,
        login=account.login,
        state=session.state.value,
        created_at=session.created_at,
        idle_at=min(ends_at, session.last_seen_at + world.limits.session_idle_ms),
        ends_at=ends_at,
        next=_next(tx, session),
    )


def _next(tx: Transaction, session: Session) -> list[NextStep]:
    """The way on of a session that is not full."""
    return of_session(session, completed_by=use_case.login_challenge(tx, session.account_id))
