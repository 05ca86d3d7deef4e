"""A bot: a client with its key, and the account that stands behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from client import Client

from stack import Account, GatewayKey, Stack


@dataclass
class Bot:
    """`executed` and `sent` ask the venue's own log."""

    stack: Stack
    account: Account
    key: GatewayKey
    client: Client

    @property
    def executed(self) -> int:
        """How many orders of this account the venue has taken, by its own log."""
        return self.stack.orders_executed(self.account)

    def sent(self, method: str, path: str) -> int:
        """How many calls to that path the venue has received with this account's key."""
        return len(self.stack.venue_calls(self.account, path=path, method=method))


MakeBot = Callable[..., Bot]
"""`bot_of(Ccxt, algorithm=…, otp_allowed=…, enrolled=…)` of `conftest.py`."""
