"""One path of the venue: who may call it, with which parameters, at what weight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from leverlock_paper.endpoints.trading import read_legs
from leverlock_paper.errors import VenueError
from leverlock_paper.parameters import Params
from leverlock_paper.signature import ApiKey
from leverlock_paper.venue import Call

Handler = Callable[[Call], object]


class Access(Enum):
    """What a call must bring: nothing, a key, or a signature of a key with the right flag."""

    NONE = "none"
    KEY = "key"
    READ = "reading"
    TRADE = "futures"
    WITHDRAW = "withdrawals"
    TRANSFER = "universal_transfer"
    MARGIN = "margin"

    @property
    def signed(self) -> bool:
        return self not in (Access.NONE, Access.KEY)

    def permitted(self, key: ApiKey) -> bool:
        return bool(getattr(key, self.value))


@dataclass(frozen=True, slots=True)
class Route:
    """One path. `weight` counts against the address, an order against the account."""

    method: str
    path: str
    access: Access
    handler: Handler
    fields: frozenset[str]
    mandatory: tuple[str, ...]
    weight: int
    counts_orders: bool

    def order_count(self, params: Params) -> int:
        """A batch counts one order per leg."""
        if "batchOrders" not in params:
            return 1
        try:
            return len(read_legs(params))
        except VenueError:
            return 1


def route(  # noqa: PLR0917 -- the table below is read as columns
    method: str,
    path: str,
    access: Access,
    handler: Handler,
    fields: str = "",
    weight: int = 1,
    orders: bool = False,
) -> Route:
    """A row of the table; in `fields` a trailing `!` marks a mandatory name."""
    names = fields.split()
    return Route(
        method,
        path,
        access,
        handler,
        frozenset(name.rstrip("!") for name in names),
        tuple(name.rstrip("!") for name in names if name.endswith("!")),
        weight,
        orders,
    )
