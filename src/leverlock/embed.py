"""Leverlock inside a venue's own process: the calls of the API as a Python class, without a server or a socket.

    from pathlib import Path
    from leverlock.embed import Asked, Granted, Leverlock, action

    with Leverlock.open(database=Path("leverlock.db"), keyring=Path("keyring.json"), policy="literal") as lock:
        order = action("futures.order.place",
                       {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"},
                       facts={"leverage": "75", "margin_mode": "ISOLATED"})
        answer = lock.authorize(account_id, order)
        if isinstance(answer, Asked):
            ...                                   # show answer.challenge to the owner, take his code, `prove`
        elif isinstance(answer, Granted):
            lock.redeem(account_id, order, grant=answer.grant)   # returns: execute, once; raises Refused: do not
        else:
            ...                                   # Allowed: execute

Every call is synchronous, may be made from any thread, and returns after the commit that carries it. What is not done
is a `Refused` with its `reason`. The database may be shared with a running `leverlock serve`, which also delivers the
messages that ring the owner; inside a venue alone nobody delivers them, so the venue shows the challenge itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from leverlock.app import accounts, enrol, sign_in
from leverlock.app.ceremonies import Asking, open_for_challenge
from leverlock.app.decide import Allowed, Asked
from leverlock.app.enrol import Confirmed
from leverlock.app.identity import ask_with_word
from leverlock.app.policies import adopt
from leverlock.app.proofs import Proof
from leverlock.app.prove import Advanced, Approved, grant_of, prove
from leverlock.app.redeem import Redeemed, Voided, redeem
from leverlock.app.sign_in import SignedIn, owner
from leverlock.domain.account import Session, canonical_login, must_be_password
from leverlock.domain.action import Action, Intent, bundle, parse
from leverlock.domain.actions import OWN_ACTIONS, action_type
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import Limits
from leverlock.domain.policy_file import load_policy
from leverlock.policy_holder import PolicyHolder
from leverlock.ports import PasswordFinding, Transaction, World
from leverlock.ports_security_keys import Assertion, RelyingParty
from leverlock.store.host import SystemClock, SystemEntropy
from leverlock.store.sealing import Keyring, KeyringSealer
from leverlock.store.sqlite import SqliteStore
from leverlock.verifiers.host_statement import HostStatementVerifier
from leverlock.verifiers.otpauth import must_be_issuer, otpauth_uri, secret_text
from leverlock.verifiers.password import PasswordHasher
from leverlock.verifiers.totp import TotpVerifier
from leverlock.verifiers.webauthn import WebAuthnVerifier

__all__ = [
    "Advanced", "Allowed", "Approved", "Asked", "Asking", "Assertion", "Confirmed", "Enrolment", "Granted", "Leverlock",
    "Reason", "Redeemed", "Refused", "RelyingParty", "SignedIn", "action", "batch",
]  # fmt: skip

T = TypeVar("T")

PRINCIPAL = "host:embedded"  # who asks: the venue whose process this is


@dataclass(frozen=True, slots=True)
class Granted:
    """The owner approved this very action: redeem the grant, then execute."""

    challenge: Challenge
    grant: str


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret to be bound. Show `otpauth_uri` as a QR code, or `secret` as text, once; then confirm with a code."""

    authenticator_id: str
    secret: str
    otpauth_uri: str
    expires_at: int


def action(name: str, fields: Mapping[str, str], *, facts: Mapping[str, str] | None = None) -> Action:
    """An action of the action table. `facts` are what the venue knows now; a fact left out counts as unknown.

    Raises Refused: UNKNOWN_ACTION, or MALFORMED naming the field.
    """
    if name in OWN_ACTIONS:
        raise Refused(Reason.UNKNOWN_ACTION, f"{name} has a call of its own", field="action")
    return parse(action_type(name), fields, facts)


def batch(name: str, legs: Sequence[Action]) -> Action:
    """Several actions asked for in one call, judged by the riskiest. Raises Refused."""
    return bundle(action_type(name), tuple(legs))


class Leverlock:
    """Opened once for each process, closed at its end; also a context manager."""

    def __init__(self, store: SqliteStore, world: World, passwords: PasswordHasher) -> None:
        self._store = store
        self._world = world
        self._passwords = passwords

    @staticmethod
    def create(*, database: Path, keyring: Path) -> None:
        """Make a new database and a new keyring, readable by their owner alone.

        Raises KeyringError where the keyring exists: a new one would make every sealed secret unreadable.
        """
        Keyring.create(keyring, entropy=SystemEntropy())
        SqliteStore.create(database, clock=SystemClock())

    @classmethod
    def open(
        cls,
        *,
        database: Path,
        keyring: Path,
        policy: str = "literal",
        issuer: str = "Leverlock",
        limits: Limits | None = None,
        relying_party: RelyingParty | None = None,
    ) -> Leverlock:
        """Open both files under a shipped policy (`literal`, `trader`) or the path of one's own.

        Where that demands less anywhere than the one in force, the one in force stays: the other needs two operators
        and a day (`policy_in_force` says which one decides). Security keys answer only to the pages that
        `relying_party` names; without it none does.

        Raises FileNotFoundError, KeyringError, PolicyError, PolicyUnreadable, SchemaError, ValueError for an issuer
        that apps would garble, and Refused(CLOCK_BEHIND).
        """
        must_be_issuer(issuer)
        numbers = limits or Limits()
        shipped = files("leverlock").joinpath("policies", f"{policy}.toml")
        rules = load_policy(shipped.read_text("utf-8") if shipped.is_file() else Path(policy).read_text("utf-8"))
        holder = PolicyHolder(rules)
        entropy = SystemEntropy()
        sealer = KeyringSealer(Keyring.load(keyring), entropy=entropy, path=keyring)
        store = SqliteStore(database, clock=SystemClock(), limits=numbers)
        store.start()
        world = World(
            policy=holder,
            limits=numbers,
            sealer=sealer,
            entropy=entropy,
            totp=TotpVerifier(sealer, window=numbers.totp_window),
            security_keys=WebAuthnVerifier(relying_party or RelyingParty("localhost", issuer, ())),
            statements=HostStatementVerifier(audience=PRINCIPAL, limits=numbers),
            issuer=issuer,
            approval_url="",
        )
        opened = cls(store, world, PasswordHasher())
        try:
            adopted = opened._run(lambda tx: adopt(tx, world, policy=rules, by=PRINCIPAL))
            if adopted.kept is not None:
                holder.take(adopted.kept)
        except BaseException:
            opened.close()
            raise
        return opened

    @property
    def policy_in_force(self) -> str:
        """The version of the policy that decides here."""
        return self._world.policy().version

    def close(self) -> None:
        """Finish what is queued and let go of the files."""
        self._store.close()
        self._passwords.close()

    def __enter__(self) -> Leverlock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the three calls ---------------------------------------------------------------------------------------------
    def authorize(
        self, account_id: str, wanted: Action, *, target: str = "", password_verified_at: int | None = None
    ) -> Allowed | Asked | Granted:
        """May this action be executed? The same question twice is one challenge. Raises Refused.

        `Allowed`: execute. `Asked`: the owner has to answer `challenge` first; then ask again. `Granted`: redeem.
        `password_verified_at`: the venue checked the password for this very action then (ms); at most 60 s ago.
        """
        intent, world = self._intent(account_id, wanted, target), self._world
        answer = self._run(
            lambda tx: ask_with_word(tx, world, intent=intent, password_verified_at=password_verified_at)
        )
        if isinstance(answer, Asked) and answer.challenge.state is State.APPROVED:
            return Granted(answer.challenge, grant_of(self._world, answer.challenge))
        return answer

    def prove(
        self,
        token: str,
        challenge_ids: Sequence[str],
        *,
        code: str | None = None,
        password: str | None = None,
        assertion: Assertion | None = None,
    ) -> list[Approved | Advanced]:
        """The owner, signed in as `token`, approves what he marked with one live code.

        `password` is the master password, where a challenge requires it. A movement of funds is answered twice: the
        first answer opens the wallet (`Advanced`), the second authorises: with `assertion`, a security key's answer to
        what `ask_security_key` returned, where the account has one. Raises Refused; every wrong answer counts.
        """
        proof = Proof(code, None if password is None else self._check(token, password), assertion=assertion)
        return self._as_owner(
            token,
            lambda tx, session: prove(
                tx,
                self._world,
                account_id=session.account_id,
                answered_by=session.principal,
                challenge_ids=challenge_ids,
                proof=proof,
            ),
        )

    def ask_security_key(self, token: str, challenge_id: str) -> Asking:
        """What a security key has to sign for a challenge that requires one, and which keys may. Raises Refused."""
        return self._as_owner(
            token,
            lambda tx, session: open_for_challenge(
                tx,
                self._world,
                account_id=session.account_id,
                session_id=session.session_id,
                challenge_id=challenge_id,
            ),
        )

    def redeem(self, account_id: str, wanted: Action, *, grant: str, target: str = "") -> Redeemed:
        """Spend the grant for exactly this action, under facts read just now. Execute only after this returned, once.

        Raises Refused: ACTION_MISMATCH, FACTS_CHANGED or POLICY_CHANGED void the grant; the other reasons leave it.
        """
        intent = self._intent(account_id, wanted, target)
        answer = self._run(lambda tx: redeem(tx, self._world, intent=intent, grant=grant))
        if isinstance(answer, Voided):
            raise Refused(answer.reason, "the grant is void; nothing may be executed")
        return answer

    # -- accounts, sessions and enrolment ----------------------------------------------------------------------------
    def create_account(self, login: str, password: str) -> str:
        """A new account; its id. Raises Refused: NAME_TAKEN, MALFORMED."""
        name = canonical_login(login)
        must_be_password(password)
        hashed = self._passwords.hash_blocking(password)
        return self._run(
            lambda tx: accounts.create_account(tx, self._world, login=name, password_hash=hashed, by=PRINCIPAL)
        )

    def sign_in(self, login: str, password: str, *, source: str = "") -> SignedIn:
        """A session of the owner. `source` is where he comes from (an address), to count tries by.

        Raises Refused: SIGN_IN_FAILED, SIGN_IN_THROTTLED, MALFORMED.
        """
        name = canonical_login(login)

        def stored(tx: Transaction) -> tuple[str | None, str | None]:
            account_id = tx.account_of_login(name)
            account = None if account_id is None else tx.account(account_id)
            return account_id, None if account is None else account.password_hash

        account_id, stored_hash = self._store.read_now(stored)
        finding = self._passwords.check_blocking(password, account_id=account_id, stored_hash=stored_hash)
        return self._run(lambda tx: sign_in.sign_in(tx, self._world, login=name, source=source, finding=finding))

    def answer_login_challenge(self, token: str, *, code: str) -> None:
        """Complete a session whose state is LOGIN_CHALLENGE. Raises Refused."""

        def answer(tx: Transaction) -> Session:
            sign_in.live_session(tx, self._world, token=token)
            return sign_in.complete_login(tx, self._world, token=token, code=code)

        self._run(answer)

    def sign_out(self, token: str) -> None:
        """End a session and void what it asked for. Raises Refused(NOT_AUTHENTICATED)."""

        def end(tx: Transaction) -> None:
            sign_in.live_session(tx, self._world, token=token)
            sign_in.sign_out(tx, self._world, token=token)

        self._run(end)

    def start_enrolment(self, token: str, environment: Environment | str) -> Enrolment | Asked:
        """Begin binding an app to an environment; `Asked` where a proof is needed first, then call again.

        Raises Refused: PASSWORD_TOO_OLD (sign in again), ACCOUNT_LOCKED, NO_USABLE_FACTOR, and what `authorize` raises.
        """
        where = Environment(environment)

        def start(tx: Transaction, session: Session) -> Enrolment | Asked:
            begun = enrol.start(tx, self._world, session=session, environment=where)
            if isinstance(begun, Asked):
                return begun
            account = tx.account(session.account_id)
            assert account is not None
            uri = otpauth_uri(begun.seed, issuer=self._world.issuer, environment=where, login=account.login)
            return Enrolment(begun.authenticator_id, secret_text(begun.seed), uri, begun.expires_at)

        return self._as_owner(token, start)

    def confirm_enrolment(self, token: str, authenticator_id: str, *, code: str) -> Confirmed:
        """Activate it with its first code. Recovery codes come with the first set-up, once. Raises Refused."""
        return self._as_owner(
            token,
            lambda tx, session: enrol.confirm(
                tx, self._world, session=session, authenticator_id=authenticator_id, code=code
            ),
        )

    # -- how a call is run -------------------------------------------------------------------------------------------
    def _run(self, use_case: Callable[[Transaction], T]) -> T:
        return self._store.submit(use_case).result()

    def _as_owner(self, token: str, use_case: Callable[[Transaction, Session], T]) -> T:
        return self._run(lambda tx: use_case(tx, owner(tx, self._world, token=token)))

    def _check(self, token: str, password: str) -> PasswordFinding | None:
        def stored(tx: Transaction) -> tuple[str, str]:
            session = owner(tx, self._world, token=token, touch=False)
            account = tx.account(session.account_id)
            assert account is not None
            return account.account_id, account.password_hash

        account_id, stored_hash = self._store.read_now(stored)
        return self._passwords.check_blocking(password, account_id=account_id, stored_hash=stored_hash)

    def _intent(self, account_id: str, wanted: Action, target: str) -> Intent:
        return Intent(account_id, PRINCIPAL, target, wanted)
