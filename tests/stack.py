"""The whole deployment for black-box tests: a paper venue and the product, each a process of its own.

    with Stack(tmp_path) as stack:
        alice = stack.account()                          # signed in, account at the venue, Futures protection on
        key = stack.gateway_key(alice)                   # what her bot holds: `key.api_key`, `key.secret`
        client = a_client_we_did_not_write(key, base_url=stack.url)
        ...                                              # 401, -40101, "challenge=ch_..."
        stack.approve(alice, [challenge_id])             # with the next code of her app
        ...                                              # the same call again
        assert stack.venue.orders_executed() == 1

Codes come from a program we did not write, in the order T-1, T, T+1 of the real clock, each once; a flow that needs
more than three of them (the first confirms the enrolment) takes an account of its own, so nothing waits for a clock.
The test plays operator and owner through `Stack`; clients speak HTTP with `stack.url` alone.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pyotp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from leverlock.app import accounts, api_keys, enrol, prove
from leverlock.domain.api_key import KeyAlgorithm
from leverlock.domain.challenge import Challenge
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Refused
from leverlock.store.host import SystemClock
from venue_process import PaperVenue, VenueKey
from world import Deployment, Owner, password_hash

STEP_SECONDS = 30
EDGE_SECONDS = 3.0  # so close to the end of a step its predecessor's code might arrive too late
HOSTS = ("fapi", "sapi", "api", "futures")
TESTS = Path(__file__).resolve().parent

App = Callable[[bytes, int], str]
"""An authenticator app: (seed, step) -> six digits."""


def pyotp_code(seed: bytes, step: int) -> str:
    """The code that the library pyotp computes."""
    return pyotp.TOTP(base64.b32encode(seed).decode()).at(step * STEP_SECONDS)


def oathtool_code(seed: bytes, step: int) -> str:
    """The code that oathtool computes; tests that use it carry `@pytest.mark.debian("oathtool")`."""
    command = ["oathtool", "--totp", f"--now=@{step * STEP_SECONDS}", seed.hex()]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class NotApproved(Exception):
    """An answer was refused; `reason` is the word of the audit trail, such as "wrong_code"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class GatewayKey:
    """What a bot holds. `secret` is the HMAC secret, or the private key in PEM that the bot made himself."""

    api_key: str
    secret: str
    algorithm: KeyAlgorithm
    key_id: str


@dataclass
class Account:
    """An account's owner, his apps and his account at the venue. `venue_account` is the number there."""

    login: str
    account_id: str
    venue_account: int
    venue_key: VenueKey
    upstream_id: str
    owner: Owner
    app: App
    seeds: dict[Environment, bytes] = field(default_factory=dict)
    used: dict[Environment, int] = field(default_factory=dict)

    def next_code(self, environment: Environment = Environment.FUTURES) -> str:
        """A code that this owner's app shows and that served nowhere yet."""
        step = next_step(self.used.get(environment, -1))
        self.used[environment] = step
        return self.app(self.seeds[environment], step)

    def used_code(self, environment: Environment = Environment.FUTURES) -> str:
        """The code that `next_code` gave last."""
        return self.app(self.seeds[environment], self.used[environment])

    def wrong_code(self, environment: Environment = Environment.FUTURES) -> str:
        """Six digits that no step around now has."""
        now = int(time.time()) // STEP_SECONDS
        taken = {self.app(self.seeds[environment], now + offset) for offset in range(-3, 4)}
        return next(text for text in (f"{number:06d}" for number in range(1, 9)) if text not in taken)


def next_step(last_used: int) -> int:
    """The lowest step after `last_used` whose code the product takes now: T-1, T or T+1.

    Near the end of a step it may wait for the next one, at most `EDGE_SECONDS`. Raises AssertionError when the three
    are used up: that flow wants an account of its own.
    """
    current, into = divmod(time.time(), STEP_SECONDS)
    at_the_edge = into > STEP_SECONDS - EDGE_SECONDS
    step = max(last_used + 1, int(current) if at_the_edge else int(current) - 1)
    if step > current + 1 and at_the_edge:
        deadline = (current + 1) * STEP_SECONDS
        while time.time() < deadline:
            time.sleep(0.05)
        current += 1
    assert step <= current + 1, "three codes were used in one half minute: give this flow an account of its own"
    return step


class Stack:
    """Starts and stops everything, and is the hands of operator and owner.

    `url` is the gateway's address, `venue` the paper venue (its log says what was really executed). `limits` are
    keyword arguments of `Limits`, `policy` the name of a shipped policy.
    """

    def __init__(
        self,
        directory: Path,
        *,
        policy: str = "literal",
        limits: dict[str, Any] | None = None,
        market: str = "manual",
        app: App = pyotp_code,
    ) -> None:
        self.directory = directory
        self.folder = directory / "leverlock"
        self.policy = policy
        self.limits = limits or {}
        self.app = app
        self.venue = PaperVenue(directory, market=market)
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._deployment: Deployment | None = None
        self._names = count(1)

    # -- start and stop ----------------------------------------------------------------------------------------------
    def __enter__(self) -> Stack:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the venue, make the deployment, start the product."""
        self.venue.start()
        self.folder.mkdir(mode=0o700)
        self._deployment = Deployment.create(self.folder, clock=SystemClock(), policy=self.policy)
        self.start_product()

    def start_product(self) -> None:
        """Start the product over what is there: first start, or again after `stop_product`."""
        ready = self.directory / "gateway.ready.json"
        ready.unlink(missing_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LEVERLOCK_")}
        environment["PYTHONPATH"] = f"{TESTS.parent / 'src'}:{TESTS}"
        command = [sys.executable, "-m", "gateway_process", "--folder", str(self.folder), "--venue", self.venue.url]
        command += ["--ready-file", str(ready), "--policy", self.policy, "--limits", json.dumps(self.limits)]
        with (self.directory / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop_product()
                raise RuntimeError(f"the product did not start: {self.log()}")
            time.sleep(0.01)
        self.url = json.loads(ready.read_text())["url"]

    def stop_product(self, how: int = signal.SIGTERM) -> int:
        """End the product's process (SIGKILL to break it off); its exit status."""
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait(10)
        self.process = None
        return status

    def stop(self) -> None:
        """End everything."""
        self.stop_product()
        if self._deployment is not None:
            self._deployment.close()
            self._deployment = None
        self.venue.stop()

    def log(self) -> str:
        """What the product wrote to its log."""
        return (self.directory / "gateway.log").read_text(errors="replace")

    @property
    def deployment(self) -> Deployment:
        """The deployment's store, for looks that no door offers. What a door offers is asked there."""
        assert self._deployment is not None, "the stack is not started"
        return self._deployment

    # -- the operator ------------------------------------------------------------------------------------------------
    def account(
        self,
        login: str = "",
        *,
        balances: dict[str, dict[str, str]] | None = None,
        enrolled: Sequence[Environment] = (Environment.FUTURES,),
        venue_key_kind: str = "HMAC",
        **venue_key_flags: Any,
    ) -> Account:
        """An account of its own at the product and at the venue, its venue key in custody, its apps enrolled."""
        deployment, login = self.deployment, login or f"owner-{next(self._names)}"
        venue_account = self.venue.create_account(balances)
        venue_key = self.venue.create_key(venue_account, kind=venue_key_kind, **venue_key_flags)
        account_id = deployment.run(
            lambda tx: accounts.create_account(
                tx, deployment.world, login=login, password_hash=password_hash(), by="test:"
            )
        )
        algorithm = KeyAlgorithm.HMAC_SHA256 if venue_key.kind == "HMAC" else KeyAlgorithm.ED25519
        upstream = deployment.run(
            lambda tx: api_keys.connect_upstream(
                tx,
                deployment.world,
                account_id=account_id,
                label="paper",
                dialect="binance-usdm",
                base_urls=dict.fromkeys(HOSTS, self.venue.url),
                api_key=venue_key.api_key,
                algorithm=algorithm,
                secret=venue_key.secret.encode(),
                by="test:",
            )
        )
        owner = Owner(deployment, account_id, login)
        account = Account(login, account_id, venue_account, venue_key, upstream.upstream_id, owner, self.app)
        owner.sign_in()
        for environment in enrolled:
            self.enrol(account, environment)
        return account

    def gateway_key(
        self,
        account: Account,
        algorithm: KeyAlgorithm = KeyAlgorithm.HMAC_SHA256,
        *,
        otp_allowed: bool = False,
        label: str = "bot",
    ) -> GatewayKey:
        """A key of ours for the account's venue account; `otp_allowed`: it opted in to codes with the call."""
        private = Ed25519PrivateKey.generate() if algorithm is KeyAlgorithm.ED25519 else None
        public = None
        if private is not None:
            public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        deployment = self.deployment
        made = deployment.run(
            lambda tx: api_keys.create_key(
                tx,
                deployment.world,
                account_id=account.account_id,
                upstream_id=account.upstream_id,
                label=label,
                by="test:",
                public_key=public,
                otp_allowed=otp_allowed,
            )
        )
        secret = made.secret
        if private is not None:
            pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            secret = pem.decode().strip()
        assert secret is not None
        return GatewayKey(made.key.api_key, secret, algorithm, made.key.key_id)

    def venue_calls(self, account: Account, *, path: str = "", method: str = "") -> list[dict[str, Any]]:
        """What the venue received with this account's venue key, oldest first: the gateway's own reads too."""
        calls = self.venue.calls(path=path, method=method)
        sent = [{name.lower(): text for name, text in call["headers"].items()} for call in calls]
        return [
            call
            for call, headers in zip(calls, sent, strict=True)
            if headers.get("x-mbx-apikey") == account.venue_key.api_key
        ]

    def orders_executed(self, account: Account) -> int:
        """How many orders of this account the venue has taken, by its own log."""
        return sum(int(call["orders"]) for call in self.venue_calls(account))

    def revoke_key(self, account: Account, key: GatewayKey) -> None:
        """End a key, as the owner does."""
        deployment = self.deployment
        deployment.run(
            lambda tx: api_keys.revoke_key(
                tx, deployment.world, account_id=account.account_id, key_id=key.key_id, by=account.owner.principal
            )
        )

    # -- the owner ---------------------------------------------------------------------------------------------------
    def enrol(self, account: Account, environment: Environment = Environment.FUTURES) -> bytes:
        """Bind an app that was not bound before, with its first code; the seed it scanned."""
        deployment, session = self.deployment, account.owner.session
        assert session is not None
        begun = deployment.run(lambda tx: enrol.start(tx, deployment.world, session=session, environment=environment))
        assert isinstance(begun, enrol.Enrolment), begun
        pending = begun
        account.seeds[environment] = pending.seed
        code = account.next_code(environment)
        deployment.run(
            lambda tx: enrol.confirm(
                tx, deployment.world, session=session, authenticator_id=pending.authenticator_id, code=code
            )
        )
        return pending.seed

    def approve(self, account: Account, challenge_ids: Sequence[str], code: str | None = None) -> str:
        """The owner answers these challenges with `code`, or with the next one of his Futures app; the code.

        Raises NotApproved with the reason.
        """
        deployment, owner = self.deployment, account.owner
        given = account.next_code() if code is None else code
        try:
            deployment.run(
                lambda tx: prove.prove(
                    tx,
                    deployment.world,
                    account_id=account.account_id,
                    answered_by=owner.principal,
                    challenge_ids=challenge_ids,
                    code=given,
                    password=owner.finding(),
                )
            )
        except Refused as refused:
            raise NotApproved(refused.reason.value) from None
        return given

    def challenge(self, account: Account, challenge_id: str) -> Challenge:
        """A challenge as it is stored now: its intent, digest, facts and state."""
        found = self.deployment.read(lambda tx: tx.challenge(account.account_id, challenge_id))
        assert found is not None, f"no challenge {challenge_id}"
        return found

    def challenges(self, account: Account) -> list[Challenge]:
        """What waits for the owner, or is approved and not used yet."""
        return self.deployment.read(lambda tx: tx.live_challenges(account.account_id))

    def events(self, account: Account) -> list[dict[str, Any]]:
        """The account's audit trail, oldest first: `kind` and details of each event."""
        found = self.deployment.read(lambda tx: tx.events(account.account_id, after_seq=0, limit=10_000))
        return [{"kind": line.kind.value, **json.loads(line.body)["details"]} for line in found]


def challenge_in(text: str) -> str:
    """The challenge id that a refusal carries in its text."""
    found = re.search(r"challenge=(ch_\w+)", text)
    assert found is not None, f"no challenge in: {text}"
    return found[1]
