"""The part of the route table that is about security keys: what they are asked, and how they come and go."""

from __future__ import annotations

from typing import Final

from leverlock.api import security_keys
from leverlock.api.endpoint import Endpoint, Who
from leverlock.api.safeguards import ChangeView
from leverlock.api.security_keys import (
    AssertionOptions,
    LabelForm,
    RegistrationForm,
    RegistrationOptions,
    SecurityKeyList,
    SecurityKeyView,
)
from leverlock.api.views import SessionView
from leverlock.api.wire import AssertionForm
from leverlock.domain.errors import Reason

R = Reason  # the table is read by its columns

_NOT_WAITING: Final = (R.CHALLENGE_EXPIRED, R.CHALLENGE_FAILED, R.CHALLENGE_NOT_PENDING)
_UNDECIDABLE: Final = (R.ACCOUNT_LOCKED, R.POLICY_CHANGED, R.ENROLMENT_REQUIRED, R.NO_USABLE_FACTOR)
_ASKING: Final = (*_UNDECIDABLE, R.STEP_UP_REQUIRED, R.DENIED, R.TOO_MANY_CHALLENGES, R.ON_HOLD)

# fmt: off
SECURITY_KEYS: Final = (
    Endpoint(
        method="POST", path="/v1/sessions/current/login-challenge/assertion-options",
        summary="Ask a security key to complete the login",
        who=Who.HALF_SIGNED, answer=AssertionOptions,
        reasons=(R.CONFLICT, R.ACCOUNT_LOCKED),
        work=security_keys.login_options,
    ),
    Endpoint(
        method="POST", path="/v1/sessions/current/login-challenge/assertion",
        summary="Complete the login with a security key's answer",
        who=Who.HALF_SIGNED, body=AssertionForm, answer=SessionView,
        reasons=(R.CONFLICT, R.ACCOUNT_LOCKED, R.CEREMONY_OVER, R.WRONG_CODE, R.ACCOUNT_BUDGET_SPENT),
        work=security_keys.answer_login_challenge,
    ),
    Endpoint(
        method="POST", path="/v1/challenges/{id}/assertion-options",
        summary="Ask a security key to sign what this challenge is about",
        who=Who.OWNER, answer=AssertionOptions,
        reasons=(*_NOT_WAITING, R.ACCOUNT_LOCKED, R.PROOF_NOT_ACCEPTED, R.NO_USABLE_FACTOR),
        work=security_keys.challenge_options,
    ),
    Endpoint(
        method="GET", path="/v1/security-keys", summary="List the account's security keys",
        who=Who.RECOVERER, answer=SecurityKeyList,
        work=security_keys.list_keys,
    ),
    Endpoint(
        method="POST", path="/v1/security-keys/registration-options", summary="Ask a new security key to register",
        who=Who.OWNER, body=LabelForm, answer=RegistrationOptions,
        reasons=(R.CONFLICT, R.PASSWORD_TOO_OLD, *_ASKING),
        work=security_keys.registration_options, read=security_keys.canonical_label,
    ),
    Endpoint(
        method="POST", path="/v1/security-keys", summary="Add the security key that answered",
        who=Who.OWNER, body=RegistrationForm, answer=SecurityKeyView, status=201, remembered=True,
        reasons=(R.ACCOUNT_LOCKED, R.CEREMONY_OVER, R.SECURITY_KEY_REFUSED),
        work=security_keys.register,
    ),
    Endpoint(
        method="PATCH", path="/v1/security-keys/{id}", summary="Call a security key something else",
        who=Who.OWNER, body=LabelForm, answer=SecurityKeyView, remembered=True,
        reasons=(R.ACCOUNT_LOCKED,),
        work=security_keys.rename, read=security_keys.canonical_label,
    ),
    Endpoint(
        method="DELETE", path="/v1/security-keys/{id}", summary="Remove a security key, with it or with another one",
        who=Who.OWNER, status=204, remembered=True,
        reasons=(R.CONFLICT, R.LAST_FACTOR, *_ASKING),
        work=security_keys.remove,
    ),
    Endpoint(
        method="POST", path="/v1/security-keys/{id}/loss",
        summary="Remove a security key without one, effective after a day",
        who=Who.RECOVERER, answer=ChangeView, status=202, remembered=True,
        reasons=(R.CONFLICT, R.LAST_FACTOR, *_ASKING),
        work=security_keys.give_up,
    ),
)
# fmt: on
