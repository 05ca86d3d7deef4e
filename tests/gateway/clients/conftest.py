"""One deployment for all clients; every test has an account of its own, a key of its own, a client of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from bot import Bot, MakeBot
from client import HMAC, Client

from authenticator_app import oathtool_code
from leverlock.domain.api_key import KeyAlgorithm
from leverlock.domain.environment import Environment
from stack import Stack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("clients"), app=oathtool_code) as running:
        running.venue.set_price("BTCUSDT", "60000")
        running.venue.set_price("ETHUSDT", "3000")
        yield running


@pytest.fixture
def bot_of(stack: Stack) -> Iterator[MakeBot]:
    """`bot_of(Ccxt, algorithm=…, otp_allowed=…, enrolled=…)`: an account with a client of this class."""
    open_clients: list[Client] = []

    def make(
        kind: type[Any],
        *,
        algorithm: KeyAlgorithm = HMAC,
        otp_allowed: bool = False,
        enrolled: Sequence[Environment] = (Environment.FUTURES,),
        scopes: Sequence[str] = ("read", "futures"),
        ips: Sequence[str] = (),
        **account: Any,
    ) -> Bot:
        owner = stack.account(enrolled=enrolled, **account)
        key = stack.gateway_key(owner, algorithm, otp_allowed=otp_allowed, scopes=scopes, ips=ips)
        client = kind(key, stack.url)
        open_clients.append(client)
        return Bot(stack, owner, key, client)

    yield make
    for client in open_clients:
        client.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of the story that asks for `algorithm` runs with each that its client can sign with."""
    if "algorithm" in metafunc.fixturenames and metafunc.cls is not None:
        algorithms = metafunc.cls.kind.algorithms
        metafunc.parametrize("algorithm", algorithms, ids=[algorithm.value for algorithm in algorithms])
