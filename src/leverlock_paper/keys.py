"""API keys: issued, registered, looked up, changed."""

from __future__ import annotations

import secrets
import string

from leverlock_paper.database import Database
from leverlock_paper.signature import ApiKey

_ALPHABET = string.ascii_letters + string.digits
# The flags of `GET /sapi/v1/account/apiRestrictions`, and the column that keeps each.
FLAGS = {
    "enableReading": "reading",
    "enableFutures": "futures",
    "enableWithdrawals": "withdrawals",
    "permitsUniversalTransfer": "universal_transfer",
    "enableMargin": "margin",
    "ipRestrict": "ip_restrict",
}


def random_name() -> str:
    """Sixty-four letters and digits, the form of the real venue's keys and secrets."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(64))


def create_key(
    db: Database,
    account: int,
    *,
    kind: str,
    secret: str,
    flags: dict[str, bool],
    ips: list[str],
    now: int,
) -> str:
    """Issues a key with the flags given (reading and futures when not said) and returns its name."""
    key = random_name()
    db.execute(
        "INSERT INTO api_keys (key, account, kind, secret, reading, futures, withdrawals, universal_transfer,"
        " ip_restrict, ips, created, margin) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            key,
            account,
            kind,
            secret,
            flags.get("enableReading", True),
            flags.get("enableFutures", True),
            flags.get("enableWithdrawals", False),
            flags.get("permitsUniversalTransfer", False),
            flags.get("ipRestrict", bool(ips)),
            ",".join(ips),
            now,
            flags.get("enableMargin", False),
        ),
    )
    return key


def find_key(db: Database, key: str) -> ApiKey | None:
    row = db.execute("SELECT * FROM api_keys WHERE key = ?", (key,)).fetchone()
    if row is None:
        return None
    return ApiKey(
        row["key"],
        row["account"],
        row["kind"],
        row["secret"],
        bool(row["reading"]),
        bool(row["futures"]),
        bool(row["withdrawals"]),
        bool(row["universal_transfer"]),
        bool(row["ip_restrict"]),
        tuple(filter(None, row["ips"].split(","))),
        row["created"],
        bool(row["margin"]),
    )
