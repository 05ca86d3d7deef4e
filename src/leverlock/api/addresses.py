"""Where the owner is rung and told: listed, named, confirmed, left (semantics 3, 13)."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from leverlock.api.challenges import step_up
from leverlock.api.endpoint import Call, Caller, must_be_id
from leverlock.api.next_steps import Need, NextStep
from leverlock.api.recovery import RecoveryCode, chosen
from leverlock.api.views import Millis, View
from leverlock.api.wire import Form, Id
from leverlock.app import notice_addresses
from leverlock.app.decide import Asked
from leverlock.domain import recovery_code
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Refused
from leverlock.domain.messages import Address, AddressState, Channel, must_be_target
from leverlock.messengers.webhook_secret import shown_secret, webhook_secret
from leverlock.ports import Transaction, World

AddressId = Annotated[str, Meta(extra_json_schema={"pattern": "^adr_[a-z2-7]{26}$"})]


class _Named(Form, kw_only=True):
    """`replaces`: the address that leaves once this one serves. `environment`: whose authenticator agrees."""

    replaces: Id | UnsetType = UNSET
    environment: Environment | UnsetType = UNSET


class MailForm(_Named, kw_only=True, tag_field="channel", tag=Channel.EMAIL.value):
    """A mail address."""

    target: Annotated[str, Meta(max_length=256, pattern=r"^[!-9;=?A-Z\[-~]{1,64}@[A-Za-z0-9.-]{1,191}$")]


class WebhookForm(_Named, kw_only=True, tag_field="channel", tag=Channel.WEBHOOK.value):
    """A webhook; over plain http on this machine alone."""

    target: Annotated[
        str,
        Meta(
            max_length=256,
            pattern=r"^(https://[A-Za-z0-9.-]{1,191}|http://(127\.0\.0\.1|localhost))(:[0-9]{1,5})?(/[!-~]*)?$",
        ),
    ]


AddressForm: Final[Any] = MailForm | WebhookForm


class AddressCodeForm(Form):
    """The code that the new address was sent."""

    code: RecoveryCode

    def __post_init__(self) -> None:
        if not recovery_code.is_typed(self.code):
            raise ValueError("Expected the code that the address was sent in field `code`")


class AddressView(View, kw_only=True):
    """An address: `named` until it has answered, `serving`, or `leaving`: told of security events until `until`.

    `secret` signs what a webhook is sent (Standard Webhooks); it is shown when the address is named.
    """

    id: AddressId
    channel: str
    target: str
    state: str
    until: Millis | UnsetType = UNSET
    replaces: AddressId | UnsetType = UNSET
    secret: str | UnsetType = UNSET
    next: list[NextStep] | UnsetType = UNSET


class AddressList(View):
    addresses: list[AddressView]


def read_target(call: Call) -> None:
    try:
        must_be_target(channel_of(call.body), call.body.target)
    except Refused as refused:
        raise Refused(refused.reason, refused.detail, field="$.target") from None


def channel_of(form: MailForm | WebhookForm) -> Channel:
    return Channel(str(form.__struct_config__.tag))


def show(tx: Transaction, _world: World, caller: Caller, _call: Call) -> AddressList:
    return AddressList([address_view(one) for one in tx.addresses(caller.account_id)])


def name(tx: Transaction, world: World, caller: Caller, call: Call) -> AddressView | Refused:
    form: MailForm | WebhookForm = call.body
    change = notice_addresses.Change(
        channel_of(form),
        form.target,
        None if form.replaces is UNSET else must_be_id("adr", form.replaces),
        chosen(form.environment),
    )
    named = notice_addresses.name_address(tx, world, session=caller.owner, change=change)
    if isinstance(named, Asked):
        return step_up(tx, world, call, named)
    view = address_view(named)
    if named.channel is Channel.WEBHOOK:
        view.secret = shown_secret(webhook_secret(world.sealer, named.account_id))
    return view


def confirm(tx: Transaction, world: World, caller: Caller, call: Call) -> AddressView:
    address_id = must_be_id("adr", call.path["id"])
    notice_addresses.confirm_address(tx, world, session=caller.owner, address_id=address_id, code=call.body.code)
    [serving] = [one for one in tx.addresses(caller.account_id) if one.address_id == address_id]
    return address_view(serving)


def remove(tx: Transaction, world: World, caller: Caller, call: Call) -> Refused | None:
    asked = notice_addresses.remove_address(
        tx,
        world,
        session=caller.owner,
        address_id=must_be_id("adr", call.path["id"]),
        environment=chosen(call.query.environment),
    )
    return None if asked is None else step_up(tx, world, call, asked)


def address_view(address: Address) -> AddressView:
    view = AddressView(
        id=address.address_id, channel=address.channel.value, target=address.target, state=address.state.value
    )
    if address.state is AddressState.NAMED:
        path = f"/v1/addresses/{address.address_id}/confirmation"
        view.next = [NextStep("type the code that it was sent", "POST", path, [Need.ADDRESS], ["code"])]
    if address.state is not AddressState.SERVING:
        view.until = address.until
    if address.state is AddressState.NAMED and address.replaces:
        view.replaces = address.replaces
    return view
