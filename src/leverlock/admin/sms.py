"""The operation on phone numbers: what a carrier's word about them leads to."""

from __future__ import annotations

from typing import Any

import msgspec

from leverlock.admin.desk import Desk, account_named
from leverlock.app.sms_settings import distrust

MAX_REASON = 64


class DistrustNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every number of an account waits for a day; `because` goes into the trail."""

    account: str
    because: str = "sim_swap"


async def distrust_numbers(desk: Desk, wanted: DistrustNumbers) -> dict[str, Any]:
    account_id = await desk.store.read(lambda tx: account_named(tx, wanted.account))
    because = wanted.because[:MAX_REASON]
    count = await desk.store.run(
        lambda tx: distrust(tx, desk.world, account_id=account_id, because=because, by=desk.by)
    )
    return {"account": account_id, "numbers": count}
