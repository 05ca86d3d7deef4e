"""Idempotency keys: the same call twice is done once, and answered alike (B46).

The key is claimed in the transaction of the effect itself. So there is no time in which a call is half done: who
repeats it while it runs waits for the account's lock and then gets its answer. A refusal or a step-up did nothing, so
nothing is remembered of it: the same call under the same key is judged anew.

What is kept of a request is a keyed hash, because bodies hold codes and passwords. What is kept of an answer never
holds a secret: grants are derived again (B44), and other secrets are not repeated.
"""

from __future__ import annotations

import hmac
import re
from typing import Final

import msgspec

from leverlock.api.endpoint import Call, Caller, Result
from leverlock.api.problems import Edge, EdgeRefused
from leverlock.api.views import View
from leverlock.app.prove import grant_of
from leverlock.domain.errors import Reason, Refused
from leverlock.ports import Transaction, World

KEY_FORM: Final = re.compile(rb"[\x21-\x7e]{1,128}")
_SECRET: Final = b"secret"
_REFUSED: Final = b"refused "


def key_of(values: list[bytes]) -> str | None:
    """The call's Idempotency-Key. Raises Refused(MALFORMED) for two of them, or one of another form."""
    if not values:
        return None
    if len(values) > 1 or KEY_FORM.fullmatch(values[0]) is None:
        raise Refused(
            Reason.MALFORMED, "Idempotency-Key takes 1 to 128 visible ASCII characters, once", field="Idempotency-Key"
        )
    return values[0].decode("ascii")


def once(tx: Transaction, world: World, caller: Caller, call: Call) -> Result:
    """Do the call's work, or give the answer that this key has already had.

    Raises EdgeRefused: KEY_REUSED for another request, SECRET_NOT_REPEATED; and whatever the work raises.
    """
    assert call.key is not None
    endpoint, account_id, principal = call.endpoint, caller.account_id, caller.principal
    fingerprint = world.sealer.mac("idempotency", f"{endpoint.method} {call.target}\n".encode() + call.raw)
    tx.lock_account(account_id)
    found = tx.claim_idempotency(account_id, principal=principal, key=call.key, fingerprint=fingerprint)
    if found is not None:
        claimed_for, stored = found
        if not hmac.compare_digest(claimed_for, fingerprint):
            raise EdgeRefused(Edge.KEY_REUSED)
        if stored is not None:
            return _replay(tx, world, caller, call, stored)
    result: Result = endpoint.work(tx, world, caller, call)
    if not (isinstance(result, Refused) and result.reason is Reason.STEP_UP_REQUIRED):
        tx.store_answer(account_id, principal=principal, key=call.key, answer=_stored(call, result))
    return result


def _stored(call: Call, result: Result) -> bytes:
    if isinstance(result, Refused):
        return _REFUSED + result.reason.value.encode()
    if call.endpoint.secret:
        return _SECRET
    return b"" if result is None else msgspec.json.encode(result.without_grants())


def _replay(tx: Transaction, world: World, caller: Caller, call: Call, stored: bytes) -> Result:
    if stored == _SECRET:
        raise EdgeRefused(Edge.SECRET_NOT_REPEATED)
    if stored.startswith(_REFUSED):
        return Refused(Reason(stored[len(_REFUSED) :].decode()))
    if call.endpoint.answer is None:
        return None
    view: View = msgspec.json.decode(stored, type=call.endpoint.answer)
    for granted in view.granted():
        challenge = tx.challenge(caller.account_id, granted.challenge)
        if challenge is not None and challenge.principal == caller.principal:
            granted.grant = grant_of(world, challenge)
    return view
