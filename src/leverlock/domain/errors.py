"""Refusals: the one closed list of reasons why something was not done.

A refusal is an outcome, not a fault. Its `reason` decides what the caller is told (`api/problems.py` and
`gateway/refusals.py` each hold one table from reason to answer); its `event` is what the audit trail is told.
The store keeps the charge and the event of a refusal and takes back everything else (B74).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """Why a request was refused. The value is the stable, machine-readable word of the audit trail."""

    # Who is asking.
    NOT_AUTHENTICATED = "not_authenticated"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_THROTTLED = "sign_in_throttled"
    LOGIN_CHALLENGE_OPEN = "login_challenge_open"
    RECOVERY_ONLY = "recovery_only"
    NOT_PERMITTED = "not_permitted"
    PASSWORD_TOO_OLD = "password_too_old"
    # What is asked.
    MALFORMED = "malformed"
    UNKNOWN_ACTION = "unknown_action"
    UNKNOWN_ID = "unknown_id"
    NAME_TAKEN = "name_taken"
    CONFLICT = "conflict"
    # Challenges, proofs and grants.
    STEP_UP_REQUIRED = "step_up_required"
    WRONG_CODE = "wrong_code"
    CODE_ALREADY_USED = "code_already_used"
    CHALLENGE_EXPIRED = "challenge_expired"
    CHALLENGE_NOT_PENDING = "challenge_not_pending"
    CHALLENGE_FAILED = "challenge_failed"
    DENIED = "denied"
    NOT_APPROVED = "not_approved"
    GRANT_EXPIRED = "grant_expired"
    GRANT_SPENT = "grant_spent"
    ACTION_MISMATCH = "action_mismatch"
    FACTS_CHANGED = "facts_changed"
    FACTS_UNKNOWN = "facts_unknown"
    STATEMENT_REFUSED = "statement_refused"
    CANNOT_GROUP = "cannot_group"
    PROOF_MISSING = "proof_missing"
    PROOF_NOT_ACCEPTED = "proof_not_accepted"
    # The desk.
    CASE_STATE = "case_state"
    NO_NOTICE_ADDRESS = "no_notice_address"
    DOCUMENTS_MISSING = "documents_missing"
    TOO_MANY_CASES = "too_many_cases"
    TOO_MANY_DOCUMENTS = "too_many_documents"
    NOT_A_DOCUMENT = "not_a_document"
    PROPOSAL_STATE = "proposal_state"
    POLICY_REFUSED = "policy_refused"
    # Limits.
    FACTOR_BLOCKED = "factor_blocked"
    FACTOR_DISABLED = "factor_disabled"
    ACCOUNT_BUDGET_SPENT = "account_budget_spent"
    RECOVERY_BUDGET_SPENT = "recovery_budget_spent"
    TOO_MANY_CHALLENGES = "too_many_challenges"
    ON_HOLD = "on_hold"
    SMS_THROTTLED = "sms_throttled"
    SMS_APPROVALS_SPENT = "sms_approvals_spent"
    # Protection and enrolment.
    ENROLMENT_REQUIRED = "enrolment_required"
    NO_USABLE_FACTOR = "no_usable_factor"
    ENROLMENT_NOT_PENDING = "enrolment_not_pending"
    ENROLMENT_EXPIRED = "enrolment_expired"
    SMS_OFF = "sms_off"
    SMS_NOT_USABLE = "sms_not_usable"
    SMS_CODE_EXPIRED = "sms_code_expired"
    NUMBER_NOT_ALLOWED = "number_not_allowed"
    NUMBER_NOT_CONFIRMED = "number_not_confirmed"
    CEREMONY_OVER = "ceremony_over"
    SECURITY_KEY_REFUSED = "security_key_refused"
    LAST_FACTOR = "last_factor"
    # Keys and accounts.
    KEY_REVOKED = "key_revoked"
    KEY_FROZEN = "key_frozen"
    SCOPE_MISSING = "scope_missing"
    ACCOUNT_LOCKED = "account_locked"
    # Trouble of our own: always a refusal, never an allow.
    CLOCK_BEHIND = "clock_behind"
    STORE_UNAVAILABLE = "store_unavailable"
    POLICY_CHANGED = "policy_changed"


class Refused(Exception):
    """Something was not done, and this is why.

    `detail` names what was wrong for a person (never a secret, never what only the audit may know);
    `retry_after_ms` is set where waiting helps; `facts` are public values that belong into the answer.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        retry_after_ms: int | None = None,
        field: str | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
        self.retry_after_ms = retry_after_ms
        self.field = field
        self.facts = facts or {}
