"""The cross-margin wallet: what it holds, what it owes, borrowing and repaying. No margin orders, no interest.

Borrowed funds stay in the wallet: what may leave it is what keeps twice the debt in it.
"""

from __future__ import annotations

from decimal import Decimal

from leverlock_paper import ledger
from leverlock_paper.endpoints.asset_forms import asset_named, read_amount
from leverlock_paper.endpoints.windows import window_of
from leverlock_paper.errors import refusal, unsupported
from leverlock_paper.numbers import ZERO, plain
from leverlock_paper.symbols import ASSETS, SYMBOLS
from leverlock_paper.venue import Call

MOST_DEBT = 2  # times the wallet's own worth: threefold leverage
COVER = 2  # times the debt that must stay in the wallet
KINDS = ("BORROW", "REPAY")


def borrow_or_repay(call: Call) -> object:
    return _move(call, call.params.choice("type", KINDS))


def borrow(call: Call) -> object:
    """The older door."""
    return _move(call, "BORROW")


def repay(call: Call) -> object:
    """The older door."""
    return _move(call, "REPAY")


def _move(call: Call, kind: str) -> object:
    """Raises -3006 (beyond what may be borrowed), -3015 (more than is owed), -3041 (not in the wallet)."""
    if call.params.flag("isIsolated") or "symbol" in call.params:
        raise unsupported("isolated margin")
    asset, amount = asset_named(call.params.required("asset")), read_amount(call)
    owed = _debts(call).get(asset, ZERO)
    if kind == "BORROW":
        if debt_worth(call) + amount * worth(call, asset) > MOST_DEBT * (assets_worth(call) - debt_worth(call)):
            raise refusal(-3006)
        signed = amount
    else:
        if amount > owed:
            raise refusal(-3015)
        if amount > ledger.balance(call.db, call.account, "MARGIN", asset):
            raise refusal(-3041)
        signed = -amount
    ledger.credit(call.db, call.account, "MARGIN", asset, signed)
    call.db.execute("INSERT OR REPLACE INTO margin_debts VALUES (?, ?, ?)", (call.account, asset, owed + signed))
    cursor = call.db.execute(
        "INSERT INTO margin_loans (account, kind, asset, amount, time) VALUES (?, ?, ?, ?, ?)",
        (call.account, kind, asset, amount, call.now),
    )
    return {"tranId": int(cursor.lastrowid or 0)}


def _debts(call: Call) -> dict[str, Decimal]:
    rows = call.db.execute("SELECT asset, amount FROM margin_debts WHERE account = ?", (call.account,))
    return {row["asset"]: row["amount"] for row in rows}


def worth(call: Call, asset: str) -> Decimal:
    """The price of one unit in USDT."""
    symbol = SYMBOLS.get(f"{asset}USDT")
    return call.venue.book.mark(symbol, call.now) if symbol is not None else Decimal(1)


def assets_worth(call: Call) -> Decimal:
    held = ledger.balances(call.db, call.account, "MARGIN")
    return sum((amount * worth(call, asset) for asset, amount in held.items()), ZERO)


def debt_worth(call: Call) -> Decimal:
    return sum((amount * worth(call, asset) for asset, amount in _debts(call).items()), ZERO)


def removable(call: Call, asset: str) -> Decimal:
    """What may leave the wallet: everything without a debt, else what keeps it covered."""
    held, debt = ledger.balance(call.db, call.account, "MARGIN", asset), debt_worth(call)
    if not debt:
        return held
    return max(ZERO, min(held, (assets_worth(call) - COVER * debt) / worth(call, asset)))


def account(call: Call) -> object:
    held, debts = ledger.balances(call.db, call.account, "MARGIN"), _debts(call)
    assets, debt, price = assets_worth(call), debt_worth(call), worth(call, "BTC")
    return {
        "created": True,
        "borrowEnabled": True,
        "tradeEnabled": False,
        "transferInEnabled": True,
        "transferOutEnabled": True,
        "marginLevel": plain((assets / debt).quantize(Decimal("0.00000001"))) if debt else "999",
        "totalAssetOfBtc": _eight(assets / price),
        "totalLiabilityOfBtc": _eight(debt / price),
        "totalNetAssetOfBtc": _eight((assets - debt) / price),
        "accountType": "MARGIN_1",
        "userAssets": [
            {
                "asset": asset,
                "borrowed": plain(debts.get(asset, ZERO)),
                "free": plain(held.get(asset, ZERO)),
                "interest": "0",
                "locked": "0",
                "netAsset": plain(held.get(asset, ZERO) - debts.get(asset, ZERO)),
            }
            for asset in ASSETS
        ],
    }


def _eight(value: Decimal) -> str:
    return plain(value.quantize(Decimal("0.00000001")))


def loan_history(call: Call) -> object:
    window = window_of(call, default_limit=10, most=100, limit_name="size")
    current = call.params.integer("current", 1, least=1)
    asset, number = call.params.text("asset"), call.params.optional_integer("txId")
    rows = call.db.execute(
        "SELECT * FROM margin_loans WHERE account = ? AND kind = ? AND time BETWEEN ? AND ? ORDER BY id DESC",
        (call.account, call.params.choice("type", KINDS), window.start, window.end),
    ).fetchall()
    chosen = [row for row in rows if asset in ("", row["asset"]) and number in (None, row["id"])]
    return {
        "rows": [
            {
                "type": "MANUAL",
                "amount": plain(row["amount"]),
                "asset": row["asset"],
                "interest": "0",
                "principal": plain(row["amount"]),
                "status": "CONFIRMED",
                "timestamp": row["time"],
                "txId": row["id"],
            }
            for row in chosen[(current - 1) * window.limit : current * window.limit]
        ],
        "total": len(chosen),
    }
