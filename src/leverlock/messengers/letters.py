"""Letters: a message in words, for every channel that a person reads (semantics 13).

What waits is told whole: the headline, every bound field, who asks, when it ends in UTC, and a link. A letter is made
from the committed message and from nothing else, so every retry says the same; nothing that approves is ever in one.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from leverlock.domain.messages import Message

WAITING: Final = "challenge.waiting"
MAX_SUBJECT: Final = 160  # characters; a longer headline goes on in the text, where nothing is cut

# What is told beside the waiting challenge. A kind that is not named here is told by its own name and all its facts.
TITLES: Final[dict[str, str]] = {
    "challenge.not_me": "You reported a request that was not yours",
    "authenticator.bound": "An authenticator app was bound to your account",
    "authenticator.removed": "An authenticator app was removed from your account",
    "authenticator.failures": "Wrong codes were sent in a row; your authenticator is blocked for a moment",
    "authenticator.nearly_disabled": "A few more wrong codes will disable your authenticator",
    "authenticator.disabled": "Too many wrong codes: your authenticator is disabled, and only recovery helps",
    "authenticator.answered_after_failures": "A right code was given after several wrong ones",
    "account.failures": "Wrong passwords were typed for your account",
    "recovery.failures": "Wrong recovery codes were typed for your account; no more are looked at for now",
    "recovery.opened": "Somebody came back with a recovery, and may bind a new authenticator",
    "recovery_codes.replaced": "New recovery codes were made for your account; the ones before are void",
    "password.changed": "The password of your account was changed",
    "password_reset.asked": "A link to set a new password was asked for and mailed",
    "password_reset.opened": "The link to set a new password was followed",
    "address.named": "A new address for notices was named for your account; this one is told of it",
    "address.serves": "A new address is rung and told for your account; this one is told of it",
    "address.leaves": "An address is told for a week more, and then no longer",
    "key.unfrozen": "An API key that was stopped by 'this was not me' goes on",
    "security_key.added": "A security key was added to your account; the link takes it away if you did not add it",
    "security_key.removed": "A security key was removed from your account",
    "security_key.suspended": "A security key of your account may have been copied, and authorises nothing any more",
    "security_key.kept": "A security key that was to be removed stays: it is the last factor of your account",
    "key.created": "An API key was created for your account",
    "sms.saved": "The SMS settings of your account were changed",
    "sms.removed": "A phone number of your account serves no more",
    "sms.used": "A code by SMS approved an action of your account",
    "sms.distrusted": "The phone numbers of your account wait for a day before they serve again",
    "key.edited": "An API key of your account was changed",
    "key.revoked": "An API key of your account was revoked",
    "key.legacy_ends": "API keys of your account will soon be asked for a code, like every other",
    "key.legacy_date_removed": "API keys of your account go on without a code until you edit them",
    "key.legacy_ended": "API keys of your account are asked for a code now, like every other",
    "recovery_case.opened": "Somebody asked support to recover your account",
    "recovery_case.submitted": "A recovery of your account was handed to support, with documents",
    "recovery_case.approved": "Two agents approved the recovery of your account; it waits for a day",
    "recovery_case.ready": "The recovery of your account is ready; a link is on its way to you",
    "recovery_case.used": "The link of the recovery was followed; new authenticators may be bound now",
    "recovery_case.cancelled": "The recovery of your account was stopped for good",
    "recovery_case.refused": "Support refused the recovery of your account",
    "recovery_case.expired": "The recovery of your account ran out",
    "account.locked": "Your account was locked; only cancels pass",
    "account.unlocked": "Your account goes on",
    "operator.role_changed": "The role of your account at the desk was changed",
    "policy.looser": "From tomorrow less will be demanded for some actions of your account",
    "seal.broken": "A stored secret of your account was damaged or replaced, and is not accepted any more",
}

# What only its reader may have, and may have from nowhere else: (title, the field that holds it, what to do with it).
FOR_ITS_READER: Final[dict[str, tuple[str, str, str]]] = {
    "password_reset.link": (
        "Set a new password",
        "token",
        "Give it where you asked for it, within ten minutes. A code of your authenticator app is asked for there too.",
    ),
    "recovery_case.link": (
        "Bind a new authenticator",
        "link",
        "Give it where you asked for help (`leverlock case return`), within ten minutes. It is good once.",
    ),
    "address.confirm": (
        "Confirm this address",
        "code",
        "Type it on your security page, where you named this address. Until then nothing is sent here.",
    ),
}
ADVICE: Final = "If this was not you, sign in and look at your security page at once, or call support."
NO_CODES: Final = "This message never contains a code, and nobody will ever ask you for one by mail or phone."


@dataclass(frozen=True, slots=True)
class Letter:
    """A subject of one line, and plain text whose lines end in a bare newline."""

    subject: str
    text: str


def letter(message: Message, *, issuer: str) -> Letter:
    """The message as a person should read it. Times are UTC, values are shown without invisible characters."""
    body: dict[str, Any] = json.loads(message.body)
    if message.kind == WAITING:
        return _waiting(body, issuer)
    if message.kind in FOR_ITS_READER:
        return _for_its_reader(message, body, issuer)
    return _notice(message, body, issuer)


def utc(at_ms: int) -> str:
    """A server time for people: `2026-11-23 06:43:10 UTC`, cut (never rounded up) to the second."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def visible(value: object) -> str:
    """One line without control, bidirectional or other format characters: a value cannot pose as our own text (B91)."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join("\N{REPLACEMENT CHARACTER}" if _hides(character) else character for character in text)


def _hides(character: str) -> bool:
    category = unicodedata.category(character)
    return category.startswith("C") or category in ("Zl", "Zp")


def _waiting(body: dict[str, Any], issuer: str) -> Letter:
    headline = visible(body["headline"])
    rows = [(str(name), value) for name, value in body["lines"]]
    text = [
        "This waits for your approval:",
        "",
        f"  {headline}",
        "",
        *_table(rows),
        "",
        *_table([("asked by", body["asked_by"]), ("expires", utc(body["expires_at"]))]),
        "",
        "Look at it, then approve or deny it here:",
        visible(body["url"]),
        "",
        "If you did not ask for this, open the link and choose 'this was not me'.",
        NO_CODES,
    ]
    return Letter(_subject(f"{issuer}: approve? {headline}"), "\n".join(text) + "\n")


def _notice(message: Message, body: dict[str, Any], issuer: str) -> Letter:
    title = TITLES.get(message.kind, visible(message.kind).replace(".", " ").replace("_", " "))
    told = {name: value for name, value in body.items() if name not in ("type", "at")}
    rows = [(name.replace("_", " "), _told(name, value)) for name, value in told.items()]
    at = body["at"] if isinstance(body.get("at"), int) else message.created_at
    text = [f"{title}.", "", *_table([("when", utc(at)), *rows]), "", ADVICE, NO_CODES]
    return Letter(_subject(f"{issuer}: {title}"), "\n".join(text) + "\n")


def _for_its_reader(message: Message, body: dict[str, Any], issuer: str) -> Letter:
    title, name, what_to_do = FOR_ITS_READER[message.kind]
    text = [
        f"{title}:",
        "",
        f"  {visible(body[name])}",
        "",
        what_to_do,
        f"It ends {utc(message.expires_at)}. Did you not ask for it? Then do nothing, and tell nobody.",
    ]
    return Letter(_subject(f"{issuer}: {title.lower()}"), "\n".join(text) + "\n")


def _told(name: str, value: object) -> object:
    return utc(value) if name.endswith(("_at", "_until")) and isinstance(value, int) and value else value


def _table(rows: list[tuple[str, Any]]) -> list[str]:
    return [f"  {visible(name)}: {visible(value)}" for name, value in rows]


def _subject(text: str) -> str:
    line = visible(text)
    return line if len(line) <= MAX_SUBJECT else line[: MAX_SUBJECT - 1] + "…"
