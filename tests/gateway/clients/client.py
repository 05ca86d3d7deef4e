"""What the story asks of a client that we did not write: each driver puts it into that client's own calls.

A driver configures and translates; it changes nothing in the client. Every method raises what the client raises;
`refusal` reads code and text out of that exception, as a user of the client would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from leverlock.domain.api_key import KeyAlgorithm
from stack import GatewayKey

HMAC = KeyAlgorithm.HMAC_SHA256
ED25519 = KeyAlgorithm.ED25519


@dataclass(frozen=True)
class Order:
    """An order in neutral words; without `price` it goes at market. `symbol` is the venue's, such as BTCUSDT."""

    side: str = "BUY"
    quantity: float = 0.01
    price: float | None = None
    symbol: str = "BTCUSDT"
    reduce_only: bool | None = None


@dataclass(frozen=True)
class Refusal:
    """An exception of a client as its user sees it."""

    code: int
    text: str
    kind: type[BaseException]


class Client(Protocol):
    """A client, pointed at the gateway with one key. Ids are texts."""

    name: ClassVar[str]
    algorithms: ClassVar[tuple[KeyAlgorithm, ...]]
    errors: ClassVar[tuple[type[Exception], ...]]
    """What the client raises when the venue, or the gateway in its place, refuses."""
    step_up: ClassVar[type[Exception]]
    """The typed exception of a 401 with a code of its own."""

    def __init__(self, key: GatewayKey, url: str) -> None: ...
    def close(self) -> None: ...
    def refusal(self, error: BaseException) -> Refusal: ...

    def load(self) -> set[str]:
        """Names of the symbols of the venue, in its own spelling."""
        ...

    def balance(self) -> float: ...
    def position(self, symbol: str = "BTCUSDT") -> float: ...
    def leverage(self, symbol: str = "BTCUSDT") -> int: ...
    def open_orders(self, symbol: str = "BTCUSDT") -> list[str]: ...

    # `code`: sent with the call, in the way this client has for it.
    def set_leverage(self, leverage: int, symbol: str = "BTCUSDT", *, code: str = "") -> None: ...
    def place(self, order: Order, *, code: str = "") -> str: ...
    def place_batch(self, orders: Sequence[Order], *, code: str = "") -> list[str]: ...
    def amend(self, order_id: str, order: Order) -> str: ...
    def amend_batch(self, order_ids: Sequence[str], orders: Sequence[Order]) -> list[str]: ...
    def place_stop(self, order: Order, trigger: float) -> str: ...
    def cancel(self, order_id: str, symbol: str = "BTCUSDT") -> None: ...
    def cancel_several(self, order_ids: Sequence[str], symbol: str = "BTCUSDT") -> None: ...
    def cancel_all(self, symbol: str = "BTCUSDT") -> None: ...
    def cancel_stop(self, order_id: str, symbol: str = "BTCUSDT") -> None: ...
    def cancel_all_stops(self, symbol: str = "BTCUSDT") -> None: ...
    def set_margin_mode(self, mode: str, symbol: str = "BTCUSDT") -> None: ...
    def set_position_mode(self, *, hedged: bool) -> None: ...
    def listen(self) -> str:
        """Open the user stream's key, keep it alive, close it; the key."""
        ...

    def test_order(self) -> None:
        """A write that the gateway does not pass: the venue's dry run of an order."""
        ...

    def change_margin(self, amount: float, *, remove: bool, symbol: str = "BTCUSDT") -> None: ...
    def set_multi_assets(self, *, on: bool) -> None: ...
    def call(self, method: str, path: str, **params: str) -> Any:
        """A signed call that the client has no method for, by the way this client has for such calls."""
        ...

    def poll(self, challenge_id: str) -> dict[str, Any]:
        """`GET /leverlock/v1/challenges/{id}`, signed by the client as it signs any call."""
        ...
