"""The rows of the route table that concern an owner's keys (M18, M21)."""

from __future__ import annotations

from typing import Final

from leverlock.api import keys
from leverlock.api.endpoint import Endpoint, Who
from leverlock.api.keys import (
    CreatedKeyView,
    CreateKeyForm,
    DaysQuery,
    EditKeyForm,
    EndKeysForm,
    KeyList,
    KeyView,
    LegacyReport,
    VenueList,
)
from leverlock.domain.errors import Reason

R = Reason  # the table is read by its columns

_ASKING: Final = (
    R.ACCOUNT_LOCKED, R.POLICY_CHANGED, R.ENROLMENT_REQUIRED, R.NO_USABLE_FACTOR,
    R.STEP_UP_REQUIRED, R.DENIED, R.TOO_MANY_CHALLENGES, R.ON_HOLD,
)  # fmt: skip

# fmt: off
KEYS: Final = (
    Endpoint(
        method="GET", path="/v1/keys", summary="List the account's gateway keys",
        who=Who.OWNER, answer=KeyList,
        work=keys.list_keys,
    ),
    Endpoint(
        method="POST", path="/v1/keys", summary="Make a gateway key; its secret comes once",
        who=Who.OWNER, body=CreateKeyForm, answer=CreatedKeyView, status=201, secret=True, remembered=True,
        reasons=(R.UNKNOWN_ID, R.CONFLICT, *_ASKING),
        work=keys.make, read=keys.read_terms,
    ),
    Endpoint(
        method="PATCH", path="/v1/keys/{id}", summary="Change what a gateway key may do, from where, and its name",
        who=Who.OWNER, body=EditKeyForm, answer=KeyView, remembered=True,
        reasons=(R.KEY_FROZEN, R.CONFLICT, *_ASKING),
        work=keys.change, read=keys.read_terms,
    ),
    Endpoint(
        method="DELETE", path="/v1/keys/{id}", summary="End a gateway key, and void all it asked for",
        who=Who.OWNER, status=204, remembered=True,
        reasons=(R.CONFLICT,),
        work=keys.revoke,
    ),
    Endpoint(
        method="POST", path="/v1/keys/ending", summary="End several gateway keys, all that are named or none",
        who=Who.OWNER, body=EndKeysForm, answer=KeyList, remembered=True,
        reasons=(R.UNKNOWN_ID, R.CONFLICT),
        work=keys.end,
    ),
    Endpoint(
        method="GET", path="/v1/keys/legacy-report", summary="Show what legacy keys are spared today",
        who=Who.OWNER, query=DaysQuery, answer=LegacyReport,
        work=keys.report,
    ),
    Endpoint(
        method="GET", path="/v1/venues", summary="List the venue accounts that keys can reach",
        who=Who.OWNER, answer=VenueList,
        work=keys.list_venues,
    ),
)
# fmt: on
