"""The action table: everything Leverlock knows how to judge. A name that is not here is refused (B40).

A gated action needs a rule in the policy in force; a free one is allowed without. The rows stand in files of their
own, by what they are about: trading, settings, movements of funds, and the account's own protection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from leverlock.domain.account_actions import ACCOUNT
from leverlock.domain.action import ActionType
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.key_actions import KEYS
from leverlock.domain.movement_actions import MOVEMENTS, WALLET_OPEN
from leverlock.domain.setting_actions import SETTINGS
from leverlock.domain.trading_actions import TRADING

# What is asked for by its own call, never by name: a venue judges the others.
_OWN: Final = (*ACCOUNT, *WALLET_OPEN.values())

PUBLIC_ACTIONS: Final[Mapping[str, ActionType]] = {
    action.name: action for action in (*TRADING, *SETTINGS, *MOVEMENTS, *KEYS)
}
OWN_ACTIONS: Final = frozenset(action.name for action in _OWN)
ACTIONS: Final[Mapping[str, ActionType]] = {**PUBLIC_ACTIONS, **{action.name: action for action in _OWN}}


def action_type(name: str) -> ActionType:
    """The row of this name. Raises Refused(UNKNOWN_ACTION): nothing unknown is ever allowed."""
    found = ACTIONS.get(name)
    if found is None:
        raise Refused(Reason.UNKNOWN_ACTION, f"unknown action {name[:64]!r}", field="action")
    return found
