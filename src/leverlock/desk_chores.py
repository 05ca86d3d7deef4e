"""What runs beside the requests for the desk: cases whose time has come, documents whose time is over, policies that
wait for their day. One account per transaction, and a bounded number of them in one pass."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import structlog

from leverlock.app import policies
from leverlock.app.case_due import settle_cases
from leverlock.background import Chore
from leverlock.documents.vault import Vault
from leverlock.domain.environment import Environment
from leverlock.domain.limits import MINUTE
from leverlock.domain.proposal import Proposal, ProposalKind, ProposalState
from leverlock.ports import Clock, Store, World

CASES_SECONDS: Final = 5.0
STRAYS_SECONDS: Final = 60.0
POLICY_SECONDS: Final = 5.0
PAGE: Final = 100
STRAY_AFTER_MS: Final = 15 * MINUTE  # no upload takes as long; younger files may still be on their way to a row

log = structlog.get_logger("leverlock.desk")


def desk_chores(store: Store, world: World, vault: Vault, clock: Clock) -> list[Chore]:
    """The chores of the desk."""
    return [
        Chore("cases", CASES_SECONDS, lambda: settle(store, world, vault)),
        Chore("documents", STRAYS_SECONDS, lambda: remove_strays(store, vault, clock)),
        Chore("policies", POLICY_SECONDS, lambda: bring_policies(store, world)),
    ]


async def settle(store: Store, world: World, vault: Vault) -> bool:
    """Write down what time did to cases; where documents lost their key their files go, and the log that held it."""
    kept = world.limits.case_kept_ms
    accounts = await store.read(lambda tx: tx.due_cases(kept_ms=kept, limit=PAGE))
    bare: list[str] = []
    troubles: list[Exception] = []
    for account_id in accounts:
        try:
            bare += await store.run(partial(settle_cases, world=world, account_id=account_id))
        except Exception as trouble:
            log.warning("case_not_settled", account=account_id, trouble=str(trouble))
            troubles.append(trouble)
    for case_id in bare:
        await asyncio.to_thread(vault.remove_case, case_id)
    if bare:
        await store.shed_log()
    if troubles:
        raise troubles[0]
    return len(accounts) == PAGE


async def remove_strays(store: Store, vault: Vault, clock: Clock) -> bool:
    """Remove what a crash left: files that were never noted, and those of cases whose documents are destroyed."""
    for case_id in await asyncio.to_thread(lambda: list(vault.cases())):
        known = await store.read(lambda tx, case_id=case_id: tx.document_ids(case_id))  # type: ignore[misc]
        before = clock.now_ms() - STRAY_AFTER_MS
        removed = await asyncio.to_thread(vault.remove_strays, case_id, known=known, before_ms=before)
        if removed:
            log.warning("strays_removed", case=case_id, files=removed)
    return False


async def bring_policies(store: Store, world: World) -> bool:
    """Tell the owners whom an approved policy touches, then put it in force once its day is over."""
    waiting = await store.read(lambda tx: tx.proposals_in(ProposalState.APPROVED, limit=PAGE))
    more = False
    for proposal in waiting:
        if proposal.kind is not ProposalKind.POLICY:
            continue
        more = await _tell(store, world, proposal) or more
        if await store.run(partial(policies.carry_out, proposal_id=proposal.proposal_id)):
            log.warning("policy_took_effect", proposal=proposal.proposal_id, version=proposal.version)
    return more


async def _tell(store: Store, world: World, proposal: Proposal) -> bool:
    """One page of owners; whether there are more. Who was told when this process died is told again, never left out."""
    if proposal.told_after == policies.ALL_TOLD:
        return False
    touched = tuple(Environment(word) for word in proposal.environments)
    after = proposal.told_after
    accounts = await store.read(lambda tx: tx.protected_accounts(touched, after=after, limit=PAGE))
    for account_id in accounts:
        await store.run(partial(policies.tell_owner, world=world, proposal=proposal, account_id=account_id))
    last = accounts[-1] if len(accounts) == PAGE else policies.ALL_TOLD
    await store.run(partial(policies.note_told, proposal=proposal, after=last))
    return last != policies.ALL_TOLD
