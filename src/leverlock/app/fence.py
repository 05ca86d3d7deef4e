"""Raising a fence: `begin` shuts everything, `fence_account` for each account, `finish` opens it again (B11, B96).

All three run at the mark (`Store.run_at_mark`), because no other transaction has a time meanwhile. Each may be done
again after an interruption; doing it twice changes nothing.
"""

from __future__ import annotations

from leverlock.app.closing import revoke_live
from leverlock.domain.account import SYSTEM_ACCOUNT
from leverlock.domain.attempts import AccountBudget, Reserve
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.fence import NUMBER, RISING, Because, Fence
from leverlock.ports import Transaction, World


def rising(tx: Transaction) -> Fence | None:
    """The fence that is being raised, if one is."""
    text = tx.setting(RISING)
    return None if text is None else Fence.from_text(text)


def begin(tx: Transaction, *, because: Because, now_ms: int, by: str) -> Fence:
    """Shut everything, from this commit on. Raises Refused(CONFLICT) while another fence is being raised."""
    tx.lock_account(SYSTEM_ACCOUNT)
    if rising(tx) is not None:
        raise Refused(Reason.CONFLICT, "a fence is being raised already")
    fence = Fence(int(tx.setting(NUMBER) or "0") + 1, because, now_ms)
    tx.set_setting(RISING, fence.text())
    details = {"fence": fence.number, "because": because.value, "mark": tx.now, "now": now_ms, "step": fence.step}
    tx.record(AuditEvent(EventKind.FENCE_RAISED, by, details))
    return fence


def fence_account(tx: Transaction, world: World, fence: Fence, *, account_id: str, by: str) -> None:
    """Void what this account has open, and spend every TOTP step up to the fence's."""
    account = tx.lock_account(account_id)
    revoke_live(tx, account_id, because="fence", by=by)
    for ended in tx.end_other_sessions(account_id, keep=""):
        tx.record(AuditEvent(EventKind.SESSION_ENDED, by, {"session": ended, "because": "fence"}))
    factors = tx.fence_authenticators(
        account_id, step=fence.step, blocked_until_max=fence.now_ms + world.limits.factor_block_max_ms
    )
    drawn_in = AccountBudget(tuple(min(at, fence.now_ms) for at in account.budget.wrong_at_ms))
    reserve = Reserve(tuple(min(at, fence.now_ms) for at in account.reserve.wrong_at_ms))
    tx.set_budget(drawn_in, reserve=reserve)
    tx.void_reset_links(account_id)
    tx.drop_sms_codes(account_id)
    tx.hasten_messages(account_id, now_ms=fence.now_ms)
    details = {
        "fence": fence.number,
        "wrong_at": list(drawn_in.wrong_at_ms),
        "reserve_at": list(reserve.wrong_at_ms),
        "authenticators": [
            {"authenticator": name, "last_step": step, "blocked_until": until} for name, step, until in factors
        ],
    }
    tx.record(AuditEvent(EventKind.ACCOUNT_FENCED, by, details))


def finish(tx: Transaction, fence: Fence, *, accounts: int, by: str) -> None:
    """Time goes on from the fence's. Raises Refused(CONFLICT) when it stands no more."""
    tx.lock_account(SYSTEM_ACCOUNT)
    if rising(tx) != fence:
        raise Refused(Reason.CONFLICT, "this fence is not being raised")
    tx.record(AuditEvent(EventKind.FENCE_STANDS, by, {"fence": fence.number, "accounts": accounts}))
    tx.draw_in_sign_in_tries(now_ms=fence.now_ms)
    tx.draw_in_sms_slots(now_ms=fence.now_ms)
    tx.reset_high_water(now_ms=fence.now_ms)
    tx.set_setting(NUMBER, str(fence.number))
    tx.drop_setting(RISING)
