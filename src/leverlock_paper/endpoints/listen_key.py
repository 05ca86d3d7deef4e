"""Listen keys of the user data stream. The stream itself is not modelled; the keys are."""

from __future__ import annotations

from leverlock_paper.errors import refusal
from leverlock_paper.keys import random_name
from leverlock_paper.venue import Call

LIFE_MS = 60 * 60 * 1000


def create(call: Call) -> object:
    """A new key, or the living one with its life prolonged."""
    row = call.db.execute(
        "SELECT key FROM listen_keys WHERE account = ? AND expires > ?", (call.account, call.now)
    ).fetchone()
    key = row["key"] if row else random_name()
    call.db.execute("INSERT OR REPLACE INTO listen_keys VALUES (?, ?, ?)", (call.account, key, call.now + LIFE_MS))
    return {"listenKey": key}


def prolong(call: Call) -> object:
    row = call.db.execute(
        "UPDATE listen_keys SET expires = ? WHERE account = ? AND expires > ? RETURNING key",
        (call.now + LIFE_MS, call.account, call.now),
    ).fetchone()
    if row is None:
        raise refusal(-1125)
    return {"listenKey": row["key"]}


def close(call: Call) -> object:
    call.db.execute("DELETE FROM listen_keys WHERE account = ?", (call.account,))
    return {}
