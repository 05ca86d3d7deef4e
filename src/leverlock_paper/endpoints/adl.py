"""Auto-deleveraging: the rank reads of the real venue, and a setting that is the paper venue's own.

The real futures API has no writable ADL setting. `POST /fapi/v1/adlSetting` exists here alone, so that a
guard of such a setting has something to guard: `rank=LOWERED` puts the position one step further back in the
queue.
"""

from __future__ import annotations

from decimal import Decimal

from leverlock_paper.margin import view_account
from leverlock_paper.positions import Position
from leverlock_paper.venue import Call

RANKS = ("STANDARD", "LOWERED")
SIDES = ("BOTH", "LONG", "SHORT")


def read_setting(call: Call) -> object:
    rows = call.db.execute(
        "SELECT symbol, position_side, rank, update_time FROM adl_settings WHERE account = ? ORDER BY symbol",
        (call.account,),
    ).fetchall()
    wanted = call.optional_symbol()
    return [
        {
            "symbol": row["symbol"],
            "positionSide": row["position_side"],
            "rank": row["rank"],
            "updateTime": row["update_time"],
        }
        for row in rows
        if wanted is None or row["symbol"] == wanted.name
    ]


def change_setting(call: Call) -> object:
    """Paper only: sets the rank of one position side, STANDARD or LOWERED."""
    symbol = call.symbol().name
    side = call.params.choice("positionSide", SIDES, "BOTH", -4060)
    rank = call.params.choice("rank", RANKS)
    call.db.execute(
        "INSERT OR REPLACE INTO adl_settings VALUES (?, ?, ?, ?, ?)",
        (call.account, symbol, side, rank, call.now),
    )
    return {"symbol": symbol, "positionSide": side, "rank": rank, "updateTime": call.now}


def quantiles(call: Call) -> object:
    wanted = call.optional_symbol()
    view = view_account(call.venue, call.account, call.now)
    documents: list[dict[str, object]] = []
    for exposure in view.exposures.values():
        if not exposure.positions or (wanted is not None and exposure.symbol is not wanted):
            continue
        ranks = {p.side: rank_of(call, p, exposure.mark) for p in exposure.positions}
        quantile = {
            "LONG": ranks.get("LONG", 0),
            "SHORT": ranks.get("SHORT", 0),
            "BOTH": ranks.get("BOTH", 0),
        }
        documents.append({"symbol": exposure.symbol.name, "adlQuantile": quantile})
    return documents


def rank_of(call: Call, position: Position, mark: Decimal) -> int:
    """0 (last) to 4 (first), by the position's profit in relation to its entry."""
    if position.amount == 0:
        return 0
    profit = position.unrealized(mark) / (abs(position.amount) * position.entry_price)
    rank = sum(profit > Decimal(step) for step in ("0", "0.01", "0.03", "0.1"))
    row = call.db.execute(
        "SELECT rank FROM adl_settings WHERE account = ? AND symbol = ? AND position_side = ?",
        (call.account, position.symbol, position.side),
    ).fetchone()
    lowered = row is not None and row["rank"] == "LOWERED"
    return max(0, rank - 1) if lowered else rank
