"""The steps of the demo, each with what was expected and what was seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import segno
from rich.console import Console

from leverlock.cli.demo_people import SYMBOL, Trader, by_bot, trader
from leverlock.cli.demo_row import Row
from leverlock.cli.demo_rows import ROWS
from leverlock.cli.demo_rows_more import MORE_ROWS
from leverlock.cli.demo_stage import Stage
from leverlock.cli.output import CommandError

LOGIN: Final = "demo"


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


def walk(stage: Stage, console: Console, ccxt: Any) -> Walk:
    """The story, from an ordinary order to one that waits for its owner; then the mission, row by row."""
    told = Walk(console)
    visitor = _trader(told, stage, ccxt, LOGIN, ("futures",))
    told.step("An ordinary order, at 20x", "executed", lambda: _order(visitor, 20, 0.01))
    told.step("Cancels never wait, at any leverage", "cancelled", lambda: _cancel_all(visitor))
    _story(told, _trader(told, stage, ccxt, "story", ("futures", "spot")))
    _raise_while_exposed(told, _trader(told, stage, ccxt, "exposed", ("futures",)))
    console.print("\n[bold]The mission, row by row[/]")
    for row in sorted((*ROWS, *MORE_ROWS), key=_number):
        told.step(f"{row.name}  {row.title}", row.expected, partial(row.show, stage, ccxt))
    told.facts = {
        "username": visitor.login,
        "password": visitor.password,
        "api_key": visitor.key["api_key"],
        "api_secret": visitor.key["api_secret"],
        "futures_totp_uri": visitor.apps["futures"],
    }
    return told


def _number(row: Row) -> int:
    return int(row.name.removeprefix("M"))


def _story(told: Walk, owner: Trader) -> None:
    told.step("Leverage 75x while nothing is open", "set", lambda: _leverage(owner, 75))
    told.step("The same order, at 75x", "stopped: -40101", lambda: _order(owner, None, 0.01))
    told.step("The owner types a wrong code", "Wrong answer", lambda: _approve(owner, owner.wrong_code()))
    told.step("The owner types his Spot code", "Wrong answer", lambda: _approve(owner, owner.code("spot")))
    right = owner.code()
    told.step("The owner types his Futures code", "approved", lambda: _approve(owner, right))
    told.step("The bot repeats the very same call", "executed", lambda: _order(owner, None, 0.01))
    told.step("And once more", "stopped: -40101", lambda: _order(owner, None, 0.01))
    told.step("The used code, on the new challenge", "Code already used", lambda: _approve(owner, right))
    told.step("Another quantity is another action", "stopped: -40101", lambda: _order(owner, None, 0.02))
    told.step("A way round by a conditional order", "stopped: -40101", lambda: _stop_order(owner))
    told.step("How many orders the venue executed", "1", lambda: _executed(owner))


def _raise_while_exposed(told: Walk, owner: Trader) -> None:
    told.step("A position at 20x", "executed", lambda: _order(owner, 20, 0.01))
    told.step("Leverage 75x while it is open", "stopped: -40101", lambda: _leverage(owner, 75))
    told.step("The owner types his Futures code", "approved", lambda: _approve(owner, owner.code()))
    told.step("The bot repeats the call", "set", lambda: _leverage(owner, 75))


def _trader(told: Walk, stage: Stage, ccxt: Any, login: str, environments: tuple[str, ...]) -> Trader:
    """An account with its bot, told as it is made; the visitor's own codes can be scanned."""
    owner = trader(stage, ccxt, login, environments)
    for environment in environments:
        if login == LOGIN:
            _show(told.console, owner.apps[environment])
        title = f"{login}: enable {environment}, with the app's first code"
        told.step(title, "on, with 10 recovery codes", partial(_enabled, owner, environment))
    return owner


def _enabled(owner: Trader, environment: str) -> str:
    return f"on, with {len(owner.recovery_codes[environment])} recovery codes"


def _show(console: Console, uri: str) -> None:
    console.print("\nScan this with any authenticator app, or type the key:\n")
    segno.make_qr(uri, error="m").terminal(compact=True, border=4)
    key = " ".join(re.findall("....", uri.partition("secret=")[2].partition("&")[0]))
    console.print(f"key {key}  (time based, 6 digits)\n", markup=False)


def _order(owner: Trader, leverage: int | None, amount: float) -> str:
    if leverage is not None:
        owner.exchange.set_leverage(leverage, SYMBOL)
    return by_bot(lambda: owner.exchange.create_order(SYMBOL, "market", "buy", amount), "executed")


def _stop_order(owner: Trader) -> str:
    trigger = round(owner.exchange.fetch_ticker(SYMBOL)["last"] * 1.05)
    wanted = {"triggerPrice": trigger}
    return by_bot(lambda: owner.exchange.create_order(SYMBOL, "market", "buy", 0.01, None, wanted), "executed")


def _leverage(owner: Trader, leverage: int) -> str:
    return by_bot(lambda: owner.exchange.set_leverage(leverage, SYMBOL), "set")


def _cancel_all(owner: Trader) -> str:
    return by_bot(lambda: owner.exchange.cancel_all_orders(SYMBOL), "cancelled")


def _executed(owner: Trader) -> str:
    return str(len(owner.exchange.fetch_my_trades(SYMBOL)))


def _approve(owner: Trader, code: str) -> str:
    """The owner looks at what waits and approves the oldest of it."""
    waiting = owner.waiting()
    owner.prove(waiting, code=code)
    return f"approved: {waiting['headline']}"
