"""The admin surface `/paper/v1/...`: accounts, keys, prices, faults, the log of calls. No real venue has it.

It exists only when an admin token is configured; every call carries it as `Authorization: Bearer <token>`.
Bodies and answers are JSON; amounts and prices are strings.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qs

from leverlock_paper import ledger
from leverlock_paper.database import transaction
from leverlock_paper.keys import FLAGS, create_key, find_key, random_name
from leverlock_paper.numbers import plain
from leverlock_paper.positions import held
from leverlock_paper.prices import to_tick
from leverlock_paper.signature import public_key_of
from leverlock_paper.symbols import SYMBOLS, Symbol
from leverlock_paper.traffic import Fault, Traffic
from leverlock_paper.venue import Venue

Json = dict[str, object]


class AdminError(Exception):
    """A refusal of the admin surface: HTTP status and a text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class AdminCall:
    venue: Venue
    traffic: Traffic
    body: Json
    query: dict[str, str]
    name: str = ""  # the last part of the path, where the path has a variable


def answer_admin(
    venue: Venue,
    traffic: Traffic,
    *,
    method: str,
    path: str,
    query: bytes,
    body: bytes,
    authorization: str,
) -> tuple[object, int]:
    """The JSON document and the status of one admin call."""
    given = authorization.removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), venue.settings.admin_token.encode()):
        return {"error": "admin token missing or wrong"}, 401
    try:
        handler, name = _handler_of(method, path.removeprefix("/paper/v1/"))
        document = json.loads(body) if body else {}
        if not isinstance(document, dict):
            raise AdminError(400, "the body must be a JSON object")
        words = {key: values[-1] for key, values in parse_qs(query.decode("latin-1")).items()}
        with transaction(venue.db):
            return handler(AdminCall(venue, traffic, document, words, name)), 200
    except AdminError as error:
        return {"error": str(error)}, error.status
    except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation) as error:
        return {"error": f"bad request: {error}"}, 400


def _handler_of(method: str, path: str) -> tuple[Callable[[AdminCall], object], str]:
    head, _, name = path.partition("/")
    handler = HANDLERS.get((method, head + "/*" if name else head))
    if handler is None:
        raise AdminError(404, "no such admin call")
    return handler, name


def _create_account(call: AdminCall) -> object:
    now = call.venue.now()
    cursor = call.venue.db.execute(
        "INSERT INTO accounts (name, created) VALUES (?, ?)", (str(call.body.get("name", "")), now)
    )
    account = int(cursor.lastrowid or 0)
    _deposit(call.venue, account, call.body.get("balances", {}))
    return {"account": account}


def _deposit(venue: Venue, account: int, balances: object) -> None:
    if not isinstance(balances, dict):
        raise AdminError(400, "balances: wallet -> asset -> amount")
    now = venue.now()
    for wallet, assets in balances.items():
        if wallet.upper() not in ledger.WALLETS:
            raise AdminError(400, f"no such wallet: {wallet}")
        for asset, amount in assets.items():
            value = Decimal(str(amount))
            if not value.is_finite() or value < 0:
                raise AdminError(400, "an amount must be finite and not negative")
            ledger.credit(venue.db, account, wallet.upper(), asset, value)
            venue.db.execute(
                "INSERT INTO deposits (account, coin, amount, wallet, time) VALUES (?,?,?,?,?)",
                (account, asset, value, wallet.upper(), now),
            )


def _account_of(call: AdminCall) -> int:
    account = int(str(call.body.get("account", call.name)))
    if not call.venue.db.execute("SELECT 1 FROM accounts WHERE id = ?", (account,)).fetchone():
        raise AdminError(404, "no such account")
    return account


def _add_funds(call: AdminCall) -> object:
    account = _account_of(call)
    _deposit(call.venue, account, call.body.get("balances", {}))
    return {"account": account}


def _read_account(call: AdminCall) -> object:
    account, db = _account_of(call), call.venue.db
    wallets = {wallet.lower(): ledger.balances(db, account, wallet) for wallet in ledger.WALLETS}
    totals = db.execute("SELECT status, count(*) AS n FROM orders WHERE account = ? GROUP BY status", (account,))
    settings = db.execute("SELECT symbol, leverage, isolated FROM symbol_settings WHERE account = ?", (account,))
    return {
        "account": account,
        "balances": {wallet: {a: plain(v) for a, v in assets.items()} for wallet, assets in wallets.items()},
        "positions": [
            {
                "symbol": p.symbol,
                "side": p.side,
                "amount": plain(p.amount),
                "entryPrice": plain(p.entry_price),
            }
            for p in held(db, account)
        ],
        "orders": {row["status"]: row["n"] for row in totals},
        "withdrawals": db.execute("SELECT count(*) FROM withdrawals WHERE account = ?", (account,)).fetchone()[0],
        "transfers": db.execute("SELECT count(*) FROM transfers WHERE account = ?", (account,)).fetchone()[0],
        "symbols": {r["symbol"]: {"leverage": r["leverage"], "isolated": bool(r["isolated"])} for r in settings},
    }


def _create_key(call: AdminCall) -> object:
    account, body = _account_of(call), call.body
    kind = str(body.get("kind", "HMAC")).upper()
    flags = {name: bool(body[name]) for name in FLAGS if name in body}
    ips = body.get("ips", [])
    if not isinstance(ips, list):
        raise AdminError(400, "ips: a list of addresses")
    if kind == "HMAC":
        secret = random_name()
    elif kind == "ED25519":
        secret = str(body["publicKey"])
        public_key_of(secret)
    else:
        raise AdminError(400, "kind: HMAC or ED25519")
    key = create_key(
        call.venue.db,
        account,
        kind=kind,
        secret=secret,
        flags=flags,
        ips=[str(ip) for ip in ips],
        now=call.venue.now(),
    )
    return {"apiKey": key, "kind": kind} | ({"secretKey": secret} if kind == "HMAC" else {})


def _change_key(call: AdminCall) -> object:
    if find_key(call.venue.db, call.name) is None:
        raise AdminError(404, "no such key")
    for name, column in FLAGS.items():
        if name in call.body:
            value = int(bool(call.body[name]))
            call.venue.db.execute(f"UPDATE api_keys SET {column} = ? WHERE key = ?", (value, call.name))
    return {"apiKey": call.name}


def _delete_key(call: AdminCall) -> object:
    call.venue.db.execute("DELETE FROM api_keys WHERE key = ?", (call.name,))
    return {}


def _symbol(call: AdminCall) -> Symbol:
    symbol = SYMBOLS.get(str(call.body.get("symbol", call.query.get("symbol", ""))))
    if symbol is None:
        raise AdminError(404, "no such symbol")
    return symbol


def _set_price(call: AdminCall) -> object:
    symbol, price = _symbol(call), Decimal(str(call.body["price"]))
    if not price.is_finite() or price <= 0:
        raise AdminError(400, "price: above zero")
    price = to_tick(symbol, price)
    call.venue.prices.set(symbol, call.venue.now(), price)
    return {"symbol": symbol.name, "price": plain(price)}


def _release_price(call: AdminCall) -> object:
    symbol = _symbol(call)
    call.venue.prices.set(symbol, call.venue.now(), None)
    return {"symbol": symbol.name}


def _step(call: AdminCall) -> object:
    if call.venue.prices.mode != "walk":
        raise AdminError(409, "prices are set by hand here")
    call.venue.prices.step(int(str(call.body.get("seconds", 1))))
    return {"shiftSeconds": call.venue.prices.shift_seconds}


def _set_clock(call: AdminCall) -> object:
    call.venue.clock_offset_ms = int(str(call.body["offsetMs"]))
    return {"serverTime": call.venue.now()}


def _add_fault(call: AdminCall) -> object:
    known = {field.name for field in fields(Fault)} - {"number"}
    unknown = set(call.body) - known
    if unknown or "path" not in call.body:
        raise AdminError(400, f"path is needed; unknown: {sorted(unknown)}; known: {sorted(known)}")
    values = {"method": "", "remaining": 1} | call.body
    fault = Fault(number=next(call.traffic.numbers), **values)  # type: ignore[arg-type]
    if fault.when not in ("before", "after"):
        raise AdminError(400, "when: before or after")
    call.traffic.faults.append(fault)
    return fault.document()


def _list_faults(call: AdminCall) -> object:
    return [fault.document() for fault in call.traffic.faults]


def _clear_faults(call: AdminCall) -> object:
    call.traffic.faults.clear()
    return {}


def _list_calls(call: AdminCall) -> object:
    since = int(call.query.get("since", "0"))
    path, method = call.query.get("path"), call.query.get("method")
    return [
        received.document()
        for received in call.traffic.calls
        if received.number > since and path in (None, received.path) and method in (None, received.method)
    ]


def _clear_calls(call: AdminCall) -> object:
    call.traffic.calls.clear()
    return {}


HANDLERS: dict[tuple[str, str], Callable[[AdminCall], object]] = {
    ("POST", "accounts"): _create_account,
    ("GET", "accounts/*"): _read_account,
    ("POST", "funds"): _add_funds,
    ("POST", "keys"): _create_key,
    ("PATCH", "keys/*"): _change_key,
    ("DELETE", "keys/*"): _delete_key,
    ("POST", "price"): _set_price,
    ("DELETE", "price"): _release_price,
    ("POST", "step"): _step,
    ("POST", "clock"): _set_clock,
    ("POST", "faults"): _add_fault,
    ("GET", "faults"): _list_faults,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "calls"): _list_calls,
    ("DELETE", "calls"): _clear_calls,
}
