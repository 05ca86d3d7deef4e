"""All that the core asks of the world.

A use case is a plain function `(tx, world, *, …) -> result`. It does no I/O but SQL, through the acts of
`Transaction`; what it needs beside that is in `World`. What one part of the product alone asks for (keys, SMS, security
keys, recovery, the desk) stands in a file of its own, `ports_<part>.py`. Three rules hold for every implementation:

1. **Nobody is answered before the commit** that carries his effect or his charge.
2. **An exception takes back the effect, never the charge.** When a use case raises, the store rolls back to where it
   began, re-applies its charges, what it took to be looked at once (B23), the record announced with `if_refused` and
   the acts given to `after_refusal`, commits those, and only then raises (B74).
3. **What is used once is consumed by one conditional write** whose row count is the return value (B5): True means
   that this caller, and nobody else, got it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from leverlock.domain.account import Account, Session
from leverlock.domain.attempts import AccountBudget, FactorBudget, Reserve
from leverlock.domain.audit import AuditEvent, ChainedEvent, EventKind
from leverlock.domain.authenticator import Authenticator, AuthenticatorKind, SealedSecret
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.environment import Environment
from leverlock.domain.hold import Hold, HoldScope
from leverlock.domain.limits import Limits
from leverlock.domain.messages import Message
from leverlock.domain.pending_change import PendingChange
from leverlock.domain.policy import Policy
from leverlock.domain.requirement import ProofKind
from leverlock.domain.totp import Match
from leverlock.ports_desk import DeskTransaction
from leverlock.ports_keys import KeyTransaction, StatementVerifier
from leverlock.ports_recovery import RecoveryTransaction
from leverlock.ports_security_keys import SecurityKeyTransaction, SecurityKeyVerifier
from leverlock.ports_sms import SmsTerms, SmsTransaction

T = TypeVar("T")


class Clock(Protocol):
    """Server time. The only source of it; no request can set it (B11)."""

    def now_ms(self) -> int: ...


class Entropy(Protocol):
    """The operating system's CSPRNG."""

    def bytes(self, count: int) -> bytes: ...


class Sealer(Protocol):
    """Keys outside the database: seals what must be read back, and makes keyed hashes of what must not (B82)."""

    def seal(self, secret: bytes, *, context: str) -> SealedSecret:
        """Encrypt under the current key. `context` names account, environment, factor and generation."""
        ...

    def open(self, sealed: SealedSecret, *, context: str) -> bytes:
        """The secret. Raises `SealBroken` when ciphertext, context or key version do not belong together."""
        ...

    @property
    def current(self) -> int:
        """The version of the key that seals now."""
        ...

    def mac(self, purpose: str, message: bytes) -> bytes:
        """HMAC-SHA256 under a key used for this purpose alone."""
        ...


class SealBroken(Exception):
    """A sealed secret does not open in its context: swapped, edited, or its key is gone. Always a refusal."""


class CodeVerifier(Protocol):
    """Checks a TOTP code against an enrolled secret."""

    def verify(self, authenticator: Authenticator, code: str, *, now_ms: int) -> Match:
        """The step the code proves. Raises NoMatch, StepUsed or SealBroken; returns nothing else."""
        ...


@dataclass(frozen=True, slots=True)
class PasswordFinding:
    """What an argon2 check found, outside the transaction. Holds only while the stored hash is still `checked_hash`."""

    account_id: str
    checked_hash: str
    matched: bool
    rehashed: str | None = None


class Messenger(Protocol):
    """Delivers one channel's messages, after the commit that wrote them."""

    async def deliver(self, message: Message) -> None:
        """Hand the message over. Raises `DeliveryFailed` to have it tried again."""
        ...


class DeliveryFailed(Exception):
    """A message was not handed over. `final`: trying again is useless."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True)
class Charge:
    """One wrong answer, written before the answer is looked at. Success takes it back, anything else leaves it.

    `account`, `reserve`: the account's budgets after it; None for one that this answer does not touch.
    `told`: what the owner is told if it stays (B80).
    """

    account: AccountBudget | None
    authenticator_id: str | None = None
    factor_before: FactorBudget | None = None
    factor_after: FactorBudget | None = None
    challenge_ids: tuple[str, ...] = ()
    reserve: Reserve | None = None
    told: tuple[Message, ...] = ()


@dataclass(frozen=True)
class World:
    """What a use case may use beside its transaction: rules, numbers and keys; nothing that blocks or waits."""

    policy: Callable[[], Policy]
    limits: Limits
    sealer: Sealer
    entropy: Entropy
    totp: CodeVerifier
    security_keys: SecurityKeyVerifier
    statements: StatementVerifier
    issuer: str
    approval_url: str
    compact_issuer: bool = False  # "AcmeFutures" instead of "Acme Futures", for apps that stumble over the space
    sms: SmsTerms | None = None  # None: this deployment sends none, and accepts none


class Transaction(
    KeyTransaction, DeskTransaction, RecoveryTransaction, SmsTransaction, SecurityKeyTransaction, Protocol
):
    """One use case's unit of work. Everything in it becomes durable together, or only its charge does."""

    @property
    def now(self) -> int:
        """Server time in milliseconds, never running back. Raises Refused(CLOCK_BEHIND) when it did (B11)."""
        ...

    # -- the account's lock, its audit chain and its budget ----------------------------------------------------------
    def lock_account(self, account_id: str) -> Account:
        """Take the account's row: first act of every writing use case. Raises Refused(UNKNOWN_ID)."""
        ...

    def record(self, event: AuditEvent) -> None:
        """Append to the locked account's chain."""
        ...

    def if_refused(self, kind: EventKind, principal: str, **details: Any) -> None:
        """What to record, with the reason, should this use case raise."""
        ...

    def alarm(self, event: AuditEvent, *, messages: Sequence[Message] = ()) -> None:
        """Record and tell what must stay whatever becomes of this use case; the store logs and counts it after the
        commit."""
        ...

    def note_refusal(self, **details: Any) -> None:
        """More of what that record is to say; only the audit is told."""
        ...

    def after_refusal(self, act: Callable[[], None]) -> None:
        """What to do, beside the charge and in its commit, should this use case raise. It must not raise itself."""
        ...

    def charge(self, charge: Charge) -> None: ...
    def set_budget(self, budget: AccountBudget, *, reserve: Reserve) -> None: ...
    def take_back(self, charge: Charge, *, account: AccountBudget) -> None:
        """After a right answer: the account's budget is what it was, and so are the challenges' counters."""
        ...

    # -- accounts and sessions ---------------------------------------------------------------------------------------
    def insert_account(self, *, account_id: str, login: str, password_hash: str) -> bool: ...
    def account_of_login(self, login: str) -> str | None: ...
    def account(self, account_id: str) -> Account | None: ...
    def accounts(self, *, after: str, limit: int) -> list[Account]: ...
    def set_password_hash(self, account_id: str, *, before: str, after: str) -> bool: ...
    def set_account_state(self, account_id: str, state: str) -> bool: ...
    def charge_sign_in(self, subject: bytes, *, limits: Limits) -> None:
        """Count a try for (login, source). Raises Refused(SIGN_IN_THROTTLED)."""
        ...

    def clear_sign_in(self, subject: bytes) -> None: ...
    def draw_in_sign_in_tries(self, *, now_ms: int) -> None: ...
    def insert_session(self, session: Session) -> None: ...
    def session(self, account_id: str, session_id: str) -> Session | None: ...
    def touch_session(self, session: Session) -> None: ...
    def complete_session(self, account_id: str, session_id: str) -> bool: ...
    def confirm_password(self, account_id: str, session_id: str) -> bool: ...
    def end_session(self, account_id: str, session_id: str) -> bool: ...
    def end_other_sessions(self, account_id: str, *, keep: str) -> list[str]: ...

    # -- protection and authenticators -------------------------------------------------------------------------------
    def protections(self, account_id: str) -> dict[Environment, int]: ...
    def protection_known(self, account_id: str, environment: Environment) -> bool:
        """Whether it was ever on."""
        ...

    def enable_protection(self, account_id: str, environment: Environment) -> bool: ...
    def end_protection(self, account_id: str, environment: Environment) -> bool: ...
    def authenticators(self, account_id: str) -> list[Authenticator]: ...
    def authenticator(self, account_id: str, authenticator_id: str) -> Authenticator | None: ...
    def bound_authenticator(
        self, account_id: str, environment: Environment, *, kind: AuthenticatorKind = AuthenticatorKind.TOTP
    ) -> Authenticator | None:
        """The active or disabled one of an environment and kind; at most one is either."""
        ...

    def next_generation(self, account_id: str, environment: Environment) -> int: ...
    def insert_authenticator(self, authenticator: Authenticator) -> None: ...
    def drop_pending_enrolments(
        self, account_id: str, environment: Environment, *, kind: AuthenticatorKind = AuthenticatorKind.TOTP
    ) -> list[str]: ...
    def fence_authenticators(self, account_id: str, *, step: int, blocked_until_max: int) -> list[tuple[str, int, int]]:
        """Spend every step up to `step`; of each authenticator that may still serve: id, last step, block's end."""
        ...

    def retire_authenticator(self, account_id: str, authenticator_id: str) -> bool: ...
    def remove_authenticator(self, account_id: str, authenticator_id: str) -> bool: ...
    def activate_authenticator(self, account_id: str, authenticator_id: str, *, step: int) -> bool: ...
    def advance_totp_step(self, account_id: str, authenticator_id: str, *, step: int) -> bool: ...

    # -- challenges and grants ---------------------------------------------------------------------------------------
    def take_slots(
        self, account_id: str, environment: Environment, *, principal: str, limits: Limits
    ) -> tuple[int, int | None]:
        """A place among the live challenges of the environment and of the asking key. Raises TOO_MANY_CHALLENGES."""
        ...

    def insert_challenge(self, challenge: Challenge, *, slots: tuple[int, int | None]) -> None: ...
    def challenge(self, account_id: str, challenge_id: str) -> Challenge | None: ...
    def challenge_by_grant(self, account_id: str, grant_hash: bytes) -> Challenge | None: ...
    def live_challenge(self, account_id: str, *, principal: str, digest: bytes) -> Challenge | None:
        """The pending or approved one for this very intent, whether overdue or not."""
        ...

    def denied_until(self, account_id: str, *, principal: str, digest: bytes) -> int | None:
        """When the challenge of this very intent that the owner denied would have expired; None if that is past."""
        ...

    def waiting_challenges(self, account_id: str) -> list[Challenge]: ...
    def live_challenges(self, account_id: str, *, principal: str | None = None) -> list[Challenge]: ...
    def approve_challenge(self, challenge: Challenge, *, grant_hash: bytes, grant_expires_at: int) -> bool: ...
    def advance_challenge(self, challenge: Challenge, *, given: frozenset[ProofKind]) -> bool:
        """One layer is proved: `given` holds from now on, and the challenge waits for the rest."""
        ...

    def vouch_challenge(self, challenge: Challenge, *, given: frozenset[ProofKind]) -> bool:
        """`given` holds by the host's word: no answer was charged, so none is taken back."""
        ...

    def approve_vouched(
        self, challenge: Challenge, *, given: frozenset[ProofKind], grant_hash: bytes, grant_expires_at: int
    ) -> bool: ...
    def spend_grant(self, challenge: Challenge) -> bool: ...
    def close_challenge(self, challenge: Challenge, *, to: State, because: str) -> bool: ...
    def overdue_accounts(self, *, limit: int) -> list[str]: ...

    # -- opened wallets, holds, changes that wait --------------------------------------------------------------------
    def open_wallet(self, account_id: str, session_id: str, environment: Environment, *, expires_at: int) -> None: ...
    def wallet_open_until(self, account_id: str, session_id: str, environment: Environment) -> int | None: ...
    def close_wallets(self, account_id: str, environment: Environment) -> None: ...
    def place_hold(self, account_id: str, environment: Environment, scope: HoldScope, *, until: int) -> None: ...
    def holds(self, account_id: str) -> list[Hold]: ...
    def ask_change(self, change: PendingChange) -> bool:
        """False where one of this kind and subject waits already."""
        ...

    def pending_change(self, account_id: str, change_id: str) -> PendingChange | None: ...
    def waiting_changes(self, account_id: str) -> list[PendingChange]: ...
    def cancel_change(self, change: PendingChange) -> bool: ...
    def finish_change(self, change: PendingChange) -> bool:
        """False while it is not due, and once it was cancelled."""
        ...

    # -- messages, idempotency, audit, settings of the deployment ----------------------------------------------------
    def put_message(self, message: Message) -> None: ...
    def due_messages(self, *, limit: int) -> list[Message]: ...
    def message_done(self, message: Message) -> bool: ...
    def hasten_messages(self, account_id: str, *, now_ms: int) -> None: ...
    def message_failed(self, message: Message, *, next_at: int | None, reason: str) -> bool: ...
    def claim_idempotency(
        self, account_id: str, *, principal: str, key: str, fingerprint: bytes
    ) -> tuple[bytes, bytes | None] | None:
        """None when the key is new and now ours; else the fingerprint of its first use and the answer, if stored."""
        ...

    def store_answer(self, account_id: str, *, principal: str, key: str, answer: bytes) -> None: ...
    def events(self, account_id: str, *, after_seq: int, limit: int) -> list[ChainedEvent]: ...
    def changed_heads(self, *, after: int) -> tuple[int, list[tuple[str, int, bytes]]]:
        """(number of the newest event, heads of all chains that moved after event number `after`)."""
        ...

    def heads_between(self, *, after: int, until: int) -> list[tuple[str, int, bytes]]: ...
    def lift_events(self, *, above: int, by: int) -> None:
        """Number every event above `above` higher by `by`: they have to be sealed anew."""
        ...

    def note_change(self, account_id: str) -> None:
        """Tell every process's snapshot that keys, standing or policy of this account changed."""
        ...

    def changes(self, *, after: int) -> tuple[int, list[str]]: ...
    def last_change(self) -> int: ...
    def setting(self, name: str) -> str | None: ...
    def set_setting(self, name: str, value: str) -> None: ...
    def drop_setting(self, name: str) -> None: ...
    def reset_high_water(self, *, now_ms: int) -> None: ...
    def prune(self, *, limit: int) -> int: ...


UseCase = Callable[[Transaction], T]


class Store(Protocol):
    """Runs use cases. `run` commits, `read` sees a committed state and must not write."""

    async def run(self, use_case: UseCase[T]) -> T:
        """Raises what the use case raised, or Refused(STORE_UNAVAILABLE) when nothing could be made durable."""
        ...

    async def run_at_mark(self, use_case: UseCase[T]) -> T:
        """As `run`, for what must be written although no other transaction has a time: the record that the clock is
        behind, and a fence. Time stands still at the latest that was seen (B11)."""
        ...

    async def read(self, use_case: UseCase[T]) -> T: ...
    async def shed_log(self) -> bool:
        """Leave no older state in a log of the engine; False where it was busy and has to be asked again."""
        ...
