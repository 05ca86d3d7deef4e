"""Rows of the action table: settings of an account or a position at the venue that change what a loss can cost.

Each was a way round a gate that watches orders and the leverage alone (`docs/security/threats.md`, 9, 10 and 17).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from leverlock.domain.action import UNKNOWN, ActionType, AttributeValue, Facts, Unknown
from leverlock.domain.environment import Environment
from leverlock.domain.hold import HoldScope
from leverlock.domain.requirement import Backup, ProofKind, Requirement
from leverlock.domain.values import Kind, boolean, choice, decimal, integer, word


def _multi_assets_attributes(fields: Mapping[str, str], facts: Facts) -> dict[str, AttributeValue | Unknown]:
    current = facts.get("current_multi_assets")
    return {"switches": UNKNOWN if current is None else fields["multi_assets"] != current}


# The margin mode of the whole account: every asset is margin of every position (M16).
MULTI_ASSETS_SET: Final = ActionType(
    name="futures.multi_assets.set",
    environment=Environment.FUTURES,
    gated=True,
    title="Switch the multi-assets mode of the account",
    fields={"multi_assets": boolean(required=True)},
    facts={"current_multi_assets": boolean()},
    derived={"switches": Kind.BOOLEAN},
    derive=_multi_assets_attributes,
    groupable=True,
    legacy_exempt=True,
    backups=frozenset({Backup.SMS}),
)

# Margin taken out of a position raises its real leverage up to the setting of its symbol, and no order is placed.
POSITION_MARGIN_CHANGE: Final = ActionType(
    name="futures.position_margin.change",
    environment=Environment.FUTURES,
    gated=True,
    title="Change the margin of a position",
    fields={
        "symbol": word(required=True),
        "position_side": choice("BOTH", "LONG", "SHORT"),
        "direction": choice("ADD", "REMOVE", required=True),
        "amount": decimal(required=True),
    },
    facts={"leverage": integer()},
    legacy_exempt=True,
    held_by=HoldScope.OPENING,
)

_FULL_REAUTHENTICATION: Final = Requirement.of(ProofKind.PASSWORD, ProofKind.TOTP)

# Where a position stands in the queue for auto-deleveraging (M19).
ADL_SET: Final = ActionType(
    name="futures.adl.set",
    environment=Environment.FUTURES,
    gated=True,
    title="Change the auto-deleveraging setting of a position",
    fields={
        "symbol": word(required=True),
        "position_side": choice("BOTH", "LONG", "SHORT"),
        "rank": choice("STANDARD", "LOWERED", required=True),
    },
    floor=_FULL_REAUTHENTICATION,
)

# The nearest that real venues have: a mode of the whole account that also lowers its place in that queue.
DELTA_MODE_SET: Final = ActionType(
    name="futures.delta_mode.set",
    environment=Environment.FUTURES,
    gated=True,
    title="Switch delta mode, which changes the account's place in auto-deleveraging",
    fields={"delta_mode": boolean(required=True)},
    floor=_FULL_REAUTHENTICATION,
)

SETTINGS: Final = (MULTI_ASSETS_SET, POSITION_MARGIN_CHANGE, ADL_SET, DELTA_MODE_SET)
