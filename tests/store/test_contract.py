"""The contract of `ports.Transaction`, act by act, on every engine."""

from __future__ import annotations

import pytest

import store.contract_recovery
import store.contract_sms  # noqa: F401  it enters its acts
from leverlock.ports import Transaction
from store import contract_desk, contract_security_keys  # noqa: F401 - they enter their acts
from store.contract import ACTS, Stage
from world import Deployment

PORT = sorted(name for name in dir(Transaction) if not name.startswith("_"))

BARS = {
    "approve_case_once": pytest.mark.bar("B36"),
    "approve_case_twice": pytest.mark.bar("B36"),
    "close_case": pytest.mark.bar("B36"),
    "issue_case_link": pytest.mark.bar("B36"),
    "use_case_link": pytest.mark.bar("B36"),
    "ready_case": pytest.mark.bar("B37"),
    "destroy_documents": pytest.mark.bar("B38"),
    "take_ceremony": pytest.mark.bar("B23"),
    "key_signed": pytest.mark.bar("B27"),
}


def test_every_act_of_the_port_has_its_contract() -> None:
    assert sorted(ACTS) == PORT


@pytest.mark.bar("B4")
@pytest.mark.bar("B44")
@pytest.mark.bar("B97")
@pytest.mark.parametrize("act", [pytest.param(name, marks=BARS.get(name, ())) for name in PORT])
def test_act(deployment: Deployment, act: str) -> None:
    ACTS[act](Stage(deployment))
