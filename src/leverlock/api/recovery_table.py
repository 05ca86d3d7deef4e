"""The part of the route table that is about coming back: recovery codes, the password, where the owner is told."""

from __future__ import annotations

from typing import Final

from leverlock.api import addresses, challenges, recovery
from leverlock.api.addresses import AddressCodeForm, AddressForm, AddressList, AddressView
from leverlock.api.endpoint import Endpoint, Who
from leverlock.api.recovery import (
    LinkForm,
    LoginForm,
    PasswordForm,
    PasswordView,
    RecoveryCodesView,
    RecoveryForm,
    RecoveryView,
    ResetAsked,
    VoucherQuery,
)
from leverlock.api.views import OpenedSession, SessionView
from leverlock.domain.errors import Reason

R = Reason  # the table is read by its columns

_UNDECIDABLE: Final = (R.ACCOUNT_LOCKED, R.POLICY_CHANGED, R.ENROLMENT_REQUIRED, R.NO_USABLE_FACTOR)
_ASKING: Final = (*_UNDECIDABLE, R.STEP_UP_REQUIRED, R.DENIED, R.TOO_MANY_CHALLENGES, R.ON_HOLD)
_BUSY: Final = (R.ACCOUNT_BUDGET_SPENT,)  # too many passwords of this account wait to be hashed

# fmt: off
RECOVERY: Final = (
    Endpoint(
        method="POST", path="/v1/sessions/current/recovery",
        summary="The login authenticator is lost: this session can only recover from here on",
        who=Who.HALF_SIGNED, answer=SessionView,
        reasons=(R.CONFLICT, R.ACCOUNT_LOCKED),
        work=recovery.begin,
    ),
    Endpoint(
        method="POST", path="/v1/recoveries", summary="Use a recovery code: bind anew to its environment",
        who=Who.RECOVERER, body=RecoveryForm, answer=RecoveryView, status=201, remembered=True,
        reasons=(R.PASSWORD_TOO_OLD, R.PROOF_MISSING, R.WRONG_CODE, R.RECOVERY_BUDGET_SPENT, R.ACCOUNT_LOCKED, *_BUSY),
        work=recovery.recover, prepare=challenges.check_password,
    ),
    Endpoint(
        method="POST", path="/v1/environments/{environment}/recovery-codes",
        summary="Make new recovery codes; the present ones end",
        who=Who.OWNER, answer=RecoveryCodesView, status=201, secret=True, remembered=True,
        reasons=(R.CONFLICT, *_ASKING),
        work=recovery.replace_codes,
    ),
    Endpoint(
        method="POST", path="/v1/password", summary="Set a new password",
        who=Who.RECOVERER, body=PasswordForm, answer=PasswordView, remembered=True,
        reasons=(R.RECOVERY_ONLY, R.CONFLICT, *_ASKING, *_BUSY),
        work=recovery.set_password, prepare=recovery.hash_password,
    ),
    Endpoint(
        method="POST", path="/v1/password-resets", summary="Have a link mailed, for a password that is forgotten",
        who=Who.ANYBODY, body=LoginForm, answer=ResetAsked, status=202,
        reasons=(R.SIGN_IN_THROTTLED,),
        work=recovery.ask_reset, read=recovery.canonical,
    ),
    Endpoint(
        method="POST", path="/v1/sessions/by-mail", summary="Follow the link: a session that can only recover",
        who=Who.ANYBODY, body=LinkForm, answer=OpenedSession, status=201, secret=True,
        reasons=(R.UNKNOWN_ID,),
        work=recovery.open_reset,
    ),
    Endpoint(
        method="GET", path="/v1/addresses", summary="List where the owner is rung and told",
        who=Who.OWNER, answer=AddressList,
        work=addresses.show,
    ),
    Endpoint(
        method="POST", path="/v1/addresses", summary="Name a new address: it is sent a code, and serves by that",
        who=Who.OWNER, body=AddressForm, answer=AddressView, status=202, secret=True, remembered=True,
        reasons=(R.UNKNOWN_ID, R.CONFLICT, *_ASKING),
        work=addresses.name, read=addresses.read_target,
    ),
    Endpoint(
        method="POST", path="/v1/addresses/{id}/confirmation", summary="The code that the address was sent: it serves",
        who=Who.OWNER, body=AddressCodeForm, answer=AddressView, remembered=True,
        reasons=(R.WRONG_CODE, R.ON_HOLD, R.ACCOUNT_LOCKED),
        work=addresses.confirm,
    ),
    Endpoint(
        method="DELETE", path="/v1/addresses/{id}", summary="Be told there for a week more, and no longer",
        who=Who.OWNER, query=VoucherQuery, status=204, remembered=True,
        reasons=(R.CONFLICT, *_ASKING),
        work=addresses.remove,
    ),
    Endpoint(
        method="DELETE", path="/v1/environments/{environment}/authenticators/{id}",
        summary="Remove the authenticator; the environment stays on, and only recovery leads back",
        who=Who.OWNER, status=204, remembered=True,
        reasons=(R.CONFLICT, *_ASKING),
        work=recovery.remove_authenticator,
    ),
    Endpoint(
        method="POST", path="/v1/keys/{id}/unfreezing", summary="Lift 'this was not me': let a frozen key go on",
        who=Who.OWNER, query=VoucherQuery, status=204, remembered=True,
        reasons=(R.CONFLICT, *_ASKING),
        work=recovery.unfreeze_key,
    ),
)
# fmt: on
