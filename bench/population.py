"""A deployment with many owners, made by the product's own use cases, and the codes their apps show.

Each owner has an account, a Futures authenticator of his own, a session and a few pending challenges. Enrolment happens
with a clock that is two steps behind, so that the first code an owner answers with is one of the live steps. Only the
password's hash is one for all: argon2 would take half an hour and is not what is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from bench.load import request
from leverlock.app import accounts, decide, enrol, sign_in
from leverlock.app.policies import put_in_force
from leverlock.domain.account import Session
from leverlock.domain.action import Intent, parse
from leverlock.domain.environment import Environment
from leverlock.domain.limits import Limits
from leverlock.domain.policy_file import load_policy
from leverlock.domain.totp import STEP_SECONDS, hotp, step_at
from leverlock.domain.trading_actions import ORDER_PLACE
from leverlock.ports import PasswordFinding, Transaction, UseCase, World
from leverlock.ports_security_keys import RelyingParty
from leverlock.store.host import SystemClock, SystemEntropy
from leverlock.store.sealing import Keyring, KeyringSealer
from leverlock.store.sqlite import SqliteStore
from leverlock.verifiers.host_statement import HostStatementVerifier
from leverlock.verifiers.totp import TotpVerifier
from leverlock.verifiers.webauthn import WebAuthnVerifier

T = TypeVar("T")

BEHIND_MS = 2 * STEP_SECONDS * 1000
CODES_AT_ONCE = 3  # the window: an owner who has not answered lately has this many good codes
EDGE_SECONDS = 5  # of a step: its predecessor's code is not handed out any more, it could arrive too late
HASH = "not a hash: nobody signs in by password here"
CONFIG = """\
policy = "literal"
[server]
api_port = 0
gateway_port = 0
metrics_port = 0
[logging]
level = "warning"
[venue]
fapi_url = "{venue}"
[store]
path = "leverlock.db"
[keyring]
path = "keyring.json"
[checkpoint]
file = "checkpoints.jsonl"
[admin]
socket = "admin.sock"
"""


class LateClock:
    """Server time some steps ago."""

    def now_ms(self) -> int:
        return SystemClock().now_ms() - BEHIND_MS


@dataclass(slots=True)
class Owner:
    account_id: str
    token: str
    seed: bytes
    challenges: list[str]
    last_step: int


@dataclass
class Deployment:
    """An open store with what use cases need beside it; the folder is what `leverlock serve` takes over."""

    folder: Path
    store: SqliteStore
    world: World

    @classmethod
    def create(cls, folder: Path, *, venue: str = "http://127.0.0.1:9") -> None:
        """Settings, keyring and database in `folder`."""
        folder.mkdir(mode=0o700, parents=True)
        (folder / "config.toml").write_text(CONFIG.format(venue=venue))
        Keyring.create(folder / "keyring.json", entropy=SystemEntropy())
        SqliteStore.create(folder / "leverlock.db", clock=LateClock())

    @classmethod
    def open(cls, folder: Path, clock: SystemClock | LateClock) -> Deployment:
        limits, entropy = Limits(), SystemEntropy()
        policy = load_policy(files("leverlock").joinpath("policies", "literal.toml").read_text(encoding="utf-8"))
        sealer = KeyringSealer(Keyring.load(folder / "keyring.json"), entropy=entropy)
        world = World(
            policy=lambda: policy,
            limits=limits,
            sealer=sealer,
            entropy=entropy,
            totp=TotpVerifier(sealer, window=limits.totp_window),
            security_keys=WebAuthnVerifier(RelyingParty("localhost", "Leverlock", ())),
            statements=HostStatementVerifier(audience="bench", limits=limits),
            issuer="Leverlock",
            approval_url="http://127.0.0.1/{challenge}",
        )
        store = SqliteStore(folder / "leverlock.db", clock=clock, limits=limits)
        store.start()
        opened = cls(folder, store, world)
        opened.run(lambda tx: put_in_force(tx, policy=policy, by="bench:"))
        return opened

    def __enter__(self) -> Deployment:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def run(self, use_case: UseCase[T]) -> T:
        return self.store.submit(use_case).result(60)

    def all(self, use_cases: Sequence[UseCase[T]]) -> list[T]:
        """Queue them all, so that they share commits; their results in the same order."""
        waiting: list[Future[T]] = [self.store.submit(use_case) for use_case in use_cases]
        return [future.result(300) for future in waiting]


def populate(folder: Path, *, owners: int, challenges: int) -> list[Owner]:
    """Fill the deployment in `folder`. Raises Refused for anything the product would refuse anybody."""
    with Deployment.open(folder, LateClock()) as late:
        ids = late.all([_account(late.world, number) for number in range(owners)])
        enrolled = late.all([_enrolment(late.world, account_id, n) for n, account_id in enumerate(ids)])
    with Deployment.open(folder, SystemClock()) as now:
        signed = now.all([_session(now.world, account_id, n) for n, account_id in enumerate(ids)])
        asked = now.all([_questions(now.world, session, challenges) for session, _ in signed])
    return [
        Owner(account_id, token, seed, waiting, step)
        for account_id, (seed, step), (_, token), waiting in zip(ids, enrolled, signed, asked, strict=True)
    ]


def _account(world: World, number: int) -> UseCase[str]:
    return lambda tx: accounts.create_account(tx, world, login=f"owner{number}", password_hash=HASH, by="bench:")


def _signed_in(tx: Transaction, world: World, account_id: str, number: int) -> tuple[Session, str]:
    finding = PasswordFinding(account_id, HASH, True)
    signed = sign_in.sign_in(tx, world, login=f"owner{number}", source="127.0.0.1", finding=finding)
    return signed.session, signed.token


def _session(world: World, account_id: str, number: int) -> UseCase[tuple[Session, str]]:
    return lambda tx: _signed_in(tx, world, account_id, number)


def _enrolment(world: World, account_id: str, number: int) -> UseCase[tuple[bytes, int]]:
    def bind(tx: Transaction) -> tuple[bytes, int]:
        session, _ = _signed_in(tx, world, account_id, number)
        begun = enrol.start(tx, world, session=session, environment=Environment.FUTURES)
        assert isinstance(begun, enrol.Enrolment)
        step = step_at(tx.now)
        code = hotp(begun.seed, step)
        enrol.confirm(tx, world, session=session, authenticator_id=begun.authenticator_id, code=code)
        return begun.seed, step

    return bind


def _questions(world: World, session: Session, count: int) -> UseCase[list[str]]:
    def ask(tx: Transaction) -> list[str]:
        waiting = []
        for number in range(count):
            fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": str(number + 1)}
            order = parse(ORDER_PLACE, fields, {"leverage": "75", "margin_mode": "CROSSED"})
            answer = decide.ask(tx, world, intent=Intent(session.account_id, session.principal, "", order))
            assert isinstance(answer, decide.Asked)
            waiting.append(answer.challenge.challenge_id)
        return waiting

    return ask


def next_step(last: int) -> int | None:
    """The lowest step above `last` whose code is good now and stays so for a while; None when there is none."""
    now, into = divmod(time.time(), STEP_SECONDS)
    current = int(now)
    lowest = current if into > STEP_SECONDS - EDGE_SECONDS else current - 1
    step = max(last + 1, lowest)
    return step if step <= current + 1 else None


def unambiguous(codes: Callable[[int], str], step: int) -> bool:
    """Whether no step near by has the same digits: the product takes the highest that matches, and burns that one."""
    return codes(step) not in {codes(step + offset) for offset in (-2, -1, 1, 2)}


def answers(owners: list[Owner]) -> Iterator[bytes]:
    """Right answers to what waits, one after the other, each owner's in turn, as long as there are fresh codes."""
    moved = True
    while moved:
        moved = False
        for owner in owners:
            step = next_step(owner.last_step)
            if step is None or not owner.challenges:
                continue
            moved, owner.last_step = True, step
            if not unambiguous(partial(hotp, owner.seed), step):
                continue
            yield request(
                "POST",
                f"/v1/challenges/{owner.challenges.pop()}/proof",
                {"Authorization": f"Bearer {owner.token}", "Content-Type": "application/json"},
                b'{"code":"%b"}' % hotp(owner.seed, step).encode(),
            )
