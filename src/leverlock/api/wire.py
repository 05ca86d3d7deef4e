"""Requests: the form of every body and query, and how an action of the wire becomes an action of the domain.

The forms of actions are not written here: they are made from the action table, field by field, so that a new row
there is a new call here, in the validation and in the OpenAPI document alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Union

import msgspec
from msgspec import UNSET, Meta, UnsetType

from leverlock.domain.action import MAX_LEGS, Action, ActionType, bundle, parse
from leverlock.domain.actions import PUBLIC_ACTIONS
from leverlock.domain.base64url import bytes_of
from leverlock.domain.challenge import Denial
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.totp import is_code
from leverlock.domain.values import Field, Kind, ValueRefused, has_invisible
from leverlock.domain.values import text as text_field
from leverlock.ports_security_keys import Assertion

MAX_PASSWORD_TYPED: Final = 256

# An id that is malformed, unknown or another's is answered alike (B47, B62), so its form is shown and not enforced.
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Code = Annotated[str, Meta(pattern="^[0-9]{6,8}$", description="the app's current code, ASCII digits (B8)")]
SmsCode = Annotated[str, Meta(pattern="^[0-9]{6,8}$", description="the code of the SMS, ASCII digits (B8)")]
Password = Annotated[str, Meta(min_length=1, max_length=MAX_PASSWORD_TYPED)]
# Groups of four letters; the bits that a last shorter group leaves over are zero.
_BASE64URL: Final = "^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?$"
Base64Url = Annotated[
    str, Meta(pattern=_BASE64URL, min_length=2, max_length=16384, description="base64url without padding")
]
CredentialId = Annotated[
    str, Meta(pattern=_BASE64URL, min_length=2, max_length=1364, description="base64url of at most 1023 bytes")
]

LoginName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        description="visible characters without a colon; case and composition do not matter",
        extra_json_schema={"pattern": r"^[^\x00-\x20\x7f:]+$"},
    ),
]


class Form(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A request. Unknown names are refused, never ignored (B43)."""


class Nothing(Form):
    """A query without parameters."""


class SignInForm(Form):
    login: LoginName
    password: Password


class CodeForm(Form):
    """An answer that is a code alone."""

    code: Code

    def __post_init__(self) -> None:
        must_be_code(self.code)


class AssertionResponse(Form):
    """What the key signed, as a browser's `toJSON()` names it."""

    clientDataJSON: Base64Url  # noqa: N815
    authenticatorData: Base64Url  # noqa: N815
    signature: Base64Url
    userHandle: Base64Url | UnsetType | None = UNSET  # noqa: N815


class AssertionForm(Form):
    """A security key's answer (WebAuthn Level 3, AuthenticationResponseJSON)."""

    id: CredentialId
    rawId: CredentialId  # noqa: N815
    type: Literal["public-key"]
    response: AssertionResponse
    authenticatorAttachment: str | UnsetType | None = UNSET  # noqa: N815
    clientExtensionResults: dict[str, Any] | UnsetType = UNSET  # noqa: N815


class ProofForm(Form):
    """An answer to one challenge: what it `requires`, no more and no less. `password` is the master password,
    `assertion` a security key's answer to the options that were given for this very challenge.

    `sms_code` stands in for `code` where the challenge's `backups` name it: the one sent for this challenge.
    """

    code: Code | UnsetType = UNSET
    password: Password | UnsetType = UNSET
    sms_code: SmsCode | UnsetType = UNSET
    assertion: AssertionForm | UnsetType = UNSET

    def __post_init__(self) -> None:
        must_be_code(self.code)
        must_be_code(self.sms_code, "sms_code")


class ProofsForm(Form):
    """One code for one to five challenges that were shown together (semantics 12)."""

    challenges: Annotated[list[Id], Meta(min_length=1, max_length=5)]
    code: Code | UnsetType = UNSET
    password: Password | UnsetType = UNSET

    def __post_init__(self) -> None:
        must_be_code(self.code)


class CancelLinkForm(Form):
    """What the link of a notice carries."""

    token: Annotated[str, Meta(min_length=1, max_length=256)]


class DenialForm(Form):
    """The owner's no. `not_me` also freezes the key that asked and alerts."""

    reason: Denial


class AccountQuery(Form):
    """Whose challenge: needed from an integrator; a session may leave it out."""

    account: Id | UnsetType = UNSET


class AuditQuery(Form):
    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


def prose(typed: str, *, field: str, most: int) -> str:
    """Text of several lines, for people: composed, without characters that hide or mislead, and never empty.

    Raises Refused(MALFORMED).
    """
    text = unicodedata.normalize("NFC", typed.replace("\r\n", "\n")).strip()
    if not text or len(text) > most or any(has_invisible(line) for line in text.split("\n")):
        raise Refused(Reason.MALFORMED, f"expected 1 to {most} visible characters", field=field)
    return text


def must_be_code(code: str | UnsetType, name: str = "code") -> None:
    """A pattern's `$` also stands before a final line feed; this does not (B8)."""
    if code is not UNSET and not is_code(code):
        raise ValueError(f"Expected 6 to 8 ASCII digits in field `{name}`")


def credential_id(name: str, raw: str, field: str) -> bytes:
    """The id that both members give; an empty one, which no key has, where they differ."""
    return bytes_in(raw, field) if name == raw else b""


def bytes_in(text: str, field: str) -> bytes:
    """What base64url stands for, in its one spelling. Raises Refused(MALFORMED) naming the field."""
    try:
        return bytes_of(text)
    except ValueError as problem:
        raise Refused(Reason.MALFORMED, str(problem), field=field) from None


def assertion_of(form: AssertionForm, where: str = "$") -> Assertion:
    """A security key's answer as bytes. Raises Refused(MALFORMED) naming the field."""
    response, told = form.response, form.response.userHandle
    return Assertion(
        credential_id(form.id, form.rawId, f"{where}.rawId"),
        bytes_in(response.clientDataJSON, f"{where}.response.clientDataJSON"),
        bytes_in(response.authenticatorData, f"{where}.response.authenticatorData"),
        bytes_in(response.signature, f"{where}.response.signature"),
        bytes_in(told, f"{where}.response.userHandle") if isinstance(told, str) else None,
    )


# -- actions, made from the action table -------------------------------------------------------------------------------

_DECIMAL: Final = r"^[0-9]{1,20}(\.[0-9]{1,18})?$"
TEXT: Final[dict[str, Any]] = {
    "description": "NFC text without control, direction or invisible characters, without outer spaces",
    "extra_json_schema": {"pattern": r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$"},
}

# Of several lines: what a JSON Schema can say of it.
_VISIBLE: Final = r"[^\x00-\x20\x7f\u0085\u00a0]"
PROSE: Final[dict[str, Any]] = {
    "description": "text without control, direction or invisible characters but line feeds",
    "extra_json_schema": {"pattern": rf"^{_VISIBLE}([^\x00-\x09\x0b-\x1f\x7f]*{_VISIBLE})?$"},
}

_WORD: Final[dict[str, Any]] = {
    "description": "one NFC word, left to right, without control, direction or invisible characters",
    "extra_json_schema": {"pattern": r"^[^\s\x00-\x1f\x7f]+$"},
}


_ASCII_TEXT: Final[dict[str, Any]] = {
    "description": "printable ASCII without outer spaces",
    "extra_json_schema": {"pattern": r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$"},
}

_ASCII_WORD: Final[dict[str, Any]] = {
    "description": "one word of printable ASCII",
    "extra_json_schema": {"pattern": r"^[\x21-\x7e]+$"},
}


def _wire_type(field: Field) -> Any:
    if field.kind is Kind.TEXT:
        form = (_ASCII_WORD if field.word else _ASCII_TEXT) if field.ascii else (_WORD if field.word else TEXT)
        return Annotated[str, Meta(min_length=1, max_length=field.longest, **form)]
    if field.kind is Kind.DECIMAL:
        return Annotated[str, Meta(pattern=_DECIMAL, description="a decimal number without exponent, as text")]
    if field.kind is Kind.INTEGER:
        return Annotated[int, Meta(ge=0, le=10**18 - 1)]
    if field.kind is Kind.BOOLEAN:
        return bool
    return Literal[tuple(sorted(field.choices))]


def _form(name: str, fields: list[Any], **config: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        name, fields, bases=(Form,), module=__name__, kw_only=True, forbid_unknown_fields=True, **config
    )


def _fields_form(name: str, declared: Mapping[str, Field]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for field_name, field in declared.items():
        kind = _wire_type(field)
        fields.append((field_name, kind) if field.required else (field_name, kind | UnsetType, UNSET))
    return _form(name, fields)


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[._]", name))


def _parts(action: ActionType) -> list[Any]:
    """What is given of one action: its fields, and the venue's facts of it where it has any."""
    parts: list[Any] = [("fields", FIELD_FORMS[action.name])]
    return [*parts, ("facts", FACT_FORMS[action.name] | UnsetType, UNSET)] if action.facts else parts


_PLAIN: Final = [action for action in PUBLIC_ACTIONS.values() if action.legs is None]
FIELD_FORMS: Final[dict[str, Any]] = {
    action.name: _fields_form(_pascal(action.name) + "Fields", action.fields) for action in _PLAIN
}
FACT_FORMS: Final[dict[str, Any]] = {
    action.name: _fields_form(_pascal(action.name) + "Facts", action.facts) for action in _PLAIN if action.facts
}


def _action_form(action: ActionType) -> Any:
    name = _pascal(action.name)
    fields = _parts(action) if action.legs is None else []
    if action.legs is not None:
        leg: Any = _form(name + "Leg", _parts(action.legs))
        fields = [("legs", Annotated[list[leg], Meta(min_length=1, max_length=MAX_LEGS)])]
    return _form(name, fields, tag_field="type", tag=action.name)


AnyAction: Final[Any] = Union[tuple(_action_form(action) for action in PUBLIC_ACTIONS.values())]  # noqa: UP007

_DECISION: Final[list[Any]] = [
    ("action", AnyAction),
    ("account", Id | UnsetType, UNSET),
    ("target", Annotated[str, Meta(min_length=1, max_length=64, **TEXT)] | UnsetType, UNSET),
]
_STATEMENT: Final[dict[str, Any]] = {
    "description": "what the integrator says about its user, signed (docs/how-to/integrate.md)",
    "extra_json_schema": {"pattern": r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"},
}
DigestForm: Final[Any] = _form("DigestForm", _DECISION)
AuthorizeForm: Final[Any] = _form(
    "AuthorizeForm",
    [*_DECISION, ("statement", Annotated[str, Meta(min_length=1, max_length=4096, **_STATEMENT)] | UnsetType, UNSET)],
)
RedeemForm: Final[Any] = _form(
    "RedeemForm", [*_DECISION, ("grant", Annotated[str, Meta(min_length=1, max_length=128)])]
)


def action_of(form: Any) -> Action:
    """The domain's action behind an authorize or redeem request. Raises Refused(MALFORMED) naming the field."""
    wanted = form.action
    action_type = PUBLIC_ACTIONS[wanted.__struct_config__.tag]
    if action_type.legs is None:
        return _parse(action_type, wanted, "$.action")
    return bundle(
        action_type,
        tuple(_parse(action_type.legs, leg, f"$.action.legs[{n}]") for n, leg in enumerate(wanted.legs)),
    )


def target_of(form: Any) -> str:
    """The upstream account, as text that a person can read without being misled."""
    try:
        return "" if form.target is UNSET else text_field().canonical(form.target)
    except ValueRefused as problem:
        raise Refused(Reason.MALFORMED, f"target: {problem}", field="$.target") from None


def _parse(action_type: ActionType, given: Any, where: str) -> Action:
    facts = getattr(given, "facts", UNSET)
    try:
        return parse(action_type, _texts(given.fields), {} if facts is UNSET else _texts(facts))
    except Refused as refused:
        # Names of facts and fields differ within an action, so the name alone says which of both it was.
        part = "fields" if refused.field in action_type.fields else "facts"
        raise Refused(Reason.MALFORMED, refused.detail, field=f"{where}.{part}.{refused.field}") from None


def _texts(form: msgspec.Struct) -> dict[str, str]:
    """Every given field as the text that the domain's field kinds read."""
    return {
        name: str(value).lower() if value is True or value is False else str(value)
        for name in form.__struct_fields__
        if (value := getattr(form, name)) is not UNSET
    }
