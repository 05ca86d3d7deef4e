"""A real deployment for tests: SQLite file, keyring, sealer, verifiers and shipped policy, and a clock that tests set.

Nothing here is a double. The one thing a test may do that no request can is to move the clock, through `ports.Clock`.

    deployment = Deployment.create(tmp_path)            # close() it, or use it as a context manager
    alice = deployment.owner("alice")                   # an account, signed in
    alice.enrol(Environment.FUTURES)                    # an authenticator, confirmed
    challenge = alice.ask(order(leverage=75)).challenge
    [approved] = alice.prove(challenge)                 # with a fresh code of the right environment
    alice.redeem(order(leverage=75), approved.grant)

Where a step serves once, `fresh_code` finds the next one that was not used yet and moves the clock as far as needed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import pytest

from leverlock.app import accounts, api_keys, ceremonies, decide, enrol, prove, redeem, security_keys, sign_in, sweep
from leverlock.app.ceremonies import Asking
from leverlock.app.decide import Allowed, Asked
from leverlock.app.proofs import Proof
from leverlock.app.prove import Advanced, Approved
from leverlock.app.redeem import Redeemed, Voided
from leverlock.domain.account import Session
from leverlock.domain.action import Action, Intent, parse
from leverlock.domain.api_key import ApiKey, KeyAlgorithm
from leverlock.domain.base64url import base64url
from leverlock.domain.challenge import Challenge
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import is_id
from leverlock.domain.key_terms import KeyTerms, Scope
from leverlock.domain.limits import Limits
from leverlock.domain.policy_file import load_policy
from leverlock.domain.requirement import ProofKind
from leverlock.domain.security_key import SecurityKey
from leverlock.domain.totp import STEP_SECONDS, hotp, step_at
from leverlock.domain.trading_actions import LEVERAGE_SET, MARGIN_MODE_SET, ORDER_PLACE
from leverlock.ports import Clock, PasswordFinding, UseCase, World
from leverlock.ports_security_keys import Assertion, Attestation, RelyingParty
from leverlock.ports_sms import SmsTerms
from leverlock.store.host import SystemEntropy
from leverlock.store.sealing import Keyring, KeyringSealer
from leverlock.store.sqlite import SqliteStore
from leverlock.verifiers.host_statement import HostStatementVerifier
from leverlock.verifiers.password import PasswordHasher
from leverlock.verifiers.sms_code import SmsCodeVerifier
from leverlock.verifiers.totp import TotpVerifier
from leverlock.verifiers.webauthn import WebAuthnVerifier
from software_key import HONEST, ORIGIN, RP_ID, SoftwareKey, Spoilt, decoded

T = TypeVar("T")

NOW_MS = 1_767_225_615_000  # 2026-01-01 00:00:15 UTC, the middle of a TOTP step
AUDIENCE = "https://leverlock.example"
STEP_MS = STEP_SECONDS * 1000
PASSWORD = "correct horse battery staple"
SOURCE = "192.0.2.1"
TRADES = frozenset({Scope.READ, Scope.FUTURES})  # what most keys of the tests may do
RELYING_PARTY = RelyingParty(RP_ID, "Leverlock", (ORIGIN,))
ANSWER_SECONDS = 20  # how long a test waits for the store


class SettableClock:
    """`ports.Clock` for tests."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def tick(self, ms: int) -> None:
        self.ms += ms


@cache
def password_hash() -> str:
    """The argon2id hash of PASSWORD, made once per process."""
    hasher = PasswordHasher()
    try:
        return hasher._argon2.hash(PASSWORD)
    finally:
        hasher.close()


def policy_text(name: str = "literal") -> str:
    """A shipped policy."""
    return files("leverlock").joinpath("policies", f"{name}.toml").read_text(encoding="utf-8")


@dataclass
class Deployment:
    """A store with everything beside it. `world` is what use cases take; `clock` is SettableClock unless given."""

    path: Path
    clock: Any
    store: SqliteStore
    world: World
    sealer: KeyringSealer
    owners: list[Owner] = field(default_factory=list)

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        clock: Clock | None = None,
        limits: Limits | None = None,
        policy: str = "literal",
        sms: bool = False,
        **store_options: Any,
    ) -> Deployment:
        """A new database and keyring in `folder`, started. `sms`: it sends SMS."""
        clock = clock or SettableClock()
        SqliteStore.create(folder / "leverlock.db", clock=clock)
        Keyring.create(folder / "keyring.json", entropy=SystemEntropy())
        made = cls.open(folder, clock=clock, limits=limits, policy=policy, sms=sms, **store_options)
        made.run(lambda tx: tx.set_setting("policy_version", made.world.policy().version))
        return made

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        clock: Clock | None = None,
        limits: Limits | None = None,
        policy: str = "literal",
        sms: bool = False,
        relying_party: RelyingParty = RELYING_PARTY,
        **store_options: Any,
    ) -> Deployment:
        """What `create` made, started: again after a restart, or from a second process."""
        clock = clock or SettableClock()
        limits = limits or Limits()
        loaded = load_policy(policy_text(policy))
        ring = folder / "keyring.json"
        sealer = KeyringSealer(Keyring.load(ring), entropy=SystemEntropy(), path=ring)
        world = World(
            policy=lambda: loaded,
            limits=limits,
            sealer=sealer,
            entropy=SystemEntropy(),
            totp=TotpVerifier(sealer, window=limits.totp_window),
            security_keys=WebAuthnVerifier(relying_party),
            statements=HostStatementVerifier(audience=AUDIENCE, limits=limits),
            issuer="Leverlock",
            approval_url="http://127.0.0.1/approve/{challenge}",
            sms=SmsTerms(SmsCodeVerifier(sealer), "127.0.0.1") if sms else None,
        )
        store = SqliteStore(folder / "leverlock.db", clock=clock, limits=limits, **store_options)
        store.start()
        return cls(folder / "leverlock.db", clock, store, world, sealer)

    def run(self, use_case: UseCase[T]) -> T:
        """Run a use case and wait for its commit."""
        return self.store.submit(use_case).result(ANSWER_SECONDS)

    def read(self, use_case: UseCase[T]) -> T:
        """Look at what is committed."""
        return self.store.read_now(use_case)

    def owner(self, login: str = "alice", *, enrolled: Sequence[Environment] = ()) -> Owner:
        """A new account, signed in, with an authenticator in each of these environments."""
        account_id = self.run(
            lambda tx: accounts.create_account(tx, self.world, login=login, password_hash=password_hash(), by="test:")
        )
        owner = Owner(self, account_id, login)
        owner.sign_in()
        for environment in enrolled:
            owner.enrol(environment)
        self.owners.append(owner)
        return owner

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Deployment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Owner:
    """An account's owner with his authenticator apps: `seeds` by environment."""

    deployment: Deployment
    account_id: str
    login: str
    token: str = ""
    session: Session | None = None
    seeds: dict[Environment, bytes] = field(default_factory=dict)
    used: dict[Environment, int] = field(default_factory=dict)
    authenticators: dict[Environment, str] = field(default_factory=dict)
    recovery_codes: dict[Environment, tuple[str, ...]] = field(default_factory=dict)
    keys: dict[str, SoftwareKey] = field(default_factory=dict)  # security keys by id

    @property
    def principal(self) -> str:
        assert self.session is not None
        return self.session.principal

    def finding(self, *, matched: bool = True) -> PasswordFinding:
        """What checking the password found: right or wrong."""
        return PasswordFinding(self.account_id, password_hash(), matched)

    def sign_in(self) -> Session:
        """Open a session with the password (and a security key or the login code where one is demanded)."""
        deployment = self.deployment
        self.begin_sign_in()
        if self.keys:
            return self.complete_with_key(next(iter(self.keys.values())))
        if Environment.LOGIN in self.seeds:
            code = self.fresh_code(Environment.LOGIN)
            deployment.run(lambda tx: sign_in.complete_login(tx, deployment.world, token=self.token, code=code))
        self.session = deployment.run(lambda tx: sign_in.owner(tx, deployment.world, token=self.token))
        return self.session

    def enrol(self, environment: Environment = Environment.FUTURES) -> bytes:
        """Bind an authenticator app, answering the challenge where the environment is on; its seed."""
        deployment, session = self.deployment, self.session
        assert session is not None

        def start() -> enrol.Enrolment | Asked:
            return deployment.run(
                lambda tx: enrol.start(tx, deployment.world, session=session, environment=environment)
            )

        begun = start()
        if isinstance(begun, Asked):
            self.prove(begun.challenge)
            begun = start()
        assert isinstance(begun, enrol.Enrolment)
        pending = begun
        code, step = self._fresh(environment, pending.seed)
        confirmed = deployment.run(
            lambda tx: enrol.confirm(
                tx, deployment.world, session=session, authenticator_id=pending.authenticator_id, code=code
            )
        )
        self.seeds[environment], self.used[environment] = pending.seed, step
        self.authenticators[environment] = pending.authenticator_id
        if confirmed.recovery_codes:
            self.recovery_codes[environment] = confirmed.recovery_codes
        return pending.seed

    # -- security keys -----------------------------------------------------------------------------------------------
    def add_key(self, key: SoftwareKey | None = None, *, label: str = "key", aged: bool = True) -> str:
        """Add a security key, answering the challenge for it; its id. `aged`: a day passes, and it serves movements."""
        made = key or SoftwareKey()
        stored = self.register(made, self.registration(label))
        self.keys[stored.key_id] = made
        if aged:
            self.deployment.clock.tick(self.deployment.world.limits.security_key_wait_ms)
            self.sign_in()
        return stored.key_id

    def registration(self, label: str = "key") -> Asking:
        """Options for a new key, once the challenge for it is answered."""
        deployment = self.deployment

        def begin() -> Asking | Asked:
            assert self.session is not None
            session = self.session
            return deployment.run(
                lambda tx: security_keys.begin_registration(tx, deployment.world, session=session, label=label)
            )

        begun = begin()
        if isinstance(begun, Asked):
            self.prove(begun.challenge)
            begun = begin()
        assert isinstance(begun, Asking)
        return begun

    def register(self, key: SoftwareKey, asking: Asking, spoilt: Spoilt = HONEST) -> SecurityKey:
        deployment, session = self.deployment, self.session
        assert session is not None
        answer = decoded(key.register(options_of(asking), spoilt))
        return deployment.run(
            lambda tx: security_keys.register(tx, deployment.world, session=session, attestation=Attestation(**answer))
        )

    def ask_key(self, challenge: Challenge) -> Asking:
        """Options for answering this challenge with a key."""
        deployment, session = self.deployment, self.session
        assert session is not None
        return deployment.run(
            lambda tx: ceremonies.open_for_challenge(
                tx,
                deployment.world,
                account_id=self.account_id,
                session_id=session.session_id,
                challenge_id=challenge.challenge_id,
            )
        )

    def prove_with_key(
        self, challenge: Challenge, key: SoftwareKey, *, asking: Asking | None = None, spoilt: Spoilt = HONEST
    ) -> list[Approved | Advanced]:
        """Answer a challenge with a key's signature of its options (default: asked for now)."""
        deployment = self.deployment
        assertion = Assertion(**decoded(key.sign(options_of(asking or self.ask_key(challenge)), spoilt)))
        return deployment.run(
            lambda tx: prove.prove(
                tx,
                deployment.world,
                account_id=self.account_id,
                answered_by=self.principal,
                challenge_ids=[challenge.challenge_id],
                proof=Proof(assertion=assertion),
            )
        )

    def begin_sign_in(self) -> Session:
        """The password alone."""
        deployment = self.deployment
        signed = deployment.run(
            lambda tx: sign_in.sign_in(tx, deployment.world, login=self.login, source=SOURCE, finding=self.finding())
        )
        self.token, self.session = signed.token, signed.session
        return signed.session

    def login_options(self) -> Asking:
        return self.deployment.run(lambda tx: sign_in.ask_key(tx, self.deployment.world, token=self.token))

    def complete_with_key(self, key: SoftwareKey, asking: Asking | None = None, spoilt: Spoilt = HONEST) -> Session:
        """Answer the open login challenge with a key."""
        deployment = self.deployment
        assertion = Assertion(**decoded(key.sign(options_of(asking or self.login_options()), spoilt)))
        deployment.run(
            lambda tx: sign_in.complete_login_with_key(tx, deployment.world, token=self.token, assertion=assertion)
        )
        self.session = deployment.run(lambda tx: sign_in.owner(tx, deployment.world, token=self.token))
        return self.session

    # -- codes -------------------------------------------------------------------------------------------------------
    def code(self, environment: Environment = Environment.FUTURES, *, offset: int = 0) -> str:
        """The code of the current step, or of `offset` steps from it, used or not."""
        return hotp(self.seeds[environment], step_at(self.deployment.clock.now_ms()) + offset)

    def fresh_code(self, environment: Environment = Environment.FUTURES) -> str:
        """A code that was not used yet; moves a settable clock as far as needed."""
        code, self.used[environment] = self._fresh(environment, self.seeds[environment])
        return code

    def _fresh(self, environment: Environment, seed: bytes) -> tuple[str, int]:
        clock = self.deployment.clock
        step = max(step_at(clock.now_ms()), self.used.get(environment, -1) + 1)
        if isinstance(clock, SettableClock) and step > step_at(clock.now_ms()):
            clock.tick((step - step_at(clock.now_ms())) * STEP_MS)
        return hotp(seed, step), step

    def wrong_code(self, environment: Environment = Environment.FUTURES) -> str:
        """Six digits that no step of the window has."""
        taken = {self.code(environment, offset=offset) for offset in range(-2, 3)}
        return next(text for text in ("000001", "000002", "000003", "000004", "000005", "000006") if text not in taken)

    # -- asking, answering, redeeming --------------------------------------------------------------------------------
    def intent(self, action: Action, *, principal: str | None = None, target: str = "up_test") -> Intent:
        return Intent(self.account_id, principal or self.principal, target, action)

    def ask(self, action: Action, *, principal: str | None = None) -> Asked | Allowed:
        intent = self.intent(action, principal=principal)
        return self.deployment.run(lambda tx: decide.ask(tx, self.deployment.world, intent=intent))

    def asked(self, action: Action, *, principal: str | None = None) -> Challenge:
        """The challenge of an action that must be challenged."""
        answer = self.ask(action, principal=principal)
        assert isinstance(answer, Asked), answer
        return answer.challenge

    def prove(
        self,
        *challenges: Challenge | str,
        code: str | None = None,
        password: PasswordFinding | None = None,
        sms_code: str | None = None,
    ) -> list[Approved | Advanced]:
        """Answer with `code` (default: a fresh one of the challenges' environment) and the right password."""
        ids = [challenge if isinstance(challenge, str) else challenge.challenge_id for challenge in challenges]
        demanded = self._demanded(ids)
        if demanded == {ProofKind.SECURITY_KEY} and self.keys and code is None and sms_code is None:
            [asked] = challenges
            assert isinstance(asked, Challenge)
            return self.prove_with_key(asked, next(iter(self.keys.values())))
        if code is None and sms_code is None and (not demanded or demanded & {ProofKind.TOTP, ProofKind.WALLET}):
            first = challenges[0]
            code = self.fresh_code(first.environment if isinstance(first, Challenge) else Environment.FUTURES)
        given = code
        return self.deployment.run(
            lambda tx: prove.prove(
                tx,
                self.deployment.world,
                account_id=self.account_id,
                answered_by=self.principal,
                challenge_ids=ids,
                proof=Proof(given, password or (self.finding() if ProofKind.PASSWORD in demanded else None), sms_code),
            )
        )

    def swept(self) -> int:
        """Have what time has ended written down, and what has waited its day carried out; how many there were."""
        deployment = self.deployment
        return deployment.run(lambda tx: sweep.sweep_account(tx, deployment.world, account_id=self.account_id))

    def _demanded(self, challenge_ids: Sequence[str]) -> set[ProofKind]:
        """What the next answer to these has to hold, so that it is sent there and nowhere else."""
        known = [one for one in challenge_ids if is_id("ch", one)]
        found = [self.deployment.read(lambda tx, one=one: tx.challenge(self.account_id, one)) for one in known]
        return {kind for c in found if c is not None for kind in c.remaining.layer.proofs}

    def approved(self, action: Action, *, principal: str | None = None) -> Approved:
        """Ask and answer, in as many layers as it takes."""
        challenge = self.asked(action, principal=principal)
        [answer] = self.prove(challenge)
        while isinstance(answer, Advanced):
            [answer] = self.prove(challenge)
        return answer

    def redeem(self, action: Action, grant: str, *, principal: str | None = None) -> Redeemed | Voided:
        intent = self.intent(action, principal=principal)
        return self.deployment.run(lambda tx: redeem.redeem(tx, self.deployment.world, intent=intent, grant=grant))

    def key(self, label: str = "bot") -> ApiKey:
        """A gateway key of its own upstream account."""
        return self.key_and_secret(label)[0]

    def key_and_secret(self, label: str = "bot") -> tuple[ApiKey, str]:
        deployment = self.deployment
        upstream = deployment.run(
            lambda tx: api_keys.connect_upstream(
                tx,
                deployment.world,
                account_id=self.account_id,
                label=label,
                dialect="binance-usdm",
                base_urls={"futures": "http://127.0.0.1:1"},
                api_key="venue-key",
                algorithm=KeyAlgorithm.HMAC_SHA256,
                secret=b"venue-secret",
                by="test:",
            )
        )
        made = deployment.run(
            lambda tx: api_keys.create_key(
                tx,
                deployment.world,
                account_id=self.account_id,
                upstream_id=upstream.upstream_id,
                terms=KeyTerms(label, TRADES),
                by="test:",
            )
        )
        assert made.secret is not None
        return made.key, made.secret

    def challenge(self, challenge: Challenge) -> Challenge:
        """The challenge as it is stored now."""
        found = self.deployment.read(lambda tx: tx.challenge(self.account_id, challenge.challenge_id))
        assert found is not None
        return found


def options_of(asking: Asking) -> dict[str, str]:
    """What of its options a software key reads."""
    return {"challenge": base64url(asking.ceremony.challenge)}


# -- actions ---------------------------------------------------------------------------------------------------------
def order(*, leverage: int | None = 75, **fields: str) -> Action:
    """A market order of BTCUSDT; `leverage=None`: the venue did not tell."""
    asked = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1", **fields}
    facts = {} if leverage is None else {"leverage": str(leverage), "margin_mode": "CROSSED"}
    return parse(ORDER_PLACE, asked, facts)


def margin_mode(mode: str = "ISOLATED", *, symbol: str = "BTCUSDT") -> Action:
    current = "CROSSED" if mode == "ISOLATED" else "ISOLATED"
    return parse(
        MARGIN_MODE_SET, {"symbol": symbol, "margin_mode": mode}, {"leverage": "10", "current_margin_mode": current}
    )


def leverage_raise(to: int = 75, *, symbol: str = "BTCUSDT") -> Action:
    facts = {"current_leverage": "20", "exposed": "true"}
    return parse(LEVERAGE_SET, {"symbol": symbol, "leverage": str(to)}, facts)


# -- refusals, and codes made by a program we did not write ----------------------------------------------------------
class refused:
    """`with refused(Reason.WRONG_CODE) as why:` — the block must be refused for this reason; `why.value` is it."""

    def __init__(self, reason: Reason) -> None:
        self._reason = reason
        self._raises = pytest.raises(Refused)

    def __enter__(self) -> pytest.ExceptionInfo[Refused]:
        return self._raises.__enter__()

    def __exit__(self, kind: Any, value: Any, trace: Any) -> bool:
        caught = self._raises.__exit__(kind, value, trace)
        if caught and value.reason is not self._reason:
            raise AssertionError(f"refused for {value!r}, not for {self._reason}") from value
        return caught


def oathtool_code(seed: bytes, now_ms: int) -> str:
    """The code that oathtool computes; tests that use it carry `@pytest.mark.debian("oathtool")`."""
    command = ["oathtool", "--totp", f"--now=@{now_ms // 1000}", seed.hex()]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
