"""A process holds a policy that another has replaced: a thief sends it what the new one would stop (B88)."""

from __future__ import annotations

from pathlib import Path

import pytest
from thief import Thief, until

from api_deployment import Deployment, order
from stack import Stack

UNAVAILABLE = -40109


@pytest.mark.bar("B88")
def test_the_gateway_allows_nothing_under_a_policy_that_is_no_longer_in_force(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        victim = stack.account()
        thief = Thief(stack.url, stack.gateway_key(victim))
        assert thief.order().status == 200
        stack.deployment.run(lambda tx: tx.set_setting("policy_version", "a stricter one"))
        until(lambda: thief.order().code == UNAVAILABLE)
        executed = stack.orders_executed(victim)
        assert thief.order().code == UNAVAILABLE
        assert thief.call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT").status == 200
        assert stack.orders_executed(victim) == executed


@pytest.mark.bar("B88")
def test_nor_does_the_api_from_its_snapshot(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    try:
        owner, token = deployment.owner(), deployment.integrator()
        asked = {**order(leverage=20), "account": owner.account_id}
        assert deployment.api.call("POST", "/v1/authorize", asked, token=token).json["decision"] == "allow"
        deployment.now(lambda tx: tx.set_setting("policy_version", "a stricter one"))
        deployment.clock.advance(deployment.limits.snapshot_age_ms + 1)
        refused = deployment.api.call("POST", "/v1/authorize", asked, token=token)
        assert refused.problem == "policy-changed"
    finally:
        deployment.close()
