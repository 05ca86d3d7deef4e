"""Ways back and what they guard: recovery codes, a forgotten password, where the owner is told, a key let go on."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from leverlock.api import next_steps, sessions
from leverlock.api.challenges import step_up
from leverlock.api.endpoint import ApiParts, Call, Caller, authenticate, environment_of, must_be_id
from leverlock.api.next_steps import NextStep
from leverlock.api.views import Millis, OpenedSession, SessionView, View
from leverlock.api.wire import Form, LoginName, Password
from leverlock.app import api_keys, password, recovery, recovery_codes, remove
from leverlock.app.decide import Asked
from leverlock.domain import recovery_code
from leverlock.domain.account import MAX_PASSWORD, MIN_PASSWORD, canonical_login
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.ports import Transaction, World
from leverlock.verifiers.password import TooManyWaiting

RecoveryCode = Annotated[
    str,
    Meta(
        min_length=24,
        max_length=27,
        pattern=recovery_code.PATTERN,
        description="four groups of six; case, dashes and blanks between them do not matter",
    ),
]


class RecoveryForm(Form):
    """A recovery code of one environment. `password`: typed anew, where that of the sign-in does not count."""

    environment: Environment
    code: RecoveryCode
    password: Password | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not recovery_code.is_typed(self.code):  # a pattern's `$` also stands before a final line feed
            raise ValueError("Expected a recovery code in field `code`")


class PasswordForm(Form):
    """The new password. `environment`: whose authenticator agrees, where it is not to be the first that is on."""

    password: Annotated[str, Meta(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]
    environment: Environment | UnsetType = UNSET


class LoginForm(Form):
    """Whose password is forgotten."""

    login: LoginName


class LinkForm(Form):
    """What the link in the mail carries."""

    token: Annotated[str, Meta(min_length=1, max_length=256)]


class VoucherQuery(Form):
    """Whose authenticator agrees, where it is not to be the first that is on."""

    environment: Environment | UnsetType = UNSET


class RecoveryView(View):
    """This session may bind a new authenticator to this environment, until `expires_at`.

    Until `held_until` movements, keys, addresses and challenged orders that open a position are refused there.
    """

    environment: str
    expires_at: Millis
    held_until: Millis
    next: list[NextStep]


class RecoveryCodesView(View):
    """A new set of recovery codes, shown this once; the one before is void (B32)."""

    environment: str
    recovery_codes: list[str]


class PasswordView(View):
    """The password is the new one. Every other session has ended, and so has one that was opened by mail."""

    state: str
    next: list[NextStep]
    held_until: Millis | UnsetType = UNSET


class ResetAsked(View):
    """The same for every login, whether it exists or not (B62)."""

    state: str
    next: list[NextStep]


# -- recovery codes ----------------------------------------------------------------------------------------------------
def begin(tx: Transaction, world: World, _caller: Caller, call: Call) -> SessionView:
    begun = recovery.begin(tx, world, token=call.token)
    now = tx.session(begun.account_id, begun.session_id)
    assert now is not None
    return sessions.session_view(tx, world, now)


def recover(tx: Transaction, world: World, caller: Caller, call: Call) -> RecoveryView:
    form: RecoveryForm = call.body
    opened = recovery.recover(
        tx, world, session=caller.owner, environment=form.environment, code=form.code, password=call.finding
    )
    environment = opened.environment.value
    return RecoveryView(environment, opened.expires_at, opened.held_until, [next_steps.bind(environment)])


def replace_codes(tx: Transaction, world: World, caller: Caller, call: Call) -> RecoveryCodesView | Refused:
    environment = environment_of(call)
    codes = recovery_codes.replace(tx, world, session=caller.owner, environment=environment)
    if isinstance(codes, Asked):
        return step_up(tx, world, call, codes)
    return RecoveryCodesView(environment.value, list(codes))


def remove_authenticator(tx: Transaction, world: World, caller: Caller, call: Call) -> Refused | None:
    environment, authenticator_id = environment_of(call), must_be_id("au", call.path["id"])
    asked = remove.remove_authenticator(
        tx, world, session=caller.owner, environment=environment, authenticator_id=authenticator_id
    )
    return None if asked is None else step_up(tx, world, call, asked)


# -- the password ------------------------------------------------------------------------------------------------------
async def hash_password(parts: ApiParts, call: Call) -> None:
    """Hash the new password before the transaction; only a live session is worth the work.

    The salt is the session's own: the same call again makes the same hash, which is what the owner's answer is for.
    """
    world = parts.world
    session = await parts.store.read(lambda tx: authenticate(tx, world, call).owner)
    salt = world.sealer.mac("password-salt", f"{session.account_id}|{session.session_id}".encode())[:16]
    try:
        call.new_password = await parts.passwords.hash_new(call.body.password, salt=salt, turn=session.account_id)
    except TooManyWaiting:
        raise Refused(Reason.ACCOUNT_BUDGET_SPENT, retry_after_ms=sessions.BUSY_MS) from None


def set_password(tx: Transaction, world: World, caller: Caller, call: Call) -> PasswordView | Refused:
    assert call.new_password is not None
    done = password.set_password(
        tx, world, session=caller.owner, new=call.new_password, environment=chosen(call.body.environment)
    )
    if isinstance(done, Asked):
        return step_up(tx, world, call, done)
    view = PasswordView("set", [next_steps.SIGN_IN] if done.by_mail else [])
    if done.held_until is not None:
        view.held_until = done.held_until
    return view


def canonical(call: Call) -> None:
    """One spelling of a login, whatever was typed (B76)."""
    try:
        call.body.login = canonical_login(call.body.login)
    except Refused as refused:
        raise Refused(refused.reason, refused.detail, field="$.login") from None


def ask_reset(tx: Transaction, world: World, _caller: Caller, call: Call) -> ResetAsked:
    password.ask_reset(tx, world, login=call.body.login, source=call.source)
    return ResetAsked("mailed, if this login has a mail address", [next_steps.LINK])


def open_reset(tx: Transaction, world: World, _caller: Caller, call: Call) -> OpenedSession:
    return sessions.opened_view(tx, world, password.open_reset(tx, world, token=call.body.token))


# -- keys --------------------------------------------------------------------------------------------------------------
def unfreeze_key(tx: Transaction, world: World, caller: Caller, call: Call) -> Refused | None:
    asked = api_keys.unfreeze_key(
        tx,
        world,
        session=caller.owner,
        key_id=must_be_id("key", call.path["id"]),
        environment=chosen(call.query.environment),
    )
    return None if asked is None else step_up(tx, world, call, asked)


def chosen(given: Environment | UnsetType) -> Environment | None:
    return None if given is UNSET else given
