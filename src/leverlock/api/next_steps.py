"""What the caller can do now: the way on from a refusal or an answer, so that nobody has to know the documents by heart
to come back from a lost phone.

A step is a call of this very API: what somebody must have at hand for it, and the names of what its body holds. Steps
only point: each call judges anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from leverlock.domain.account import Session, SessionState
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason
from leverlock.domain.recovery_case import LIVE, CaseState, DocumentKind, RecoveryCase
from leverlock.domain.requirement import ProofKind

Method = Annotated[str, Meta(pattern="^(GET|POST|DELETE)$")]


class Need(StrEnum):
    """What a person must have at hand for a step."""

    PASSWORD = "password"
    LOGIN_AUTHENTICATOR = "login_authenticator"
    AUTHENTICATOR = "authenticator"  # of the environment in question
    SECURITY_KEY = "security_key"
    NEW_APP = "new_app"
    RECOVERY_CODE = "recovery_code"
    MAILBOX = "mailbox"
    ADDRESS = "address"  # the new one, where notices shall go
    DOCUMENTS = "documents"  # pictures of an identity document, and of what shows that the account is his


class NextStep(msgspec.Struct, omit_defaults=True):
    """One call that may follow: what it does, what it `needs`, and the names of what its body `sends`."""

    does: str
    method: Method
    path: str
    needs: list[Need] = []
    sends: list[str] = []


SIGN_IN: Final = NextStep("sign in", "POST", "/v1/sessions", [Need.PASSWORD], ["login", "password"])
FORGOTTEN: Final = NextStep(
    "have a link mailed, the password being forgotten", "POST", "/v1/password-resets", [Need.MAILBOX], ["login"]
)
LINK: Final = NextStep("follow the link", "POST", "/v1/sessions/by-mail", [Need.MAILBOX], ["token"])
LOGIN_CODE: Final = NextStep(
    "answer the login challenge",
    "POST",
    "/v1/sessions/current/login-challenge",
    [Need.LOGIN_AUTHENTICATOR],
    ["code"],
)
LOGIN_KEY: Final = NextStep(
    "have a security key complete the login; then hand in its answer at …/assertion",
    "POST",
    "/v1/sessions/current/login-challenge/assertion-options",
    [Need.SECURITY_KEY],
)
LOST: Final = NextStep("say that the login authenticator is lost", "POST", "/v1/sessions/current/recovery")
NEW_PASSWORD: Final = NextStep(
    "set a new password", "POST", "/v1/password", [Need.AUTHENTICATOR], ["password", "environment"]
)

CASES: Final = NextStep("look at your recovery cases", "GET", "/v1/recovery-cases")
CASE: Final = NextStep(
    "ask support for help, with documents",
    "POST",
    "/v1/recovery-cases",
    [Need.DOCUMENTS],
    ["environments", "statement"],
)
CASE_LINK: Final = NextStep("follow the link", "POST", "/v1/recovery-links", [Need.MAILBOX], ["token"])


def look_at_case(case_id: str) -> NextStep:
    return NextStep("look at the case", "GET", f"/v1/recovery-cases/{case_id}")


def of_case(case: RecoveryCase, state: CaseState, brought: frozenset[DocumentKind]) -> list[NextStep]:
    """The way on of a recovery case, for its owner."""
    path = f"/v1/recovery-cases/{case.case_id}"
    if state is CaseState.OPENED:
        missing = [kind for kind in DocumentKind if kind not in brought]
        if not missing:
            return [NextStep("hand the case to the desk", "POST", f"{path}/submission")]
        return [
            NextStep(f"bring a document of {kind}", "POST", f"{path}/documents?kind={kind}", [Need.DOCUMENTS])
            for kind in missing
        ]
    if state is CaseState.READY:
        return [CASE_LINK]
    if state is CaseState.USED:
        return [SIGN_IN]
    return [look_at_case(case.case_id)] if state in LIVE else []


def recover(*, password: bool) -> NextStep:
    """The use of a recovery code; with the password typed anew where that of the sign-in does not count."""
    needs, sends = [Need.RECOVERY_CODE], ["environment", "code"]
    if password:
        needs, sends = [*needs, Need.PASSWORD], [*sends, "password"]
    return NextStep("bind a new authenticator with a recovery code", "POST", "/v1/recoveries", needs, sends)


def bind(environment: Environment | str) -> NextStep:
    path = f"/v1/environments/{environment}/authenticators"
    return NextStep("start binding an authenticator app", "POST", path, [Need.NEW_APP])


def confirm(environment: Environment | str, authenticator_id: str) -> NextStep:
    path = f"/v1/environments/{environment}/authenticators/{authenticator_id}/confirmation"
    return NextStep("confirm it with its first code", "POST", path, [Need.NEW_APP], ["code"])


def of_session(session: Session, *, completed_by: Sequence[ProofKind]) -> list[NextStep]:
    """The way on of a session that is not full; `completed_by`: what answers the account's login challenge."""
    if session.state is SessionState.LOGIN_CHALLENGE:
        return [*(_LOGIN[kind] for kind in completed_by), LOST]
    if session.state is SessionState.RECOVERY:
        return [NEW_PASSWORD if session.by_mail else recover(password=False), CASES, CASE]
    return []


def proof(challenge_id: str, requires: Sequence[str]) -> NextStep:
    """The answer to a challenge."""
    wanted = [word for word in requires if word in _PARTS] if "wallet" not in requires else ["wallet"]
    sends = sorted({_PARTS[word][0] for word in wanted})
    needs = sorted({_PARTS[word][1] for word in wanted})
    path = f"/v1/challenges/{challenge_id}/proof"
    return NextStep("agree as the owner; then make the same call again", "POST", path, needs, sends)


def lost(environment: str) -> NextStep:
    """The way back of who is asked for a factor that he has lost."""
    step = recover(password=True)
    return msgspec.structs.replace(step, does=f"{step.does}, that of {environment} being lost")


_LOGIN: Final = {ProofKind.TOTP: LOGIN_CODE, ProofKind.SECURITY_KEY: LOGIN_KEY}

_PARTS: Final = {
    "security_key": ("assertion", Need.SECURITY_KEY),
    "totp": ("code", Need.AUTHENTICATOR),
    "wallet": ("code", Need.AUTHENTICATOR),
    "password": ("password", Need.PASSWORD),
}

Way = Callable[[Mapping[str, object]], Sequence[NextStep]]

# The way on from a refusal, by its reason. What is not here has none but to look at what was sent.
AFTER: Final[Mapping[Reason, Way]] = {
    Reason.NOT_AUTHENTICATED: lambda _: (SIGN_IN, FORGOTTEN),
    Reason.SIGN_IN_FAILED: lambda _: (FORGOTTEN,),
    Reason.LOGIN_CHALLENGE_OPEN: lambda _: (LOGIN_CODE, LOGIN_KEY, LOST),
    Reason.RECOVERY_ONLY: lambda _: (recover(password=False), CASES, CASE, SIGN_IN),
    Reason.PASSWORD_TOO_OLD: lambda _: (SIGN_IN,),
    Reason.NO_USABLE_FACTOR: lambda _: (recover(password=True), CASES, CASE),
    Reason.FACTOR_DISABLED: lambda _: (recover(password=True), CASES, CASE),
    Reason.ENROLMENT_REQUIRED: lambda facts: (bind(str(facts.get("environment"))),),
}


def after(reason: Reason, facts: Mapping[str, object]) -> list[NextStep]:
    """What can be done about a refusal."""
    way = AFTER.get(reason)
    return [] if way is None else list(way(facts))
