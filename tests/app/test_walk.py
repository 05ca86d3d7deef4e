"""A random walk over the verbs, against a model that knows the rules by heart.

The model predicts every answer to a proof exactly, and says after every verb which rows may have changed and how;
nothing else may. I1-I3, I5-I7, I9-I13 and I18 are named where they are held; I4 with a list of what was executed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from app.observing import FUTURES, SPOT, count_compares, events, replacing
from leverlock.app import accounts, answers, api_keys, redeem
from leverlock.app.decide import Asked
from leverlock.app.prove import grant_of
from leverlock.app.redeem import Redeemed, Voided
from leverlock.domain.action import Action
from leverlock.domain.challenge import Challenge, Denial, State, may_step
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import Limits
from leverlock.domain.policy_file import load_policy
from leverlock.domain.totp import hotp, step_at
from trail_state import AccountState, must_agree, stored
from world import STEP_MS, Deployment, Owner, SettableClock, order, policy_text

HOUR = 3_600_000
# Thousands of commits and no power to lose: a file system in memory saves their syncs where there is one.
MEMORY = next((folder for folder in ("/dev/shm",) if os.access(folder, os.W_OK)), None)
LIMITS = Limits(factor_disable_after=8)
POLICIES = [load_policy(policy_text(name)) for name in ("literal", "trader")]
SYMBOLS = st.sampled_from(["A", "B", "SPOT"])
CODES = st.sampled_from(["now", "now", "now", "before", "after", "old", "future", "wrong", "other environment"])


def action(symbol: str, leverage: int | None = 75) -> Action:
    """Two orders, and one action of another environment that needs the password too."""
    return replacing(SPOT) if symbol == "SPOT" else order(symbol=symbol, leverage=leverage)


@cache
def template() -> tuple[Path, tempfile.TemporaryDirectory[str], dict[str, Owner]]:
    """A deployment with two owners and a key each, made once and copied for every walk."""
    folder = tempfile.TemporaryDirectory(prefix="leverlock-walk-")
    with Deployment.create(Path(folder.name), limits=LIMITS) as deployment:
        owners = {name: deployment.owner(name, enrolled=[SPOT, FUTURES]) for name in ("alice", "bob")}
        for owner in owners.values():
            owner.asked(order(symbol="MINE"), principal=owner.key().principal)
    return Path(folder.name), folder, owners


@dataclass
class Asking:
    """What the model knows of a challenge: who asked for what, and when its waiting ends."""

    challenge: Challenge
    symbol: str
    principal: str
    grant_ends: int = 0
    wrong: int = 0


class Walk(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        source, _, owners = template()
        self.folder = Path(tempfile.mkdtemp(prefix="leverlock-walk-", dir=MEMORY))
        for name in ("leverlock.db", "keyring.json"):
            shutil.copy2(source / name, self.folder / name)
        self.clock = SettableClock(owners["alice"].deployment.clock.ms + STEP_MS)
        self.policy = POLICIES[0]
        self.open()
        self.alice, self.bob = (replace(owner, deployment=self.deployment) for owner in owners.values())
        self.principals = [self.alice.principal]
        self.principals += [key.principal for key in self.deployment.read(lambda tx: tx.keys(self.alice.account_id))]
        self.askings: dict[str, Asking] = {}
        self.accepted: set[tuple[Environment, int]] = set()
        self.last_step = dict(self.alice.used)
        self.streak = dict.fromkeys((SPOT, FUTURES), 0)
        self.blocked = dict.fromkeys((SPOT, FUTURES), 0)
        self.denied: dict[tuple[str, str], int] = {}  # (symbol, asker) -> until when it is not asked again
        self.disabled: set[Environment] = set()
        self.wrong_at: list[int] = []
        self.frozen = False  # the second asker, by "this was not me"
        self.executed: list[str] = []
        self.told: dict[str, tuple[str, bytes, str]] = {}
        self.bobs = stored(self.deployment.path, self.bob.account_id)
        self.state = self.look()
        self.mark = 0

    def open(self) -> None:
        self.deployment = Deployment.open(self.folder, clock=self.clock, limits=LIMITS)
        policy = self.policy
        self.deployment.world = replace(self.deployment.world, policy=lambda: policy)
        self.deployment.run(lambda tx: tx.set_setting("policy_version", policy.version))
        self.compares = count_compares(self.deployment)

    def look(self) -> AccountState:
        return stored(self.deployment.path, self.alice.account_id)

    # -- what may change ---------------------------------------------------------------------------------------------
    def changed(
        self, allowed: dict[str, set[State]], *, new: bool = False, factors: set[Environment] | None = None
    ) -> None:
        """The rows that changed are those that may, and each went along its machine (I10, I11)."""
        before, self.state = self.state, self.look()
        for challenge_id, (now, _) in self.state.challenges.items():
            if challenge_id not in before.challenges:
                assert new
                continue
            was = before.challenges[challenge_id][0]
            if now != was:
                assert may_step(State(was), State(now))
                assert State(now) in allowed.get(challenge_id, set()), (challenge_id, was, now)
        for authenticator_id, factor in self.state.factors.items():
            old = before.factors[authenticator_id]
            assert factor.last_step >= old.last_step  # I2
            if Environment(factor.environment) not in (factors or set()):
                assert factor == old

    def overdue(self) -> dict[str, set[State]]:
        """Live challenges that time has ended: whoever comes by may write it down."""
        return {
            challenge_id: {State.EXPIRED}
            for challenge_id in self.state.challenges
            if challenge_id not in self.askings or self.state_of(challenge_id) is State.EXPIRED
        }

    def state_of(self, challenge_id: str) -> State:
        state = State(self.state.challenges[challenge_id][0])
        asking = self.askings[challenge_id]
        ends = asking.challenge.expires_at if state is State.PENDING else asking.grant_ends
        return State.EXPIRED if state in (State.PENDING, State.APPROVED) and self.clock.ms >= ends else state

    def pick(self, data: st.DataObject, *, among: State = State.PENDING) -> tuple[str, Asking]:
        """Any challenge, most often one in this state. Drawn by its place: ids are random and cannot be replayed."""
        live = [c for c in self.askings if self.state_of(c) is among]
        candidates = live if live and data.draw(st.integers(0, 3)) else list(self.askings)
        challenge_id = candidates[data.draw(st.integers(0, len(candidates) - 1))]
        return challenge_id, self.askings[challenge_id]

    # -- the verbs ---------------------------------------------------------------------------------------------------
    @rule(ms=st.one_of(st.integers(0, 95_000), st.sampled_from([STEP_MS, 5 * 60_000, HOUR, 25 * HOUR])))
    def tick(self, ms: int) -> None:
        self.clock.tick(ms)

    @rule(symbol=SYMBOLS, who=st.integers(0, 1), leverage=st.sampled_from([75, 75, 75, 125, None]))
    def ask(self, symbol: str, who: int, leverage: int | None) -> None:
        principal = self.principals[who]
        may = self.overdue()
        for challenge_id, asking in self.askings.items():
            if (asking.symbol, asking.principal) == (symbol, principal):
                may.setdefault(challenge_id, set()).update({State.CANCELLED, State.EXPIRED})
        environment = SPOT if symbol == "SPOT" else FUTURES
        denied = self.denied.get((symbol, principal), 0) > self.clock.ms
        try:
            answer = self.alice.ask(action(symbol, leverage), principal=principal)
        except Refused as why:
            expected = {Reason.DENIED if denied else Reason.TOO_MANY_CHALLENGES}
            if environment in self.disabled:
                expected = {Reason.NO_USABLE_FACTOR}
            if self.frozen and who:
                expected = {Reason.KEY_FROZEN}
            assert why.reason in expected, why  # noqa: PT017
            self.changed(may)
            return
        assert isinstance(answer, Asked)
        assert environment not in self.disabled  # I7
        assert not denied
        self.askings.setdefault(answer.challenge.challenge_id, Asking(answer.challenge, symbol, principal))
        self.changed(may, new=True)

    def code(self, kind: str, environment: Environment) -> tuple[str, int]:
        """A code of this kind and the step it proves, -1 for none that counts."""
        now = step_at(self.clock.ms)
        other = SPOT if environment is FUTURES else FUTURES
        if kind == "wrong":
            return self.alice.wrong_code(environment), -1
        seed = self.alice.seeds[other if kind == "other environment" else environment]
        step = now + {"before": -1, "after": 1, "old": -5, "future": 2}.get(kind, 0)
        code = hotp(seed, step)
        # Codes may collide: what counts is what the digits prove in this window (I9: three answers, no more).
        proved = [n for n in (now - 1, now, now + 1) if hotp(self.alice.seeds[environment], n) == code]
        return code, max(proved, default=-1)

    def predicted(self, asking_ids: list[str], environment: Environment, step: int) -> tuple[Reason | None, bool]:
        """Why this answer must be refused (None: accepted), and whether it is counted (I6)."""
        for challenge_id in asking_ids:
            state = self.state_of(challenge_id)
            if state is not State.PENDING:
                known = {State.EXPIRED: Reason.CHALLENGE_EXPIRED, State.FAILED: Reason.CHALLENGE_FAILED}
                return known.get(state, Reason.CHALLENGE_NOT_PENDING), False
        if len(asking_ids) > 1 and any(self.askings[c].symbol == "SPOT" for c in asking_ids):
            return Reason.CANNOT_GROUP, False
        recent = [at for at in self.wrong_at if at > self.clock.ms - 24 * HOUR]
        if len(recent) >= 20 and self.clock.ms < recent[-1] + HOUR:
            return Reason.ACCOUNT_BUDGET_SPENT, False
        if environment in self.disabled:
            return Reason.FACTOR_DISABLED, False
        if self.clock.ms < self.blocked[environment]:
            return Reason.FACTOR_BLOCKED, False
        if step < 0:
            return Reason.WRONG_CODE, True
        return (Reason.CODE_ALREADY_USED, True) if step <= self.last_step[environment] else (None, False)

    @precondition(lambda self: self.askings)
    @rule(data=st.data(), kind=CODES, several=st.integers(1, 3))
    def prove(self, data: st.DataObject, kind: str, several: int) -> None:
        self.answer(self.pick(data)[0], kind, several)

    @rule(symbol=SYMBOLS, who=st.integers(0, 1), wait=st.integers(0, 60_000))
    def approve(self, symbol: str, who: int, wait: int) -> None:
        """What an owner does: is asked, waits for the next code, types it."""
        self.ask(symbol, who, 75)
        self.tick(wait)
        waiting = [c for c in self.askings if self.state_of(c) is State.PENDING]
        if waiting:
            self.answer(waiting[-1], "now", 1)

    @rule(symbol=SYMBOLS, count=st.integers(1, 5))
    def guess(self, symbol: str, count: int) -> None:
        """What a thief does."""
        self.ask(symbol, 0, 75)
        waiting = [c for c in self.askings if self.state_of(c) is State.PENDING]
        for _ in range(count if waiting else 0):
            self.answer(waiting[-1], "wrong", 1)

    def answer(self, first: str, kind: str, several: int) -> None:
        ids, asking = [first], self.askings[first]
        if several > 1:
            ids += [c for c in self.askings if c != first and self.state_of(c) is State.PENDING][: several - 1]
        environment = asking.challenge.environment
        code, step = self.code(kind, environment)
        reason, counted = self.predicted(ids, environment, step)
        compares = self.compares.asked
        got: Reason | None = None
        try:
            approved = self.alice.prove(*ids, code=code)
        except Refused as why:
            got = why.reason
        assert got == reason, (got, reason, kind)
        evaluated = self.compares.asked - compares
        assert evaluated == (counted or reason is None)  # I6: nothing is looked at that is not counted or accepted
        may: dict[str, set[State]] = {}
        if counted:
            self.count_wrong(environment, ids, may)
        if reason is None:
            assert (environment, step) not in self.accepted  # I1
            self.accepted.add((environment, step))
            self.last_step[environment], self.streak[environment], self.blocked[environment] = step, 0, 0
            for answer in approved:
                self.note_grant(answer.challenge, answer.grant, answer.grant_expires_at)
                may[answer.challenge.challenge_id] = {State.APPROVED}
        self.changed(may, factors={environment} if counted or reason is None else set())

    def count_wrong(self, environment: Environment, ids: list[str], may: dict[str, set[State]]) -> None:
        now = self.clock.ms
        self.wrong_at = [at for at in self.wrong_at if at > now - 24 * HOUR] + [now]
        self.streak[environment] += 1
        streak = self.streak[environment]
        if streak >= LIMITS.factor_disable_after:
            self.disabled.add(environment)
        elif streak >= 5:
            self.blocked[environment] = now + min(30_000 << (streak - 5), HOUR)
        for challenge_id in ids:
            asking = self.askings[challenge_id]
            asking.wrong += 1
            if asking.wrong >= 5:
                may[challenge_id] = {State.FAILED}

    def note_grant(self, challenge: Challenge, grant: str, ends: int) -> None:
        asking = self.askings[challenge.challenge_id]
        asking.grant_ends = ends
        assert ends == self.clock.ms + LIMITS.grant_life_ms
        assert grant not in self.told  # I3: one grant, one challenge, one hash, one principal
        self.told[grant] = (challenge.challenge_id, challenge.digest, challenge.principal)

    @precondition(lambda self: self.askings)
    @rule(
        data=st.data(),
        what=st.sampled_from(["same", "same", "same", "other action", "other asker", "other facts"]),
    )
    def redeem(self, data: st.DataObject, what: str) -> None:
        challenge_id, asking = self.pick(data, among=State.APPROVED)
        grant = grant_of(self.deployment.world, asking.challenge)
        known = {125: '"125"', 75: '"75"'}
        leverage = next((n for n, text in known.items() if text.encode() in asking.challenge.facts), None)
        principal = asking.principal
        asked = action(asking.symbol, leverage)
        if what == "other action":
            asked = order(symbol="ELSE")
        elif what == "other facts":
            asked = action(asking.symbol, 101)
        elif what == "other asker":
            principal = next(other for other in self.principals if other != principal)
        state = self.state_of(challenge_id)
        try:
            answer = self.alice.redeem(asked, grant, principal=principal)
        except Refused as why:
            assert state is not State.APPROVED or what == "other asker" or leverage is None or self.told_no(why), why  # noqa: PT017
            self.changed({})
            return
        assert state is State.APPROVED  # I5: no execution without an approval that is still alive
        if isinstance(answer, Voided):
            assert what != "same" or asking.challenge.policy_version != self.policy.version or leverage is None
            self.changed({challenge_id: {State.CANCELLED}})
            return
        assert isinstance(answer, Redeemed)
        assert what == "same" or (what == "other facts" and asking.symbol == "SPOT")
        assert self.told[grant] == (challenge_id, answer.challenge.digest, principal)  # I3
        self.executed.append(challenge_id)
        self.changed({challenge_id: {State.CONSUMED}})

    def told_no(self, why: Refused) -> bool:
        """Refusals of a live grant: its asker was stopped, or its factor broke."""
        return why.reason in (Reason.KEY_REVOKED, Reason.KEY_FROZEN, Reason.NO_USABLE_FACTOR)

    @rule(symbol=SYMBOLS, who=st.integers(0, 1))
    def repeat(self, symbol: str, who: int) -> None:
        """The gateway's way: the same call again executes once it is approved, and asks otherwise."""
        principal = self.principals[who]
        may = self.overdue()
        for challenge_id, asking in self.askings.items():
            if (asking.symbol, asking.principal) == (symbol, principal):
                may.setdefault(challenge_id, set()).update({State.CANCELLED, State.EXPIRED, State.CONSUMED})
        intent = self.alice.intent(action(symbol), principal=principal)
        approved = {c for c in self.askings if self.state_of(c) is State.APPROVED}
        try:
            answer = self.deployment.run(lambda tx: redeem.redeem_or_ask(tx, self.deployment.world, intent=intent))
        except Refused:
            self.changed(may)
            return
        if isinstance(answer, Redeemed):
            assert answer.challenge.challenge_id in approved
            self.executed.append(answer.challenge.challenge_id)
        elif isinstance(answer, Asked):
            self.askings.setdefault(answer.challenge.challenge_id, Asking(answer.challenge, symbol, principal))
        self.changed(may, new=True)

    @precondition(lambda self: self.askings)
    @rule(data=st.data(), verb=st.sampled_from(["deny", "cancel", "not me"]))
    def close(self, data: st.DataObject, verb: str) -> None:
        challenge_id, asking = self.pick(data)
        world, alice = self.deployment.world, self.alice
        named: dict[str, Any] = {"account_id": alice.account_id, "challenge_id": challenge_id}
        may = {challenge_id: {State.CANCELLED if verb == "cancel" else State.DENIED}}
        if verb == "not me" and asking.principal.startswith("key:"):
            may |= {c: {State.CANCELLED} for c, other in self.askings.items() if other.principal == asking.principal}
            may[challenge_id] = {State.DENIED}
        elif verb == "not me":
            verb = "deny"
        state = self.state_of(challenge_id)
        try:
            if verb == "cancel":
                self.deployment.run(lambda tx: answers.cancel(tx, world, principal=asking.principal, **named))
            else:
                denial = Denial.NOT_ME if verb == "not me" else Denial.CHANGED_MIND
                self.deployment.run(
                    lambda tx: answers.deny(tx, world, answered_by=alice.principal, denial=denial, **named)
                )
        except Refused:
            assert state is not State.PENDING
            self.changed({})
            return
        assert state is State.PENDING or (verb == "cancel" and state is State.APPROVED)
        if verb != "cancel":
            self.denied[asking.symbol, asking.principal] = asking.challenge.expires_at
        if verb == "not me":
            self.mine_may_end(may)
            self.frozen = True
        self.changed(may)

    def mine_may_end(self, may: dict[str, set[State]]) -> None:
        """The challenge that the template's key holds ends with its key."""
        for challenge_id in self.state.challenges:
            if challenge_id not in self.askings:
                may[challenge_id] = {State.CANCELLED}

    @rule(what=st.sampled_from(["revoke", "lock", "policy", "restart", "sweep", "nothing"]))
    def rarely(self, what: str) -> None:
        """Verbs that end much would end everything if they came as often as the others."""
        verbs = {
            "revoke": self.revoke,
            "lock": self.lock_and_unlock,
            "policy": self.change_policy,
            "restart": self.restart,
            "sweep": self.sweep,
        }
        verbs.get(what, lambda: None)()

    def revoke(self) -> None:
        may = {c: {State.CANCELLED} for c, asking in self.askings.items() if asking.principal == self.principals[1]}
        self.mine_may_end(may)
        key_id = self.principals[1].partition(":")[2]
        world = self.deployment.world
        with suppress(Refused):
            self.deployment.run(
                lambda tx: api_keys.revoke_key(tx, world, account_id=self.alice.account_id, key_id=key_id, by="walk:")
            )
        assert not [c for c in may if self.look().challenges[c][0] in ("pending", "approved")]
        self.changed(may)
        self.principals[1], self.frozen = self.alice.key().principal, False
        self.state = self.look()

    def lock_and_unlock(self) -> None:
        may = {c: {State.CANCELLED} for c in self.state.challenges}
        world, account_id = self.deployment.world, self.alice.account_id
        self.deployment.run(lambda tx: accounts.lock(tx, world, account_id=account_id, by="walk:"))
        assert not [c for c, (state, _) in self.look().challenges.items() if state in ("pending", "approved")]
        self.changed(may)
        self.deployment.run(lambda tx: accounts.unlock(tx, world, account_id=account_id, by="walk:"))

    def sweep(self) -> None:
        may = self.overdue()
        self.alice.swept()
        self.changed(may)

    def change_policy(self) -> None:
        self.policy = next(policy for policy in POLICIES if policy is not self.policy)
        self.deployment.close()
        self.open()
        self.rejoin()

    def restart(self) -> None:
        self.deployment.close()
        self.open()
        self.rejoin()
        self.changed({})

    def rejoin(self) -> None:
        self.alice.deployment = self.bob.deployment = self.deployment

    # -- what always holds -------------------------------------------------------------------------------------------
    @invariant()
    def counters_are_the_models(self) -> None:
        for environment in (SPOT, FUTURES):
            factor = self.state.factors[self.alice.authenticators[environment]]
            expected = "disabled" if environment in self.disabled else "active"
            assert (factor.last_step, factor.streak, factor.state) == (
                self.last_step[environment],
                self.streak[environment],
                expected,
            )
        assert list(self.state.wrong_at) == self.wrong_at

    @invariant()
    def executed_is_consumed(self) -> None:
        """I4: one execution for one consumed grant, one to one."""
        consumed = sorted(c for c, (state, _) in self.state.challenges.items() if state == "consumed")
        assert sorted(self.executed) == consumed

    @invariant()
    def the_mark_never_falls(self) -> None:
        mark = int(self.deployment.read(lambda tx: tx.setting("high_water_ms")) or 0)
        assert mark >= self.mark  # I2
        self.mark = mark

    def teardown(self) -> None:
        try:
            must_agree(self.deployment.path, self.alice.account_id, events(self.alice))  # I12
            assert stored(self.deployment.path, self.bob.account_id) == self.bobs  # I18
        finally:
            self.deployment.close()
            shutil.rmtree(self.folder)


def walk(examples: int, steps: int) -> None:
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    how = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=quiet,
    )
    run_state_machine_as_test(Walk, settings=how)


@pytest.mark.bar("B88")
@pytest.mark.timeout(300)
def test_walks() -> None:
    walk(200, 30)


@pytest.mark.soak
@pytest.mark.bar("B88")
def test_long_walks() -> None:
    walk(5_000, 100)
