"""The owner's keys: made and changed with his consent, ended without, and what his legacy keys were spared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from msgspec import UNSET, Meta, UnsetType

from leverlock.api.challenges import step_up
from leverlock.api.endpoint import Call, Caller, must_be_id
from leverlock.api.views import KeyId, Millis, View
from leverlock.api.wire import TEXT, CodeForm, Form, Id
from leverlock.app import legacy_keys, owner_keys
from leverlock.app.api_keys import revoke_key
from leverlock.app.decide import Asked
from leverlock.domain.api_key import ApiKey, LegacyUse
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.key_terms import MAX_RANGES, KeyTerms, Scope, ranges_of, scopes_of
from leverlock.domain.values import ValueRefused, text
from leverlock.ports import Transaction, World
from leverlock.verifiers.public_key import ed25519_public_key

T = TypeVar("T")
V = TypeVar("V")

MAX_LABEL = 64
MAX_ENDED = 100

Label = Annotated[str, Meta(min_length=1, max_length=MAX_LABEL, **TEXT)]
Scopes = Annotated[
    list[Scope],
    Meta(min_length=1, max_length=len(Scope), description="nothing is implied, each is named once; without any: read"),
]
Ips = Annotated[
    list[Annotated[str, Meta(min_length=2, max_length=49)]],
    Meta(max_length=MAX_RANGES, description="addresses and networks; empty means from anywhere"),
]
KeyIds = Annotated[list[Id], Meta(max_length=MAX_ENDED)]


class CreateKeyForm(Form):
    """The terms of a new key. `venue`: the venue account it reaches, which may be left out where there is one."""

    label: Label
    scopes: Scopes | UnsetType = UNSET
    ips: Ips | UnsetType = UNSET
    otp_allowed: bool = False
    venue: Id | UnsetType = UNSET
    ed25519_public_key: Annotated[str, Meta(min_length=1, max_length=1024)] | UnsetType = UNSET


class EditKeyForm(Form):
    """What is to be another. What is left out stays."""

    label: Label | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    ips: Ips | UnsetType = UNSET
    otp_allowed: bool | UnsetType = UNSET


class EndKeysForm(Form):
    keys: Annotated[list[Id], Meta(min_length=1, max_length=MAX_ENDED)]


class ConfirmForm(CodeForm):
    """The first code of an app. `end_keys`: keys to be ended with it; the others go on as legacy keys (M21)."""

    end_keys: KeyIds | UnsetType = UNSET


class DaysQuery(Form):
    days: Annotated[int, Meta(ge=1, le=90)] = 30


class KeyView(View):
    """A gateway key, without anything secret. `api_key` is its public name in the client's configuration.

    `legacy`: its orders, margin mode and leverage are not challenged, until it is edited or until `legacy_ends_at`.
    """

    id: KeyId
    api_key: str
    label: str
    algorithm: str
    state: str
    venue: str
    created_at: Millis
    legacy: bool
    otp_allowed: bool
    scopes: list[str]
    ips: list[str]
    edited_at: Millis | None
    legacy_ends_at: Millis | None


class CreatedKeyView(KeyView):
    """`api_secret` is shown this once; a key whose client holds a private key of his own has none."""

    api_secret: str | UnsetType = UNSET


class KeyList(View):
    keys: list[KeyView]


class VenueView(View):
    """A venue account that keys can reach."""

    id: str
    label: str
    dialect: str


class VenueList(View):
    venues: list[VenueView]


class UseView(View):
    """What would have been challenged, how often, and when last."""

    action: str
    uses: int
    last_at: Millis


class LegacyView(View):
    key: KeyView
    uses: list[UseView]


class LegacyReport(View):
    """What would break if the sparing of legacy keys ended today. A key without uses did nothing of the kind."""

    days: int
    legacy: list[LegacyView]


def key_view(key: ApiKey, *, now: int) -> KeyView:
    return KeyView(**_shown(key, now))


def _shown(key: ApiKey, now: int) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "api_key": key.api_key,
        "label": key.label,
        "algorithm": key.algorithm.value,
        "state": key.state.value,
        "venue": key.upstream_id,
        "created_at": key.created_at,
        "legacy": key.legacy_at(now),
        "otp_allowed": key.otp_allowed,
        "scopes": sorted(key.scopes),
        "ips": list(key.ips),
        "edited_at": key.edited_at or None,
        "legacy_ends_at": key.legacy_ends_at,
    }


def use_view(use: LegacyUse) -> UseView:
    return UseView(use.action, use.uses, use.last_at)


def read_terms(call: Call) -> None:
    """Type what the form alone cannot. Raises Refused(MALFORMED) naming the field."""
    body = call.body
    if body.scopes is not UNSET:
        body.scopes = _of_field("scopes", scopes_of, body.scopes)
    if body.ips is not UNSET:
        body.ips = _of_field("ips", ranges_of, body.ips)
    if body.label is not UNSET:
        try:
            body.label = text().canonical(body.label)
        except ValueRefused as problem:
            raise Refused(Reason.MALFORMED, str(problem), field="$.label") from None
    if isinstance(body, CreateKeyForm) and body.ed25519_public_key is not UNSET:
        call.public_key = _of_field("ed25519_public_key", ed25519_public_key, body.ed25519_public_key)
    if isinstance(body, EditKeyForm) and all(getattr(body, n) is UNSET for n in body.__struct_fields__):
        raise Refused(Reason.MALFORMED, "name what is to be another", field="$")


def _of_field(name: str, reader: Callable[[T], V], value: T) -> V:
    try:
        return reader(value)
    except Refused as refused:
        raise Refused(refused.reason, refused.detail, field=f"$.{name}") from None


# -- the calls ---------------------------------------------------------------------------------------------------------
def list_keys(tx: Transaction, _world: World, caller: Caller, _call: Call) -> KeyList:
    return KeyList([key_view(key, now=tx.now) for key in tx.keys(caller.account_id)])


def make(tx: Transaction, world: World, caller: Caller, call: Call) -> CreatedKeyView | Refused:
    body = call.body
    given = {name: value for name, value in _given(body).items() if name in ("scopes", "ips", "otp_allowed")}
    made = owner_keys.make_key(
        tx,
        world,
        session=caller.owner,
        terms=KeyTerms(body.label, **given),
        upstream_id=None if body.venue is UNSET else must_be_id("up", body.venue),
        public_key=call.public_key,
    )
    if isinstance(made, Asked):
        return step_up(tx, world, call, made)
    return CreatedKeyView(**_shown(made.key, tx.now), api_secret=UNSET if made.secret is None else made.secret)


def change(tx: Transaction, world: World, caller: Caller, call: Call) -> KeyView | Refused:
    key_id = must_be_id("key", call.path["id"])
    wanted = owner_keys.TermsChange(**_given(call.body))
    changed = owner_keys.change_key(tx, world, session=caller.owner, key_id=key_id, change=wanted)
    return step_up(tx, world, call, changed) if isinstance(changed, Asked) else key_view(changed, now=tx.now)


def revoke(tx: Transaction, world: World, caller: Caller, call: Call) -> None:
    key_id = must_be_id("key", call.path["id"])
    revoke_key(tx, world, account_id=caller.account_id, key_id=key_id, by=caller.principal)


def end(tx: Transaction, world: World, caller: Caller, call: Call) -> KeyList:
    """All that are named, or none. What is left is shown."""
    named = [must_be_id("key", key_id) for key_id in call.body.keys]
    owner_keys.end_keys(tx, world, account_id=caller.account_id, key_ids=named, by=caller.principal)
    return KeyList([key_view(key, now=tx.now) for key in tx.keys(caller.account_id) if key.live])


def report(tx: Transaction, _world: World, caller: Caller, call: Call) -> LegacyReport:
    found = legacy_keys.report(tx, account_id=caller.account_id, days=call.query.days)
    shown = [LegacyView(key_view(key, now=tx.now), [use_view(use) for use in uses]) for key, uses in found]
    return LegacyReport(call.query.days, shown)


def list_venues(tx: Transaction, _world: World, caller: Caller, _call: Call) -> VenueList:
    found = tx.upstreams(caller.account_id)
    return VenueList([VenueView(one.upstream_id, one.label, one.dialect) for one in found if not one.removed])


def _given(body: Form) -> dict[str, Any]:
    """What was sent, by name."""
    return {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
