"""What only the reader of a message may know: made from a keyed hash, so that it need not be stored to be sent.

What waits in the outbox names what the secret is for; the secret itself is put in when the message leaves. The database
keeps a hash of it, from which nothing leads back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from leverlock.domain import recovery_code
from leverlock.domain.messages import Message
from leverlock.ports import Sealer

RESET_LINK: Final = "password_reset.link"
ADDRESS_CODE: Final = "address.confirm"


def reset_token(sealer: Sealer, account_id: str, link_id: str) -> str:
    """The token of one link; it names its account, as those of sessions do."""
    return f"{account_id}.{sealer.mac('reset-link', f'reset-link-1|{account_id}|{link_id}'.encode()).hex()}"


def address_code(sealer: Sealer, account_id: str, address_id: str) -> str:
    """The code that makes one address serve, in its canonical form."""
    made = sealer.mac("address-code", f"address-code-1|{account_id}|{address_id}".encode())
    return recovery_code.make(made[: recovery_code.RANDOM_BYTES])


def _link(sealer: Sealer, account_id: str, body: Mapping[str, Any]) -> dict[str, str]:
    return {"token": reset_token(sealer, account_id, body["link"])}


def _code(sealer: Sealer, account_id: str, body: Mapping[str, Any]) -> dict[str, str]:
    return {"code": recovery_code.shown(address_code(sealer, account_id, body["address"]))}


_SECRETS: Final[Mapping[str, Callable[[Sealer, str, Mapping[str, Any]], dict[str, str]]]] = {
    RESET_LINK: _link,
    ADDRESS_CODE: _code,
}


def with_secret(sealer: Sealer, message: Message) -> Message:
    """The message as it leaves: the one that carries a secret gets it here, every other one stays what it was."""
    secret = _SECRETS.get(message.kind)
    if secret is None:
        return message
    body = json.loads(message.body)
    body.update(secret(sealer, message.account_id, body))
    return replace(message, body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
