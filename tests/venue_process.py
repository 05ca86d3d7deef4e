"""The paper venue as a process of its own, for every test that needs a venue: start, stop, set up, look at.

    with PaperVenue(tmp_path) as venue:
        account = venue.create_account({"futures": {"USDT": "10000"}})
        key = venue.create_key(account)
        venue.set_price("BTCUSDT", "60000")
        ...
        assert venue.orders_executed() == 1

Nothing of the venue is imported: it is reached over HTTP, like a real one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

ADMIN_TOKEN = "paper-admin-token-of-the-tests"
SOURCE = Path(__file__).resolve().parent.parent / "src"


@dataclass(frozen=True)
class VenueKey:
    """An API key. `secret` is the HMAC secret, or the PEM of the Ed25519 private key."""

    api_key: str
    secret: str
    kind: str = "HMAC"


class VenueAnswer:
    """One HTTP answer: status, parsed JSON (or None), headers in lower case, raw text."""

    def __init__(self, status: int, text: str, headers: dict[str, str]) -> None:
        self.status = status
        self.text = text
        self.headers = headers
        self.json: Any = json.loads(text) if text else None

    @property
    def code(self) -> int | None:
        return self.json.get("code") if isinstance(self.json, dict) else None

    def __repr__(self) -> str:
        return f"{self.status} {self.text[:300]}"


class PaperVenue:
    """Starts `python -m leverlock_paper` on a free loopback port; stops it with SIGTERM."""

    def __init__(
        self,
        directory: Path,
        *,
        database: str = ":memory:",
        seed: int = 1,
        market: str = "manual",
        admin_token: str = ADMIN_TOKEN,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.directory = directory
        self.database = database
        self.seed = seed
        self.market = market
        self.admin_token = admin_token
        self.arguments = arguments
        self.url = ""
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PaperVenue:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        ready = self.directory / f"paper-{id(self)}.ready.json"
        ready.unlink(missing_ok=True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LEVERLOCK_")}
        environment["PYTHONPATH"] = str(SOURCE)
        environment["LEVERLOCK_PAPER_ADMIN_TOKEN"] = self.admin_token
        command = [sys.executable, "-m", "leverlock_paper", "--port", "0", "--database", self.database]
        command += [
            "--seed",
            str(self.seed),
            "--market",
            self.market,
            "--ready-file",
            str(ready),
            *self.arguments,
        ]
        with (self.directory / "paper.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the paper venue did not start: {self.log()}")
            time.sleep(0.01)
        where = json.loads(ready.read_text())
        self.url, self.port = where["url"], where["port"]

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Ends the process and returns its exit status."""
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

    def log(self) -> str:
        return (self.directory / "paper.log").read_text(errors="replace")

    # What only the admin surface can do.

    def admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One admin call; raises AssertionError with the venue's text when it is refused."""
        headers = {"Authorization": f"Bearer {self.admin_token}", "Content-Type": "application/json"}
        answer = self.send(method, "/paper/v1/" + path, b"" if body is None else json.dumps(body).encode(), headers)
        assert answer.status == 200, f"{method} {path}: {answer}"
        return answer.json

    def create_account(self, balances: dict[str, dict[str, str]] | None = None, name: str = "") -> int:
        """An account with these balances (wallet -> asset -> amount); by default 10 000 USDT in futures."""
        balances = {"futures": {"USDT": "10000"}} if balances is None else balances
        return int(self.admin("POST", "accounts", {"name": name, "balances": balances})["account"])

    def create_key(self, account: int, *, kind: str = "HMAC", **flags: Any) -> VenueKey:
        """A key; flags as `enableFutures`, `enableWithdrawals`, `permitsUniversalTransfer`, `ips`."""
        body: dict[str, Any] = {"account": account, "kind": kind, **flags}
        if kind == "HMAC":
            made = self.admin("POST", "keys", body)
            return VenueKey(made["apiKey"], made["secretKey"])
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()
        made = self.admin("POST", "keys", body | {"publicKey": public.decode()})
        return VenueKey(made["apiKey"], secret, "ED25519")

    def set_price(self, symbol: str, price: str) -> None:
        """Sets the mark price from now on; resting and conditional orders are looked at before it returns."""
        self.admin("POST", "price", {"symbol": symbol, "price": price})

    def add_fault(self, path: str, **fault: Any) -> int:
        """A disturbance of the next call(s) to that path, see the venue's `Fault`; returns its number."""
        return int(self.admin("POST", "faults", {"path": path, **fault})["number"])

    def clear_faults(self) -> None:
        self.admin("DELETE", "faults")

    def calls(self, path: str = "", method: str = "", since: int = 0) -> list[dict[str, Any]]:
        """What the venue received (admin calls left out), oldest first."""
        words = {"since": since} | ({"path": path} if path else {}) | ({"method": method} if method else {})
        found: list[dict[str, Any]] = self.admin("GET", "calls?" + urlencode(words))
        return found

    def clear_calls(self) -> None:
        self.admin("DELETE", "calls")

    def orders_executed(self, since: int = 0) -> int:
        """How many orders the venue has accepted, over all calls."""
        return sum(int(call["orders"]) for call in self.calls(since=since))

    def account(self, account: int) -> Any:
        """Balances, positions, order counts, leverage and margin type by symbol, as the venue keeps them."""
        return self.admin("GET", f"accounts/{account}")

    # A small client of the venue's own dialect.

    def send(self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None) -> VenueAnswer:
        """One raw HTTP exchange on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, body or None, headers or {})
            response = connection.getresponse()
            text = response.read().decode()
            return VenueAnswer(response.status, text, {k.lower(): v for k, v in response.getheaders()})
        finally:
            connection.close()

    def public(self, path: str, **params: Any) -> VenueAnswer:
        return self.send("GET", path + ("?" + urlencode(params) if params else ""))

    def signed(
        self,
        key: VenueKey,
        method: str,
        path: str,
        params: dict[str, Any] | None = None,
        *,
        where: str = "query",
    ) -> VenueAnswer:
        """A signed call; `where` puts the parameters into the query or the body."""
        text = signed_text(key, params or {})
        headers = {"X-MBX-APIKEY": key.api_key}
        if where == "query":
            return self.send(method, f"{urlsplit(path).path}?{text}", b"", headers)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self.send(method, path, text.encode(), headers)


def signed_text(key: VenueKey, params: dict[str, Any]) -> str:
    """The parameters in their order, with a timestamp (unless given) and the signature at the end."""
    text = urlencode({"timestamp": int(time.time() * 1000)} | params)
    return f"{text}&signature={signature_of(key, text)}"


def signature_of(key: VenueKey, text: str) -> str:
    if key.kind == "HMAC":
        return hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    private = load_pem_private_key(key.secret.encode(), None)
    assert isinstance(private, Ed25519PrivateKey)
    return quote(base64.b64encode(private.sign(text.encode())).decode(), safe="")


def point_ccxt(exchange: Any, base: str) -> Any:
    """Points an unmodified ccxt `binanceusdm` at another address: configuration only."""
    api = exchange.urls["api"]
    for name, url in list(api.items()):
        if isinstance(url, str):
            api[name] = base + "/" + url.split("/", 3)[3]
    # ccxt chooses its table of futures errors by the address; at another address it is merged by hand.
    exchange.exceptions["exact"].update(exchange.exceptions["linear"]["exact"])
    return exchange
