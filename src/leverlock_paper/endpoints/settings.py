"""What an account may change: leverage, margin type, position mode, multi-assets mode, margin."""

from __future__ import annotations

from leverlock_paper.database import Database
from leverlock_paper.errors import refusal, unsupported
from leverlock_paper.margin import settings_of, view_account
from leverlock_paper.numbers import ZERO, plain
from leverlock_paper.orders import has_open_orders, has_position
from leverlock_paper.positions import find, keep
from leverlock_paper.venue import Call

DONE = {"code": 200, "msg": "success"}


def change_leverage(call: Call) -> object:
    """Raises -4028, -4161 (lower with an open isolated position), -2027 (position too large), -2019."""
    symbol = call.symbol()
    leverage = call.params.integer("leverage")
    if not 1 <= leverage <= symbol.highest_leverage:
        raise refusal(-4028, leverage)
    present, isolated = settings_of(call.db, call.account, symbol.name)
    if leverage < present and isolated and has_position(call.db, call.account, symbol.name):
        raise refusal(-4161)
    exposure = view_account(call.venue, call.account, call.now, symbol).exposures[symbol.name]
    if exposure.largest() > symbol.most_notional(leverage):
        raise refusal(-2027)
    _set(call.db, call.account, symbol.name, leverage, isolated)
    if leverage < present:
        view = view_account(call.venue, call.account, call.now, symbol)
        if view.position_margin + view.order_margin > 0 and view.available == 0:
            raise refusal(-2028)
    return {
        "leverage": leverage,
        "maxNotionalValue": plain(symbol.most_notional(leverage)),
        "symbol": symbol.name,
    }


def _set(db: Database, account: int, symbol: str, leverage: int, isolated: bool) -> None:
    db.execute(
        "INSERT OR REPLACE INTO symbol_settings VALUES (?, ?, ?, ?)",
        (account, symbol, leverage, int(isolated)),
    )


def change_margin_type(call: Call) -> object:
    symbol = call.symbol()
    isolated = call.params.choice("marginType", ("ISOLATED", "CROSSED")) == "ISOLATED"
    leverage, present = settings_of(call.db, call.account, symbol.name)
    if isolated == present:
        raise refusal(-4046)
    if isolated and call.account_row()["multi_assets"]:
        raise refusal(-4168)
    if has_open_orders(call.db, call.account, symbol.name):
        raise refusal(-4047)
    if has_position(call.db, call.account, symbol.name):
        raise refusal(-4048)
    _set(call.db, call.account, symbol.name, leverage, isolated)
    return DONE


def read_position_mode(call: Call) -> object:
    return {"dualSidePosition": bool(call.account_row()["hedge"])}


def change_position_mode(call: Call) -> object:
    call.params.required("dualSidePosition")
    hedge = call.params.flag("dualSidePosition")
    if hedge == bool(call.account_row()["hedge"]):
        raise refusal(-4059)
    if has_open_orders(call.db, call.account):
        raise refusal(-4067)
    if has_position(call.db, call.account):
        raise refusal(-4068)
    call.db.execute("UPDATE accounts SET hedge = ? WHERE id = ?", (int(hedge), call.account))
    return DONE


def read_multi_assets(call: Call) -> object:
    return {"multiAssetsMargin": bool(call.account_row()["multi_assets"])}


def change_multi_assets(call: Call) -> object:
    call.params.required("multiAssetsMargin")
    multi = call.params.flag("multiAssetsMargin")
    if multi == bool(call.account_row()["multi_assets"]):
        raise refusal(-4171)
    if (
        multi
        and call.db.execute(
            "SELECT 1 FROM symbol_settings WHERE account = ? AND isolated = 1 LIMIT 1", (call.account,)
        ).fetchone()
    ):
        raise refusal(-4167)
    call.db.execute("UPDATE accounts SET multi_assets = ? WHERE id = ?", (int(multi), call.account))
    if not multi:
        view = view_account(call.venue, call.account, call.now)
        if view.position_margin + view.order_margin > 0 and view.available == 0:
            raise refusal(-2019)
    return DONE


def read_delta_mode(call: Call) -> object:
    return {"deltaEnabled": bool(call.account_row()["delta_mode"])}


def change_delta_mode(call: Call) -> object:
    """The switch is kept and told; there is no portfolio margin on which it would act."""
    call.params.required("deltaEnabled")
    enabled = int(call.params.flag("deltaEnabled"))
    call.db.execute("UPDATE accounts SET delta_mode = ? WHERE id = ?", (enabled, call.account))
    return {"msg": "success"}


def change_position_margin(call: Call) -> object:
    """Adds (`type=1`) or removes (`type=2`) margin of an isolated position."""
    symbol = call.symbol()
    amount, direction = call.params.decimal("amount"), call.params.integer("type", least=1, most=2)
    side = call.params.choice("positionSide", ("BOTH", "LONG", "SHORT"), "BOTH", -4060)
    if amount <= 0:
        raise refusal(-4055)
    position = find(call.db, call.account, symbol.name, side)
    if position.amount == 0:
        raise refusal(-4054)
    if not position.isolated:
        raise unsupported("position margin of a crossed position")
    view = view_account(call.venue, call.account, call.now, symbol)
    exposure = view.exposures[symbol.name]
    if direction == 1:
        if amount > view.withdrawable:
            raise refusal(-4050)
        position.isolated_wallet += amount
    else:
        needed = abs(position.amount) * exposure.mark / exposure.leverage
        if position.isolated_wallet + min(ZERO, position.unrealized(exposure.mark)) - amount < needed:
            raise refusal(-4051)
        position.isolated_wallet -= amount
    keep(call.db, position)
    call.db.execute(
        "INSERT INTO margin_changes (account, symbol, side, type, amount, time) VALUES (?,?,?,?,?,?)",
        (call.account, symbol.name, side, direction, amount, call.now),
    )
    return {
        "amount": float(amount),
        "code": 200,
        "msg": "Successfully modify position margin.",
        "type": direction,
    }
