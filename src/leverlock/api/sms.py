"""SMS: entering a number, its code, the settings, a code for a challenge, and the receipts of providers (M11-M14)."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from leverlock.api.challenges import step_up
from leverlock.api.endpoint import Call, Caller, environment_of, must_be_id
from leverlock.api.environment_views import EnvironmentView, Masked, SmsView
from leverlock.api.views import AuthenticatorId, Millis, View
from leverlock.api.wire import Form, SmsCode, must_be_code
from leverlock.app import sms_numbers, sms_settings
from leverlock.app.decide import Asked
from leverlock.app.language import set_language
from leverlock.app.sms_approval import send_for
from leverlock.app.sms_receipts import note_receipt
from leverlock.app.sms_sending import masked_number
from leverlock.domain.authenticator import Authenticator, AuthenticatorKind, AuthenticatorState
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.messages import Language
from leverlock.domain.sms_code import SmsCode as StoredCode
from leverlock.ports import Transaction, World

# What NIST SP 800-63B-4 section 3.2.9 wants the owner of a restricted authenticator to be told.
RISK: Final = (
    "An SMS can be read or redirected by others: by whoever talks your operator into another SIM card, and by networks "
    "on its way. Use it for the day on which your authenticator app is not at hand, and keep the app as your first way."
)
_BOUND: Final = (AuthenticatorState.ACTIVE, AuthenticatorState.DISABLED)


class NumberView(View):
    """A number that was texted a code. It serves nothing before its code came back and the settings were saved.

    `state`: `sent`, then `confirmed`. `risk`: what the owner has to know before he relies on it.
    """

    id: AuthenticatorId
    environment: str
    number: Masked
    state: str
    expires_at: Millis
    risk: str
    resend_at: Millis | UnsetType = UNSET


class SentView(View):
    """A code on its way, for one challenge. `delivery`: `waiting`, `handed_over`, `delivered` or `undelivered`.

    `open`: the other ways to answer, which never depend on a provider.
    """

    number: Masked
    sent_at: Millis
    expires_at: Millis
    resend_at: Millis
    delivery: str
    open: list[str]


class LanguageView(View):
    """In which language the owner is written to."""

    language: str


class NumberForm(Form):
    """A mobile number in international form; blanks, brackets, dots and hyphens do not matter."""

    number: Annotated[str, Meta(pattern=r"^\+[0-9][0-9 ().-]*$", max_length=32)]


class NumberCodeForm(Form):
    """The code that came by SMS."""

    code: SmsCode

    def __post_init__(self) -> None:
        must_be_code(self.code)


class SmsSettingsForm(Form):
    """`backup`: whether SMS may stand in for the code where the policy allows it (M13)."""

    backup: bool


class LanguageForm(Form):
    language: Language


def enter(tx: Transaction, world: World, caller: Caller, call: Call) -> NumberView:
    entered = sms_numbers.enter(
        tx,
        world,
        session=caller.owner,
        environment=environment_of(call),
        typed=call.body.number,
        source=call.source,
    )
    return NumberView(
        id=entered.authenticator_id,
        environment=entered.environment.value,
        number=entered.masked,
        state="sent",
        expires_at=entered.expires_at,
        risk=RISK,
        resend_at=entered.resend_at,
    )


def confirm(tx: Transaction, world: World, caller: Caller, call: Call) -> NumberView:
    environment, authenticator_id = environment_of(call), must_be_id("au", call.path["id"])
    pending = tx.authenticator(caller.account_id, authenticator_id)
    if pending is None or pending.environment is not environment:
        raise Refused(Reason.UNKNOWN_ID)
    done = sms_numbers.confirm(tx, world, session=caller.owner, authenticator_id=authenticator_id, code=call.body.code)
    number = masked_number(world, done)
    return NumberView(done.authenticator_id, environment.value, number, "confirmed", done.expires_at, RISK)


def save(tx: Transaction, world: World, caller: Caller, call: Call) -> SmsView | Refused:
    saved = sms_settings.save(
        tx, world, session=caller.owner, environment=environment_of(call), backup=call.body.backup
    )
    if isinstance(saved, Asked):
        return step_up(tx, world, call, saved)
    active = AuthenticatorState.ACTIVE.value
    return SmsView(saved.authenticator_id, saved.masked, active, saved.backup, saved.usable_at)


def remove(tx: Transaction, world: World, caller: Caller, call: Call) -> Refused | None:
    asked = sms_settings.remove(tx, world, session=caller.owner, environment=environment_of(call))
    return None if asked is None else step_up(tx, world, call, asked)


def send(tx: Transaction, world: World, caller: Caller, call: Call) -> SentView:
    challenge_id = must_be_id("ch", call.path["id"])
    code, number = send_for(tx, world, session=caller.owner, challenge_id=challenge_id, source=call.source)
    return _sent(world, code, number)


def show_sent(tx: Transaction, world: World, caller: Caller, call: Call) -> SentView:
    code = tx.sms_code(caller.account_id, must_be_id("ch", call.path["id"]))
    bound = None if code is None else tx.authenticator(caller.account_id, code.authenticator_id)
    if code is None or bound is None:
        raise Refused(Reason.UNKNOWN_ID)
    return _sent(world, code, masked_number(world, bound))


def _sent(world: World, code: StoredCode, number: str) -> SentView:
    return SentView(
        number=number,
        sent_at=code.created_at,
        expires_at=code.expires_at,
        resend_at=code.created_at + world.limits.sms_resend_ms,
        delivery=code.delivery.value,
        open=["totp"],
    )


def receive_receipt(tx: Transaction, world: World, _caller: Caller, call: Call) -> Any:
    path = call.path
    note_receipt(
        tx,
        world,
        provider=path["provider"],
        account_id=must_be_id("acc", path["account"]),
        message_id=must_be_id("msg", path["message"]),
        token=path["token"],
        said=call.body,
    )


def choose_language(tx: Transaction, _world: World, caller: Caller, call: Call) -> LanguageView:
    language = call.body.language
    set_language(tx, account_id=caller.account_id, language=language, by=caller.principal)
    return LanguageView(language.value)


def with_sms(view: EnvironmentView, world: World, enrolled: list[Authenticator], *, now: int) -> EnvironmentView:
    """The environment's view with its number, where it has one."""
    environment = Environment(view.environment)
    for one in enrolled:
        if one.kind is not AuthenticatorKind.SMS or one.environment is not environment or one.state not in _BOUND:
            continue
        number = masked_number(world, one)
        shown = SmsView(one.authenticator_id, number, one.state.value, one.backup, one.usable_at)
        if one.budget.blocked_until_ms > now:
            shown.blocked_until = one.budget.blocked_until_ms
        return msgspec.structs.replace(view, sms=shown)
    return view
