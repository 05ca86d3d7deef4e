"""The steps of the demo, each with what was expected and what was seen."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pyotp
import segno
from rich.console import Console

from leverlock.cli.api_client import ApiClient
from leverlock.cli.connection import perform
from leverlock.cli.demo_stage import Stage, venue_admin
from leverlock.cli.output import CommandError
from leverlock.settings_sources import load_settings

LOGIN: Final = "demo"
SYMBOL: Final = "BTC/USDT:USDT"
STEP: Final = 30


@dataclass
class Walk:
    """What came of it. `facts` are what one needs to go on by oneself."""

    console: Console
    steps: int = 0
    as_expected: bool = True
    facts: dict[str, str] = field(default_factory=dict)

    def step(self, title: str, expected: str, act: Callable[[], str]) -> None:
        """Do one thing and hold what was seen against what was expected."""
        try:
            seen = act()
        except CommandError as problem:
            seen = str(problem)
        right = seen.startswith(expected)
        self.steps += 1
        self.as_expected &= right
        mark = "[green]✓[/]" if right else "[bold red]✗[/]"
        self.console.print(f"{mark} [bold]{self.steps:2}. {title}[/]")
        self.console.print(f"      expected  {expected}", markup=False)
        self.console.print(f"      seen      {seen}", markup=False)


@dataclass
class Actor:
    """One account with its bot, its session at the API and its authenticator apps."""

    login: str
    password: str
    session: ApiClient
    key: dict[str, Any]
    exchange: Any
    apps: dict[str, str]

    def code(self, environment: str, *, ahead: int = 0) -> str:
        return code_of(self.apps[environment], ahead=ahead)

    def wrong_code(self, environment: str) -> str:
        """A code that none of the live steps has."""
        live = {self.code(environment, ahead=ahead) for ahead in (-1, 0, 1, 2)}
        return next(code for code in ("000000", "111111", "222222", "333333", "444444") if code not in live)


def walk(stage: Stage, console: Console, ccxt: Any) -> Walk:
    """The story, from an ordinary order to one that waits for its owner."""
    told = Walk(console)
    trader = _actor(told, stage, ccxt, LOGIN, ("futures",))
    told.step("An ordinary order, at 20x", "executed", lambda: _order(trader, 20, 0.01))
    told.step("Cancels never wait, at any leverage", "cancelled", lambda: _cancel_all(trader))

    story = _actor(told, stage, ccxt, "story", ("futures", "spot"))
    told.step("Leverage 75x while nothing is open", "set", lambda: _leverage(story, 75))
    told.step("The same order, at 75x", "stopped: -40101", lambda: _order(story, None, 0.01))
    told.step("The owner types a wrong code", "Wrong answer", lambda: _approve(story, story.wrong_code("futures")))
    told.step("The owner types his Spot code", "Wrong answer", lambda: _approve(story, story.code("spot")))
    used = story.code("futures", ahead=1)
    told.step("The owner types his Futures code", "approved", lambda: _approve(story, used))
    told.step("The bot repeats the very same call", "executed", lambda: _order(story, None, 0.01))
    told.step("And once more", "stopped: -40101", lambda: _order(story, None, 0.01))
    told.step("The used code, on the new challenge", "Code already used", lambda: _approve(story, used))
    told.step("Another quantity is another action", "stopped: -40101", lambda: _order(story, None, 0.02))
    told.step("A way round by a conditional order", "stopped: -40101", lambda: _stop_order(story))
    told.step("How many orders the venue executed", "1", lambda: _executed(story))

    exposed = _actor(told, stage, ccxt, "exposed", ("futures",))
    told.step("A position at 20x", "executed", lambda: _order(exposed, 20, 0.01))
    told.step("Leverage 75x while it is open", "stopped: -40101", lambda: _leverage(exposed, 75))
    told.step(
        "The owner types his Futures code", "approved", lambda: _approve(exposed, exposed.code("futures", ahead=1))
    )
    told.step("The bot repeats the call", "set", lambda: _leverage(exposed, 75))

    told.facts = {
        "username": trader.login,
        "password": trader.password,
        "api_key": trader.key["api_key"],
        "api_secret": trader.key["api_secret"],
        "futures_totp_uri": trader.apps["futures"],
    }
    for actor in (story, exposed):
        actor.session.__exit__(None, None, None)
    return told


def _actor(told: Walk, stage: Stage, ccxt: Any, login: str, environments: tuple[str, ...]) -> Actor:
    """An account of ours, one at the paper venue, and a bot that holds only our key.

    The key comes last: one that is older than the account's Futures protection would be a legacy key, and unchallenged.
    """
    settings = load_settings(stage.config, stage.environment).settings
    password = secrets.token_urlsafe(12)
    perform(settings, "account.create", login=login, password=password)
    session = ApiClient(stage.api)
    session.sign_in(login, password)
    apps: dict[str, str] = {}
    for environment in environments:
        apps[environment] = _enrol(told, session, login, environment, show=login == LOGIN)
    there = venue_admin(stage, "accounts", {"name": login, "balances": {"futures": {"USDT": "10000"}}})
    real = venue_admin(stage, "keys", {"account": there["account"], "kind": "HMAC"})
    venue = perform(
        settings,
        "venue.connect",
        account=login,
        label="paper",
        base_urls={"fapi": stage.venue, "sapi": stage.venue, "api": stage.venue},
        api_key=real["apiKey"],
        secret=real["secretKey"],
        algorithm="hmac-sha256",
    )
    key = perform(settings, "key.create", account=login, venue=venue["venue"], label="bot", scopes=["read", "futures"])
    exchange = ccxt.binanceusdm({"apiKey": key["api_key"], "secret": key["api_secret"]})
    for name, url in list(exchange.urls["api"].items()):
        if isinstance(url, str):
            exchange.urls["api"][name] = f"{stage.gateway}/{url.split('/', 3)[3]}"
    exchange.load_markets()
    return Actor(login, password, session, key, exchange, apps)


def _enrol(told: Walk, session: ApiClient, login: str, environment: str, *, show: bool) -> str:
    """Bind an authenticator app, as its owner would; the otpauth URI that the QR code holds."""
    started = session.call("POST", f"/v1/environments/{environment}/authenticators")
    uri = str(started["otpauth_uri"])
    if show:
        told.console.print("\nScan this with any authenticator app, or type the key:\n")
        segno.make_qr(uri, error="m").terminal(compact=True, border=4)
        key = " ".join(re.findall("....", started["secret"]))
        told.console.print(f"key {key}  (time based, 6 digits)\n", markup=False)
    path = f"/v1/environments/{environment}/authenticators/{started['authenticator']}/confirmation"

    def confirm() -> str:
        confirmed = session.call("POST", path, {"code": code_of(uri)})
        return f"on, with {len(confirmed['recovery_codes'])} recovery codes"

    title = f"{login}: enable {environment}, with the app's first code"
    told.step(title, "on, with 10 recovery codes", confirm)
    return uri


def code_of(uri: str, *, ahead: int = 0) -> str:
    """What an authenticator app shows now, or will show next (`ahead=1`): a step to either side is accepted."""
    app = pyotp.parse_uri(uri)
    assert isinstance(app, pyotp.TOTP)
    return app.at(int(time.time()) + ahead * STEP)


def _call(act: Callable[[], Any], done: str) -> str:
    """What a bot sees of one call: done, or how it was stopped."""
    import ccxt

    try:
        act()
    except ccxt.BaseError as problem:
        found = re.search(r'"code":(-\d+),"msg":"([^"]*)"', str(problem))
        return f"stopped: {found[1]} {found[2]}" if found else f"stopped: {problem}"
    return done


def _order(actor: Actor, leverage: int | None, amount: float) -> str:
    if leverage is not None:
        actor.exchange.set_leverage(leverage, SYMBOL)
    return _call(lambda: actor.exchange.create_order(SYMBOL, "market", "buy", amount), "executed")


def _stop_order(actor: Actor) -> str:
    trigger = round(actor.exchange.fetch_ticker(SYMBOL)["last"] * 1.05)
    wanted = {"triggerPrice": trigger}
    return _call(lambda: actor.exchange.create_order(SYMBOL, "market", "buy", 0.01, None, wanted), "executed")


def _leverage(actor: Actor, leverage: int) -> str:
    return _call(lambda: actor.exchange.set_leverage(leverage, SYMBOL), "set")


def _cancel_all(actor: Actor) -> str:
    return _call(lambda: actor.exchange.cancel_all_orders(SYMBOL), "cancelled")


def _executed(actor: Actor) -> str:
    return str(len(actor.exchange.fetch_my_trades(SYMBOL)))


def _approve(actor: Actor, code: str) -> str:
    """The owner looks at what waits and approves the oldest of it."""
    waiting = actor.session.call("GET", "/v1/challenges")["challenges"]
    if not waiting:
        return "nothing waits"
    actor.session.call("POST", f"/v1/challenges/{waiting[0]['id']}/proof", {"code": code})
    return f"approved: {waiting[0]['headline']}"
