"""A stranger at the sign-in: he floods it, or guesses from as many addresses as his network has (B76, B79, B99)."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
from thief import until

from api_deployment import PASSWORD, Deployment
from leverlock.app import sign_in
from leverlock.domain.account import network_of
from leverlock.domain.errors import Reason
from leverlock.verifiers.password import AT_ONCE, WAITING_EACH
from world import Deployment as World
from world import refused

STRANGER = "127.0.0.2"


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    running = Deployment(tmp_path)
    try:
        yield running
    finally:
        running.close()


def try_to_sign_in(port: int, login: str) -> int:
    """One try from the stranger's own address; the status."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20, source_address=(STRANGER, 0))
    try:
        body = json.dumps({"login": login, "password": "a guess at a password"})
        connection.request("POST", "/v1/sessions", body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.bar("B79")
def test_a_flood_of_tries_keeps_no_owner_waiting(deployment: Deployment) -> None:
    """The hashing stands still, so that the queue in front of it can be looked at."""
    owner = deployment.owner()
    challenge = owner.call("POST", "/v1/environments/futures/authenticators").json["challenge"]["id"]
    released = threading.Event()
    for _ in range(AT_ONCE):
        deployment.passwords._pool.submit(released.wait, 30)
    answered: list[int] = []
    with ThreadPoolExecutor(40) as pool:
        try:
            for number in range(30):
                tried = pool.submit(try_to_sign_in, deployment.api.port, f"nobody-{number}")
                tried.add_done_callback(lambda done: answered.append(done.result()))
            until(lambda: len(answered) == 30 - WAITING_EACH)
            assert Counter(answered) == {429: 30 - WAITING_EACH}
            again = pool.submit(owner.again)
            body = {"code": owner.code(), "password": PASSWORD}
            proved = pool.submit(owner.call, "POST", f"/v1/challenges/{challenge}/proof", body)
            until(lambda: sum(deployment.passwords._waiting.values()) == WAITING_EACH + 2)
        finally:
            released.set()
        assert again.result().token
        assert proved.result().status == 200
    assert Counter(answered) == {429: 30 - WAITING_EACH, 401: WAITING_EACH}


@pytest.mark.bar("B76")
def test_one_network_is_one_source_of_tries(tmp_path: Path) -> None:
    with World.create(tmp_path) as deployment:
        owner = deployment.owner()
        bad = owner.finding(matched=False)

        def enter(source: str) -> None:
            deployment.run(lambda tx: sign_in.sign_in(tx, deployment.world, login="alice", source=source, finding=bad))

        for number in range(deployment.world.limits.sign_in_tries):
            with refused(Reason.SIGN_IN_FAILED):
                enter(f"2001:db8:1:2:{number:x}::1")
        with refused(Reason.SIGN_IN_THROTTLED):
            enter("2001:db8:1:2:ffff::1")
        with refused(Reason.SIGN_IN_FAILED):
            enter("2001:db8:1:3::1")


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a terminal", "a terminal"),
    ],
)
def test_the_network_of_a_peer(peer: str, network: str) -> None:
    assert network_of(peer) == network
