"""Challenges and their answers: what waits, the proof, the no, and the asker's own never mind."""

from __future__ import annotations

from functools import cache
from typing import Any

from msgspec import UNSET

from leverlock.api.endpoint import ApiParts, Call, Caller, Result, authenticate, must_be_id
from leverlock.api.views import AnsweredChallenge, ChallengeList, ChallengeView, Proved, View, challenge_view
from leverlock.api.wire import ProofForm, ProofsForm, assertion_of
from leverlock.app import answers
from leverlock.app.decide import Asked
from leverlock.app.proofs import Proof
from leverlock.app.prove import Advanced, Approved, grant_of, prove
from leverlock.app.recovery import must_be_his_to_answer
from leverlock.domain.challenge import State
from leverlock.domain.errors import Reason, Refused
from leverlock.metrics import ANSWERS, CHALLENGES
from leverlock.ports import Transaction, World
from leverlock.ports_security_keys import Assertion
from leverlock.verifiers.password import TooManyWaiting

# As many as there are words in two closed lists; finding a counter costs more than counting.
_answers = cache(ANSWERS.labels)
_challenges = cache(CHALLENGES.labels)

BUSY_MS = 1_000  # a turn at hashing comes back within a second


def list_waiting(tx: Transaction, world: World, caller: Caller, _call: Call) -> ChallengeList:
    now = tx.now
    return ChallengeList([challenge_view(one, world, now=now) for one in tx.waiting_challenges(caller.account_id)])


def show(tx: Transaction, world: World, caller: Caller, call: Call) -> ChallengeView:
    challenge = tx.challenge(caller.account_id, must_be_id("ch", call.path["id"]))
    if challenge is None or (caller.session is None and challenge.principal != caller.principal):
        raise Refused(Reason.UNKNOWN_ID)
    grant = grant_of(world, challenge) if challenge.principal == caller.principal else None
    return challenge_view(challenge, world, now=tx.now, grant=grant)


async def check_password(parts: ApiParts, call: Call) -> View | None:
    """Where a master password was typed, hash it before the transaction; only a live session is worth the work."""
    password = call.body.password
    if password is UNSET:
        return None
    world = parts.world

    def stored(tx: Transaction) -> tuple[str, str]:
        caller = authenticate(tx, world, call)
        account = tx.account(caller.owner.account_id)
        assert account is not None
        return account.account_id, account.password_hash

    account_id, stored_hash = await parts.store.read(stored)
    try:
        call.finding = await parts.passwords.check(
            password, account_id=account_id, stored_hash=stored_hash, turn=account_id, stranger=False
        )
    except TooManyWaiting:
        raise Refused(Reason.ACCOUNT_BUDGET_SPENT, retry_after_ms=BUSY_MS) from None
    return None


def prove_one(tx: Transaction, world: World, caller: Caller, call: Call) -> Proved:
    return _prove(tx, world, caller, call, [call.path["id"]])


def prove_several(tx: Transaction, world: World, caller: Caller, call: Call) -> Proved:
    return _prove(tx, world, caller, call, call.body.challenges)


def _prove(tx: Transaction, world: World, caller: Caller, call: Call, challenge_ids: list[str]) -> Proved:
    for challenge_id in challenge_ids:
        must_be_id("ch", challenge_id)
    must_be_his_to_answer(tx, caller.owner, challenge_ids)
    settled = prove(
        tx,
        world,
        account_id=caller.account_id,
        answered_by=caller.principal,
        challenge_ids=challenge_ids,
        proof=Proof(
            code=None if call.body.code is UNSET else call.body.code,
            password=call.finding,
            sms_code=None if (sent := getattr(call.body, "sms_code", UNSET)) is UNSET else sent,
            assertion=_assertion(call.body),
        ),
    )
    return Proved([_answered(one, caller) for one in settled])


def _assertion(form: ProofForm | ProofsForm) -> Assertion | None:
    given = getattr(form, "assertion", UNSET)
    return None if given is UNSET else assertion_of(given, "$.assertion")


def _answered(settled: Approved | Advanced, caller: Caller) -> AnsweredChallenge:
    challenge = settled.challenge
    if isinstance(settled, Advanced):
        return AnsweredChallenge(challenge.challenge_id, State.PENDING.value, requires=challenge.remaining.words())
    view = AnsweredChallenge(challenge.challenge_id, State.APPROVED.value, grant_expires_at=settled.grant_expires_at)
    if challenge.principal == caller.principal:
        view.grant = settled.grant
    return view


def deny(tx: Transaction, world: World, caller: Caller, call: Call) -> Any:
    challenge_id = must_be_id("ch", call.path["id"])
    answers.deny(
        tx,
        world,
        account_id=caller.account_id,
        answered_by=caller.principal,
        challenge_id=challenge_id,
        denial=call.body.reason,
    )


def cancel(tx: Transaction, world: World, caller: Caller, call: Call) -> Any:
    challenge_id = must_be_id("ch", call.path["id"])
    answers.cancel(tx, world, account_id=caller.account_id, principal=caller.principal, challenge_id=challenge_id)


def step_up(tx: Transaction, world: World, call: Call, asked: Asked) -> Refused:
    """The refusal that carries its challenge. It is returned, not raised: the challenge has to be committed."""
    call.fresh = asked.new
    return Refused(Reason.STEP_UP_REQUIRED, facts={"challenge": challenge_view(asked.challenge, world, now=tx.now)})


def count_proof(_call: Call, result: Result) -> None:
    if isinstance(result, Refused):
        _answers(result.reason.value).inc()
    elif isinstance(result, Proved):
        whole = sum(one.state == State.APPROVED for one in result.approved)
        _answers("approved" if whole else "advanced").inc()
        _challenges(State.APPROVED.value).inc(whole)


def count_denial(_call: Call, result: Result) -> None:
    if result is None:
        _answers("denied").inc()
        _challenges(State.DENIED.value).inc()


def count_cancel(_call: Call, result: Result) -> None:
    if result is None:
        _challenges(State.CANCELLED.value).inc()
