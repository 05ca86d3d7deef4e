"""Answers: every object the API shows, and how it is made from the domain. Times are server milliseconds."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from leverlock.api.next_steps import NextStep
from leverlock.domain.audit import ChainedEvent
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.wording import describe
from leverlock.ports import World

_ID = "_[a-z2-7]{26}$"
AccountId = Annotated[str, Meta(extra_json_schema={"pattern": "^acc" + _ID})]
ChallengeId = Annotated[str, Meta(extra_json_schema={"pattern": "^ch" + _ID})]
AuthenticatorId = Annotated[str, Meta(extra_json_schema={"pattern": "^au" + _ID})]
KeyId = Annotated[str, Meta(extra_json_schema={"pattern": "^key" + _ID})]
Grant = Annotated[str, Meta(extra_json_schema={"pattern": "^gr_[0-9a-f]{64}$"})]
Hash = Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9a-f]{64}$"})]
Line = Annotated[list[str], Meta(min_length=2, max_length=2, description="a label and its value")]
Millis = Annotated[int, Meta(extra_json_schema={"format": "int64", "description": "server milliseconds since 1970"})]


class View(msgspec.Struct, omit_defaults=True):
    """An object of an answer. Fields that do not apply are left out."""

    def granted(self) -> list[Any]:
        """Its parts that may hold a grant: each has a `challenge` and a `grant`."""
        return []

    def without_grants(self) -> View:
        """The same answer in a form that may be stored: of a grant, only its hash is (B44)."""
        return self


class ChallengeView(View, kw_only=True):
    """A challenge in full, as the owner approves it: `lines` are what the digest covers, in words (B49).

    `requires` is what still has to be proved, `given` what holds already: a `wallet` is opened by a first answer with a
    code, the rest is proved by the next. `backups` may stand in for the code where the owner switched them on.
    `grant` is there for the asker himself, once the challenge is approved: good for one execution until
    `grant_expires_at` (B44).
    """

    id: ChallengeId
    account: AccountId
    environment: str
    state: str
    action: str
    asked_by: str
    headline: str
    lines: list[Line]
    requires: list[str]
    given: list[str] | UnsetType = UNSET
    backups: list[str] | UnsetType = UNSET
    attempts_left: int
    created_at: Millis
    expires_at: Millis
    url: str
    grant: Grant | UnsetType = UNSET
    grant_expires_at: Millis | UnsetType = UNSET
    closed_because: str | UnsetType = UNSET


def challenge_view(challenge: Challenge, world: World, *, now: int, grant: str | None = None) -> ChallengeView:
    """How a challenge is shown now; `grant` only where the caller is its asker."""
    described = describe(challenge.intent, challenge.facts)
    state = challenge.state_at(now)
    view = ChallengeView(
        id=challenge.challenge_id,
        account=challenge.account_id,
        environment=challenge.environment.value,
        state=state.value,
        action=challenge.action,
        asked_by=challenge.principal,
        headline=described.headline,
        lines=[list(line) for line in described.lines],
        requires=challenge.remaining.words(),
        attempts_left=max(0, world.limits.challenge_wrong_answers - challenge.wrong_answers),
        created_at=challenge.created_at,
        expires_at=challenge.expires_at,
        url=world.approval_url.format(challenge=challenge.challenge_id),
    )
    if challenge.given:
        view.given = sorted(challenge.given)
    if challenge.requirement.backups and world.sms is not None:
        view.backups = sorted(challenge.requirement.backups)
    if state is State.APPROVED:
        view.grant_expires_at = challenge.grant_expires_at
        if grant is not None:
            view.grant = grant
    if challenge.closed_because:
        view.closed_because = challenge.closed_because
    return view


class ChallengeList(View):
    challenges: list[ChallengeView]


class AnsweredChallenge(View):
    """One answered challenge: approved, or a layer further and waiting for what it still `requires`.

    `grant` only where the session that answered is the one that asked.
    """

    challenge: ChallengeId
    state: str
    grant_expires_at: Millis | UnsetType = UNSET
    grant: Grant | UnsetType = UNSET
    requires: list[str] | UnsetType = UNSET


class Proved(View):
    """What one answer did."""

    approved: list[AnsweredChallenge]

    def granted(self) -> list[Any]:
        return list(self.approved)

    def without_grants(self) -> Proved:
        return Proved([msgspec.structs.replace(one, grant=UNSET) for one in self.approved])


class AuthorizeView(View):
    """`allow`: execute. `granted`: the owner approved this very action; execute after `redeem` with the grant."""

    decision: str
    why: str | UnsetType = UNSET
    challenge: ChallengeId | UnsetType = UNSET
    grant: Grant | UnsetType = UNSET
    grant_expires_at: Millis | UnsetType = UNSET

    def granted(self) -> list[Any]:
        return [] if self.challenge is UNSET else [self]

    def without_grants(self) -> AuthorizeView:
        return msgspec.structs.replace(self, grant=UNSET)


class DigestView(View):
    """`digest` is the SHA-256 of `canonical`, RFC 8785 JSON of strings: what a challenge is bound to."""

    digest: Hash
    canonical: str


class RedeemedView(View):
    """The grant is spent: execute now, once. Trouble afterwards never brings it back (B45)."""

    executed_for: ChallengeId
    action: str
    digest: Hash


class SessionView(View):
    """A session. It dies at `idle_at` unless it is used before, and at `ends_at` in any case."""

    account: AccountId
    login: str
    state: str
    created_at: Millis
    idle_at: Millis
    ends_at: Millis
    next: list[NextStep]


class OpenedSession(View):
    """A new session; `token` is shown once. `state` is `login_challenge` while that has to be answered first, and
    `recovery` in one that can do nothing but recover. `next` is the way on from either."""

    token: str
    account: AccountId
    state: str
    ends_at: Millis
    next: list[NextStep]


class EnrolmentView(View):
    """A secret to be bound: scan `qr` (SVG) or type `secret`, then confirm with the app's current code (M6-M8)."""

    authenticator: AuthenticatorId
    environment: str
    secret: Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Z2-7]{32}$"})]
    otpauth_uri: str
    qr: str
    expires_at: Millis
    next: list[NextStep]


class LegacyKey(View):
    """A key from before the first Futures protection: it goes on unchallenged until it is edited or ended (M21)."""

    id: KeyId
    label: str


class ConfirmedView(View):
    """The factor is active. `recovery_codes` come with the first set-up of an environment and after a recovery, once
    (M9). `next` is the way on of a session that could only recover: to sign in anew."""

    authenticator: AuthenticatorId
    environment: str
    recovery_codes: list[str]
    legacy_keys: list[LegacyKey]
    next: list[NextStep]


class AuditRecord(View):
    """A record as it is stored. `body` is its exact text: hash = SHA-256("leverlock-audit-1\\0" + previous + body)."""

    seq: int
    at: Millis
    kind: str
    body: str
    hash: Hash


class AuditTrail(View):
    """A piece of the account's own chain. `next`: what to ask for `after`, while there is more."""

    records: list[AuditRecord]
    next: int | UnsetType = UNSET


def audit_record(event: ChainedEvent) -> AuditRecord:
    return AuditRecord(event.seq, event.at_ms, event.kind.value, event.body.decode(), event.hash.hex())
