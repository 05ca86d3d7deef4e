"""A running deployment for tests: the real store on a real file, the real door behind uvicorn on a loopback port.

Only the clock is handed in, because no request may set it: `ports.Clock` is the seam, and time moves when a test says.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from leverlock.api.app import create_app
from leverlock.api.endpoint import ApiParts
from leverlock.app.accounts import create_account, create_integrator
from leverlock.app.alarms import report_broken
from leverlock.app.api_keys import connect_upstream, create_key
from leverlock.documents.vault import Vault
from leverlock.domain.api_key import KeyAlgorithm
from leverlock.domain.key_terms import KeyTerms, Scope
from leverlock.domain.limits import Limits
from leverlock.domain.policy import Policy
from leverlock.domain.policy_file import load_policy
from leverlock.domain.totp import hotp, step_at
from leverlock.ports import World
from leverlock.ports_security_keys import RelyingParty
from leverlock.ports_sms import SmsTerms
from leverlock.store.host import SystemEntropy
from leverlock.store.sealing import Keyring, KeyringSealer
from leverlock.store.snapshot import Snapshot
from leverlock.store.sqlite import SqliteStore
from leverlock.verifiers.host_statement import HostStatementVerifier
from leverlock.verifiers.password import PasswordHasher
from leverlock.verifiers.totp import TotpVerifier
from leverlock.verifiers.webauthn import WebAuthnVerifier
from software_key import ORIGIN, RP_ID

START_MS = 1_790_000_010_000  # ten seconds into a time step
AUDIENCE = "https://leverlock.example"
STEP_MS = 30_000
PASSWORD = "correct horse battery staple"
POLICIES = Path(__file__).parents[1] / "src" / "leverlock" / "policies"


class SetClock:
    """`ports.Clock` that stands still until it is moved."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, ms: int) -> None:
        self._now_ms += ms

    def next_step(self) -> None:
        """To the same place in the next time step, where every factor has a code that was never used."""
        self.advance(STEP_MS)


@dataclass(frozen=True)
class Reply:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The word of its problem type, and a check that it is a whole RFC 9457 document."""
        assert self.headers["content-type"] == "application/problem+json", self
        document = self.json
        assert document["status"] == self.status
        assert document["title"]
        assert document["detail"]
        return str(document["type"]).removeprefix("/problems/")


class Api:
    """A client of the API: one connection per call, nothing retried, every header as given."""

    def __init__(self, port: int) -> None:
        self.port = port

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        key: str | None = None,
        raw: bytes | None = None,
        headers: list[tuple[str, str | bytes]] | None = None,
    ) -> Reply:
        sent = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        given = list(headers or [])
        names = {name.lower() for name, _ in given}
        if sent is not None and "content-type" not in names:
            given.append(("Content-Type", "application/json"))
        if token is not None:
            given.append(("Authorization", f"Bearer {token}"))
        if key is not None:
            given.append(("Idempotency-Key", key))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in given:
                connection.putheader(name, value)
            if sent is not None or method in ("POST", "PUT"):
                connection.putheader("Content-Length", str(len(sent or b"")))
            connection.endheaders(sent)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@dataclass
class Owner:
    """An account, its session, and the authenticator app in its owner's pocket."""

    deployment: Deployment
    account_id: str
    login: str
    token: str = ""
    seeds: dict[str, bytes] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        return self.deployment.api.call(method, path, body, **{"token": self.token, **more})

    def sign_in(self) -> Owner:
        answer = self.deployment.api.call("POST", "/v1/sessions", {"login": self.login, "password": PASSWORD})
        assert answer.status == 201, answer
        self.token = answer.json["token"]
        return self

    def again(self) -> Owner:
        """The same owner in another session."""
        return Owner(self.deployment, self.account_id, self.login, seeds=self.seeds).sign_in()

    def again_with_login(self) -> Owner:
        """The same where the login challenge is active."""
        found = self.again()
        code = {"code": self.code("login")}
        assert found.call("POST", "/v1/sessions/current/login-challenge", code).status == 200
        self.deployment.clock.next_step()
        return found

    def enable(self, environment: str = "futures") -> dict[str, Any]:
        """Bind an app, and move on to a step whose code is unused."""
        started = self.call("POST", f"/v1/environments/{environment}/authenticators")
        assert started.status == 201, started
        self.seeds[environment] = base64.b32decode(started.json["secret"])
        path = f"/v1/environments/{environment}/authenticators/{started.json['authenticator']}/confirmation"
        confirmed = self.call("POST", path, {"code": self.code(environment)})
        assert confirmed.status == 200, confirmed
        self.deployment.clock.next_step()
        return confirmed.json  # type: ignore[no-any-return]

    def code(self, environment: str = "futures", *, ahead: int = 0) -> str:
        return hotp(self.seeds[environment], step_at(self.deployment.clock.now_ms()) + ahead)

    def wrong_code(self, environment: str = "futures") -> str:
        """Six digits that no live step of this factor has."""
        live = {self.code(environment, ahead=ahead) for ahead in (-1, 0, 1)}
        return next(text for n in range(10) if (text := f"{n:06d}") not in live)

    def oathtool(self, environment: str = "futures") -> str:
        """The code by a program that is not ours."""
        secret = base64.b32encode(self.seeds[environment]).decode()
        at = f"@{self.deployment.clock.now_ms() // 1000}"
        done = subprocess.run(
            ["oathtool", "--totp", "--base32", "--now", at, "-"],
            input=secret, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
        return done.stdout.strip()

    def challenged(self, quantity: str = "1", **more: Any) -> dict[str, Any]:
        """Ask for an order at 75x as this session; the challenge."""
        answer = self.call("POST", "/v1/authorize", order(quantity=quantity, **more))
        assert answer.status == 401, answer
        return answer.json["challenge"]  # type: ignore[no-any-return]

    def prove(self, challenge_id: str, code: str | None = None, **more: Any) -> Reply:
        body = {"code": self.code() if code is None else code}
        return self.call("POST", f"/v1/challenges/{challenge_id}/proof", body, **more)

    def events(self) -> list[dict[str, Any]]:
        """The account's whole chain, straight from the table."""
        rows = self.deployment.rows(
            "SELECT body FROM audit_event WHERE account_id = ? ORDER BY seq", (self.account_id,)
        )
        return [json.loads(row[0]) for row in rows]

    def counters(self) -> tuple[int, dict[str, tuple[int, int]]]:
        """(wrong answers of the account, {environment: (streak, last step)})."""
        rows = self.deployment.rows
        ((wrong,),) = rows("SELECT length(wrong_at) / 8 FROM account WHERE account_id = ?", (self.account_id,))
        bound = rows(
            "SELECT environment, streak, last_step FROM authenticator"
            " WHERE account_id = ? AND state IN ('active', 'disabled')",
            (self.account_id,),
        )
        return wrong, {name: (streak, step) for name, streak, step in bound}


def order(quantity: str = "1", leverage: int | None = 75, **fields: Any) -> dict[str, Any]:
    """The body of an authorize call for an order."""
    body: dict[str, Any] = {
        "action": {
            "type": "futures.order.place",
            "fields": {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": quantity, **fields},
        }
    }
    if leverage is not None:
        body["action"]["facts"] = {"leverage": leverage, "margin_mode": "ISOLATED"}
    return body


class Deployment:
    """Everything joined as a deployment joins it, on files under `root`."""

    def __init__(
        self,
        root: Path,
        *,
        policy: str = "literal",
        limits: Limits | None = None,
        sms: Callable[[KeyringSealer], SmsTerms] | None = None,
    ) -> None:
        self.clock = SetClock()
        self.path = root / "leverlock.db"
        self.limits = limits or Limits()
        self.policy: Policy = load_policy((POLICIES / f"{policy}.toml").read_text())
        entropy = SystemEntropy()
        ring = root / "keyring.json"
        self.sealer = KeyringSealer(Keyring.create(ring, entropy=entropy), entropy=entropy, path=ring)
        SqliteStore.create(self.path, clock=self.clock)
        self.store = SqliteStore(self.path, clock=self.clock, limits=self.limits)
        self.store.start()
        self.passwords = PasswordHasher()
        self.world = World(
            policy=lambda: self.policy,
            limits=self.limits,
            sealer=self.sealer,
            entropy=entropy,
            totp=TotpVerifier(self.sealer, window=self.limits.totp_window),
            security_keys=WebAuthnVerifier(RelyingParty(RP_ID, "Acme", (ORIGIN,))),
            statements=HostStatementVerifier(audience=AUDIENCE, limits=self.limits),
            issuer="Acme",
            approval_url="http://127.0.0.1:8741/challenges/{challenge}",
            sms=None if sms is None else sms(self.sealer),
        )
        self.now(lambda tx: tx.set_setting("policy_version", self.policy.version))
        self.pool = ThreadPoolExecutor(1)
        self.vault = Vault(root / "documents")
        broken = report_broken(self.world, by="test:")
        snapshot = Snapshot(self.store, self.sealer, self.clock, self.limits, broken=broken)
        self.services = ApiParts(self.store, self.world, self.passwords, snapshot, self.pool, self.vault)
        self.password_hash = self.passwords._argon2.hash(PASSWORD)
        self._count = 0
        self._serve()

    def _serve(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            create_app(self.services),
            log_config=None,
            proxy_headers=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.005)
        self.api = Api(listener.getsockname()[1])

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()
        self.store.close()
        self.passwords.close()
        self.pool.shutdown()

    def now(self, use_case: Any) -> Any:
        """Run a use case from outside, as an operator's command does."""
        return self.store.submit(use_case).result(timeout=10)

    def owner(self, *, futures: bool = True) -> Owner:
        """A new account with a session; by default with Futures protection on."""
        self._count += 1
        login = f"owner{self._count}"
        account_id = self.now(
            lambda tx: create_account(tx, self.world, login=login, password_hash=self.password_hash, by="operator:test")
        )
        owner = Owner(self, account_id, login).sign_in()
        if futures:
            owner.enable()
        return owner

    def integrator(self) -> str:
        """The token of a new venue back end."""
        self._count += 1
        name = f"venue{self._count}"
        _, token = self.now(lambda tx: create_integrator(tx, self.world, name=name, by="operator:test"))
        return str(token)

    def key(self, account_id: str) -> str:
        """The id of a new gateway key of an account."""

        def create(tx: Any) -> str:
            upstream = connect_upstream(
                tx, self.world, account_id=account_id, label="main", dialect="binance",
                base_urls={"futures": "http://127.0.0.1:1"}, api_key="venue-key",
                algorithm=KeyAlgorithm.HMAC_SHA256, secret=b"venue-secret", by="operator:test",
            )  # fmt: skip
            created = create_key(
                tx,
                self.world,
                account_id=account_id,
                upstream_id=upstream.upstream_id,
                terms=KeyTerms("bot", frozenset({Scope.READ, Scope.FUTURES})),
                by="operator:test",
            )
            return created.key.key_id

        return str(self.now(create))

    def rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def digest(self) -> str:
        """The hash of every row of every table: equal exactly when nothing changed."""
        found = hashlib.sha256()
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            for table in sorted(tables):
                found.update(repr((table, sorted(map(repr, connection.execute(f"SELECT * FROM {table}"))))).encode())
        return found.hexdigest()
