"""Every administrative operation, in one table: its name, what it takes, and the function that does it.

A command finds its operation here by name. Where a server runs, the name and a JSON body go over its admin socket and
`admin/app.py` looks here; where none runs, the command opens the store and looks here itself. One function either way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from leverlock.admin import accounts, clock, integrators, keyring, keys, operators, sms, venues
from leverlock.admin.desk import Desk
from leverlock.domain.errors import Reason, Refused


@dataclass(frozen=True, slots=True)
class Operation:
    """`takes` is a msgspec structure: unknown fields and wrong types are refused before `run` sees anything."""

    takes: type[msgspec.Struct]
    run: Callable[[Desk, Any], Awaitable[dict[str, Any]]]


OPERATIONS: Final[dict[str, Operation]] = {
    "account.create": Operation(accounts.CreateAccount, accounts.create_account),
    "account.list": Operation(accounts.ListAccounts, accounts.list_accounts),
    "account.lock": Operation(accounts.OfAccount, accounts.lock_account),
    "account.unlock": Operation(accounts.OfAccount, accounts.unlock_account),
    "operator.create": Operation(operators.CreateOperator, operators.create_operator),
    "operator.role": Operation(operators.GiveRole, operators.give_role),
    "operator.approve": Operation(operators.ApproveRole, operators.approve_role),
    "operator.list": Operation(accounts.Nothing, operators.list_operators),
    "integrator.create": Operation(accounts.CreateIntegrator, accounts.create_integrator),
    "integrator.list": Operation(accounts.Nothing, accounts.list_integrators),
    "integrator.revoke": Operation(accounts.RevokeIntegrator, accounts.revoke_integrator),
    "integrator.key.add": Operation(integrators.AddKey, integrators.add_key),
    "integrator.key.list": Operation(accounts.Nothing, integrators.list_keys),
    "integrator.key.remove": Operation(integrators.RemoveKey, integrators.remove_key),
    "notice.set": Operation(accounts.SetNotice, accounts.set_notice),
    "notice.list": Operation(accounts.OfAccount, accounts.list_notices),
    "key.create": Operation(venues.CreateKey, venues.create_key),
    "key.list": Operation(accounts.OfAccount, venues.list_keys),
    "key.legacy_end": Operation(keys.LegacyEnd, keys.end_legacy),
    "key.legacy_report": Operation(keys.LegacyReport, keys.legacy_report),
    "key.revoke": Operation(venues.RevokeKey, venues.revoke_key),
    "sms.distrust": Operation(sms.DistrustNumbers, sms.distrust_numbers),
    "clock.show": Operation(accounts.Nothing, clock.show_clock),
    "clock.reset": Operation(clock.ResetClock, clock.reset_clock),
    "keyring.show": Operation(accounts.Nothing, keyring.show),
    "keyring.rotate": Operation(accounts.Nothing, keyring.rotate),
    "keyring.reseal": Operation(keyring.Reseal, keyring.reseal_some),
    "keyring.retire": Operation(accounts.Nothing, keyring.retire),
    "venue.connect": Operation(venues.ConnectVenue, venues.connect_venue),
    "venue.list": Operation(venues.ListVenues, venues.list_venues),
    "venue.test": Operation(venues.NamedVenue, venues.check_venue),
    "venue.remove": Operation(venues.NamedVenue, venues.remove_venue),
}


async def perform(desk: Desk, name: str, body: bytes) -> dict[str, Any]:
    """Do one operation and answer JSON values. Raises Refused: UNKNOWN_ACTION, MALFORMED, and what it raises itself."""
    operation = OPERATIONS.get(name)
    if operation is None:
        raise Refused(Reason.UNKNOWN_ACTION, f"there is no operation {name[:64]!r}")
    try:
        wanted = msgspec.json.decode(body, type=operation.takes)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise Refused(Reason.MALFORMED, str(problem)) from None
    return await operation.run(desk, wanted)
