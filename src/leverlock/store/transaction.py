"""One use case's unit of work: the lock, the audit chain, the charge, and what remains when the use case raises.

The engine calls `finish()` after a use case returned, or `settle(exception)` after it rolled the use case back (B74).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from leverlock.domain.account import Account
from leverlock.domain.attempts import AccountBudget, Reserve
from leverlock.domain.audit import AuditEvent, EventKind, chain
from leverlock.domain.authenticator import AuthenticatorState
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import Limits
from leverlock.domain.messages import Message
from leverlock.domain.security_key import Ceremony, Purpose
from leverlock.ports import Charge
from leverlock.store import rows


class Cursor(Protocol):
    """What the acts need of an engine."""

    def all(self, name: str, parameters: Mapping[str, Any]) -> list[rows.Row]: ...
    def one(self, name: str, parameters: Mapping[str, Any]) -> rows.Row | None: ...
    def write(self, name: str, parameters: Mapping[str, Any]) -> int:
        """Run a writing statement; how many rows it changed."""
        ...


_NO_TIME = {
    Reason.CLOCK_BEHIND: "the server's clock runs behind what it has already seen",
    Reason.STORE_UNAVAILABLE: "a fence is being raised; nothing is verified until it stands",
}


@dataclass(frozen=True, slots=True)
class _SignInTry:
    subject: bytes
    limits: Limits


@dataclass(frozen=True, slots=True)
class _Alarm:
    event: AuditEvent
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class TakenCeremony:
    """A ceremony that was taken to be looked at. Whatever is found, it stays taken (B23)."""

    account_id: str
    session_id: str
    purpose: Purpose
    subject: str

    @classmethod
    def of(cls, ceremony: Ceremony) -> TakenCeremony:
        return cls(ceremony.account_id, ceremony.session_id, ceremony.purpose, ceremony.subject)

    @property
    def named(self) -> dict[str, str]:
        named = {"account_id": self.account_id, "session_id": self.session_id}
        return {**named, "purpose": self.purpose.value, "subject": self.subject}


class UnitOfWork:
    """The part of `ports.Transaction` that the acts build on."""

    def __init__(self, cursor: Cursor, *, now: int | Reason, limits: Limits) -> None:
        self._cursor = cursor
        self._now = now
        self._limits = limits
        self._account: Account | None = None
        self._budget: AccountBudget | None = None
        self._reserve: Reserve | None = None
        self._events: list[AuditEvent] = []
        self._kept: list[Charge | _SignInTry | TakenCeremony | _Alarm] = []
        self._refusal: AuditEvent | None = None
        self._aftermath: list[Callable[[], None]] = []
        self._locked_id: str | None = None

    @property
    def now(self) -> int:
        if isinstance(self._now, Reason):
            raise Refused(self._now, _NO_TIME[self._now])
        return self._now

    # -- the account's lock and its chain ----------------------------------------------------------------------------
    def lock_account(self, account_id: str) -> Account:
        if self._account is not None:
            if self._account.account_id != account_id:
                raise RuntimeError("one transaction touches one account")
            return self._account
        row = self._cursor.one("lock_account", {"account_id": account_id, "now": self.now})
        if row is None:
            raise Refused(Reason.UNKNOWN_ID, "no such account")
        self._account = rows.account(row)
        self._locked_id = account_id
        return self._account

    def record(self, event: AuditEvent) -> None:
        if self._account is None:
            raise RuntimeError("a record needs the account's lock")
        self._events.append(event)

    def if_refused(self, kind: EventKind, principal: str, **details: Any) -> None:
        self._refusal = AuditEvent(kind, principal, details)

    def alarm(self, event: AuditEvent, *, messages: Sequence[Message] = ()) -> None:
        raised = _Alarm(event, tuple(messages))
        self._raise(raised)
        self._kept.append(raised)

    @property
    def alarms(self) -> list[AuditEvent]:
        """What was raised, for the log and the count after the commit."""
        return [kept.event for kept in self._kept if isinstance(kept, _Alarm)]

    def _raise(self, alarm: _Alarm) -> None:
        self.record(alarm.event)
        for message in alarm.messages:
            self.put_message(message)

    def put_message(self, message: Message) -> None:
        self._cursor.write(
            "put_message",
            {
                "account_id": message.account_id,
                "message_id": message.message_id,
                "channel": message.channel.value,
                "target": message.target,
                "kind": message.kind,
                "body": message.body,
                "created_at": message.created_at,
                "expires_at": message.expires_at,
            },
        )

    def note_refusal(self, **details: Any) -> None:
        if self._refusal is not None:
            self._refusal = replace(self._refusal, details={**self._refusal.details, **details})

    def after_refusal(self, act: Callable[[], None]) -> None:
        self._aftermath.append(act)

    # -- charges -----------------------------------------------------------------------------------------------------
    def charge(self, charge: Charge) -> None:
        self._apply(charge)
        self._kept.append(charge)

    def take_back(self, charge: Charge, *, account: AccountBudget) -> None:
        # The charge stays among the kept ones: should anything still fail, the guess was evaluated and counts.
        assert charge in self._kept
        assert self._account is not None
        self._budget, self._reserve = account, self._account.reserve

    def set_budget(self, budget: AccountBudget, *, reserve: Reserve) -> None:
        self._budget, self._reserve = budget, reserve

    def charge_sign_in(self, subject: bytes, *, limits: Limits) -> None:
        attempt = _SignInTry(subject, limits)
        tries, since = self._count_sign_in(attempt)
        if tries > limits.sign_in_tries:
            wait = since + limits.sign_in_window_ms - self.now
            raise Refused(Reason.SIGN_IN_THROTTLED, retry_after_ms=max(wait, 1000))
        self._kept.append(attempt)

    def clear_sign_in(self, subject: bytes) -> None:
        self._cursor.write("clear_sign_in", {"subject": subject})

    def take_and_keep(self, taken: TakenCeremony) -> rows.Row | None:
        """Delete a ceremony, now and again should this use case raise; its row for whoever was first."""
        self._kept.append(taken)
        return self._cursor.one("take_ceremony", taken.named)

    def _count_sign_in(self, attempt: _SignInTry) -> tuple[int, int]:
        window_start = self.now - attempt.limits.sign_in_window_ms
        row = self._cursor.one(
            "charge_sign_in", {"subject": attempt.subject, "now": self.now, "window_start": window_start}
        )
        assert row is not None
        return row[0], row[1]

    def _apply(self, charge: Charge) -> None:
        assert self._account is not None
        account_id = self._account.account_id
        if charge.account is not None:
            self._budget = charge.account
        if charge.reserve is not None:
            self._reserve = charge.reserve
        if charge.authenticator_id is not None:
            before, after = charge.factor_before, charge.factor_after
            assert before is not None
            assert after is not None
            parameters = {
                "account_id": account_id,
                "authenticator_id": charge.authenticator_id,
                "streak": after.streak,
                "blocked_until": after.blocked_until_ms,
                "streak_before": before.streak,
            }
            if self._cursor.write("charge_authenticator", parameters) != 1:
                raise Refused(Reason.CONFLICT)
        for challenge_id in charge.challenge_ids:
            self._cursor.write("charge_challenge", {"account_id": account_id, "challenge_id": challenge_id})

    # -- the end of it -----------------------------------------------------------------------------------------------
    def finish(self) -> None:
        """Write the events and the account's new chain head, in the transaction of everything else."""
        if self._account is None or not (self._events or self._budget is not None or self._reserve is not None):
            return
        account = self._account
        seq, head = account.chain_seq, account.chain_head
        for event in self._events:
            seq += 1
            record = chain(event, account_id=account.account_id, seq=seq, at_ms=self.now, previous=head)
            head = record.hash
            parameters = {
                "account_id": record.account_id,
                "seq": record.seq,
                "at": record.at_ms,
                "kind": record.kind.value,
                "body": record.body,
                "hash": record.hash,
            }
            self._cursor.write("insert_event", parameters)
        settled = self._cursor.write(
            "settle_account",
            {
                "account_id": account.account_id,
                "wrong_at": (self._budget or account.budget).to_bytes(),
                "reserve_at": (self._reserve or account.reserve).to_bytes(),
                "chain_seq": seq,
                "chain_head": head,
                "chain_seq_before": account.chain_seq,
            },
        )
        if settled != 1:
            raise Refused(Reason.CONFLICT)

    def settle(self, problem: BaseException) -> None:
        """After the use case was rolled back: its charges stay, their consequences, its alarms, and the record of the
        refusal."""
        kept, refusal, locked_id = self._kept, self._refusal, self._locked_id
        self._account, self._budget, self._reserve, self._events, self._kept = None, None, None, [], []
        aftermath, self._aftermath = self._aftermath, []
        if locked_id is None or not (kept or refusal):
            return
        self.lock_account(locked_id)
        for attempt in kept:
            if isinstance(attempt, _SignInTry):
                self._count_sign_in(attempt)
            elif isinstance(attempt, _Alarm):
                self._raise(attempt)
                self._kept.append(attempt)
            elif isinstance(attempt, TakenCeremony):
                self._cursor.write("take_ceremony", attempt.named)
            else:
                self._apply(attempt)
        charges = [attempt for attempt in kept if isinstance(attempt, Charge)]
        if refusal is None and charges:
            refusal = AuditEvent(EventKind.ANSWER_REFUSED, "")
        if refusal is not None:
            self.record(_refusal_record(refusal, problem, charges))
        for charge in charges:
            self._consequences(charge)
        for act in aftermath:
            act()
        self.finish()

    def _consequences(self, charge: Charge) -> None:
        """The wrong answer that was one too many: the challenge has failed, the authenticator is disabled."""
        assert self._account is not None
        principal = self._refusal.principal if self._refusal is not None else ""
        for message in charge.told:
            self.put_message(message)
        for challenge_id in charge.challenge_ids:
            parameters = {
                "account_id": self._account.account_id,
                "challenge_id": challenge_id,
                "limit": self._limits.challenge_wrong_answers,
            }
            if self._cursor.write("fail_challenge", parameters) == 1:
                self.record(AuditEvent(EventKind.CHALLENGE_FAILED, principal, {"challenge": challenge_id}))
        after = charge.factor_after
        if after is None or not after.disabled:
            return
        named = {"account_id": self._account.account_id, "authenticator_id": charge.authenticator_id}
        row = self._cursor.one("disable_authenticator", {**named, "streak": after.streak})
        if row is not None:
            ended = AuthenticatorState(row[0]) is AuthenticatorState.EXPIRED
            kind = EventKind.ENROLMENT_EXPIRED if ended else EventKind.AUTHENTICATOR_DISABLED
            self.record(AuditEvent(kind, principal, {"authenticator": charge.authenticator_id, "state": row[0]}))


def _refusal_record(refusal: AuditEvent, problem: BaseException, charges: list[Charge]) -> AuditEvent:
    """The record of a refusal: its reason, and what was charged, from which counters can be rebuilt (B88)."""
    added: dict[str, Any] = {"reason": problem.reason.value if isinstance(problem, Refused) else "error"}
    for charge in charges:
        told: dict[str, Any] = {}
        if charge.account is not None:
            told["account_wrong"] = len(charge.account.wrong_at_ms)
        if charge.reserve is not None:
            told["reserve_wrong"] = len(charge.reserve.wrong_at_ms)
        after = charge.factor_after
        if after is not None:
            told.update(
                authenticator=charge.authenticator_id, streak=after.streak, blocked_until=after.blocked_until_ms
            )
        added["charged"] = told
    return replace(refusal, details={**refusal.details, **added})
