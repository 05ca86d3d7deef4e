"""What stands between a change and its harm: opening a wallet, changes that wait a day, the links that stop them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from leverlock.api.challenges import step_up
from leverlock.api.endpoint import Call, Caller, environment_of, must_be_id
from leverlock.api.views import Millis, View
from leverlock.app.cancellations import cancel_by_link
from leverlock.app.decide import Asked
from leverlock.app.pending import cancel_change
from leverlock.app.protection import switch_off
from leverlock.app.wallet import open_wallet
from leverlock.domain.environment import MARKETS
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.pending_change import PendingChange
from leverlock.ports import Transaction, World

ChangeId = Annotated[str, Meta(extra_json_schema={"pattern": "^chg_[a-z2-7]{26}$"})]


class WalletView(View):
    """A wallet that this session opened. Movements it asks for until then need their own proof alone."""

    environment: str
    expires_at: Millis


class ChangeView(View):
    """A change that waits. Until `due_at` everything is as before, and it can be stopped."""

    id: ChangeId
    kind: str
    subject: str
    asked_at: Millis
    due_at: Millis


class ChangeList(View):
    changes: list[ChangeView]


def open_access(tx: Transaction, world: World, caller: Caller, call: Call) -> WalletView | Refused:
    environment = environment_of(call)
    if environment not in MARKETS:
        raise Refused(Reason.UNKNOWN_ID)
    opened = open_wallet(tx, world, session=caller.owner, environment=environment)
    if isinstance(opened, Asked):
        return step_up(tx, world, call, opened)
    return WalletView(opened.environment.value, opened.expires_at)


def end_protection(tx: Transaction, world: World, caller: Caller, call: Call) -> ChangeView | Refused:
    change = switch_off(tx, world, session=caller.owner, environment=environment_of(call))
    return step_up(tx, world, call, change) if isinstance(change, Asked) else change_view(change)


def list_changes(tx: Transaction, _world: World, caller: Caller, _call: Call) -> ChangeList:
    return ChangeList([change_view(change) for change in tx.waiting_changes(caller.account_id)])


def cancel(tx: Transaction, world: World, caller: Caller, call: Call) -> None:
    change_id = must_be_id("chg", call.path["id"])
    cancel_change(tx, world, account_id=caller.account_id, change_id=change_id, by=caller.principal)


def cancel_from_link(tx: Transaction, world: World, _caller: Caller, call: Call) -> None:
    cancel_by_link(tx, world, token=call.body.token)


def change_view(change: PendingChange) -> ChangeView:
    return ChangeView(change.change_id, change.kind.value, change.subject, change.asked_at, change.due_at)
