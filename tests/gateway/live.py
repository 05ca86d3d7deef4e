"""The real gateway, joined in this process, before the paper venue: for tests that set the clock or break a part.

    with Live(folder, venue) as live:
        alice = live.party()                       # an account with Futures protection on, and her account at the venue
        bot = live.client(alice)                   # what holds her gateway key
        answer = bot.order()                       # raw HTTP, signed like any client's
        live.approve(alice, answer.challenge)      # she answers with a fresh code
        assert bot.order().status == 200

The store, the sealer, the snapshot, the protocol and the venue are the real ones. Only the product's clock is handed in
(`live.clock`); the venue's clock is real, and the client signs with the venue's time. `live.settle()` is what the
snapshot's task does a few times a second.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import uvicorn
import uvloop

from leverlock.app import accounts, api_keys
from leverlock.app.alarms import report_broken
from leverlock.app.closing import close
from leverlock.app.prove import Advanced
from leverlock.domain.api_key import KeyAlgorithm
from leverlock.domain.challenge import State
from leverlock.domain.environment import Environment
from leverlock.domain.key_terms import KeyTerms, Scope
from leverlock.domain.limits import Limits
from leverlock.domain.messages import Channel
from leverlock.gateway.app import Gateway, GatewayParts
from leverlock.gateway.http_protocol import StrictHttpProtocol
from leverlock.gateway.venue import Venues
from leverlock.ports import Transaction
from leverlock.store.snapshot import Snapshot
from venue_process import PaperVenue, VenueKey, signature_of
from world import TRADES, Deployment, Owner, SettableClock

T = TypeVar("T")

HOSTS = ("fapi", "sapi", "api", "futures")
SYMBOL = "BTCUSDT"
PRICES = {"BTCUSDT": "60000", "ETHUSDT": "3000", "SOLUSDT": "150", "XRPUSDT": "0.6", "BNBUSDT": "600"}
OTHER_SYMBOLS = ("ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT")


class DecisionCounter:
    """`gateway.parts.Meter`."""

    def __init__(self) -> None:
        self.decisions: Counter[tuple[str, str, str]] = Counter()

    def decision(self, outcome: str, why: str, action: str) -> None:
        self.decisions[outcome, why, action] += 1


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, to the byte."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> int | None:
        found = self.json
        return found.get("code") if isinstance(found, dict) else None

    @property
    def challenge(self) -> str:
        """The challenge id that a step-up carries in its text."""
        found = re.search(r"challenge=(ch_\w+)", self.json["msg"])
        assert found is not None, self
        return found[1]

    @property
    def stepped_up(self) -> bool:
        return self.status == 401 and self.code == -40101

    def __repr__(self) -> str:
        return f"{self.status} {self.body[:400]!r}"


@dataclass
class Party:
    """An owner, his account at the venue, and the venue's real key, which his bots never see."""

    owner: Owner
    venue_account: int
    venue_key: VenueKey
    upstream_id: str
    moves_funds: bool = False  # whether the keys of this party may

    @property
    def account_id(self) -> str:
        return self.owner.account_id


@dataclass
class Client:
    """A bot: signs with a key of ours and the venue's time. `timestamp` is new for each call, as bots' are."""

    live: Live
    key: VenueKey
    key_id: str = ""
    last: int = 0

    def timestamp(self) -> int:
        self.last = max(self.live.venue_now_ms(), self.last + 1)
        return self.last

    def signed(self, params: Mapping[str, object] | Sequence[tuple[str, object]], **control: object) -> bytes:
        """The signed bytes of a call: parameters as given, percent-encoded, timestamp and signature at the end."""
        pairs = [*(params.items() if isinstance(params, Mapping) else params)]
        pairs += [*({"timestamp": self.timestamp()} | control).items()]
        text = urlencode(pairs, quote_via=quote)
        return f"{text}&signature={signature_of(self.key, text)}".encode()

    def call(
        self,
        method: str,
        path: str,
        params: Mapping[str, object] | Sequence[tuple[str, object]] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **control: object,
    ) -> Answer:
        text = self.signed(params or {}, **control)
        sent = {"X-MBX-APIKEY": self.key.api_key, **(headers or {})}
        if method in ("GET", "DELETE"):
            return self.live.send(method, f"{path}?{text.decode()}", headers=sent)
        return self.live.send(method, path, text, headers=sent)

    # The calls of the story.
    def order(self, symbol: str = SYMBOL, **params: object) -> Answer:
        fields = {"symbol": symbol, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        return self.call("POST", "/fapi/v1/order", fields | params)

    def limit(self, symbol: str = SYMBOL, price: str = "58000", **params: object) -> Answer:
        """An order that rests."""
        return self.order(symbol, **({"type": "LIMIT", "timeInForce": "GTC", "price": price} | params))

    def batch(self, *legs: Mapping[str, object]) -> Answer:
        return self.call("POST", "/fapi/v1/batchOrders", {"batchOrders": json.dumps(legs)})

    def amend(self, order_id: int, symbol: str = SYMBOL, **params: object) -> Answer:
        fields = {"symbol": symbol, "side": "BUY", "orderId": order_id, "quantity": "0.02", "price": "57500"}
        return self.call("PUT", "/fapi/v1/order", fields | params)

    def conditional(self, symbol: str = SYMBOL, **params: object) -> Answer:
        fields = {
            "algoType": "CONDITIONAL",
            "symbol": symbol,
            "side": "SELL",
            "type": "STOP_MARKET",
            "quantity": "0.01",
            "triggerPrice": "50000",
        }
        return self.call("POST", "/fapi/v1/algoOrder", fields | params)

    def leverage(self, leverage: int, symbol: str = SYMBOL, **control: object) -> Answer:
        return self.call("POST", "/fapi/v1/leverage", {"symbol": symbol, "leverage": leverage}, **control)

    def margin_mode(self, mode: str = "ISOLATED", symbol: str = SYMBOL) -> Answer:
        return self.call("POST", "/fapi/v1/marginType", {"symbol": symbol, "marginType": mode})

    def poll(self, challenge_id: str) -> Answer:
        return self.call("GET", f"/leverlock/v1/challenges/{challenge_id}")


@dataclass
class Live:
    """Start with `with`. `options` go to the store (`connect=`); `limits` and `policy` to the deployment."""

    folder: Path
    venue: PaperVenue
    limits: Limits | None = None
    policy: str = "literal"
    clock: SettableClock = field(default_factory=SettableClock)
    options: dict[str, Any] = field(default_factory=dict)
    wrap: Callable[[GatewayParts], GatewayParts] = lambda parts: parts
    protocol: type[StrictHttpProtocol] = StrictHttpProtocol

    def __post_init__(self) -> None:
        self.deployment = Deployment.create(
            self.folder, clock=self.clock, limits=self.limits, policy=self.policy, **self.options
        )
        self.meter = DecisionCounter()
        self._names = 0
        self._ready = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20), "the gateway did not start"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(20)
        self._listener.close()
        self.deployment.close()
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        deployment = self.deployment
        self.loop = asyncio.get_running_loop()
        world, broken = deployment.world, report_broken(deployment.world, by="test:")
        self.snapshot = Snapshot(deployment.store, deployment.sealer, self.clock, world.limits, broken=broken)
        async with Venues(self.clock) as self.venues:
            public = dict.fromkeys(HOSTS, self.venue.url)
            parts = GatewayParts(
                deployment.store, deployment.world, self.snapshot, self.clock, self.venues, self.meter, public
            )
            self.gateway = Gateway(self.wrap(parts))
            config = uvicorn.Config(
                self.gateway, http=self.protocol, lifespan="off", log_config=None, timeout_graceful_shutdown=1
            )
            self._server = uvicorn.Server(config)
            self._ready.set()
            await self._server.serve([self._listener])

    def on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the gateway's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def settle(self) -> None:
        """Let the snapshot take in what was committed."""
        assert self.on_loop(self.snapshot.refresh())

    # -- parties -----------------------------------------------------------------------------------------------------
    def party(
        self,
        *,
        enrolled: Sequence[Environment] = (Environment.FUTURES,),
        leverage: Mapping[str, int] | None = None,
        ring: bool = False,
        balances: Mapping[str, Mapping[str, str]] | None = None,
        moves_funds: bool = False,
    ) -> Party:
        """A new owner with an account of his own at the venue; `leverage` is set there, behind our back.

        `balances` by wallet and asset; `moves_funds`: the venue's key and ours may transfer, withdraw and borrow.
        """
        deployment = self.deployment
        self._names += 1
        owner = deployment.owner(f"owner{self._names}")
        if ring:
            deployment.run(
                lambda tx: accounts.set_address(
                    tx,
                    deployment.world,
                    account_id=owner.account_id,
                    channel=Channel.EMAIL,
                    target="owner@example.test",
                    by="test:",
                )
            )
        venue_account = self.venue.create_account({"futures": {"USDT": "1000000"}, **(balances or {})})
        rights = ("enableWithdrawals", "permitsUniversalTransfer", "enableMargin")
        venue_key = self.venue.create_key(venue_account, **dict.fromkeys(rights, moves_funds))
        upstream = deployment.run(
            lambda tx: api_keys.connect_upstream(
                tx,
                deployment.world,
                account_id=owner.account_id,
                label="paper",
                dialect="binance-usdm",
                base_urls=dict.fromkeys(HOSTS, self.venue.url),
                api_key=venue_key.api_key,
                algorithm=KeyAlgorithm.HMAC_SHA256,
                secret=venue_key.secret.encode(),
                by="test:",
            )
        )
        party = Party(owner, venue_account, venue_key, upstream.upstream_id, moves_funds)
        for symbol, value in (leverage or {}).items():
            self.set_leverage(party, value, symbol)
        for environment in enrolled:
            owner.enrol(environment)
        return party

    def client(
        self,
        party: Party,
        *,
        otp_allowed: bool = False,
        scopes: frozenset[Scope] | None = None,
        ips: tuple[str, ...] = (),
    ) -> Client:
        """A new key of the party, in the hands of a bot. If nothing is said it may do what the party's keys may."""
        deployment = self.deployment
        if scopes is None:
            scopes, ips = (frozenset(Scope), ("127.0.0.1",)) if party.moves_funds else (TRADES, ips)
        terms = KeyTerms("bot", scopes, ips, otp_allowed)
        made = deployment.run(
            lambda tx: api_keys.create_key(
                tx,
                deployment.world,
                account_id=party.account_id,
                upstream_id=party.upstream_id,
                terms=terms,
                by="test:",
            )
        )
        assert made.secret is not None
        return Client(self, VenueKey(made.key.api_key, made.secret), made.key.key_id)

    def approve(self, party: Party, *challenges: str) -> None:
        """The owner answers with fresh codes of the challenges' environment, in as many layers as it takes."""
        found = [self.deployment.read(lambda tx, one=one: tx.challenge(party.account_id, one)) for one in challenges]
        waiting = [challenge for challenge in found if challenge is not None]
        assert len(waiting) == len(challenges)
        while isinstance(party.owner.prove(*waiting)[0], Advanced):
            pass

    def end_challenges(self, party: Party, *, keep: str = "") -> None:
        """Close what waits, so that slots do not run out."""

        def close_all(tx: Transaction) -> None:
            tx.lock_account(party.account_id)
            for challenge in tx.live_challenges(party.account_id):
                if challenge.challenge_id != keep:
                    close(tx, challenge, to=State.CANCELLED, because="test", principal="test:")

        self.deployment.run(close_all)

    def set_leverage(self, party: Party, leverage: int, symbol: str = SYMBOL) -> None:
        """At the venue with the venue's own key, behind our back."""
        params = {"symbol": symbol, "leverage": leverage}
        answer = self.venue.signed(party.venue_key, "POST", "/fapi/v1/leverage", params)
        assert answer.status == 200, answer

    def forget_facts(self) -> None:
        """Time for facts to become stale; challenges live on."""
        self.clock.tick(self.deployment.world.limits.leverage_fresh_ms + 1)

    # -- looks -------------------------------------------------------------------------------------------------------
    def events(self, party: Party) -> list[dict[str, Any]]:
        """The audit trail, oldest first: kind and details."""
        lines = self.deployment.read(lambda tx: tx.events(party.account_id, after_seq=0, limit=10_000))
        return [{"kind": line.kind.value, **json.loads(line.body)["details"]} for line in lines]

    def kinds(self, party: Party) -> list[str]:
        return [event["kind"] for event in self.events(party)]

    def messages(self, party: Party) -> list[dict[str, Any]]:
        """What waits to be told to this owner."""
        due = self.deployment.read(lambda tx: tx.due_messages(limit=1000))
        return [json.loads(message.body) for message in due if message.account_id == party.account_id]

    def state(self, party: Party, challenge_id: str) -> str:
        found = self.deployment.read(lambda tx: tx.challenge(party.account_id, challenge_id))
        assert found is not None
        return found.state.value

    def executed(self, *paths: str) -> list[dict[str, Any]]:
        """`venue()`: what the venue received that can change something, whatever it then made of it."""
        calls = [call for call in self.venue.calls() if call["method"] != "GET"]
        return [call for call in calls if not paths or call["path"] in paths]

    def venue_now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    # -- the wire ----------------------------------------------------------------------------------------------------
    def send(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None, seconds: float = 20
    ) -> Answer:
        """One exchange on a connection of its own."""
        connection = http.client.HTTPConnection(*self.address, timeout=seconds)
        try:
            sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
            connection.request(method, target, body or None, sent)
            response = connection.getresponse()
            text = response.read()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, text)
        finally:
            connection.close()


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
