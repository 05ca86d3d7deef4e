"""The route table: everything that can be asked of the API, from top to bottom.

Each row names who may call it, what it reads, what it answers and which refusals are its own; `endpoint.py` says what
the columns mean and adds the refusals that follow from them. Routing, authentication, validation, permission,
idempotency and the OpenAPI document are read off these rows and nowhere else.
"""

from __future__ import annotations

from typing import Final

from leverlock.api import challenges, decisions, environments, records, safeguards, sessions, sms, status
from leverlock.api.desk_table import DESK, RECOVERY_CASES
from leverlock.api.door import Door
from leverlock.api.endpoint import ApiParts, Endpoint, Who
from leverlock.api.environment_views import EnvironmentList, SmsView
from leverlock.api.key_table import KEYS
from leverlock.api.keys import ConfirmForm
from leverlock.api.recovery_table import RECOVERY
from leverlock.api.safeguards import ChangeList, ChangeView, WalletView
from leverlock.api.security_key_table import SECURITY_KEYS
from leverlock.api.sms import (
    LanguageForm,
    LanguageView,
    NumberCodeForm,
    NumberForm,
    NumberView,
    SentView,
    SmsSettingsForm,
)
from leverlock.api.views import (
    AuditTrail,
    AuthorizeView,
    ChallengeList,
    ChallengeView,
    ConfirmedView,
    DigestView,
    EnrolmentView,
    OpenedSession,
    Proved,
    RedeemedView,
    SessionView,
)
from leverlock.api.wire import (
    AccountQuery,
    AuditQuery,
    AuthorizeForm,
    CancelLinkForm,
    CodeForm,
    DenialForm,
    DigestForm,
    ProofForm,
    ProofsForm,
    RedeemForm,
    SignInForm,
)
from leverlock.domain.errors import Reason
from leverlock.verifiers.otpauth import must_be_issuer

R = Reason  # the table is read by its columns

_WRONG_ANSWER: Final = (R.WRONG_CODE, R.CODE_ALREADY_USED, R.FACTOR_BLOCKED, R.FACTOR_DISABLED, R.ACCOUNT_BUDGET_SPENT)
_BY_SMS: Final = (R.SMS_OFF, R.SMS_NOT_USABLE, R.SMS_APPROVALS_SPENT, R.SMS_CODE_EXPIRED)
_NOT_WAITING: Final = (R.CHALLENGE_EXPIRED, R.CHALLENGE_FAILED, R.CHALLENGE_NOT_PENDING)
_NOT_FITTING: Final = (R.PROOF_MISSING, R.PROOF_NOT_ACCEPTED)
_UNDECIDABLE: Final = (R.ACCOUNT_LOCKED, R.POLICY_CHANGED, R.ENROLMENT_REQUIRED, R.NO_USABLE_FACTOR)
_ASKING: Final = (*_UNDECIDABLE, R.STEP_UP_REQUIRED, R.DENIED, R.TOO_MANY_CHALLENGES, R.ON_HOLD)

# fmt: off
SESSIONS: Final = (
    Endpoint(
        method="POST", path="/v1/sessions", summary="Sign in with login and password",
        who=Who.ANYBODY, body=SignInForm, answer=OpenedSession, status=201, secret=True,
        reasons=(R.SIGN_IN_FAILED, R.SIGN_IN_THROTTLED),
        work=sessions.sign_in, read=sessions.canonical, prepare=sessions.check_password,
    ),
    Endpoint(
        method="GET", path="/v1/sessions/current", summary="Show this session",
        who=Who.HALF_SIGNED, answer=SessionView,
        work=sessions.show,
    ),
    Endpoint(
        method="DELETE", path="/v1/sessions/current", summary="Sign out, and void all this session asked for",
        who=Who.HALF_SIGNED, status=204,
        work=sessions.sign_out,
    ),
    Endpoint(
        method="POST", path="/v1/sessions/current/login-challenge", summary="Answer the login challenge",
        who=Who.HALF_SIGNED, body=CodeForm, answer=SessionView,
        reasons=(R.CONFLICT, *_WRONG_ANSWER),
        work=sessions.answer_login_challenge,
    ),
)

ENROLMENT: Final = (
    Endpoint(
        method="GET", path="/v1/environments", summary="Show every environment: its state, its factor, what it guards",
        who=Who.OWNER, answer=EnvironmentList,
        work=environments.show,
    ),
    Endpoint(
        method="POST", path="/v1/environments/{environment}/authenticators", summary="Start binding an authenticator",
        who=Who.RECOVERER, answer=EnrolmentView, status=201, secret=True, remembered=True,
        reasons=(R.RECOVERY_ONLY, R.PASSWORD_TOO_OLD, *_ASKING),
        work=environments.start, finish=environments.draw,
    ),
    Endpoint(
        method="POST", path="/v1/environments/{environment}/authenticators/{id}/confirmation",
        summary="Confirm it with its first code; recovery codes come once",
        who=Who.RECOVERER, body=ConfirmForm, answer=ConfirmedView, secret=True, remembered=True,
        reasons=(R.ENROLMENT_NOT_PENDING, R.ENROLMENT_EXPIRED, R.CONFLICT, *_WRONG_ANSWER),
        work=environments.confirm,
    ),
    Endpoint(
        method="DELETE", path="/v1/environments/{environment}/protection",
        summary="Switch protection off, effective after a day",
        who=Who.OWNER, answer=ChangeView, status=202, remembered=True,
        reasons=(R.CONFLICT, *_ASKING),
        work=safeguards.end_protection,
    ),
)

SAFEGUARDS: Final = (
    Endpoint(
        method="POST", path="/v1/wallets/{environment}/access", summary="Open a market's wallet to this session",
        who=Who.OWNER, answer=WalletView, remembered=True,
        reasons=_ASKING,
        work=safeguards.open_access,
    ),
    Endpoint(
        method="GET", path="/v1/changes", summary="List the changes that wait their day",
        who=Who.OWNER, answer=ChangeList,
        work=safeguards.list_changes,
    ),
    Endpoint(
        method="DELETE", path="/v1/changes/{id}", summary="Stop a change that waits",
        who=Who.OWNER, status=204, remembered=True,
        reasons=(R.CONFLICT,),
        work=safeguards.cancel,
    ),
    Endpoint(
        method="POST", path="/v1/cancellations", summary="Stop what the link of a notice names, without signing in",
        who=Who.ANYBODY, body=CancelLinkForm, status=204,
        reasons=(R.UNKNOWN_ID, R.CONFLICT, R.CASE_STATE),
        work=safeguards.cancel_from_link,
    ),
)

DECISIONS: Final = (
    Endpoint(
        method="POST", path="/v1/authorize", summary="May this action be executed?",
        who=Who.ASKER, body=AuthorizeForm, answer=AuthorizeView, remembered=True,
        reasons=(R.UNKNOWN_ACTION, R.STATEMENT_REFUSED, *_ASKING),
        work=decisions.authorize, read=decisions.read_action, prepare=decisions.from_snapshot,
        tally=decisions.count_decision,
    ),
    Endpoint(
        method="POST", path="/v1/digests", summary="Show the canonical form of an action and its digest",
        who=Who.ASKER, body=DigestForm, answer=DigestView,
        reasons=(R.UNKNOWN_ACTION,),
        work=decisions.show_digest, read=decisions.read_action,
    ),
    Endpoint(
        method="POST", path="/v1/redeem", summary="Spend a grant for exactly this action, right before executing it",
        who=Who.ASKER, body=RedeemForm, answer=RedeemedView, remembered=True,
        reasons=(
            R.UNKNOWN_ACTION, R.ACTION_MISMATCH, R.FACTS_CHANGED, R.FACTS_UNKNOWN,
            R.GRANT_SPENT, R.GRANT_EXPIRED, R.NOT_APPROVED, R.ON_HOLD, *_UNDECIDABLE,
        ),
        work=decisions.redeem_grant, read=decisions.read_action, tally=decisions.count_redeem,
    ),
)

CHALLENGES: Final = (
    Endpoint(
        method="GET", path="/v1/challenges", summary="List the challenges that wait for an answer",
        who=Who.OWNER, answer=ChallengeList,
        work=challenges.list_waiting,
    ),
    Endpoint(
        method="GET", path="/v1/challenges/{id}", summary="Show a challenge to its owner or its asker",
        who=Who.ASKER, query=AccountQuery, answer=ChallengeView,
        work=challenges.show,
    ),
    Endpoint(
        method="POST", path="/v1/challenges/{id}/proof", summary="Approve a challenge with what it requires",
        who=Who.RECOVERER, body=ProofForm, answer=Proved, remembered=True,
        reasons=(*_NOT_WAITING, *_NOT_FITTING, R.CEREMONY_OVER, *_WRONG_ANSWER, *_BY_SMS),
        work=challenges.prove_one, prepare=challenges.check_password, tally=challenges.count_proof,
    ),
    Endpoint(
        method="POST", path="/v1/proofs", summary="Approve one to five challenges with one live code",
        who=Who.OWNER, body=ProofsForm, answer=Proved, remembered=True,
        reasons=(R.UNKNOWN_ID, R.CANNOT_GROUP, *_NOT_WAITING, *_NOT_FITTING, *_WRONG_ANSWER),
        work=challenges.prove_several, prepare=challenges.check_password, tally=challenges.count_proof,
    ),
    Endpoint(
        method="POST", path="/v1/challenges/{id}/denial", summary="Refuse a challenge",
        who=Who.OWNER, body=DenialForm, status=204, remembered=True,
        reasons=_NOT_WAITING,
        work=challenges.deny, tally=challenges.count_denial,
    ),
    Endpoint(
        method="DELETE", path="/v1/challenges/{id}", summary="Withdraw a question of one's own",
        who=Who.ASKER, query=AccountQuery, status=204, remembered=True,
        reasons=_NOT_WAITING,
        work=challenges.cancel, tally=challenges.count_cancel,
    ),
)

SMS: Final = (
    Endpoint(
        method="POST", path="/v1/environments/{environment}/sms", summary="Enter a phone number; it is sent a code",
        who=Who.OWNER, body=NumberForm, answer=NumberView, status=201, remembered=True,
        reasons=(
            R.SMS_OFF, R.NUMBER_NOT_ALLOWED, R.SMS_THROTTLED, R.FACTOR_BLOCKED, R.ACCOUNT_LOCKED,
            R.ENROLMENT_REQUIRED, R.NO_USABLE_FACTOR,
        ),
        work=sms.enter,
    ),
    Endpoint(
        method="POST", path="/v1/environments/{environment}/sms/{id}/confirmation",
        summary="Confirm the number with the code it was sent",
        who=Who.OWNER, body=NumberCodeForm, answer=NumberView, remembered=True,
        reasons=(
            R.SMS_OFF, R.SMS_CODE_EXPIRED, R.ENROLMENT_NOT_PENDING, R.ENROLMENT_EXPIRED, R.ACCOUNT_LOCKED,
            *_WRONG_ANSWER,
        ),
        work=sms.confirm,
    ),
    Endpoint(
        method="PUT", path="/v1/environments/{environment}/sms", summary="Save the SMS settings, with the primary code",
        who=Who.OWNER, body=SmsSettingsForm, answer=SmsView, remembered=True,
        reasons=(R.SMS_OFF, R.NUMBER_NOT_CONFIRMED, R.ENROLMENT_EXPIRED, R.CONFLICT, *_ASKING),
        work=sms.save,
    ),
    Endpoint(
        method="DELETE", path="/v1/environments/{environment}/sms", summary="Switch SMS off, with the primary code",
        who=Who.OWNER, status=204, remembered=True,
        reasons=(R.CONFLICT, *_ASKING),
        work=sms.remove,
    ),
    Endpoint(
        method="POST", path="/v1/challenges/{id}/sms", summary="Send a code for this challenge by SMS",
        who=Who.OWNER, answer=SentView, status=202, remembered=True,
        reasons=(
            R.SMS_OFF, R.PROOF_NOT_ACCEPTED, R.SMS_NOT_USABLE, R.SMS_APPROVALS_SPENT, R.SMS_THROTTLED,
            R.FACTOR_BLOCKED, R.ACCOUNT_LOCKED, *_NOT_WAITING,
        ),
        work=sms.send,
    ),
    Endpoint(
        method="GET", path="/v1/challenges/{id}/sms", summary="Show how far the SMS of this challenge got",
        who=Who.OWNER, answer=SentView,
        work=sms.show_sent,
    ),
    Endpoint(
        method="PUT", path="/v1/account/language", summary="Choose the language to be written to in",
        who=Who.OWNER, body=LanguageForm, answer=LanguageView, remembered=True,
        work=sms.choose_language,
    ),
    *(
        Endpoint(
            method=method, path="/v1/sms/receipts/{provider}/{account}/{message}/{token}",
            summary="Take a provider's receipt of one SMS",
            who=Who.ANYBODY, status=204, foreign=True,
            reasons=(R.UNKNOWN_ID, R.SMS_OFF),
            work=sms.receive_receipt,
        )
        for method in ("GET", "POST")
    ),
)

RECORDS: Final = (
    Endpoint(
        method="GET", path="/v1/audit", summary="Read the account's audit chain, record by record",
        who=Who.OWNER, query=AuditQuery, answer=AuditTrail,
        work=records.list_audit,
    ),
)
# fmt: on

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *SESSIONS,
    *RECOVERY,
    *ENROLMENT,
    *SECURITY_KEYS,
    *SAFEGUARDS,
    *DECISIONS,
    *CHALLENGES,
    *SMS,
    *KEYS,
    *RECORDS,
    *RECOVERY_CASES,
    *DESK,
)


def create_app(parts: ApiParts) -> Door:
    """The ASGI application. Raises ValueError for an issuer that authenticator apps would garble."""
    must_be_issuer(parts.world.issuer)
    return Door((*ENDPOINTS, *status.endpoints(ENDPOINTS)), parts)
