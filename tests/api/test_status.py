"""Alive, ready or not and why, and what is counted; ordinary decisions that touch no database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api_deployment import POLICIES, Deployment, order
from leverlock import metrics
from leverlock.app.accounts import revoke_integrator
from leverlock.domain.fence import Because, Fence
from leverlock.domain.policy_file import load_policy


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment that a test may break."""
    running = Deployment(tmp_path)
    try:
        yield running
    finally:
        running.close()


def test_ready_says_why_not(own: Deployment) -> None:
    assert own.api.call("GET", "/healthz").json == {"status": "alive"}
    assert own.api.call("GET", "/readyz").json == {"status": "ready", "policy": "literal"}

    own.now(lambda tx: tx.set_setting("policy_version", "another"))
    other = own.api.call("GET", "/readyz")
    assert (other.status, other.problem) == (503, "not-ready")
    assert "policy" in other.json["detail"]
    own.now(lambda tx: tx.set_setting("policy_version", own.policy.version))

    own.clock.advance(-5 * 60_000)
    behind = own.api.call("GET", "/readyz")
    assert (behind.status, behind.json["detail"]) == (503, "the clock is behind what the database has already seen")
    own.clock.advance(5 * 60_000)

    own.now(lambda tx: tx.set_setting("fence_rising", Fence(1, Because.CLOCK_RESET, own.clock.now_ms()).text()))
    fenced = own.api.call("GET", "/readyz")
    assert (fenced.status, "fence" in fenced.json["detail"]) == (503, True)

    own.store.close()
    away = own.api.call("GET", "/readyz")
    assert (away.status, away.json["detail"]) == (503, "the database cannot be reached")
    assert away.headers["retry-after"] == "1"
    assert own.api.call("GET", "/healthz").status == 200


@pytest.mark.bar("B11")
def test_a_clock_set_back_stops_every_verification(own: Deployment) -> None:
    owner = own.owner()
    challenge = owner.challenged()["id"]
    code = owner.code()
    own.clock.advance(-5 * 60_000)
    for reply in (
        owner.prove(challenge, code),
        owner.prove(challenge, owner.code()),
        owner.call("POST", "/v1/authorize", order("2")),
        own.api.call("POST", "/v1/sessions", {"login": owner.login, "password": "correct horse battery staple"}),
    ):
        assert (reply.status, reply.problem) == (503, "clock-behind")
    own.clock.advance(5 * 60_000)
    ahead = owner.prove(challenge, owner.wrong_code(), headers=[("X-Test-Now", "0"), ("Date", "Thu, 01 Jan 1970")])
    assert ahead.problem == "wrong-code"
    assert owner.prove(challenge, code).status == 200


@pytest.mark.bar("B88")
def test_an_ordinary_decision_is_counted_and_touches_no_database(
    own: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, venue = own.owner(), own.integrator()
    body = {"account": owner.account_id, **order(leverage=20)}
    assert own.api.call("POST", "/v1/authorize", body, token=venue).status == 200  # the snapshot knows both now
    before = own.digest()
    counted = sample("leverlock_decisions_total", outcome="allow", why="no_rule_matched", action="futures.order.place")

    def away(*_: Any, **__: Any) -> Any:
        raise AssertionError("the database was touched")

    monkeypatch.setattr(own.store, "run", away)
    monkeypatch.setattr(own.store, "read", away)
    allowed = own.api.call("POST", "/v1/authorize", body, token=venue)
    assert allowed.json == {"decision": "allow", "why": "no_rule_matched"}
    assert own.api.call("POST", "/v1/authorize", {**body, **order(leverage=75)}, token=venue).status == 500
    monkeypatch.undo()
    assert own.digest() == before
    after = sample("leverlock_decisions_total", outcome="allow", why="no_rule_matched", action="futures.order.place")
    assert after == counted + 1


@pytest.mark.bar("B88")
def test_the_snapshot_is_never_older_than_a_second(own: Deployment) -> None:
    owner, venue = own.owner(futures=False), own.integrator()
    body = {"account": owner.account_id, **order()}
    assert own.api.call("POST", "/v1/authorize", body, token=venue).json["why"] == "not_enabled"
    owner.enable()  # moves the clock on by a step
    assert own.api.call("POST", "/v1/authorize", body, token=venue).problem == "step-up-required"

    ((integrator_id,),) = own.rows("SELECT integrator_id FROM integrator")
    own.now(lambda tx: revoke_integrator(tx, integrator_id=integrator_id, by="operator:test"))
    own.clock.advance(own.limits.snapshot_age_ms + 1)
    ordinary = {"account": owner.account_id, **order(leverage=20)}
    assert own.api.call("POST", "/v1/authorize", ordinary, token=venue).problem == "not-authenticated"


@pytest.mark.bar("B88")
def test_a_snapshot_keeps_nothing_that_it_read_before_a_change(own: Deployment) -> None:
    """A slow look at an account must not outlive a change that was taken in while it was under way."""
    owner = own.owner(futures=False)
    snapshot = own.services.snapshot

    async def race() -> bool:
        read = own.store.read

        async def slow_read(use_case: Any) -> Any:
            found = await read(use_case)
            if getattr(found, "account_id", None) == owner.account_id:
                own.store.read = read  # type: ignore[method-assign]
                await asyncio.to_thread(owner.enable)
                await snapshot.refresh()
            return found

        await snapshot.refresh()
        own.store.read = slow_read  # type: ignore[method-assign]
        await snapshot.account(owner.account_id)
        await snapshot.refresh()
        return bool((await snapshot.account(owner.account_id)).protected)

    assert asyncio.run(race())


def test_the_policy_that_is_being_replaced_decides_nothing_gated(own: Deployment) -> None:
    owner = own.owner()
    challenge = owner.challenged()["id"]
    grant = owner.prove(challenge).json["approved"][0]["grant"]
    own.policy = load_policy((POLICIES / "trader.toml").read_text())
    refused = owner.call("POST", "/v1/authorize", order("2"))
    assert (refused.status, refused.problem) == (409, "policy-changed")
    own.now(lambda tx: tx.set_setting("policy_version", own.policy.version))
    void = owner.call("POST", "/v1/redeem", {**order(), "grant": grant})
    assert (void.status, void.problem) == (409, "policy-changed")
    assert owner.call("GET", f"/v1/challenges/{challenge}").json["state"] == "cancelled"


def sample(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def page(accept: bytes = b"*/*", path: str = "/metrics") -> tuple[int, str]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"accept", accept)]}
    asyncio.run(metrics.create_metrics_app()(scope, None, send))
    return sent[0]["status"], sent[1]["body"].decode()


def test_metrics_count_by_closed_lists_and_name_nobody(own: Deployment) -> None:
    owner, venue = own.owner(), own.integrator()
    before = sample("leverlock_challenges_total", state="pending")
    challenge = owner.challenged()["id"]
    owner.challenged()  # the same intent is the same challenge
    owner.prove(challenge, owner.wrong_code())
    grant = owner.prove(challenge).json["approved"][0]["grant"]
    owner.call("POST", "/v1/redeem", {**order(), "grant": grant})
    own.api.call("GET", f"/v1/{owner.login}")
    own.api.call("BREW", "/v1/keys")
    metrics.watch_store(own.store)
    status, shown = page()
    assert status == 200
    assert sample("leverlock_challenges_total", state="pending") == before + 1
    for line in (
        'leverlock_answers_total{outcome="wrong_code"}',
        'leverlock_answers_total{outcome="approved"}',
        'leverlock_challenges_total{state="consumed"}',
        'leverlock_decisions_total{action="futures.order.place",outcome="challenge",why="rule_matched"}',
        'route="/v1/challenges/{id}/proof",status="200"',
        "leverlock_store_commits_total",
        "leverlock_store_batch_size",
    ):
        assert line in shown, line
    for word in (owner.login, owner.account_id, owner.token, venue, challenge, "BREW", "BTCUSDT", grant):
        assert word not in shown
    names = set(re.findall(r"(\w+)=\"", shown))
    assert names <= {"action", "outcome", "why", "state", "door", "method", "route", "kind", "status", "le"}
    assert page(b"application/openmetrics-text; version=1.0.0")[1].rstrip().endswith("# EOF")
    assert page(path="/")[0] == 404
