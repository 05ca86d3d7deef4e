"""Wallets: what is in them, transfers between them, what the key may do."""

from __future__ import annotations

from decimal import Decimal

from leverlock_paper import ledger
from leverlock_paper.endpoints import margin_wallet
from leverlock_paper.endpoints.asset_forms import asset_named, read_amount
from leverlock_paper.endpoints.windows import window_of
from leverlock_paper.errors import refusal, unsupported
from leverlock_paper.keys import FLAGS
from leverlock_paper.margin import COLLATERAL, view_account
from leverlock_paper.numbers import ZERO, plain
from leverlock_paper.symbols import ASSETS, SYMBOLS
from leverlock_paper.venue import Call

# The halves of a transfer's `type`, for example UMFUTURE_MAIN.
WALLET_NAMES = {"MAIN": "SPOT", "UMFUTURE": "FUTURES", "MARGIN": "MARGIN", "FUNDING": "FUNDING"}
NETWORKS = {
    "ETH": "Ethereum (ERC20)",
    "TRX": "Tron (TRC20)",
    "BSC": "BNB Smart Chain (BEP20)",
    "BTC": "Bitcoin",
}
ADDRESS_FORMS = {
    "ETH": r"^(0x)[0-9A-Fa-f]{40}$",
    "BSC": r"^(0x)[0-9A-Fa-f]{40}$",
    "TRX": r"^T[1-9A-HJ-NP-Za-km-z]{33}$",
    "BTC": r"^(bc1|[13])[0-9A-Za-z]{25,59}$",
}
FEES = {
    "USDT": Decimal(1),
    "USDC": Decimal(1),
    "BTC": Decimal("0.0001"),
    "ETH": Decimal("0.001"),
    "BNB": Decimal("0.001"),
}


def universal_transfer(call: Call) -> object:
    """Moves funds between the account's wallets. Raises -5013 without cover, -9000 for wallets not kept."""
    kind = call.params.required("type")
    source, _, target = kind.partition("_")
    if source not in WALLET_NAMES or target not in WALLET_NAMES or source == target:
        raise unsupported(f"transfer type {kind[:40]}")
    return _transfer(call, kind, WALLET_NAMES[source], WALLET_NAMES[target], "asset")


def futures_transfer(call: Call) -> object:
    """The older door: type 1 spot to futures, 2 futures to spot; 3 and 4 (coin-margined) are refused."""
    kind = call.params.integer("type", least=1, most=4)
    if kind > 2:
        raise unsupported("coin-margined futures")
    source, target = ("SPOT", "FUTURES") if kind == 1 else ("FUTURES", "SPOT")
    return _transfer(call, str(kind), source, target, "futures")


def _transfer(call: Call, kind: str, source: str, target: str, door: str) -> dict[str, object]:
    asset, amount = asset_named(call.params.required("asset")), read_amount(call)
    if amount > _removable(call, source, asset):
        raise refusal(-5013)
    cursor = call.db.execute(
        "INSERT INTO transfers (account, type, asset, amount, door, time) VALUES (?, ?, ?, ?, ?, ?)",
        (call.account, kind, asset, amount, door, call.now),
    )
    for wallet, moved in ((source, -amount), (target, amount)):
        if wallet == "FUTURES":
            ledger.book_income(call.db, call.account, "TRANSFER", moved, call.now, asset=asset)
        else:
            ledger.credit(call.db, call.account, wallet, asset, moved)
    return {"tranId": int(cursor.lastrowid or 0)}


def _removable(call: Call, wallet: str, asset: str) -> Decimal:
    """What may leave the wallet: of futures what no position or order is using, of margin what covers no debt."""
    if wallet == "MARGIN":
        return margin_wallet.removable(call, asset)
    held = ledger.balance(call.db, call.account, wallet, asset)
    if wallet != "FUTURES":
        return held
    view = view_account(call.venue, call.account, call.now)
    if asset == ledger.SETTLEMENT:
        return view.withdrawable
    if call.account_row()["multi_assets"] and asset in COLLATERAL:
        name, rate = COLLATERAL[asset]
        price = call.venue.book.mark(SYMBOLS[name], call.now) if name else Decimal(1)
        return min(held, view.available / (price * rate))
    return held


def transfer_history(call: Call) -> object:
    window = window_of(call, default_limit=10, most=100, limit_name="size")
    current = call.params.integer("current", 1, least=1)
    kind = call.params.required("type")
    rows = call.db.execute(
        "SELECT * FROM transfers WHERE account = ? AND door = 'asset' AND type = ? AND time BETWEEN ? AND ?"
        " ORDER BY id DESC",
        (call.account, kind, window.start, window.end),
    ).fetchall()
    page = rows[(current - 1) * window.limit : current * window.limit]
    return {
        "total": len(rows),
        "rows": [
            {
                "timestamp": row["time"],
                "asset": row["asset"],
                "amount": plain(row["amount"]),
                "type": row["type"],
                "status": "CONFIRMED",
                "tranId": row["id"],
            }
            for row in page
        ],
    }


def futures_transfer_history(call: Call) -> object:
    window = window_of(call, default_limit=10, most=100, limit_name="size")
    current = call.params.integer("current", 1, least=1)
    rows = call.db.execute(
        "SELECT * FROM transfers WHERE account = ? AND door = 'futures' AND asset = ?"
        " AND time BETWEEN ? AND ? ORDER BY id DESC",
        (call.account, call.params.required("asset"), window.start, window.end),
    ).fetchall()
    page = rows[(current - 1) * window.limit : current * window.limit]
    return {
        "total": len(rows),
        "rows": [
            {
                "asset": row["asset"],
                "tranId": row["id"],
                "amount": plain(row["amount"]),
                "type": row["type"],
                "timestamp": row["time"],
                "status": "CONFIRMED",
            }
            for row in page
        ],
    }


def user_assets(call: Call) -> object:
    """The spot wallet; assets with nothing in them are left out."""
    wanted = call.params.text("asset")
    return [
        {
            "asset": asset,
            "free": plain(amount),
            "locked": "0",
            "freeze": "0",
            "withdrawing": "0",
            "ipoable": "0",
            "btcValuation": "0",
        }
        for asset, amount in sorted(ledger.balances(call.db, call.account, "SPOT").items())
        if amount and wanted in ("", asset)
    ]


def all_coins(call: Call) -> object:
    """Every asset a market is made of; only those of `ASSETS` can be held, deposited and withdrawn."""
    held = ledger.balances(call.db, call.account, "SPOT")
    others = {symbol.base: () for symbol in SYMBOLS.values() if symbol.base not in ASSETS}
    return [
        {
            "coin": coin,
            "depositAllEnable": bool(networks),
            "withdrawAllEnable": bool(networks),
            "name": coin,
            "free": plain(held.get(coin, ZERO)),
            "locked": "0",
            "freeze": "0",
            "withdrawing": "0",
            "ipoing": "0",
            "ipoable": "0",
            "storage": "0",
            "isLegalMoney": False,
            "trading": True,
            "networkList": [_network(coin, network, networks[0]) for network in networks],
        }
        for coin, networks in {**ASSETS, **others}.items()
    ]


def _network(coin: str, network: str, default: str) -> dict[str, object]:
    return {
        "network": network,
        "coin": coin,
        "withdrawIntegerMultiple": "0.00000001",
        "isDefault": network == default,
        "depositEnable": True,
        "withdrawEnable": True,
        "depositDesc": "",
        "withdrawDesc": "",
        "name": NETWORKS[network],
        "resetAddressStatus": False,
        "addressRegex": ADDRESS_FORMS[network],
        "memoRegex": "",
        "withdrawFee": plain(FEES[coin]),
        "withdrawMin": plain(FEES[coin] * 2),
        "withdrawMax": "9999999",
        "minConfirm": 12,
        "unLockConfirm": 0,
        "sameAddress": False,
        "busy": False,
    }


def margin_pairs(_: Call) -> object:
    """No margin trading is modelled: there are no pairs."""
    return []


def api_restrictions(call: Call) -> object:
    key = call.key
    flags: dict[str, object] = {name: bool(getattr(key, column)) for name, column in FLAGS.items()}
    absent = [
        "enableInternalTransfer",
        "enableVanillaOptions",
        "enableSpotAndMarginTrading",
        "enableFixApiTrade",
        "enableFixReadOnly",
        "enablePortfolioMarginTrading",
    ]
    return flags | dict.fromkeys(absent, False) | {"createTime": key.created if key else 0}
