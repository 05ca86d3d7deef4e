"""The people of the demo: an account with its session, its authenticator apps, its bot and its account at the venue."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pyotp

from leverlock.cli.api_client import ApiClient
from leverlock.cli.connection import perform
from leverlock.cli.demo_stage import Stage, venue_admin
from leverlock.cli.output import CommandError
from leverlock.settings_sources import load_settings

SYMBOL: Final = "BTC/USDT:USDT"
STEP: Final = 30
STEP_UP: Final = "/problems/step-up-required"


@dataclass
class Person:
    """An account's owner, at the API like any other client."""

    stage: Stage
    login: str
    password: str
    session: ApiClient
    apps: dict[str, str] = field(default_factory=dict)  # environment -> otpauth URI
    used: dict[str, int] = field(default_factory=dict)  # environment -> the last time step whose code was given
    recovery_codes: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def signed_in(cls, stage: Stage, login: str, password: str) -> Person:
        made = cls(stage, login, password, ApiClient(stage.api))
        made.session.sign_in(login, password)
        return made

    # -- codes -------------------------------------------------------------------------------------------------------
    def code(self, environment: str = "futures") -> str:
        """A code that was not given yet: the one shown now, or the next, which is accepted a step early.

        Waits where both were given already, as anybody with one app would have to.
        """
        now = int(time.time()) // STEP
        step = max(now, self.used.get(environment, 0) + 1)
        while step > int(time.time()) // STEP + 1:
            time.sleep(0.5)
        self.used[environment] = step
        return at(self.apps[environment], step)

    def wrong_code(self, environment: str = "futures") -> str:
        """A code that none of the live steps has."""
        now = int(time.time()) // STEP
        live = {at(self.apps[environment], now + ahead) for ahead in (-1, 0, 1, 2)}
        return next(code for code in ("000000", "111111", "222222", "333333", "444444") if code not in live)

    # -- calls -------------------------------------------------------------------------------------------------------
    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.session.call(method, path, body)

    def enable(self, environment: str) -> dict[str, Any]:
        """Bind an authenticator app, answering what is asked first; what confirming it said."""
        started = self.agreed("POST", f"/v1/environments/{environment}/authenticators")
        self.apps[environment] = str(started["otpauth_uri"])
        path = f"/v1/environments/{environment}/authenticators/{started['authenticator']}/confirmation"
        self.used.pop(environment, None)
        confirmed = self.call("POST", path, {"code": self.code(environment)})
        self.recovery_codes[environment] = confirmed["recovery_codes"] or self.recovery_codes.get(environment, [])
        return confirmed

    @staticmethod
    def patiently(look: Callable[[], str], seconds: float = 10.0) -> str:
        """What comes within `seconds`: an SMS, a mail."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return look()
            except (OSError, IndexError):
                if time.monotonic() > deadline:
                    raise CommandError("nothing came") from None
                time.sleep(0.05)

    def asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The challenge that a call is stopped by. Raises CommandError where it is stopped otherwise, or not at all."""
        try:
            self.call(method, path, body)
        except CommandError as problem:
            if problem.facts.get("type") == STEP_UP:
                return dict(problem.facts["challenge"])
            raise
        raise CommandError("nothing was asked")

    def prove(self, challenge: dict[str, Any], **proof: Any) -> dict[str, Any]:
        """Send exactly this proof."""
        return self.call("POST", f"/v1/challenges/{challenge['id']}/proof", proof)

    def answer(self, challenge: dict[str, Any]) -> None:
        """Send what the challenge requires, as often as it takes."""
        requires = list(challenge["requires"])
        while requires:
            layer = ["wallet"] if "wallet" in requires else requires
            proof: dict[str, Any] = {}
            if {"wallet", "totp"} & set(layer):
                proof["code"] = self.code(challenge["environment"])
            if "password" in layer:
                proof["password"] = self.password
            [answered] = self.prove(challenge, **proof)["approved"]
            requires = list(answered.get("requires", []))

    def agreed(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A call that its owner is asked about: asked, answered, made again."""
        try:
            return self.call(method, path, body)
        except CommandError as problem:
            if problem.facts.get("type") != STEP_UP:
                raise
            self.answer(dict(problem.facts["challenge"]))
        return self.call(method, path, body)


@dataclass
class Trader(Person):
    """An owner with a bot that holds a key of ours, and an account at the paper venue behind it."""

    key: dict[str, Any] = field(default_factory=dict)
    exchange: Any = None

    def bot_with(self, ccxt: Any, key: dict[str, Any]) -> Any:
        """Another client, with another key."""
        return bot(self.stage, ccxt, key)

    def waiting(self) -> dict[str, Any]:
        """The oldest challenge that waits for the owner."""
        found = self.call("GET", "/v1/challenges")["challenges"]
        if not found:
            raise CommandError("nothing waits")
        return dict(found[0])


def person(stage: Stage, login: str, environments: tuple[str, ...] = ()) -> Person:
    """A new account, signed in, with an app for each of these environments."""
    password = secrets.token_urlsafe(12)
    perform(settings_of(stage), "account.create", login=login, password=password)
    made = Person.signed_in(stage, login, password)
    for environment in environments:
        made.enable(environment)
    return made


def trader(stage: Stage, ccxt: Any, login: str, environments: tuple[str, ...] = (), **more: Any) -> Trader:
    """A new account with a bot. The key comes after the apps: an older one would be a legacy key, and unchallenged.

    `before=True` makes the key first; `scopes` are what it may do.
    """
    owner = person(stage, login, () if more.get("before") else environments)
    there = venue_admin(stage, "accounts", {"name": login, "balances": {"futures": {"USDT": "10000"}}})
    real = venue_admin(stage, "keys", {"account": there["account"], "kind": "HMAC", **more.get("venue_key", {})})
    settings = settings_of(stage)
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
    scopes = list(more.get("scopes", ("read", "futures")))
    options = {"ips": ["127.0.0.1"]} if {"withdraw", "transfer"} & set(scopes) else {}
    key = perform(settings, "key.create", account=login, venue=venue["venue"], label="bot", scopes=scopes, **options)
    made = Trader(stage, login, owner.password, owner.session, owner.apps, owner.used, owner.recovery_codes)
    made.key, made.exchange = {**key, "venue": venue["venue"]}, bot(stage, ccxt, key)
    if more.get("before"):
        for environment in environments:
            made.enable(environment)
    return made


def bot(stage: Stage, ccxt: Any, key: dict[str, Any]) -> Any:
    """The unmodified client, pointed at the gateway by its configuration."""
    exchange = ccxt.binanceusdm({"apiKey": key["api_key"], "secret": key["api_secret"]})
    for name, url in list(exchange.urls["api"].items()):
        if isinstance(url, str):
            exchange.urls["api"][name] = f"{stage.gateway}/{url.split('/', 3)[3]}"
    exchange.load_markets()
    return exchange


def order(leverage: int = 75, quantity: str = "0.01") -> dict[str, Any]:
    """The body with which a venue, or the owner himself, asks about an order."""
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": quantity}
    facts = {"leverage": leverage, "margin_mode": "CROSSED"}
    return {"action": {"type": "futures.order.place", "fields": fields, "facts": facts}}


def refused(act: Callable[[], Any]) -> str:
    """The title of the refusal that a call meets."""
    try:
        act()
    except CommandError as problem:
        return str(problem).partition(":")[0]
    return "NOT refused"


def by_bot(act: Callable[[], Any], done: str) -> str:
    """What a bot sees of one call: done, or how it was stopped."""
    import ccxt

    try:
        act()
    except ccxt.BaseError as problem:
        found = re.search(r'"code":(-\d+),"msg":"([^"]*)"', str(problem))
        return f"stopped: {found[1]} {found[2]}" if found else f"stopped: {problem}"
    return done


def at(uri: str, step: int) -> str:
    """What an authenticator app shows in this time step."""
    app = pyotp.parse_uri(uri)
    assert isinstance(app, pyotp.TOTP)
    return app.at(step * STEP)


def settings_of(stage: Stage) -> Any:
    return load_settings(stage.config, stage.environment).settings
