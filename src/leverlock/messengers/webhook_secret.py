"""The signing secret of an account's webhooks: derived, so stored nowhere, and good for no other account.

Apart from the messenger, so that a command can show it without an HTTP client.
"""

from __future__ import annotations

import base64
from typing import Final

from leverlock.ports import Sealer

PURPOSE: Final = "webhook"


def webhook_secret(sealer: Sealer, account_id: str) -> bytes:
    """The 32 bytes that sign what is sent to this account's webhook."""
    return sealer.mac(PURPOSE, account_id.encode())


def shown_secret(secret: bytes) -> str:
    """The secret in the form that receivers configure: `whsec_` and base64."""
    return "whsec_" + base64.b64encode(secret).decode("ascii")
