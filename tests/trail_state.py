"""An account's state rebuilt from its audit trail alone, and the same read from the tables: they must be equal (B88).

`rebuilt` also demands that every step the trail tells is one that the state machines have, so that no record is
missing, doubled or out of place. Used after scenarios, random walks, races and kills.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leverlock.domain import authenticator as authenticators
from leverlock.domain import challenge as challenges
from leverlock.domain import proposal as proposals
from leverlock.domain import recovery_case as recovery_cases
from leverlock.domain import security_key
from leverlock.domain.attempts import AccountBudget, Reserve
from leverlock.domain.audit import GENESIS, ChainedEvent, EventKind, link
from leverlock.domain.authenticator import AuthenticatorState
from leverlock.domain.challenge import State
from leverlock.domain.proposal import ProposalState
from leverlock.domain.recovery_case import CaseState
from leverlock.domain.security_key import SecurityKeyState, counter_advances


@dataclass
class Factor:
    """One authenticator, as far as the trail tells."""

    environment: str
    generation: int
    state: str = "pending"
    last_step: int = -1
    streak: int = 0
    blocked_until: int = 0
    confirmed: bool = False
    usable_at: int = 0
    backup: bool = False


@dataclass
class Key:
    """One key, as far as the trail tells: its state and its terms."""

    label: str
    scopes: list[str]
    ips: list[str]
    otp_allowed: bool
    state: str = "active"
    legacy: bool = False
    legacy_ends_at: int | None = None

    def edit(self, told: dict[str, Any]) -> None:
        assert self.state == "active"
        self.label, self.scopes, self.ips = told["label"], told["scopes"], told["ips"]
        self.otp_allowed, self.legacy, self.legacy_ends_at = told["otp_allowed"], False, None


@dataclass
class Desk:
    """What operators decide about one account: its role, its recovery cases, what is proposed about it."""

    role: str = ""
    cases: dict[str, Case] = field(default_factory=dict)
    proposals: dict[str, str] = field(default_factory=dict)  # id -> state

    def apply(self, kind: EventKind, told: dict[str, Any]) -> bool:
        """Whether the record was one of these."""
        if kind is EventKind.ROLE_CHANGED:
            assert self.role == told["before"]
            self.role = told["role"]
        elif kind is EventKind.CASE_OPENED:
            assert told["case"] not in self.cases
            self.cases[told["case"]] = Case(told["environments"])
        elif kind in _CASE_STEPS:
            self.cases[told["case"]].move(_CASE_STEPS[kind](told))
        elif kind is EventKind.CASE_DOCUMENT_ADDED:
            self.cases[told["case"]].documents.append(told["document"])
        elif kind is EventKind.CASE_LINK_ISSUED:
            case = self.cases[told["case"]]
            assert told["number"] == case.links + 1
            case.links += 1
        elif kind is EventKind.CASE_DOCUMENTS_DESTROYED:
            case = self.cases[told["case"]]
            assert sorted(case.documents) == sorted(told["documents"])
            case.documents, case.readable = [], False
        elif kind is EventKind.PROPOSAL_MADE:
            assert told["proposal"] not in self.proposals
            self.proposals[told["proposal"]] = "open"
        elif kind in _PROPOSAL_STEPS:
            after = _PROPOSAL_STEPS[kind](told)
            if after:
                before = ProposalState(self.proposals[told["proposal"]])
                assert proposals.may_step(before, ProposalState(after))
                self.proposals[told["proposal"]] = after
        else:
            return False
        return True


@dataclass
class Case:
    """One recovery case, as far as the trail tells."""

    environments: list[str]
    state: str = "opened"
    links: int = 0
    readable: bool = True
    documents: list[str] = field(default_factory=list)

    def move(self, to: str) -> None:
        assert recovery_cases.may_step(CaseState(self.state), CaseState(to)), (self.state, to)
        self.state = to


_CASE_STEPS: dict[EventKind, Callable[[dict[str, Any]], str]] = {
    EventKind.CASE_SUBMITTED: lambda _: "submitted",
    EventKind.CASE_APPROVED: lambda told: "approved_once" if told["approval"] == 1 else "waiting",
    EventKind.CASE_READY: lambda _: "ready",
    EventKind.CASE_USED: lambda _: "used",
    EventKind.CASE_CLOSED: lambda told: str(told["state"]),
}
_PROPOSAL_STEPS: dict[EventKind, Callable[[dict[str, Any]], str]] = {
    EventKind.PROPOSAL_APPROVED: lambda told: "approved" if told["voice"] == 2 else "",
    EventKind.PROPOSAL_DONE: lambda _: "done",
    EventKind.PROPOSAL_CLOSED: lambda told: str(told["state"]),
}


@dataclass
class AccountState:
    """Everything about one account that a change of state can touch."""

    state: str = "active"
    wrong_at: tuple[int, ...] = ()
    reserve_at: tuple[int, ...] = ()
    protections: set[str] = field(default_factory=set)
    factors: dict[str, Factor] = field(default_factory=dict)
    challenges: dict[str, tuple[str, int]] = field(default_factory=dict)  # id -> state, wrong answers
    sessions: dict[str, str] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    recovery: dict[str, int] = field(default_factory=dict)  # environment -> codes of the newest set
    holds: dict[tuple[str, str], int] = field(default_factory=dict)  # environment, scope -> until
    changes: dict[str, str] = field(default_factory=dict)  # id -> state
    desk: Desk = field(default_factory=lambda: Desk())
    addresses: set[str] = field(default_factory=set)  # those that serve; the others are over by themselves
    security_keys: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # id -> state, label, counter

    # -- the steps that records tell ---------------------------------------------------------------------------------
    def move(self, challenge_id: str, to: State) -> None:
        before, wrong = self.challenges[challenge_id]
        assert challenges.may_step(State(before), to), (challenge_id, before, to)
        self.challenges[challenge_id] = (to.value, wrong)

    def step(self, authenticator_id: str, to: AuthenticatorState) -> None:
        factor = self.factors[authenticator_id]
        assert authenticators.may_step(AuthenticatorState(factor.state), to), (authenticator_id, factor.state, to)
        factor.state = to.value

    def accept(self, authenticator_id: str, step: int) -> None:
        factor = self.factors[authenticator_id]
        assert factor.state == "active"
        assert step > factor.last_step, "a step was accepted twice, or time ran back"
        factor.last_step, factor.streak, factor.blocked_until = step, 0, 0

    def forgive(self, authenticator_id: str) -> None:
        factor = self.factors[authenticator_id]
        assert factor.state == "active"
        assert factor.backup, "a number approved that its owner had not switched on"
        factor.streak, factor.blocked_until = 0, 0

    def answer(self, told: dict[str, Any]) -> None:
        """What a record says was accepted: a code's step, or a security key's signature, or neither."""
        if told.get("backup") == "sms":
            self.forgive(told["authenticator"])
        elif "authenticator" in told:
            self.accept(told["authenticator"], told["step"])
        if "security_key" in told:
            state, label, counter = self.security_keys[told["security_key"]]
            assert state != "removed"
            assert counter_advances(counter, told["sign_count"]), "a counter ran back"
            self.security_keys[told["security_key"]] = (state, label, told["sign_count"])

    def step_key(self, key_id: str, to: SecurityKeyState) -> None:
        before, label, counter = self.security_keys[key_id]
        assert security_key.may_step(SecurityKeyState(before), to), (key_id, before, to)
        self.security_keys[key_id] = (to.value, label, counter)

    def fence(self, told: dict[str, Any]) -> None:
        assert not [1 for state, _ in self.challenges.values() if state in ("pending", "approved")]
        assert set(self.sessions.values()) <= {"ended"}
        for one in told["authenticators"]:
            factor = self.factors[one["authenticator"]]
            assert one["last_step"] >= factor.last_step, "a fence lowered a step"
            factor.last_step, factor.blocked_until = one["last_step"], one["blocked_until"]
        assert len(told["wrong_at"]) == len(self.wrong_at)
        self.wrong_at = tuple(told["wrong_at"])
        assert len(told["reserve_at"]) == len(self.reserve_at)
        self.reserve_at = tuple(told["reserve_at"])

    def charge(self, at: int, told: dict[str, Any], details: dict[str, Any]) -> None:
        if "account_wrong" in told:
            self.wrong_at = (*self.wrong_at, at)[-told["account_wrong"] :]
        if "reserve_wrong" in told:
            self.reserve_at = (*self.reserve_at, at)[-told["reserve_wrong"] :]
        if "authenticator" in told:
            factor = self.factors[told["authenticator"]]
            assert told["streak"] == factor.streak + 1
            factor.streak, factor.blocked_until = told["streak"], told["blocked_until"]
        for challenge_id in details.get("challenges", ()):
            state, wrong = self.challenges[challenge_id]
            assert state == "pending"
            self.challenges[challenge_id] = (state, wrong + 1)


def whole(events: Iterable[ChainedEvent]) -> list[dict[str, Any]]:
    """The records of one chain as JSON. Fails unless numbers have no gap and every hash fits."""
    head, told = GENESIS, []
    for number, event in enumerate(events, start=1):
        head = link(head, event.body)
        assert (event.seq, event.hash) == (number, head), f"the chain breaks at record {number}"
        told.append(json.loads(event.body))
    return told


def rebuilt(events: Iterable[ChainedEvent]) -> AccountState:
    """The state that a whole chain tells."""
    account = AccountState()
    last = 0
    for record in whole(events):
        assert record["at"] >= last, "time ran back"
        fenced = record["kind"] == EventKind.ACCOUNT_FENCED
        last = 0 if fenced else record["at"]  # only a fence lets it, and its own record is dated before
        _apply(account, EventKind(record["kind"]), record["at"], record["details"])
    return account


_CLOSED = {
    EventKind.CHALLENGE_DENIED: State.DENIED,
    EventKind.CHALLENGE_FAILED: State.FAILED,
    EventKind.CHALLENGE_EXPIRED: State.EXPIRED,
    EventKind.CHALLENGE_CANCELLED: State.CANCELLED,
}


def _apply(account: AccountState, kind: EventKind, at: int, told: dict[str, Any]) -> None:
    if account.desk.apply(kind, told):
        return
    if kind is EventKind.CHALLENGE_CREATED:
        assert told["challenge"] not in account.challenges
        account.challenges[told["challenge"]] = ("pending", 0)
    elif kind is EventKind.CHALLENGE_APPROVED:
        for challenge_id in told["challenges"]:
            account.move(challenge_id, State.APPROVED)
        account.answer(told)
    elif kind is EventKind.CHALLENGE_ADVANCED:
        assert all(account.challenges[challenge_id][0] == "pending" for challenge_id in told["challenges"])
        account.answer(told)
    elif kind is EventKind.PROTECTION_ENDED:
        account.protections.remove(told["environment"])
        account.recovery.pop(told["environment"], None)
        if told["removed"] is not None:
            account.step(told["removed"], AuthenticatorState.REMOVED)
    elif kind is EventKind.HOLD_PLACED:
        for scope in told["scopes"]:
            place = (told["environment"], scope)
            account.holds[place] = max(told["until"], account.holds.get(place, 0))
    elif kind is EventKind.CHANGE_ASKED:
        account.changes[told["change"]] = "waiting"
    elif kind in (EventKind.CHANGE_DONE, EventKind.CHANGE_CANCELLED):
        assert account.changes[told["change"]] == "waiting"
        account.changes[told["change"]] = "done" if kind is EventKind.CHANGE_DONE else "cancelled"
    elif kind in _CLOSED:
        account.move(told["challenge"], _CLOSED[kind])
    elif kind is EventKind.GRANT_SPENT:
        account.move(told["challenge"], State.CONSUMED)
    elif kind in (EventKind.ANSWER_REFUSED, EventKind.RECOVERY_REFUSED):
        if "charged" in told:
            account.charge(at, told["charged"], told)
    elif kind is EventKind.ENROLMENT_STARTED:
        assert told["authenticator"] not in account.factors
        begun = Factor(told["environment"], told["generation"])
        begun.streak, begun.blocked_until = told.get("streak", 0), told.get("blocked_until", 0)
        account.factors[told["authenticator"]] = begun
    elif kind is EventKind.NUMBER_CONFIRMED:
        number = account.factors[told["authenticator"]]
        assert (number.state, number.confirmed) == ("pending", False)
        number.confirmed, number.streak, number.blocked_until = True, 0, 0
    elif kind is EventKind.SMS_SAVED:
        if told["replaced"] is not None:
            account.step(told["replaced"], AuthenticatorState.REPLACED)
        number = account.factors[told["authenticator"]]
        if number.state == "pending":
            assert number.confirmed, "a number serves that never answered"
            account.step(told["authenticator"], AuthenticatorState.ACTIVE)
        number.backup, number.usable_at = told["backup"], told["usable_at"]
    elif kind is EventKind.SMS_DISTRUSTED:
        assert told["usable_at"] >= account.factors[told["authenticator"]].usable_at
        account.factors[told["authenticator"]].usable_at = told["usable_at"]
    elif kind is EventKind.ENROLMENT_EXPIRED:
        account.step(told["authenticator"], AuthenticatorState.EXPIRED)
    elif kind is EventKind.ENROLMENT_CONFIRMED:
        if told["replaced"] is not None:
            account.step(told["replaced"], AuthenticatorState.REPLACED)
        account.step(told["authenticator"], AuthenticatorState.ACTIVE)
        account.accept(told["authenticator"], told["step"])
        account.protections.add(told["environment"])
    elif kind is EventKind.AUTHENTICATOR_DISABLED:
        account.step(told["authenticator"], AuthenticatorState.DISABLED)
    elif kind is EventKind.ACCOUNT_FENCED:
        account.fence(told)
    elif kind is EventKind.AUTHENTICATOR_REMOVED:
        account.step(told["authenticator"], AuthenticatorState.REMOVED)
    elif kind is EventKind.RECOVERY_OPENED:
        account.recovery.pop(told["environment"], None)
    elif kind is EventKind.RECOVERY_CODES_ISSUED:
        account.recovery[told["environment"]] = told["count"]
    elif kind is EventKind.SESSION_OPENED:
        assert told["session"] not in account.sessions
        account.sessions[told["session"]] = told["state"]
    elif kind is EventKind.SESSION_COMPLETED:
        assert account.sessions[told["session"]] == "login_challenge"
        account.sessions[told["session"]] = "full"
        account.answer(told)
    elif kind is EventKind.SESSION_RECOVERING:
        assert account.sessions[told["session"]] == "login_challenge"
        account.sessions[told["session"]] = "recovery"
    elif kind is EventKind.SECURITY_KEY_ADDED:
        assert told["security_key"] not in account.security_keys
        account.security_keys[told["security_key"]] = ("active", told["label"], told["sign_count"])
    elif kind is EventKind.SECURITY_KEY_RENAMED:
        state, _, counter = account.security_keys[told["security_key"]]
        account.security_keys[told["security_key"]] = (state, told["label"], counter)
    elif kind is EventKind.SECURITY_KEY_SUSPENDED:
        account.step_key(told["security_key"], SecurityKeyState.SUSPENDED)
    elif kind is EventKind.SECURITY_KEY_REMOVED:
        account.step_key(told["security_key"], SecurityKeyState.REMOVED)
    elif kind is EventKind.SESSION_ENDED:
        assert account.sessions[told["session"]] != "ended"
        account.sessions[told["session"]] = "ended"
    elif kind is EventKind.KEY_CREATED:
        account.keys[told["key"]] = Key(told["label"], told["scopes"], told["ips"], told["otp_allowed"])
    elif kind is EventKind.KEY_EDITED:
        account.keys[told["key"]].edit(told)
    elif kind is EventKind.KEY_BECAME_LEGACY:
        account.keys[told["key"]].legacy = True
        account.keys[told["key"]].legacy_ends_at = told["ends_at"]
    elif kind is EventKind.KEY_LEGACY_DATED:
        assert account.keys[told["key"]].legacy
        account.keys[told["key"]].legacy_ends_at = told["ends_at"]
    elif kind is EventKind.KEY_LEGACY_ENDED:
        key = account.keys[told["key"]]
        assert key.legacy
        assert key.legacy_ends_at is not None
        assert key.legacy_ends_at <= at
        key.legacy, key.legacy_ends_at = False, None
    elif kind in (EventKind.KEY_REVOKED, EventKind.KEY_FROZEN):
        key = account.keys[told["key"]]
        after = "revoked" if kind is EventKind.KEY_REVOKED else "frozen"
        assert key.state not in ("revoked", after)
        key.state = after
    elif kind is EventKind.KEY_UNFROZEN:
        assert account.keys[told["key"]].state == "frozen"
        account.keys[told["key"]].state = "active"
    elif kind is EventKind.NOTICE_ADDRESS_SET:
        account.addresses.add(told["address"])
    elif kind is EventKind.NOTICE_ADDRESS_LEAVES:
        account.addresses.remove(told["address"])
    elif kind is EventKind.ACCOUNT_LOCKED:
        assert account.state == "active"
        account.state = "locked"
    elif kind is EventKind.ACCOUNT_UNLOCKED:
        assert account.state == "locked"
        account.state = "active"


def stored(path: Path, account_id: str) -> AccountState:
    """The same state, from the tables, read by SQL of our own."""
    with closing(sqlite3.connect(path)) as raw:

        def rows(sql: str) -> list[tuple[Any, ...]]:
            return raw.execute(sql, (account_id,)).fetchall()

        [(state, wrong_at, reserve_at)] = rows("SELECT state, wrong_at, reserve_at FROM account WHERE account_id = ?")
        factors = rows(
            "SELECT authenticator_id, environment, generation, state, last_step, streak, blocked_until,"
            " confirmed_at > 0, usable_at, backup FROM authenticator WHERE account_id = ?"
        )
        return AccountState(
            state,
            AccountBudget.from_bytes(wrong_at).wrong_at_ms,
            Reserve.from_bytes(reserve_at).wrong_at_ms,
            {row[0] for row in rows("SELECT environment FROM protection WHERE account_id = ? AND ended_at IS NULL")},
            {row[0]: Factor(*row[1:]) for row in factors},
            {
                row[0]: (row[1], row[2])
                for row in rows("SELECT challenge_id, state, wrong_answers FROM challenge WHERE account_id = ?")
            },
            dict(rows("SELECT session_id, state FROM session WHERE account_id = ?")),
            {
                row[0]: Key(row[1], row[2].split(), row[3].split(), bool(row[4]), row[5], bool(row[6]), row[7])
                for row in rows(
                    "SELECT key_id, label, scopes, ips, otp_allowed, state, legacy, legacy_ends_at"
                    " FROM api_key WHERE account_id = ?"
                )
            },
            dict(rows("SELECT environment, count(*) FROM recovery_code WHERE account_id = ? GROUP BY 1")),
            {
                (row[0], row[1]): row[2]
                for row in rows("SELECT environment, scope, until FROM hold WHERE account_id = ?")
            },
            dict(rows("SELECT change_id, state FROM pending_change WHERE account_id = ?")),
            desk_of(rows),
            {row[0] for row in rows("SELECT address_id FROM address WHERE account_id = ? AND state = 'serving'")},
            {
                row[0]: row[1:]
                for row in rows("SELECT key_id, state, label, sign_count FROM security_key WHERE account_id = ?")
            },
        )


def desk_of(rows: Callable[[str], list[tuple[Any, ...]]]) -> Desk:
    documents: dict[str, list[str]] = {}
    for case_id, document_id in rows(
        "SELECT case_id, document_id FROM recovery_document WHERE account_id = ? ORDER BY added_at"
    ):
        documents.setdefault(case_id, []).append(document_id)
    found = Desk(
        "".join(row[0] for row in rows("SELECT role FROM operator WHERE account_id = ?")),
        {
            row[0]: Case(row[1].split(), row[2], row[3], row[4] is not None, documents.get(row[0], []))
            for row in rows(
                "SELECT case_id, environments, state, link_number, key_version FROM recovery_case WHERE account_id = ?"
            )
        },
        dict(rows("SELECT proposal_id, state FROM proposal WHERE account_id = ?")),
    )
    for case in found.cases.values():
        case.documents.sort()
    return found


def must_agree(path: Path, account_id: str, events: Iterable[ChainedEvent]) -> AccountState:
    """Fails unless trail and tables tell the same; what they tell."""
    told, found = rebuilt(events), stored(path, account_id)
    for case in told.desk.cases.values():
        case.documents.sort()
    assert told == found
    return found
