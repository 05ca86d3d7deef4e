"""The lost phone, from *not even that*: no authenticator, no recovery code, and back to a guarded order (M20).

The walker has his password, his mailbox, documents and a new phone. He makes the call that he wants and does what the
answers tell him to do next. Two agents do their part in between, and a day passes. A thief with the password alone
walks the same way and is stuck; one with password and forged documents is stopped by a link in the owner's mail.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import pytest

from api.test_recovery import with_login
from api_deployment import PASSWORD, Deployment, Owner, Reply, order
from leverlock.app.accounts import set_address
from leverlock.domain.limits import DAY
from leverlock.domain.messages import Channel
from leverlock.domain.roles import Role
from leverlock.domain.totp import hotp, step_at
from operators import (
    approved,
    cancel_link,
    enrolment_link,
    must_be_told,
    operator,
    picture,
    signed_in,
    state,
    submitted,
    sweep,
)

MOST_STEPS = 80


@dataclass
class Walker:
    """Somebody with these things at hand, in the words of `needs`."""

    owner: Owner
    lost: list[str]
    has: set[str] = field(default_factory=lambda: {"password", "mailbox", "documents", "new_app"})
    token: str | None = None
    seeds: dict[str, bytes] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)  # since the state of things last changed
    bound: str = ""

    @property
    def deployment(self) -> Deployment:
        return self.owner.deployment

    def code(self, environment: str) -> str:
        return hotp(self.seeds[environment], step_at(self.deployment.clock.now_ms()))

    def call(self, method: str, path: str, body: Any = None) -> Reply:
        self.steps.append(f"{method} {path.split('/v1')[1]}")
        assert len(self.steps) < MOST_STEPS, self.steps
        if "/documents?kind=" in path:
            headers: list[tuple[str, str | bytes]] = [("Content-Type", "image/jpeg")]
            answer = self.deployment.api.call(method, path, raw=picture(), headers=headers, token=self.token)
        else:
            answer = self.deployment.api.call(method, path, body, token=self.token)
        self.learn(answer)
        return answer

    def learn(self, answer: Reply) -> None:
        shown = answer.json if answer.body else {}
        if "token" in shown:
            self.token = shown["token"]
        if "otpauth_uri" in shown:
            self.bound = shown["environment"]
            self.seeds[self.bound] = base64.b32decode(shown["secret"])

    def able(self, step: dict[str, Any]) -> bool:
        if f"{step['method']} {step['path']}" in self.tried:
            return False
        holds = {
            **dict.fromkeys(self.has, True),
            "login_authenticator": "login" in self.seeds,
            "authenticator": "futures" in self.seeds,
        }
        return all(holds.get(need, False) for need in step.get("needs", []))

    def fill(self, step: dict[str, Any]) -> Any:
        values: dict[str, Any] = {
            "login": self.owner.login,
            "password": PASSWORD,
            "environments": self.lost,
            "statement": "My telephone fell into the sea, and my recovery codes with it.",
        }
        needs = step.get("needs", [])
        body = {}
        for name in step.get("sends", []):
            if name == "token":
                body[name] = enrolment_link(self.deployment, self.owner.account_id)
            elif name == "code":
                which = "login" if "login_authenticator" in needs else self.bound if "new_app" in needs else "futures"
                body[name] = self.code(which)
            else:
                body[name] = values[name]
        return body or None

    def follow(self, answer: Reply) -> list[Reply]:
        """Do what an answer tells to do next, to the end of that way; what came of it, last first."""
        seen = [answer]
        while True:
            shown = seen[0].json if seen[0].body else {}
            options = [step for one in (*shown.get("cases", []), shown) for step in one.get("next", [])]
            doable = [step for step in options if self.able(step)]
            if not doable:
                return seen
            step = doable[0]
            if step["method"] != "GET" or self.steps[-1].startswith("GET"):
                self.tried.add(f"{step['method']} {step['path']}")  # looking twice in a row shows nothing new
            again = self.call(step["method"], step["path"], self.fill(step))
            if again.status == 200 and step["path"].endswith(("/proof", "/confirmation", "/login-challenge")):
                self.deployment.clock.next_step()
            seen.insert(0, again)


def ordering(walker: Walker) -> Reply:
    return walker.call("POST", "/v1/authorize", order(quantity="3"))


def lost_everything(deployment: Deployment) -> Owner:
    """Somebody with futures and login on and an address; what he had is at the bottom of the sea."""
    owner, _ = with_login(deployment)
    deployment.now(
        lambda tx: set_address(
            tx, deployment.world, account_id=owner.account_id, channel=Channel.EMAIL, target="o@example.com", by="test:"
        )
    )
    return owner


def case_of(owner: Owner) -> str:
    ((case,),) = owner.deployment.rows("SELECT case_id FROM recovery_case WHERE account_id = ?", (owner.account_id,))
    return str(case)


def at_the_desk(owner: Owner, agents: tuple[Owner, Owner]) -> None:
    """The two agents approve, a day passes, and the sweeper comes by."""
    approved(owner, case_of(owner), *(signed_in(agent) for agent in agents))
    owner.deployment.clock.advance(DAY)
    sweep(owner.deployment)


@pytest.fixture(scope="module")
def agents(deployment: Deployment) -> tuple[Owner, Owner]:
    return operator(deployment, Role.SUPPORT), operator(deployment, Role.SECURITY)


@pytest.mark.mission("M20")
@pytest.mark.bar("B36")
@pytest.mark.bar("B37")
def test_from_not_even_that_back_to_a_guarded_order(deployment: Deployment, agents: tuple[Owner, Owner]) -> None:
    owner = lost_everything(deployment)
    walker = Walker(owner, ["login", "futures"])
    assert walker.follow(ordering(walker))[0].json.get("state") == "submitted", walker.steps
    walker.tried.clear()
    at_the_desk(owner, agents)

    # He looks again: his session is over, so he signs in, says once more what he lost, and is sent to his mailbox.
    walker.follow(ordering(walker))
    assert "POST /recovery-links" in walker.steps, walker.steps
    assert set(walker.seeds) == {"futures", "login"}, walker.steps

    # Both are bound; he signs in with them, and the order that opens a position waits for the day of holds.
    walker.tried.clear()
    walker.follow(ordering(walker))
    held = ordering(walker)
    assert held.problem == "on-hold", (held, walker.steps)
    deployment.clock.advance(held.json["retry_after"] * 1000)
    walker.tried.clear()
    for _ in range(4):
        answer = ordering(walker)
        if answer.status == 200:
            break
        walker.follow(answer)
    assert answer.status == 200, (answer, walker.steps)
    assert answer.json["decision"] == "granted"
    redeemed = walker.call("POST", "/v1/redeem", {**order(quantity="3"), "grant": answer.json["grant"]})
    assert redeemed.status == 200
    must_be_told(deployment, owner.account_id)


def came_back(deployment: Deployment, agents: tuple[Owner, Owner]) -> tuple[Owner, str, str]:
    """(owner, case, token of the recovering session): a case whose link was just used."""
    owner = lost_everything(deployment)
    deployment.clock.next_step()
    signed_in(owner)
    case = submitted(owner)
    at_the_desk(owner, agents)
    link = enrolment_link(deployment, owner.account_id)
    opened = deployment.api.call("POST", "/v1/recovery-links", {"token": link})
    assert (opened.status, opened.json["state"]) == (201, "recovery"), opened
    return owner, case, opened.json["token"]


@pytest.mark.bar("B36")
def test_the_link_is_good_once_and_opens_nothing_but_the_lost_environments(
    deployment: Deployment, agents: tuple[Owner, Owner]
) -> None:
    owner, case, token = came_back(deployment, agents)
    link = enrolment_link(deployment, owner.account_id)
    api = deployment.api
    never = api.call("POST", "/v1/recovery-links", {"token": link[:-1] + ("0" if link[-1] != "0" else "1")})
    again = api.call("POST", "/v1/recovery-links", {"token": link})
    assert (never.status, never.body) == (again.status, again.body)
    assert again.problem == "unknown-id"
    # The lost environment, and no other; nothing that the account's owner does.
    assert api.call("POST", "/v1/environments/login/authenticators", token=token).problem == "recovery-only"
    assert api.call("POST", "/v1/environments/spot/authenticators", token=token).problem == "recovery-only"
    for method, path, body in (
        ("POST", "/v1/authorize", order()),
        ("GET", "/v1/keys", None),
        ("GET", "/v1/challenges", None),
        ("GET", "/v1/operator", None),
    ):
        assert api.call(method, path, body, token=token).problem in ("recovery-only", "not-permitted")
    assert api.call("POST", "/v1/environments/futures/authenticators", token=token).status == 201
    assert owner.call("GET", "/v1/sessions/current").problem == "not-authenticated"  # every other session ended
    scopes = {
        (e["details"]["environment"], *e["details"]["scopes"]) for e in owner.events() if e["kind"] == "hold.placed"
    }
    assert scopes == {("futures", "addresses", "keys", "movements", "opening")}
    assert state(owner, case) == "used"
    must_be_told(deployment, owner.account_id)


@pytest.mark.bar("B36")
@pytest.mark.parametrize("late_ms", [10 * 60_000, 11 * 60_000])
def test_the_link_is_dead_after_ten_minutes(deployment: Deployment, agents: tuple[Owner, Owner], late_ms: int) -> None:
    owner = lost_everything(deployment)
    signed_in(owner)
    case = submitted(owner)
    at_the_desk(owner, agents)
    link = enrolment_link(deployment, owner.account_id)
    deployment.clock.advance(late_ms)
    assert deployment.api.call("POST", "/v1/recovery-links", {"token": link}).problem == "unknown-id"
    assert state(owner, case) == "ready"


@pytest.mark.bar("B37")
@pytest.mark.parametrize("bound", [False, True])
def test_a_cancel_wins_over_a_link_that_was_used(
    deployment: Deployment, agents: tuple[Owner, Owner], bound: bool
) -> None:
    """Somebody else came back as the owner: for a day the link in the notice still stops him, whatever he did."""
    owner, case, token = came_back(deployment, agents)
    api = deployment.api
    if bound:
        started = api.call("POST", "/v1/environments/futures/authenticators", token=token).json
        code = hotp(base64.b32decode(started["secret"]), step_at(deployment.clock.now_ms()))
        path = f"/v1/environments/futures/authenticators/{started['authenticator']}/confirmation"
        assert api.call("POST", path, {"code": code}, token=token).status == 200
        deployment.clock.advance(DAY - 60_000)
    link = cancel_link(deployment, owner.account_id)
    for _ in range(2):
        assert api.call("POST", "/v1/cancellations", {"token": link}).status == 204
    assert state(owner, case) == "cancelled"
    assert api.call("GET", "/v1/sessions/current", token=token).problem == "not-authenticated"
    signing = api.call("POST", "/v1/sessions", {"login": owner.login, "password": PASSWORD})
    assert signing.problem == "sign-in-failed"  # the account is locked until an operator has looked
    assert [e["kind"] for e in owner.events()].count("account.locked") == 1
    must_be_told(deployment, owner.account_id)


def test_after_its_day_a_recovery_has_taken_effect(deployment: Deployment, agents: tuple[Owner, Owner]) -> None:
    owner, case, _ = came_back(deployment, agents)
    link = cancel_link(deployment, owner.account_id)
    deployment.clock.advance(DAY)
    assert deployment.api.call("POST", "/v1/cancellations", {"token": link}).problem == "case-state"
    assert state(owner, case) == "used"


@pytest.mark.bar("B37")
def test_a_link_and_a_cancel_at_once_leave_nobody_inside(deployment: Deployment, agents: tuple[Owner, Owner]) -> None:
    import threading

    for _ in range(4):
        owner = lost_everything(deployment)
        signed_in(owner)
        case = submitted(owner)
        at_the_desk(owner, agents)
        link = enrolment_link(deployment, owner.account_id)
        stop = cancel_link(deployment, owner.account_id)
        gate = threading.Barrier(3)
        answers: list[Reply] = []

        def run(path: str, token: str, gate: Any = gate, answers: Any = answers) -> None:
            gate.wait()
            answers.append(deployment.api.call("POST", path, {"token": token}))

        calls = [("/v1/recovery-links", link), ("/v1/cancellations", stop), ("/v1/recovery-links", link)]
        threads = [threading.Thread(target=run, args=call) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert state(owner, case) == "cancelled"
        tokens = [answer.json["token"] for answer in answers if answer.status == 201]
        assert len(tokens) <= 1
        for token in tokens:
            assert deployment.api.call("GET", "/v1/sessions/current", token=token).problem == "not-authenticated"


@pytest.mark.mission("M20")
@pytest.mark.bar("B37")
def test_a_thief_with_the_password_and_forged_documents_is_stopped_by_the_mail(
    deployment: Deployment, agents: tuple[Owner, Owner]
) -> None:
    owner = lost_everything(deployment)
    thief = Walker(owner, ["login", "futures"], {"password", "documents", "new_app"})
    thief.follow(ordering(thief))
    assert state(owner, case_of(owner)) == "submitted"
    at_the_desk(owner, agents)
    thief.tried.clear()
    thief.follow(ordering(thief))
    assert "POST /recovery-links" not in thief.steps  # the link is in a mailbox that is not his
    assert not thief.seeds
    stop = cancel_link(deployment, owner.account_id)
    assert deployment.api.call("POST", "/v1/cancellations", {"token": stop}).status == 204
    assert state(owner, case_of(owner)) == "cancelled"


@pytest.mark.mission("M20")
def test_a_thief_with_the_password_alone_opens_no_case_that_is_looked_at(deployment: Deployment) -> None:
    owner = lost_everything(deployment)
    thief = Walker(owner, ["login", "futures"], {"password", "new_app"})
    thief.follow(ordering(thief))
    assert deployment.rows("SELECT * FROM recovery_case WHERE account_id = ?", (owner.account_id,)) == []
    assert not thief.seeds
