"""Funds that leave or enter the venue: withdrawals, deposits, addresses."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from hashlib import sha256
from uuid import uuid4

from leverlock_paper import ledger
from leverlock_paper.endpoints.asset_forms import asset_named, read_amount
from leverlock_paper.endpoints.wallets import ADDRESS_FORMS, FEES
from leverlock_paper.endpoints.windows import window_of
from leverlock_paper.errors import refusal
from leverlock_paper.numbers import plain
from leverlock_paper.symbols import ASSETS
from leverlock_paper.venue import Call

COMPLETED_WITHDRAWAL, COMPLETED_DEPOSIT = 6, 1  # everything completes at once here


def withdraw(call: Call) -> object:
    """Debits the spot or the funding wallet. The fee is inside the amount; play money arrives nowhere."""
    return {"id": _withdraw(call)}


def withdraw_with_questionnaire(call: Call) -> object:
    """The twin for places with a travel rule. Its misspelt field is the real venue's."""
    try:
        answers = json.loads(call.params.required("questionnaire"))
    except ValueError:
        answers = None
    if not isinstance(answers, dict):
        raise refusal(-1130, "questionnaire")
    number = int(_withdraw(call)[:12], 16)
    return {"trId": number, "accpted": True, "info": "Withdrawal request accepted"}


def _withdraw(call: Call) -> str:
    coin = asset_named(call.params.required("coin"))
    network = call.params.text("network") or ASSETS[coin][0]
    if network not in ASSETS[coin]:
        raise refusal(-4019)
    address = call.params.required("address")
    if not re.fullmatch(ADDRESS_FORMS[network].strip("^$"), address, re.ASCII):
        raise refusal(-1130, "address")
    amount = read_amount(call)
    if amount < FEES[coin] * 2:
        raise refusal(-4022, plain(FEES[coin] * 2))
    wallet = ("SPOT", "FUNDING")[call.params.integer("walletType", 0, most=1)]
    if amount > ledger.balance(call.db, call.account, wallet, coin):
        raise refusal(-4026)
    ledger.credit(call.db, call.account, wallet, coin, -amount)
    number = uuid4().hex
    call.db.execute(
        "INSERT INTO withdrawals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            call.account,
            coin,
            amount - FEES[coin],
            FEES[coin],
            address,
            call.params.text("addressTag"),
            network,
            call.params.text("withdrawOrderId"),
            call.now,
        ),
    )
    return number


def withdraw_history(call: Call) -> object:
    window = window_of(call, default_limit=1000, most=1000)
    rows = call.db.execute(
        "SELECT * FROM withdrawals WHERE account = ? AND time BETWEEN ? AND ? ORDER BY time DESC, rowid DESC",
        (call.account, window.start, window.end),
    ).fetchall()
    coin, order = call.params.text("coin"), call.params.text("withdrawOrderId")
    completed = call.params.integer("status", COMPLETED_WITHDRAWAL) == COMPLETED_WITHDRAWAL
    chosen = [r for r in rows if completed and coin in ("", r["coin"]) and order in ("", r["order_id"])]
    offset = call.params.integer("offset", 0)
    return [
        {
            "id": row["id"],
            "amount": plain(row["amount"]),
            "transactionFee": plain(row["fee"]),
            "coin": row["coin"],
            "status": COMPLETED_WITHDRAWAL,
            "address": row["address"],
            "addressTag": row["tag"],
            "txId": sha256(row["id"].encode()).hexdigest(),
            "applyTime": datetime.fromtimestamp(row["time"] // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S"),
            "network": row["network"],
            "transferType": 0,
            "withdrawOrderId": row["order_id"],
            "info": "",
            "confirmNo": 12,
            "walletType": 0,
            "txKey": "",
        }
        for row in chosen[offset : offset + window.limit]
    ]


def deposit_history(call: Call) -> object:
    """Deposits are made by the admin surface; those into the spot wallet appear here."""
    window = window_of(call, default_limit=1000, most=1000)
    rows = call.db.execute(
        "SELECT * FROM deposits WHERE account = ? AND wallet = 'SPOT' AND time BETWEEN ? AND ? ORDER BY id DESC",
        (call.account, window.start, window.end),
    ).fetchall()
    coin, offset = call.params.text("coin"), call.params.integer("offset", 0)
    completed = call.params.integer("status", COMPLETED_DEPOSIT) == COMPLETED_DEPOSIT
    chosen = [row for row in rows if completed and coin in ("", row["coin"])]
    return [
        {
            "id": str(row["id"]),
            "amount": plain(row["amount"]),
            "coin": row["coin"],
            "network": ASSETS[row["coin"]][0] if row["coin"] in ASSETS else "",
            "status": COMPLETED_DEPOSIT,
            "address": _address(call.account, ASSETS.get(row["coin"], ("ETH",))[0]),
            "addressTag": "",
            "txId": sha256(f"deposit {row['id']}".encode()).hexdigest(),
            "insertTime": row["time"],
            "completeTime": row["time"],
            "transferType": 0,
            "confirmTimes": "12/12",
            "unlockConfirm": 12,
            "walletType": 0,
        }
        for row in chosen[offset : offset + window.limit]
    ]


def deposit_address(call: Call) -> object:
    coin = asset_named(call.params.required("coin"))
    network = call.params.text("network") or ASSETS[coin][0]
    if network not in ASSETS[coin]:
        raise refusal(-4019)
    return {"coin": coin, "address": _address(call.account, network), "tag": "", "url": ""}


def _address(account: int, network: str) -> str:
    """An address in the network's form that nobody holds a key for."""
    digest = sha256(f"paper {account} {network}".encode()).hexdigest()
    if network == "TRX":
        return "T" + digest.replace("0", "z")[:33]
    return "bc1q" + digest[:38] if network == "BTC" else "0x" + digest[:40]
