"""The lost phone: from *all I have is my password and a recovery code* back to a guarded order (M20, B35).

The walker knows nothing of our API but the call he wants to make. He makes it, and then does what the answers tell him
to do next, as far as he has what a step needs. Time passes when he is told to wait. A thief walks the same way with
what a thief has, and is stuck before anything changed.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import pytest

from api.test_recovery import half, mails, told_at, with_login
from api_deployment import PASSWORD, Deployment, Owner, Reply, order
from leverlock.domain.limits import DAY, MINUTE
from leverlock.domain.totp import hotp, step_at

FOUND_PASSWORD = "what I thought of instead"
MOST_STEPS = 80


@dataclass
class Walker:
    """Somebody with some things at hand: the words of `needs`, and what each is good for."""

    owner: Owner
    codes: dict[str, list[str]] = field(default_factory=dict)  # recovery codes by environment
    seeds: dict[str, bytes] = field(default_factory=dict)  # authenticator apps by environment
    password: str | None = PASSWORD
    mailbox: bool = False
    new_phone: bool = True
    token: str | None = None
    steps: list[str] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)  # since he last got anything
    waited_ms: int = 0
    bound: str = ""
    asked: str = "futures"

    @property
    def deployment(self) -> Deployment:
        return self.owner.deployment

    # -- one call --------------------------------------------------------------------------------------------------
    def call(self, method: str, path: str, body: Any = None) -> Reply:
        self.steps.append(f"{method} {path.split('/v1')[1]}")
        assert len(self.steps) < MOST_STEPS, self.steps
        answer = self.deployment.api.call(method, path, body, token=self.token)
        if answer.status == 429 or (answer.status == 403 and "retry_after" in answer.json):
            self.wait(answer.json["retry_after"])
        return answer

    def wait(self, seconds: int) -> None:
        self.deployment.clock.advance(seconds * 1000)
        self.waited_ms += seconds * 1000
        self.tried.clear()

    # -- what he has -----------------------------------------------------------------------------------------------
    def has(self, need: str) -> bool:
        return {
            "password": self.password is not None,
            "login_authenticator": "login" in self.seeds,
            "authenticator": self.asked in self.seeds or (self.asked == "any" and bool(self.seeds)),
            "new_app": self.new_phone,
            "recovery_code": any(self.codes.values()),
            "mailbox": self.mailbox,
        }.get(need, False)

    def can(self, step: dict[str, Any]) -> bool:
        if f"{step['method']} {step['path']}" in self.tried or not all(map(self.has, step.get("needs", []))):
            return False
        return "recovery_code" not in step.get("needs", []) or self.environment() is not None

    def environment(self) -> str | None:
        """Which environment he recovers: one that he has codes of and no app for."""
        lost = [name for name in ("login", self.asked) if self.codes.get(name) and name not in self.seeds]
        return lost[0] if lost else None

    def code_of(self, environment: str) -> str:
        return hotp(self.seeds[environment], step_at(self.deployment.clock.now_ms()))

    # -- what he sends ---------------------------------------------------------------------------------------------
    def fill(self, step: dict[str, Any]) -> Any:
        sends, needs = step.get("sends", []), step.get("needs", [])
        if not sends:
            return None
        body: dict[str, Any] = {}
        for name in sends:
            if name == "login":
                body[name] = self.owner.login
            elif name == "password":
                body[name] = FOUND_PASSWORD if self.password is None else self.password
            elif name == "token":
                body[name] = mails(self.owner, "password_reset.link")[-1]["token"]
            elif name == "environment" and "recovery_code" in needs:
                body[name] = self.environment()
            elif name == "environment":
                body[name] = next(iter(self.seeds))
            elif name == "code" and "recovery_code" in needs:
                body[name] = self.codes[str(self.environment())].pop()
            elif name == "code" and "login_authenticator" in needs:
                body[name] = self.code_of("login")
            elif name == "code":
                body[name] = self.code_of(self.bound if "new_app" in needs else self.asked)
        return body

    def learn(self, answer: Reply) -> None:
        """Keep what an answer gives: a session, a secret for the new app, new recovery codes."""
        shown = answer.json if answer.body else {}
        if "token" in shown:
            self.token = shown["token"]
        if "otpauth_uri" in shown:
            self.bound = shown["environment"]
            self.seeds[self.bound] = base64.b32decode(shown["secret"])
            self.tried.clear()
        if shown.get("recovery_codes"):
            self.codes[shown["environment"]] = shown["recovery_codes"]
        if shown.get("type") == "/problems/step-up-required":
            self.asked = shown["challenge"]["environment"]
        if shown.get("state") == "set" and self.password is None:
            self.password = FOUND_PASSWORD
            self.tried.clear()

    # -- the walk --------------------------------------------------------------------------------------------------
    def walk(self, want: Any, *, ready: Any) -> Reply | None:
        """Make the call `want` again and again, with all that its refusals tell to do in between. None when stuck."""
        while True:
            answer = want()
            self.learn(answer)
            if ready(answer):
                return answer
            if "retry_after" not in answer.json and not self.follow(answer):
                return None

    def follow(self, answer: Reply) -> bool:
        """Do what an answer tells to do next, to the end of that way. Whether anything could be done."""
        moved = False
        asked_by: dict[str, Any] | None = None
        while steps := answer.json.get("next", []):
            doable = [step for step in steps if self.can(step)]
            if not doable:
                return moved and answer.status < 400
            step = doable[0]
            self.tried.add(f"{step['method']} {step['path']}")
            answer = self.call(step["method"], step["path"], self.fill(step))
            self.learn(answer)
            moved = True
            if answer.status == 401:
                asked_by = step
            if answer.status == 200 and step["path"].endswith(("/proof", "/confirmation", "/login-challenge")):
                self.deployment.clock.next_step()
            if step["path"].endswith("/proof") and answer.status == 200 and asked_by is not None:
                answer = self.call(asked_by["method"], asked_by["path"], self.fill(asked_by))  # the very same call
                self.learn(answer)
                asked_by = None
        return moved


def ordering(walker: Walker) -> Any:
    """The guarded order that he wants, at 75x."""
    return lambda: walker.call("POST", "/v1/authorize", order(quantity="3"))


def granted(answer: Reply) -> bool:
    return answer.status == 200 and answer.json["decision"] == "granted"


def redeemed(walker: Walker, answer: Reply) -> Reply:
    return walker.call("POST", "/v1/redeem", {**order(quantity="3"), "grant": answer.json["grant"]})


@pytest.mark.mission("M20")
@pytest.mark.bar("B35")
def test_from_a_password_and_recovery_codes_back_to_a_guarded_order(deployment: Deployment) -> None:
    owner, codes = with_login(deployment)
    told_at(owner)
    walker = Walker(owner, codes)
    answer = walker.walk(ordering(walker), ready=granted)
    assert answer is not None, walker.steps
    assert redeemed(walker, answer).status == 200
    # Both were lost, so both were recovered, and each opening order waited for its own day.
    assert walker.steps.count("POST /recoveries") == 2
    assert walker.waited_ms >= DAY - 2 * MINUTE
    assert {mail["environment"] for mail in mails(owner, "recovery.opened")} == {"login", "futures"}
    opened = [event for event in owner.events() if event["kind"] == "recovery.opened"]
    assert len(opened) == 2


@pytest.mark.mission("M20")
def test_what_reduces_risk_waits_for_nobody(deployment: Deployment) -> None:
    owner, codes = with_login(deployment)
    walker = Walker(owner, codes)
    reducing = order(quantity="3", reduce_only=True)
    answer = walker.walk(lambda: walker.call("POST", "/v1/authorize", reducing), ready=granted)
    assert answer is not None, walker.steps
    assert walker.waited_ms == 0


@pytest.mark.mission("M20")
def test_from_a_mailbox_and_the_phone_back_to_a_guarded_order(deployment: Deployment) -> None:
    """The password is what is lost."""
    owner, _ = with_login(deployment)
    told_at(owner)
    seeds = {name: owner.seeds[name] for name in ("futures", "login")}
    walker = Walker(owner, {}, dict(seeds), password=None, mailbox=True)
    walker.asked = "any"
    answer = walker.walk(ordering(walker), ready=granted)
    assert answer is not None, walker.steps
    assert redeemed(walker, answer).status == 200
    assert walker.waited_ms >= DAY - 2 * MINUTE


# -- the thief ---------------------------------------------------------------------------------------------------------
def standing(owner: Owner) -> dict[str, Any]:
    """All that a thief would want to be otherwise."""
    rows = owner.deployment.rows
    account = (owner.account_id,)
    tables = ("authenticator", "recovery_code", "protection", "address", "enrolment_right", "hold", "api_key")
    found = {name: sorted(map(repr, rows(f"SELECT * FROM {name} WHERE account_id = ?", account))) for name in tables}
    found["password"] = rows("SELECT password_hash FROM account WHERE account_id = ?", account)
    found["approved"] = rows("SELECT count(*) FROM challenge WHERE account_id = ? AND state <> 'pending'", account)
    return found


THIEVES = {
    "password": {},
    "mailbox": {"password": None, "mailbox": True},
    "password and mailbox": {"mailbox": True},
    "nothing": {"password": None},
}


@pytest.mark.mission("M20")
@pytest.mark.bar("B34")
@pytest.mark.parametrize("login_on", [True, False])
@pytest.mark.parametrize("thief", THIEVES)
def test_a_thief_is_stuck_before_anything_changed(deployment: Deployment, thief: str, login_on: bool) -> None:
    owner = with_login(deployment)[0] if login_on else deployment.owner()
    told_at(owner)
    before = standing(owner)
    walker = Walker(owner, **THIEVES[thief])  # type: ignore[arg-type]
    assert walker.walk(ordering(walker), ready=granted) is None
    assert standing(owner) == before, walker.steps


@pytest.mark.bar("B34")
@pytest.mark.parametrize("login_on", [True, False])
def test_a_thief_with_the_password_gets_nowhere_off_the_way_either(deployment: Deployment, login_on: bool) -> None:
    """He tries every way back by itself, from every session that he can get, with whatever he makes up."""
    owner = with_login(deployment)[0] if login_on else deployment.owner()
    told_at(owner)
    api = deployment.api
    tokens = []
    if login_on:
        tokens = [half(owner), half(owner)]
        api.call("POST", "/v1/sessions/current/recovery", token=tokens[1])
    else:
        tokens = [owner.again().token]
    before = standing(owner)
    made_up = "aaaaaa-bbbbbb-cccccc-dddddd"
    for token in tokens:
        for environment in ("login", "futures", "spot"):
            path = f"/v1/environments/{environment}"
            for method, where, body in (
                ("POST", "/v1/recoveries", {"environment": environment, "code": made_up, "password": PASSWORD}),
                ("POST", f"{path}/recovery-codes", None),
                ("DELETE", f"{path}/protection", None),
                ("POST", "/v1/password", {"password": FOUND_PASSWORD}),
                ("POST", "/v1/addresses", {"channel": "email", "target": "thief@example.com"}),
                ("POST", "/v1/authorize", order()),
            ):
                answer = api.call(method, where, body, token=token)
                assert answer.status >= 400, (method, where, answer)
            started = api.call("POST", f"{path}/authenticators", token=token)
            # A first authenticator of a market that was never on is his to bind with a fresh password: that is M4.
            assert started.status >= 400 or (environment == "spot" and not login_on), started
    now = standing(owner)
    now["authenticator"] = [row for row in now["authenticator"] if "'pending'" not in row]
    assert now == before
    waiting = {mail["action"] for mail in mails(owner, "challenge.waiting")}
    assert bool(waiting) is not login_on  # the owner was rung about all that a full session could ask for
