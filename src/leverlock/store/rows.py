"""Rows into domain values. The column order is that of `queries.sql`."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from leverlock.domain.account import Account, AccountState, Session, SessionState
from leverlock.domain.api_key import ApiKey, KeyAlgorithm, KeyState, Upstream
from leverlock.domain.attempts import AccountBudget, FactorBudget, Reserve
from leverlock.domain.audit import ChainedEvent, EventKind
from leverlock.domain.authenticator import Authenticator, AuthenticatorKind, AuthenticatorState, SealedSecret
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.environment import Environment
from leverlock.domain.hold import Hold, HoldScope
from leverlock.domain.host_statement import Algorithm, IntegratorKey
from leverlock.domain.key_terms import Scope
from leverlock.domain.messages import Address, AddressState, Channel, Message
from leverlock.domain.pending_change import ChangeKind, ChangeState, PendingChange
from leverlock.domain.proposal import Proposal, ProposalKind, ProposalState
from leverlock.domain.recovery_case import CaseState, Document, DocumentKind, PictureType, RecoveryCase
from leverlock.domain.requirement import ProofKind, Requirement
from leverlock.domain.roles import Operator, Role
from leverlock.domain.security_key import Ceremony, Purpose, SecurityKey, SecurityKeyState
from leverlock.domain.sms_code import Delivery, SmsCode

Row = tuple[Any, ...]


E = TypeVar("E", bound=StrEnum)


def _members(kind: type[E]) -> Callable[[str], E]:
    """The members of `kind` by their words; to call the class for one costs thirty times as much."""
    return {member.value: member for member in kind}.__getitem__


_environment = _members(Environment)
_state = _members(State)
_account_state = _members(AccountState)
_session_state = _members(SessionState)
_key_state = _members(KeyState)
_authenticator_kind = _members(AuthenticatorKind)
_authenticator_state = _members(AuthenticatorState)


def account(row: Row) -> Account:
    account_id, login, state, password_hash, wrong_at, chain_seq, chain_head, reserve_at = row
    budget, reserve = AccountBudget.from_bytes(wrong_at), Reserve.from_bytes(reserve_at)
    return Account(account_id, login, _account_state(state), password_hash, budget, chain_seq, chain_head, reserve)


def session(row: Row) -> Session:
    account_id, session_id, state, created_at, last_seen_at, password_at, by_mail = row
    return Session(account_id, session_id, _session_state(state), created_at, last_seen_at, password_at, bool(by_mail))


def authenticator(row: Row) -> Authenticator:
    (account_id, authenticator_id, environment, kind, state, generation, key_version, nonce, ciphertext) = row[:9]
    (created_at, expires_at, session_id, last_step, streak, blocked_until) = row[9:15]
    confirmed_at, usable_at, backup = row[15:]
    return Authenticator(
        account_id,
        authenticator_id,
        _environment(environment),
        _authenticator_kind(kind),
        _authenticator_state(state),
        generation,
        SealedSecret(key_version, nonce, ciphertext),
        created_at,
        expires_at,
        session_id,
        last_step,
        FactorBudget(streak, blocked_until, disabled=state == AuthenticatorState.DISABLED),
        confirmed_at,
        usable_at,
        bool(backup),
    )


def sms_code(row: Row) -> SmsCode:
    account_id, subject, authenticator_id, code_hash, message_id, created_at, expires_at, delivery = row
    return SmsCode(
        account_id, subject, authenticator_id, code_hash, message_id, created_at, expires_at, Delivery(delivery)
    )


@lru_cache(maxsize=1024)
def _requirement(words: str) -> Requirement:
    """One object for one text: there are as many as the policies in force had rules."""
    return Requirement.of_text(words)


@lru_cache(maxsize=64)
def _given(words: str) -> frozenset[ProofKind]:
    return frozenset(ProofKind(word) for word in words.split())


@lru_cache(maxsize=1024)
def _rules(names: str) -> tuple[str, ...]:
    return tuple(json.loads(names))


def challenge(row: Row) -> Challenge:
    (account_id, challenge_id, environment, principal, action, intent, digest, facts, requirement, rules) = row[:10]
    (policy_version, state, created_at, expires_at, wrong_answers, because, grant_hash, grant_expires_at, given) = row[
        10:
    ]
    return Challenge(
        account_id,
        challenge_id,
        _environment(environment),
        principal,
        action,
        intent,
        digest,
        facts,
        _requirement(requirement),
        _rules(rules),
        policy_version,
        _state(state),
        created_at,
        expires_at,
        wrong_answers,
        because,
        grant_hash,
        grant_expires_at,
        _given(given),
    )


def api_key(row: Row) -> ApiKey:
    (account_id, key_id, name, label, algorithm, state, upstream_id, created_at, legacy, otp_allowed) = row[:10]
    (key_version, nonce, ciphertext, public_key, scopes, ips, edited_at, legacy_ends_at) = row[10:]
    return ApiKey(
        account_id,
        key_id,
        name,
        label,
        KeyAlgorithm(algorithm),
        _key_state(state),
        upstream_id,
        created_at,
        bool(legacy),
        bool(otp_allowed),
        None if ciphertext is None else SealedSecret(key_version, nonce, ciphertext),
        public_key,
        frozenset(Scope(word) for word in scopes.split()),
        tuple(ips.split()),
        edited_at,
        legacy_ends_at,
    )


def upstream(row: Row) -> Upstream:
    (account_id, upstream_id, label, dialect, base_urls, api_key_name, algorithm) = row[:7]
    (key_version, nonce, ciphertext, created_at, removed) = row[7:]
    return Upstream(
        account_id,
        upstream_id,
        label,
        dialect,
        json.loads(base_urls),
        api_key_name,
        KeyAlgorithm(algorithm),
        SealedSecret(key_version, nonce, ciphertext),
        created_at,
        bool(removed),
    )


def integrator_key(row: Row) -> IntegratorKey:
    key_id, integrator_id, algorithm, public_key, created_at, removed = row
    return IntegratorKey(key_id, integrator_id, Algorithm(algorithm), public_key, created_at, bool(removed))


def event(row: Row) -> ChainedEvent:
    account_id, seq, at, kind, body, event_hash = row
    return ChainedEvent(account_id, seq, at, EventKind(kind), body, event_hash)


def address(row: Row) -> Address:
    account_id, address_id, channel, target, state, until, replaces = row
    return Address(account_id, address_id, Channel(channel), target, AddressState(state), until, replaces)


def message(row: Row) -> Message:
    account_id, message_id, channel, target, kind, body, created_at, expires_at, attempts = row
    return Message(account_id, message_id, Channel(channel), target, kind, body, created_at, expires_at, attempts)


def hold(row: Row) -> Hold:
    environment, scope, until = row
    return Hold(_environment(environment), HoldScope(scope), until)


def pending_change(row: Row) -> PendingChange:
    account_id, change_id, kind, subject, details, state, asked_by, asked_at, due_at = row
    return PendingChange(
        account_id,
        change_id,
        ChangeKind(kind),
        subject,
        json.loads(details),
        ChangeState(state),
        asked_by,
        asked_at,
        due_at,
    )


def operator(row: Row) -> Operator:
    account_id, login, role, since, state = row
    return Operator(account_id, login, Role(role), since, active=_account_state(state) is AccountState.ACTIVE)


def recovery_case(row: Row) -> RecoveryCase:
    (account_id, case_id, environments, statement, state, opened_by, opened_at, expires_at) = row[:8]
    (key_version, nonce, ciphertext) = row[8:11]
    return RecoveryCase(
        account_id,
        case_id,
        tuple(_environment(word) for word in environments.split()),
        statement,
        CaseState(state),
        opened_by,
        opened_at,
        expires_at,
        None if key_version is None else SealedSecret(key_version, nonce, ciphertext),
        *row[11:],
    )


def document(row: Row) -> Document:
    (account_id, case_id, document_id, kind, picture_type, size, nonce, added_by, added_at) = row
    return Document(
        account_id,
        case_id,
        document_id,
        DocumentKind(kind),
        PictureType(picture_type),
        size,
        nonce,
        added_by,
        added_at,
    )


def proposal(row: Row) -> Proposal:
    (account_id, proposal_id, kind, content, version, summary, environments, state) = row[:8]
    return Proposal(
        account_id,
        proposal_id,
        ProposalKind(kind),
        content,
        version,
        tuple(json.loads(summary)),
        tuple(environments.split()),
        ProposalState(state),
        *row[8:],
    )


def security_key(row: Row) -> SecurityKey:
    (account_id, key_id, credential_id, public_key, sign_count, synced, label, transports) = row[:8]
    (created_at, serves_movements_at, state, last_used_at) = row[8:]
    return SecurityKey(
        account_id,
        key_id,
        credential_id,
        public_key,
        sign_count,
        bool(synced),
        label,
        tuple(transports.split()),
        created_at,
        serves_movements_at,
        SecurityKeyState(state),
        last_used_at,
    )


def ceremony(row: Row) -> Ceremony:
    account_id, session_id, purpose, subject, challenge, expires_at, label = row
    return Ceremony(account_id, session_id, Purpose(purpose), subject, challenge, expires_at, label)
