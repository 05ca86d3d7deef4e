"""Acts on what stands between a change of factors and its harm: opened wallets, holds, and changes that wait."""

from __future__ import annotations

import json

from leverlock.domain.environment import Environment
from leverlock.domain.hold import Hold, HoldScope
from leverlock.domain.pending_change import PendingChange
from leverlock.store import rows
from leverlock.store.transaction import UnitOfWork


class SafeguardActs(UnitOfWork):
    """Layers, holds and waiting changes of one account."""

    def open_wallet(self, account_id: str, session_id: str, environment: Environment, *, expires_at: int) -> None:
        parameters = {**_wallet(account_id, session_id, environment), "now": self.now, "expires_at": expires_at}
        self._cursor.write("open_wallet", parameters)

    def wallet_open_until(self, account_id: str, session_id: str, environment: Environment) -> int | None:
        parameters = {**_wallet(account_id, session_id, environment), "now": self.now}
        row = self._cursor.one("wallet_open_until", parameters)
        return None if row is None else int(row[0])

    def close_wallets(self, account_id: str, environment: Environment) -> None:
        self._cursor.write("close_wallets", {"account_id": account_id, "environment": environment.value})

    def place_hold(self, account_id: str, environment: Environment, scope: HoldScope, *, until: int) -> None:
        named = {"account_id": account_id, "environment": environment.value, "scope": scope.value}
        self._cursor.write("place_hold", {**named, "until": until})

    def holds(self, account_id: str) -> list[Hold]:
        found = self._cursor.all("holds", {"account_id": account_id, "now": self.now})
        return [rows.hold(row) for row in found]

    def ask_change(self, change: PendingChange) -> bool:
        return (
            self._cursor.write(
                "ask_change",
                {
                    "account_id": change.account_id,
                    "change_id": change.change_id,
                    "kind": change.kind.value,
                    "subject": change.subject,
                    "details": json.dumps(dict(change.details), sort_keys=True),
                    "asked_by": change.asked_by,
                    "now": change.asked_at,
                    "due_at": change.due_at,
                },
            )
            == 1
        )

    def pending_change(self, account_id: str, change_id: str) -> PendingChange | None:
        row = self._cursor.one("pending_change", {"account_id": account_id, "change_id": change_id})
        return None if row is None else rows.pending_change(row)

    def waiting_changes(self, account_id: str) -> list[PendingChange]:
        return [rows.pending_change(row) for row in self._cursor.all("waiting_changes", {"account_id": account_id})]

    def cancel_change(self, change: PendingChange) -> bool:
        parameters = {"account_id": change.account_id, "change_id": change.change_id}
        return self._cursor.write("cancel_change", parameters) == 1

    def finish_change(self, change: PendingChange) -> bool:
        parameters = {"account_id": change.account_id, "change_id": change.change_id, "now": self.now}
        return self._cursor.write("finish_change", parameters) == 1


def _wallet(account_id: str, session_id: str, environment: Environment) -> dict[str, str]:
    return {"account_id": account_id, "session_id": session_id, "environment": environment.value}
