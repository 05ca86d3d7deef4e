"""Security keys: added, listed, renamed and removed; and what a browser hands to one (WebAuthn Level 3).

The names inside `public_key` and inside an answer are the browser's own, so that
`PublicKeyCredential.parseRequestOptionsFromJSON(answer.public_key)` and `credential.toJSON()` need no translation.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from leverlock.api.challenges import step_up
from leverlock.api.endpoint import Call, Caller, must_be_id
from leverlock.api.safeguards import ChangeView, change_view
from leverlock.api.sessions import session_view
from leverlock.api.views import Millis, SessionView, View
from leverlock.api.wire import Base64Url, CredentialId, Form, assertion_of, bytes_in, credential_id
from leverlock.app import security_keys as use_case
from leverlock.app import sign_in
from leverlock.app.ceremonies import Asking, open_for_challenge
from leverlock.app.decide import Asked
from leverlock.domain.base64url import base64url
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.security_key import SecurityKey
from leverlock.domain.values import ValueRefused
from leverlock.domain.values import text as text_field
from leverlock.ports import Transaction, World
from leverlock.ports_security_keys import Attestation

KeyId = Annotated[str, Meta(extra_json_schema={"pattern": "^sk_[a-z2-7]{26}$"})]
Label = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="NFC text without control, direction or invisible characters, without outer spaces",
        extra_json_schema={"pattern": r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$"},
    ),
]
Transport = Annotated[str, Meta(pattern="^[a-z][a-z-]{0,31}$")]
TRANSPORTS = frozenset({"usb", "nfc", "ble", "smart-card", "hybrid", "internal"})


# -- forms -----------------------------------------------------------------------------------------------------------
class LabelForm(Form):
    """What the owner calls a key."""

    label: Label


class AttestationResponse(Form):
    """What the key made, as a browser's `toJSON()` names it. Only the first two and `transports` are read."""

    clientDataJSON: Base64Url  # noqa: N815
    attestationObject: Base64Url  # noqa: N815
    transports: Annotated[list[Transport], Meta(max_length=16)] | UnsetType = UNSET
    authenticatorData: Base64Url | UnsetType = UNSET  # noqa: N815
    publicKey: Base64Url | UnsetType | None = UNSET  # noqa: N815
    publicKeyAlgorithm: int | UnsetType = UNSET  # noqa: N815


class RegistrationForm(Form):
    """A new security key (WebAuthn Level 3, RegistrationResponseJSON)."""

    id: CredentialId
    rawId: CredentialId  # noqa: N815
    type: Literal["public-key"]
    response: AttestationResponse
    authenticatorAttachment: str | UnsetType | None = UNSET  # noqa: N815
    clientExtensionResults: dict[str, Any] | UnsetType = UNSET  # noqa: N815


# -- views -----------------------------------------------------------------------------------------------------------
class Named(msgspec.Struct):
    """A credential, for the browser to look for."""

    id: str
    type: str
    transports: list[str]


class RelyingPartyView(msgspec.Struct):
    id: str
    name: str


class UserView(msgspec.Struct):
    """Who the key is for; `id` is the account's, in base64url."""

    id: str
    name: str
    displayName: str  # noqa: N815


class Parameters(msgspec.Struct):
    type: str
    alg: int


class Selection(msgspec.Struct):
    residentKey: str  # noqa: N815
    requireResidentKey: bool  # noqa: N815
    userVerification: str  # noqa: N815


class CreationOptions(msgspec.Struct):
    """PublicKeyCredentialCreationOptionsJSON. `timeout` is in milliseconds."""

    rp: RelyingPartyView
    user: UserView
    challenge: str
    pubKeyCredParams: list[Parameters]  # noqa: N815
    timeout: int
    excludeCredentials: list[Named]  # noqa: N815
    authenticatorSelection: Selection  # noqa: N815
    attestation: str


class RequestOptions(msgspec.Struct):
    """PublicKeyCredentialRequestOptionsJSON. `timeout` is in milliseconds."""

    challenge: str
    timeout: int
    rpId: str  # noqa: N815
    allowCredentials: list[Named]  # noqa: N815
    userVerification: str  # noqa: N815


class RegistrationOptions(View):
    """What to hand to `navigator.credentials.create()`. Serves once, until `expires_at`."""

    public_key: CreationOptions
    expires_at: Millis


class AssertionOptions(View):
    """What to hand to `navigator.credentials.get()`. Serves once, until `expires_at`, for this very question."""

    public_key: RequestOptions
    expires_at: Millis


class SecurityKeyView(View, kw_only=True):
    """A security key. It completes logins; from `serves_movements_at` on it also authorises movements and removals.

    `state` is `active`, or `suspended` where its counter ran back: then there may be a copy of it, and it completes
    logins alone. `synced`: its secret may be copied to other devices.
    """

    id: KeyId
    label: str
    state: str
    synced: bool
    created_at: Millis
    serves_movements_at: Millis
    last_used_at: Millis | UnsetType = UNSET


class SecurityKeyList(View):
    security_keys: list[SecurityKeyView]


# -- calls -----------------------------------------------------------------------------------------------------------
def canonical_label(call: Call) -> None:
    """The label as people will read it. Raises Refused(MALFORMED)."""
    try:
        call.body.label = text_field().canonical(call.body.label)
    except ValueRefused as problem:
        raise Refused(Reason.MALFORMED, f"label: {problem}", field="$.label") from None


def list_keys(tx: Transaction, _world: World, caller: Caller, _call: Call) -> SecurityKeyList:
    return SecurityKeyList([key_view(key) for key in tx.security_keys(caller.account_id)])


def registration_options(tx: Transaction, world: World, caller: Caller, call: Call) -> RegistrationOptions | Refused:
    asking = use_case.begin_registration(tx, world, session=caller.owner, label=call.body.label)
    if isinstance(asking, Asked):
        return step_up(tx, world, call, asking)
    account = tx.account(caller.account_id)
    assert account is not None
    party, verifier = world.security_keys.relying_party, world.security_keys
    options = CreationOptions(
        rp=RelyingPartyView(party.rp_id, party.name),
        user=UserView(base64url(account.account_id.encode()), account.login, account.login),
        challenge=base64url(asking.ceremony.challenge),
        pubKeyCredParams=[Parameters("public-key", algorithm) for algorithm in verifier.algorithms],
        timeout=world.limits.ceremony_life_ms,
        excludeCredentials=_named(asking),
        authenticatorSelection=Selection("discouraged", False, _verification(world)),
        attestation="none",
    )
    return RegistrationOptions(options, asking.ceremony.expires_at)


def register(tx: Transaction, world: World, caller: Caller, call: Call) -> SecurityKeyView:
    response = call.body.response
    told = [] if response.transports is UNSET else response.transports
    attestation = Attestation(
        credential_id(call.body.id, call.body.rawId, "$.rawId"),
        bytes_in(response.clientDataJSON, "$.response.clientDataJSON"),
        bytes_in(response.attestationObject, "$.response.attestationObject"),
        tuple(sorted(TRANSPORTS.intersection(told))),
    )
    return key_view(use_case.register(tx, world, session=caller.owner, attestation=attestation))


def rename(tx: Transaction, _world: World, caller: Caller, call: Call) -> SecurityKeyView:
    key_id = must_be_id(use_case.PREFIX, call.path["id"])
    return key_view(use_case.rename(tx, session=caller.owner, key_id=key_id, label=call.body.label))


def remove(tx: Transaction, world: World, caller: Caller, call: Call) -> Refused | None:
    key_id = must_be_id(use_case.PREFIX, call.path["id"])
    removed = use_case.remove(tx, world, session=caller.owner, key_id=key_id)
    return step_up(tx, world, call, removed) if isinstance(removed, Asked) else None


def give_up(tx: Transaction, world: World, caller: Caller, call: Call) -> ChangeView | Refused:
    key_id = must_be_id(use_case.PREFIX, call.path["id"])
    change = use_case.give_up(tx, world, session=caller.owner, key_id=key_id)
    return step_up(tx, world, call, change) if isinstance(change, Asked) else change_view(change)


def login_options(tx: Transaction, world: World, _caller: Caller, call: Call) -> AssertionOptions:
    return _request(world, sign_in.ask_key(tx, world, token=call.token))


def answer_login_challenge(tx: Transaction, world: World, _caller: Caller, call: Call) -> SessionView:
    session = sign_in.complete_login_with_key(tx, world, token=call.token, assertion=assertion_of(call.body))
    completed = tx.session(session.account_id, session.session_id)
    assert completed is not None
    return session_view(tx, world, completed)


def challenge_options(tx: Transaction, world: World, caller: Caller, call: Call) -> AssertionOptions:
    challenge_id = must_be_id("ch", call.path["id"])
    session_id = caller.owner.session_id
    asking = open_for_challenge(
        tx, world, account_id=caller.account_id, session_id=session_id, challenge_id=challenge_id
    )
    return _request(world, asking)


def key_view(key: SecurityKey) -> SecurityKeyView:
    view = SecurityKeyView(
        id=key.key_id,
        label=key.label,
        state=key.state.value,
        synced=key.synced,
        created_at=key.created_at,
        serves_movements_at=key.serves_movements_at,
    )
    if key.last_used_at:
        view.last_used_at = key.last_used_at
    return view


def _request(world: World, asking: Asking) -> AssertionOptions:
    party, ceremony = world.security_keys.relying_party, asking.ceremony
    life = world.limits.ceremony_life_ms
    options = RequestOptions(base64url(ceremony.challenge), life, party.rp_id, _named(asking), _verification(world))
    return AssertionOptions(options, ceremony.expires_at)


def _named(asking: Asking) -> list[Named]:
    return [Named(base64url(key.credential_id), "public-key", list(key.transports)) for key in asking.keys]


def _verification(world: World) -> str:
    return "required" if world.security_keys.relying_party.user_verification else "discouraged"
