"""The whole deployment for black-box tests: a paper venue and the product, each a process of its own.

    with Stack(tmp_path) as stack:
        alice = stack.account()                          # signed in, account at the venue, Futures protection on
        key = stack.gateway_key(alice)                   # what her bot holds: `key.api_key`, `key.secret`
        client = a_client_we_did_not_write(key, base_url=stack.url)
        ...                                              # 401, -40101, "challenge=ch_..."
        stack.approve(alice, [challenge_id])             # with the next code of her app
        ...                                              # the same call again
        assert stack.venue.orders_executed() == 1

The product is `leverlock init` and `leverlock serve`, nothing else. What a test does as operator goes over the admin
socket, which is what the commands use; what it does as owner goes over the HTTP API. Codes come from a program we did
not write, in the order T-1, T, T+1 of the real clock, each once; a flow that needs more than three of them (the first
confirms the enrolment) takes an account of its own, so nothing waits for a clock.
Clients speak HTTP with `stack.url` alone.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyotp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from authenticator_app import App, next_step, pyotp_code, wrong_code
from doors import ApiAnswer, UnixConnection, exchange
from leverlock.domain.api_key import KeyAlgorithm
from leverlock.domain.challenge import Challenge
from leverlock.domain.environment import Environment
from leverlock.store.host import SystemClock
from venue_process import PaperVenue, VenueKey
from world import Deployment

PASSWORD = "correct horse battery staple"
SOURCE = Path(__file__).resolve().parent.parent / "src"


class NotApproved(Exception):
    """An answer was refused; `reason` is the word of the problem's type, such as "wrong_code"."""

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
    """An account's owner, signed in, his apps, and his account at the venue. `venue_account` is the number there."""

    login: str
    account_id: str
    token: str
    venue_account: int
    venue_key: VenueKey
    upstream_id: str
    app: App
    since: int  # the venue's call after which this account exists
    seeds: dict[Environment, bytes] = field(default_factory=dict)
    used: dict[Environment, int] = field(default_factory=dict)
    recovery_codes: dict[Environment, list[str]] = field(default_factory=dict)

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
        return wrong_code(self.app, self.seeds[environment])


class Stack:
    """Starts and stops everything, and is the hands of operator and owner.

    `url` is the gateway's address, `api_url` the API's, `metrics_url` that of the metrics; `venue` is the paper venue,
    whose log says what was really executed. `policy` is a shipped one or a file's path, `limits` are settings of the
    section of that name, `settings` further ones: {"venue.total_seconds": 1}.
    """

    def __init__(
        self,
        directory: Path,
        *,
        policy: str = "literal",
        limits: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        market: str = "manual",
        app: App = pyotp_code,
    ) -> None:
        self.directory = directory
        self.folder = directory / "leverlock"
        self.policy = policy
        self.settings = {f"limits.{name}": value for name, value in (limits or {}).items()} | (settings or {})
        self.app = app
        self.venue = PaperVenue(directory, market=market)
        self.url = self.api_url = self.metrics_url = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._environment: dict[str, str] = {}
        self._deployment: Deployment | None = None
        self._names = count(1)
        self._last_call = 0

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
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEVERLOCK_")}
        settings: dict[str, Any] = {f"server.{door}_port": 0 for door in ("api", "gateway", "metrics")}
        settings |= {f"venue.{host}_url": self.venue.url for host in ("fapi", "sapi", "api")}
        settings |= self.settings
        chosen = {f"LEVERLOCK__{name.replace('.', '__').upper()}": str(value) for name, value in settings.items()}
        config = {"LEVERLOCK_CONFIG": str(self.folder / "config.toml"), "PYTHONPATH": str(SOURCE)}
        self._environment = inherited | chosen | config
        command = [sys.executable, "-m", "leverlock", "init", "--policy", self.policy]
        made = subprocess.run(command, env=self._environment, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        self.start_product()

    def start_product(self) -> None:
        """Start the product over what is there: first start, or again after `stop_product`."""
        ready = self.directory / "server.ready.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "leverlock", "serve", "--ready-file", str(ready)]
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop_product()
                raise RuntimeError(f"the product did not start: {self.log()}")
            time.sleep(0.01)
        where = json.loads(ready.read_text())
        self.url, self.api_url, self.metrics_url = where["gateway"], where["api"], where["metrics"]

    def stop_product(self, how: int = signal.SIGTERM) -> int:
        """End the product's process (SIGKILL to break it off); its exit status."""
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        try:
            status = self.process.wait(15)
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
        return (self.directory / "server.log").read_text(errors="replace")

    @property
    def deployment(self) -> Deployment:
        """The deployment's store, opened beside the product, for looks that no door offers."""
        if self._deployment is None:
            self._deployment = Deployment.open(self.folder, clock=SystemClock(), policy=self.policy)
        return self._deployment

    # -- the doors ---------------------------------------------------------------------------------------------------
    def admin(self, operation: str, **wanted: Any) -> dict[str, Any]:
        """An operator's command, over the socket that the commands use. Raises AssertionError when it is refused."""
        connection = UnixConnection(self.folder / "admin.sock")
        answer = exchange(connection, "POST", f"/{operation}", wanted, {"Host": "admin"})
        assert answer.status == 200, f"{operation}: {answer}"
        found: dict[str, Any] = answer.json
        return found

    def api(
        self, method: str, path: str, body: Any = None, *, token: str = "", headers: dict[str, str] | None = None
    ) -> ApiAnswer:
        """One call to the HTTP API, with a session's token or without."""
        port = urlsplit(self.api_url).port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        return exchange(connection, method, path, body, sent | (headers or {}))

    def _done(self, account: Account, method: str, path: str, body: Any = None) -> Any:
        answer = self.api(method, path, body, token=account.token)
        assert 200 <= answer.status < 300, f"{method} {path}: {answer}"
        return answer.json

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
        login = login or f"owner-{next(self._names)}"
        since = self._last_call = max(
            [self._last_call, *(call["number"] for call in self.venue.calls(since=self._last_call))]
        )
        venue_account = self.venue.create_account(balances)
        venue_key = self.venue.create_key(venue_account, kind=venue_key_kind, **venue_key_flags)
        account_id = self.admin("account.create", login=login, password=PASSWORD)["account"]
        algorithm = KeyAlgorithm.HMAC_SHA256 if venue_key.kind == "HMAC" else KeyAlgorithm.ED25519
        connected = self.admin(
            "venue.connect",
            account=login,
            label="paper",
            base_urls=dict.fromkeys(("fapi", "sapi", "api"), self.venue.url),
            api_key=venue_key.api_key,
            secret=venue_key.secret,
            algorithm=algorithm.value,
        )
        opened = self.api("POST", "/v1/sessions", {"login": login, "password": PASSWORD})
        assert opened.status == 201, opened
        token = opened.json["token"]
        account = Account(login, account_id, token, venue_account, venue_key, connected["venue"], self.app, since)
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
        scopes: Sequence[str] = ("read", "futures"),
        ips: Sequence[str] = (),
    ) -> GatewayKey:
        """A key of ours for the account's venue account; `otp_allowed`: it opted in to codes with the call."""
        wanted = {"account": account.login, "venue": account.upstream_id, "label": label, "otp_allowed": otp_allowed}
        wanted |= {"scopes": list(scopes), "ips": list(ips)}
        secret = ""
        if algorithm is KeyAlgorithm.ED25519:
            private = Ed25519PrivateKey.generate()
            secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()
            public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            wanted["ed25519_public_key"] = public.decode()
        made = self.admin("key.create", **wanted)
        return GatewayKey(made["api_key"], secret or made["api_secret"], algorithm, made["key"])

    def revoke_key(self, account: Account, key: GatewayKey) -> None:
        """End a key, as the owner does."""
        self._done(account, "DELETE", f"/v1/keys/{key.key_id}")

    # -- what the venue saw ------------------------------------------------------------------------------------------
    def venue_calls(self, account: Account, *, path: str = "", method: str = "") -> list[dict[str, Any]]:
        """What the venue received with this account's venue key, oldest first: the product's own reads too."""
        calls = self.venue.calls(path=path, method=method, since=account.since)
        sent = [{name.lower(): text for name, text in call["headers"].items()} for call in calls]
        return [
            call
            for call, headers in zip(calls, sent, strict=True)
            if headers.get("x-mbx-apikey") == account.venue_key.api_key
        ]

    def orders_executed(self, account: Account) -> int:
        """How many orders of this account the venue has taken, by its own log."""
        return sum(int(call["orders"]) for call in self.venue_calls(account))

    # -- the owner ---------------------------------------------------------------------------------------------------
    def enrol(self, account: Account, environment: Environment = Environment.FUTURES) -> bytes:
        """Bind an app that was not bound before, with its first code; the seed it scanned."""
        pending = self.begin_enrolment(account, environment)
        self.confirm_enrolment(account, pending, environment)
        return account.seeds[environment]

    def begin_enrolment(self, account: Account, environment: Environment = Environment.FUTURES) -> dict[str, Any]:
        """Show the QR code: its address is scanned into the owner's app. What the API answered."""
        begun: dict[str, Any] = self._done(account, "POST", f"/v1/environments/{environment}/authenticators")
        scanned = pyotp.parse_uri(begun["otpauth_uri"])
        account.seeds[environment] = base64.b32decode(scanned.secret)
        return begun

    def confirm_enrolment(
        self, account: Account, pending: dict[str, Any], environment: Environment = Environment.FUTURES
    ) -> None:
        """Type the app's first code and press *Confirm*."""
        path = f"/v1/environments/{environment}/authenticators/{pending['authenticator']}/confirmation"
        done = self._done(account, "POST", path, {"code": account.next_code(environment)})
        account.recovery_codes[environment] = done["recovery_codes"]

    def approve(
        self,
        account: Account,
        challenge_ids: Sequence[str],
        code: str | None = None,
        *,
        password: str = "",
        environment: Environment = Environment.FUTURES,
        state: str = "approved",
    ) -> str:
        """The owner answers these challenges with `code`, or with the next one of that market's app; the code.

        `state`: what the answer leaves them in; the first layer of a movement leaves it pending. Raises NotApproved
        with the reason.
        """
        given = account.next_code(environment) if code is None else code
        wanted = {"challenges": list(challenge_ids), "code": given} | ({"password": password} if password else {})
        answer = self.api("POST", "/v1/proofs", wanted, token=account.token)
        if answer.status != 200:
            raise NotApproved(answer.reason)
        assert {one["state"] for one in answer.json["approved"]} == {state}
        return given

    def waiting(self, account: Account) -> list[dict[str, Any]]:
        """What the owner is asked at the moment, as the API shows it."""
        found: list[dict[str, Any]] = self._done(account, "GET", "/v1/challenges")["challenges"]
        return found

    # -- what is stored ----------------------------------------------------------------------------------------------
    def challenge(self, account: Account, challenge_id: str) -> Challenge:
        """A challenge as it is stored now: its intent, digest, facts and state."""
        found = self.deployment.read(lambda tx: tx.challenge(account.account_id, challenge_id))
        assert found is not None, f"no challenge {challenge_id}"
        return found

    def challenges(self, account: Account) -> list[Challenge]:
        """What waits for the owner, or is approved and not used yet, as it is stored."""
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
