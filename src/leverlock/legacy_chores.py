"""What runs beside the requests for legacy keys: the notices before their date, and its record when it has come."""

from __future__ import annotations

from functools import partial
from typing import Final

from leverlock.app.legacy_keys import due_accounts, sweep_legacy
from leverlock.background import Chore
from leverlock.ports import Store, World

LOOK_SECONDS: Final = 60.0  # the date holds by itself; this writes it down and tells
PAGE: Final = 100


def legacy_chores(store: Store, world: World) -> list[Chore]:
    """The chore of legacy keys."""
    return [Chore("legacy_keys", LOOK_SECONDS, lambda: look(store, world))]


async def look(store: Store, world: World) -> bool:
    """Tell and write down what is due, one account per transaction."""
    accounts = await store.read(lambda tx: due_accounts(tx, limit=PAGE))
    for account_id in accounts:
        await store.run(partial(sweep_legacy, world=world, account_id=account_id))
    return len(accounts) == PAGE
