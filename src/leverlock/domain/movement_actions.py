"""Rows of the action table: movements of funds. What leaves a wallet needs two layers (M17, semantics 3).

Layer 1 opens the wallet, for the session that gave the code or inside the challenge of a key; layer 2 authorises this
very movement. The same holds for each market, with its own factor; a borrow adds leverage and moves nothing out.
"""

from __future__ import annotations

from typing import Final

from leverlock.domain.action import ActionType
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.hold import HoldScope
from leverlock.domain.requirement import ProofKind, Requirement
from leverlock.domain.values import Field, ascii_text, ascii_word, boolean, decimal, text, word

_TWO_LAYERS: Final = Requirement.of(ProofKind.WALLET, ProofKind.MOVEMENT)

_WITHDRAWAL: Final[dict[str, Field]] = {
    "asset": word(required=True),
    "network": word(),
    "address": ascii_word(required=True),
    "memo": ascii_text(),
    "amount": decimal(required=True),
    "wallet": word(),  # which pocket of the market it is taken from, where there are several
    "fee_to_receiver": boolean(),
    "label": text(),  # the name under which the venue keeps the address
    "declaration": ascii_text(longest=2048),  # what is stated about the receiver where a travel rule asks for it
    "client_id": word(bound=False),
}

_TRANSFER: Final[dict[str, Field]] = {
    "asset": word(required=True),
    "amount": decimal(required=True),
    "from": word(),  # which wallet of the market, where there are several
    "to": word(required=True),
    "from_symbol": word(),  # the isolated margin account that it leaves, or goes to
    "to_symbol": word(),
    "client_id": word(bound=False),
}

_LOAN: Final[dict[str, Field]] = {
    "asset": word(required=True),
    "amount": decimal(required=True),
    "isolated": boolean(),
    "symbol": word(),
}

WALLET_OPEN: Final = {
    market: ActionType(
        name=f"{market}.wallet.open",
        environment=market,
        gated=True,
        title=f"Open the {market.label} wallet",
        floor=Requirement.of(ProofKind.TOTP),
    )
    for market in MARKETS
}

WITHDRAW: Final = {
    market: ActionType(
        name=f"{market}.withdraw",
        environment=market,
        gated=True,
        title=f"Withdraw from the {market.label} wallet",
        fields=_WITHDRAWAL,
        floor=_TWO_LAYERS,
        held_by=HoldScope.MOVEMENTS,
    )
    for market in MARKETS
}

TRANSFER_OUT: Final = {
    market: ActionType(
        name=f"{market}.transfer_out",
        environment=market,
        gated=True,
        title=f"Transfer out of the {market.label} wallet",
        fields=_TRANSFER,
        floor=_TWO_LAYERS,
        held_by=HoldScope.MOVEMENTS,
    )
    for market in MARKETS
}

MARGIN_BORROW: Final = ActionType(
    name="margin.borrow",
    environment=Environment.MARGIN,
    gated=True,
    title="Borrow on margin",
    fields=_LOAN,
    held_by=HoldScope.OPENING,
)

# It takes debt away, as a cancel takes an order away: stopping it would be a loss of its own.
MARGIN_REPAY: Final = ActionType(
    name="margin.repay",
    environment=Environment.MARGIN,
    gated=False,
    title="Repay a margin loan",
    fields=_LOAN,
)

MOVEMENTS: Final = (*WITHDRAW.values(), *TRANSFER_OUT.values(), MARGIN_BORROW, MARGIN_REPAY)
