"""What the owner is told of wrong answers: at the fifth in a row, before a factor is disabled for good, and of a right
one after several (B80). Each is told once, with the very answer that brought it about.

What is told of a wrong answer travels with its charge: it is written where the charge is, and only if that stays.
"""

from __future__ import annotations

from leverlock.app.notices import notices, notify
from leverlock.domain.account import Account
from leverlock.domain.attempts import AccountBudget, FactorBudget
from leverlock.domain.authenticator import Authenticator
from leverlock.domain.messages import Message
from leverlock.ports import Charge, Transaction, World


def told_of_codes(
    tx: Transaction, world: World, authenticator: Authenticator, after: FactorBudget
) -> tuple[Message, ...]:
    """What to tell if this code turns out wrong."""
    limits = world.limits
    if after.disabled:
        kind = "authenticator.disabled"
    elif after.streak == limits.factor_disable_after - limits.told_before_disabled:
        kind = "authenticator.nearly_disabled"
    elif after.streak == limits.factor_block_after:
        kind = "authenticator.failures"
    else:
        return ()
    environment = authenticator.environment.value
    account_id = authenticator.account_id
    return tuple(notices(tx, world, account_id, kind=kind, environment=environment, wrong_answers=after.streak))


def told_of_passwords(
    tx: Transaction, world: World, account: Account, after: AccountBudget | None
) -> tuple[Message, ...]:
    """What to tell if this answer, which no factor counts, turns out wrong: at the fifth of a day."""
    if after is None or len(after.wrong_at_ms) != world.limits.factor_block_after:
        return ()
    wrong = len(after.wrong_at_ms)
    return tuple(notices(tx, world, account.account_id, kind="account.failures", wrong_answers=wrong))


def tell_of_success(tx: Transaction, world: World, account: Account, charge: Charge) -> None:
    """A right code after several wrong ones may be the owner's, or the guess that hit."""
    wrong = 0 if charge.factor_before is None else charge.factor_before.streak
    if wrong >= world.limits.told_on_success_after:
        notify(tx, world, account.account_id, kind="authenticator.answered_after_failures", wrong_answers=wrong)
