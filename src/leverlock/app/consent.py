"""Consent: what changes an account's own protection is asked for by its own call, and the owner answers a challenge
like any other before it is done."""

from __future__ import annotations

from collections.abc import Mapping

from leverlock.app.decide import Asked
from leverlock.app.redeem import redeem_or_ask
from leverlock.domain.account import Session
from leverlock.domain.action import ActionType, Intent, parse
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.hold import HoldScope
from leverlock.ports import Transaction, World

# Whose word counts first where several markets are on: the one that guards most.
PREFERRED = (Environment.FUTURES, Environment.MARGIN, Environment.SPOT)


def consent(
    tx: Transaction, world: World, *, session: Session, action: ActionType, fields: Mapping[str, str] | None = None
) -> Asked | None:
    """None once the owner has agreed to exactly this: the approval is spent with it. Else the challenge that waits.

    The same call again, by the same session and with the same fields, finds its approval. Raises what
    `redeem_or_ask` raises.
    """
    intent = Intent(session.account_id, session.principal, "", parse(action, fields or {}))
    answer = redeem_or_ask(tx, world, intent=intent)
    return answer if isinstance(answer, Asked) else None


def voucher(
    tx: Transaction, account_id: str, rows: Mapping[Environment, ActionType], *, chosen: Environment | None = None
) -> ActionType:
    """The row of the environment whose factor speaks for the account: `chosen`, or the first that is on.

    One that was bound beside others by the password alone speaks for itself until its day is over, lest whoever has
    the password made himself the factor that vouches for him. Where none is on it is the row of `login`, which then
    asks for the password alone (semantics 11).
    Raises Refused: ENROLMENT_REQUIRED for a chosen environment that is not on, ON_HOLD for one that does not vouch yet.
    """
    on = tx.protections(account_id)
    able = [each for each in (*PREFERRED, Environment.LOGIN) if each in on and each in rows]
    until = {hold.environment: hold.until for hold in tx.holds(account_id) if hold.scope is HoldScope.VOUCHING}
    trusted = [each for each in able if each not in until] or able
    if chosen is None:
        return rows[trusted[0] if trusted else Environment.LOGIN]
    if chosen not in able:
        raise Refused(Reason.ENROLMENT_REQUIRED, facts={"environment": chosen.value})
    if chosen not in trusted:
        facts: dict[str, str | int] = {"environment": chosen.value, "until": until[chosen]}
        wait = until[chosen] - tx.now
        raise Refused(Reason.ON_HOLD, "it does not vouch for the account yet", retry_after_ms=wait, facts=facts)
    return rows[chosen]
